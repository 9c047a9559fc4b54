// SPDX-License-Identifier: Apache-2.0
//! Results that their calls did not get: a call is made for its caller once, although a signal makes the kernel notify it
//! twice.
//!
//! When a signal withdraws a notification after the call was made, the call is notified anew (see [`super::interrupted`]).
//! To make it again would fail, since what it was to make is there, and what it was to remove is not. So its result is
//! kept for the next notification of the same thread with the same registers and the same arguments in memory.

use std::time::{Duration, Instant};

use super::interrupted::CallKey;
use crate::sys::{Notification, Response};

/// Results kept at a time: one per thread, and a program has few threads inside signal handlers.
const MAX_ENTRIES: usize = 256;
/// A handler that runs longer than this sees its call made again.
const LIFETIME: Duration = Duration::from_secs(10);

/// Results of withdrawn calls.
#[derive(Debug, Default)]
pub(super) struct Undelivered(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    call: CallKey,
    /// Hash of the arguments in memory.
    arguments: u64,
    result: Response,
    at: Instant,
}

impl Undelivered {
    /// Keeps a result.
    pub(super) fn keep(&mut self, notification: &Notification, arguments: u64, result: Response, now: Instant) {
        self.forget_old(now);
        if self.0.len() >= MAX_ENTRIES {
            self.0.remove(0);
        }
        self.0.push(Entry { call: notification.into(), arguments, result, at: now });
    }

    /// The result of this call if it was made already; it is handed out once.
    pub(super) fn take(&mut self, notification: &Notification, arguments: u64, now: Instant) -> Option<Response> {
        if self.0.is_empty() {
            return None;
        }
        self.forget_old(now);
        let call = CallKey::from(notification);
        let place = self.0.iter().position(|entry| entry.call == call && entry.arguments == arguments)?;
        Some(self.0.remove(place).result)
    }

    fn forget_old(&mut self, now: Instant) {
        self.0.retain(|entry| now.saturating_duration_since(entry.at) < LIFETIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: u64, tid: u32) -> Notification {
        let args = [0x5000, 0, 0, 0, 0, 0];
        Notification { id, target_tid: tid, nr: 83, arch: 0xc000_003e, instruction_pointer: 0x1000, args }
    }

    #[test]
    fn a_result_goes_once_to_the_same_call_of_the_same_thread() {
        let (mut undelivered, now) = (Undelivered::default(), Instant::now());
        undelivered.keep(&call(1, 10), 77, Response::Value(0), now);
        assert_eq!(undelivered.take(&call(2, 11), 77, now), None, "another thread");
        assert_eq!(undelivered.take(&call(2, 10), 78, now), None, "other arguments");
        assert_eq!(undelivered.take(&call(2, 10), 77, now), Some(Response::Value(0)));
        assert_eq!(undelivered.take(&call(3, 10), 77, now), None, "handed out");
        undelivered.keep(&call(4, 10), 77, Response::Errno(libc::EEXIST), now);
        assert_eq!(undelivered.take(&call(5, 10), 77, now + LIFETIME), None, "too old");
    }
}
