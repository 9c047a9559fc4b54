// SPDX-License-Identifier: Apache-2.0
//! The shared page of one listener: notifications in flight, kept where they survive the process that received them.
//!
//! A notification that was received and not answered is never delivered again. So the kernel writes it straight into a
//! slot of a memfd that the guard owns too; a successor finds there what its predecessor left.
//!
//! Layout in eight-byte cells: a header of 32, then slots of 32.
//!
//! | cell of the header | holds |
//! |---|---|
//! | 0 | the task that executed the first program, 0 before ([`Phase`]) |
//! | 1 | one more than the last thread's slot that was ever taken |
//! | 2 | whether a task entered a Landlock domain |
//! | 3 | how many calls supervisors took up |
//! | 4 | how often their main threads looked after the listener |
//! | 5 | one more than the last slot that a call was ever parked in |
//!
//! | cell of a slot | holds |
//! |---|---|
//! | 0 to 15 | the kernel's `seccomp_notif`, all zero while the slot is free |
//! | 16 | how many supervisors died on it |
//! | 17, 18 | where the event log ended before its alert was written: inode, position |
//! | 19 | how far a call that is made here has come |
//! | 20 | when a supervisor last took it over (unix time) |
//! | 21 | how many of its alerts stand in the log, doubled, and one more while others are being written |
//!
//! The first slot is the supervisor's to receive into, the second one the guard's; the others are for calls that wait for
//! something else than a decision, and for threads that relieve one of the supervisor's.

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::{
    sys::memfd::{MFdFlags, memfd_create},
    unistd::ftruncate,
};

use crate::{
    event_log::Position,
    sys::{Mapping, NOTIFICATION_CELLS, Notification, SyscallError},
};

/// Cells of the header and of each slot.
const BLOCK_CELLS: usize = 32;
/// Slots that are received into from the beginning: the supervisor's and the guard's.
const RECEIVING: usize = 2;
/// Slots of further threads, one each: more than execs may be followed at one time. Calls that wait take none of them, or
/// 1000 FIFOs would keep programs from being executed.
const OF_THREADS: Range<usize> = RECEIVING..640;
/// Slots of calls that wait: more than may at one time.
const OF_WAITING: Range<usize> = OF_THREADS.end..1664;
/// All slots. Only the pages of those that are used take memory.
const SLOTS: usize = OF_WAITING.end;
/// Bytes of the memfd.
const LENGTH: NonZeroUsize = NonZeroUsize::new((1 + SLOTS) * BLOCK_CELLS * size_of::<u64>()).unwrap();
/// A supervisor that has lived so long with a call did not die of it.
const LONG_LIFE: Duration = Duration::from_mins(1);

/// The memfd behind the page, as the guard holds it and hands it on.
#[derive(Debug)]
pub(crate) struct SlotsFile(OwnedFd);

/// The page, mapped.
#[derive(Debug)]
pub(crate) struct Slots {
    memory: Mapping,
    /// Free slots that some thread of this process is about to receive into.
    reserved: Mutex<BTreeSet<usize>>,
}

/// One place for a notification in flight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot<'a> {
    index: usize,
    notification: &'a [AtomicU64; NOTIFICATION_CELLS],
    attempts: &'a AtomicU64,
    log_inode: &'a AtomicU64,
    log_position: &'a AtomicU64,
    made: &'a AtomicU64,
    adopted: &'a AtomicU64,
    logged: &'a AtomicU64,
}

/// How far a call has come that is made for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing was done yet.
    None,
    /// It was begun, and may have been made.
    Begun,
    /// It was made; 0, or the errno that it failed with.
    Done(i32),
}

/// Values of a slot's cell for how far a call has come; errnos follow.
const BEGUN: u64 = 1;
const DONE: u64 = 2;

/// Whether tasks of a listener may be in a Landlock domain, which holds for what they do themselves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Landlock {
    /// None entered one.
    None,
    /// One did, and its children live in it. Domains cannot be left, and who is in one cannot be asked.
    Entered,
    /// And an alert says that opens are therefore not performed.
    Said,
}

/// Values of the header's cell for it.
const ENTERED: u64 = 1;
const SAID: u64 = 2;

/// How far the process that installed the filter has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The low-level runtime's init is still preparing; its calls are not the container's.
    Preparing,
    /// The first program was executed.
    Started {
        /// By this task, in our pid namespace: for the container's first listener, the container's first process.
        task: u32,
    },
}

impl SlotsFile {
    /// A page of free slots.
    pub(crate) fn create() -> Result<Self, SyscallError> {
        let file = memfd_create(c"lanner-slots", MFdFlags::MFD_CLOEXEC)
            .map_err(|errno| SyscallError::from_errno("memfd_create", errno))?;
        let bytes = i64::try_from(LENGTH.get()).unwrap_or(i64::MAX);
        ftruncate(&file, bytes).map_err(|errno| SyscallError::from_errno("ftruncate", errno))?;
        Ok(Self(file))
    }

    /// Takes a descriptor that came from the guard.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Maps the page.
    pub(crate) fn map(&self) -> Result<Slots, SyscallError> {
        Ok(Slots { memory: Mapping::new(self.0.as_fd(), LENGTH)?, reserved: Mutex::default() })
    }
}

impl AsFd for SlotsFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Slots {
    /// How far the first process of this listener has come.
    pub(crate) fn phase(&self) -> Phase {
        let task = self.memory.cells().first().map_or(0, |cell| cell.load(Ordering::Acquire));
        match u32::try_from(task) {
            Ok(task) if task != 0 => Phase::Started { task },
            _ => Phase::Preparing,
        }
    }

    /// Records that `task` executes the listener's first program.
    pub(crate) fn set_started(&self, task: u32) {
        if let Some(cell) = self.memory.cells().first() {
            cell.store(u64::from(task), Ordering::Release);
        }
    }

    /// Whether a task of this listener entered a Landlock domain.
    pub(crate) fn landlock(&self) -> Landlock {
        match self.memory.cells().get(2).map(|cell| cell.load(Ordering::Acquire)) {
            Some(ENTERED) => Landlock::Entered,
            Some(SAID) => Landlock::Said,
            _ => Landlock::None,
        }
    }

    /// Records that one is about to.
    pub(crate) fn set_landlock_entered(&self) {
        if let Some(cell) = self.memory.cells().get(2) {
            cell.fetch_max(ENTERED, Ordering::AcqRel);
        }
    }

    /// Records that it was said what follows from it; whether nobody else has said it.
    pub(crate) fn set_landlock_said(&self) -> bool {
        self.memory.cells().get(2).is_some_and(|cell| cell.swap(SAID, Ordering::AcqRel) != SAID)
    }

    /// Counts a call that a supervisor has received, or found left by another one.
    pub(crate) fn count_taken(&self) {
        if let Some(cell) = self.memory.cells().get(3) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many calls supervisors took up.
    pub(crate) fn taken(&self) -> u64 {
        self.memory.cells().get(3).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Counts a look of the supervisor's main thread.
    pub(crate) fn count_look(&self) {
        if let Some(cell) = self.memory.cells().get(4) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often main threads looked.
    pub(crate) fn looks(&self) -> u64 {
        self.memory.cells().get(4).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// The slot that a supervisor's first thread receives into.
    pub(crate) const OF_SUPERVISOR: usize = 0;

    /// Sets a free slot aside to be received into; `None` where all are taken.
    pub(crate) fn reserve(&self) -> Option<usize> {
        let mut reserved = self.reserved();
        let index = self.free(OF_THREADS, &reserved)?;
        reserved.insert(index);
        Some(index)
    }

    /// Gives a slot back that was reserved.
    pub(crate) fn release(&self, index: usize) {
        self.reserved().remove(&index);
    }

    fn reserved(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot of these that nobody uses; from now on it counts as one that may be taken.
    fn free(&self, mut range: Range<usize>, reserved: &BTreeSet<usize>) -> Option<usize> {
        let end = self.end_of(&range)?;
        let is_free = |index: &usize| {
            !reserved.contains(index) && self.slot(*index).is_some_and(|slot| slot.notification().is_none())
        };
        let index = range.find(is_free)?;
        end.fetch_max(u64::try_from(index + 1).ok()?, Ordering::AcqRel);
        Some(index)
    }

    /// The header's cell for one more than the last slot of these that was ever taken.
    fn end_of(&self, range: &Range<usize>) -> Option<&AtomicU64> {
        self.memory.cells().get(if *range == OF_THREADS { 1 } else { 5 })
    }

    /// The slot that a guard receives into.
    pub(crate) fn of_guard(&self) -> Option<Slot<'_>> {
        self.slot(1)
    }

    /// All slots that were ever taken, free now or not.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot<'_>> {
        let taken = [OF_THREADS, OF_WAITING].into_iter().flat_map(|range| {
            let end = self.end_of(&range).map_or(0, |cell| cell.load(Ordering::Acquire));
            range.start..usize::try_from(end).map_or(range.end, |end| end.min(range.end))
        });
        (0..RECEIVING).chain(taken).filter_map(|index| self.slot(index))
    }

    /// Moves what `slot` holds to a slot where it may stay for long; returns its number, or `None` where all are taken.
    pub(crate) fn park(&self, slot: Slot<'_>) -> Option<usize> {
        // Held until the slot is seen to be taken.
        let reserved = self.reserved();
        let index = self.free(OF_WAITING, &reserved)?;
        self.slot(index)?.copy_from(slot);
        drop(reserved);
        slot.clear();
        Some(index)
    }

    /// One slot.
    pub(crate) fn slot(&self, index: usize) -> Option<Slot<'_>> {
        let block = self.memory.cells().chunks_exact(BLOCK_CELLS).nth(index + 1)?;
        let (notification, rest) = block.split_first_chunk::<NOTIFICATION_CELLS>()?;
        let [attempts, log_inode, log_position, made, adopted, logged, ..] = rest else { return None };
        Some(Slot { index, notification, attempts, log_inode, log_position, made, adopted, logged })
    }
}

impl<'a> Slot<'a> {
    /// Its number, see [`Slots::slot`].
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Where the kernel writes.
    pub(crate) fn cells(&self) -> &'a [AtomicU64; NOTIFICATION_CELLS] {
        self.notification
    }

    /// The notification in it, or `None` while the slot is free.
    pub(crate) fn notification(&self) -> Option<Notification> {
        let notification = Notification::from_cells(self.notification);
        (notification.id != 0).then_some(notification)
    }

    /// Whether it is one of those for calls that wait for something else than a decision.
    pub(crate) fn is_of_waiting(&self) -> bool {
        OF_WAITING.contains(&self.index)
    }

    /// Frees it if it still holds this notification.
    pub(crate) fn clear_of(&self, id: u64) {
        if self.notification().is_some_and(|held| held.id == id) {
            self.clear();
        }
    }

    /// Counts one more supervisor that died with this notification unanswered; returns how many did in a row. One that has
    /// lived for long with it did not die of it: a call may wait for days.
    pub(crate) fn count_attempt(&self, now: SystemTime) -> u64 {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let before = self.adopted.swap(now, Ordering::AcqRel);
        if before != 0 && now.saturating_sub(before) > LONG_LIFE.as_secs() {
            self.attempts.store(0, Ordering::Release);
        }
        self.attempts.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Remembers where the event log ends, before alerts of this notification are written: the first ones, or, after
    /// [`Self::forget_logged`], the first with other words.
    pub(crate) fn mark_log(&self, position: Position) {
        if self.logged() == 0 {
            self.log_position.store(position.offset, Ordering::Relaxed);
            self.log_inode.store(position.inode, Ordering::Relaxed);
        }
        self.logged.fetch_or(1, Ordering::Release);
    }

    /// Forgets alerts whose words are not those of the call any more.
    pub(crate) fn forget_logged(&self) {
        self.logged.store(0, Ordering::Release);
    }

    /// Remembers that so many more stand there.
    pub(crate) fn mark_logged(&self, more: u64) {
        self.logged.store((self.logged() + more) << 1, Ordering::Release);
    }

    /// How many stand there for sure.
    pub(crate) fn logged(&self) -> u64 {
        self.logged.load(Ordering::Acquire) >> 1
    }

    /// Behind where all of this notification stand, as far as they were written; `None` where nobody was just about to write
    /// any, and [`Self::logged`] says how many there are.
    pub(crate) fn log_mark(&self) -> Option<Position> {
        let is_being_written = self.logged.load(Ordering::Acquire) & 1 != 0;
        let [inode, offset] = [self.log_inode, self.log_position].map(|cell| cell.load(Ordering::Acquire));
        is_being_written.then_some(Position { inode, offset })
    }

    /// Remembers that the call, or the file that an open makes, is about to be made: a successor that makes it again must
    /// not take what is there for somebody else's.
    pub(crate) fn mark_begun(&self) {
        self.made.store(BEGUN, Ordering::Release);
    }

    /// Remembers what the call came to, before the target learns of it.
    pub(crate) fn mark_done(&self, errno: i32) {
        self.made.store(DONE + u64::try_from(errno).unwrap_or(0), Ordering::Release);
    }

    /// How far the call has come.
    pub(crate) fn progress(&self) -> Progress {
        match self.made.load(Ordering::Acquire) {
            BEGUN => Progress::Begun,
            done if done >= DONE => Progress::Done(i32::try_from(done - DONE).unwrap_or(libc::EIO)),
            _ => Progress::None,
        }
    }

    /// Takes over what another slot holds. The id comes last: it is what makes the slot taken.
    fn copy_from(&self, other: Slot<'_>) {
        let marks = [
            (self.attempts, other.attempts),
            (self.log_inode, other.log_inode),
            (self.log_position, other.log_position),
            (self.made, other.made),
            (self.adopted, other.adopted),
            (self.logged, other.logged),
        ];
        let cells = self.notification.iter().zip(other.notification).rev();
        for (to, from) in marks.into_iter().chain(cells) {
            to.store(from.load(Ordering::Acquire), Ordering::Release);
        }
    }

    /// Frees the slot; the kernel wants all cells zero before it writes the next notification. The id goes last: without it
    /// the slot may be taken, and a slot with a notification never carries the marks of an earlier one.
    pub(crate) fn clear(&self) {
        for cell in [self.log_inode, self.log_position, self.attempts, self.adopted, self.made, self.logged] {
            cell.store(0, Ordering::Relaxed);
        }
        for cell in self.notification.iter().rev() {
            cell.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_mapping_sees_what_the_first_one_wrote() {
        let file = SlotsFile::create().unwrap();
        let (first, second) = (file.map().unwrap(), file.map().unwrap());
        assert_eq!(second.phase(), Phase::Preparing);
        first.set_started(71);
        assert_eq!(second.phase(), Phase::Started { task: 71 });

        let slot = first.iter().next().unwrap();
        slot.cells()[0].store(7, Ordering::Release);
        slot.mark_log(Position { inode: 3, offset: 5 });
        let same = second.iter().next().unwrap();
        assert_eq!(same.notification().map(|notification| notification.id), Some(7));
        assert_eq!((same.log_mark(), same.logged()), (Some(Position { inode: 3, offset: 5 }), 0));
        slot.mark_logged(2);
        assert_eq!((same.log_mark(), same.logged()), (None, 2));
        slot.mark_log(Position { inode: 3, offset: 9 });
        assert_eq!((same.log_mark(), same.logged()), (Some(Position { inode: 3, offset: 5 }), 2));
        slot.forget_logged();
        slot.mark_log(Position { inode: 3, offset: 11 });
        assert_eq!(same.log_mark(), Some(Position { inode: 3, offset: 11 }));
        let begin = UNIX_EPOCH + LONG_LIFE;
        let deaths = [0, 1, 60, 120, 181].map(|seconds| same.count_attempt(begin + Duration::from_secs(seconds)));
        assert_eq!(deaths, [1, 2, 3, 4, 1]);
        slot.clear();
        assert!(second.iter().all(|slot| slot.notification().is_none() && slot.log_mark().is_none()));
    }

    #[test]
    fn a_call_that_waits_is_moved_aside_and_found_there() {
        let file = SlotsFile::create().unwrap();
        let (first, second) = (file.map().unwrap(), file.map().unwrap());
        for id in 1..=3 {
            let slot = first.slot(Slots::OF_SUPERVISOR).unwrap();
            slot.cells()[0].store(id, Ordering::Release);
            slot.mark_log(Position { inode: id, offset: 9 });
            assert_eq!(first.park(slot), Some(OF_WAITING.start + usize::try_from(id).unwrap() - 1));
        }
        let ids = |slots: &Slots| -> Vec<_> {
            slots.iter().filter_map(|slot| slot.notification()).map(|notification| notification.id).collect()
        };
        assert_eq!(ids(&second), [1, 2, 3]);
        let parked = second.slot(OF_WAITING.start + 1).unwrap();
        assert_eq!(parked.log_mark(), Some(Position { inode: 2, offset: 9 }));
        parked.clear();
        assert_eq!(ids(&first), [1, 3]);
        // Threads have slots of their own, which are found, too.
        assert_eq!([first.reserve(), first.reserve()], [Some(RECEIVING), Some(RECEIVING + 1)]);
        first.slot(RECEIVING + 1).unwrap().cells()[0].store(5, Ordering::Release);
        assert_eq!(ids(&second), [5, 1, 3]);
        first.slot(RECEIVING + 1).unwrap().clear();
        let slot = first.slot(Slots::OF_SUPERVISOR).unwrap();
        slot.cells()[0].store(4, Ordering::Release);
        assert_eq!(first.park(slot), Some(OF_WAITING.start + 1));
    }
}
