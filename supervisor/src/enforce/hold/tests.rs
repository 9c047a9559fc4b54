// SPDX-License-Identifier: Apache-2.0
//! Processes that are held, and go on.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    mem::ManuallyDrop,
    os::unix::{fs::symlink, process::ExitStatusExt as _},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::fstat,
    unistd::{Uid, geteuid, setfsuid},
};
use tempfile::TempDir;

use super::*;
use crate::sys::keep_capabilities;

const PAUSE: Duration = Duration::from_millis(1);

/// Nothing where the machine lets nobody hold anything.
fn holds() -> Option<(TempDir, Holds)> {
    let records = tempfile::tempdir().unwrap();
    let holds = Holds::new(records.path(), false).unwrap();
    let possible = if geteuid().is_root() { holds.check() } else { Err(HoldError::NotMounted) };
    possible.inspect_err(|error| eprintln!("skipped: {error}")).ok().map(|()| (records, holds))
}

/// A process that says a word when it is told to go on, and then waits for its end.
struct Told(Child, BufReader<ChildStdout>);

impl Told {
    fn new() -> Self {
        let script = "read line; echo $line; read line";
        let mut command = Command::new("sh");
        let mut child = command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self(child, said)
    }

    fn process(&self) -> Process {
        Process::open(self.0.id()).unwrap()
    }

    fn prepare<'a>(&self, holds: &'a Holds) -> Result<Hold<'a>, HoldError> {
        holds.prepare(&self.process(), self.0.id())
    }

    fn tell(&self, word: &str) {
        self.0.stdin.as_ref().unwrap().write_all(format!("{word}\n").as_bytes()).unwrap();
    }

    fn says(&mut self, within: u16) -> Option<String> {
        let mut wanted = [PollFd::new(self.1.get_ref().as_fd(), PollFlags::POLLIN)];
        poll(&mut wanted, PollTimeout::from(within)).unwrap();
        let mut line = String::new();
        wanted[0].any().unwrap().then(|| self.1.read_line(&mut line).unwrap()).map(|_| line)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _may_be_dead = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn is_there(holds: &Holds, home: &[u8], process: u32) -> bool {
    let home = Group::open(holds.root().unwrap(), home_of(home).unwrap()).unwrap();
    home.group(&group_of(process)).is_ok()
}

fn await_rest(hold: &Hold<'_>) {
    while !hold.is_at_rest() {
        thread::sleep(PAUSE);
    }
}

#[test]
fn what_is_held_goes_on_afterwards_as_if_nothing_had_been() {
    let Some((records, holds)) = holds() else { return };
    let mut told = Told::new();
    let group = told.process().unified_group().unwrap();
    let hold = told.prepare(&holds).unwrap();
    assert!(hold.has(&told.process()) && !hold.holds(&told.process()) && !hold.is_at_rest());
    hold.freeze().unwrap();
    assert!(hold.holds(&told.process()));
    told.tell("word");
    await_rest(&hold);
    assert!(told.process().is_frozen());
    assert_eq!(told.says(50), None);
    drop(hold);
    assert_eq!(told.says(5000).unwrap(), "word\n");
    assert_eq!(told.process().unified_group().unwrap(), group);
    assert!(!is_there(&holds, &group, told.0.id()));
    assert_eq!(fs::read_dir(records.path()).unwrap().count(), 0);
}

#[test]
fn a_process_that_cannot_be_held_is_in_nobodys_way() {
    let Some((records, holds)) = holds() else { return };
    let (gone, stays) = (Told::new(), Told::new());
    let (task, number) = (stays.process(), gone.0.id());
    drop(gone);
    assert!(matches!(holds.prepare(&task, number), Err(HoldError::Refused { .. })));
    assert!(!is_there(&holds, &task.unified_group().unwrap(), number));
    drop(stays.prepare(&holds).unwrap());
    assert_eq!(fs::read_dir(records.path()).unwrap().count(), 0);
}

#[test]
fn a_process_is_held_once_at_a_time() {
    let Some((_records, holds)) = holds() else { return };
    let told = Told::new();
    let (first, (done, is_done)) = (told.prepare(&holds).unwrap(), mpsc::channel());
    thread::scope(|scope| {
        scope.spawn(|| done.send(told.prepare(&holds).is_ok()));
        is_done.recv_timeout(Duration::from_millis(50)).unwrap_err();
        drop(first);
        assert!(is_done.recv_timeout(PATIENCE).unwrap());
    });
}

#[test]
fn nobody_is_held_where_the_container_could_let_him_go() {
    let Some((records, holds)) = holds() else { return };
    let told = Told::new();
    let hold = told.prepare(&holds).unwrap();
    holds.check().unwrap();
    let exposure = |is_over| Exposure { killed: Vec::new(), is_over };
    assert_eq!(holds.expose(|| false, || panic!("it may not wait")).unwrap(), exposure(false));
    assert_eq!(holds.expose(|| true, || false).unwrap(), exposure(false));
    assert!(matches!(holds.check(), Err(HoldError::Exposed)));
    assert!(matches!(Told::new().prepare(&holds), Err(HoldError::Exposed)));
    let (waits, is_waiting) = mpsc::channel();
    thread::scope(|scope| {
        let exposed = scope.spawn(|| holds.expose(|| waits.send(()).is_ok(), || true).unwrap());
        is_waiting.recv().unwrap();
        assert!(!exposed.is_finished());
        drop(hold);
        assert_eq!(exposed.join().unwrap(), exposure(true));
    });
    assert_eq!(holds.expose(|| panic!("nobody is held"), || true).unwrap(), exposure(true));
    for (records, is_exposed) in [(records.path(), false), (tempfile::tempdir().unwrap().path(), true)] {
        let later = Holds::new(records, is_exposed).unwrap();
        assert!(matches!(told.prepare(&later), Err(HoldError::Exposed)));
    }
}

#[test]
fn who_is_held_for_long_dies_where_the_container_could_let_him_go() {
    let Some((_records, holds)) = holds() else { return };
    let mut told = Told::new();
    let hold = told.prepare(&holds).unwrap();
    hold.freeze().unwrap();
    let number = told.0.id();
    thread::scope(|scope| {
        let exposed = scope.spawn(|| holds.expose(|| true, || true).unwrap());
        assert_eq!(told.0.wait().unwrap().signal(), Some(libc::SIGKILL));
        drop(hold);
        assert_eq!(exposed.join().unwrap(), Exposure { killed: vec![number], is_over: true });
    });
}

#[test]
fn what_is_made_in_a_group_that_holds_belongs_where_its_maker_does() {
    let Some((records, holds)) = holds() else { return };
    let (parent, child, other) = (Told::new(), Told::new(), Told::new());
    let home = parent.process().unified_group();
    let first = parent.prepare(&holds).unwrap();
    for made in [&child, &other] {
        first.group.take(made.0.id()).unwrap();
    }
    first.freeze().unwrap();
    let second = child.prepare(&holds).unwrap();
    drop(first);
    drop(second);
    for told in [parent, child, other] {
        assert_eq!(told.process().unified_group(), home);
    }
    assert_eq!(fs::read_dir(records.path()).unwrap().count(), 0);
}

#[test]
fn a_group_is_roots_whoever_its_thread_serves() {
    let Some((_records, holds)) = holds() else { return };
    let told = Told::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            keep_capabilities().unwrap();
            setfsuid(Uid::from_raw(1000));
            let hold = told.prepare(&holds).unwrap();
            assert_eq!(fstat(hold.group.file("cgroup.freeze", OFlag::O_RDONLY).unwrap()).unwrap().st_uid, 0);
            assert_eq!(setfsuid(Uid::from_raw(1000)).as_raw(), 1000);
        });
    });
}

#[test]
fn a_process_that_leaves_is_not_held() {
    let Some((_records, holds)) = holds() else { return };
    let told = Told::new();
    let hold = told.prepare(&holds).unwrap();
    hold.freeze().unwrap();
    await_rest(&hold);
    hold.home.as_ref().unwrap().take(told.0.id()).unwrap();
    assert!(!hold.holds(&told.process()) && !hold.is_at_rest());
    hold.group.take(told.0.id()).unwrap();
    assert!(hold.holds(&told.process()));
    hold.group.thaw().unwrap();
    assert!(!hold.holds(&told.process()));
}

#[test]
fn what_a_predecessor_held_is_killed() {
    let Some((records, holds)) = holds() else { return };
    let mut told = Told::new();
    let group = told.process().unified_group().unwrap();
    let abandoned = ManuallyDrop::new(told.prepare(&holds).unwrap());
    abandoned.freeze().unwrap();
    // Whose call has no answer yet.
    let mut other = Told::new();
    let _unfrozen = ManuallyDrop::new(other.prepare(&holds).unwrap());
    symlink("none/lanner-exec:1", records.path().join("held-1")).unwrap();
    let mut successor = Holds::new(records.path(), false).unwrap();
    assert_eq!(successor.end_abandoned().unwrap(), [told.0.id()]);
    assert_eq!(told.0.wait().unwrap().signal(), Some(libc::SIGKILL));
    assert!(!is_there(&holds, &group, told.0.id()));
    assert_eq!(fs::read_dir(records.path()).unwrap().count(), 0);
    assert!(successor.end_abandoned().unwrap().is_empty());
    other.tell("lives");
    assert_eq!(other.says(5000).unwrap(), "lives\n");
    assert_eq!(other.process().unified_group().unwrap(), group);
}
