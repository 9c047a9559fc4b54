// SPDX-License-Identifier: Apache-2.0
//! One container's counters: a page in its run directory that the supervisor counts in and `lanner ps` reads.
//!
//! Counting is one atomic addition; no call is spent on it.

use std::{
    fs::OpenOptions,
    io,
    num::NonZeroUsize,
    os::fd::AsFd,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::sys::{Mapping, SyscallError};

/// The page, mapped.
#[derive(Debug)]
pub(crate) struct Counters(Mapping);

/// What is counted; the number is the cell (see ARCHITECTURE.md, "Run directory").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Calls that rules were asked about.
    Events = 0,
    /// Alerts written.
    Alerts = 1,
    /// Calls denied or ended with a kill.
    Denied = 2,
    /// Calls answered by the mode's failure verdict.
    Failures = 3,
    /// Supervisors started.
    Starts = 4,
    /// Unix time in nanoseconds of the first listener.
    Since = 5,
}

/// The counters cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CountersError {
    /// The file cannot be opened.
    #[error("cannot open the counters")]
    Open(#[from] io::Error),
    /// It cannot be mapped.
    #[error(transparent)]
    Map(#[from] SyscallError),
}

impl Counters {
    /// Size of the file.
    pub(crate) const FILE_BYTES: u64 = 4096;

    /// Maps the counters of a container.
    pub(crate) fn open(path: &Path) -> Result<Self, CountersError> {
        const LENGTH: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self(Mapping::new(file.as_fd(), LENGTH)?))
    }

    fn cell(&self, counter: Counter) -> &AtomicU64 {
        static NOWHERE: AtomicU64 = AtomicU64::new(0);
        // A page has more cells than there are counters, so the fallback is for the compiler.
        self.0.cells().get(counter as usize).unwrap_or(&NOWHERE)
    }

    /// Adds `more`; returns the sum.
    pub(crate) fn add(&self, counter: Counter, more: u64) -> u64 {
        self.cell(counter).fetch_add(more, Ordering::Relaxed).wrapping_add(more)
    }

    /// Sets a counter that has not been set yet.
    pub(crate) fn set_once(&self, counter: Counter, value: u64) {
        // Losing the race means that somebody else has set it, which is what is wanted.
        match self.cell(counter).compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) | Err(_) => {}
        }
    }
}
