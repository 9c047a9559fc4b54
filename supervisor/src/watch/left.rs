// SPDX-License-Identifier: Apache-2.0
//! Execs of one listener that are left to wait in the kernel for what an interrupt ends, and what becomes of that.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::sys::Notification;

/// By their processes, with the notifications of their calls.
#[derive(Debug, Default)]
pub(super) struct LeftExecs(Mutex<HashMap<u32, (Notification, Left)>>);

/// An exec that is left to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Waiting,
    /// Its process has made another one since.
    Outdated,
    /// Its task was interrupted.
    Interrupted,
}

impl LeftExecs {
    fn execs(&self) -> MutexGuard<'_, HashMap<u32, (Notification, Left)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.execs().is_empty()
    }

    /// A process makes another exec. One that is left to wait is not any more: the same task has left it, and of another task it
    /// holds the lock that whoever wants to trace this one needs (`cred_guard_mutex`).
    pub(super) fn outdate(&self, process: u32) {
        if let Some((_, left @ Left::Waiting)) = self.execs().get_mut(&process) {
            *left = Left::Outdated;
        }
    }

    /// This exec of the process is left to wait, or was.
    pub(super) fn set(&self, process: u32, notification: &Notification, left: Left) {
        self.execs().insert(process, (*notification, left));
    }

    /// It is not any more.
    pub(super) fn end(&self, process: u32, notification: &Notification) {
        let mut execs = self.execs();
        if execs.get(&process).is_some_and(|(other, _)| other.id == notification.id) {
            execs.remove(&process);
        }
    }

    /// What has become of that.
    pub(super) fn get(&self, process: u32, notification: &Notification) -> Option<Left> {
        let execs = self.execs();
        execs.get(&process).filter(|(other, _)| other.id == notification.id).map(|(_, left)| *left)
    }

    /// Whether an earlier exec of the task that makes this one was left to wait, and got an interrupt.
    pub(super) fn holds_back_interrupt(&self, process: u32, notification: &Notification) -> bool {
        let execs = self.execs();
        execs.get(&process).is_some_and(|(other, left)| {
            other.target_tid == notification.target_tid && other.id != notification.id && *left == Left::Interrupted
        })
    }
}
