// SPDX-License-Identifier: Apache-2.0
//! A denied open or exec leaves nothing behind: no file, no change of one, no descriptor, no process. And opens that
//! wait for a fifo's other end, hundreds of them, are in nobody's way.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    reason = "an integration test is a test module"
)]

use std::{
    collections::BTreeMap,
    fs::{self, FileTimes, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    time::{Duration, Instant, UNIX_EPOCH},
};

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, skipped, text, wait_for, workload,
};
use nix::{
    sys::stat::{Mode, SFlag, makedev, mknod},
    unistd::{Pid, mkfifo},
};

const RULES: &str = r"
- rule: denied open
  desc: Something below /denied was opened.
  condition: evt.type in (open, openat, openat2, creat) and fd.name startswith /denied
  output: opened %fd.name
  priority: NOTICE
  action: deny

- rule: denied exec
  desc: A program below /denied was executed.
  condition: evt.type in (execve, execveat) and (proc.exepath startswith /denied or proc.name = script)
  output: executed %proc.exepath %proc.name
  priority: NOTICE
  action: deny

- rule: killed exec
  desc: A program below /killed was executed.
  condition: evt.type in (execve, execveat) and proc.exepath startswith /killed
  output: executed %proc.exepath
  priority: NOTICE
  action: kill
";

const PATIENCE: Duration = Duration::from_secs(10); // for what ends a moment after the container's own end of it
const REST: Duration = Duration::from_secs(3); // longer than a thread without work is kept
const DELAY: usize = 5_000_000; // nanoseconds that blocked opens may add to another open
const REMEMBERED: usize = 128 * 5; // descriptors of the tasks that a supervisor remembers; which of them are open is chance
const OWN: usize = 60; // what guard and supervisor have open themselves, some 30
const OPENS_PER_ROUND: usize = 38;
const EXECS_PER_ROUND: usize = 6;

fn cannot_run(runtime: LowLevel) -> bool {
    skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())])
}

/// A container that does nothing, with what the rules deny in it.
fn bundle() -> Bundle {
    let bundle = Bundle::new(&["sleep", "1000"]);
    for folder in ["/denied", "/killed", "/alias"] {
        fs::create_dir(bundle.inside(folder)).unwrap();
    }
    for name in ["file", "leased"] {
        fs::write(bundle.inside("/denied").join(name), "content").unwrap();
    }
    fs::write(bundle.inside("/denied/script"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(bundle.inside("/denied/script"), Permissions::from_mode(0o755)).unwrap();
    fs::hard_link(bundle.inside("/denied/leased"), bundle.inside("/alias/leased")).unwrap();
    mkfifo(&bundle.inside("/denied/fifo"), Mode::S_IRWXU).unwrap();
    mknod(&bundle.inside("/denied/null"), SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 3)).unwrap();
    let nothing = workload("nothing");
    bundle
        .file(&nothing, "/denied/program")
        .file(&nothing, "/killed/program")
        .file(&nothing, "/bin/nothing")
        .file(&workload("denied"), "/bin/denied")
        .file(&workload("blocked"), "/bin/blocked")
        .file(&workload("timed"), "/bin/timed")
}

#[track_caller]
fn exec<const COUNT: usize>(container: &Container, arguments: &[&str]) -> [usize; COUNT] {
    let output = container.exec(arguments);
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {}: {said}{errors}", output.status);
    let numbers: Vec<_> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{arguments:?} printed {said}{errors}"))
}

/// What tells whether a file was touched.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    mode: u32,
    links: u64,
    size: u64,
    times: [(i64, i64); 3],
}

/// The facts of a folder and of all in it, by name.
fn snapshot(folder: &Path) -> BTreeMap<String, Facts> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = entries
        .chain([folder.to_owned()])
        .map(|path| (path.display().to_string(), fs::symlink_metadata(path).unwrap()));
    let facts = named.map(|(name, file)| {
        let times =
            [(file.atime(), file.atime_nsec()), (file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())];
        (name, Facts { mode: file.mode(), links: file.nlink(), size: file.size(), times })
    });
    facts.collect()
}

/// Sets access times to what no access is: the past. The kernel moves a recent one at most once a day.
fn age(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            let past = FileTimes::new().set_accessed(UNIX_EPOCH + Duration::from_secs(1_000_000));
            fs::File::open(entry.path()).unwrap().set_times(past).unwrap();
        }
    }
}

/// What guard and supervisor hold.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    threads: usize,
    zombies: usize,
}

fn holdings(lanner: &Lanner) -> Holdings {
    let mut sum = Holdings { descriptors: 0, threads: 0, zombies: 0 };
    for process in lanner.guards().into_iter().chain(lanner.supervisors()) {
        let count = |folder: &str| fs::read_dir(format!("/proc/{process}/{folder}")).unwrap().count();
        sum.descriptors += count("fd");
        sum.threads += count("task");
        sum.zombies += zombies(process);
    }
    sum
}

/// Ended children that `parent` did not wait for.
fn zombies(parent: Pid) -> usize {
    let parents = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("stat")).ok());
    let zombies = parents.filter(|stat| {
        let stat = text(stat);
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(&format!("Z {parent} ")))
    });
    zombies.count()
}

#[track_caller]
fn expect_no_more(now: &Holdings, before: &Holdings) {
    let descriptors = before.descriptors.max(REMEMBERED + OWN);
    let fits = now.descriptors <= descriptors && now.threads <= before.threads && now.zombies == 0;
    assert!(fits, "before: {before:?}, now: {now:?}");
}

/// What they hold once they are at rest: a program's listener goes a moment after the program.
#[track_caller]
fn settled(lanner: &Lanner) -> Holdings {
    let mut seen = (holdings(lanner), Instant::now());
    wait_for("guard and supervisor to come to rest", PATIENCE, || {
        let now = holdings(lanner);
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        (seen.1.elapsed() > REST).then_some(())
    });
    seen.0
}

/// What they hold after calls of every kind, and more processes than it remembers at a time.
#[track_caller]
fn warm(container: &Container, lanner: &Lanner) -> Holdings {
    let _: [usize; 4] = exec(container, &["/bin/denied", "1"]);
    let _: [usize; 1] = exec(container, &["/bin/timed", "exec", "300"]);
    let _: [usize; 4] = exec(container, &["/bin/blocked", "200", "end"]);
    settled(lanner)
}

#[track_caller]
fn one_supervisor(lanner: &Lanner) -> Pid {
    let [supervisor] = *lanner.supervisors() else { panic!("supervisors: {:?}", lanner.supervisors()) };
    supervisor
}

#[track_caller]
fn denials_leave_no_trace(runtime: LowLevel) {
    if cannot_run(runtime) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
    let container = Container::start(&lanner.engine(), bundle());
    let denied = container.bundle().inside("/denied");
    age(&denied);
    let before = snapshot(&denied);
    let [calls, wrong, descriptors, noticed] = exec(&container, &["/bin/denied", "5"]);
    assert_eq!((calls, wrong), (5 * (OPENS_PER_ROUND + EXECS_PER_ROUND) + 1, 0), "calls, wrong results");
    assert_eq!((descriptors, noticed), (0, 0), "descriptors left open, events seen");
    let after = snapshot(&denied);
    let touched: Vec<_> = after.iter().filter(|(name, facts)| before.get(*name) != Some(*facts)).collect();
    assert!(touched.is_empty() && after.len() == before.len(), "touched: {touched:#?}, was: {before:#?}");
    assert_eq!(lanner.alerts_of("denied open").len(), 5 * OPENS_PER_ROUND);
    assert_eq!(lanner.alerts_of("denied exec").len(), 5 * EXECS_PER_ROUND);
    assert_eq!(lanner.alerts_of("killed exec").len(), 1);
    container.end();
    lanner.expect_nothing_left();
}

#[track_caller]
fn nothing_piles_up(runtime: LowLevel) {
    if cannot_run(runtime) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
    let container = Container::start(&lanner.engine(), bundle());
    let supervisor = one_supervisor(&lanner);
    let before = warm(&container, &lanner);
    for _ in 0..3 {
        let [calls, wrong, descriptors, _] = exec(&container, &["/bin/denied", "90"]);
        assert_eq!((calls, wrong, descriptors), (90 * (OPENS_PER_ROUND + EXECS_PER_ROUND) + 1, 0, 0));
    }
    let _: [usize; 1] = exec(&container, &["/bin/timed", "open", "10000"]);
    let _: [usize; 1] = exec(&container, &["/bin/timed", "exec", "200"]);
    expect_no_more(&settled(&lanner), &before);
    assert_eq!(one_supervisor(&lanner), supervisor);
    container.end();
    lanner.expect_nothing_left();
}

/// Fifos whose other end never comes, and one ordinary open among them.
#[track_caller]
fn blocked_opens_delay_nothing(runtime: LowLevel) {
    if cannot_run(runtime) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
    let container = Container::start(&lanner.engine(), bundle());
    let before_all = warm(&container, &lanner);
    for (end, expected) in [("end", 500), ("kill", 0)] {
        let [before, during, after, opened] = exec(&container, &["/bin/blocked", "500", end]);
        assert_eq!(opened, expected, "of 500 fifos, ended by `{end}`");
        for median in [during, after] {
            assert!(median < before + DELAY, "median open: {before} ns before, {during} during, {after} after");
        }
    }
    expect_no_more(&settled(&lanner), &before_all);
    container.end();
    lanner.expect_nothing_left();
}

#[test]
fn denials_leave_no_trace_under_runc() {
    denials_leave_no_trace(LowLevel::Runc);
}

#[test]
fn denials_leave_no_trace_under_crun() {
    denials_leave_no_trace(LowLevel::Crun);
}

#[test]
fn nothing_piles_up_under_runc() {
    nothing_piles_up(LowLevel::Runc);
}

#[test]
fn nothing_piles_up_under_crun() {
    nothing_piles_up(LowLevel::Crun);
}

#[test]
fn blocked_opens_delay_nothing_under_runc() {
    blocked_opens_delay_nothing(LowLevel::Runc);
}

#[test]
fn blocked_opens_delay_nothing_under_crun() {
    blocked_opens_delay_nothing(LowLevel::Crun);
}
