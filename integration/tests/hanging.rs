// SPDX-License-Identifier: Apache-2.0
//! What a container has on a file system that does not answer holds up whoever asks for it, and nobody else. One that it
//! serves itself is answered for as fast as its own calls are.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::time::Duration;

use integration::{
    Bundle, Container, HangingMount, Lanner,
    Requirement::{self, Fuse, Program, Root},
    Settings, UNRELATED, skipped, text, workload,
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);
const RULE: &str = "
- rule: opened
  desc: A rule whose alerts name the user.
  condition: evt.type in (open, openat) and fd.name = /tmp/known
  output: '%user.name opened %fd.name'
  priority: NOTICE
  action: alert
";

#[test]
fn the_table_of_users_of_another_root() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Fuse]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULE));
    let folder = tempfile::tempdir().unwrap();
    let hanging = HangingMount::new(&folder.path().join("hanging"));
    // Both opens raise an alert that names the user; the changed root has a table on what hangs, which is not asked.
    let script = "chroot /other /bin/sh -c 'read line </tmp/known'; read line </tmp/known; echo $line";
    let sets = ["bounding", "effective", "permitted"];
    let bundle = Bundle::new(&["sh", "-c", script])
        .text("/tmp/known", "over\n")
        .text("/other/tmp/known", "never\n")
        .text("/etc/passwd", "somebody:x:0:0::/:/bin/sh\n")
        .text("/other/etc/passwd", "");
    let shell = bundle.inside("/bin/busybox");
    let bundle = bundle.file(&shell, "/other/bin/sh").mount(json!({
        "destination": "/other/etc/passwd", "source": folder.path().join("hanging/file"), "options": ["bind"],
    }));
    let bundle = sets
        .into_iter()
        .fold(bundle, |bundle, set| bundle.set(&format!("/process/capabilities/{set}"), json!(["CAP_SYS_CHROOT"])));
    let container = Container::start(&lanner.engine(), bundle);
    container.wait(PATIENCE);
    assert_eq!(container.output(), "over\n");
    let alerts = lanner.alerts_of("opened");
    assert_eq!(alerts.iter().map(|alert| alert.text("user.name")).collect::<Vec<_>>(), ["somebody", "somebody"]);
    container.delete();
    drop(hanging);
    lanner.expect_nothing_left();
}

const CALLS: &str = "200";
/// Half of the calls take a tenth of this on an idle machine, and took twice as much where nobody received until the thread
/// was relieved.
const LONGEST: u64 = 10_000; // microseconds

/// What the workload says that serves a file system, and makes calls to answer.
#[track_caller]
fn served(arguments: &[&str]) -> Option<String> {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc"), Fuse]) {
        return None;
    }
    let lanner = Lanner::new(&Settings::enforce(UNRELATED));
    let command = [&["/bin/serving", CALLS], arguments].concat();
    let capabilities =
        json!(["CAP_MKNOD", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    let bundle = ["bounding", "effective", "permitted"].into_iter().fold(
        Bundle::new(&command)
            .file(&workload("serving"), "/bin/serving")
            .set("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}])),
        |bundle, set| bundle.set(&format!("/process/capabilities/{set}"), capabilities.clone()),
    );
    let output = Container::run(&lanner.engine(), &bundle);
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}: {said}{errors}", output.status);
    lanner.expect_nothing_left();
    Some(said)
}

/// What calls take on such a file system.
#[track_caller]
fn check_times(arguments: &[&str]) {
    let Some(said) = served(arguments) else { return };
    let times: Vec<u64> = said.lines().map(|line| line.parse().unwrap()).collect();
    assert!(times.len() == 2 && times.iter().all(|time| *time < LONGEST), "{times:?}");
}

#[test]
fn a_file_system_of_the_container_s_own() {
    check_times(&[]);
}

#[test]
fn a_file_system_of_the_container_s_own_in_another_user_namespace() {
    check_times(&["own"]);
}

/// The kernel asks for more of whoever opens than anybody of ours may wear.
#[test]
fn a_file_system_that_is_one_user_s_own_is_refused() {
    let Some(said) = served(&["user"]) else { return };
    assert_eq!(said, "EACCES\nEACCES\nEACCES\n");
}
