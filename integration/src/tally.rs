// SPDX-License-Identifier: Apache-2.0
//! Exactness: what was done against what was reported, name by name.

use std::collections::BTreeMap;

const SHOWN: usize = 8; // of each kind of fault; a broken build has thousands
const WIDTH: usize = 100; // characters of a name; a path may have thousands

/// Counts of names.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, usize>);

impl<S: Into<String>> FromIterator<S> for Tally {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut counts = BTreeMap::new();
        for name in names {
            *counts.entry(name.into()).or_insert(0) += 1;
        }
        Self(counts)
    }
}

impl Tally {
    /// How many there are in all.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Fails the test unless each name is there as often as in `expected`, which is once as a rule.
    #[track_caller]
    pub fn expect(&self, what: &str, expected: &Self) {
        let faults = self.differences(expected);
        assert!(
            faults.is_empty(),
            "{what}: {} faults: {:#?}",
            faults.len(),
            faults.iter().take(SHOWN).collect::<Vec<_>>()
        );
    }

    /// Fails the test unless each name of `expected` is there, and no other; returns how many are there too often.
    #[track_caller]
    pub fn expect_at_least(&self, what: &str, expected: &Self) -> usize {
        let faults = self.faults(expected, |found, wanted| found >= wanted && wanted > 0);
        assert!(
            faults.is_empty(),
            "{what}: {} faults: {:#?}",
            faults.len(),
            faults.iter().take(SHOWN).collect::<Vec<_>>()
        );
        self.total() - expected.total()
    }

    /// Each name that is there more or less often than in `expected`, in words.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        self.faults(expected, |found, wanted| found == wanted)
    }

    fn faults(&self, expected: &Self, right: impl Fn(usize, usize) -> bool) -> Vec<String> {
        let count = |tally: &Self, name: &String| tally.0.get(name).copied().unwrap_or(0);
        let names = self.0.keys().chain(expected.0.keys().filter(|name| !self.0.contains_key(*name)));
        let counted = names.map(|name| (name, count(self, name), count(expected, name)));
        let wrong = counted.filter(|(_, found, wanted)| !right(*found, *wanted));
        let short = |name: &String| name.chars().take(WIDTH).collect::<String>();
        wrong.map(|(name, found, wanted)| format!("`{}` {found} times instead of {wanted}", short(name))).collect()
    }
}
