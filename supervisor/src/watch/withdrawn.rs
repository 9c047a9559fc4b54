// SPDX-License-Identifier: Apache-2.0
//! What is kept of calls whose notifications were withdrawn: one call, one alert and one deed, although a signal makes the
//! kernel notify a call twice.
//!
//! When a signal interrupts a call that waits for its answer, the notification is withdrawn and, after the handler, the
//! call is notified anew under another id (`SA_RESTART`; `seccomp_unotify(2)`, "Interaction with `SA_RESTART` signal
//! handlers"). What belongs to the call then goes to the next notification of the same thread with the same registers and
//! the same hash, and to no other:
//!
//! - An alert that was written before the withdrawal showed stands for a call that has not happened, and is paid in
//!   advance: the next notification with the same words in its alert uses it up instead of writing a second one. Nothing
//!   can be hidden that way: every use was paid for by one alert with the same words, and one alert pays for one call.
//! - A call that was made for its caller has its result. To make it again would fail, since what it was to make is there,
//!   and what it was to remove is not. So the next notification with the same arguments in memory gets that result, and
//!   where an open has made a file, that file, if its name still leads to it. A program gets nothing that belonged to
//!   another one which had its task's number ([`claim`]).

use std::{
    hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState},
    os::fd::OwnedFd,
    sync::LazyLock,
    time::{Duration, Instant},
};

use crate::{
    event::CallEvent,
    sys::{Notification, Response},
};

/// Calls remembered at a time: one per thread, and a program has few threads inside signal handlers.
const MAX_ENTRIES: usize = 256;
/// After a handler that runs longer than this there is a second alert rather than a silent call, and a call is made again.
const LIFETIME: Duration = Duration::from_secs(10);

/// What hashes words and arguments: with a key that nobody outside knows, who could else look for two calls with the same
/// hash and have the one pay for the other.
pub(super) fn hasher() -> DefaultHasher {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.build_hasher()
}

/// What entitles a call to what was kept for it, beside its registers: hash of its arguments in memory, of what it starts
/// from, of the task and of the program, since the same numbers may stand for others by now. A program with other rights
/// has another mark (`AT_EUID`, `AT_SECURE`, getauxval(3)).
///
/// Where the kernel holds signals back nothing is ever made anew, and the program is not asked for.
pub(super) fn claim(event: &CallEvent<'_>, is_wait_killable: bool) -> u64 {
    let mut hasher = hasher();
    event.hash_arguments(&mut hasher);
    event.handles().map(|handles| handles.identities()).hash(&mut hasher);
    if let Some(caller) = event.caller().filter(|_| !is_wait_killable) {
        (caller.identity(), caller.program_mark()).hash(&mut hasher);
    }
    hasher.finish()
}

/// Alerts that were paid for in advance, by the hash of their words.
pub(super) type Interrupted = Withdrawn<()>;
/// Results that their calls did not get, by the hash of the arguments in memory.
pub(super) type Undelivered = Withdrawn<Response>;
/// Files that were made for an open which did not get them, likewise.
pub(super) type UndeliveredFiles = Withdrawn<MadeFile>;

/// A file that an open has made.
#[derive(Debug)]
pub(super) struct MadeFile {
    pub(super) file: OwnedFd,
    pub(super) close_on_exec: bool,
    /// See [`claim`].
    pub(super) claim: u64,
}

/// What belongs to calls that will be notified anew.
#[derive(Debug)]
pub(super) struct Withdrawn<T>(Vec<Entry<T>>);

#[derive(Debug)]
struct Entry<T> {
    call: CallKey,
    hash: u64,
    kept: T,
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

impl<T> Default for Withdrawn<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Withdrawn<T> {
    /// Keeps something for the call's next notification.
    pub(super) fn keep(&mut self, notification: &Notification, hash: u64, kept: T, now: Instant) {
        self.forget_old(now);
        if self.0.len() >= MAX_ENTRIES {
            self.0.remove(0);
        }
        self.0.push(Entry { call: notification.into(), hash, kept, at: now });
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was kept for this call; it is handed out once.
    pub(super) fn take(&mut self, notification: &Notification, hash: u64, now: Instant) -> Option<T> {
        self.forget_old(now);
        self.take_back(notification, hash)
    }

    /// The same, however old it is; `None` where it was handed out meanwhile.
    pub(super) fn take_back(&mut self, notification: &Notification, hash: u64) -> Option<T> {
        let call = CallKey::from(notification);
        let place = self.0.iter().position(|entry| entry.call == call && entry.hash == hash)?;
        Some(self.0.remove(place).kept)
    }

    /// Gives up what is too old.
    pub(super) fn forget_old(&mut self, now: Instant) {
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
        interrupted.keep(&call(1, 10, 0x5000), 77, (), now);
        assert_eq!(interrupted.take(&call(2, 11, 0x5000), 77, now), None, "another thread");
        assert_eq!(interrupted.take(&call(2, 10, 0x6000), 77, now), None, "other registers");
        assert_eq!(interrupted.take(&call(2, 10, 0x5000), 78, now), None, "other words");
        assert_eq!(interrupted.take(&call(2, 10, 0x5000), 77, now), Some(()));
        assert_eq!(interrupted.take(&call(3, 10, 0x5000), 77, now), None, "used up");
        interrupted.keep(&call(4, 10, 0x5000), 77, (), now);
        assert_eq!(interrupted.take_back(&call(4, 10, 0x5000), 77), Some(()));
        assert_eq!(interrupted.take(&call(5, 10, 0x5000), 77, now), None, "taken back");
    }

    #[test]
    fn nested_handlers_keep_both_calls_and_old_ones_are_forgotten() {
        let mut interrupted = Interrupted::default();
        let now = Instant::now();
        interrupted.keep(&call(1, 10, 0x5000), 77, (), now);
        interrupted.keep(&call(2, 10, 0x6000), 78, (), now);
        assert_eq!(interrupted.take(&call(3, 10, 0x6000), 78, now), Some(()));
        assert_eq!(interrupted.take(&call(4, 10, 0x5000), 77, now + LIFETIME), None);
    }

    #[test]
    fn a_result_goes_once_to_the_same_call_of_the_same_thread() {
        let (mut undelivered, now) = (Undelivered::default(), Instant::now());
        undelivered.keep(&call(1, 10, 0x5000), 77, Response::Value(0), now);
        assert_eq!(undelivered.take(&call(2, 11, 0x5000), 77, now), None, "another thread");
        assert_eq!(undelivered.take(&call(2, 10, 0x5000), 78, now), None, "other arguments");
        assert_eq!(undelivered.take(&call(2, 10, 0x5000), 77, now), Some(Response::Value(0)));
        assert_eq!(undelivered.take(&call(3, 10, 0x5000), 77, now), None, "handed out");
        undelivered.keep(&call(4, 10, 0x5000), 77, Response::Errno(libc::EEXIST), now);
        assert_eq!(undelivered.take(&call(5, 10, 0x5000), 77, now + LIFETIME), None, "too old");
    }
}
