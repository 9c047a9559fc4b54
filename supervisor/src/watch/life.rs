// SPDX-License-Identifier: Apache-2.0
//! The thread of one watch: from the first notification, a predecessor's included, to the end of the last task.

use std::{
    io,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
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

/// One listener with the page its notifications are received into.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The listener's number within its container.
    pub(crate) number: u32,
    /// Where notifications come from.
    pub(crate) listener: Arc<Listener>,
    /// Where they are received into.
    pub(crate) slots: Arc<Slots>,
}

/// A running watch, as the thread that started it sees it.
#[derive(Debug)]
pub(crate) struct WatchThread {
    handle: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Starts the thread.
    pub(crate) fn start(self, shared: Arc<Shared>) -> io::Result<WatchThread> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let handle = thread::Builder::new()
            .name(format!("watch-{}", self.number))
            .stack_size(STACK_BYTES)
            .spawn(move || self.run(&shared, &seen))?;
        Ok(WatchThread { handle, stop })
    }

    fn run(self, shared: &Arc<Shared>, stop: &AtomicBool) {
        let synchronous = self.listener.wake_synchronously();
        tracing::debug!(listener = self.number, synchronous, "watch begins");
        let mut answerer = Answerer::new(shared, self.number, &self.listener, &self.slots);
        answerer.note_init();
        for slot in self.slots.iter().filter(|slot| slot.notification().is_some()) {
            adopt(&mut answerer, &self.listener, slot);
        }
        if let Some(slot) = self.slots.of_supervisor() {
            while !stop.load(Ordering::Acquire) && self.receive_one(&mut answerer, slot) {}
        }
        tracing::debug!(listener = self.number, "watch ends");
    }

    /// Receives and answers one notification; `false` when there will never be another.
    fn receive_one(&self, answerer: &mut Answerer<'_>, slot: Slot<'_>) -> bool {
        match self.listener.receive(slot.cells()) {
            Ok(notification) => {
                answerer.answer(slot, &notification, Origin::Received);
                slot.clear();
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
    /// Whether the thread has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }

    /// Ends the watch of a listener that has hung up. Before Linux 6.11 a thread in RECV is not told, so it is
    /// interrupted until it has noticed.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        while !self.handle.is_finished() {
            sys::interrupt_thread(&self.handle);
            thread::sleep(REMINDER);
        }
        if self.handle.join().is_err() {
            tracing::error!("a watch thread died of a panic");
        }
    }
}
