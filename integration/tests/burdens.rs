// SPDX-License-Identifier: Apache-2.0
//! What calls that do not end cost their supervisor, and so the node: no processor, and few processes.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "test code: a failed preparation ends the test")]

use std::{fs, thread, time::Duration};

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, UNRELATED, skipped, wait_for, workload,
};
use nix::unistd::Pid;

/// How many execs hang, see `workloads/retraced.c`.
const HUNG: usize = 120;
/// Processes that may wait at one time, and those that are kept for other calls.
const WAITING: usize = 128;
const FREE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

struct Burden {
    threads: usize,
    processes: usize,
    /// In hundredths of a second, of user and system.
    time: u64,
}

/// The words of a process' `stat` from the third on, its state.
fn stat(process: Pid) -> Option<Vec<u64>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let words = stat.rsplit(')').next()?.split_whitespace();
    Some(words.map(|word| word.parse().unwrap_or_default()).collect())
}

/// A container's supervisor. A process that it starts looks like it for a moment.
fn supervisor(lanner: &Lanner) -> Pid {
    let guards: Vec<_> = lanner.guards().iter().map(|guard| u64::from(guard.as_raw().unsigned_abs())).collect();
    let mut candidates = lanner.supervisors().into_iter();
    let is_it = |process: &Pid| stat(*process).is_some_and(|words| guards.contains(&words[1]));
    candidates.find(is_it).expect("there is a supervisor")
}

/// What a supervisor has and has done.
fn burden(supervisor: Pid) -> Burden {
    let tasks: Vec<_> =
        fs::read_dir(format!("/proc/{supervisor}/task")).expect("it lives").flatten().map(|task| task.path()).collect();
    let children = tasks.iter().filter_map(|task| fs::read_to_string(task.join("children")).ok());
    Burden {
        threads: tasks.len(),
        processes: children.map(|numbers| numbers.split_whitespace().count()).sum(),
        time: stat(supervisor).expect("it lives").iter().skip(11).take(2).sum(),
    }
}

fn start(lanner: &Lanner, command: &[&str; 2]) -> Container {
    let program = command[0].trim_start_matches("/bin/");
    let bundle = Bundle::new(command).file(&workload(program), command[0]);
    let bundle = bundle.file(&workload("nothing"), "/public/program").in_user_namespace(100_000, 65_536);
    Container::start(&lanner.engine(), bundle)
}

#[track_caller]
fn hung_execs_cost_nothing(runtime: LowLevel) {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(UNRELATED).under(runtime));
    let container = start(&lanner, &["/bin/retraced", "hung"]);
    wait_for("execs that hang", PATIENCE, || container.output().contains("hung").then_some(()));
    thread::sleep(Duration::from_secs(1));
    let supervisor = supervisor(&lanner);
    let before = burden(supervisor);
    thread::sleep(Duration::from_secs(1));
    let now = burden(supervisor);
    assert!(now.threads > HUNG, "{} threads: the execs do not hang", now.threads);
    assert!(now.time - before.time < 10, "{} hundredths of a second within one", now.time - before.time);
    assert!(now.processes <= FREE, "{} processes", now.processes);
    container.end();
    lanner.expect_nothing_left();
}

#[test]
fn hung_execs_cost_nothing_under_runc() {
    hung_execs_cost_nothing(LowLevel::Runc);
}

#[test]
fn hung_execs_cost_nothing_under_crun() {
    hung_execs_cost_nothing(LowLevel::Crun);
}

const EXECUTED: &str = "
- rule: executed
  desc: A program was executed.
  condition: evt.type = execve and proc.exepath = /public/program
  output: executed %proc.exepath
  priority: NOTICE
  action: alert
";

#[track_caller]
fn an_exec_that_an_interrupt_would_end_waits(runtime: LowLevel) {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())]) {
        return;
    }
    for settings in [Settings::enforce(&[UNRELATED, EXECUTED].concat()), Settings::audit(EXECUTED)] {
        let lanner = Lanner::new(&settings.under(runtime));
        let bundle = Bundle::new(&["/bin/awaiting"]).file(&workload("awaiting"), "/bin/awaiting");
        let bundle = bundle.file(&workload("nothing"), "/public/program");
        let container = Container::start(&lanner.engine(), bundle);
        wait_for("an exec that waits", PATIENCE, || container.output().contains("waits").then_some(()));
        thread::sleep(Duration::from_secs(1));
        let supervisor = supervisor(&lanner);
        let before = burden(supervisor);
        thread::sleep(Duration::from_secs(1));
        let time = burden(supervisor).time - before.time;
        assert!(!container.output().contains("ran"), "it does not wait");
        assert!(time < 10, "{time} hundredths of a second within one");
        wait_for("the program", PATIENCE, || container.output().contains("ran").then_some(()));
        // One more for each time that it began anew, which other calls of the container may make it do.
        let alerts = lanner.alerts_of("executed").len();
        assert!((2..=4).contains(&alerts), "{alerts} alerts");
        container.end();
        lanner.expect_nothing_left();
    }
}

#[test]
fn an_exec_that_an_interrupt_would_end_waits_under_runc() {
    an_exec_that_an_interrupt_would_end_waits(LowLevel::Runc);
}

#[test]
fn an_exec_that_an_interrupt_would_end_waits_under_crun() {
    an_exec_that_an_interrupt_would_end_waits(LowLevel::Crun);
}

#[test]
fn calls_that_wait_in_a_user_namespace_have_a_limit() {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(UNRELATED));
    let container = start(&lanner, &["/bin/blocked", "300"]);
    let supervisor = supervisor(&lanner);
    wait_for("opens that wait", PATIENCE, || (burden(supervisor).processes >= WAITING).then_some(()));
    // So long one more waits for its turn.
    thread::sleep(Duration::from_secs(3));
    let now = burden(supervisor);
    assert!((WAITING..=WAITING + FREE).contains(&now.processes), "{} processes", now.processes);
    container.end();
    lanner.expect_nothing_left();
}
