// SPDX-License-Identifier: Apache-2.0
//! Whether the supervisor takes up calls. One that lives and does not, because its threads wait for each other or for what
//! never comes, would keep its container waiting for ever, and nobody tells of it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::custody::{Custody, Signs};

/// How often to look.
const PERIOD: Duration = Duration::from_secs(1);
/// Looks at which calls waited and nothing was done, before the supervisor counts as lost. Looks and not seconds: a machine
/// or a control group that was frozen stood still for both sides.
const PATIENCE: u32 = 10;

/// What was seen of each listener.
#[derive(Debug)]
pub(super) struct Pulse {
    due: Instant,
    waiting: HashMap<u32, Waiting>,
}

/// A listener on which calls wait.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    signs: Signs,
    /// Looks that have found nothing but these.
    looks: u32,
}

impl Pulse {
    /// Begins with nothing seen.
    pub(super) fn new() -> Self {
        Self { due: Instant::now() + PERIOD, waiting: HashMap::new() }
    }

    /// When to look next.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whether that is now; then the next time is later.
    pub(super) fn take_due(&mut self) -> bool {
        let is_due = self.due <= Instant::now();
        if is_due {
            self.due = Instant::now() + PERIOD;
        }
        is_due
    }

    /// Begins anew, for another supervisor.
    pub(super) fn reset(&mut self) {
        self.waiting.clear();
    }

    /// Looks whether calls wait and nobody does anything; says whether that has been so for too long.
    pub(super) fn is_missing(&mut self, custody: &Custody) -> bool {
        let seen = custody.waiting().into_iter().map(|(number, signs)| (number, self.after(number, signs)));
        self.waiting = seen.collect();
        self.waiting.values().any(|waiting| waiting.looks >= PATIENCE)
    }

    /// What is known of a listener on which calls wait, after one more look.
    fn after(&self, number: u32, signs: Signs) -> Waiting {
        let before = self.waiting.get(&number).filter(|before| before.signs == signs);
        Waiting { signs, looks: before.map_or(0, |before| before.looks + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_whose_calls_nobody_takes_up_count() {
        let mut pulse = Pulse::new();
        for look in 0..2 * PATIENCE {
            let changing = u64::from(look);
            let signs = [
                // The main thread waits for something else.
                Signs { taken: changing, looks: 1 },
                // The container holds up as many threads as there can be.
                Signs { taken: 7, looks: changing },
                Signs { taken: 7, looks: 1 },
            ];
            pulse.waiting = (0..).zip(signs).map(|(number, signs)| (number, pulse.after(number, signs))).collect();
            assert_eq!([0, 1, 2].map(|number| pulse.waiting[&number].looks), [0, 0, look]);
        }
        pulse.reset();
        assert_eq!(pulse.after(2, Signs { taken: 7, looks: 1 }).looks, 0);
    }
}
