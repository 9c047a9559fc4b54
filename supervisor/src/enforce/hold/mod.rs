// SPDX-License-Identifier: Apache-2.0
//! Keeping a process from its program: it ends the call that it is in, and executes another program by it, but runs no
//! instruction.
//!
//! Nobody but the kernel can do that to a task that somebody else traces, and it does so for the tasks of a control group
//! that is frozen (`cgroup.freeze` of cgroup v2, Linux 5.2), whatever their tracers make of them. So the process gets a
//! group for itself below its own, in which no controller is switched on: every limit of its own group goes on to count,
//! and nobody beside it is held up.
//!
//! It stays frozen if the supervisor dies. A link in the run directory names its group, so that a successor ends it.

mod group;

use std::{
    collections::HashSet,
    ffi::{CStr, OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::{
            ffi::{OsStrExt as _, OsStringExt as _},
            fs::FileExt as _,
        },
    },
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use group::Group;
use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, readlinkat},
    sys::{
        signal::{Signal, kill},
        stat::Mode,
        statfs::{CGROUP2_SUPER_MAGIC, fstatfs},
        statvfs::{FsFlags, fstatvfs},
    },
    unistd::{Pid, UnlinkatFlags, symlinkat, unlinkat},
};

use crate::process::{HOLD, Process, cgroup2_mounts, without_holds};

/// How its record in the run directory is.
const RECORD: &str = "held-";

/// How long a process waits that is held already, for the exec of another of its threads.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);
/// Groups that cannot be removed now. Each has a descriptor.
const MAX_LEFT: usize = 64;

/// A process cannot be held.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    /// Cgroup v2 is not mounted, or not for us.
    #[error("cgroup v2 is not mounted to be written to")]
    NotMounted,
    /// The process' group lies outside of our cgroup namespace, or is gone.
    #[error("its control group cannot be seen from here")]
    Outside,
    /// It did not come into the group that was made for it.
    #[error("it was moved to another control group")]
    Moved,
    /// Another of its threads executes a program, and does not come to an end.
    #[error("it is held already")]
    Held,
    /// Somebody keeps groups from being removed in which processes were held.
    #[error("{MAX_LEFT} control groups cannot be removed")]
    Cluttered,
    /// The kernel refuses something.
    #[error("cannot {what}")]
    Refused { what: &'static str, source: io::Error },
}

impl HoldError {
    fn refused<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Refused { what, source: source.into() }
    }
}

/// What it takes to hold processes of one container.
#[derive(Debug)]
pub(crate) struct Holds {
    root: File,
    /// Where it is recorded who is held. A thread that makes calls for the container has another root directory than we.
    records: File,
    /// Processes.
    held: Mutex<HashSet<u32>>,
    /// Groups of processes that are not held any more, which could not be removed.
    left: Mutex<Vec<Left>>,
}

/// A group that is to be removed, with its record.
#[derive(Debug)]
struct Left {
    home: Group,
    process: u32,
}

/// A process that is being held.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    claim: Claim<'a>,
    /// The group that it comes from; nothing when that was given away.
    home: Option<Group>,
    group: Group,
    /// Of that one, as the kernel shows it.
    path: Vec<u8>,
    events: File,
}

/// Nobody else holds the process meanwhile.
#[derive(Debug)]
struct Claim<'a> {
    holds: &'a Holds,
    process: u32,
}

impl Holds {
    /// To be called by a thread that sees the host's files. Who is held is recorded in the directory `records`.
    pub(crate) fn find(records: &Path) -> Result<Self, HoldError> {
        // Something else may be mounted over one of them, and one may be for reading only.
        let is_root = |root: &File| {
            let is_cgroup = fstatfs(root).is_ok_and(|facts| facts.filesystem_type() == CGROUP2_SUPER_MAGIC);
            is_cgroup && fstatvfs(root).is_ok_and(|facts| !facts.flags().contains(FsFlags::ST_RDONLY))
        };
        let mut points = cgroup2_mounts().into_iter().map(OsString::from_vec);
        let root = points.find_map(|point| File::open(point).ok().filter(is_root)).ok_or(HoldError::NotMounted)?;
        let records = File::open(records).map_err(HoldError::refused("open the run directory"))?;
        let (held, left) = Default::default();
        Ok(Self { root, records, held, left })
    }

    fn held(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, Vec<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares to hold the process of `task`, which waits for the answer to a call.
    pub(crate) fn prepare(&self, task: &Process, process: u32) -> Result<Hold<'_>, HoldError> {
        let claim = self.claim(process)?;
        if self.left().len() >= MAX_LEFT {
            return Err(HoldError::Cluttered);
        }
        let path = task.unified_group().ok_or(HoldError::Outside)?;
        let home = home_of(&path).ok_or(HoldError::Outside)?;
        let name = group_of(process);
        let relative = if home.is_empty() { name.as_bytes().to_vec() } else { [home, b"/", name.as_bytes()].concat() };
        let home = Group::open(self.root.as_fd(), home).map_err(HoldError::refused("open its control group"))?;
        self.record(&relative, process).map_err(HoldError::refused("record who is held"))?;
        // One of an earlier hold is ours from now on.
        self.left().retain(|left| left.process != process);
        if path.strip_suffix(name.as_bytes()).is_some_and(|above| above.ends_with(b"/")) {
            // It could not be brought home before.
            leave(&home.group(&name).map_err(HoldError::refused("open its control group"))?, &home, process);
        }
        let made = home.make(&name).and_then(|group| Ok((group.file("cgroup.events", OFlag::O_RDONLY)?, group)));
        let (events, group) = match made {
            Ok(made) => made,
            Err(source) => {
                self.remove(Left { home, process });
                return Err(HoldError::refused("make a control group")(source));
            }
        };
        let path = [b"/".as_slice(), &relative].concat();
        let hold = Hold { claim, home: Some(home), group, path, events };
        hold.group.take(process).map_err(HoldError::refused("move it to a control group of its own"))?;
        if hold.has(task) { Ok(hold) } else { Err(HoldError::Moved) }
    }

    fn claim(&self, process: u32) -> Result<Claim<'_>, HoldError> {
        let begun = Instant::now();
        while !self.held().insert(process) {
            if begun.elapsed() >= PATIENCE {
                return Err(HoldError::Held);
            }
            thread::sleep(PAUSE);
        }
        Ok(Claim { holds: self, process })
    }

    /// Says where a group will be. A record of one that is not there does no harm.
    fn record(&self, group: &[u8], process: u32) -> io::Result<()> {
        self.forget(process)?;
        Ok(symlinkat(OsStr::from_bytes(group), &self.records, record_of(process).as_str())?)
    }

    fn forget(&self, process: u32) -> io::Result<()> {
        match unlinkat(&self.records, record_of(process).as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes a group in which nobody is held, now or later.
    fn remove(&self, left: Left) {
        let removed = left.home.remove(&group_of(left.process)).and_then(|()| self.forget(left.process));
        if let Err(error) = removed {
            tracing::debug!(%error, process = left.process, "a control group is removed later");
            self.left().push(left);
        }
    }

    /// Removes what could not be removed before.
    pub(crate) fn tidy(&self) {
        // Nobody who claims one of them meanwhile may lose it.
        let mut all = self.left();
        all.retain(|left| {
            let is_held = self.held().contains(&left.process);
            let removed = || left.home.try_remove(&group_of(left.process)).and_then(|()| self.forget(left.process));
            is_held || removed().is_err()
        });
    }

    /// Kills what a predecessor of ours held when it died, and returns which processes that were. Nobody has looked at what
    /// they execute.
    pub(crate) fn end_abandoned(&self) -> io::Result<Vec<u32>> {
        let mut ended = Vec::new();
        for entry in Dir::openat(&self.records, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?.iter() {
            let name = entry?.file_name().to_owned();
            let Some(process) = recorded(&name) else { continue };
            match self.end(&name, process) {
                Ok(was_held) => ended.extend(was_held.then_some(process)),
                Err(error) => tracing::error!(%error, process, "what a supervisor held that died cannot be ended"),
            }
        }
        Ok(ended)
    }

    /// Says whether the process was held, and so may have executed a program. Others, which it or a thread of its had made before
    /// it was frozen, go on.
    fn end(&self, record: &CStr, process: u32) -> io::Result<bool> {
        let path = readlinkat(&self.records, record)?.into_vec();
        let home = home_of(&[b"/", path.as_slice()].concat()).map(|home| Group::open(self.root.as_fd(), home));
        let Some(home) = home.transpose().or_else(none_if_gone)? else { return self.forget(process).map(|()| false) };
        let Some(group) = home.group(&group_of(process)).map(Some).or_else(none_if_gone)? else {
            return self.forget(process).map(|()| false);
        };
        // It is frozen before its call is answered, and goes on when it was judged.
        let is_of_it = |thread| Process::open(thread).and_then(|task| task.leader()) == Some(process);
        let was_held = group.is_to_be_frozen()? && group.threads()?.into_iter().any(is_of_it);
        group.freeze()?;
        if was_held {
            let number = Pid::from_raw(i32::try_from(process).map_err(io::Error::other)?);
            match kill(number, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        leave(&group, &home, process);
        self.remove(Left { home, process });
        Ok(was_held)
    }
}

impl Hold<'_> {
    /// From now on no task of the process gets back to its program. One that the kernel lets wait interruptibly leaves its
    /// call, unless that is answered before it can.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        self.group.freeze()
    }

    /// Whether all of its tasks have come to the end of their calls.
    pub(crate) fn is_at_rest(&self) -> bool {
        let mut content = [0; 256];
        let length = self.events.read_at(&mut content, 0).unwrap_or_default();
        let lines = || content.get(..length).unwrap_or_default().split(|byte| *byte == b'\n');
        // One that is empty is frozen, too.
        [b"populated 1".as_slice(), b"frozen 1"].into_iter().all(|wanted| lines().any(|line| line == wanted))
    }

    /// Exceptional (`POLLPRI`) when that may have changed.
    pub(crate) fn changes(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Whether the task is still where it was brought.
    fn has(&self, task: &Process) -> bool {
        task.unified_group().is_some_and(|path| path == self.path)
    }

    /// Whether the task is held: its container may be one that can write to control groups.
    pub(crate) fn holds(&self, task: &Process) -> bool {
        self.has(task) && self.group.is_to_be_frozen().unwrap_or_default()
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let &Claim { holds, process } = &self.claim;
        if let Some(home) = self.home.take() {
            leave(&self.group, &home, process);
            holds.remove(Left { home, process });
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.holds.held().remove(&self.process);
    }
}

/// Lets what is in a group go on where it comes from, or else where it is.
fn leave(group: &Group, home: &Group, process: u32) {
    if let Err(error) = group.empty_into(home) {
        tracing::warn!(%error, process, "a process that was held stays in a control group of its own");
        if let Err(error) = group.thaw() {
            tracing::error!(%error, process, "a process that was held stays frozen");
        }
    }
}

fn none_if_gone<T>(error: io::Error) -> io::Result<Option<T>> {
    if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
}

/// Where a process belongs that is in the group of this path: not in one that holds somebody else, who had made it. Nothing
/// for a group outside of our namespace, whose path leads up.
fn home_of(path: &[u8]) -> Option<&[u8]> {
    let home = without_holds(path).strip_prefix(b"/")?;
    let leads_up = home.split(|byte| *byte == b'/').any(|name| name == b"..");
    (!leads_up).then_some(home)
}

fn group_of(process: u32) -> String {
    format!("{HOLD}{process}")
}

fn record_of(process: u32) -> String {
    format!("{RECORD}{process}")
}

/// Whose record a file is.
fn recorded(name: &CStr) -> Option<u32> {
    name.to_str().ok()?.strip_prefix(RECORD)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead as _, BufReader, Write as _},
        mem::ManuallyDrop,
        os::unix::{fs::symlink, process::ExitStatusExt as _},
        process::{Child, ChildStdout, Command, Stdio},
        sync::mpsc,
    };

    use nix::{
        poll::{PollFd, PollFlags, PollTimeout, poll},
        sys::stat::fstat,
        unistd::{Uid, geteuid, setfsuid},
    };
    use tempfile::TempDir;

    use super::*;
    use crate::sys::keep_capabilities;

    /// Nothing where the machine lets nobody hold anything.
    fn holds() -> Option<(TempDir, Holds)> {
        let records = tempfile::tempdir().unwrap();
        let holds = if geteuid().is_root() { Holds::find(records.path()) } else { Err(HoldError::NotMounted) };
        holds.inspect_err(|error| eprintln!("skipped: {error}")).ok().map(|holds| (records, holds))
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
        let home = Group::open(holds.root.as_fd(), home_of(home).unwrap()).unwrap();
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
        let successor = Holds::find(records.path()).unwrap();
        assert_eq!(successor.end_abandoned().unwrap(), [told.0.id()]);
        assert_eq!(told.0.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert!(!is_there(&holds, &group, told.0.id()));
        assert_eq!(fs::read_dir(records.path()).unwrap().count(), 0);
        assert!(successor.end_abandoned().unwrap().is_empty());
        other.tell("lives");
        assert_eq!(other.says(5000).unwrap(), "lives\n");
        assert_eq!(other.process().unified_group().unwrap(), group);
    }
}
