// SPDX-License-Identifier: Apache-2.0
//! Users have the names that the container gives them, whatever numbers and root directory a task takes for itself.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, skipped, text,
};
use serde_json::json;

const RULES: &str = r"
- rule: opened
  desc: The log was opened.
  condition: evt.type in (open, openat) and fd.name startswith /tmp/log
  output: opened %fd.name by %user.name of %group.name, at home in %user.homedir
  priority: NOTICE
";
const SCRIPT: &str = "cat /tmp/log-outside
unshare -U cat /tmp/log-unmapped
unshare -U -r cat /tmp/log-as-root
unshare -U -r chroot /tmp /busybox cat /tmp/log-elsewhere";

#[test]
fn a_task_that_renumbers_itself_keeps_its_users_name() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULES).under(LowLevel::Runc));
    let bundle = Bundle::new(&["/bin/sh", "-c", SCRIPT])
        .text("/etc/passwd", "root:x:0:0::/root:/bin/sh\nmallory:x:1000:1000::/home/mallory:/bin/sh\n")
        .text("/etc/group", "root:x:0:\nguests:x:1000:\n")
        .text("/tmp/etc/passwd", "alice:x:0:0::/home/alice:/bin/sh\n")
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let busybox = bundle.inside("/bin/busybox");
    let bundle = bundle.file(&busybox, "/tmp/busybox");
    let output = Container::run(&lanner.engine(), &bundle);
    let said: Vec<String> = lanner.alerts_of("opened").into_iter().map(|alert| alert.message).collect();
    let opened = |file: &str| format!("opened /tmp/{file} by mallory of guests, at home in /home/mallory");
    let files = ["log-outside", "log-unmapped", "log-as-root", "log-elsewhere"];
    assert_eq!(said, files.map(opened), "{}", text(&output.stderr));
    lanner.expect_nothing_left();
}
