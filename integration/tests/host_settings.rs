// SPDX-License-Identifier: Apache-2.0
//! A setting that belongs to whoever opens it is not the host's because Lanner opens it.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::fs;

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, UNRELATED, skipped, text,
};
use serde_json::json;

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
