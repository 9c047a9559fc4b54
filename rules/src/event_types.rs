// SPDX-License-Identifier: Apache-2.0
//! Which event types a condition can match.

use crate::{
    EventCategory, EventType, EventTypeSet,
    compile::{CompiledCheck, Environment, Extractor, Right, compile_check},
    condition::ast::{Check, Expression},
    {EvtField, Field, Value},
};

/// The types for which a condition can be true, and those for which it can be false.
#[derive(Debug, Clone, Copy)]
struct Possible {
    when_true: EventTypeSet,
    when_false: EventTypeSet,
}

/// The types for which a condition can be true.
pub(crate) fn possible_types(condition: &Expression, environment: &Environment) -> EventTypeSet {
    possible(condition, environment).when_true
}

fn possible(expression: &Expression, environment: &Environment) -> Possible {
    match expression {
        Expression::And(children, _) => combine(children, environment, EventTypeSet::intersection, EventTypeSet::union),
        Expression::Or(children, _) => combine(children, environment, EventTypeSet::union, EventTypeSet::intersection),
        Expression::Not(child, _) => {
            let Possible { when_true, when_false } = possible(child, environment);
            Possible { when_true: when_false, when_false: when_true }
        }
        Expression::Macro(found, _) => possible(&found.body, environment),
        Expression::Check(check) => possible_check(check, environment),
        Expression::Name(..) => any(),
    }
}

fn any() -> Possible {
    Possible { when_true: EventTypeSet::all(), when_false: EventTypeSet::all() }
}

type Operation = fn(EventTypeSet, &EventTypeSet) -> EventTypeSet;

fn combine(
    children: &[Expression],
    environment: &Environment,
    when_true: Operation,
    when_false: Operation,
) -> Possible {
    let mut children = children.iter().map(|child| possible(child, environment));
    let Some(first) = children.next() else { return any() };
    children.fold(first, |sum, child| Possible {
        when_true: when_true(sum.when_true, &child.when_true),
        when_false: when_false(sum.when_false, &child.when_false),
    })
}

fn possible_check(check: &Check, environment: &Environment) -> Possible {
    // Most checks are about other fields, and compiling them again would be a waste.
    let mut by_type = false;
    check.left.for_each_field(&mut |field| by_type |= matches!(field.name.as_str(), "evt.type" | "syscall.type"));
    let compiled = if by_type { compile_check(check, environment, &mut Vec::new()).ok() } else { None };
    let Some(compiled) = compiled.filter(|compiled| constant(compiled, EventType::all().next()).is_some()) else {
        return any();
    };
    let when_true: EventTypeSet =
        EventType::all().filter(|event| constant(&compiled, Some(*event)) == Some(true)).collect();
    Possible { when_true, when_false: EventTypeSet::all().difference(&when_true) }
}

fn constant(check: &CompiledCheck, event_type: Option<EventType>) -> Option<bool> {
    constant_result(check, event_type?)
}

/// The result of a check that depends on nothing but the event's type.
pub(crate) fn constant_result(check: &CompiledCheck, event_type: EventType) -> Option<bool> {
    let (Extractor::Field(Field::Evt(field), _), Right::Constants(comparison)) = (&check.left, &check.right) else {
        return None;
    };
    let name = Value::text(event_type.name().as_bytes());
    let is_syscall = event_type.description().category == EventCategory::Syscall;
    if *field == EvtField::Type || *field == EvtField::SyscallType && is_syscall {
        return Some(comparison.holds(Some(&name)));
    }
    (*field == EvtField::SyscallType).then_some(false)
}
