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
    collections::{HashMap, hash_map::Entry},
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::{ffi::OsStringExt as _, fs::FileExt as _},
    },
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
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

use crate::{
    process::{HOLD, Process, cgroup2_mounts, without_holds},
    sys::Pidfd,
};

/// How long somebody waits for a hold to end: for that of another thread's exec, or of anybody where control groups may be
/// mounted. A hold is over in some milliseconds, unless the exec itself waits for something.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it may go unnoticed that nobody waits any more.
const LOOK: Duration = Duration::from_millis(20);
/// Groups that cannot be removed now. Each has a descriptor.
const MAX_REMNANTS: usize = 64;

/// A process cannot be held.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    /// Cgroup v2 is not mounted, or not for us.
    #[error("cgroup v2 is not mounted to be written to")]
    NotMounted,
    /// The process' group lies outside of our cgroup namespace, or is gone.
    #[error("its control group cannot be seen from here")]
    Outside,
    /// The container was given control groups to write to, or more with which it could get some, or may have mounted some.
    #[error("its container may be able to write to control groups")]
    Exposed,
    /// It did not come into the group that was made for it.
    #[error("it was moved to another control group")]
    Moved,
    /// Another of its threads executes a program, and does not come to an end.
    #[error("it is held already")]
    Busy,
    /// Somebody keeps groups from being removed in which processes were held.
    #[error("{MAX_REMNANTS} control groups cannot be removed")]
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
    /// Cgroup v2, where it is mounted and may be written to.
    root: Option<File>,
    records: Records,
    claims: Mutex<Claims>,
    /// Told when a claim ends.
    ended: Condvar,
    /// Groups of processes that are not held any more, which could not be removed.
    remnants: Mutex<Vec<Remnant>>,
}

/// Who may be held.
#[derive(Debug, Default)]
struct Claims {
    /// A process that was killed has no reference any more.
    processes: HashMap<u32, Option<Pidfd>>,
    /// Since when nobody is to be held any more, as the container could let him go.
    exposed: Option<Instant>,
}

/// A group that is to be removed, with its record.
#[derive(Debug)]
struct Remnant {
    home: Group,
    /// Of the group, from the root.
    path: Vec<u8>,
    process: u32,
}

/// A process that is being held.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    claim: Claim<'a>,
    /// The group that it comes from; nothing when that was given away.
    home: Option<Group>,
    group: Group,
    /// Of that one, from the root.
    path: Vec<u8>,
    events: File,
}

/// What has come of those who were held, as nobody is to be any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// Processes that were killed.
    pub(crate) killed: Vec<u32>,
    /// Whether nobody is held.
    pub(crate) is_over: bool,
}

/// Nobody else holds the process meanwhile.
#[derive(Debug)]
struct Claim<'a> {
    holds: &'a Holds,
    process: u32,
}

impl Claims {
    /// Kills all who are held, and returns the processes that this was news for.
    fn kill(&mut self) -> Vec<u32> {
        let killed = self.processes.iter_mut().filter_map(|(process, reference)| {
            let reference = reference.take()?;
            if let Err(error) = reference.kill() {
                tracing::debug!(%error, process, "a process that is held has ended");
            }
            Some(*process)
        });
        killed.collect()
    }
}

impl Holds {
    /// To be called by a thread that sees the host's files. Who is held is recorded in the directory `records`. Nobody ever is
    /// if `is_exposed`: the container is given what it could let him go with.
    pub(crate) fn new(records: &Path, is_exposed: bool) -> Result<Self, HoldError> {
        // Something else may be mounted over one of them, and one may be for reading only.
        let is_root = |root: &File| {
            let is_cgroup = fstatfs(root).is_ok_and(|facts| facts.filesystem_type() == CGROUP2_SUPER_MAGIC);
            is_cgroup && fstatvfs(root).is_ok_and(|facts| !facts.flags().contains(FsFlags::ST_RDONLY))
        };
        let mut points = cgroup2_mounts().into_iter().map(OsString::from_vec);
        let root = points.find_map(|point| File::open(point).ok().filter(is_root));
        let records = Records::open(records).map_err(HoldError::refused("open the run directory"))?;
        let exposed = (is_exposed || records.say_exposed()).then(Instant::now);
        let claims = Mutex::new(Claims { exposed, ..Claims::default() });
        Ok(Self { root, records, claims, ended: Condvar::new(), remnants: Mutex::default() })
    }

    /// Fails where nobody can be held, or nobody is to be.
    pub(crate) fn check(&self) -> Result<(), HoldError> {
        self.root()?;
        if self.is_exposed() { Err(HoldError::Exposed) } else { Ok(()) }
    }

    /// Whether nobody is to be held, or no longer.
    pub(crate) fn is_exposed(&self) -> bool {
        self.claims().exposed.is_some()
    }

    /// To be called before a call is let go on after which a task of the container may be able to write to control groups: it
    /// could let go whom we hold. From then on nobody is held. Whoever still is has [`PATIENCE`] from the first such call on to
    /// be judged, for which this waits, where it `may_wait`, as long as the call `is_pending`; then he is killed: an exec can
    /// wait for ever. Fails where that cannot be recorded.
    pub(crate) fn expose(
        &self,
        may_wait: impl FnOnce() -> bool,
        is_pending: impl Fn() -> bool,
    ) -> Result<Exposure, HoldError> {
        let mut claims = self.claims();
        if claims.exposed.is_none() {
            // For a successor, who must know before the call is made.
            self.records.note_exposed().map_err(HoldError::refused("record that nobody is to be held"))?;
        }
        let since = *claims.exposed.get_or_insert_with(Instant::now);
        let mut killed = Vec::new();
        if claims.processes.is_empty() {
            return Ok(Exposure { killed, is_over: true });
        }
        drop(claims);
        let (begun, may_wait) = (Instant::now(), may_wait());
        claims = self.claims();
        while !claims.processes.is_empty() {
            if !may_wait || !is_pending() || begun.elapsed() >= PATIENCE * 2 {
                return Ok(Exposure { killed, is_over: false });
            }
            if since.elapsed() >= PATIENCE {
                killed.extend(claims.kill());
            }
            claims = self.ended.wait_timeout(claims, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(Exposure { killed, is_over: true })
    }

    fn root(&self) -> Result<BorrowedFd<'_>, HoldError> {
        self.root.as_ref().map(File::as_fd).ok_or(HoldError::NotMounted)
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remnants(&self) -> MutexGuard<'_, Vec<Remnant>> {
        self.remnants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares to hold the process with the number `process`, to which `task` belongs, which waits for the answer to a call.
    /// That takes some milliseconds, and up to [`PATIENCE`] where another of its threads is held.
    pub(crate) fn prepare(&self, task: &Process, process: u32) -> Result<Hold<'_>, HoldError> {
        let root = self.root()?;
        let claim = self.claim(process)?;
        if self.remnants().len() >= MAX_REMNANTS {
            return Err(HoldError::Cluttered);
        }
        let current = task.unified_group().ok_or(HoldError::Outside)?;
        let home = home_of(&current).ok_or(HoldError::Outside)?;
        let name = group_of(process);
        let path = if home.is_empty() { name.as_bytes().to_vec() } else { [home, b"/", name.as_bytes()].concat() };
        let home = Group::open(root, home).map_err(HoldError::refused("open its control group"))?;
        self.records.note(&path, process).map_err(HoldError::refused("record who is held"))?;
        if current.strip_suffix(name.as_bytes()).is_some_and(|above| above.ends_with(b"/")) {
            // It could not be brought home before.
            leave(&home.group(&name).map_err(HoldError::refused("open its control group"))?, &home, process);
        }
        let made = home.make(&name).and_then(|group| Ok((group.file("cgroup.events", OFlag::O_RDONLY)?, group)));
        let (events, group) = match made {
            Ok(made) => made,
            Err(source) => {
                self.remove(Remnant { home, path, process });
                return Err(HoldError::refused("make a control group")(source));
            }
        };
        // One of an earlier hold is ours from now on.
        self.remnants().retain(|remnant| remnant.path != path);
        let hold = Hold { claim, home: Some(home), group, path, events };
        hold.group.take(process).map_err(HoldError::refused("move it to a control group of its own"))?;
        if hold.has(task) { Ok(hold) } else { Err(HoldError::Moved) }
    }

    fn claim(&self, process: u32) -> Result<Claim<'_>, HoldError> {
        let refused = HoldError::refused("open a reference to it");
        let number = i32::try_from(process).map_err(|_large| refused(Errno::ESRCH.into()))?;
        let reference = Pidfd::open(Pid::from_raw(number)).map_err(refused)?;
        let begun = Instant::now();
        let mut claims = self.claims();
        loop {
            if claims.exposed.is_some() {
                return Err(HoldError::Exposed);
            }
            if let Entry::Vacant(free) = claims.processes.entry(process) {
                free.insert(Some(reference));
                return Ok(Claim { holds: self, process });
            }
            let left = PATIENCE.checked_sub(begun.elapsed()).ok_or(HoldError::Busy)?;
            claims = self.ended.wait_timeout(claims, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Removes a group in which nobody is held, now or later.
    fn remove(&self, remnant: Remnant) {
        let removed = remnant.home.remove(&group_of(remnant.process));
        if let Err(error) = removed.and_then(|()| self.records.forget(remnant.process)) {
            tracing::debug!(%error, process = remnant.process, "a control group is removed later");
            let mut all = self.remnants();
            all.retain(|other| other.path != remnant.path);
            all.push(remnant);
        }
    }

    /// Removes what could not be removed before. To be called once in a while.
    pub(crate) fn tidy(&self) {
        // Nobody who claims one of them meanwhile may lose it.
        let mut all = self.remnants();
        all.retain(|remnant| {
            let is_claimed = self.claims().processes.contains_key(&remnant.process);
            let removed = || {
                remnant.home.try_remove(&group_of(remnant.process))?;
                self.records.forget(remnant.process)
            };
            is_claimed || removed().is_err()
        });
    }

    /// Kills what a predecessor of ours held when it died, and returns which processes that were. Nobody has looked at what
    /// they execute. To be called before anybody can be held.
    pub(crate) fn end_abandoned(&mut self) -> io::Result<Vec<u32>> {
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
        let root = self.root().map_err(io::Error::other)?;
        let home = home_of(&[b"/", path.as_slice()].concat()).map(|home| Group::open(root, home));
        let Some(home) = home.transpose().or_else(none_if_gone)? else {
            return self.records.forget(process).map(|()| false);
        };
        let Some(group) = home.group(&group_of(process)).map(Some).or_else(none_if_gone)? else {
            return self.records.forget(process).map(|()| false);
        };
        // It is frozen before its call is answered, and goes on when it was judged.
        // One of which nobody can tell may be one of its threads.
        let is_of_it =
            |thread| Process::open(thread).and_then(|task| task.leader()).is_none_or(|leader| leader == process);
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
        self.remove(Remnant { home, path, process });
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
        task.unified_group().is_some_and(|path| path.strip_prefix(b"/") == Some(&self.path))
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
            holds.remove(Remnant { home, path: std::mem::take(&mut self.path), process });
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.holds.claims().processes.remove(&self.process);
        self.holds.ended.notify_all();
    }
}

/// Lets what is in a group go on where it comes from, or else where it is.
fn leave(group: &Group, home: &Group, process: u32) {
    if let Err(error) = group.empty_into(home)
        && !is_gone(&error)
    {
        tracing::warn!(%error, process, "a process that was held stays in a control group of its own");
        if let Err(error) = group.thaw() {
            tracing::error!(%error, process, "a process that was held stays frozen");
        }
    }
}

fn none_if_gone<T>(error: io::Error) -> io::Result<Option<T>> {
    if is_gone(&error) { Ok(None) } else { Err(error) }
}

/// Whether a group was removed, with all that was in it.
fn is_gone(error: &io::Error) -> bool {
    [libc::ENOENT, libc::ENODEV].map(Some).contains(&error.raw_os_error())
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
