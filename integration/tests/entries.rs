// SPDX-License-Identifier: Apache-2.0
//! A call that a rule denies is denied through whichever of the kernel's entries it is made.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, skipped, text, workload,
};
use serde_json::{Value, json};

const RULES: &str = "
- rule: made
  desc: A connection or a semaphore was made.
  condition: evt.type in (connect, semget)
  output: made by %evt.type
  priority: NOTICE
  action: deny
";

const DENIED: &str = "connect -1
i386-connect -1
socketcall -1
semget -1
i386-semget -1
ipc -1
ipc-version-1 -1
";

#[track_caller]
fn check(runtime: LowLevel, profile: Value) {
    if skipped(&[Root, Requirement::Lanner, Program(runtime.name()), Program("gcc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
    let bundle = Bundle::new(&["/bin/entries"]).file(&workload("entries"), "/bin/entries").profile(profile);
    let output = Container::run(&lanner.engine(), &bundle);
    assert_eq!(text(&output.stdout), DENIED, "{}", text(&output.stderr));
    assert_eq!(lanner.alerts_of("made").len(), DENIED.lines().count());
    lanner.expect_nothing_left();
}

/// Engines' default profiles permit `socketcall` and `ipc` without conditions, by which libseccomp forgets what the
/// profile says of the calls that are made through them.
#[test]
fn calls_through_a_multiplexer_that_the_profile_permits() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        let rule = json!({"names": ["socketcall", "ipc"], "action": "SCMP_ACT_LOG"});
        let architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"];
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": architectures, "syscalls": [rule]});
        check(runtime, profile);
    }
}

#[test]
fn calls_through_a_multiplexer_of_an_unconfined_container() {
    check(LowLevel::Runc, Value::Null);
}
