// SPDX-License-Identifier: Apache-2.0
//! A low-level runtime that starts a container without the profile it was given: the container does not run unnoticed, and
//! in enforce mode not at all.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::{fs, os::unix::fs::PermissionsExt as _, process::Stdio, thread, time::Duration};

use integration::{
    Alert, Bundle, Container, Lanner, PROBES,
    Requirement::{self, Program, Root},
    Settings, skipped, wait_for,
};

const PATIENCE: Duration = Duration::from_secs(20);
const CALM: Duration = Duration::from_secs(1); // in which a container that is to be killed would be
const SLEEPER: [&str; 2] = ["sleep", "1000"];

/// Calls runc after it has hidden the profile in the bundle from it.
const WRAPPER: &str = r#"#!/bin/sh
previous=
for word; do
    [ "$previous" != --bundle ] || sed -i 's/"seccomp":/"hidden":/' "$word/config.json"
    previous=$word
done
exec runc "$@"
"#;

/// An installation whose low-level runtime is the wrapper.
fn lanner(settings: &Settings) -> Lanner {
    let lanner = Lanner::new(settings);
    let wrapper = lanner.folder().join("wrapper");
    fs::write(&wrapper, WRAPPER).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    lanner.reconfigure("runtimes:", &format!("runtimes: [{}]", wrapper.display()));
    lanner
}

fn internal(lanner: &Lanner) -> Vec<Alert> {
    lanner.alerts_of("Lanner internal: container not supervised")
}

#[test]
fn an_enforced_container_is_killed() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = lanner(&Settings::enforce(PROBES));
    let container = Container::create(&lanner.engine(), Bundle::new(&SLEEPER));
    container.wait(PATIENCE);
    let alert = wait_for("an alert", PATIENCE, || internal(&lanner).into_iter().next());
    assert!(alert.message.contains("was killed"), "{alert:?}");
    assert_eq!(alert.container.as_deref(), Some(container.id()));
    container.delete();
    lanner.expect_nothing_left();
    assert_eq!(internal(&lanner).len(), 1);
}

#[test]
fn an_enforced_container_is_killed_while_its_runtime_waits_for_it() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = lanner(&Settings::enforce(PROBES));
    let bundle = Bundle::new(&SLEEPER);
    bundle.write();
    let mut run = lanner.engine().command();
    run.args(["run", "--bundle"]).arg(bundle.path()).arg("unfiltered").stdin(Stdio::null());
    let mut run = run.spawn().unwrap();
    let status = wait_for("the runtime's end", PATIENCE, || run.try_wait().unwrap());
    assert_eq!(status.code(), Some(137), "the container ended otherwise than by SIGKILL");
    wait_for("an alert", PATIENCE, || internal(&lanner).into_iter().next());
    lanner.expect_nothing_left();
}

#[test]
fn an_audited_container_runs_and_is_reported() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = lanner(&Settings::audit(PROBES));
    let container = Container::start(&lanner.engine(), Bundle::new(&SLEEPER));
    let alert = wait_for("an alert", PATIENCE, || internal(&lanner).into_iter().next());
    assert!(alert.message.contains("runs without supervision"), "{alert:?}");
    thread::sleep(CALM);
    assert_eq!(container.status().as_deref(), Some("running"));
    assert_eq!(internal(&lanner).len(), 1);
    container.end();
    lanner.expect_nothing_left();
}

#[test]
fn the_owner_of_a_name_survives_a_start_under_the_same_name() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(PROBES));
    let container = Container::start(&lanner.engine(), Bundle::new(&SLEEPER));
    // The same bundle, so that nothing but the time of the start tells the two apart.
    container.bundle().write();
    let mut again = lanner.engine().command();
    again.args(["create", "--bundle"]).arg(container.bundle().path()).arg(container.id()).stdin(Stdio::null());
    assert!(!again.output().unwrap().status.success(), "one name was given twice");
    thread::sleep(CALM);
    assert_eq!(container.status().as_deref(), Some("running"));
    assert_eq!(internal(&lanner).len(), 0);
    container.end();
    lanner.expect_nothing_left();
}
