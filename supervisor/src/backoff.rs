// SPDX-License-Identifier: Apache-2.0
//! How long guard and supervisor wait before they start each other anew.

use std::time::Duration;

/// A process that lived shorter than this died of something that will happen again: the next one waits a little.
const SHORT_LIFE: Duration = Duration::from_millis(200);
/// First wait before a restart, doubled with every short life.
const FIRST_DELAY: Duration = Duration::from_millis(10);
/// Longest wait: calls of the container may be waiting meanwhile.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// How long to wait before the next start.
#[derive(Debug, Default)]
pub(crate) struct Backoff(Option<Duration>);

impl Backoff {
    /// The wait after a process that lived for `life`.
    pub(crate) fn next(&mut self, life: Duration) -> Duration {
        self.0 = if life >= SHORT_LIFE {
            None
        } else {
            Some(self.0.map_or(FIRST_DELAY, |delay| (delay * 2).min(LONGEST_DELAY)))
        };
        self.0.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lives_are_restarted_ever_later_and_a_long_one_at_once() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..9).map(|_| backoff.next(Duration::ZERO).as_millis()).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(backoff.next(SHORT_LIFE), Duration::ZERO);
        assert_eq!(backoff.next(Duration::ZERO), FIRST_DELAY);
    }
}
