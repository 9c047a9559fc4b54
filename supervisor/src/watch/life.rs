// SPDX-License-Identifier: Apache-2.0
//! A watch from outside: started with a listener, looked after while it runs, stopped when the listener has hung up.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::crew::Crew;
use crate::{
    shared::Shared,
    slots::Slots,
    sys::{self, Listener},
};

/// How often a thread that is to stop is reminded of it.
const REMINDER: Duration = Duration::from_millis(5);
/// How often a call that holds up its thread is looked for, and how often while it happens.
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

/// A running watch, as the thread that started it sees it.
#[derive(Debug)]
pub(crate) struct RunningWatch {
    crew: Arc<Crew>,
    alarmed_until: Option<Instant>,
}

impl Watch {
    /// Starts to receive.
    pub(crate) fn start(self, shared: Arc<Shared>) -> io::Result<RunningWatch> {
        Ok(RunningWatch { crew: Crew::start(self, shared)?, alarmed_until: None })
    }
}

impl RunningWatch {
    /// Lets another thread receive if the one that does is held up, and says when to look again.
    pub(crate) fn relieve(&mut self) -> Duration {
        if self.crew.relieve() {
            if self.alarmed_until.is_none() {
                let listener = self.crew.number();
                tracing::warn!(listener, "a call holds up its watch, which another thread takes over");
            }
            self.alarmed_until = Some(Instant::now() + ALARM);
        }
        let is_alarmed = self.alarmed_until.is_some_and(|until| until > Instant::now());
        self.crew.set_wary(is_alarmed);
        if is_alarmed { ALARMED_LOOK } else { LOOK }
    }

    /// Whether the watch has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.crew.has_ended()
    }

    /// Ends the watch of a listener that has hung up. Before Linux 6.11 a thread in RECV is not told, so it is
    /// interrupted until it has noticed.
    pub(crate) fn stop(self) {
        self.crew.dissolve();
        for thread in self.crew.threads() {
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
