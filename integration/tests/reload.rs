// SPDX-License-Identifier: Apache-2.0
//! Editing the local rules file while containers run.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::{fs, thread, time::Duration};

use integration::{
    Bundle, Container, Lanner,
    Requirement::{self, Program, Root},
    Settings, skipped, wait_for,
};
use nix::{
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::mkfifo,
};

const PATIENCE: Duration = Duration::from_secs(20);
const PROMISED: Duration = Duration::from_secs(1); // from the edit to its effect

fn rule(name: &str) -> String {
    format!(
        "- rule: {name}\n  desc: a file of the test is opened\n  condition: evt.type in (open, openat) and fd.name = /probe/x\n  \
         output: opened %fd.name by %proc.name\n  priority: NOTICE\n"
    )
}

/// A container that opens the file ten times a second.
fn prober(lanner: &Lanner) -> Container {
    Container::start(
        &lanner.engine(),
        Bundle::new(&["sh", "-c", "while true; do true < /probe/x; sleep 0.1; done 2>/dev/null"]),
    )
}

#[track_caller]
fn expect_alerts(lanner: &Lanner, name: &str, patience: Duration) {
    let seen = lanner.alerts_of(name).len();
    wait_for(name, patience, || (lanner.alerts_of(name).len() > seen).then_some(()));
}

#[test]
fn an_edit_applies_to_running_containers_within_a_second() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(&rule("before")));
    let container = prober(&lanner);
    expect_alerts(&lanner, "before", PATIENCE);

    lanner.write_rules(&rule("renamed over"));
    expect_alerts(&lanner, "renamed over", PROMISED);

    fs::write(lanner.rules(), rule("written in place")).unwrap();
    expect_alerts(&lanner, "written in place", PROMISED);
    let old = lanner.alerts_of("renamed over").len();
    expect_alerts(&lanner, "written in place", PATIENCE);
    assert_eq!(lanner.alerts_of("renamed over").len(), old, "the replaced rule still matches");
    container.end();
    lanner.expect_nothing_left();
}

#[test]
fn a_broken_edit_leaves_the_rules_in_force_and_raises_one_alert() {
    check_kept(|lanner| lanner.write_rules("- rule: broken\n  condition: evt.type = and\n"));
}

#[test]
fn a_file_that_is_emptied_leaves_the_rules_in_force_and_raises_one_alert() {
    check_kept(|lanner| fs::write(lanner.rules(), "").unwrap());
}

#[test]
fn a_file_that_is_removed_leaves_the_rules_in_force_and_raises_one_alert() {
    check_kept(|lanner| fs::remove_file(lanner.rules()).unwrap());
}

/// Nobody waits for who would write into it.
#[test]
fn a_file_that_becomes_a_fifo_leaves_the_rules_in_force_and_raises_one_alert() {
    check_kept(|lanner| {
        fs::remove_file(lanner.rules()).unwrap();
        mkfifo(&lanner.rules(), Mode::S_IRWXU).unwrap();
    });
}

#[test]
fn included_configuration_is_in_force_like_the_main_file() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(&rule("main")));
    let (folder, more) = (lanner.folder().join("config.d"), lanner.folder().join("more.yaml"));
    let main = fs::read_to_string(lanner.config()).unwrap();
    fs::write(lanner.config(), format!("{main}config_files: [{}]\n", folder.display())).unwrap();
    fs::write(&more, rule("included")).unwrap();
    let container = prober(&lanner);
    expect_alerts(&lanner, "main", PATIENCE);

    fs::create_dir(&folder).unwrap();
    thread::sleep(PROMISED); // that the folder is there now is a change of its own
    fs::write(folder.join("a.yaml"), format!("rules_files: [{}]\nrule_matching: all\n", more.display())).unwrap();
    expect_alerts(&lanner, "included", PROMISED);

    // A supervisor that begins now has what was in force.
    fs::write(folder.join("a.yaml"), "rules_files: {\n").unwrap();
    let old = lanner.supervisors();
    kill(*old.first().unwrap(), Signal::SIGKILL).unwrap();
    wait_for("another supervisor", PATIENCE, || {
        (!lanner.supervisors().is_empty() && lanner.supervisors() != old).then_some(())
    });
    expect_alerts(&lanner, "included", PATIENCE);
    container.end();
    lanner.expect_nothing_left();
}

/// Spoils the rules of a running container, which it keeps, and mends them.
#[track_caller]
fn check_kept(spoil: impl Fn(&Lanner)) {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(&rule("kept")));
    let container = prober(&lanner);
    expect_alerts(&lanner, "kept", PATIENCE);

    spoil(&lanner);
    let internal = || lanner.alerts().into_iter().filter(|alert| alert.source == "internal").collect::<Vec<_>>();
    wait_for("the alert about the broken file", PATIENCE, || (!internal().is_empty()).then_some(()));
    expect_alerts(&lanner, "kept", PATIENCE);
    thread::sleep(PROMISED); // a second alert about the same edit would come within the time an edit takes to apply
    assert_eq!(internal().len(), 1, "{:#?}", internal());
    assert!(internal().iter().all(|alert| alert.message.contains("lanner_rules.local.yaml")), "{:#?}", internal());

    let mended = lanner.folder().join("mended");
    fs::write(&mended, rule("mended")).unwrap();
    fs::rename(mended, lanner.rules()).unwrap();
    expect_alerts(&lanner, "mended", PROMISED);
    container.end();
    lanner.expect_nothing_left();
}

#[test]
fn our_own_log_is_followed_when_it_is_rotated() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(&rule("first")));
    let log = lanner.folder().join("own/lanner.log");
    lanner.reconfigure("mode:", &format!("mode: audit\nlog: {{path: {}}}", log.display()));
    let container = prober(&lanner);
    expect_alerts(&lanner, "first", PATIENCE);
    fs::rename(&log, log.with_extension("log.1")).unwrap();
    wait_for("a new log", PATIENCE, || log.exists().then_some(()));
    lanner.write_rules(&rule("second"));
    let said = || fs::read_to_string(&log).unwrap();
    wait_for("a line in it", PATIENCE, || said().contains("new rules are in force").then_some(()));
    container.end();
    lanner.expect_nothing_left();
}
