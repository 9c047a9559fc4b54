// SPDX-License-Identifier: Apache-2.0
//! How one call that waits is getting on, and how it is got out of its wait.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::sys::pthread::{Pthread, pthread_self};

use crate::sys::{self, Pidfd};

/// How long an attempt gets whose call was withdrawn before it was made: what does not wait is done in that time.
const ATTEMPT: Duration = Duration::from_millis(2);
/// How long a process is asked to stop before it is killed: it may be in a wait that only a death ends.
const ASKED: Duration = Duration::from_millis(20);

/// What a call that waits is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    GoOn,
    /// Stop: its notification was withdrawn.
    Withdrawn,
    /// Stop: a signal waits for its task.
    Signalled,
}

/// The course of one call.
#[derive(Debug)]
pub(super) struct Course(Mutex<State>);

#[derive(Debug)]
struct State {
    order: Order,
    /// Whether it gets one attempt in any case.
    is_attempted: bool,
    /// When all was ready for it.
    begun: Option<Instant>,
    /// Whether it was waited for too long. If all was not ready by then, it is not done at all.
    is_abandoned: bool,
    doer: Doer,
    /// When its process was first asked to stop, and whether it was killed.
    asked: Option<Instant>,
    was_killed: bool,
}

/// Who does it.
#[derive(Debug)]
enum Doer {
    /// Nobody yet.
    Nobody,
    Thread(Pthread),
    /// A process in the task's namespaces, which a thread of ours waits for.
    Helper(Pidfd),
    /// Nobody any more.
    Done,
    /// The same, and the thread does not hold anything of the call's either.
    Over,
}

impl Course {
    /// Of a call that gets one attempt in any case, or does not.
    pub(super) fn new(is_attempted: bool) -> Self {
        Self(Mutex::new(State {
            order: Order::GoOn,
            is_attempted,
            begun: None,
            is_abandoned: false,
            doer: Doer::Nobody,
            asked: None,
            was_killed: false,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn order(&self) -> Order {
        self.state().order
    }

    /// Gives an order, unless the call is done. That its notification was withdrawn counts more than a signal: its task may
    /// be somebody else by then.
    pub(super) fn give(&self, order: Order) {
        let mut state = self.state();
        if state.order != Order::Withdrawn && !matches!(state.doer, Doer::Done | Doer::Over) {
            state.order = order;
        }
    }

    /// The calling thread does it.
    pub(super) fn start(&self) {
        self.state().doer = Doer::Thread(pthread_self());
    }

    /// This process does it for the calling thread.
    pub(super) fn leave_to(&self, helper: Pidfd) {
        self.state().doer = Doer::Helper(helper);
    }

    /// All is ready; says whether the call is still wanted.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state();
        if !state.is_abandoned {
            state.begun = Some(Instant::now());
        }
        !state.is_abandoned
    }

    /// Nobody waits for its end any more; if it has not begun, it is given up.
    pub(super) fn abandon(&self) {
        self.state().is_abandoned = true;
    }

    /// Whether it is worth waiting for its end.
    pub(super) fn is_awaited(&self) -> bool {
        let state = self.state();
        !state.is_abandoned && !matches!(state.doer, Doer::Over)
    }

    /// The same of one that is being done now.
    pub(super) fn is_under_way(&self) -> bool {
        let state = self.state();
        !state.is_abandoned && state.begun.is_some() && !matches!(state.doer, Doer::Done | Doer::Over)
    }

    /// Whether there is an order, and time, to stop.
    #[cfg(test)]
    fn is_due(&self) -> bool {
        self.state().is_due()
    }

    /// Gets it out of its wait if it is to stop. Whoever is just about to wait is not caught: to be repeated.
    pub(super) fn urge(&self) {
        let mut state = self.state();
        if !state.is_due() {
            return;
        }
        let told = match &state.doer {
            Doer::Nobody | Doer::Done | Doer::Over => return,
            Doer::Thread(thread) => return sys::interrupt_thread(*thread),
            Doer::Helper(helper) if state.asked.is_none_or(|asked| asked.elapsed() < ASKED) => helper.interrupt(),
            Doer::Helper(helper) => {
                let killed = helper.kill();
                state.was_killed = true;
                killed
            }
        };
        let is_first = state.asked.is_none();
        state.asked.get_or_insert_with(Instant::now);
        if let Err(error) = told
            && error.raw_os_error() != Some(libc::ESRCH)
            && is_first
        {
            tracing::error!(%error, "a call that is made where its task lives cannot be given up");
        }
    }

    /// It is done, and its thread is interrupted no more. Returns the last order, and whether its process was killed.
    pub(super) fn end(&self) -> (Order, bool) {
        let mut state = self.state();
        state.doer = Doer::Done;
        (state.order, state.was_killed)
    }

    /// Its thread has nothing to do with it any more.
    pub(super) fn leave(&self) {
        self.state().doer = Doer::Over;
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state().doer, Doer::Over)
    }
}

impl State {
    fn is_due(&self) -> bool {
        let had_its_attempt = self.begun.map_or(self.is_abandoned, |begun| begun.elapsed() >= ATTEMPT);
        self.order != Order::GoOn && (!self.is_attempted || had_its_attempt)
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    #[test]
    fn a_withdrawal_counts_more_than_a_signal_and_nothing_once_it_is_done() {
        for orders in [[Order::Signalled, Order::Withdrawn], [Order::Withdrawn, Order::Signalled]] {
            let course = Course::new(false);
            course.start();
            assert!(!course.is_due());
            for order in orders {
                course.give(order);
            }
            assert!(course.is_due());
            assert_eq!(course.end(), (Order::Withdrawn, false));
        }
        let course = Course::new(false);
        course.start();
        assert_eq!(course.end(), (Order::GoOn, false));
        course.give(Order::Withdrawn);
        assert_eq!(course.order(), Order::GoOn);
        assert!(!course.is_over());
        course.leave();
        assert!(course.is_over());
    }

    #[test]
    fn an_attempt_has_its_time_from_when_all_is_ready() {
        let course = Course::new(true);
        course.give(Order::Withdrawn);
        sleep(ATTEMPT);
        assert!(!course.is_due(), "before it begins");
        assert!(course.begin());
        assert!(!course.is_due(), "while it has time");
        course.abandon();
        assert!(!course.is_due(), "it has begun");
        sleep(ATTEMPT);
        assert!(course.is_due());
    }

    #[test]
    fn what_was_abandoned_does_not_begin() {
        let course = Course::new(true);
        course.give(Order::Withdrawn);
        course.abandon();
        assert!(course.is_due());
        assert!(!course.begin());
    }
}
