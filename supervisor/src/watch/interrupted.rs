// SPDX-License-Identifier: Apache-2.0
//! One call, one alert, although a signal makes the kernel notify a call twice.
//!
//! When a signal interrupts a call that waits for its answer, the notification is withdrawn and, after the handler, the
//! call is notified anew under another id (`SA_RESTART`; `seccomp_unotify(2)`, "Interaction with `SA_RESTART` signal
//! handlers"). If the alert was written before the withdrawal showed, it stands for a call that has not happened. Such an
//! alert is kept here as paid in advance: the next notification of the same thread with the same registers and the same
//! alert text uses it up instead of writing a second one. Nothing can be hidden that way: every use was paid for by one
//! alert with the same words, and one alert pays for one call.

use std::time::{Duration, Instant};

use crate::sys::Notification;

/// Interrupted calls remembered at a time: one per thread, and a program has few threads inside signal handlers.
const MAX_ENTRIES: usize = 256;
/// A handler that runs longer than this gets a second alert rather than a silent call.
const LIFETIME: Duration = Duration::from_secs(10);

/// Alerts whose calls were interrupted before they could proceed.
#[derive(Debug, Default)]
pub(super) struct Interrupted(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    call: CallKey,
    /// Hash of the alert's words.
    words: u64,
    at: Instant,
}

/// What a restarted call has in common with its first notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallKey {
    target_tid: u32,
    nr: i32,
    arch: u32,
    instruction_pointer: u64,
    args: [u64; 6],
}

impl From<&Notification> for CallKey {
    fn from(notification: &Notification) -> Self {
        let Notification { id: _, target_tid, nr, arch, instruction_pointer, args } = *notification;
        Self { target_tid, nr, arch, instruction_pointer, args }
    }
}

impl Interrupted {
    /// Remembers that the alert with `words` was written for a call that was then withdrawn.
    pub(super) fn remember(&mut self, notification: &Notification, words: u64, now: Instant) {
        self.forget_old(now);
        if self.0.len() >= MAX_ENTRIES {
            self.0.remove(0);
        }
        self.0.push(Entry { call: notification.into(), words, at: now });
    }

    /// Whether the alert of this call was paid in advance; if so, the payment is used up.
    pub(super) fn was_alerted(&mut self, notification: &Notification, words: u64, now: Instant) -> bool {
        if self.0.is_empty() {
            return false;
        }
        self.forget_old(now);
        self.take_back(notification, words)
    }

    /// Takes back what was paid for this call in advance; false where it was used up meanwhile.
    pub(super) fn take_back(&mut self, notification: &Notification, words: u64) -> bool {
        let call = CallKey::from(notification);
        let place = self.0.iter().position(|entry| entry.call == call && entry.words == words);
        place.map(|place| self.0.remove(place)).is_some()
    }

    fn forget_old(&mut self, now: Instant) {
        self.0.retain(|entry| now.saturating_duration_since(entry.at) < LIFETIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: u64, tid: u32, path: u64) -> Notification {
        let args = [0, path, 0, 0, 0, 0];
        Notification { id, target_tid: tid, nr: 257, arch: 0xc000_003e, instruction_pointer: 0x1000, args }
    }

    #[test]
    fn one_alert_pays_for_one_call_of_the_same_thread_registers_and_words() {
        let mut interrupted = Interrupted::default();
        let now = Instant::now();
        interrupted.remember(&call(1, 10, 0x5000), 77, now);
        assert!(!interrupted.was_alerted(&call(2, 11, 0x5000), 77, now), "another thread");
        assert!(!interrupted.was_alerted(&call(2, 10, 0x6000), 77, now), "other registers");
        assert!(!interrupted.was_alerted(&call(2, 10, 0x5000), 78, now), "other words");
        assert!(interrupted.was_alerted(&call(2, 10, 0x5000), 77, now));
        assert!(!interrupted.was_alerted(&call(3, 10, 0x5000), 77, now), "used up");
        interrupted.remember(&call(4, 10, 0x5000), 77, now);
        assert!(interrupted.take_back(&call(4, 10, 0x5000), 77));
        assert!(!interrupted.was_alerted(&call(5, 10, 0x5000), 77, now), "taken back");
    }

    #[test]
    fn nested_handlers_keep_both_calls_and_old_ones_are_forgotten() {
        let mut interrupted = Interrupted::default();
        let now = Instant::now();
        interrupted.remember(&call(1, 10, 0x5000), 77, now);
        interrupted.remember(&call(2, 10, 0x6000), 78, now);
        assert!(interrupted.was_alerted(&call(3, 10, 0x6000), 78, now));
        assert!(!interrupted.was_alerted(&call(4, 10, 0x5000), 77, now + LIFETIME));
    }
}
