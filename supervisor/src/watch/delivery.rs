// SPDX-License-Identifier: Apache-2.0
//! Sending answers, from whatever thread: every call is answered once, and what a withdrawn one leaves is remembered.

use std::{
    error::Error,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::{
    waiting,
    withdrawn::{Claim, Interrupted, MadeFile, Undelivered, UndeliveredFiles},
};
use crate::{
    counters::Counter,
    enforce::Blocking,
    shared::Shared,
    sys::{InjectError, Listener, Notification, Response, SendError},
};

/// Counters of programs. Tasks share one; what is kept for one of them is given up if another executes a program meanwhile.
const PROGRAMS: usize = 64;

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
    /// How many programs were executed, by the last bits of the task's number.
    programs: [AtomicU64; PROGRAMS],
    /// Calls that wait.
    pub(super) blocking: Blocking,
    /// How many execs are being followed.
    pub(super) followed: AtomicUsize,
}

impl Unfinished {
    fn new(is_wait_killable: bool) -> Self {
        let blocking = Blocking::new(is_wait_killable);
        Self {
            interrupted: Mutex::default(),
            undelivered: Mutex::default(),
            undelivered_files: Mutex::default(),
            programs: [const { AtomicU64::new(0) }; PROGRAMS],
            blocking,
            followed: AtomicUsize::new(0),
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

    /// Which of its programs a task runs; another one where tasks with like numbers have executed one meanwhile.
    pub(super) fn program(&self, task: u32) -> u64 {
        self.executed(task).map_or(0, |executed| executed.load(Ordering::Acquire))
    }

    /// Gives up what was kept for a task that executes a program, which must not get it, and all files: a program that we
    /// hold open for writing cannot be executed.
    pub(super) fn forget(&self, task: u32) {
        // First, so that what is on its way is not kept afterwards.
        if let Some(executed) = self.executed(task) {
            executed.fetch_add(1, Ordering::AcqRel);
        }
        *self.undelivered_files() = UndeliveredFiles::default();
        self.undelivered().forget_task(task);
    }

    /// Gives up what nobody has come back for.
    pub(super) fn forget_old(&self) {
        let now = Instant::now();
        self.undelivered_files().forget_old(now);
        self.undelivered().forget_old(now);
    }

    fn executed(&self, task: u32) -> Option<&AtomicU64> {
        self.programs.get(usize::try_from(task).unwrap_or_default() % PROGRAMS)
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
    pub(super) fn file(&self, notification: &Notification, file: OwnedFd, close_on_exec: bool, alerted: Option<u64>) {
        let handed_over = self.shared.handing_over.during(|| {
            let handed_over = self.listener.inject(notification.id, file.as_fd(), close_on_exec);
            drop(file);
            handed_over
        });
        match handed_over {
            Ok(()) => {}
            Err(InjectError::Gone) => self.remember(notification, alerted),
            // The target is at its limit of descriptors, for instance.
            Err(InjectError::Refused(error)) => {
                self.errno(notification, error.raw_os_error().unwrap_or(libc::EIO), alerted);
            }
        }
    }

    /// Hands over a file that was made for the call; it is kept for the call's next notification if nobody takes it.
    pub(super) fn made_file(&self, notification: &Notification, made: MadeFile, alerted: Option<u64>) {
        let refused = self.shared.handing_over.during(|| {
            match self.listener.inject(notification.id, made.file.as_fd(), made.close_on_exec) {
                Ok(()) => drop(made),
                Err(InjectError::Gone) => {
                    self.keep_file(notification, made);
                    self.remember(notification, alerted);
                }
                Err(InjectError::Refused(error)) => return Some(error),
            }
            None
        });
        if let Some(error) = refused {
            self.errno(notification, error.raw_os_error().unwrap_or(libc::EIO), alerted);
        }
    }

    /// Keeps a file that was made for a call for its next notification.
    pub(super) fn keep_file(&self, notification: &Notification, made: MadeFile) {
        let mut files = self.unfinished.undelivered_files();
        if self.may_keep(notification, made.claim) {
            files.keep(notification, made.claim.arguments, made, Instant::now());
        }
    }

    /// The file that was made for an earlier notification of this call.
    pub(super) fn take_file(&self, notification: &Notification, claim: impl FnOnce() -> Claim) -> Option<MadeFile> {
        let mut files = self.unfinished.undelivered_files();
        if files.is_empty() {
            return None;
        }
        let claim = claim();
        let made = files.take(notification, claim.arguments, Instant::now())?;
        self.may_keep(notification, claim).then_some(made)
    }

    /// Keeps the result of a call for its next notification.
    pub(super) fn keep_result(&self, notification: &Notification, claim: Claim, result: Response) {
        let mut results = self.unfinished.undelivered();
        if self.may_keep(notification, claim) {
            results.keep(notification, claim.arguments, result, Instant::now());
        }
    }

    /// The result of an earlier notification of this call.
    pub(super) fn take_result(&self, notification: &Notification, claim: Claim) -> Option<Response> {
        let result = self.unfinished.undelivered().take(notification, claim.arguments, Instant::now())?;
        self.may_keep(notification, claim).then_some(result)
    }

    /// Whether what belongs to a call is sure to go to the program that made it.
    fn may_keep(&self, notification: &Notification, claim: Claim) -> bool {
        self.shared.upheaval.keeps_numbers() && self.unfinished.program(notification.target_tid) == claim.program
    }

    pub(super) fn errno(&self, notification: &Notification, errno: i32, alerted: Option<u64>) {
        self.respond(notification, Response::Errno(errno), alerted);
    }

    /// Answers without a file; says whether the target was still there.
    pub(super) fn respond(&self, notification: &Notification, response: Response, alerted: Option<u64>) -> bool {
        match self.listener.send(notification.id, response) {
            Ok(()) => return true,
            Err(SendError::Gone) => self.remember(notification, alerted),
            Err(error) => {
                self.shared.counters.add(Counter::Failures, 1);
                tracing::error!(error = &error as &dyn Error, "a call is left without an answer");
            }
        }
        false
    }

    /// Lets a call go on that another thread paid for in advance (see [`Self::remember`]); says whether the target took the
    /// answer. While the answer is on its way nobody can take the payment for that of a later call.
    pub(super) fn proceed(&self, notification: &Notification, alerted: Option<u64>) -> bool {
        if alerted.is_some() && !self.is_awaited(notification) {
            return false;
        }
        let mut interrupted = self.unfinished.interrupted();
        let paid = alerted.filter(|words| interrupted.take_back(notification, *words).is_some());
        match self.listener.send(notification.id, Response::Continue) {
            Ok(()) => return true,
            Err(SendError::Gone) => {}
            Err(error) => {
                self.shared.counters.add(Counter::Failures, 1);
                tracing::error!(error = &error as &dyn Error, "a call is left without an answer");
            }
        }
        if let Some(words) = paid {
            interrupted.keep(notification, words, (), Instant::now());
        }
        false
    }

    /// Everyday: the target died, or a signal interrupted it, and then the call is notified anew.
    pub(super) fn remember(&self, notification: &Notification, alerted: Option<u64>) {
        if let Some(words) = alerted {
            self.unfinished.interrupted().keep(notification, words, (), Instant::now());
        }
    }
}
