// SPDX-License-Identifier: Apache-2.0
//! Which event types a condition can match.

use std::collections::HashMap;

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

/// Finds the types of conditions; macros that they share are looked at once.
#[derive(Debug)]
pub(crate) struct TypeFinder<'a> {
    environment: &'a Environment,
    macros: HashMap<String, Possible>,
}

impl<'a> TypeFinder<'a> {
    pub(crate) fn new(environment: &'a Environment) -> Self {
        Self { environment, macros: HashMap::new() }
    }

    /// The types for which a condition can be true.
    pub(crate) fn possible_types(&mut self, condition: &Expression) -> EventTypeSet {
        self.possible(condition).when_true
    }

    fn possible(&mut self, expression: &Expression) -> Possible {
        match expression {
            Expression::And(children, _) => self.combine(children, EventTypeSet::intersection, EventTypeSet::union),
            Expression::Or(children, _) => self.combine(children, EventTypeSet::union, EventTypeSet::intersection),
            Expression::Not(child, _) => {
                let Possible { when_true, when_false } = self.possible(child);
                Possible { when_true: when_false, when_false: when_true }
            }
            Expression::Macro(found, _) => {
                if let Some(known) = self.macros.get(&found.name) {
                    return *known;
                }
                let possible = self.possible(&found.body);
                self.macros.insert(found.name.clone(), possible);
                possible
            }
            Expression::Check(check) => possible_check(check, self.environment),
            Expression::Name(..) => any(),
        }
    }

    fn combine(&mut self, children: &[Expression], when_true: Operation, when_false: Operation) -> Possible {
        let mut children = children.iter().map(|child| self.possible(child));
        let Some(first) = children.next() else { return any() };
        children.fold(first, |sum, child| Possible {
            when_true: when_true(sum.when_true, &child.when_true),
            when_false: when_false(sum.when_false, &child.when_false),
        })
    }
}

fn any() -> Possible {
    Possible { when_true: EventTypeSet::all(), when_false: EventTypeSet::all() }
}

type Operation = fn(EventTypeSet, &EventTypeSet) -> EventTypeSet;

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
