// SPDX-License-Identifier: Apache-2.0
//! Outcomes of two runs, compared check by check.

use std::collections::{BTreeMap, BTreeSet};

/// `NAME: reason` of each check whose outcome under enforcement is known to differ from the kernel's.
const KNOWN: &str = include_str!("differences.txt");

const BEFORE: usize = 60; // characters of an outcome shown before the first difference
const AFTER: usize = 160;

/// A check's name, and what it said.
pub(crate) type Outcomes = BTreeMap<String, String>;

/// The outcomes in what a run printed, a line each.
pub(crate) fn outcomes(printed: &str) -> Outcomes {
    let lines = printed.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, said)| (name.to_owned(), said.to_owned())).collect()
}

/// Fails the test where a check's outcome is not the kernel's, and where it is although a difference is known.
#[track_caller]
pub(crate) fn expect_equal(native: &Outcomes, enforced: &Outcomes) {
    let names: BTreeSet<_> = native.keys().chain(enforced.keys()).collect();
    let (differing, equal): (Vec<&String>, Vec<&String>) =
        names.into_iter().partition(|name| native.get(*name) != enforced.get(*name));
    let known = outcomes(KNOWN);
    let unknown = differing.into_iter().filter(|name| !known.contains_key(*name));
    let shown: Vec<_> = unknown.map(|name| show(name, native.get(name), enforced.get(name))).collect();
    assert!(shown.is_empty(), "{} of {} checks differ:\n{}", shown.len(), native.len(), shown.join("\n"));
    let gone: Vec<_> = equal.into_iter().filter(|name| known.contains_key(*name)).collect();
    assert!(gone.is_empty(), "no longer different, to be taken from the list: {gone:?}");
}

/// The neighbourhood of the first difference.
fn show(name: &str, native: Option<&String>, enforced: Option<&String>) -> String {
    let [native, enforced] = [native, enforced].map(|said| said.map_or("absent", String::as_str));
    let same = native.chars().zip(enforced.chars()).take_while(|(one, two)| one == two).count();
    let part = |said: &str| said.chars().skip(same.saturating_sub(BEFORE)).take(BEFORE + AFTER).collect::<String>();
    format!("{name}\n  native:   {}\n  enforced: {}", part(native), part(enforced))
}
