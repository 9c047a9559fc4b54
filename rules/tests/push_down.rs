// SPDX-License-Identifier: Apache-2.0
//! What is known of an event before it happens never rules a match out that the event then brings.
#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "test code")]

use std::collections::HashMap;

use proptest::prelude::*;
use rules::{Argument, Event, EventType, Field, Knowledge, LoadOptions, Loader, PartialEvent, Value};

const FIELDS: [&str; 4] = ["fd.name", "proc.name", "fd.directory", "proc.exepath"];
const WORDS: [&str; 5] = ["a", "ab", "/a", "/a/b", "b"];

/// An open whose fields stand in a map.
struct Open(HashMap<&'static str, &'static str>);

impl Event for Open {
    fn event_type(&self) -> EventType {
        EventType::from_name("openat").unwrap()
    }

    fn value(&self, field: Field, _: &Argument) -> Option<Value<'_>> {
        self.0.get(field.name()).map(|text| Value::text(text.as_bytes()))
    }
}

/// An event of which some fields are known.
struct Part<'a> {
    event: &'a Open,
    known: Vec<&'static str>,
}

impl PartialEvent for Part<'_> {
    fn event_type(&self) -> EventType {
        self.event.event_type()
    }

    fn knowledge(&self, field: Field, argument: &Argument) -> Knowledge<'_> {
        if self.known.contains(&field.name()) {
            Knowledge::Known(self.event.value(field, argument))
        } else {
            Knowledge::Unknown
        }
    }
}

fn condition() -> impl Strategy<Value = String> {
    let check = (prop::sample::select(&FIELDS[..]), prop::sample::select(&WORDS[..]));
    let operator = prop::sample::select(&["=", "!=", "startswith", "contains", "endswith"][..]);
    let check = (check, operator).prop_map(|((field, word), operator)| format!("{field} {operator} {word}"));
    check.prop_recursive(4, 16, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(|parts| format!("({})", parts.join(" and "))),
            several.prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_may_not_match_does_not(
        condition in condition(),
        values in prop::collection::vec(prop::option::of(prop::sample::select(&WORDS[..])), 4),
        known in prop::sample::subsequence(FIELDS.to_vec(), 0..4),
    ) {
        let rule = format!(
            "- rule: r\n  desc: d\n  condition: evt.type = openat and {condition}\n  output: o\n  priority: INFO\n"
        );
        let mut loader = Loader::new(LoadOptions::default());
        loader.add("r.yaml", rule.as_bytes());
        let ruleset = loader.finish().ruleset.unwrap();
        let values = FIELDS.into_iter().zip(values);
        let event = Open(values.filter_map(|(field, value)| Some((field, value?))).collect());
        let mut matched = false;
        ruleset.evaluate(&event, &mut |_| matched = true);
        let all_known = known.len() == FIELDS.len();
        let can_match = ruleset.can_match(&Part { event: &event, known });
        prop_assert!(can_match || !matched, "{}", condition);
        if all_known {
            prop_assert_eq!(can_match, matched, "{}", condition);
        }
    }
}
