// SPDX-License-Identifier: Apache-2.0
//! Waiting for a condition until a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_millis(5); // short against any deadline, long against a poll of /proc

/// The first value that `condition` yields; fails the test, naming `what`, when `patience` is over before.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, condition: impl FnMut() -> Option<T>) -> T {
    poll(patience, condition).unwrap_or_else(|| panic!("waited {patience:?} in vain for {what}"))
}

/// The first value that `condition` yields within `patience`.
pub(crate) fn poll<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(INTERVAL);
    }
}
