// SPDX-License-Identifier: Apache-2.0
//! A program that is executed by a task which somebody in the container traces: nobody else can stop it before its first
//! instruction, so that it is killed as soon as it has been loaded.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use std::fs;

use integration::{
    Bundle, Container, Lanner,
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
";

#[test]
fn what_a_traced_task_executes_behind_our_back_dies() {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES));
    for task in ["leader", "thread", "orphan", "leased"] {
        let bundle = Bundle::new(&["/bin/traced", task]).file(&workload("traced"), "/bin/traced");
        for folder in ["/public", "/banned"] {
            fs::create_dir(bundle.inside(folder)).expect("cannot make a folder");
        }
        let bundle = bundle.file(&workload("pause"), "/public/program").file(&workload("pause"), "/banned/program");
        let output = Container::run(&lanner.engine(), &bundle);
        assert_eq!(text(&output.stdout), "killed\n", "{task}: {}", text(&output.stderr));
    }
}
