// SPDX-License-Identifier: Apache-2.0
//! Signals that come faster than a call is judged do not keep it from being made.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use std::fmt::Write as _;

use integration::{
    Bundle, Container, Lanner,
    Requirement::{self, Program, Root},
    Settings, skipped, text, workload,
};

/// Rules that read all of the argument, which takes milliseconds.
const RULES: usize = 20_000;
const ARGUMENT: &str = "130000";
/// Between two signals.
const MICROSECONDS: &str = "500";
const RUNS: usize = 3;
/// Signals in all runs. Each has some while the exec is judged, and one more where the verdict does not get through at once;
/// without it there were hundreds in a run, or no end to them.
const MAX_SIGNALS: usize = 100;

/// Rules that nothing matches.
fn slow_rules() -> String {
    (0..RULES).fold(String::new(), |mut text, number| {
        let condition = format!("evt.type = execve and proc.args icontains unlikely{number}x");
        let rule = format!("- rule: slow {number}\n  desc: d\n  condition: {condition}\n  output: o\n");
        let _written = writeln!(text, "{rule}  priority: NOTICE\n  action: deny\n");
        text
    })
}

#[test]
fn an_exec_that_is_interrupted_faster_than_it_is_judged_goes_on() {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc")]) {
        return;
    }
    let rules = slow_rules();
    for settings in [Settings::enforce(&rules), Settings::audit(&rules)] {
        let lanner = Lanner::new(&settings);
        let bundle = Bundle::new(&["/bin/signalled", MICROSECONDS, ARGUMENT, "/bin/nothing"])
            .file(&workload("signalled"), "/bin/signalled")
            .file(&workload("nothing"), "/bin/nothing");
        let signals = || {
            let output = Container::run(&lanner.engine(), &bundle);
            assert!(output.status.success(), "{}", text(&output.stderr));
            output.stdout.len()
        };
        let signals: Vec<_> = (0..RUNS).map(|_| signals()).collect();
        assert!(signals.iter().sum::<usize>() <= MAX_SIGNALS, "{signals:?}");
        lanner.expect_nothing_left();
    }
}
