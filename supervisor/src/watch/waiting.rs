// SPDX-License-Identifier: Apache-2.0
//! Making sure that a target still waits for the answer that is about to be sent.
//!
//! Without `WAIT_KILLABLE_RECV` a signal wakes a waiting target, which looks for an answer once more and then withdraws its
//! notification. In between, where it may lose its CPU or wait for the lock, the kernel accepts an answer that the target will
//! not take: the call is notified anew although the answer was sent (kernel/seccomp.c, `seccomp_do_user_notification`: the
//! interrupted wait does not look at a reply that came before it took the lock). For a call with an alert that would mean a
//! second one, so its target's state is looked at first: asleep means waiting.

use std::{thread, time::Duration};

use crate::process::state_of;

/// Pause before the state is looked at again.
const PAUSE: Duration = Duration::from_micros(50);
/// Looks before the answer is sent in any case: a call must not wait for ever for a state to change.
const LOOKS: u32 = 100;

/// What the target of a notification is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// It waits for the answer.
    Waits,
    /// It has withdrawn its notification.
    Left,
}

/// Looks until the task sleeps, interruptibly, or its notification is withdrawn.
pub(super) fn settle(target_tid: u32, still_pending: impl Fn() -> bool) -> Target {
    for _ in 0..LOOKS {
        if state_of(target_tid) == Some(b'S') {
            return Target::Waits;
        }
        if !still_pending() {
            return Target::Left;
        }
        thread::sleep(PAUSE);
    }
    Target::Waits
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::process::tests::settled;

    #[test]
    fn a_sleeping_task_waits_and_a_missing_one_has_left() {
        let looks = Cell::new(0);
        let ask = |task, is_pending| {
            looks.set(0);
            let target = settle(task, || {
                looks.set(looks.get() + 1);
                is_pending
            });
            (target, looks.get())
        };
        let mut child = settled();
        while state_of(child.id()) != Some(b'S') {
            thread::sleep(PAUSE);
        }
        assert_eq!(ask(child.id(), true), (Target::Waits, 0), "its state says so");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(ask(child.id(), false), (Target::Left, 1));
        assert_eq!(ask(child.id(), true), (Target::Waits, LOOKS), "not for ever");
    }
}
