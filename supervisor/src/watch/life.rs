// SPDX-License-Identifier: Apache-2.0
//! The threads of one watch: from the first notification, a predecessor's included, to the end of the last task.
//!
//! One thread receives. A target can hold it up, though: by argument memory that a task of the container's provides when it
//! likes (userfaultfd, FUSE), or by a file system that does not answer. No other call may wait for that, so a thread that
//! has not come back for [`HELD_UP`] is relieved by another one, and ends when it comes back. For a while after that, a
//! thread hands over before it reads memory that is not there.

use std::{
    collections::HashSet,
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::FileExt as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{SysconfVar, sysconf},
};

use super::answer::{Answerer, Origin};
use crate::{
    shared::Shared,
    slots::{Slot, Slots},
    sys::{self, Listener, Notification, ReceiveError},
};

/// Stack of a watch thread: decoding and rules use little of it, and a container may have many watches.
const STACK_BYTES: usize = 256 << 10;
/// Pause after a failure to receive that may repeat itself.
const FAILURE_PAUSE: Duration = Duration::from_millis(10);
/// How often a thread that is to stop is reminded of it.
const REMINDER: Duration = Duration::from_millis(5);

/// How long a call may hold up its thread before another one receives in its place.
const HELD_UP: Duration = Duration::from_millis(20);
/// How often that is looked for, and how often while it happens.
const LOOK: Duration = Duration::from_millis(100);
const ALARMED_LOOK: Duration = Duration::from_millis(5);
/// How long after it happened it is looked for more often: who does it once does it again.
const ALARM: Duration = Duration::from_secs(5);

/// One listener with the memory its notifications are received into.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// The listener's number within its container.
    pub(crate) number: u32,
    /// Where notifications come from.
    pub(crate) listener: Arc<Listener>,
    /// Where they are received into.
    pub(crate) slots: Arc<Slots>,
}

/// Which thread receives, and since when it is busy.
#[derive(Debug)]
struct Lead {
    started: Instant,
    /// 0 for the first thread, n for the nth relief.
    relief: AtomicUsize,
    /// Milliseconds after the start, plus one; 0 while it waits for a notification.
    busy_since: AtomicU64,
    /// Whether a call has held up a thread lately.
    is_wary: AtomicBool,
    stop: AtomicBool,
}

impl Lead {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Whether the thread `relief` still receives.
    fn is_with(&self, relief: usize) -> bool {
        self.relief.load(Ordering::Acquire) == relief && !self.stop.load(Ordering::Acquire)
    }

    fn is_held_up(&self) -> bool {
        let since = self.busy_since.load(Ordering::Acquire);
        let patience = u64::try_from(HELD_UP.as_millis()).unwrap_or(u64::MAX);
        since != 0 && self.now().saturating_sub(since) > patience
    }
}

/// What the threads of one watch share.
#[derive(Debug)]
struct Crew {
    watch: Watch,
    shared: Arc<Shared>,
    lead: Lead,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A running watch, as the thread that started it sees it.
#[derive(Debug)]
pub(crate) struct WatchThread {
    crew: Arc<Crew>,
    alarmed_until: Option<Instant>,
}

impl Watch {
    /// Starts the first thread.
    pub(crate) fn start(self, shared: Arc<Shared>) -> io::Result<WatchThread> {
        let lead = Lead {
            started: Instant::now(),
            relief: AtomicUsize::new(0),
            busy_since: AtomicU64::new(0),
            is_wary: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        };
        let crew = Arc::new(Crew { watch: self, shared, lead, threads: Mutex::default() });
        crew.spawn(0, Slots::OF_SUPERVISOR)?;
        Ok(WatchThread { crew, alarmed_until: None })
    }
}

impl Crew {
    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(self: &Arc<Self>, relief: usize, slot: usize) -> io::Result<()> {
        let crew = Arc::clone(self);
        let thread = thread::Builder::new()
            .name(format!("watch-{}", self.watch.number))
            .stack_size(STACK_BYTES)
            .spawn(move || crew.run(relief, slot))?;
        let mut threads = self.threads();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    /// Lets another thread receive in place of the thread `relief`. A container that holds up as many threads as there are
    /// slots has to wait for what it has brought about itself.
    fn take_over(self: &Arc<Self>, relief: usize) {
        let Some(slot) = self.watch.slots.reserve() else { return };
        let next = relief + 1;
        let is_first = self.lead.relief.compare_exchange(relief, next, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !is_first {
            self.watch.slots.release(slot);
            return;
        }
        self.lead.busy_since.store(0, Ordering::Release);
        if let Err(error) = self.spawn(next, slot) {
            tracing::error!(%error, "a watch cannot be taken over");
            self.watch.slots.release(slot);
            self.lead.relief.store(relief, Ordering::Release);
        }
    }

    fn run(self: &Arc<Self>, relief: usize, slot: usize) {
        let Watch { number, listener, slots } = &self.watch;
        let synchronous = listener.wake_synchronously();
        tracing::debug!(listener = number, synchronous, relief, "watch begins");
        let mut answerer = Answerer::new(&self.shared, *number, listener, slots);
        answerer.note_init();
        if relief == 0 {
            // What is answered here may be parked in further slots, which are no predecessor's.
            let left: Vec<_> = slots.iter().filter_map(|slot| Some((slot, slot.notification()?))).collect();
            let mut adopted = HashSet::new();
            for (slot, notification) in left {
                // A predecessor that died while it parked a call has left it in two slots.
                if adopted.insert(notification.id) {
                    adopt(&mut answerer, listener, slot, &notification);
                }
                slot.clear();
            }
        }
        if let Some(slot) = slots.slot(slot) {
            while self.lead.is_with(relief) && self.receive_one(&mut answerer, slot, relief) {}
        }
        slots.release(slot);
        tracing::debug!(listener = number, relief, "watch ends");
    }

    /// Receives and answers one notification; `false` when there will never be another.
    fn receive_one(self: &Arc<Self>, answerer: &mut Answerer<'_>, slot: Slot<'_>, relief: usize) -> bool {
        let Self { watch: Watch { number, listener, .. }, lead, .. } = &**self;
        match listener.receive(slot.cells()) {
            Ok(notification) => {
                lead.busy_since.store(lead.now(), Ordering::Release);
                let caution = |address| self.mind(relief, notification.target_tid, address);
                answerer.answer(slot, &notification, Origin::Received, &caution);
                slot.clear();
                // Somebody else's time, if this thread was relieved meanwhile.
                if lead.is_with(relief) {
                    lead.busy_since.store(0, Ordering::Release);
                }
                return true;
            }
            // Everyday: the target died or was interrupted while we woke up. From Linux 6.11 on it is also what a
            // listener without tasks says for ever.
            Err(ReceiveError::Vanished) => {}
            Err(ReceiveError::Interrupted) => return true,
            Err(ReceiveError::Refused(error)) => {
                tracing::error!(listener = number, %error, "cannot receive a notification");
                thread::sleep(FAILURE_PAUSE);
            }
        }
        slot.clear();
        !has_hung_up(listener)
    }

    /// Before memory is read that may be a long time coming, another thread takes over.
    fn mind(self: &Arc<Self>, relief: usize, task: u32, address: u64) {
        if self.lead.is_wary.load(Ordering::Relaxed) && self.lead.is_with(relief) && !is_resident(task, address) {
            self.take_over(relief);
        }
    }
}

/// Answers what a predecessor received and left unanswered.
fn adopt(answerer: &mut Answerer<'_>, listener: &Listener, slot: Slot<'_>, notification: &Notification) {
    if listener.is_pending(notification.id) {
        let attempts = slot.count_attempt();
        answerer.answer(slot, notification, Origin::Adopted { attempts }, &|_address| {});
    }
}

/// Whether a page of the task's memory is there, or on a disk; no if nobody knows.
fn is_resident(task: u32, address: u64) -> bool {
    // Documentation/admin-guide/mm/pagemap.rst: eight bytes for each page, bit 63 for one in memory, 62 for one in swap.
    const THERE: u64 = 0b11 << 62;
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok()).unwrap_or(4096);
    let mut entry = [0; 8];
    let read =
        File::open(format!("/proc/{task}/pagemap")).and_then(|map| map.read_exact_at(&mut entry, address / size * 8));
    read.is_ok() && u64::from_ne_bytes(entry) & THERE != 0
}

/// Whether every task of the listener is gone (POLLHUP).
fn has_hung_up(listener: &Listener) -> bool {
    let mut wanted = [PollFd::new(listener.as_fd(), PollFlags::empty())];
    match poll(&mut wanted, PollTimeout::ZERO) {
        Ok(_) => wanted.iter().any(|entry| entry.any().unwrap_or(true)),
        Err(_) => false,
    }
}

impl WatchThread {
    /// Starts another thread if the one that receives is held up, and says when to look again.
    pub(crate) fn relieve(&mut self) -> Duration {
        let lead = &self.crew.lead;
        if lead.is_held_up() {
            if self.alarmed_until.is_none() {
                let listener = self.crew.watch.number;
                tracing::warn!(listener, "a call holds up its watch, which another thread takes over");
            }
            self.alarmed_until = Some(Instant::now() + ALARM);
            self.crew.take_over(lead.relief.load(Ordering::Acquire));
        }
        let is_alarmed = self.alarmed_until.is_some_and(|until| until > Instant::now());
        lead.is_wary.store(is_alarmed, Ordering::Relaxed);
        if is_alarmed { ALARMED_LOOK } else { LOOK }
    }

    /// Whether the threads have ended by themselves.
    pub(crate) fn has_ended(&self) -> bool {
        self.crew.threads().iter().all(JoinHandle::is_finished)
    }

    /// Ends the watch of a listener that has hung up. Before Linux 6.11 a thread in RECV is not told, so it is
    /// interrupted until it has noticed.
    pub(crate) fn stop(self) {
        self.crew.lead.stop.store(true, Ordering::Release);
        let threads = std::mem::take(&mut *self.crew.threads());
        for thread in threads {
            while !thread.is_finished() {
                sys::interrupt_thread(&thread);
                thread::sleep(REMINDER);
            }
            if thread.join().is_err() {
                tracing::error!("a watch thread died of a panic");
            }
        }
    }
}
