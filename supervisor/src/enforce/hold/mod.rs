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
mod records;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::{ffi::OsStringExt as _, fs::FileExt as _},
    },
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use group::Group;
use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::{
        signal::{Signal, kill},
        statfs::{CGROUP2_SUPER_MAGIC, fstatfs},
        statvfs::{FsFlags, fstatvfs},
    },
    unistd::Pid,
};
use records::Records;

use crate::process::{HOLD, Process, cgroup2_mounts, without_holds};

/// How long a process waits that is held already, for the exec of another of its threads.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);
/// Groups that cannot be removed now. Each has a descriptor.
const MAX_LEFT: usize = 64;

const NOTING: &str = "record that nobody is to be held";

/// A process cannot be held.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    /// Cgroup v2 is not mounted, or not for us.
    #[error("cgroup v2 is not mounted to be written to")]
    NotMounted,
    /// The process' group lies outside of our cgroup namespace, or is gone.
    #[error("its control group cannot be seen from here")]
    Outside,
    /// A task of the container has, or may have, control groups to write to.
    #[error("its container may write to control groups, by a mount of its own")]
    Exposed,
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
    records: Records,
    held: Mutex<Held>,
    /// Groups of processes that are not held any more, which could not be removed.
    left: Mutex<Vec<Remnant>>,
}

/// Who is held.
#[derive(Debug, Default)]
struct Held {
    processes: HashSet<u32>,
    /// Whether nobody is to be held any more, since the container could let him go.
    is_exposed: bool,
}

/// A group that is to be removed, with its record.
#[derive(Debug)]
struct Remnant {
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
    /// To be called by a thread that sees the host's files. Who is held is recorded in the directory `records`. Nobody is where
    /// the container `is_exposed`, now or by what a predecessor recorded.
    pub(crate) fn find(records: &Path, is_exposed: bool) -> Result<Self, HoldError> {
        // Something else may be mounted over one of them, and one may be for reading only.
        let is_root = |root: &File| {
            let is_cgroup = fstatfs(root).is_ok_and(|facts| facts.filesystem_type() == CGROUP2_SUPER_MAGIC);
            is_cgroup && fstatvfs(root).is_ok_and(|facts| !facts.flags().contains(FsFlags::ST_RDONLY))
        };
        let mut points = cgroup2_mounts().into_iter().map(OsString::from_vec);
        let root = points.find_map(|point| File::open(point).ok().filter(is_root)).ok_or(HoldError::NotMounted)?;
        let records = Records::open(records).map_err(HoldError::refused("open the run directory"))?;
        if is_exposed {
            records.note_exposed().map_err(HoldError::refused(NOTING))?;
        }
        let is_exposed = records.say_exposed();
        let held = Mutex::new(Held { is_exposed, ..Held::default() });
        Ok(Self { root, records, held, left: Mutex::default() })
    }

    /// To be called before a call is let go on after which a task of the container may be able to write to control groups: it
    /// could let go whom we hold. From then on nobody is held. Calls `wait` where somebody still is, and says whether that came
    /// to an end.
    pub(crate) fn expose(&self, wait: impl FnOnce()) -> Result<bool, HoldError> {
        self.records.note_exposed().map_err(HoldError::refused(NOTING))?;
        self.held().is_exposed = true;
        let is_over = || self.held().processes.is_empty();
        if is_over() {
            return Ok(true);
        }
        wait();
        let begun = Instant::now();
        while !is_over() && begun.elapsed() < PATIENCE {
            thread::sleep(PAUSE);
        }
        Ok(is_over())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, Vec<Remnant>> {
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
        self.records.note(&relative, process).map_err(HoldError::refused("record who is held"))?;
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
                self.remove(Remnant { home, process });
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
        while !self.try_claim(process)? {
            if begun.elapsed() >= PATIENCE {
                return Err(HoldError::Held);
            }
            thread::sleep(PAUSE);
        }
        Ok(Claim { holds: self, process })
    }

    fn try_claim(&self, process: u32) -> Result<bool, HoldError> {
        let mut held = self.held();
        if held.is_exposed { Err(HoldError::Exposed) } else { Ok(held.processes.insert(process)) }
    }

    /// Removes a group in which nobody is held, now or later.
    fn remove(&self, left: Remnant) {
        let removed = left.home.remove(&group_of(left.process)).and_then(|()| self.records.forget(left.process));
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
            let is_held = self.held().processes.contains(&left.process);
            let removed =
                || left.home.try_remove(&group_of(left.process)).and_then(|()| self.records.forget(left.process));
            is_held || removed().is_err()
        });
    }

    /// Kills what a predecessor of ours held when it died, and returns which processes that were. Nobody has looked at what
    /// they execute.
    pub(crate) fn end_abandoned(&self) -> io::Result<Vec<u32>> {
        let mut ended = Vec::new();
        for process in self.records.processes()? {
            match self.end(process) {
                Ok(was_held) => ended.extend(was_held.then_some(process)),
                Err(error) => tracing::error!(%error, process, "what a supervisor held that died cannot be ended"),
            }
        }
        Ok(ended)
    }

    /// Says whether the process was held, and so may have executed a program. Others, which it or a thread of its had made before
    /// it was frozen, go on.
    fn end(&self, process: u32) -> io::Result<bool> {
        let path = self.records.group_of(process)?;
        let home = home_of(&[b"/", path.as_slice()].concat()).map(|home| Group::open(self.root.as_fd(), home));
        let Some(home) = home.transpose().or_else(none_if_gone)? else {
            return self.records.forget(process).map(|()| false);
        };
        let Some(group) = home.group(&group_of(process)).map(Some).or_else(none_if_gone)? else {
            return self.records.forget(process).map(|()| false);
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
        self.remove(Remnant { home, process });
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
            holds.remove(Remnant { home, process });
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.holds.held().processes.remove(&self.process);
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
