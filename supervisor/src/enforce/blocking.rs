// SPDX-License-Identifier: Apache-2.0
//! Opens that wait: each on a thread of its own, ended when the target no longer waits for it.
//!
//! Such an open may wait for ever, for instance for the other end of a FIFO. The target can be killed meanwhile, or be
//! interrupted by a signal, as it could be in the kernel. Without `WAIT_KILLABLE_RECV` the kernel then withdraws the
//! notification. With it, it does so for fatal signals alone, so that other signals have to be looked for here; the call
//! is then answered with ERESTARTSYS, which the kernel turns into EINTR or a restart as the signal's handler wants it.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{Credentials, DevicePolicy, Located, OpenRequest, Opened, Opener};
use crate::{process::Process, sys};

/// Opens of one listener that may wait at one time. Each has a thread; a container that wants more gets ENFILE.
const MAX_WAITING: usize = 1000;
/// Stack of such a thread: it makes system calls and little else.
const STACK_BYTES: usize = 128 << 10;
/// How often waiting targets are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// The kernel's ERESTARTSYS (linux/errno.h), which no program ever sees.
const RESTART: i32 = 512;

/// An open that waits.
pub(crate) struct Job {
    /// What was found.
    pub(crate) located: Arc<Located>,
    /// What was asked for.
    pub(crate) request: OpenRequest,
    /// As whom.
    pub(crate) credentials: Credentials,
    /// The task that asked.
    pub(crate) target_tid: u32,
    /// Whether the call still waits for its answer.
    pub(crate) is_pending: Box<dyn Fn() -> bool + Send + Sync>,
    /// Answers the call. Called once, unless the call was withdrawn.
    pub(crate) answer: Box<dyn FnOnce(Opened) + Send>,
    /// Called last in any case.
    pub(crate) finished: Box<dyn FnOnce() + Send>,
}

/// The waiting opens of one listener.
#[derive(Debug, Default)]
pub(crate) struct Blocking {
    waiting: Arc<Mutex<Vec<Waiting>>>,
    looks_for_signals: bool,
}

struct Waiting {
    thread: JoinHandle<()>,
    state: Arc<AtomicU8>,
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

    /// Starts the open on a thread of its own; gives the job back where there are too many.
    pub(crate) fn start(&self, job: Job, devices: Arc<DevicePolicy>) -> Result<(), (Job, io::Error)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING {
            return Err((job, io::Error::from_raw_os_error(libc::ENFILE)));
        }
        let state = Arc::new(AtomicU8::new(GOES_ON));
        let is_pending: Arc<dyn Fn() -> bool + Send + Sync> = Arc::from(job.is_pending);
        let target_tid = job.target_tid;
        let Job { located, request, credentials, answer, finished, .. } = job;
        let seen = Arc::clone(&state);
        let run = move || {
            let mut opened = wait(&located, &request, &credentials, &devices, &seen);
            if seen.load(Ordering::Acquire) == SIGNALLED && matches!(opened, Opened::Failed(libc::EINTR)) {
                opened = Opened::Failed(RESTART);
            }
            if seen.load(Ordering::Acquire) != WITHDRAWN {
                answer(opened);
            }
            finished();
        };
        let builder = thread::Builder::new().name(format!("open-{target_tid}")).stack_size(STACK_BYTES);
        let thread = match builder.spawn(run) {
            Ok(thread) => thread,
            // The closure, and with it the answer, is gone: the target is answered by its slot's next reader.
            Err(error) => {
                tracing::error!(%error, "a waiting open has no thread");
                std::process::abort();
            }
        };
        let is_first = waiting.is_empty();
        waiting.push(Waiting { thread, state, target_tid, is_pending });
        drop(waiting);
        if is_first {
            self.watch();
        }
        Ok(())
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
        if self.state.load(Ordering::Acquire) == GOES_ON {
            if !(self.is_pending)() {
                self.state.store(WITHDRAWN, Ordering::Release);
            } else if looks_for_signals && has_signal(self.target_tid) {
                self.state.store(SIGNALLED, Ordering::Release);
            }
        }
        if self.state.load(Ordering::Acquire) != GOES_ON {
            // A thread that is just about to wait is not caught; the next look comes soon.
            sys::interrupt_thread(&self.thread);
        }
    }
}

/// Opens, however long that takes.
fn wait(
    located: &Located,
    request: &OpenRequest,
    credentials: &Credentials,
    devices: &DevicePolicy,
    state: &AtomicU8,
) -> Opened {
    let mut opener = match Opener::new() {
        Ok(opener) => opener,
        Err(error) => {
            tracing::error!(%error, "a thread cannot open for a target");
            return Opened::Failed(libc::EIO);
        }
    };
    loop {
        match opener.open(located, request, credentials, devices, true) {
            // Not for us: a signal of ours is sent only after the state has changed.
            Opened::Failed(libc::EINTR) if state.load(Ordering::Acquire) == GOES_ON => {}
            opened => return opened,
        }
    }
}

/// Whether a signal waits for the task that would end a wait in the kernel. One for the whole process may be taken by
/// another thread, and counts only where there is none.
fn has_signal(task: u32) -> bool {
    Process::open(task).and_then(|process| process.status()).is_some_and(|status| status.has_signal())
}
