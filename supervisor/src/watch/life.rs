// SPDX-License-Identifier: Apache-2.0
//! A watch from outside: started with a listener, looked after while it runs, stopped when the listener has hung up.

use std::{
    io,
    os::unix::thread::JoinHandleExt as _,
    sync::Arc,
    thread::{self, JoinHandle},
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
        self.crew.forget_old();
        if is_alarmed { ALARMED_LOOK } else { LOOK }
    }

    /// Whether the watch has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.crew.has_ended()
    }

    /// Ends the watch of a listener that has hung up. A thread that has not ended by `deadline` is left where it is: what
    /// it holds is its listener's, which nobody uses any more.
    pub(crate) fn stop(self, deadline: Instant) {
        self.crew.dissolve();
        let left = end_by(self.crew.threads(), deadline);
        if left > 0 {
            let listener = self.crew.number();
            tracing::error!(listener, threads = left, "threads of a watch do not end, and are left behind");
        }
    }
}

/// Waits for threads; says how many have not ended by `deadline`. Before Linux 6.11 a thread in RECV is not told that its
/// listener has hung up, so it is interrupted until it has noticed.
fn end_by(mut threads: Vec<JoinHandle<()>>, deadline: Instant) -> usize {
    loop {
        let (ended, left): (Vec<_>, Vec<_>) = threads.into_iter().partition(JoinHandle::is_finished);
        if ended.into_iter().any(|thread| thread.join().is_err()) {
            tracing::error!("a watch thread died of a panic");
        }
        if left.is_empty() || Instant::now() >= deadline {
            return left.len();
        }
        for thread in &left {
            sys::interrupt_thread(thread.as_pthread_t());
        }
        thread::sleep(REMINDER);
        threads = left;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_thread_that_does_not_end_is_not_waited_for() {
        sys::prepare_interrupts().unwrap();
        // Unlike one in RECV, a thread that waits for a lock is not let go by a signal.
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        let theirs = Arc::clone(&gate);
        let threads = vec![thread::spawn(|| {}), thread::spawn(move || drop(theirs.lock().unwrap()))];
        assert_eq!(end_by(threads, Instant::now() + Duration::from_millis(100)), 1);
        drop(closed);
        assert_eq!(end_by(vec![thread::spawn(|| {})], Instant::now() + Duration::from_secs(10)), 0);
    }
}
