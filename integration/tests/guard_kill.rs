// SPDX-License-Identifier: Apache-2.0
//! The guard dies, and the supervisor replaces it, whatever has become of the files it was started from.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use integration::{
    Bundle, Container, Lanner, PROBES,
    Requirement::{self, Program, Root},
    Settings, binary, skipped, wait_for,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_secs(3); // in which a guard that cannot start would be started a thousand times
const MAX_STARTS: usize = 12; // 7 within the first 1.3 seconds, then one each second
const SLEEPER: [&str; 2] = ["sleep", "1000"];

/// An installation with a copy of `lanner` and a log of its own, and where they are.
fn lanner() -> (Lanner, PathBuf, PathBuf) {
    let lanner = Lanner::new(&Settings::audit(PROBES));
    let (program, log) = (lanner.folder().join("bin/lanner"), lanner.folder().join("own/lanner.log"));
    fs::create_dir(program.parent().unwrap()).unwrap();
    fs::copy(binary("lanner").unwrap(), &program).unwrap();
    let lines = format!("mode: audit\nlanner: {}\nlog: {{path: {}}}", program.display(), log.display());
    lanner.reconfigure("mode:", &lines);
    (lanner, program, log)
}

/// Kills one of the processes that `all` lists, and returns it.
fn kill_one(what: &str, all: impl Fn() -> Vec<Pid>) -> Pid {
    let process = wait_for(what, PATIENCE, || all().first().copied());
    kill(process, Signal::SIGKILL).unwrap();
    process
}

#[track_caller]
fn expect_replacement(what: &str, all: impl Fn() -> Vec<Pid>) {
    let dead = kill_one(what, &all);
    wait_for(&format!("another {what}"), PATIENCE, || all().into_iter().find(|process| *process != dead));
}

#[track_caller]
fn expect_taken_over(log: &Path) {
    let has_taken_over = || fs::read_to_string(log).unwrap().contains("has taken over").then_some(());
    wait_for("a guard that has taken over", PATIENCE, has_taken_over);
}

#[test]
fn a_guard_whose_executable_was_replaced_is_replaced() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let (lanner, program, log) = lanner();
    let container = Container::start(&lanner.engine(), Bundle::new(&SLEEPER));
    fs::remove_file(&program).unwrap();
    expect_replacement("guard", || lanner.guards());
    // Until then the supervisor alone holds the listeners, and its death would be the container's.
    expect_taken_over(&log);
    // The new guard starts supervisors in its turn.
    fs::write(&program, "no program").unwrap();
    expect_replacement("supervisor", || lanner.supervisors());
    container.end();
    lanner.expect_nothing_left();
}

#[test]
fn a_guard_that_cannot_start_is_not_started_without_a_pause() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let (lanner, _program, log) = lanner();
    let container = Container::start(&lanner.engine(), Bundle::new(&SLEEPER));
    lanner.reconfigure("event_log:", "event_log: {path: /proc/nowhere/events.jsonl}");
    kill_one("guard", || lanner.guards());
    thread::sleep(LOOK);
    let said = fs::read_to_string(&log).unwrap();
    let starts = said.lines().filter(|line| line.contains("no new guard")).count();
    assert!((1..=MAX_STARTS).contains(&starts), "{starts} guards were started:\n{said}");
    lanner.reconfigure("event_log:", &format!("event_log: {{path: {}}}", lanner.event_log().display()));
    expect_taken_over(&log);
    container.end();
    lanner.expect_nothing_left();
}
