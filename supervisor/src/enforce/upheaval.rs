// SPDX-License-Identifier: Apache-2.0
//! Whether what is remembered of tasks still holds: calls that change groups, roots and namespaces are notified, too.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{decode::Call, sys::is_leader};

/// What the container's tasks have done to themselves.
#[derive(Debug, Default)]
pub(crate) struct Upheaval {
    /// Whether the container's profile notifies the calls that count here.
    is_told: bool,
    groups: AtomicU64,
    has_taken_over: AtomicBool,
    has_moved: AtomicBool,
}

impl Upheaval {
    /// For a container whose profile does, or does not, notify these calls.
    pub(crate) fn new(is_told: bool) -> Self {
        Self { is_told, ..Self::default() }
    }

    /// What it says now, for a thread that is not told what happens.
    pub(super) fn snapshot(&self) -> Self {
        let has_taken_over = AtomicBool::new(self.groups().is_none());
        Self { has_moved: AtomicBool::new(!self.is_settled()), has_taken_over, ..Self::new(self.is_told) }
    }

    /// Takes note of a call before it happens. It changes its own thread alone, which makes no other call meanwhile, or,
    /// of a shared root directory, threads that may be in the middle of one: roots are not remembered from then on.
    ///
    /// A thread that executes a program takes over the number of its process' first one, whose groups may be others, and
    /// which may still open something until then: groups are not remembered from then on either.
    pub(crate) fn note(&self, call: &Call, task: u32) {
        match call.type_name() {
            "execve" if !is_leader(task) => self.has_taken_over.store(true, Ordering::Release),
            "setgroups" => drop(self.groups.fetch_add(1, Ordering::AcqRel)),
            "chroot" | "pivot_root" | "setns" | "unshare" => self.has_moved.store(true, Ordering::Release),
            _ => {}
        }
    }

    /// Which version of groups is current; `None` where nobody would tell of a change.
    pub(super) fn groups(&self) -> Option<u64> {
        let is_known = self.is_told && !self.has_taken_over.load(Ordering::Acquire);
        is_known.then(|| self.groups.load(Ordering::Acquire))
    }

    /// Whether roots and namespaces are those that tasks began with.
    pub(super) fn is_settled(&self) -> bool {
        self.is_told && !self.has_moved.load(Ordering::Acquire)
    }
}
