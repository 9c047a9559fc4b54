// SPDX-License-Identifier: Apache-2.0
//! Programs give the results of the conditions as they are written.

use std::{cell::Cell, collections::HashMap};

use proptest::prelude::*;

use super::{Arena, specialise};
use crate::{
    Argument, Event, EventType, EvtField, FdField, Field, ProcField, Value,
    compile::{Environment, compile_check},
    condition::{ast::Expression, parser::parse},
};

/// An event that counts how often it is asked.
#[derive(Debug)]
pub(crate) struct Counting {
    event_type: EventType,
    values: HashMap<Field, Option<&'static str>>,
    asked: Cell<usize>,
}

impl Event for Counting {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn value(&self, field: Field, _: &Argument) -> Option<Value<'_>> {
        self.asked.set(self.asked.get() + 1);
        if field == Field::Evt(EvtField::Type) {
            return Some(Value::text(self.event_type.name().as_bytes()));
        }
        let text = self.values.get(&field).copied().flatten()?;
        if field == Field::Proc(ProcField::Aname) {
            return Some(Value::Any(text.split('/').map(|part| Value::text(part.as_bytes())).collect()));
        }
        Some(Value::text(text.as_bytes()))
    }
}

/// Evaluates a tree as it stands: left to right, everything anew.
fn naive(expression: &Expression, event: &dyn Event) -> bool {
    match expression {
        Expression::And(children, _) => children.iter().all(|child| naive(child, event)),
        Expression::Or(children, _) => children.iter().any(|child| naive(child, event)),
        Expression::Not(child, _) => !naive(child, event),
        Expression::Macro(found, _) => naive(&found.body, event),
        Expression::Name(..) => false,
        Expression::Check(check) => {
            compile_check(check, &Environment::default(), &mut Vec::new()).unwrap().holds(event)
        }
    }
}

const WORDS: &[&str] = &["a", "ab", "b", "ba", "/a", "/a/b", "/ab"];

fn check() -> impl Strategy<Value = String> {
    let word = || proptest::sample::select(WORDS);
    let field =
        proptest::sample::select(&["fd.name", "proc.name", "proc.aname", "toupper(proc.name)", "fd.directory"][..]);
    let operator =
        proptest::sample::select(&["=", "!=", "contains", "startswith", "endswith", "icontains", "glob"][..]);
    prop_oneof![
        4 => (field.clone(), operator, word()).prop_map(|(field, operator, word)| format!("{field} {operator} {word}")),
        2 => (field.clone(), proptest::collection::vec(word(), 0..3))
            .prop_map(|(field, words)| format!("{field} in ({})", words.join(", "))),
        1 => (field.clone(), proptest::collection::vec(word(), 0..3))
            .prop_map(|(field, words)| format!("{field} startswith oneof ({})", words.join(", "))),
        1 => field.prop_map(|field| format!("{field} exists")),
        1 => Just("fd.name = val(proc.name)".to_owned()),
        2 => proptest::sample::select(&["open", "openat", "execve"][..]).prop_map(|name| format!("evt.type = {name}")),
        1 => Just("evt.type in (open, execve)".to_owned()),
        1 => Just("evt.type != open".to_owned()),
    ]
}

/// A condition of some checks in any shape.
pub(crate) fn condition() -> impl Strategy<Value = String> {
    check().prop_recursive(4, 20, 4, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..5);
        prop_oneof![
            several.clone().prop_map(|parts| format!("({})", parts.join(" and "))),
            several.prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

/// An event on which such conditions hold now and then.
pub(crate) fn event() -> impl Strategy<Value = Counting> {
    let value = || proptest::option::weighted(0.8, proptest::sample::select(WORDS));
    let types = proptest::sample::select(&["open", "openat", "execve", "close"][..]);
    (types, value(), value(), value(), value()).prop_map(|(name, path, process, ancestors, directory)| Counting {
        event_type: EventType::from_name(name).unwrap(),
        values: HashMap::from([
            (Field::Fd(FdField::Name), path),
            (Field::Proc(ProcField::Name), process),
            (Field::Proc(ProcField::Aname), ancestors),
            (Field::Fd(FdField::Directory), directory),
        ]),
        asked: Cell::new(0),
    })
}

/// The rules that match, by the program and by walking the trees.
fn results(conditions: &[String], event: &Counting) -> (Vec<usize>, Vec<usize>) {
    let mut arena = Arena::default();
    let trees: Vec<_> = conditions.iter().map(|text| parse(text).unwrap()).collect();
    let mut roots = Vec::new();
    for (rule, tree) in trees.iter().enumerate() {
        tree.for_each_check(&mut |check, _| {
            arena.check(check, &Environment::default(), &mut Vec::new()).unwrap();
        });
        roots.push((rule, arena.add(tree).unwrap()));
    }
    let expected = trees.iter().enumerate().filter(|(_, tree)| naive(tree, event)).map(|(rule, _)| rule).collect();
    let mut matched = Vec::new();
    event.asked.set(0);
    specialise(&arena, &roots, event.event_type()).run(event, &mut |rule| matched.push(rule));
    (matched, expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn programs_match_like_the_conditions_as_written(conditions in proptest::collection::vec(condition(), 1..6), event in event()) {
        let (matched, expected) = results(&conditions, &event);
        prop_assert_eq!(matched, expected);
    }
}

#[test]
fn a_field_is_asked_for_once_and_the_type_never() {
    let conditions: Vec<String> =
        (0..20).map(|n| format!("evt.type = open and (proc.name = p{n} or fd.name = f{n})")).collect();
    let event = Counting {
        event_type: EventType::from_name("open").unwrap(),
        values: HashMap::from([(Field::Proc(ProcField::Name), Some("p7")), (Field::Fd(FdField::Name), Some("f9"))]),
        asked: Cell::new(0),
    };
    let (matched, expected) = results(&conditions, &event);
    assert_eq!((matched, expected), (vec![7, 9], vec![7, 9]));
    assert_eq!(event.asked.get(), 2);
}

/// Written dearest first; an alternative whose parts are cheap is cheap, however many it has.
#[test]
fn what_costs_much_is_not_asked_for_where_cheap_parts_decide() {
    let conditions =
        ["evt.type = open and not proc.aname = a and fd.ino exists and evt.arg.flags contains O_TRUNC and \
         (fd.name = /x or fd.name startswith /y or fd.name endswith z or (proc.name = b and fd.name contains q))"
            .to_owned()];
    let values = [
        (Field::Proc(ProcField::Name), Some("p")),
        (Field::Proc(ProcField::Aname), Some("q/r")),
        (Field::Fd(FdField::Name), Some("/etc/hosts")),
        (Field::Fd(FdField::Ino), Some("9")),
        (Field::Evt(EvtField::Arg), Some("O_TRUNC")),
    ];
    let event = Counting {
        event_type: EventType::from_name("open").unwrap(),
        values: HashMap::from(values),
        asked: Cell::new(0),
    };
    let (matched, expected) = results(&conditions, &event);
    assert_eq!((matched, expected), (vec![], vec![]));
    assert_eq!(event.asked.get(), 1, "only the path decides");
}
