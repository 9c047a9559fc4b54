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
//!   and what it was to remove is not, or would do it to what a handler has put there. So the next notification with the
//!   same arguments in memory gets that result; one that failed is simply made again. Where an open has made a file, or cut
//!   one, the next gets that file, if its name still leads to it: whatever a handler has written meanwhile would be cut off
//!   with the second time. A program gets nothing that belonged to another one which had its task's number ([`claim`]).
//! - Where a handler does not restart the call, the program has seen EINTR and goes on, and by the next call with the same
//!   words it means that it be made. So results, and files that were cut, are given up when their thread makes another call
//!   from where no handler can be ([`is_passed`]).
//! - An exec that was allowed keeps its verdict, for a moment. Judging it may take longer than its task has between two
//!   signals, and then it would never get through: a Go runtime sends itself one every 10 ms while it executes a program
//!   (that of runc among them, at the end of a container's start). The first withdrawal is only noted; what the second
//!   notification claims is read before it is judged, and its verdict goes to a third one. It stands for what the judgement
//!   before the exec is worth; what is loaded is judged in any case.
//! - An open that waited for the other end of a FIFO may have met it in the very moment of the withdrawal. Its file is kept
//!   likewise, since that other end has gone on, but not for long: who comes next takes it for somebody at its own end.
//!
//! A file is kept only as long as its call's task runs the same program.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState},
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use super::executing::Allowance;
use crate::{
    event::CallEvent,
    process::{Process, Wait},
    sys::{FileFacts, Notification, Response, file_facts},
};

/// Calls remembered at a time: one per thread. A program has few threads inside signal handlers, but all are when it is frozen.
const MAX_ENTRIES: usize = 2048;
/// The same of execs: each holds descriptors of its task.
const MAX_EXECS: usize = 128;
/// After a handler that runs longer than this there is a second alert rather than a silent call, and a call is made again.
const LIFETIME: Duration = Duration::from_secs(10);
/// How long before that it is looked whether the task can have gone on at all: one that is frozen, or stopped, makes its call
/// anew when it is not any more, be it hours later.
const MARGIN: Duration = Duration::from_secs(1);
/// The same limit for a file whose other end somebody may have, and for a verdict.
const MOMENT: Duration = Duration::from_secs(1);

/// What the kernel puts at least between a stack that a signal interrupts and its handler: registers, and those of the
/// floating-point unit (`rt_sigframe` of its `asm/sigframe.h`).
const LEAST_FRAME: u64 = 512;
/// How far above a call's own end of a stack a program's next calls are. A handler may have a stack of its own, above.
const NEAR: u64 = 64 << 10;

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
/// Where the kernel holds signals back nothing is ever made anew, and there is no `owner`.
pub(super) fn claim(event: &CallEvent<'_>, owner: Option<&Process>) -> u64 {
    let mut hasher = hasher();
    event.hash_arguments(&mut hasher);
    event.handles().map(|handles| handles.identities()).hash(&mut hasher);
    owner.map(|owner| (owner.identity(), owner.program_mark())).hash(&mut hasher);
    hasher.finish()
}

/// An alert that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alerted {
    /// Hash of its words.
    pub(super) words: u64,
    /// The notification under whose id it stands in the log.
    pub(super) notification: u64,
}

/// Alerts that were paid for in advance, by the hash of their words.
pub(super) type Interrupted = Withdrawn<Alerted>;
/// Results that their calls did not get, by the hash of the arguments in memory.
pub(super) type Undelivered = Withdrawn<KeptResult>;
/// Files that belong to an open which did not get them, likewise.
pub(super) type UndeliveredFiles = Withdrawn<KeptFile>;
/// Execs that did not go on, by what they claim, if it was asked.
pub(super) type UndeliveredExecs = Withdrawn<KeptExec>;

/// What a call came to that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeptResult {
    pub(super) response: Response,
    pub(super) alerted: Option<Alerted>,
    /// Where its caller's stack ended.
    pub(super) called_at: Option<u64>,
}

/// What is known of an exec that was withdrawn.
#[derive(Debug)]
pub(super) enum KeptExec {
    /// That it was, before anybody asked what it claims.
    Noted,
    /// That an interrupt of ours seems to have ended what the call with this notification waited for.
    Interrupted(u64),
    /// That it may go on.
    Allowed(Box<Allowance>),
}

/// A file that belongs to one call, which cannot have it by being made anew.
#[derive(Debug)]
pub(super) struct CallFile {
    pub(super) file: OwnedFd,
    pub(super) close_on_exec: bool,
    pub(super) title: Title,
    /// When it was opened.
    since: Instant,
}

impl CallFile {
    /// A file that was opened just now.
    pub(super) fn new(file: OwnedFd, close_on_exec: bool, title: Title) -> Self {
        Self { file, close_on_exec, title, since: Instant::now() }
    }
}

/// What a file belongs to its call by.
#[derive(Debug, Clone)]
pub(super) struct Title {
    /// See [`claim`].
    pub(super) claim: u64,
    /// Who called; nobody where no call is ever made anew.
    pub(super) owner: Option<Arc<Process>>,
    pub(super) kind: Kind,
    /// Where the stack ended of the call that cut the file.
    pub(super) cut_at: Option<u64>,
}

/// Why a call cannot have its file by being made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is there now, or what it held is not.
    Made,
    /// Whoever had a lease of it gave that up for the call.
    Leased,
    /// Somebody may have its other end; it is this file.
    Met(FileFacts),
}

impl Kind {
    /// Whether the file holds text.
    pub(super) fn is_regular(self) -> bool {
        !matches!(self, Self::Met(_))
    }
}

/// A file that is kept.
#[derive(Debug)]
pub(super) struct KeptFile {
    pub(super) own: CallFile,
    /// Which file it is, where its file system says so.
    pub(super) facts: Option<FileFacts>,
    /// Which program the owner ran by then.
    stack: u64,
}

impl KeptFile {
    /// Where there is somebody to come back for it.
    pub(super) fn new(own: CallFile) -> Option<Self> {
        let stack = own.title.owner.as_ref().and_then(|owner| stack_of(owner))?;
        let facts = file_facts(own.file.as_fd(), c"", false).ok();
        Some(Self { own, facts, stack })
    }
}

/// Whether a call is over whose caller's stack ended there, as its thread makes another one with its stack ending at
/// `stack_pointer`: on the same stack, and where a handler of the first one would not be, which has what it interrupted above
/// itself.
fn is_passed(called_at: Option<u64>, stack_pointer: u64) -> bool {
    called_at.is_some_and(|called| {
        (called.saturating_sub(LEAST_FRAME)..called.saturating_add(NEAR)).contains(&stack_pointer)
    })
}

/// Where the stack of the task's program begins. Unlike most of `/proc/PID`, asking this waits for nothing that a task can
/// hold up.
fn stack_of(process: &Process) -> Option<u64> {
    process.stat().map(|stat| stat.stack).filter(|stack| *stack != 0)
}

/// What can be kept.
pub(super) trait Kept {
    /// How many of it.
    const MAX: usize = MAX_ENTRIES;

    /// Until when.
    fn until(&self, now: Instant) -> Instant {
        now + LIFETIME
    }

    /// Whether there is somebody to come back for it.
    fn is_wanted(&self) -> bool {
        true
    }

    /// Whether it waits for a task that cannot go on.
    fn is_patient(&self) -> bool {
        true
    }

    /// Where the stack ended of the caller that has left the call for good when it makes another one from there.
    fn called_at(&self) -> Option<u64> {
        None
    }
}

impl Kept for Alerted {}

impl Kept for KeptExec {
    const MAX: usize = MAX_EXECS;

    fn until(&self, now: Instant) -> Instant {
        let since = match self {
            Self::Noted | Self::Interrupted(_) => now,
            Self::Allowed(allowance) => allowance.since,
        };
        since + MOMENT
    }

    fn is_patient(&self) -> bool {
        false
    }
}

impl Kept for KeptResult {
    fn called_at(&self) -> Option<u64> {
        self.called_at
    }
}

impl Kept for KeptFile {
    fn until(&self, _now: Instant) -> Instant {
        self.own.since + if self.own.title.kind == Kind::Made { LIFETIME } else { MOMENT }
    }

    fn is_wanted(&self) -> bool {
        self.own.title.owner.as_ref().and_then(|owner| stack_of(owner)) == Some(self.stack)
    }

    fn is_patient(&self) -> bool {
        self.own.title.kind == Kind::Made
    }

    fn called_at(&self) -> Option<u64> {
        self.own.title.cut_at
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl CallKey {
    /// The thread.
    pub(super) fn task(&self) -> u32 {
        self.target_tid
    }

    /// Whether its task has not left the call: neither a handler nor anything else runs. One that executes a program by now
    /// can hold the answer up, see [`Process::activity`].
    pub(super) fn is_where_it_was(&self) -> bool {
        Process::open(self.target_tid).and_then(|task| task.wait()).is_some_and(|wait| self.is(&wait))
    }

    /// Whether its thread has left it for good, for another call by now, since its caller's stack ended there; see
    /// [`is_passed`].
    pub(super) fn is_left(&self, called_at: Option<u64>) -> bool {
        let wait = called_at.and_then(|_| Process::open(self.target_tid)).and_then(|task| task.wait());
        wait.is_some_and(|wait| wait.call.is_some() && !self.is(&wait) && is_passed(called_at, wait.stack_pointer))
    }

    /// Whether it is what a task waits in.
    pub(super) fn is(&self, wait: &Wait) -> bool {
        wait.call == Some((self.nr, self.args)) && wait.instruction_pointer == self.instruction_pointer
    }
}

impl<T: Kept> Entry<T> {
    fn is_due(&self, now: Instant) -> bool {
        now + MARGIN >= self.until && self.kept.is_patient()
    }
}

impl<T> Default for Withdrawn<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Kept> Withdrawn<T> {
    /// Keeps something for the call's next notification; gives back what there is no room for any more.
    pub(super) fn keep(&mut self, notification: &Notification, hash: u64, kept: T, now: Instant) -> Option<T> {
        let is_full = self.0.len() >= T::MAX;
        let last = is_full.then(|| self.0.remove(0).kept);
        let until = kept.until(now);
        self.0.push(Entry { call: notification.into(), hash, kept, until });
        last
    }

    /// Whether something is kept for this call; without the hash, whether something may be.
    pub(super) fn has(&self, notification: &Notification, hash: Option<u64>) -> bool {
        !self.0.is_empty() && {
            let call = CallKey::from(notification);
            self.0.iter().any(|entry| entry.call == call && hash.is_none_or(|hash| entry.hash == hash))
        }
    }

    /// Whether something is kept of which this holds.
    pub(super) fn any(&self, is_it: impl Fn(&T) -> bool) -> bool {
        self.0.iter().any(|entry| is_it(&entry.kept))
    }

    /// What was kept for this call; it is handed out once.
    pub(super) fn take(&mut self, notification: &Notification, hash: u64, now: Instant) -> Option<T> {
        let call = CallKey::from(notification);
        let is_it = |entry: &Entry<T>| entry.call == call && entry.hash == hash && now < entry.until;
        let place = self.0.iter().position(is_it)?;
        Some(self.0.remove(place).kept)
    }

    /// Calls of which something is soon too old, unless their tasks cannot have gone on.
    pub(super) fn due(&self, now: Instant) -> impl Iterator<Item = CallKey> {
        self.0.iter().filter(move |entry| entry.is_due(now)).map(|entry| entry.call)
    }

    /// Keeps what is due of these calls for longer.
    pub(super) fn extend(&mut self, calls: &HashSet<CallKey>, now: Instant) {
        for entry in self.0.iter_mut().filter(|entry| entry.is_due(now) && calls.contains(&entry.call)) {
            entry.until = now + LIFETIME;
        }
    }

    /// Gives back what is too old, or what nobody can come back for.
    pub(super) fn forget_old(&mut self, now: Instant) -> Vec<T> {
        let is_over = |entry: &mut Entry<T>| now >= entry.until || !entry.kept.is_wanted();
        self.0.extract_if(.., is_over).map(|entry| entry.kept).collect()
    }

    /// Whether something is kept for another call of this call's thread that is over if its caller has gone on.
    pub(super) fn has_of_others(&self, notification: &Notification) -> bool {
        !self.0.is_empty() && {
            let call = CallKey::from(notification);
            let is_other = |entry: &Entry<T>| entry.call.target_tid == call.target_tid && entry.call != call;
            self.0.iter().any(|entry| is_other(entry) && entry.kept.called_at().is_some())
        }
    }

    /// Gives back what was kept for calls of the thread that are over, as it is in another call with its stack ending here, or
    /// nobody knows where; and which calls those are.
    pub(super) fn forget_passed(
        &mut self,
        notification: &Notification,
        stack_pointer: Option<u64>,
    ) -> (Vec<T>, Vec<CallKey>) {
        let (now, mut calls) = (CallKey::from(notification), Vec::new());
        let kept = self.forget(|kept, call| {
            let is_other = call.target_tid == now.target_tid && *call != now && kept.called_at().is_some();
            let is_over = is_other && stack_pointer.is_none_or(|pointer| is_passed(kept.called_at(), pointer));
            if is_over {
                calls.push(*call);
            }
            is_over
        });
        (kept, calls)
    }

    /// Gives back what is to be given up, by its call too.
    pub(super) fn forget(&mut self, mut is_unwanted: impl FnMut(&T, &CallKey) -> bool) -> Vec<T> {
        let is_over = |entry: &mut Entry<T>| is_unwanted(&entry.kept, &entry.call);
        self.0.extract_if(.., is_over).map(|entry| entry.kept).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use nix::{
        sys::wait::{Id, WaitPidFlag, waitid},
        unistd::Pid,
    };

    use super::*;
    use crate::process::tests::settled;

    fn call(id: u64, tid: u32, path: u64) -> Notification {
        let args = [0, path, 0, 0, 0, 0];
        Notification { id, target_tid: tid, nr: 257, arch: 0xc000_003e, instruction_pointer: 0x1000, args }
    }

    const PAID: Alerted = Alerted { words: 77, notification: 1 };

    fn result(response: Response) -> KeptResult {
        KeptResult { response, alerted: None, called_at: None }
    }

    #[test]
    fn one_alert_pays_for_one_call_of_the_same_thread_registers_and_words() {
        let mut interrupted = Interrupted::default();
        let now = Instant::now();
        interrupted.keep(&call(1, 10, 0x5000), 77, PAID, now);
        assert_eq!(interrupted.take(&call(2, 11, 0x5000), 77, now), None, "another thread");
        assert_eq!(interrupted.take(&call(2, 10, 0x6000), 77, now), None, "other registers");
        assert_eq!(interrupted.take(&call(2, 10, 0x5000), 78, now), None, "other words");
        assert_eq!(interrupted.take(&call(2, 10, 0x5000), 77, now), Some(PAID));
        assert_eq!(interrupted.take(&call(3, 10, 0x5000), 77, now), None, "used up");
        interrupted.keep(&call(4, 10, 0x5000), 77, PAID, now);
        assert_eq!(interrupted.take(&call(4, 10, 0x5000), 77, now), Some(PAID));
        assert!(!interrupted.has(&call(5, 10, 0x5000), None), "taken back");
    }

    #[test]
    fn nested_handlers_keep_both_calls_and_old_ones_are_forgotten() {
        let mut interrupted = Interrupted::default();
        let now = Instant::now();
        interrupted.keep(&call(1, 10, 0x5000), 77, PAID, now);
        interrupted.keep(&call(2, 10, 0x6000), 78, PAID, now);
        assert_eq!(interrupted.take(&call(3, 10, 0x6000), 78, now), Some(PAID));
        assert_eq!(interrupted.take(&call(4, 10, 0x5000), 77, now + LIFETIME), None);
    }

    #[test]
    fn a_task_that_cannot_go_on_is_waited_for() {
        // It waits in a call, as one that is frozen does that is about to make its call anew.
        let mut child = settled();
        let waiting = loop {
            let text = std::fs::read_to_string(format!("/proc/{}/syscall", child.id())).unwrap();
            let number = |word: &str| u64::from_str_radix(word.trim().trim_start_matches("0x"), 16).ok();
            // The number of read(2) is 0.
            if let Some([0, args @ .., _stack, instruction_pointer]) =
                text.split(' ').map(number).collect::<Option<Vec<_>>>().as_deref()
            {
                let (args, instruction_pointer) = (args.try_into().unwrap(), *instruction_pointer);
                break Notification { nr: 0, args, instruction_pointer, ..call(1, child.id(), 0) };
            }
        };
        let (mut undelivered, now) = (Undelivered::default(), Instant::now());
        let elsewhere = Notification { args: [0, 0x5000, 0, 0, 0, 0], ..waiting };
        undelivered.keep(&waiting, 77, result(Response::Value(1)), now);
        undelivered.keep(&elsewhere, 77, result(Response::Value(2)), now);
        undelivered.keep(&Notification { nr: 83, ..waiting }, 77, result(Response::Value(3)), now);
        let later = now + LIFETIME;
        let due: HashSet<_> = undelivered.due(later).collect();
        assert_eq!((undelivered.due(now).count(), due.len()), (0, 3));
        undelivered.extend(&due.into_iter().filter(CallKey::is_where_it_was).collect(), later);
        assert_eq!(undelivered.forget_old(later), [Response::Value(2), Response::Value(3)].map(result));
        assert_eq!(undelivered.take(&waiting, 77, later + MARGIN), Some(result(Response::Value(1))));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_result_goes_once_to_the_same_call_of_the_same_thread() {
        let (mut undelivered, now) = (Undelivered::default(), Instant::now());
        undelivered.keep(&call(1, 10, 0x5000), 77, result(Response::Value(0)), now);
        assert_eq!(undelivered.take(&call(2, 11, 0x5000), 77, now), None, "another thread");
        assert_eq!(undelivered.take(&call(2, 10, 0x5000), 78, now), None, "other arguments");
        assert_eq!(undelivered.take(&call(2, 10, 0x5000), 77, now), Some(result(Response::Value(0))));
        assert_eq!(undelivered.take(&call(3, 10, 0x5000), 77, now), None, "handed out");
        undelivered.keep(&call(4, 10, 0x5000), 77, result(Response::Errno(libc::EEXIST)), now);
        assert_eq!(undelivered.take(&call(5, 10, 0x5000), 77, now + LIFETIME), None, "too old");
    }

    #[test]
    fn a_file_is_kept_for_a_task_that_runs_the_same_program_and_what_was_met_not_for_long() {
        let mut child = settled();
        let owner = Arc::new(Process::open(child.id()).unwrap());
        let (mut files, now) = (UndeliveredFiles::default(), Instant::now());
        let file = |kind| {
            let title = Title { claim: 77, owner: Some(Arc::clone(&owner)), kind, cut_at: None };
            let file = File::open("/dev/null").unwrap().into();
            KeptFile::new(CallFile { file, close_on_exec: false, title, since: now })
        };
        let keep = |files: &mut UndeliveredFiles, file| assert!(files.keep(&call(1, 10, 0), 77, file, now).is_none());
        keep(&mut files, KeptFile { stack: 1, ..file(Kind::Made).unwrap() });
        assert_eq!(files.forget_old(now).len(), 1, "another program");
        let met = Kind::Met(file_facts(File::open("/dev/null").unwrap().as_fd(), c"", false).unwrap());
        for kind in [met, Kind::Leased, Kind::Made] {
            keep(&mut files, file(kind).unwrap());
        }
        assert_eq!(files.forget_old(now).len(), 0);
        assert_eq!(files.forget_old(now + MOMENT).len(), 2, "too old");
        assert!(files.take(&call(2, 10, 0), 77, now + MOMENT).is_some());
        keep(&mut files, file(Kind::Leased).unwrap());
        keep(&mut files, file(met).unwrap());
        assert_eq!(files.forget(|kept, call| call.task() == 10 && kept.own.title.kind.is_regular()).len(), 1);
        child.kill().unwrap();
        // Dead, but not waited for: who has no memory runs nothing any more.
        waitid(Id::Pid(Pid::from_raw(child.id().cast_signed())), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        assert_eq!(files.forget_old(now).len(), 1, "dead");
        assert!(file(Kind::Made).is_none());
        child.wait().unwrap();
    }

    #[test]
    fn a_result_goes_when_its_thread_has_left_the_call() {
        const CALLED: u64 = 0x10_0000;
        let (mut undelivered, now) = (Undelivered::default(), Instant::now());
        undelivered.keep(&call(1, 10, 0), 77, result(Response::Value(0)), now);
        assert!(!undelivered.has_of_others(&call(2, 10, 1)), "from nobody knows where");
        let kept = KeptResult { called_at: Some(CALLED), ..result(Response::Value(1)) };
        undelivered.keep(&call(1, 10, 0), 77, kept, now);
        assert!(!undelivered.has_of_others(&call(2, 10, 0)), "the same call");
        assert!(!undelivered.has_of_others(&call(2, 11, 1)), "another thread's");
        assert!(undelivered.has_of_others(&call(2, 10, 1)));
        for elsewhere in [0, CALLED - 0x1000, CALLED - LEAST_FRAME - 1, CALLED + NEAR] {
            assert_eq!(undelivered.forget_passed(&call(2, 10, 1), Some(elsewhere)).0.len(), 0, "{elsewhere:x}");
        }
        assert_eq!(undelivered.forget_passed(&call(2, 11, 1), Some(CALLED)).0.len(), 0, "another thread's");
        assert_eq!(undelivered.forget_passed(&call(2, 10, 0), Some(CALLED)).0.len(), 0, "the same call");
        let gone = undelivered.forget_passed(&call(3, 10, 1), Some(CALLED - 0x40));
        assert_eq!(gone, (vec![kept], vec![CallKey::from(&call(3, 10, 0))]));
    }

    #[test]
    fn the_oldest_goes_where_there_is_no_room() {
        let (mut undelivered, now) = (Undelivered::default(), Instant::now());
        for id in 0..MAX_ENTRIES as u64 {
            assert_eq!(undelivered.keep(&call(id, 10, id), 77, result(Response::Value(id.cast_signed())), now), None);
        }
        assert_eq!(
            undelivered.keep(&call(0, 11, 0), 77, result(Response::Value(0)), now),
            Some(result(Response::Value(0)))
        );
        assert!(!undelivered.has(&call(0, 10, 0), Some(77)));
        assert!(undelivered.has(&call(1, 10, 1), Some(77)));
        assert!(!undelivered.has(&call(1, 10, 1), Some(78)));
    }
}
