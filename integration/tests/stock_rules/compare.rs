// SPDX-License-Identifier: Apache-2.0
//! Alerts against what the book says of them: which rules, which priority, and every field of the output.

use integration::{Alert, Tally};
use serde_json::Value;

use crate::book::{Book, Entry, Fields, Scenario};

const NUMBER: &str = "<number>"; // stands for digits that differ from run to run
const ANY: &str = "<any>"; // stands for a value, or none, that the test's surroundings choose
const TIME: &str = "evt.time"; // in every alert; when it happened is not what this is about

/// The alerts of one part of a container's life, and what must be among them.
pub(crate) struct Part<'a> {
    pub(crate) entries: Vec<&'a Entry>,
    /// Further rules, of which only the priority is known.
    pub(crate) also: &'a [String],
    pub(crate) alerts: Vec<Alert>,
}

impl<'a> Part<'a> {
    /// What one entry provoked.
    pub(crate) fn of(entry: &'a Entry, alerts: Vec<Alert>) -> Self {
        Self { entries: vec![entry], also: &entry.also, alerts }
    }
}

/// What is otherwise than the book says.
pub(crate) fn complaints(part: &Part<'_>, scenario: &Scenario, book: &Book) -> Vec<String> {
    let own = part.entries.iter().flat_map(|entry| std::iter::repeat_n(&entry.rule, entry.times));
    let expected: Tally = own.chain(part.also).cloned().collect();
    let found: Tally = part.alerts.iter().map(|alert| alert.rule.clone()).collect();
    let mut complaints: Vec<String> = found.differences(&expected);
    complaints.extend(part.alerts.iter().filter_map(|alert| of_rule(alert, book)));
    for entry in &part.entries {
        let alerts = part.alerts.iter().filter(|alert| alert.rule == entry.rule);
        let faults = alerts.flat_map(|alert| of_fields(alert, &entry.fields, &scenario.fields));
        complaints.extend(faults.map(|fault| format!("`{}`: {fault}", entry.rule)));
    }
    let what = part.entries.first().and_then(|entry| entry.run.as_deref()).unwrap_or("what the runtime does");
    complaints.iter().map(|complaint| format!("{}, {what}: {complaint}", scenario.name)).collect()
}

fn of_rule(alert: &Alert, book: &Book) -> Option<String> {
    if let Some(reason) = book.unprovoked.get(&alert.rule) {
        return Some(format!("`{}` fires, although {reason}", alert.rule));
    }
    match book.priorities.get(&alert.rule) {
        Some(priority) if *priority == alert.priority => None,
        priority => Some(format!("`{}` has priority {}, not {priority:?}", alert.rule, alert.priority)),
    }
}

/// Every field of the alert must be expected, and everything that the entry names must be in the alert.
fn of_fields(alert: &Alert, own: &Fields, usual: &Fields) -> Vec<String> {
    let unexpected = alert.fields.iter().filter(|(name, _)| *name != TIME).filter_map(|(name, value)| {
        let (found, expected) = (text(value), own.get(name).or_else(|| usual.get(name)));
        match expected {
            Some(expected) if fits(found.as_deref(), expected.as_deref()) => None,
            Some(expected) => Some(format!("{name} is {found:?}, not {expected:?}")),
            None => Some(format!("{name} is {found:?}, of which nothing is said")),
        }
    });
    let missing = own.keys().filter(|name| !alert.fields.contains_key(*name)).map(|name| format!("{name} is missing"));
    unexpected.chain(missing).collect()
}

/// A value as it is written in the book.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

fn fits(found: Option<&str>, expected: Option<&str>) -> bool {
    if expected == Some(ANY) {
        return true;
    }
    let (Some(mut found), Some(expected)) = (found, expected) else { return found == expected };
    let mut pieces = expected.split(NUMBER);
    let first = pieces.next().unwrap_or_default();
    let Some(rest) = found.strip_prefix(first) else { return false };
    found = rest;
    for piece in pieces {
        let behind = found.trim_start_matches(|sign: char| sign.is_ascii_digit());
        if behind.len() == found.len() {
            return false;
        }
        let Some(rest) = behind.strip_prefix(piece) else { return false };
        found = rest;
    }
    found.is_empty()
}

#[test]
fn numbers_that_differ_from_run_to_run_are_left_open() {
    for (found, expected, holds) in [
        (Some("a"), Some("a"), true),
        (Some("a"), Some("ab"), false),
        (Some("10.0.0.1:4711->x"), Some("10.0.0.1:<number>->x"), true),
        (Some("10.0.0.1:->x"), Some("10.0.0.1:<number>->x"), false),
        (Some("7 and 8"), Some("<number> and <number>"), true),
        (Some("7 and 8."), Some("<number> and <number>"), false),
        (None, None, true),
        (None, Some(""), false),
    ] {
        assert_eq!(fits(found, expected), holds, "{found:?} {expected:?}");
    }
}
