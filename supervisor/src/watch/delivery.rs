// SPDX-License-Identifier: Apache-2.0
//! Sending answers, from whatever thread: every call is answered once, and what a withdrawn one leaves is remembered.

use std::{
    collections::HashSet,
    error::Error,
    hash::{Hash as _, Hasher as _},
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

use super::{
    aside::Aside,
    executing::Allowance,
    left::LeftExecs,
    waiting,
    withdrawn::{
        Alerted, CallFile, CallKey, Interrupted, Kept as _, KeptExec, KeptFile, KeptResult, Kind, Title, Undelivered,
        UndeliveredExecs, UndeliveredFiles, claim, hasher,
    },
};
use crate::{
    counters::Counter,
    enforce::{Blocking, RESTART, UntracedCalls},
    event::CallEvent,
    in_force::InForce,
    process::Process,
    shared::Shared,
    sys::{FileFacts, InjectError, Listener, Notification, Response, SendError},
    wake_ups,
};

/// How long nothing is given up because it is being asked whether somebody comes back for it.
const ASKING_PATIENCE: Duration = Duration::from_secs(1);

/// By what it is noted that an exec seems to have been interrupted; nobody claims it.
const INTERRUPTED: u64 = 1;

/// Everything that an answer needs.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) listener: Arc<Listener>,
    pub(super) shared: Arc<Shared>,
    pub(super) unfinished: Arc<Unfinished>,
}

/// Calls of one listener that are not at their end, for all its threads.
#[derive(Debug)]
pub(super) struct Unfinished {
    interrupted: Mutex<Interrupted>,
    undelivered: Mutex<Undelivered>,
    undelivered_files: Mutex<UndeliveredFiles>,
    undelivered_execs: Mutex<UndeliveredExecs>,
    /// Since when a thread asks which tasks cannot have gone on.
    asking: Mutex<Option<Instant>>,
    /// Calls whose threads do not receive any more.
    pub(super) aside: Aside,
    /// Calls that wait.
    pub(super) blocking: Blocking,
    /// How many execs are being followed.
    pub(super) followed: AtomicUsize,
    /// Those of them that are left to wait.
    pub(super) left: LeftExecs,
    /// Those of them whose tasks somebody else traces.
    pub(super) untraced: UntracedCalls,
}

impl Unfinished {
    fn new(is_wait_killable: bool) -> Self {
        let blocking = Blocking::new(is_wait_killable);
        Self {
            interrupted: Mutex::default(),
            undelivered: Mutex::default(),
            undelivered_files: Mutex::default(),
            undelivered_execs: Mutex::default(),
            asking: Mutex::default(),
            aside: Aside::default(),
            blocking,
            followed: AtomicUsize::new(0),
            left: LeftExecs::default(),
            untraced: UntracedCalls::default(),
        }
    }

    pub(super) fn interrupted(&self) -> MutexGuard<'_, Interrupted> {
        self.interrupted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn undelivered(&self) -> MutexGuard<'_, Undelivered> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn undelivered_files(&self) -> MutexGuard<'_, UndeliveredFiles> {
        self.undelivered_files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn undelivered_execs(&self) -> MutexGuard<'_, UndeliveredExecs> {
        self.undelivered_execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether files are kept that hold text.
    pub(super) fn has_regular_files(&self) -> bool {
        self.undelivered_files().any(|kept| kept.own.title.kind.is_regular())
    }

    /// Gives up files that hold text, where `is_unwanted` says so.
    pub(super) fn forget_regular_files(&self, is_unwanted: impl Fn(&FileFacts) -> bool) {
        let is_unwanted = |kept: &KeptFile| kept.facts.as_ref().is_none_or(&is_unwanted);
        let files =
            self.undelivered_files().forget(|kept, _call| kept.own.title.kind.is_regular() && is_unwanted(kept));
        // A close may take its time, for which nobody else is to wait.
        drop(files);
    }

    /// Gives up what nobody will come back for, and what was kept for `task`, which goes on with another call.
    pub(super) fn forget_files_of(&self, task: u32) {
        let files = self.undelivered_files().forget(|kept, call| call.task() == task || !kept.is_wanted());
        drop(files);
    }

    /// Gives up what is kept for earlier calls of this call's thread, if it shows that it has left them.
    pub(super) fn leave_earlier(&self, notification: &Notification, is_pending: impl Fn() -> bool) {
        let has_files = self.undelivered_files().has_of_others(notification);
        if !has_files && !self.undelivered().has_of_others(notification) {
            return;
        }
        let caller = Process::open(notification.target_tid);
        let stack_pointer = stack_end(caller.as_ref(), notification, &is_pending);
        if stack_pointer.is_none() && !is_pending() {
            // It shows nothing: a handler has made it, perhaps, and its thread is back where it was.
            return;
        }
        self.undelivered().forget_passed(notification, stack_pointer);
        let (files, calls) = self.undelivered_files().forget_passed(notification, stack_pointer);
        drop(files);
        self.interrupted().forget(|_alerted, call| calls.contains(call));
    }

    /// Gives up what nobody has come back for. Whether a task is still where it was is asked on another thread and without a
    /// lock: the answer may be a long time coming ([`CallKey::is_where_it_was`]).
    pub(super) fn forget_old(self: &Arc<Self>) {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        match *asking {
            // That thread does it.
            Some(since) if since.elapsed() < ASKING_PATIENCE => return,
            Some(_held_up) => {}
            None => {
                let due = self.due(Instant::now());
                if !due.is_empty() {
                    let (unfinished, asker) = (Arc::clone(self), thread::Builder::new().name("ask-tasks".to_owned()));
                    match asker.spawn(move || unfinished.ask(due)) {
                        Ok(_asks) => {
                            *asking = Some(Instant::now());
                            return;
                        }
                        Err(error) => tracing::error!(%error, "what is kept of withdrawn calls is given up unasked"),
                    }
                }
            }
        }
        drop(asking);
        self.give_up_old();
    }

    /// Calls of which something is soon to be given up.
    fn due(&self, now: Instant) -> HashSet<CallKey> {
        let mut due = HashSet::new();
        due.extend(self.interrupted().due(now));
        due.extend(self.undelivered().due(now));
        due.extend(self.undelivered_files().due(now));
        due
    }

    /// Keeps what is due of calls whose tasks cannot have gone on, and gives up what is old.
    fn ask(&self, due: HashSet<CallKey>) {
        let waiting: HashSet<_> = due.into_iter().filter(CallKey::is_where_it_was).collect();
        let now = Instant::now();
        self.interrupted().extend(&waiting, now);
        self.undelivered().extend(&waiting, now);
        self.undelivered_files().extend(&waiting, now);
        self.give_up_old();
        *self.asking.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn give_up_old(&self) {
        let now = Instant::now();
        self.interrupted().forget_old(now);
        self.undelivered().forget_old(now);
        let execs = self.undelivered_execs().forget_old(now);
        drop(execs);
        let files = self.undelivered_files().forget_old(now);
        if !files.is_empty() {
            close_aside(files);
        }
    }
}

/// Whether somebody waited for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    No,
}

/// Where the stack of a caller ends that waits in this call, or is about to, as long as that is pending; nowhere if nobody is to
/// be asked. Who has left may wait in its handler's call.
fn stack_end(caller: Option<&Process>, notification: &Notification, is_pending: impl Fn() -> bool) -> Option<u64> {
    let wait = caller?.settled_wait(is_pending)?;
    CallKey::from(notification).is(&wait).then_some(wait.stack_pointer)
}

/// Closes files on a thread of their own, since some file systems ask a server, which may never answer.
fn close_aside(files: Vec<KeptFile>) {
    let closer = thread::Builder::new().name("close-kept".to_owned());
    if let Err(error) = closer.spawn(move || drop(files)) {
        tracing::error!(%error, "files of withdrawn calls were closed by the thread that looks after all");
    }
}

impl Delivery {
    /// For the calls of a listener.
    pub(super) fn new(listener: Arc<Listener>, shared: Arc<Shared>) -> Self {
        let unfinished = Arc::new(Unfinished::new(shared.is_wait_killable));
        Self { listener, shared, unfinished }
    }

    /// Whether the target takes an answer now: see [`waiting`].
    pub(super) fn is_awaited(&self, notification: &Notification) -> bool {
        let is_pending = || self.listener.is_pending(notification.id);
        self.shared.is_wait_killable || waiting::settle(notification.target_tid, is_pending) == waiting::Target::Waits
    }

    /// Hands a file over.
    pub(super) fn file(
        &self,
        notification: &Notification,
        file: OwnedFd,
        close_on_exec: bool,
        alerted: Option<Alerted>,
    ) {
        let handed_over = self.shared.handing_over.during(|| {
            let handed_over = self.listener.inject(notification.id, file.as_fd(), close_on_exec);
            drop(file);
            handed_over
        });
        // Not before our own descriptor is closed.
        self.shared.wake_ups.add(wake_ups::OF_OPEN);
        match handed_over {
            Ok(()) => {}
            Err(InjectError::Gone) => self.remember(notification, alerted),
            // The target is at its limit of descriptors, for instance.
            Err(InjectError::Refused(error)) => {
                self.errno(notification, error.raw_os_error().unwrap_or(libc::EIO), alerted);
            }
        }
    }

    /// Hands over a file that belongs to the call; it is kept for the call's next notification if nobody takes it.
    pub(super) fn call_file(&self, notification: &Notification, own: CallFile, alerted: Option<Alerted>) {
        let kind = own.title.kind;
        let hand_over = || {
            match self.listener.inject(notification.id, own.file.as_fd(), own.close_on_exec) {
                Ok(()) => drop(own),
                Err(InjectError::Gone) => {
                    self.keep_file(notification, own);
                    self.remember(notification, alerted);
                }
                Err(InjectError::Refused(error)) => return Some(error),
            }
            None
        };
        let Shared { handing_over, meetings, .. } = &*self.shared;
        let refused = handing_over.during(|| match kind {
            Kind::Met(file) => meetings.during(file, hand_over),
            Kind::Made | Kind::Leased => hand_over(),
        });
        self.shared.wake_ups.add(wake_ups::OF_OPEN);
        if let Some(error) = refused {
            self.errno(notification, error.raw_os_error().unwrap_or(libc::EIO), alerted);
        }
    }

    /// Keeps a file that belongs to a call for its next notification.
    pub(super) fn keep_file(&self, notification: &Notification, own: CallFile) {
        let claim = own.title.claim;
        // Where its task has given up waiting it is rather cut once more than given to a call that means to cut it.
        let is_given_up = own.title.cut_at.is_some() && self.unfinished.aside.is_given_up(notification.id);
        if is_given_up || self.is_over(notification, own.title.cut_at) {
            return;
        }
        let Some(kept) = KeptFile::new(own) else { return };
        let last = self.unfinished.undelivered_files().keep(notification, claim, kept, Instant::now());
        drop(last);
    }

    /// Whether an earlier notification of this call has left its file; without the claim, whether it may have.
    pub(super) fn has_file(&self, notification: &Notification, claim: Option<u64>) -> bool {
        self.unfinished.undelivered_files().has(notification, claim)
    }

    /// The file that an earlier notification of this call did not get.
    pub(super) fn take_file(&self, notification: &Notification, claim: u64) -> Option<CallFile> {
        self.unfinished.undelivered_files().take(notification, claim, Instant::now()).map(|kept| kept.own)
    }

    /// Keeps the result of a call for its next notification.
    pub(super) fn keep_result(&self, notification: &Notification, claim: u64, result: KeptResult) {
        if !self.is_over(notification, result.called_at) {
            self.unfinished.undelivered().keep(notification, claim, result, Instant::now());
        }
    }

    /// What an exec of which an earlier notification was withdrawn lately claims of what is kept of it, as long as it waits:
    /// nothing the first time, when it costs no time.
    pub(super) fn claim_to_exec(&self, notification: &Notification, event: &CallEvent<'_>) -> Option<u64> {
        if !self.unfinished.undelivered_execs().has(notification, None) {
            return None;
        }
        let mut hasher = hasher();
        (claim(event, Some(event.caller()?)), event.exec_snapshot()).hash(&mut hasher);
        // Asked when everything was read.
        self.listener.is_pending(notification.id).then(|| hasher.finish())
    }

    /// What lets this exec go on by these rules. Its alert, if it has one, is paid for by that.
    pub(super) fn take_exec(
        &self,
        notification: &Notification,
        claim: u64,
        in_force: &Arc<InForce>,
    ) -> Option<Box<Allowance>> {
        let now = Instant::now();
        let kept = self.unfinished.undelivered_execs().take(notification, claim, now)?;
        let KeptExec::Allowed(kept) = kept else { return None };
        if !Arc::ptr_eq(kept.in_force(), in_force) {
            return None;
        }
        let is_paid = |alerted: Alerted| self.unfinished.interrupted().take(notification, alerted.words, now).is_some();
        kept.decision.alerted.is_none_or(is_paid).then_some(kept)
    }

    /// Keeps what lets an exec go on for its next notification. Where nobody asked what it claims, it is only noted that there
    /// may be one.
    pub(super) fn keep_exec(&self, notification: &Notification, claim: Option<u64>, allowance: Box<Allowance>) {
        let Some(claim) = claim else { return self.note_exec(notification) };
        let kept = KeptExec::Allowed(allowance);
        let last = self.unfinished.undelivered_execs().keep(notification, claim, kept, Instant::now());
        drop(last);
    }

    /// Notes that an exec was withdrawn.
    pub(super) fn note_exec(&self, notification: &Notification) {
        if self.shared.is_wait_killable || self.unfinished.undelivered_execs().has(notification, None) {
            return;
        }
        // Nothing claims it.
        let last = self.unfinished.undelivered_execs().keep(notification, 0, KeptExec::Noted, Instant::now());
        drop(last);
    }

    /// Notes that an exec went on, and seems to be made anew because we have interrupted it in what it waits for.
    pub(super) fn note_interrupted_exec(&self, notification: &Notification) {
        let kept = KeptExec::Interrupted(notification.id);
        let last = self.unfinished.undelivered_execs().keep(notification, INTERRUPTED, kept, Instant::now());
        drop(last);
    }

    /// Whether this exec was noted so, and has waited indeed. The interrupt may as well have met the task in the notification of
    /// its next call, with the same registers; so nobody may have made a call since, as the kernel's numbers tell
    /// (`seccomp_next_notify_id` of its `seccomp.c`).
    pub(super) fn has_waited(&self, notification: &Notification) -> bool {
        let mut execs = self.unfinished.undelivered_execs();
        if !execs.has(notification, Some(INTERRUPTED)) {
            return false;
        }
        let before = notification.id.wrapping_sub(1);
        let noted = std::iter::from_fn(|| execs.take(notification, INTERRUPTED, Instant::now()));
        noted.filter(|noted| matches!(noted, KeptExec::Interrupted(id) if *id == before)).count() > 0
    }

    /// Whether a call that was withdrawn, from where its caller's stack ended, is known not to be made anew. Where the kernel
    /// holds signals back, who left is dead.
    fn is_over(&self, notification: &Notification, called_at: Option<u64>) -> bool {
        self.shared.is_wait_killable || CallKey::from(notification).is_left(called_at)
    }

    /// Whether an earlier notification of this call may have left its result.
    pub(super) fn has_result(&self, notification: &Notification) -> bool {
        self.unfinished.undelivered().has(notification, None)
    }

    /// The result of an earlier notification of this call.
    pub(super) fn take_result(&self, notification: &Notification, event: &CallEvent<'_>) -> Option<KeptResult> {
        let claim = self.claim(event);
        self.unfinished.undelivered().take(notification, claim, Instant::now())
    }

    /// Where the stack of a caller ends whose call's result or file may be kept.
    pub(super) fn called_at(&self, notification: &Notification, event: &CallEvent<'_>) -> Option<u64> {
        stack_end(self.owner(event).as_deref(), notification, || event.is_pending())
    }

    /// What entitles a call to what is kept for it, see [`claim`].
    pub(super) fn claim(&self, event: &CallEvent<'_>) -> u64 {
        claim(event, self.owner(event).as_deref())
    }

    /// What a file will belong to its call by.
    pub(super) fn title(&self, event: &CallEvent<'_>, kind: Kind, cut_at: Option<u64>) -> Title {
        let owner = self.owner(event);
        Title { claim: claim(event, owner.as_deref()), owner, kind, cut_at }
    }

    fn owner(&self, event: &CallEvent<'_>) -> Option<Arc<Process>> {
        if self.shared.is_wait_killable { None } else { event.shared_caller() }
    }

    pub(super) fn errno(&self, notification: &Notification, errno: i32, alerted: Option<Alerted>) {
        self.respond(notification, Response::Errno(errno), alerted);
    }

    /// Answers without a file; says whether the kernel took the answer.
    pub(super) fn respond(&self, notification: &Notification, response: Response, alerted: Option<Alerted>) -> bool {
        let comes_again = response == Response::Errno(RESTART);
        if comes_again {
            // Before the answer, since its next notification may come before this thread goes on.
            self.remember(notification, alerted);
        }
        let alerted = alerted.filter(|_| !comes_again);
        match self.transmit(notification, response) {
            Some(Taken::Yes) => return true,
            Some(Taken::No) => self.remember(notification, alerted),
            None => {}
        }
        false
    }

    /// Sends an answer, and says whether the kernel took it; nothing where it refused.
    pub(super) fn transmit(&self, notification: &Notification, response: Response) -> Option<Taken> {
        match self.listener.send(notification.id, response) {
            Ok(()) => Some(Taken::Yes),
            Err(SendError::Gone) => Some(Taken::No),
            Err(error) => {
                self.shared.counters.add(Counter::Failures, 1);
                tracing::error!(error = &error as &dyn Error, "a call is left without an answer");
                None
            }
        }
    }

    /// Answers a call that was paid for in advance (see [`Self::remember`]); says whether the target took the answer. While
    /// that is on its way nobody can take the payment for that of a later call.
    pub(super) fn answer_paid(
        &self,
        notification: &Notification,
        response: Response,
        alerted: Option<Alerted>,
    ) -> bool {
        if alerted.is_some() && !self.is_awaited(notification) {
            return false;
        }
        let mut interrupted = self.unfinished.interrupted();
        let paid = alerted.and_then(|alerted| interrupted.take(notification, alerted.words, Instant::now()));
        let is_taken = self.transmit(notification, response) == Some(Taken::Yes);
        if let Some(paid) = paid.filter(|_| !is_taken) {
            interrupted.keep(notification, paid.words, paid, Instant::now());
        }
        is_taken
    }

    /// Everyday: the target died, or a signal interrupted it, and then the call is notified anew.
    pub(super) fn remember(&self, notification: &Notification, alerted: Option<Alerted>) {
        if let Some(alerted) = alerted {
            self.unfinished.interrupted().keep(notification, alerted.words, alerted, Instant::now());
        }
    }
}
