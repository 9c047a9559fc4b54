// SPDX-License-Identifier: Apache-2.0
//! [`Bell`]: how the service tells the sinks' threads that there is something to do.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Wakes every waiting thread; what is rung while nobody waits is not lost.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<Rung>,
    changed: Condvar,
}

/// What was rung so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rung {
    /// How often new lines were announced.
    lines: u64,
    /// How often files were to be reopened.
    pub(super) reopens: u64,
    /// The sinks are to stop.
    pub(super) stop: bool,
}

impl Bell {
    /// There may be new lines.
    pub(super) fn announce_lines(&self) {
        self.ring(|rung| rung.lines = rung.lines.wrapping_add(1));
    }

    /// Files may have been renamed.
    pub(super) fn announce_reopen(&self) {
        self.ring(|rung| rung.reopens = rung.reopens.wrapping_add(1));
    }

    pub(super) fn stop(&self) {
        self.ring(|rung| rung.stop = true);
    }

    /// What was rung so far, at once.
    pub(super) fn rung(&self) -> Rung {
        *self.lock()
    }

    /// Waits until something is rung that is not in `seen`, at most for `timeout`.
    pub(super) fn wait(&self, seen: Rung, timeout: Duration) -> Rung {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |rung| *rung == seen);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits for `timeout`, or less if the sinks are to stop.
    pub(super) fn wait_for_stop(&self, timeout: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |rung| !rung.stop);
        waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }

    fn ring(&self, change: impl FnOnce(&mut Rung)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
