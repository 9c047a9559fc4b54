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
//! - An open that waited for the other end of a FIFO may have met it in the very moment of the withdrawal. Its file is kept
//!   likewise, since that other end has gone on; but not for long, and only as long as there is who waited for it: who
//!   comes next must not take it for somebody at the other end.

use std::{
    hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState},
    os::fd::OwnedFd,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use crate::{
    event::CallEvent,
    process::Process,
    sys::{Notification, Response},
};

/// Calls remembered at a time: one per thread, and a program has few threads inside signal handlers.
const MAX_ENTRIES: usize = 256;
/// After a handler that runs longer than this there is a second alert rather than a silent call, and a call is made again.
const LIFETIME: Duration = Duration::from_secs(10);
/// The same for a file that somebody may be at the other end of.
const MEETING: Duration = Duration::from_secs(1);

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
/// Files that belong to an open which did not get them, likewise.
pub(super) type UndeliveredFiles = Withdrawn<CallFile>;

/// A file that belongs to one call, which cannot have it by being made anew.
#[derive(Debug)]
pub(super) struct CallFile {
    pub(super) file: OwnedFd,
    pub(super) close_on_exec: bool,
    pub(super) title: Title,
}

/// What a file belongs to its call by.
#[derive(Debug, Clone)]
pub(super) struct Title {
    /// See [`claim`].
    pub(super) claim: u64,
    /// Who waited until the file could be opened; nobody where it was made.
    pub(super) waiter: Option<Arc<Process>>,
}

/// What can be kept.
pub(super) trait Kept {
    /// For how long.
    fn lifetime(&self) -> Duration {
        LIFETIME
    }

    /// Whether there is somebody to come back for it.
    fn is_wanted(&self) -> bool {
        true
    }
}

impl Kept for () {}
impl Kept for Response {}

impl Kept for CallFile {
    fn lifetime(&self) -> Duration {
        if self.title.waiter.is_some() { MEETING } else { LIFETIME }
    }

    fn is_wanted(&self) -> bool {
        self.title.waiter.as_ref().is_none_or(|waiter| waiter.program_mark().is_some())
    }
}

/// What belongs to calls that will be notified anew.
#[derive(Debug)]
pub(super) struct Withdrawn<T>(Vec<Entry<T>>);

#[derive(Debug)]
struct Entry<T> {
    call: CallKey,
    hash: u64,
    kept: T,
    until: Instant,
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

impl<T: Kept> Withdrawn<T> {
    /// Keeps something for the call's next notification.
    pub(super) fn keep(&mut self, notification: &Notification, hash: u64, kept: T, now: Instant) {
        self.forget_old(now);
        if self.0.len() >= MAX_ENTRIES {
            self.0.remove(0);
        }
        let until = now + kept.lifetime();
        self.0.push(Entry { call: notification.into(), hash, kept, until });
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
        self.0.retain(|entry| now < entry.until);
    }

    /// Gives up what nobody can come back for.
    pub(super) fn forget_unwanted(&mut self) {
        self.0.retain(|entry| entry.kept.is_wanted());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        process::{Command, Stdio},
    };

    use nix::{
        sys::wait::{Id, WaitPidFlag, waitid},
        unistd::Pid,
    };

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

    #[test]
    fn a_file_from_a_meeting_is_kept_for_a_living_task_and_not_for_long() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let waiter = Arc::new(Process::open(child.id()).unwrap());
        let file = || CallFile {
            file: File::open("/dev/null").unwrap().into(),
            close_on_exec: false,
            title: Title { claim: 77, waiter: Some(Arc::clone(&waiter)) },
        };
        let (mut files, now) = (UndeliveredFiles::default(), Instant::now());
        files.keep(&call(1, 10, 0x5000), 77, file(), now);
        assert!(files.take(&call(2, 10, 0x5000), 77, now + MEETING).is_none(), "too old");
        files.keep(&call(3, 10, 0x5000), 77, file(), now);
        files.forget_unwanted();
        assert!(files.take(&call(4, 10, 0x5000), 77, now).is_some());
        files.keep(&call(5, 10, 0x5000), 77, file(), now);
        child.kill().unwrap();
        // Dead, but not waited for: who has no memory runs nothing any more.
        waitid(Id::Pid(Pid::from_raw(child.id().cast_signed())), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        files.forget_unwanted();
        assert!(files.is_empty());
        child.wait().unwrap();
    }
}
