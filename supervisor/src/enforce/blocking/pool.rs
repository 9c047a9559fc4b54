// SPDX-License-Identifier: Apache-2.0
//! The threads for calls that wait. Some are kept for the next call: to make one ready costs more than most calls, and
//! where a process must start in the task's namespaces, twenty times as much.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{Ended, Job, Work, course::Course};
use crate::enforce::{DevicePolicy, Means};

/// Stack of such a thread: it makes system calls and little else.
const STACK_BYTES: usize = 128 << 10;
/// Threads without a call that are kept, and how long.
const MAX_IDLE: usize = 4;
const LINGER: Duration = Duration::from_secs(2);

/// A call for a thread.
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) devices: Arc<DevicePolicy>,
    pub(super) course: Arc<Course>,
}

/// Calls of this supervisor's that may wait with a process in the task's namespaces at one time, opens and connects each, and
/// how long one more waits for its turn: most are done in no time.
const MAX_INSIDE: usize = 128;
const TURN_PATIENCE: Duration = Duration::from_secs(2);

static OPENS: Turns = Turns::new();
static CONNECTS: Turns = Turns::new();

/// Leaves to have a process.
struct Turns {
    taken: Mutex<usize>,
    left: Condvar,
}

/// One of them.
struct Turn(&'static Turns);

impl Turns {
    const fn new() -> Self {
        Self { taken: Mutex::new(0), left: Condvar::new() }
    }

    /// Waits for one, not for ever.
    fn next(&'static self) -> Option<Turn> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |taken: &mut usize| *taken >= MAX_INSIDE;
        let waited = self.left.wait_timeout_while(taken, TURN_PATIENCE, is_full);
        let (mut taken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        *taken += 1;
        Some(Turn(self))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.left.notify_one();
    }
}

/// The threads of one listener.
#[derive(Default)]
pub(super) struct Pool {
    queue: Mutex<Queue>,
    filled: Condvar,
}

/// For each task there is a thread that is idle, or was started for it.
#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    idle: usize,
    is_closed: bool,
}

impl Pool {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the task done; gives it back where there is no thread for it.
    pub(super) fn take(self: &Arc<Self>, task: Task) -> Option<Task> {
        let mut queue = self.queue();
        queue.tasks.push_back(task);
        if queue.tasks.len() <= queue.idle {
            self.filled.notify_one();
            return None;
        }
        let pool = Arc::clone(self);
        if let Err(error) = spawn("open-aside", move || pool.work()) {
            tracing::error!(%error, "an open that waits has no thread");
            return queue.tasks.pop_back();
        }
        None
    }

    /// Lets threads without a call go: there will be none.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.filled.notify_all();
    }

    fn work(&self) {
        let mut means = None;
        while let Some(Task { job, devices, course }) = self.next() {
            course.start();
            let turn = match &job.work {
                work if !work.needs_process() => Some(None),
                Work::Open(_) => OPENS.next().map(Some),
                Work::Connect(..) => CONNECTS.next().map(Some),
            };
            match &turn {
                Some(_) => job.run(&mut means, &devices, &course),
                None => job.end(Ended::Failed(libc::ENFILE)),
            }
            course.leave();
            means.iter_mut().for_each(Means::leave);
            drop(turn);
            if means.as_ref().is_some_and(Means::is_bound) {
                return;
            }
        }
    }

    /// The next task; `None` where there is none for a while.
    fn next(&self) -> Option<Task> {
        let mut queue = self.queue();
        if queue.tasks.is_empty() && queue.idle < MAX_IDLE {
            queue.idle += 1;
            let has_nothing = |queue: &mut Queue| queue.tasks.is_empty() && !queue.is_closed;
            let waited = self.filled.wait_timeout_while(queue, LINGER, has_nothing);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
        queue.tasks.pop_front()
    }
}

/// Starts a thread with a small stack.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(work).map(drop)
}
