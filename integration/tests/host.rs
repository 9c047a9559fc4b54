// SPDX-License-Identifier: Apache-2.0
//! What Lanner does for a container gives nobody a hold of the host or of Lanner, and does not depend on what others do.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, UNRELATED, skipped, text, workload,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

/// A user that the container and, by chance, the host have.
const USER: u32 = 12_345;
/// Prints the threads of a process that the caller may send signals to, as seen often.
const REACHABLE: &str = "for look in $(seq 100); do for task in /proc/$0/task/*; do
    kill -0 ${task##*/} 2> /dev/null && echo ${task##*/}
done; done; true";

/// The largest process number: of the opener's namespace since Linux 6.14.
const LARGEST: &str = "/proc/sys/kernel/pid_max";
/// More than most hosts have, and nothing that would harm one.
const WANTED: &str = "4000000";

#[test]
fn a_container_does_not_change_the_largest_process_number_of_the_host() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let before = fs::read_to_string(LARGEST).unwrap();
    assert_ne!(before.trim_end(), WANTED, "the host has it already");
    let script = format!("echo {WANTED} > {LARGEST}");
    let bundle = Bundle::new(&["/bin/sh", "-c", &script]).set("/linux/readonlyPaths", json!([]));
    let lanner = Lanner::new(&Settings::enforce(UNRELATED).under(LowLevel::Runc));
    let output = Container::run(&lanner.engine(), &bundle);
    let after = fs::read_to_string(LARGEST).unwrap();
    if after != before {
        fs::write(LARGEST, &before).unwrap();
    }
    assert_eq!(after, before);
    assert!(text(&output.stderr).contains("Permission denied"), "{}", text(&output.stderr));
    lanner.expect_nothing_left();
}

#[test]
fn a_user_of_the_host_with_the_number_of_a_containers_cannot_signal_its_supervisor() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    // Refused each time: whoever opens for it has tried all that its user may do.
    let bundle = Bundle::new(&["/bin/sh", "-c", "while ! read word < /closed; do :; done 2> /dev/null"])
        .text("/closed", "text\n")
        .set("/process/user", json!({"uid": USER, "gid": USER}));
    fs::set_permissions(bundle.inside("/closed"), fs::Permissions::from_mode(0o0)).unwrap();
    let lanner = Lanner::new(&Settings::enforce(UNRELATED).under(LowLevel::Runc));
    let container = Container::start(&lanner.engine(), bundle);
    let [supervisor] = *lanner.supervisors() else { panic!("there is not one supervisor") };
    let output =
        Command::new("sh").args(["-c", REACHABLE, &supervisor.to_string()]).uid(USER).gid(USER).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    container.end();
    lanner.expect_nothing_left();
}

/// The kernel counts them by user, and so do containers with one map, of which one may use up what all have.
#[test]
fn opens_go_on_where_all_descriptors_that_may_be_sent_are_on_their_way() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc")]) {
        return;
    }
    let (_, limit) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // As whoever opens for it has, where anybody may raise it.
    let wanted = limit.max(65_536);
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() { wanted } else { limit };
    let bundle = Bundle::new(&["/bin/inflight"])
        .file(&workload("inflight"), "/bin/inflight")
        .text("/etc/hostname", "name\n")
        .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "hard": limit, "soft": limit}]))
        .in_user_namespace(300_000, 65_536);
    let lanner = Lanner::new(&Settings::enforce(UNRELATED).under(LowLevel::Runc));
    let output = Container::run(&lanner.engine(), &bundle);
    assert_eq!(text(&output.stdout), "ETOOMANYREFS\nname\n", "{}", text(&output.stderr));
    lanner.expect_nothing_left();
}
