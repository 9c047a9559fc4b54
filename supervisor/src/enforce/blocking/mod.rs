// SPDX-License-Identifier: Apache-2.0
//! Opens and connects that wait: each on a thread of its own, ended when the target no longer waits for it.
//!
//! Such a call may wait for ever, for instance for the other end of a FIFO. The target can be killed meanwhile, or be
//! interrupted by a signal, as it could be in the kernel. Without `WAIT_KILLABLE_RECV` the kernel then withdraws the
//! notification. With it, it does so for fatal signals alone, so that others have to be looked for here, as have a freezer and
//! a debugger, who want a task to stop; the call is then answered with ERESTARTSYS, which the kernel turns into EINTR or a
//! restart as the signal's handler wants it.
//!
//! Getting ready takes time that the kernel would not need: some milliseconds where a process in the task's namespaces
//! must start. Signals that come faster than that must not keep a call from ever being made. So one whose result can be
//! kept for its next notification is attempted once although it was withdrawn.

mod course;
mod pool;

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use self::{
    course::{Course, Order},
    pool::{Pool, Task},
};
use super::{Client, Contact, DevicePolicy, Errand, Located, Means, MeansError, Opened};
use crate::{
    diagnostics,
    process::Process,
    sys::{self, FileFacts, Pidfd},
};

/// Opens of one listener that may wait at one time. Each has a thread; a container that wants more gets ENFILE.
const MAX_WAITING: usize = 1000;
/// How often waiting targets are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// The same while one of them connects, which seldom takes long: whoever accepts makes no call that is notified, and must
/// not find who has given up.
const CONNECT_LOOK: Duration = Duration::from_micros(500);
/// How many times as long as the last look took is none taken: a thousand of them are much work.
const RESTS: u32 = 9;
/// How long a call that is given up gets to end, after what time others are let go on meanwhile, and how often it is told.
const PATIENCE: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_micros(50);
/// How long it gets where a thread waits for it that others need.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_millis(20);
/// The kernel's ERESTARTSYS (linux/errno.h), which no program ever sees.
pub(crate) const RESTART: i32 = 512;

/// A call that may wait.
#[derive(Debug)]
pub(crate) enum Work {
    /// An open, with what was found.
    Open(Errand),
    /// A connect.
    Connect(Client, Contact),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The file, for the target.
    File(OwnedFd),
    /// The call is done.
    Done,
    /// It fails with this errno.
    Failed(i32),
}

/// A call that waits.
pub(crate) struct Job {
    /// What is done, and for whom.
    pub(crate) work: Work,
    /// Whether the kernel would make the call anew after a signal.
    pub(crate) restarts: bool,
    /// The task that asked.
    pub(crate) target_tid: u32,
    /// Whether the call still waits for its answer.
    pub(crate) is_pending: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Where the call is attempted although it was withdrawn: whether its task still is who made it.
    pub(crate) attempted_for: Option<Box<dyn Fn() -> bool + Send>>,
    /// Called, where there is something, before the call is made, and before it is last asked whether it still waits.
    pub(crate) before: Option<Box<dyn Fn() + Send>>,
    /// Answers the call. Called once, unless the call was withdrawn.
    pub(crate) answer: Box<dyn FnOnce(Ended) + Send>,
    /// Called instead where nobody waits for the answer.
    pub(crate) withdrawn: Box<dyn FnOnce(Ended) + Send>,
    /// Called last in any case.
    pub(crate) finished: Box<dyn FnOnce() + Send>,
}

impl Job {
    fn end(self, ended: Ended) {
        let Self { work, answer, finished, .. } = self;
        // Nothing of the target's is held any more when it goes on.
        drop(work);
        answer(ended);
        finished();
    }

    /// Does it, however long that takes, and answers. The calling thread keeps its means for the next one.
    fn run(mut self, means: &mut Option<Means>, devices: &Arc<DevicePolicy>, course: &Course) {
        let accepted = sys::accept_interrupts();
        debug_assert!(accepted.is_ok(), "a thread may take any signal");
        let ended = self.wait(means, devices, course);
        // It is over, and delivering the result must not be interrupted.
        let refused = sys::refuse_interrupts();
        debug_assert!(refused.is_ok(), "a thread may block any signal");
        let (order, was_killed) = course.end();
        if was_killed {
            // Whoever it was is of no use for the next one.
            *means = None;
        }
        let is_cut_off = was_killed && matches!(ended, Ended::Failed(_));
        let ended = if is_cut_off { Ended::Failed(libc::EINTR) } else { ended };
        match (order, ended) {
            (Order::Withdrawn, ended) => {
                (self.withdrawn)(ended);
                (self.finished)();
            }
            (Order::Signalled, Ended::Failed(libc::EINTR)) if self.restarts => self.end(Ended::Failed(RESTART)),
            (Order::GoOn | Order::Signalled, ended) => self.end(ended),
        }
    }

    fn wait(&mut self, means: &mut Option<Means>, devices: &Arc<DevicePolicy>, course: &Course) -> Ended {
        let prepared = Means::ready(means).map_err(|error| error.to_string()).and_then(|means| {
            let helper = self.work.prepare(means, devices).map_err(|error| diagnostics::chain(&error))?;
            if let Some(helper) = helper {
                course.leave_to(helper);
            }
            Ok(means)
        });
        if let Some(before) = self.before.as_ref().filter(|_| (self.is_pending)()) {
            before();
        }
        if !(self.is_pending)() {
            course.give(Order::Withdrawn);
        }
        let is_withdrawn = || course.order() == Order::Withdrawn;
        // The caller's rights were read, which may have been another program's.
        let is_given_up = || is_withdrawn() && !self.is_attempted();
        let means = match prepared {
            _ if is_given_up() => return Ended::Failed(libc::EINTR),
            Ok(means) => means,
            Err(_) if is_withdrawn() => return Ended::Failed(libc::EINTR),
            Err(error) => {
                tracing::error!(error, "a thread cannot act for a target");
                return Ended::Failed(libc::EIO);
            }
        };
        if !course.begin() {
            return Ended::Failed(libc::EINTR);
        }
        loop {
            let ended = self.work.perform(means, devices);
            // A signal that is not for this call: ours are sent only after the order was given.
            if !matches!(ended, Ended::Failed(libc::EINTR)) || course.order() != Order::GoOn {
                return ended;
            }
        }
    }

    /// Whether the call is attempted although it was withdrawn.
    fn is_attempted(&self) -> bool {
        self.attempted_for.as_ref().is_some_and(|is_same| is_same())
    }
}

/// The waiting opens of one listener.
pub(crate) struct Blocking {
    pool: Arc<Pool>,
    waiting: Arc<Mutex<Waiting>>,
    looks_for_signals: bool,
}

#[derive(Default)]
struct Waiting {
    calls: Vec<Call>,
    /// Whether a thread looks after them.
    are_watched: bool,
}

#[derive(Clone)]
struct Call {
    course: Arc<Course>,
    target_tid: u32,
    /// What is opened, unless it is a connect.
    file: Option<FileFacts>,
    is_pending: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Waiting {
    fn forget_ended(&mut self) {
        self.calls.retain(|call| !call.course.is_over());
    }
}

impl std::fmt::Debug for Blocking {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Blocking").field("looks_for_signals", &self.looks_for_signals).finish_non_exhaustive()
    }
}

impl Blocking {
    /// For a listener whose calls are, or are not, shielded from signals by the kernel.
    pub(crate) fn new(is_wait_killable: bool) -> Self {
        Self { pool: Arc::default(), waiting: Arc::default(), looks_for_signals: is_wait_killable }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    /// Starts the open on a thread of its own.
    pub(crate) fn start(&self, job: Job, devices: Arc<DevicePolicy>) {
        let course = Arc::new(Course::new(job.attempted_for.is_some()));
        let (target_tid, file, is_pending) = (job.target_tid, job.work.file(), Arc::clone(&job.is_pending));
        let mut waiting = self.waiting();
        waiting.forget_ended();
        if waiting.calls.len() >= MAX_WAITING {
            drop(waiting);
            return job.end(Ended::Failed(libc::ENFILE));
        }
        // What the task called before was withdrawn; its thread, and process, will be ready for another call.
        waiting
            .calls
            .iter()
            .filter(|call| call.target_tid == target_tid)
            .for_each(|call| call.look(self.looks_for_signals));
        waiting.calls.push(Call { course: Arc::clone(&course), target_tid, file, is_pending });
        self.have_watched(&mut waiting);
        drop(waiting);
        if let Some(Task { job, course, .. }) = self.pool.take(Task { job, devices, course }) {
            course.leave();
            job.end(Ended::Failed(libc::ENFILE));
        }
    }

    /// Gives up what still waits for the task, which makes another call: its earlier one was withdrawn. Its result counts
    /// for that call, and must not come after it. `before_wait` is called if that takes time, which it gets as long as the
    /// new call is pending.
    pub(crate) fn end_for(&self, task: u32, is_pending: impl Fn() -> bool, before_wait: impl FnOnce()) {
        let (begun, mut before_wait) = (Instant::now(), Some(before_wait));
        while let Some(stale) = self.ending(task) {
            let passed = begun.elapsed();
            if passed >= PATIENCE {
                return stale.abandon();
            }
            if passed >= SOON {
                before_wait.take().into_iter().for_each(|before_wait| before_wait());
                if !is_pending() {
                    return;
                }
            }
            thread::sleep(PAUSE);
        }
    }

    /// Gives up what waits for the task, and says what of it has not ended.
    fn ending(&self, task: u32) -> Option<Arc<Course>> {
        let waiting = self.waiting();
        let is_stale = |call: &&Call| call.target_tid == task && call.course.is_awaited();
        let stale = waiting.calls.iter().find(is_stale)?;
        stale.look(self.looks_for_signals);
        Some(Arc::clone(&stale.course))
    }

    /// Gives up opens that nobody waits for any more, of `file` or of all, since a task that is killed has left its FIFO at
    /// once. Waits until they have ended, but not for long, and only as long as the caller's own call `is_pending`.
    pub(crate) fn end_withdrawn(&self, file: Option<&FileFacts>, is_pending: impl Fn() -> bool) {
        let concerns = |call: &&Call| call.file.is_some_and(|other| file.is_none_or(|file| file.is_same_file(&other)));
        let mut withdrawn: Vec<_> = self.waiting().calls.iter().filter(concerns).cloned().collect();
        let patience = if file.is_some() { PATIENCE } else { PATIENCE_WITH_OTHERS };
        let begun = Instant::now();
        loop {
            // Who has not begun yet sees for himself that nobody waits.
            withdrawn.retain(|call| call.course.is_under_way() && call.is_withdrawn());
            if withdrawn.is_empty() || !is_pending() {
                return;
            }
            if begun.elapsed() >= patience {
                // It hangs, and nobody is to wait for it once more.
                return withdrawn.iter().for_each(|call| call.course.abandon());
            }
            for call in &withdrawn {
                call.course.urge();
            }
            thread::sleep(PAUSE);
        }
    }

    /// Has the waiting opens looked after until there is none.
    fn have_watched(&self, waiting: &mut Waiting) {
        if waiting.are_watched {
            return;
        }
        let (watched, looks_for_signals) = (Arc::clone(&self.waiting), self.looks_for_signals);
        let look = move || {
            let mut pause = CONNECT_LOOK;
            loop {
                thread::sleep(pause);
                let mut waiting = lock(&watched);
                waiting.forget_ended();
                if waiting.calls.is_empty() {
                    waiting.are_watched = false;
                    return;
                }
                // A thousand looks take their time, for which nobody else is to wait.
                let calls = waiting.calls.clone();
                drop(waiting);
                let connects = calls.iter().any(|call| call.file.is_none());
                let begun = Instant::now();
                for call in calls {
                    call.look(looks_for_signals);
                }
                pause = (begun.elapsed() * RESTS).max(if connects { CONNECT_LOOK } else { LOOK });
            }
        };
        match pool::spawn("open-watch", look) {
            Ok(()) => waiting.are_watched = true,
            Err(error) => tracing::error!(%error, "waiting opens are not looked after"),
        }
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        self.pool.close();
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Call {
    fn look(&self, looks_for_signals: bool) {
        if !self.is_withdrawn()
            && looks_for_signals
            && self.course.order() == Order::GoOn
            && is_interrupted(self.target_tid)
        {
            self.course.give(Order::Signalled);
        }
        self.course.urge();
    }

    /// Whether nobody waits for it any more; it is told so.
    fn is_withdrawn(&self) -> bool {
        if self.course.order() == Order::GoOn && !(self.is_pending)() {
            self.course.give(Order::Withdrawn);
        }
        self.course.order() == Order::Withdrawn
    }
}

impl Work {
    /// What is opened.
    fn file(&self) -> Option<FileFacts> {
        match self {
            Self::Open(errand) => match &*errand.located {
                Located::Existing { facts, .. } => Some(*facts),
                Located::Missing { .. } | Located::Failed(_) => None,
            },
            Self::Connect(..) => None,
        }
    }

    /// Whether a process does it that lives with the task.
    fn needs_process(&self) -> bool {
        match self {
            Self::Open(errand) => errand.needs_process(),
            Self::Connect(client, _) => client.needs_process(),
        }
    }

    /// Gets this thread's means ready; says which process does it, if another one does.
    fn prepare(&mut self, means: &mut Means, devices: &DevicePolicy) -> Result<Option<Pidfd>, MeansError> {
        match self {
            Self::Open(errand) => means.take_over(errand, devices),
            Self::Connect(client, _) => means.welcome(client, devices),
        }
    }

    fn perform(&self, means: &mut Means, devices: &Arc<DevicePolicy>) -> Ended {
        match self {
            Self::Open(errand) => match means.open(errand, devices, true) {
                Opened::File(file) => Ended::File(file),
                Opened::Failed(errno) => Ended::Failed(errno),
                Opened::Blocks | Opened::Changed => Ended::Failed(libc::EIO),
            },
            Self::Connect(client, contact) => match means.connect(client, contact) {
                Ok(()) => Ended::Done,
                Err(errno) => Ended::Failed(errno),
            },
        }
    }
}

/// Whether something wants the task out of its wait, in which the kernel holds all but fatal signals back. It sleeps
/// interruptibly until then, and not any more afterwards, whatever it was (`seccomp_do_user_notification` of the kernel's
/// `seccomp.c`, since Linux 5.19). A task that was interrupted looks for signals on its way out of the call, so that the
/// answer does not reach its program even where there is none by then.
fn is_interrupted(task: u32) -> bool {
    Process::open(task).and_then(|process| process.stat()).is_some_and(|stat| stat.state == b'D')
}
