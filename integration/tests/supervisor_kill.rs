// SPDX-License-Identifier: Apache-2.0
//! The supervisor dies again and again under load, and nobody can tell: not the container, not the reader of the log.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::{fs, path::Path, sync::mpsc, thread, time::Duration};

use integration::{
    Alert, Bundle, Container, HangingMount, Lanner, LowLevel, NEVER, PROBES,
    Requirement::{self, Program, Root},
    Settings, Tally, UNRELATED, skipped, wait_for, workload,
};
use nix::{
    sys::{
        ptrace,
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use serde_json::json;

const PROCESSES: usize = 8;
const DEATHS: u64 = 100;
const MAX_LOST: usize = 10; // of a hundred deaths; seen are none to two
const PATIENCE: Duration = Duration::from_secs(30);
const LONG_LIFE: Duration = Duration::from_millis(300); // what the guard takes for a sound supervisor's life is less

/// What the workload says of one of its processes.
#[derive(Debug)]
struct Account {
    process: usize,
    opens: usize,
    /// Executions of `loop`, lost descriptors of `made`.
    others: usize,
    failed: usize,
}

#[test]
fn a_hundred_deaths_under_load_lose_and_double_nothing() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(PROBES));
    let (container, accounts) = survive(&lanner, "loop", |_death| Duration::ZERO);
    let calls = |count: fn(&Account) -> usize, before: &'static str| -> Tally {
        let names = |account: &Account| {
            let process = account.process;
            (0..count(account)).map(move |call| format!("{before}{process}-{call}")).collect::<Vec<_>>()
        };
        accounts.iter().flat_map(names).collect()
    };
    field(&lanner.alerts_of("opened"), "fd.name").expect("opens", &calls(|account| account.opens, "/probe/"));
    let executed = lanner.alerts_of("executed");
    field(&executed, "proc.cmdline").expect("executions", &calls(|account| account.others, "nothing "));
    container.delete();
    lanner.expect_nothing_left();
}

#[test]
fn what_is_made_for_a_container_is_made_once_whoever_dies() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc")]) {
        return;
    }
    let probes = PROBES.replace("priority: NOTICE", "priority: NOTICE\n  action: alert");
    let lanner = Lanner::new(&Settings::enforce(&(probes + UNRELATED)));
    let (container, accounts) = survive(&lanner, "made", |death| Duration::from_millis(death % 17));
    // Killed while the target takes a descriptor, which the kernel then takes back: docs/enforcement.md.
    let lost: usize = accounts.iter().map(|account| account.others).sum();
    assert!(lost <= MAX_LOST, "{lost} descriptors were lost: {accounts:?}");
    container.delete();
    lanner.expect_nothing_left();
}

/// Runs a workload while its supervisor dies again and again, each time after it has lived for so long; nothing that the
/// workload does may fail.
#[track_caller]
fn survive(lanner: &Lanner, program: &str, life: impl Fn(u64) -> Duration) -> (Container, Vec<Account>) {
    let (processes, path) = (PROCESSES.to_string(), format!("/bin/{program}"));
    let bundle = Bundle::new(&[&path, &processes, "/tmp/stop"]);
    let bundle = bundle.file(&workload(program), &path).file(&workload("nothing"), "/bin/nothing");
    let stop = bundle.inside("/tmp/stop");
    let container = Container::start(&lanner.engine(), bundle);
    for death in 0..DEATHS {
        // After several short lives the guard takes its time, and the test would.
        thread::sleep(if death % 4 == 3 { LONG_LIFE } else { life(death) });
        kill_once(lanner);
    }
    fs::write(stop, "").unwrap();
    container.wait(PATIENCE);
    let accounts = accounts(&container.output());
    assert_eq!(accounts.len(), PROCESSES, "the container printed: {}", container.output());
    let is_sound = |account: &Account| account.failed == 0 && account.opens > 0;
    assert!(accounts.iter().all(is_sound), "{accounts:?}: {}", container.output());
    (container, accounts)
}

/// Kills the supervisor as soon as there is one that has work, and waits until another has taken its place.
fn kill_once(lanner: &Lanner) {
    let pid = wait_for("a supervisor", PATIENCE, || lanner.supervisors().first().copied());
    expect_work(lanner);
    kill(pid, Signal::SIGKILL).unwrap();
    wait_for("the supervisor's death", PATIENCE, || (!lanner.supervisors().contains(&pid)).then_some(()));
}

/// Waits for an alert.
fn expect_work(lanner: &Lanner) {
    let before = lanner.event_log().metadata().map_or(0, |log| log.len());
    let working = || (lanner.event_log().metadata().map_or(0, |log| log.len()) > before).then_some(());
    wait_for("an alert", PATIENCE, working);
}

/// Lets the container go on, which reads its last file and leaves nothing.
#[track_caller]
fn expect_end(lanner: &Lanner, container: Container, go_on: &Path) {
    fs::write(go_on, "").unwrap();
    container.wait(PATIENCE);
    assert_eq!(container.output(), "next\n");
    container.delete();
    lanner.expect_nothing_left();
}

fn field(alerts: &[Alert], name: &str) -> Tally {
    alerts.iter().map(|alert| alert.text(name)).collect()
}

fn accounts(output: &str) -> Vec<Account> {
    let parse = |line: &str| {
        let numbers: Option<Vec<usize>> = line.split(' ').map(|word| word.parse().ok()).collect();
        let [process, opens, others, failed] = *numbers? else { return None };
        Some(Account { process, opens, others, failed })
    };
    output.lines().filter_map(parse).collect()
}

const SECRET: &str = "
- rule: secret
  desc: The file that rules name by its path in the container's first root.
  condition: evt.type in (open, openat, openat2) and fd.realpath = /secret/file
  output: opened %fd.realpath
  priority: WARNING
  action: deny
";

/// Names in rules begin at the root that the first program had, which may be in another one when a supervisor begins.
#[test]
fn rules_mean_the_first_root_whoever_dies() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(SECRET));
    let script = "until [ -e /go ]; do :; done; read word </link; echo read $word";
    let bundle = Bundle::new(&["chroot", "/jail", "/bin/sh", "-c", script])
        .text("/secret/file", "the secret\n")
        .text("/jail/beside", "")
        .set("/process/capabilities/effective", json!(["CAP_SYS_CHROOT"]))
        .set("/process/capabilities/permitted", json!(["CAP_SYS_CHROOT"]))
        .set("/process/capabilities/bounding", json!(["CAP_SYS_CHROOT"]));
    let shell = bundle.inside("/bin/busybox");
    let bundle = bundle.file(&shell, "/jail/bin/sh");
    fs::hard_link(bundle.inside("/secret/file"), bundle.inside("/jail/link")).unwrap();
    let go_on = bundle.inside("/jail/go");
    let container = Container::start(&lanner.engine(), bundle);
    thread::sleep(LONG_LIFE);
    let supervisor = lanner.supervisors()[0];
    kill(supervisor, Signal::SIGKILL).unwrap();
    wait_for("another supervisor", PATIENCE, || lanner.supervisors().into_iter().find(|other| *other != supervisor));
    fs::write(go_on, "").unwrap();
    container.wait(PATIENCE);
    assert!(!container.output().contains("secret"), "{}", container.output());
    assert_eq!(lanner.alerts_of("secret").len(), 1);
    container.delete();
    lanner.expect_nothing_left();
}

/// The host shuts down, or a scope ends: everybody is told, and the container has something to finish.
#[test]
fn neither_guard_nor_supervisor_ends_by_what_others_are_told_to_end_by() {
    go_on_after(|lanner| {
        signal_all(lanner);
        // One that took over has begun another way.
        let guard = lanner.guards()[0];
        kill(guard, Signal::SIGKILL).unwrap();
        wait_for("another guard", PATIENCE, || lanner.guards().into_iter().find(|other| *other != guard));
        thread::sleep(LONG_LIFE);
        signal_all(lanner);
    });
}

/// Sends guard and supervisor every signal that a process can expect to outlive.
#[track_caller]
fn signal_all(lanner: &Lanner) {
    let all = [lanner.guards(), lanner.supervisors()];
    let left_alone =
        [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE]
            .into_iter()
            .chain([Signal::SIGABRT, Signal::SIGTRAP, Signal::SIGSYS])
            .collect::<Vec<_>>();
    for signal in Signal::iterator().filter(|signal| !left_alone.contains(signal)) {
        all.iter().flatten().for_each(|process| kill(*process, signal).unwrap());
    }
    thread::sleep(LONG_LIFE);
    assert_eq!([lanner.guards(), lanner.supervisors()], all);
}

/// Starts a container that still has calls to make after what `befalls` its guard and its supervisor.
#[track_caller]
fn go_on_after(befalls: impl FnOnce(&Lanner)) {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(UNRELATED));
    let script = ": >/tmp/up; until [ -e /tmp/go ]; do :; done; cat /etc/hostname";
    let bundle = Bundle::new(&["sh", "-c", script]).text("/etc/hostname", "next\n");
    let [up, go_on] = ["/tmp/up", "/tmp/go"].map(|file| bundle.inside(file));
    let container = Container::start(&lanner.engine(), bundle);
    // A program that is about to begin would die with the supervisor that looks at it.
    wait_for("the program", PATIENCE, || up.exists().then_some(()));
    befalls(&lanner);
    expect_end(&lanner, container, &go_on);
}

/// Traces a process' threads, each of which stands still, until they are dead; says when all are traced.
fn hold(process: Pid, is_held: &mpsc::Sender<()>) {
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let task = task.unwrap().file_name().into_string().unwrap().parse().unwrap();
        ptrace::attach(Pid::from_raw(task)).unwrap();
    }
    is_held.send(()).unwrap();
    while waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)).is_ok() {}
}

#[test]
fn a_supervisor_that_is_stopped_goes_on() {
    go_on_after(|lanner| kill(lanner.supervisors()[0], Signal::SIGSTOP).unwrap());
}

/// As one that would wait for itself.
#[test]
fn a_supervisor_that_receives_nothing_any_more_is_replaced() {
    go_on_after(|lanner| {
        let supervisor = lanner.supervisors()[0];
        let (held, is_held) = mpsc::channel();
        thread::spawn(move || hold(supervisor, &held));
        is_held.recv().unwrap();
    });
}

const BANNED: &str = "
- rule: banned
  desc: A program was executed that nobody may execute.
  condition: evt.type in (execve, execveat) and proc.exepath = /banned
  output: executed %proc.exepath
  priority: NOTICE
";

/// Only in enforce mode, where a program could run that nobody has judged.
#[test]
fn an_enforced_exec_that_is_under_way_dies_with_its_supervisor() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let script = "until [ -e /tmp/go ]; do /nowhere; [ $? = 137 ] && echo killed; done 2>/dev/null; echo over";
    for (settings, deaths) in [(Settings::enforce(BANNED), 100), (Settings::audit(BANNED), 5)] {
        let lanner = Lanner::new(&settings);
        let container = Container::start(&lanner.engine(), Bundle::new(&["sh", "-c", script]));
        let was_killed = || container.output().contains("killed");
        let number = (0..deaths).take_while(|_| !was_killed()).map(|_| {
            let supervisor = wait_for("a supervisor", PATIENCE, || lanner.supervisors().first().copied());
            thread::sleep(LONG_LIFE);
            kill(supervisor, Signal::SIGKILL).unwrap();
            wait_for("its death", PATIENCE, || (!lanner.supervisors().contains(&supervisor)).then_some(()));
        });
        let number = number.count();
        assert_eq!(was_killed(), deaths == 100, "after {number} deaths");
        fs::write(container.inside("/tmp/go"), "").unwrap();
        wait_for("the end", PATIENCE, || container.output().contains("over").then_some(()));
        container.wait(PATIENCE);
        container.delete();
        lanner.expect_nothing_left();
    }
}

/// What is held stays so, although whoever holds it is dead, until somebody else ends it.
#[test]
fn a_program_that_is_held_dies_with_its_supervisor() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(BANNED).under(runtime));
        let script = "until [ -e /tmp/go ]; do traced once; done; echo over";
        let bundle = Bundle::new(&["sh", "-c", script]).file(&workload("traced"), "/bin/traced");
        let container = Container::start(&lanner.engine(), bundle);
        let told = || lanner.alerts().iter().filter(|alert| alert.message.ends_with("died that held it")).count();
        let die = |_| {
            let supervisor = wait_for("a supervisor", PATIENCE, || lanner.supervisors().first().copied());
            thread::sleep(LONG_LIFE);
            kill(supervisor, Signal::SIGKILL).unwrap();
            wait_for("its death", PATIENCE, || (!lanner.supervisors().contains(&supervisor)).then_some(()));
            wait_for("another one", PATIENCE, || lanner.supervisors().first().copied());
        };
        let deaths = (0..100).take_while(|_| told() == 0).map(die).count();
        assert!(told() > 0, "{runtime:?}: after {deaths} deaths");
        wait_for("its death", PATIENCE, || container.output().contains("killed").then_some(()));
        fs::write(container.inside("/tmp/go"), "").unwrap();
        wait_for("the end", PATIENCE, || container.output().contains("over").then_some(()));
        container.wait(PATIENCE);
        container.delete();
        lanner.expect_nothing_left();
    }
}

/// Nothing can be written to the own log, as on a disk that is full; nobody dies of that.
#[test]
fn what_cannot_be_said_harms_nobody() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(PROBES).with("log: {path: /dev/full}\n"));
    let script = "until [ -e /tmp/go ]; do read line </probe/x; done 2> /dev/null; cat /etc/hostname";
    let bundle = Bundle::new(&["sh", "-c", script]).text("/etc/hostname", "next\n");
    let go_on = bundle.inside("/tmp/go");
    let container = Container::start(&lanner.engine(), bundle);
    // Which the guard would tell, and then the supervisor of the guard.
    kill_once(&lanner);
    expect_work(&lanner);
    let guard = lanner.guards()[0];
    kill(guard, Signal::SIGKILL).unwrap();
    wait_for("another guard", PATIENCE, || lanner.guards().into_iter().find(|other| *other != guard));
    expect_work(&lanner);
    expect_end(&lanner, container, &go_on);
}

/// The kernel shows a call no longer that a supervisor had received, and nobody else calls here.
#[test]
fn a_call_that_waits_is_answered_where_no_supervisor_can_be_had() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(NEVER));
    let script = "mkfifo /tmp/fifo; sleep 1000 & echo waits; read line </tmp/fifo; echo over; wait";
    let container = Container::start(&lanner.engine(), Bundle::new(&["sh", "-c", script]));
    wait_for("the open", PATIENCE, || container.output().contains("waits").then_some(()));
    thread::sleep(LONG_LIFE);
    // A successor needs it.
    let plan = lanner.run_dir().join(container.id()).join("plan.json");
    let kept = fs::read(&plan).unwrap();
    fs::remove_file(&plan).unwrap();
    kill(lanner.supervisors()[0], Signal::SIGKILL).unwrap();
    wait_for("the answer", PATIENCE, || container.output().contains("over").then_some(()));
    assert_eq!(lanner.alerts_of("Lanner internal: container not supervised").len(), 1);
    fs::write(&plan, kept).unwrap();
    wait_for("a supervisor", PATIENCE, || {
        (!lanner.alerts_of("Lanner internal: container supervised again").is_empty()).then_some(())
    });
    container.end();
    lanner.expect_nothing_left();
}

/// Neither does its process end then, nor are its descriptors closed.
#[test]
fn a_supervisor_is_replaced_where_one_of_its_threads_cannot_end() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Requirement::Fuse]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(NEVER));
    let folder = tempfile::tempdir().unwrap();
    let hanging = HangingMount::new(&folder.path().join("hanging"));
    let script = "read line </mnt/file & until [ -e /tmp/go ]; do :; done; read line </etc/hostname; echo $line";
    let source = folder.path().join("hanging");
    let bundle = Bundle::new(&["sh", "-c", script]).text("/etc/hostname", "next\n");
    let bundle = bundle.mount(json!({"destination": "/mnt", "source": source, "options": ["bind"]}));
    let go_on = bundle.inside("/tmp/go");
    let container = Container::start(&lanner.engine(), bundle);
    hanging.wait(PATIENCE);
    kill(lanner.supervisors()[0], Signal::SIGKILL).unwrap();
    fs::write(go_on, "").unwrap();
    container.wait(PATIENCE);
    assert_eq!(container.output(), "next\n");
    container.delete();
    drop(hanging);
    lanner.expect_nothing_left();
}

/// Another user namespace is entered by a process of its own, which can be killed like any other.
#[test]
fn an_open_fails_where_the_process_dies_that_waits_for_it() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(NEVER));
    let script = "mkfifo /tmp/fifo; echo waits; read line </tmp/fifo; echo over; read line </etc/hostname; echo $line";
    let bundle = Bundle::new(&["sh", "-c", script]).text("/etc/hostname", "next\n").in_user_namespace(100_000, 65_536);
    let container = Container::start(&lanner.engine(), bundle);
    wait_for("the open", PATIENCE, || container.output().contains("waits").then_some(()));
    let waiting = wait_for("the process that waits", PATIENCE, || {
        let helpers = children(lanner.supervisors()[0]);
        helpers.into_iter().find(|helper| fs::read_to_string(format!("/proc/{helper}/wchan")).unwrap() == FIFO_WAIT)
    });
    kill(waiting, Signal::SIGKILL).unwrap();
    wait_for("the answer", PATIENCE, || container.output().contains("over").then_some(()));
    wait_for("the next open", PATIENCE, || container.output().contains("next").then_some(()));
    assert!(container.output().contains("Input/output error"), "{}", container.output());
    container.wait(PATIENCE);
    container.delete();
    lanner.expect_nothing_left();
}

/// Nobody waits for it then, and the next open gets another one.
#[test]
fn an_open_succeeds_where_the_process_has_died_that_would_make_it() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(NEVER));
    let script = "read line </etc/hostname; echo one; until [ -e /tmp/go ]; do :; done; read line </etc/hostname; \
                  echo $line";
    let bundle = Bundle::new(&["sh", "-c", script]).text("/etc/hostname", "next\n").in_user_namespace(100_000, 65_536);
    let go_on = bundle.inside("/tmp/go");
    let container = Container::start(&lanner.engine(), bundle);
    wait_for("the open", PATIENCE, || container.output().contains("one").then_some(()));
    let helpers = children(lanner.supervisors()[0]);
    assert!(!helpers.is_empty());
    for helper in &helpers {
        kill(*helper, Signal::SIGKILL).unwrap();
    }
    wait_for("their ends", PATIENCE, || helpers.iter().all(|helper| !lives(*helper)).then_some(()));
    fs::write(go_on, "").unwrap();
    container.wait(PATIENCE);
    assert_eq!(container.output(), "one\nnext\n");
    container.delete();
    lanner.expect_nothing_left();
}

/// Whether it has memory, which it loses before anybody waits for it.
fn lives(process: Pid) -> bool {
    fs::read(format!("/proc/{process}/maps")).is_ok_and(|maps| !maps.is_empty())
}

/// Where the kernel waits for a FIFO's other end.
const FIFO_WAIT: &str = "wait_for_partner";

fn children(process: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let children = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("children")).ok());
    children
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect::<Vec<_>>())
        .collect()
}
