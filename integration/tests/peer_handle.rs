// SPDX-License-Identifier: Apache-2.0
//! A connection that is made for a task gives its other end a handle of the process that made it, which leads nowhere.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, UNRELATED, skipped, text, workload,
};
use serde_json::json;

const STAYS: &str = "handle net stays
handle uts stays
handle ipc stays
handle cgroup stays
handle time_for_children stays
handle pid_for_children stays
handle mnt stays
handle user stays
";
/// Before Linux 6.5.
const NO_HANDLE: &str = "no handle\n";
/// By which every namespace could be entered that the handle leads to.
const CAPABILITIES: [&str; 3] = ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE"];

#[track_caller]
fn check(runtime: LowLevel, command: &[&str], change: impl FnOnce(Bundle) -> Bundle) {
    if skipped(&[Root, Requirement::Lanner, Program(runtime.name()), Program("gcc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(UNRELATED).under(runtime));
    let bundle = Bundle::new(command).file(&workload("handle"), "/bin/handle");
    let sets = ["bounding", "effective", "permitted"].into_iter();
    let capable =
        sets.fold(bundle, |bundle, set| bundle.set(&format!("/process/capabilities/{set}"), json!(CAPABILITIES)));
    let output = Container::run(&lanner.engine(), &change(capable));
    // A user namespace of the caller's own may be entered, as without us.
    let printed = text(&output.stdout).replace("user leaves", "user stays");
    assert!(printed == STAYS || printed == NO_HANDLE, "{}: {printed}{}", output.status, text(&output.stderr));
    lanner.expect_nothing_left();
}

#[test]
fn the_other_end_of_a_connection_stays_in_its_namespaces_under_runc() {
    check(LowLevel::Runc, &["/bin/handle"], |bundle| bundle);
}

#[test]
fn the_other_end_of_a_connection_stays_in_its_namespaces_under_crun() {
    check(LowLevel::Crun, &["/bin/handle"], |bundle| bundle);
}

#[test]
fn the_other_end_of_a_connection_stays_in_its_namespaces_in_a_user_namespace() {
    check(LowLevel::Runc, &["/bin/handle"], |bundle| bundle.in_user_namespace(100_000, 65_536));
}

#[test]
fn the_other_end_of_a_connection_stays_in_its_namespaces_whose_caller_is_in_one_of_its_own() {
    check(LowLevel::Runc, &["/bin/handle", "nested"], |bundle| bundle);
}
