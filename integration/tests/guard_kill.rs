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
    Settings, binary, skipped, text, wait_for,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

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

/// The container is still being made, and the new guard has to wait for its listener.
#[test]
fn a_guard_is_replaced_before_the_first_listener_has_come() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let (lanner, _program, log) = lanner();
    let folder = tempfile::tempdir().unwrap();
    let [begun, go_on] = ["begun", "go"].map(|name| folder.path().join(name));
    let wait =
        "for look in $(seq 1000); do [ -e GO ] && break; sleep 0.01; done".replace("GO", go_on.to_str().unwrap());
    let wait = format!("touch {}; {wait}", begun.display());
    let bundle = Bundle::new(&["cat", "/etc/hostname"]).text("/etc/hostname", "made\n");
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", wait]}]);
    let bundle = bundle.set("/hooks", json!({"createRuntime": hook}));
    let engine = lanner.engine();
    let output = thread::scope(|scope| {
        let run = scope.spawn(|| Container::run(&engine, &bundle));
        wait_for("the hook", PATIENCE, || begun.exists().then_some(()));
        expect_replacement("guard", || lanner.guards());
        expect_taken_over(&log);
        fs::write(go_on, "").unwrap();
        run.join().unwrap()
    });
    assert_eq!(text(&output.stdout), "made\n", "{}", text(&output.stderr));
    lanner.expect_nothing_left();
}

/// What was rotated away and removed takes no space as soon as nobody has it open.
#[test]
fn the_guard_lets_go_of_logs_that_were_rotated_away() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let (lanner, _program, log) = lanner();
    let container = Container::start(&lanner.engine(), Bundle::new(&SLEEPER));
    for file in [log.as_path(), &lanner.event_log()] {
        fs::remove_file(file).unwrap();
    }
    let guard = lanner.guards()[0];
    let is_open = |descriptor: fs::DirEntry| fs::read_link(descriptor.path()).is_ok_and(|name| is_deleted_log(&name));
    let has_let_go = || {
        let mut descriptors = fs::read_dir(format!("/proc/{guard}/fd")).unwrap();
        (!descriptors.any(|descriptor| is_open(descriptor.unwrap()))).then_some(())
    };
    wait_for("the guard to let go", PATIENCE, has_let_go);
    // And what it says is found where one looks for it.
    kill_one("supervisor", || lanner.supervisors());
    let is_said = || fs::read_to_string(&log).is_ok_and(|said| said.contains("is replaced")).then_some(());
    wait_for("the guard's words", PATIENCE, is_said);
    container.end();
    lanner.expect_nothing_left();
}

fn is_deleted_log(name: &Path) -> bool {
    let is_log = |log: &str| name.ends_with(format!("{log} (deleted)"));
    is_log("lanner.log") || is_log("events.jsonl")
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
