// SPDX-License-Identifier: Apache-2.0
//! A process's relatives are known whatever they do to hide.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use std::{fs, time::Duration};

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, skipped, text, wait_for, workload,
};
use serde_json::json;

const RULES: &str = "
- rule: of the family
  desc: A file was opened by a relative of the program that it is kept from.
  condition: >
    evt.type in (open, openat) and (
      (fd.name = /secret/by-path and proc.pexepath = /bin/elder)
      or (fd.name = /secret/by-ancestors-path and proc.aexepath = /bin/elder)
      or (fd.name = /secret/by-command and proc.pcmdline contains marked)
      or (fd.name = /secret/by-arguments and proc.aargs contains marked)
      or (fd.name = /secret/by-environment and proc.aenv[MARK] = marked)
      or (fd.name in (/secret/deep, /secret/too-deep) and proc.aname = elder))
  output: opened %fd.name by a child of %proc.pexepath
  priority: NOTICE
  action: deny
";

/// What is too deep fails because nobody has seen the eldest.
const RESULTS: &str = "by-path -1
by-ancestors-path -1
by-command -1
by-arguments -1
by-environment -1
open 0
deep -1
too-deep -1
";

#[test]
fn a_parent_cannot_hide() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program(runtime.name()), Program("gcc")]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
        let bundle = Bundle::new(&["/bin/elder", "marked"])
            .file(&workload("kin"), "/bin/elder")
            .file(&workload("kin"), "/bin/younger")
            .set("/process/env", json!(["PATH=/bin", "MARK=marked"]));
        fs::create_dir(bundle.inside("/secret")).unwrap();
        for line in RESULTS.lines() {
            let name = line.split(' ').next().unwrap();
            fs::write(bundle.inside("/secret").join(name), "").unwrap();
        }
        let output = Container::run(&lanner.engine(), &bundle);
        assert_eq!(text(&output.stdout), RESULTS, "{}", text(&output.stderr));
        let alerts = lanner.alerts_of("of the family");
        assert_eq!(alerts.len(), 6);
        assert_eq!(alerts[0].text("proc.pexepath"), "/bin/elder");
        lanner.expect_nothing_left();
    }
}

/// Rules that forbid nothing, and ask for the program of a parent in conditions and in what they say.
const ASKING: &str = "
- rule: never
  desc: A program was executed by one that there is not.
  condition: evt.type in (execve, execveat) and proc.pcmdline contains never and proc.pexepath startswith /never
  output: executed %proc.name
  priority: NOTICE
  action: deny
- rule: shell
  desc: A shell was executed.
  condition: evt.type in (execve, execveat) and proc.exepath endswith sh
  output: executed by %proc.pcmdline
  priority: NOTICE
  action: alert
";
/// In every fourth or fifth the parent was asked as it ended.
const PARENTS: usize = 40;

#[test]
fn a_parent_that_ends_with_all_its_threads_hinders_nothing() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program(runtime.name())]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(ASKING).under(runtime));
        let container = Container::start(&lanner.engine(), Bundle::new(&["sleep", "1000"]));
        for number in 0..PARENTS {
            container.exec_detached(&["sh", "-c", &format!("echo {number} >> /tmp/done")]);
        }
        let done = || fs::read_to_string(container.inside("/tmp/done")).unwrap_or_default().lines().count();
        wait_for("programs", Duration::from_secs(30), || (done() == PARENTS).then_some(()));
        assert_eq!(lanner.alerts().iter().filter(|alert| alert.rule != "shell").count(), 0);
        container.end();
        lanner.expect_nothing_left();
    }
}

const RELAYED: &str = "
- rule: from relay
  desc: A program was executed by a child of one that may not have it executed.
  condition: evt.type in (execve, execveat) and proc.exepath = /public/program and proc.pexepath = /bin/relay
  output: executed by %proc.pexepath
  priority: NOTICE
  action: deny
";

#[test]
fn a_parent_whose_threads_relay_each_other_is_known() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RELAYED));
    let bundle = Bundle::new(&["/bin/relay", "100"]).file(&workload("relay"), "/bin/relay");
    let bundle = bundle.file(&workload("relay"), "/public/program");
    let output = Container::run(&lanner.engine(), &bundle);
    assert_eq!(text(&output.stdout), "100 failed\n", "{}", text(&output.stderr));
    lanner.expect_nothing_left();
}
