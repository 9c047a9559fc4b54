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

use std::{
    collections::HashSet,
    ffi::{CString, OsStr, OsString},
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::{OsStrExt as _, OsStringExt as _},
            fs::FileExt as _,
        },
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, openat, readlinkat},
    sys::{
        signal::{Signal, kill},
        stat::{Mode, mkdirat},
        statfs::{CGROUP2_SUPER_MAGIC, fstatfs},
    },
    unistd::{Pid, UnlinkatFlags, symlinkat, unlinkat},
};

use crate::{
    process::{Process, cgroup2_mounts},
    sys::{OpenHow, Urgency, open_at},
};

/// How the group of a process that is held is called, before its number.
const GROUP: &str = "lanner-exec-";
/// How its record in the run directory is.
const RECORD: &str = "held-";

/// How long a process waits that is held already, for the exec of another of its threads.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a group is tried to be removed: one that was killed takes a moment to end.
const REMOVAL_PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(1);
const SHORT_PAUSE: Duration = Duration::from_micros(200);
/// How often a group is looked into whose processes may still make others.
const MAX_ROUNDS: usize = 100;

/// A process cannot be held.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    /// Cgroup v2 is not mounted, or not for us.
    #[error("cgroup v2 is not mounted")]
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
    /// Other supervisors have to do with control groups all the time.
    #[error("other programs are being held all the time")]
    Busy,
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
    /// Where cgroup v2 is mounted.
    point: PathBuf,
    root: File,
    /// Taken by whoever has the kernel's lock of all control groups, or may not have to wait for it.
    order: Mutex<()>,
    /// Where it is recorded who is held. A thread that makes calls for the container has another root directory than we.
    records: File,
    /// Processes.
    held: Mutex<HashSet<u32>>,
}

/// A process that is being held.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    // Before the claim ends, after which another hold may make it anew.
    _record: Record<'a>,
    claim: Claim<'a>,
    /// The group that it comes from.
    home: OwnedFd,
    group: OwnedFd,
    name: String,
    path: Vec<u8>,
    freeze: File,
    events: File,
}

/// Where a successor finds the group.
#[derive(Debug)]
struct Record<'a> {
    records: &'a File,
    name: String,
}

/// No supervisor changes control groups meanwhile but its owner.
#[derive(Debug)]
struct Order<'a> {
    root: &'a File,
    _in_order: MutexGuard<'a, ()>,
}

/// Nothing that we have in our hands comes between two calls of its owner, a thread.
#[derive(Debug)]
pub(crate) struct Precedence<'a> {
    _order: Order<'a>,
    _urgency: Option<Urgency>,
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
        // Something else may be mounted over one of them.
        let is_root = |root: &File| fstatfs(root).is_ok_and(|facts| facts.filesystem_type() == CGROUP2_SUPER_MAGIC);
        let mut points = cgroup2_mounts().into_iter().map(|point| PathBuf::from(OsString::from_vec(point)));
        let found = points.find_map(|point| Some((File::open(&point).ok().filter(is_root)?, point)));
        let (root, point) = found.ok_or(HoldError::NotMounted)?;
        let (order, held) = Default::default();
        let records = File::open(records).map_err(HoldError::refused("open the run directory"))?;
        Ok(Self { point, root, order, records, held })
    }

    fn held(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares to hold the process of `task`, which may take some 20 ms: the kernel moves a process only when all processors
    /// have been somewhere else (`cgroup_threadgroup_rwsem`). It is not interrupted by that.
    pub(crate) fn prepare(&self, task: &Process, process: u32) -> Result<Hold<'_>, HoldError> {
        let claim = self.claim(process)?;
        let path = task.unified_group().ok_or(HoldError::Outside)?;
        let relative = path.strip_prefix(b"/").ok_or(HoldError::Outside)?;
        // What is outside of our namespace is shown by a path that leads up.
        if relative.split(|byte| *byte == b'/').any(|name| name == b"..") {
            return Err(HoldError::Outside);
        }
        let home = open_group(self.root.as_fd(), if relative.is_empty() { b"." } else { relative })
            .map_err(HoldError::refused("open its control group"))?;
        let name = format!("{GROUP}{process}");
        let full = self.point.join(OsStr::from_bytes(relative)).join(&name);
        let record = Record::make(&self.records, &full, process).map_err(HoldError::refused("record who is held"))?;
        let path = [path.strip_suffix(b"/").unwrap_or(&path), b"/", name.as_bytes()].concat();
        let order = self.order()?;
        let hold = Hold::make(claim, record, home, (name, path))?;
        let moved = write_into(hold.group.as_fd(), "cgroup.procs", process);
        // The hold's end needs it, too.
        drop(order);
        moved.map_err(HoldError::refused("move it to a control group of its own"))?;
        if hold.has(task) { Ok(hold) } else { Err(HoldError::Moved) }
    }

    /// To move a process, the kernel waits for all processors with that lock in its hand. The supervisors of all containers
    /// take turns.
    fn order(&self) -> Result<Order<'_>, HoldError> {
        let in_order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        loop {
            match self.root.try_lock() {
                Ok(()) => return Ok(Order { root: &self.root, _in_order: in_order }),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(SHORT_PAUSE),
                Err(TryLockError::WouldBlock) => return Err(HoldError::Busy),
                Err(TryLockError::Error(error)) => return Err(HoldError::refused("lock the control groups")(error)),
            }
        }
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

    /// Kills what a predecessor of ours held when it died, and returns which processes that were. Nobody has looked at what
    /// they execute.
    pub(crate) fn end_abandoned(&self) -> io::Result<Vec<u32>> {
        let mut ended = Vec::new();
        for entry in Dir::openat(&self.records, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?.iter() {
            let name = entry?.file_name().to_owned();
            if !name.to_bytes().starts_with(RECORD.as_bytes()) {
                continue;
            }
            let path = PathBuf::from(readlinkat(&self.records, name.as_c_str())?);
            match File::open(&path) {
                Ok(group) => {
                    let processes = kill_all(group.as_fd())?;
                    await_removal(|| fs::remove_dir(&path))?;
                    ended.extend(processes);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            unlinkat(&self.records, name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
        }
        Ok(ended)
    }
}

impl<'a> Hold<'a> {
    fn make(
        claim: Claim<'a>,
        record: Record<'a>,
        home: OwnedFd,
        (name, path): (String, Vec<u8>),
    ) -> Result<Self, HoldError> {
        match mkdirat(&home, name.as_str(), Mode::S_IRWXU) {
            // One that could not be removed in time, since nobody else holds the process.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(HoldError::refused("make a control group")(errno)),
        }
        let opened = || -> io::Result<_> {
            let group = open_group(home.as_fd(), name.as_bytes())?;
            let freeze = open_in(group.as_fd(), "cgroup.freeze", OFlag::O_WRONLY)?;
            let events = open_in(group.as_fd(), "cgroup.events", OFlag::O_RDONLY)?;
            Ok((group, freeze, events))
        };
        match opened() {
            Ok((group, freeze, events)) => Ok(Self { claim, _record: record, home, group, name, path, freeze, events }),
            Err(error) => {
                remove(&home, &name);
                Err(HoldError::refused("freeze a control group")(error))
            }
        }
    }

    /// From now on no task of the process gets back to its program. One that the kernel lets wait interruptibly leaves its
    /// call.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        self.freeze.write_all_at(b"1", 0)
    }

    /// To be had when the freezer comes behind an answer. It takes some 5 us then, and an exec ten times as long at least: not
    /// if another thread of ours has the kernel's lock, nor if the process that was let go takes our processor.
    pub(crate) fn take_precedence(&self) -> Result<Precedence<'_>, HoldError> {
        let order = self.claim.holds.order()?;
        let urgency = Urgency::take().inspect_err(|error| {
            tracing::warn!(%error, "a program may run for a moment before it is held");
        });
        Ok(Precedence { _order: order, _urgency: urgency.ok() })
    }

    /// Whether all of its tasks have come to the end of their calls, or have ended.
    pub(crate) fn is_at_rest(&self) -> bool {
        let mut content = [0; 256];
        let length = self.events.read_at(&mut content, 0).unwrap_or_default();
        let mut lines = content.get(..length).unwrap_or_default().split(|byte| *byte == b'\n');
        lines.any(|line| line == b"frozen 1" || line == b"populated 0")
    }

    /// Exceptional (`POLLPRI`) when that may have changed.
    pub(crate) fn changes(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Whether the task is still where it is held: its container may be one that can write to control groups.
    pub(crate) fn has(&self, task: &Process) -> bool {
        task.unified_group().is_some_and(|path| path == self.path)
    }

    /// Lets everything that is in the group go on where it came from. While they leave, they are frozen, and cannot make
    /// more of them.
    fn empty(&self) -> io::Result<()> {
        for _ in 0..MAX_ROUNDS {
            let processes = processes_of(self.group.as_fd())?;
            if processes.is_empty() {
                break;
            }
            for process in processes {
                match write_into(self.home.as_fd(), "cgroup.procs", process) {
                    Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
        }
        Ok(())
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let process = self.claim.process;
        let order = self.claim.holds.order();
        if let Err(error) = &order {
            tracing::warn!(%error, process, "a process that was held is let go out of turn");
        }
        if let Err(error) = self.empty() {
            tracing::warn!(%error, process, "a process that was held stays in a control group of its own");
            if let Err(error) = self.freeze.write_all_at(b"0", 0) {
                tracing::error!(%error, process, "a process that was held stays frozen");
            }
        }
        drop(order);
        remove(&self.home, &self.name);
    }
}

impl Drop for Order<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.root.unlock() {
            tracing::error!(%error, "the lock of the control groups is kept");
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.holds.held().remove(&self.process);
    }
}

impl<'a> Record<'a> {
    /// To be made before the group is: a record of nothing does no harm.
    fn make(records: &'a File, group: &Path, process: u32) -> io::Result<Self> {
        let record = Self { records, name: format!("{RECORD}{process}") };
        match symlinkat(group, records, record.name.as_str()) {
            // Of one that could not be removed.
            Err(Errno::EEXIST) => {
                unlinkat(records, record.name.as_str(), UnlinkatFlags::NoRemoveDir)?;
                symlinkat(group, records, record.name.as_str())?;
            }
            made => made?,
        }
        Ok(record)
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if let Err(error) = unlinkat(self.records, self.name.as_str(), UnlinkatFlags::NoRemoveDir) {
            tracing::warn!(%error, name = self.name, "cannot forget who was held");
        }
    }
}

fn remove(home: &OwnedFd, name: &str) {
    let remove = || Ok(unlinkat(home, name, UnlinkatFlags::RemoveDir)?);
    if let Err(error) = await_removal(remove) {
        tracing::warn!(%error, name, "a control group cannot be removed");
    }
}

/// Removes a group that is empty, or soon will be.
fn await_removal(remove: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match remove() {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && begun.elapsed() < REMOVAL_PATIENCE => {
                thread::sleep(PAUSE);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => return removed,
        }
    }
}

/// Returns which they were. What is frozen makes no others.
fn kill_all(group: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let processes = processes_of(group)?;
    for process in &processes {
        let number = Pid::from_raw(i32::try_from(*process).map_err(io::Error::other)?);
        match kill(number, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(processes)
}

fn processes_of(group: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut content = String::new();
    open_in(group, "cgroup.procs", OFlag::O_RDONLY)?.read_to_string(&mut content)?;
    Ok(content.lines().filter_map(|line| line.parse().ok()).collect())
}

fn write_into(group: BorrowedFd<'_>, name: &str, process: u32) -> io::Result<()> {
    // In one write, which is a command.
    open_in(group, name, OFlag::O_WRONLY)?.write_all(process.to_string().as_bytes())
}

fn open_in(group: BorrowedFd<'_>, name: &str, flags: OFlag) -> io::Result<File> {
    Ok(openat(group, name, flags | OFlag::O_CLOEXEC, Mode::empty())?.into())
}

/// A group by its path below another one.
fn open_group(above: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let flags = u64::from((libc::O_PATH | libc::O_DIRECTORY).cast_unsigned());
    let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_XDEV;
    open_at(above, &CString::new(path)?, OpenHow { flags, mode: 0, resolve })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        mem::ManuallyDrop,
        os::unix::{fs::symlink, process::ExitStatusExt as _},
        process::{Child, ChildStdout, Command, Stdio},
        sync::mpsc,
    };

    use nix::{
        poll::{PollFd, PollFlags, PollTimeout, poll},
        unistd::geteuid,
    };
    use tempfile::TempDir;

    use super::*;

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
        assert!(hold.has(&told.process()) && !hold.is_at_rest());
        hold.freeze().unwrap();
        told.tell("word");
        await_rest(&hold);
        assert!(told.process().is_frozen());
        assert_eq!(told.says(50), None);
        let (home, name) = (hold.home.try_clone().unwrap(), hold.name.clone());
        drop(hold);
        assert_eq!(told.says(5000).unwrap(), "word\n");
        assert_eq!(told.process().unified_group().unwrap(), group);
        assert_eq!(open_group(home.as_fd(), name.as_bytes()).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(records.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_process_that_cannot_be_held_is_in_nobodys_way() {
        let Some((records, holds)) = holds() else { return };
        let (gone, stays) = (Told::new(), Told::new());
        let (task, number) = (stays.process(), gone.0.id());
        drop(gone);
        assert!(matches!(holds.prepare(&task, number), Err(HoldError::Refused { .. })));
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
    fn what_a_predecessor_held_is_killed() {
        let Some((records, holds)) = holds() else { return };
        let mut told = Told::new();
        let hold = ManuallyDrop::new(told.prepare(&holds).unwrap());
        hold.freeze().unwrap();
        symlink(holds.point.join("lanner-exec-none"), records.path().join("held-none")).unwrap();
        let successor = Holds::find(records.path()).unwrap();
        assert_eq!(successor.end_abandoned().unwrap(), [told.0.id()]);
        assert_eq!(told.0.wait().unwrap().signal(), Some(libc::SIGKILL));
        open_group(hold.home.as_fd(), hold.name.as_bytes()).unwrap_err();
        assert_eq!(fs::read_dir(records.path()).unwrap().count(), 0);
        assert!(successor.end_abandoned().unwrap().is_empty());
    }
}
