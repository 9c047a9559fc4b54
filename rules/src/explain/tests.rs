// SPDX-License-Identifier: Apache-2.0
//! Explanations say what the engine does, show what they should, and claim nothing that is not known.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    EvtField, FdField, LoadOptions, Loader, ProcField,
    program::tests::{condition, event},
};

/// What is known of an event: everything but some fields.
struct Partial<'a> {
    event: &'a dyn Event,
    hidden: &'a [Field],
}

impl PartialEvent for Partial<'_> {
    fn event_type(&self) -> EventType {
        self.event.event_type()
    }

    fn knowledge(&self, field: Field, argument: &Argument) -> Knowledge<'_> {
        if self.hidden.contains(&field) {
            return Knowledge::Unknown;
        }
        Knowledge::Known(self.event.value(field, argument))
    }
}

/// A rule with a macro and an exception, made of three conditions.
fn rule_file([first, second, third]: &[String; 3]) -> String {
    let text = |condition: &str| json!(condition).to_string();
    format!(
        "- macro: m\n  condition: {}\n- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  warn_evttypes: false\n  condition: {}\n  exceptions:\n    - {{name: e, fields: [proc.name, fd.name], comps: [=, startswith], values: [[a, /a], [b, b]]}}\n    - {{name: f, fields: proc.name, values: [ab]}}\n    - {{name: empty, fields: [fd.name]}}\n",
        text(first),
        text(&format!("({second}) or (m and not ({third}))")),
    )
}

const FIELDS: [Field; 5] = [
    Field::Evt(EvtField::Type),
    Field::Fd(FdField::Name),
    Field::Fd(FdField::Directory),
    Field::Proc(ProcField::Name),
    Field::Proc(ProcField::Aname),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn explanations_give_the_results_of_the_engine(
        conditions in [condition(), condition(), condition()],
        event in event(),
        hidden in proptest::sample::subsequence(&FIELDS[..], 0..=FIELDS.len()),
    ) {
        let mut loader = Loader::new(LoadOptions::default());
        loader.add("r.yaml", rule_file(&conditions).as_bytes());
        let complete = loader.explain("r", &Partial { event: &event, hidden: &[] }).unwrap();
        let partial = loader.explain("r", &Partial { event: &event, hidden: &hidden }).unwrap();
        let mut matched = false;
        loader.finish().ruleset.unwrap().evaluate(&event, &mut |_| matched = true);
        prop_assert_eq!(complete.truth(), Truth::of(matched));
        prop_assert!(complete.unknown_fields().is_empty());
        // What is said without knowing everything stays true when everything is known.
        prop_assert!(partial.truth() == Truth::Unknown || partial.truth() == complete.truth());
        prop_assert_eq!(partial.truth() == Truth::Unknown, !partial.unknown_fields().is_empty());
    }
}

/// An event made of a list of values; a field that is not listed is not known.
struct Listed(HashMap<(Field, Argument), Option<Value<'static>>>);

impl PartialEvent for Listed {
    fn event_type(&self) -> EventType {
        EventType::from_name("open").unwrap()
    }

    fn knowledge(&self, field: Field, argument: &Argument) -> Knowledge<'_> {
        match self.0.get(&(field, argument.clone())) {
            Some(value) => Knowledge::Known(value.clone()),
            None => Knowledge::Unknown,
        }
    }
}

fn listed(values: &[(Field, Option<Value<'static>>)]) -> Listed {
    let values = values.iter().map(|(field, value)| ((*field, Argument::Unused), value.clone()));
    let name = (Field::Evt(EvtField::Type), Argument::Unused);
    Listed(values.chain([(name, Some(Value::text(b"open")))]).collect())
}

const RULES: &str = r#"
- list: readers
  items: [cat, less, more, head, tail, "a b", aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbb]
- macro: opens
  condition: evt.type in (open, openat)
- macro: secret
  condition: (fd.name startswith /etc/shadow or fd.name in (/etc/sudoers))
- rule: Secrets read
  desc: d
  condition: opens and secret and proc.name in (readers) and not evt.num = 0
  output: o
  priority: INFO
  enabled: false
  exceptions:
    - {name: hook, fields: [proc.name]}
    - {name: backup, fields: [proc.pname, fd.name], comps: [=, endswith], values: [[cron, shadow], [tar, x]]}
    - {name: tools, fields: tolower(proc.name), values: [vi]}
"#;

fn explain(event: &Listed) -> Explanation {
    let mut loader = Loader::new(LoadOptions::default());
    loader.add("r.yaml", RULES.as_bytes());
    loader.explain("Secrets read", event).unwrap()
}

#[test]
fn each_check_is_shown_with_what_it_saw() {
    let event = listed(&[
        (Field::Fd(FdField::Name), Some(Value::text(b"/etc/shadow"))),
        (Field::Proc(ProcField::Name), Some(Value::text(b"a b"))),
        (Field::Proc(ProcField::Pname), Some(Value::text(b"cron"))),
        (Field::Evt(EvtField::Num), Some(Value::Uint(7))),
    ]);
    let expected = "\
Secrets read: does not match, and is disabled
exception `backup` holds
 false    and
 true       and
 true         macro opens
 true           evt.type in (open, openat)   <- evt.type is open
 true         macro secret
 true           or
 true             fd.name startswith /etc/shadow   <- fd.name is /etc/shadow
(false)           fd.name in (/etc/sudoers)   <- fd.name is /etc/shadow
 true         proc.name in (cat, less, more, head, tail, \"a b\", .. 2 more)   <- proc.name is \"a b\"
 true         not
 false          evt.num = 0   <- evt.num is 7
 false      not
 true         exception backup
 true           or
 true             and
 true               proc.pname = cron   <- proc.pname is cron
 true               fd.name endswith shadow   <- fd.name is /etc/shadow
(false)           and
(false)             proc.pname = tar   <- proc.pname is cron
(false)             fd.name endswith x   <- fd.name is /etc/shadow
(true)      not
(false)       exception tools
(false)         tolower(proc.name) in (vi)   <- proc.name is \"a b\"
(in parentheses: not reached, because what stands before decides)
";
    let explanation = explain(&event);
    assert_eq!(explanation.to_string(), expected, "\n{explanation}");
    assert_eq!(explanation.exceptions(), ["backup"]);
}

#[test]
fn nothing_is_in_an_empty_list_whatever_it_is() {
    let mut loader = Loader::new(LoadOptions::default());
    let rule = "- {rule: r, desc: d, condition: evt.type = open and proc.name in (), output: o, priority: INFO}";
    loader.add("r.yaml", rule.as_bytes());
    let explanation = loader.explain("r", &listed(&[])).unwrap();
    assert_eq!((explanation.truth(), explanation.unknown_fields().len()), (Truth::False, 0), "\n{explanation}");
}

#[test]
fn what_is_not_known_is_not_taken_for_false() {
    let event = listed(&[
        (Field::Fd(FdField::Name), Some(Value::text(b"/etc/shadow"))),
        (Field::Proc(ProcField::Name), Some(Value::text(b"cat"))),
        (Field::Proc(ProcField::Pname), None),
    ]);
    let explanation = explain(&event);
    assert_eq!(explanation.truth(), Truth::Unknown);
    assert_eq!(explanation.unknown_fields().into_iter().collect::<Vec<_>>(), ["evt.num"]);
    let text = explanation.to_string();
    for line in [
        "Secrets read: may match or not, and is disabled",
        " unknown  and",
        " unknown      not",
        " unknown        evt.num = 0   <- evt.num is not known",
        " false              proc.pname = cron   <- proc.pname has no value",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // A single false decides, whatever else is not known.
    let other = listed(&[(Field::Fd(FdField::Name), Some(Value::text(b"/tmp/x")))]);
    assert_eq!((explain(&other).truth(), explain(&other).unknown_fields().len()), (Truth::False, 0));
}

#[test]
fn programs_get_the_same_tree() {
    let event =
        listed(&[(Field::Fd(FdField::Name), Some(Value::text(b"/etc/shadow"))), (Field::Proc(ProcField::Name), None)]);
    let explanation = explain(&event).to_json();
    assert_eq!(
        (&explanation["rule"], &explanation["enabled"], &explanation["result"], &explanation["exceptions"]),
        (&json!("Secrets read"), &json!(false), &json!("false"), &json!([]))
    );
    let secret = json!({
        "kind": "macro", "name": "secret", "result": "true", "reached": true,
        "parts": [{"kind": "or", "result": "true", "reached": true, "parts": [
            {"kind": "check", "check": "fd.name startswith /etc/shadow", "fields": {"fd.name": "/etc/shadow"},
             "unknown_fields": [], "result": "true", "reached": true},
            {"kind": "check", "check": "fd.name in (/etc/sudoers)", "fields": {"fd.name": "/etc/shadow"},
             "unknown_fields": [], "result": "false", "reached": false},
        ]}],
    });
    assert_eq!(explanation["condition"]["parts"][0]["parts"][1], secret);
    let absent = &explanation["condition"]["parts"][0]["parts"][2];
    assert_eq!((&absent["fields"], &absent["result"]), (&json!({"proc.name": null}), &json!("false")));
    let unknown = &explanation["condition"]["parts"][0]["parts"][3]["parts"][0];
    assert_eq!((&unknown["unknown_fields"], &unknown["result"]), (&json!(["evt.num"]), &json!("unknown")));
}

#[test]
fn exceptions_whose_values_tear_the_condition_apart_are_shown_without_names() {
    let content = "\
- rule: r
  desc: d
  condition: evt.type = open
  output: o
  priority: INFO
  exceptions:
    - {name: e, fields: [proc.name], comps: [in], values: [[\"(a))) or (evt.num in (1\"]]}
";
    let mut loader = Loader::new(LoadOptions::default());
    loader.add("r.yaml", content.as_bytes());
    let explanation = loader.explain("r", &listed(&[])).unwrap();
    assert!(!explanation.to_string().contains("exception"), "{explanation}");
    assert_eq!(loader.explain("s", &listed(&[])), None);
}
