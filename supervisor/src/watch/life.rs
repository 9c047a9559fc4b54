// SPDX-License-Identifier: Apache-2.0
//! The threads of one watch: from the first notification, a predecessor's included, to the end of the last task.
//!
//! One thread receives. A target can hold it up, though: by argument memory that a task of the container's provides when it
//! likes (userfaultfd, FUSE), or by a file system that does not answer. No other call may wait for that, so a thread that
//! has not come back for [`HELD_UP`] is relieved by another one, and ends when it comes back.

use std::{
    io,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::answer::{Answerer, Origin};
use crate::{
    shared::Shared,
    slots::{Slot, Slots},
    sys::{self, Listener, ReceiveError},
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

/// A running watch, as the thread that started it sees it.
#[derive(Debug)]
pub(crate) struct WatchThread {
    watch: Watch,
    shared: Arc<Shared>,
    lead: Arc<Lead>,
    threads: Vec<JoinHandle<()>>,
    alarmed_until: Option<Instant>,
}

impl Watch {
    /// Starts the first thread.
    pub(crate) fn start(self, shared: Arc<Shared>) -> io::Result<WatchThread> {
        let lead = Arc::new(Lead {
            started: Instant::now(),
            relief: AtomicUsize::new(0),
            busy_since: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let mut running = WatchThread { watch: self, shared, lead, threads: Vec::new(), alarmed_until: None };
        running.spawn(0, Slots::OF_SUPERVISOR)?;
        Ok(running)
    }

    fn run(&self, shared: &Arc<Shared>, lead: &Lead, relief: usize, slot: usize) {
        let synchronous = self.listener.wake_synchronously();
        tracing::debug!(listener = self.number, synchronous, relief, "watch begins");
        let mut answerer = Answerer::new(shared, self.number, &self.listener, &self.slots);
        answerer.note_init();
        if relief == 0 {
            for slot in self.slots.iter().filter(|slot| slot.notification().is_some()) {
                adopt(&mut answerer, &self.listener, slot);
            }
        }
        if let Some(slot) = self.slots.slot(slot) {
            while lead.is_with(relief) && self.receive_one(&mut answerer, slot, (lead, relief)) {}
        }
        self.slots.release(slot);
        tracing::debug!(listener = self.number, relief, "watch ends");
    }

    /// Receives and answers one notification; `false` when there will never be another.
    fn receive_one(&self, answerer: &mut Answerer<'_>, slot: Slot<'_>, (lead, relief): (&Lead, usize)) -> bool {
        match self.listener.receive(slot.cells()) {
            Ok(notification) => {
                lead.busy_since.store(lead.now(), Ordering::Release);
                answerer.answer(slot, &notification, Origin::Received);
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
                tracing::error!(listener = self.number, %error, "cannot receive a notification");
                thread::sleep(FAILURE_PAUSE);
            }
        }
        slot.clear();
        !has_hung_up(&self.listener)
    }
}

/// Answers what a predecessor received and left unanswered.
fn adopt(answerer: &mut Answerer<'_>, listener: &Listener, slot: Slot<'_>) {
    if let Some(notification) = slot.notification()
        && listener.is_pending(notification.id)
    {
        let attempts = slot.count_attempt();
        answerer.answer(slot, &notification, Origin::Adopted { attempts });
    }
    slot.clear();
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
    fn spawn(&mut self, relief: usize, slot: usize) -> io::Result<()> {
        let (watch, shared, lead) = (self.watch.clone(), Arc::clone(&self.shared), Arc::clone(&self.lead));
        let thread = thread::Builder::new()
            .name(format!("watch-{}", watch.number))
            .stack_size(STACK_BYTES)
            .spawn(move || watch.run(&shared, &lead, relief, slot))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Starts another thread if the one that receives is held up, and says when to look again. A container that holds up
    /// as many threads as there are slots has to wait for what it has brought about itself.
    pub(crate) fn relieve(&mut self) -> Duration {
        if self.lead.is_held_up() {
            self.threads.retain(|thread| !thread.is_finished());
            if self.alarmed_until.is_none() {
                tracing::warn!(
                    listener = self.watch.number,
                    "a call holds up its watch, which another thread takes over"
                );
            }
            self.alarmed_until = Some(Instant::now() + ALARM);
            self.take_over();
        }
        if self.alarmed_until.is_some_and(|until| until > Instant::now()) { ALARMED_LOOK } else { LOOK }
    }

    fn take_over(&mut self) {
        let Some(slot) = self.watch.slots.reserve() else { return };
        let current = self.lead.relief.load(Ordering::Acquire);
        self.lead.busy_since.store(0, Ordering::Release);
        self.lead.relief.store(current + 1, Ordering::Release);
        if let Err(error) = self.spawn(current + 1, slot) {
            tracing::error!(%error, "a watch cannot be taken over");
            self.watch.slots.release(slot);
            self.lead.relief.store(current, Ordering::Release);
        }
    }

    /// Whether the threads have ended by themselves.
    pub(crate) fn has_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Ends the watch of a listener that has hung up. Before Linux 6.11 a thread in RECV is not told, so it is
    /// interrupted until it has noticed.
    pub(crate) fn stop(self) {
        self.lead.stop.store(true, Ordering::Release);
        for thread in self.threads {
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
