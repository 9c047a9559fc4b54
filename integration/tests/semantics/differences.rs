// SPDX-License-Identifier: Apache-2.0
//! Outcomes of two runs, compared check by check.

use std::collections::{BTreeMap, BTreeSet};

/// `NAME | WHERE | REASON` of each check whose outcome under enforcement is known to differ from the kernel's. WHERE is
/// `always`, or words of a run that must all be true of it; `sometimes` is one more where it depends on the moment.
/// `NAME:OUTCOME` stands for that outcome alone, `NAME:START..` for those that start so. No check may fail to end.
const KNOWN: &str = include_str!("differences.txt");

const UNENDED: &str = "TIMED OUT";
const BEFORE: usize = 60; // characters of an outcome shown before the first difference
const AFTER: usize = 160;

/// A check's name, and what it said.
pub(crate) type Outcomes = BTreeMap<String, String>;

/// A difference that is known.
#[derive(Debug, Clone, Copy)]
struct Difference {
    is_always: bool,
    /// What the check then says, if that is known.
    outcome: Option<&'static str>,
}

impl Difference {
    fn covers(self, outcome: &str) -> bool {
        let said = outcome.trim();
        self.outcome.is_none_or(|known| known.strip_suffix("..").map_or(said == known, |start| said.starts_with(start)))
    }
}

/// The outcomes in what a run printed, a line each.
pub(crate) fn outcomes(printed: &str) -> Outcomes {
    let lines = printed.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, said)| (name.to_owned(), said.to_owned())).collect()
}

/// Fails the test where a check's outcome is not the kernel's, and where it is although it is known to differ. `run` are
/// the words that tell this run from the others.
#[track_caller]
pub(crate) fn expect_equal(run: &[&str], native: &Outcomes, enforced: &Outcomes) {
    let names: BTreeSet<_> = native.keys().chain(enforced.keys()).map(String::as_str).collect();
    let (differing, equal): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| native.get(*name) != enforced.get(*name));
    let known = known_in(run);
    let is_known = |name: &str| known.get(name).is_some_and(|difference| difference.covers(said(enforced.get(name))));
    let unended: Vec<_> = enforced.iter().filter(|(_, said)| said.contains(UNENDED)).collect();
    assert!(unended.is_empty(), "under enforcement some did not end: {unended:?}");
    let unknown = differing.into_iter().filter(|name| !is_known(name));
    let shown: Vec<_> = unknown.map(|name| show(name, native.get(name), enforced.get(name))).collect();
    assert!(shown.is_empty(), "{} of {} checks differ:\n{}", shown.len(), native.len(), shown.join("\n"));
    let gone: Vec<_> = equal.into_iter().filter(|name| known.get(name).is_some_and(|known| known.is_always)).collect();
    assert!(gone.is_empty(), "no longer different, to be taken from the list: {gone:?}");
}

/// The checks that are known to differ in this run.
fn known_in(run: &[&str]) -> BTreeMap<&'static str, Difference> {
    let lines = KNOWN.lines().filter(|line| !line.is_empty());
    let entries = lines.map(|line| {
        let parts: Vec<_> = line.split(" | ").collect();
        let [name, place, _reason] = parts[..] else { panic!("not NAME | WHERE | REASON: {line}") };
        (name, place)
    });
    let here = entries.filter(|(_, place)| {
        place.split(' ').all(|word| matches!(word, "always" | "sometimes") || run.contains(&word))
    });
    here.map(|(name, place)| {
        let (name, outcome) = name.split_once(':').map_or((name, None), |(name, outcome)| (name, Some(outcome)));
        (name, Difference { is_always: !place.contains("sometimes"), outcome })
    })
    .collect()
}

/// The neighbourhood of the first difference.
fn show(name: &str, native: Option<&String>, enforced: Option<&String>) -> String {
    let [native, enforced] = [native, enforced].map(said);
    let same = native.chars().zip(enforced.chars()).take_while(|(one, two)| one == two).count();
    let part = |said: &str| said.chars().skip(same.saturating_sub(BEFORE)).take(BEFORE + AFTER).collect::<String>();
    format!("{name}\n  native:   {}\n  enforced: {}", part(native), part(enforced))
}

fn said(outcome: Option<&String>) -> &str {
    outcome.map_or("absent", String::as_str)
}
