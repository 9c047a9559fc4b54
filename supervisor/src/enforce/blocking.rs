// SPDX-License-Identifier: Apache-2.0
//! Opens and connects that wait: each on a thread of its own, ended when the target no longer waits for it.
//!
//! Such a call may wait for ever, for instance for the other end of a FIFO. The target can be killed meanwhile, or be
//! interrupted by a signal, as it could be in the kernel. Without `WAIT_KILLABLE_RECV` the kernel then withdraws the
//! notification. With it, it does so for fatal signals alone, so that other signals have to be looked for here; the call
//! is then answered with ERESTARTSYS, which the kernel turns into EINTR or a restart as the signal's handler wants it.
//!
//! Getting ready takes time that the kernel would not need: some milliseconds where a process in another user namespace
//! must start. Signals that come faster than that must not keep a call from ever being made. So one whose result can be
//! kept for its next notification is attempted once although it was withdrawn.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::unistd::Pid;

use super::{Client, Contact, DevicePolicy, Errand, Means, MeansError, Opened};
use crate::{
    diagnostics,
    process::Process,
    sys::{self, Pidfd},
};

/// Opens of one listener that may wait at one time. Each has a thread; a container that wants more gets ENFILE.
const MAX_WAITING: usize = 1000;
/// Stack of such a thread: it makes system calls and little else.
const STACK_BYTES: usize = 128 << 10;
/// How often waiting targets are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How long a call that is given up gets to end, after what time others are let go on meanwhile, and how often it is told.
const PATIENCE: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_micros(50);
/// How long an attempt gets whose call was withdrawn before it was made: what does not wait is done in that time.
const ATTEMPT: Duration = Duration::from_millis(2);
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

    /// Does it, however long that takes, and answers.
    fn run(self, devices: &Arc<DevicePolicy>, course: &Course) {
        let ended = self.wait(devices, course);
        // It is over, and delivering the result must not be interrupted.
        let refused = sys::refuse_interrupts();
        debug_assert!(refused.is_ok(), "a thread may block any signal");
        match (course.state.load(Ordering::Acquire), ended) {
            (WITHDRAWN, ended) => {
                (self.withdrawn)(ended);
                (self.finished)();
            }
            (SIGNALLED, Ended::Failed(libc::EINTR)) if self.restarts => self.end(Ended::Failed(RESTART)),
            (_, ended) => self.end(ended),
        }
    }

    fn wait(&self, devices: &Arc<DevicePolicy>, course: &Course) -> Ended {
        let prepared = Means::new().map_err(|error| error.to_string()).and_then(|mut means| {
            let started = self.work.prepare(&mut means, devices).map_err(|error| diagnostics::chain(&error))?;
            started.map(|id| course.helper.set(id));
            Ok(means)
        });
        if !(self.is_pending)() {
            course.state.store(WITHDRAWN, Ordering::Release);
        }
        // The caller's rights were read, which may have been another program's.
        let is_given_up = || course.is_withdrawn() && !self.is_attempted();
        let mut means = match prepared {
            _ if is_given_up() => return Ended::Failed(libc::EINTR),
            Ok(means) => means,
            Err(_) if course.is_withdrawn() => return Ended::Failed(libc::EINTR),
            Err(error) => {
                tracing::error!(error, "a thread cannot act for a target");
                return Ended::Failed(libc::EIO);
            }
        };
        if course.begun.set(Some(Instant::now())).is_err() {
            return Ended::Failed(libc::EINTR);
        }
        loop {
            let ended = self.work.perform(&mut means, devices);
            // A signal that is not for this call: ours are sent only after the state has changed.
            if !matches!(ended, Ended::Failed(libc::EINTR)) || course.state.load(Ordering::Acquire) != GOES_ON {
                return ended;
            }
        }
    }

    /// Whether the call is attempted although it was withdrawn.
    fn is_attempted(&self) -> bool {
        self.attempted_for.as_ref().is_some_and(|is_same| is_same())
    }
}

/// How a call that waits is getting on.
#[derive(Debug)]
struct Course {
    state: AtomicU8,
    /// The process that waits in another user namespace, if one does.
    helper: OnceLock<u32>,
    /// Whether it gets one attempt in any case.
    is_attempted: bool,
    /// When all was ready for it; `None` if it was given up before.
    begun: OnceLock<Option<Instant>>,
}

impl Course {
    fn is_withdrawn(&self) -> bool {
        self.state.load(Ordering::Acquire) == WITHDRAWN
    }

    /// Whether the call may be interrupted by now.
    fn had_its_attempt(&self) -> bool {
        let had_time = |begun: &Option<Instant>| begun.is_none_or(|begun| begun.elapsed() >= ATTEMPT);
        !self.is_attempted || self.begun.get().is_some_and(had_time)
    }

    /// Gives up a call that has not begun.
    fn revoke(&self) {
        let _begun = self.begun.set(None);
    }
}

/// The waiting opens of one listener.
#[derive(Debug, Default)]
pub(crate) struct Blocking {
    waiting: Arc<Mutex<Vec<Waiting>>>,
    looks_for_signals: bool,
}

struct Waiting {
    thread: JoinHandle<()>,
    course: Arc<Course>,
    target_tid: u32,
    is_pending: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Waiting").field("target_tid", &self.target_tid).finish_non_exhaustive()
    }
}

/// Why an open is to be given up.
const GOES_ON: u8 = 0;
const WITHDRAWN: u8 = 1;
const SIGNALLED: u8 = 2;

impl Blocking {
    /// For a listener whose calls are, or are not, shielded from signals by the kernel.
    pub(crate) fn new(is_wait_killable: bool) -> Self {
        Self { looks_for_signals: is_wait_killable, ..Self::default() }
    }

    /// Starts the open on a thread of its own.
    pub(crate) fn start(&self, job: Job, devices: Arc<DevicePolicy>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING {
            return job.end(Ended::Failed(libc::ENFILE));
        }
        let (target_tid, is_pending) = (job.target_tid, Arc::clone(&job.is_pending));
        let course = Arc::new(Course {
            state: AtomicU8::new(GOES_ON),
            helper: OnceLock::new(),
            is_attempted: job.attempted_for.is_some(),
            begun: OnceLock::new(),
        });
        let own_course = Arc::clone(&course);
        // Kept where it can be taken back if there is no thread for it.
        let job = Arc::new(Mutex::new(Some(job)));
        let take = |job: &Mutex<Option<Job>>| job.lock().unwrap_or_else(PoisonError::into_inner).take();
        let theirs = Arc::clone(&job);
        let builder = thread::Builder::new().name(format!("open-{target_tid}")).stack_size(STACK_BYTES);
        let started = builder.spawn(move || {
            if let Some(job) = take(&theirs) {
                job.run(&devices, &own_course);
            }
        });
        match started {
            Ok(thread) => waiting.push(Waiting { thread, course, target_tid, is_pending }),
            Err(error) => {
                tracing::error!(%error, "an open that waits has no thread");
                if let Some(job) = take(&job) {
                    job.end(Ended::Failed(libc::ENFILE));
                }
            }
        }
        let is_first = waiting.len() == 1;
        drop(waiting);
        if is_first {
            self.watch();
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
                return stale.revoke();
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
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|call| !call.thread.is_finished());
        let stale = waiting.iter().find(|call| call.target_tid == task)?;
        stale.look(self.looks_for_signals);
        Some(Arc::clone(&stale.course))
    }

    /// Looks after the waiting opens until there is none.
    fn watch(&self) {
        let (waiting, looks_for_signals) = (Arc::clone(&self.waiting), self.looks_for_signals);
        let look = move || {
            loop {
                thread::sleep(LOOK);
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.retain(|open| !open.thread.is_finished());
                if waiting.is_empty() {
                    return;
                }
                waiting.iter().for_each(|open| open.look(looks_for_signals));
            }
        };
        let started = thread::Builder::new().name("open-watch".to_owned()).stack_size(STACK_BYTES).spawn(look);
        if let Err(error) = started {
            tracing::error!(%error, "waiting opens are not looked after");
        }
    }
}

impl Waiting {
    fn look(&self, looks_for_signals: bool) {
        let Course { state, helper, .. } = &*self.course;
        if state.load(Ordering::Acquire) == GOES_ON {
            if !(self.is_pending)() {
                state.store(WITHDRAWN, Ordering::Release);
            } else if looks_for_signals && has_signal(self.target_tid) {
                state.store(SIGNALLED, Ordering::Release);
            }
        }
        if state.load(Ordering::Acquire) != GOES_ON && self.course.had_its_attempt() {
            // A thread that is just about to wait is not caught; the next look comes soon.
            sys::interrupt_thread(&self.thread);
            if let Some(helper) = helper.get()
                && let Err(error) = end(*helper)
            {
                tracing::error!(%error, "an open in another user namespace cannot be given up");
            }
        }
    }
}

impl Work {
    /// Gets this thread's means ready; says what to end if the call must be given up.
    fn prepare(&self, means: &mut Means, devices: &DevicePolicy) -> Result<Option<u32>, MeansError> {
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

fn end(process: u32) -> std::io::Result<()> {
    match Pidfd::open(Pid::from_raw(i32::try_from(process).unwrap_or(i32::MAX))) {
        Ok(process) => process.kill(),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a signal waits for the task that would end a wait in the kernel. One for the whole process may be taken by
/// another thread, and counts only where there is none.
fn has_signal(task: u32) -> bool {
    Process::open(task).and_then(|process| process.status()).is_some_and(|status| status.has_signal())
}
