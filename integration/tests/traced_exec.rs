// SPDX-License-Identifier: Apache-2.0
//! A program that is executed by a task which somebody in the container traces: nobody else can stop it before its first
//! instruction, so that it is killed as soon as it has been loaded.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]
#![expect(clippy::expect_used, reason = "test code: a failed preparation ends the test")]

use std::fs;

use integration::{
    Alert, Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, skipped, text, workload,
};

const RULES: &str = r"
- rule: banned
  desc: A program below /banned was executed.
  condition: evt.type in (execve, execveat) and proc.exepath startswith /banned
  output: executed %proc.exepath
  priority: NOTICE
  action: deny

- rule: banned argument
  desc: A program was given an argument that none may have.
  condition: evt.type in (execve, execveat) and proc.args contains --banned
  output: executed %proc.cmdline
  priority: NOTICE
  action: deny
";
const UNVERIFIED: &str = "Lanner internal: exec not verified";

#[test]
fn what_a_traced_task_executes_behind_our_back_dies() {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES));
    for task in ["leader", "thread", "orphan", "leased"] {
        let output = Container::run(&lanner.engine(), &bundle(&["/bin/traced", task], ["pause", "pause"]));
        assert_eq!(text(&output.stdout), "killed\n", "{task}: {}", text(&output.stderr));
    }
}

/// A container with two programs, one of which must not run.
fn bundle(command: &[&str; 2], [public, banned]: [&str; 2]) -> Bundle {
    let bundle = Bundle::new(command).file(&workload(command[0].trim_start_matches("/bin/")), command[0]);
    for folder in ["/public", "/banned"] {
        fs::create_dir(bundle.inside(folder)).expect("cannot make a folder");
    }
    bundle.file(&workload(public), "/public/program").file(&workload(banned), "/banned/program")
}

#[test]
fn a_program_that_looks_like_the_one_before_is_judged() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
        let output = Container::run(&lanner.engine(), &bundle(&["/bin/retraced", "same"], ["nothing", "nothing"]));
        assert_eq!(text(&output.stdout), "killed\n", "{runtime:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_program_that_ends_at_once_after_a_long_exec_is_not_missed() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
        let bundle = bundle(&["/bin/retraced", "held"], ["nothing", "banned"]);
        let mut ran = 0;
        // Which of the programs are loaded is a race; each that was and must not has its alert.
        let alerts = (0..5).find_map(|_| {
            ran += text(&Container::run(&lanner.engine(), &bundle).stdout).lines().count();
            let seen = |alert: &&Alert| alert.rule == UNVERIFIED || alert.id.ends_with("-v");
            Some(lanner.alerts().iter().filter(seen).count()).filter(|alerts| *alerts > 0 || ran > 0)
        });
        assert!(alerts.is_some_and(|alerts| alerts >= ran), "{runtime:?}: {alerts:?} alerts, {ran} ran");
    }
}
