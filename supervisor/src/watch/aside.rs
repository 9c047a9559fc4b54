// SPDX-License-Identifier: Apache-2.0
//! Calls whose threads lost the lead before they were done. A signal may have interrupted such a call meanwhile, and then
//! another thread gets it once more (see [`super::withdrawn`]): what the first one makes and keeps for it must be there
//! before it is looked for.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::withdrawn::CallKey;
use crate::sys::Notification;

/// How often who waits looks whether its own call is still there.
const LOOK: Duration = Duration::from_millis(5);

/// The calls that threads without the lead are at.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// How many there are, for whom it is enough that there are none.
    count: AtomicUsize,
    /// With the numbers of their threads.
    calls: Mutex<Vec<(usize, CallKey)>>,
    ended: Condvar,
}

impl Aside {
    fn calls(&self) -> MutexGuard<'_, Vec<(usize, CallKey)>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread has lost the lead while it is at this call.
    pub(super) fn add(&self, member: usize, call: CallKey) {
        let mut calls = self.calls();
        calls.push((member, call));
        self.count.store(calls.len(), Ordering::Release);
    }

    /// The thread is at no call any more.
    pub(super) fn end(&self, member: usize) {
        let mut calls = self.calls();
        calls.retain(|(other, _)| *other != member);
        self.count.store(calls.len(), Ordering::Release);
        drop(calls);
        self.ended.notify_all();
    }

    /// Whether a thread is at an earlier notification of this call.
    pub(super) fn has(&self, notification: &Notification) -> bool {
        self.count.load(Ordering::Acquire) != 0 && {
            let call = CallKey::from(notification);
            self.calls().iter().any(|(_, other)| *other == call)
        }
    }

    /// Lets `member` wait until no other thread is at an earlier notification of this call, or nobody waits for this one.
    pub(super) fn wait(&self, member: usize, notification: &Notification, still_pending: impl Fn() -> bool) {
        let call = CallKey::from(notification);
        let is_earlier = |(other, earlier): &(usize, CallKey)| *other != member && *earlier == call;
        let mut calls = self.calls();
        while calls.iter().any(is_earlier) && still_pending() {
            (calls, _) = self.ended.wait_timeout(calls, LOOK).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    fn call(id: u64, tid: u32) -> Notification {
        Notification { id, target_tid: tid, nr: 83, arch: 0xc000_003e, instruction_pointer: 0x1000, args: [0; 6] }
    }

    #[test]
    fn a_call_waits_for_its_earlier_notification_and_for_no_other() {
        let aside = Aside::default();
        assert!(!aside.has(&call(2, 10)));
        aside.add(0, CallKey::from(&call(1, 10)));
        assert!(aside.has(&call(2, 10)));
        assert!(!aside.has(&call(3, 11)), "another task");
        aside.add(1, CallKey::from(&call(2, 10)));
        let (waits, went_on) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                aside.wait(1, &call(2, 10), || true);
                waits.send(()).unwrap();
            });
            went_on.recv_timeout(3 * LOOK).expect_err("it did not wait");
            aside.end(0);
            went_on.recv().unwrap();
        });
        aside.end(1);
        assert!(!aside.has(&call(4, 10)));
    }

    #[test]
    fn nobody_waits_for_a_call_that_was_withdrawn_again() {
        let aside = Aside::default();
        aside.add(0, CallKey::from(&call(1, 10)));
        aside.wait(1, &call(2, 10), || false);
        assert!(aside.has(&call(3, 10)));
    }
}
