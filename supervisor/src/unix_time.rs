// SPDX-License-Identifier: Apache-2.0
//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in nanoseconds; 0 for a clock before 1970.
pub(crate) fn unix_time() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
