// SPDX-License-Identifier: Apache-2.0
//! Calls whose threads lost the lead before they were done. A signal may have interrupted such a call meanwhile, and then
//! another thread gets it once more, or the next call of its task. What the first thread makes must be there before that
//! one goes on, as it would be without us: a file is cut before something is written to it, not after. And what is kept of
//! the call (see [`super::withdrawn`]) must be there before it is looked for, or given up.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::withdrawn::CallKey;
use crate::sys::Notification;

/// How often who waits looks whether its own call is still there, and for how long at most.
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(1);

/// The calls that threads without the lead are at.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// How many there are, for whom it is enough that there are none.
    count: AtomicUsize,
    calls: Mutex<Calls>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Calls {
    entries: Vec<Entry>,
    /// How many threads wait for one of them to end.
    waiting: usize,
}

#[derive(Debug)]
struct Entry {
    /// Number of the thread.
    member: usize,
    /// Where its notification lies.
    slot: usize,
    call: CallKey,
    /// The notification's id.
    id: u64,
    /// Since when somebody waits for it. Signals may have its task come back again and again meanwhile.
    awaited_since: Option<Instant>,
}

impl Entry {
    /// Whether it is an earlier notification of the same task, for which somebody may have to wait.
    fn is_before(&self, notification: &Notification) -> bool {
        self.call.task() == notification.target_tid && !self.is_given_up()
    }

    /// Whether it was waited for in vain.
    fn is_given_up(&self) -> bool {
        self.awaited_since.is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

impl Aside {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread has lost the lead while it is at this call.
    pub(super) fn add(&self, member: usize, slot: usize, notification: &Notification) {
        let mut calls = self.calls();
        let (call, id) = (CallKey::from(notification), notification.id);
        calls.entries.push(Entry { member, slot, call, id, awaited_since: None });
        self.count.store(calls.entries.len(), Ordering::Release);
    }

    /// The thread is at no call any more that another one would have to wait for.
    pub(super) fn end(&self, member: usize) {
        let mut calls = self.calls();
        calls.entries.retain(|entry| entry.member != member);
        self.count.store(calls.entries.len(), Ordering::Release);
        // Even without anybody who waits it would take a system call.
        let is_awaited = calls.waiting != 0;
        drop(calls);
        if is_awaited {
            self.ended.notify_all();
        }
    }

    /// Whether a thread makes an earlier notification of this call's task; `is_made` says of a slot whether that one has come
    /// so far. One that has not will see that it was withdrawn.
    pub(super) fn has(&self, notification: &Notification, is_made: impl Fn(usize) -> bool) -> bool {
        self.count.load(Ordering::Acquire) != 0
            && self.calls().entries.iter().any(|entry| entry.is_before(notification) && is_made(entry.slot))
    }

    /// Whether the task has gone on while the call of this notification was made.
    pub(super) fn is_given_up(&self, id: u64) -> bool {
        self.count.load(Ordering::Acquire) != 0
            && self.calls().entries.iter().any(|entry| entry.id == id && entry.is_given_up())
    }

    /// Lets `member` wait until no other thread makes an earlier notification of this call's task, or nobody waits for this
    /// one. What takes longer than [`PATIENCE`] hangs, and must not make this one hang with it, nor those after it.
    pub(super) fn wait(
        &self,
        member: usize,
        notification: &Notification,
        is_made: impl Fn(usize) -> bool,
        is_pending: impl Fn() -> bool,
    ) {
        let is_earlier = |entry: &Entry| entry.member != member && entry.is_before(notification) && is_made(entry.slot);
        let mut calls = self.calls();
        calls.waiting += 1;
        while calls.entries.iter().any(is_earlier) && is_pending() {
            for entry in calls.entries.iter_mut().filter(|entry| is_earlier(entry)) {
                entry.awaited_since.get_or_insert_with(Instant::now);
            }
            (calls, _) = self.ended.wait_timeout(calls, LOOK).unwrap_or_else(PoisonError::into_inner);
        }
        calls.waiting -= 1;
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
    fn a_call_waits_for_earlier_ones_of_its_task_and_for_no_other() {
        let aside = Aside::default();
        let made = |slot| slot == 7;
        assert!(!aside.has(&call(2, 10), made));
        aside.add(0, 7, &call(1, 10));
        assert!(aside.has(&call(2, 10), made));
        assert!(aside.has(&Notification { nr: 84, ..call(2, 10) }, made), "the task's next call");
        assert!(!aside.has(&call(3, 11), made), "another task");
        assert!(!aside.has(&call(2, 10), |_slot| false), "nothing is made yet");
        aside.add(1, 8, &call(2, 10));
        let (waits, went_on) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                aside.wait(1, &call(2, 10), |_slot| true, || true);
                waits.send(()).unwrap();
            });
            went_on.recv_timeout(3 * LOOK).expect_err("it did not wait");
            aside.end(0);
            went_on.recv().unwrap();
        });
        aside.end(1);
        assert!(!aside.has(&call(4, 10), made));
    }

    #[test]
    fn nobody_waits_for_ever_or_for_a_call_that_was_withdrawn_again() {
        let aside = Aside::default();
        aside.add(0, 7, &call(1, 10));
        let begun = Instant::now();
        aside.wait(1, &call(2, 10), |_slot| true, || false);
        assert!(begun.elapsed() < PATIENCE);
        assert!(!aside.is_given_up(1));
        aside.wait(1, &call(2, 10), |_slot| true, || true);
        assert!(begun.elapsed() >= PATIENCE);
        assert!(aside.is_given_up(1));
        assert!(!aside.has(&call(3, 10), |_slot| true), "nobody waits once more");
    }
}
