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
handle pid_for_children stays
handle mnt stays
";
/// Before Linux 6.5.
const NO_HANDLE: &str = "no handle\n";
/// By which every namespace could be entered that the handle leads to.
const CAPABILITIES: [&str; 3] = ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE"];

#[track_caller]
fn check(runtime: LowLevel, change: impl FnOnce(Bundle) -> Bundle) {
    if skipped(&[Root, Requirement::Lanner, Program(runtime.name()), Program("gcc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(UNRELATED).under(runtime));
    let bundle = Bundle::new(&["/bin/handle"]).file(&workload("handle"), "/bin/handle");
    let sets = ["bounding", "effective", "permitted"].into_iter();
    let capable =
        sets.fold(bundle, |bundle, set| bundle.set(&format!("/process/capabilities/{set}"), json!(CAPABILITIES)));
    let output = Container::run(&lanner.engine(), &change(capable));
    let printed = text(&output.stdout);
    assert!(printed == STAYS || printed == NO_HANDLE, "{}: {printed}{}", output.status, text(&output.stderr));
    lanner.expect_nothing_left();
}

#[test]
fn the_other_end_of_a_connection_stays_in_its_namespaces_under_runc() {
    check(LowLevel::Runc, |bundle| bundle);
}

#[test]
fn the_other_end_of_a_connection_stays_in_its_namespaces_under_crun() {
    check(LowLevel::Crun, |bundle| bundle);
}

#[test]
fn the_other_end_of_a_connection_stays_in_its_namespaces_in_a_user_namespace() {
    check(LowLevel::Runc, |bundle| bundle.in_user_namespace(100_000, 65_536));
}
