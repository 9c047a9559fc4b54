// SPDX-License-Identifier: Apache-2.0
//! Conditions that load but do not mean what their author thinks.

use super::options::Unseen;
use crate::{
    Argument, EventType, EventTypeSet, EvtField, Field,
    condition::ast::{Check, Expression, Literal, Macro, Operand, Operator, Right, Span},
    diagnostic::Code,
};

/// A suspicious check.
pub(super) struct Warning<'a> {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) span: &'a Span,
    /// The macro whose text the span refers to.
    pub(super) home: Option<&'a Macro>,
}

/// The suspicious checks of a condition, each kind once.
pub(super) fn of_condition(expression: &Expression) -> Vec<Warning<'_>> {
    collect(expression, |check| vec![unsafe_absence(check), direction(check), absent(check)])
}

/// The checks of a condition, which can match events of the given types, on what is never seen.
pub(super) fn of_unseen<'a>(expression: &'a Expression, types: &EventTypeSet, unseen: &Unseen) -> Vec<Warning<'a>> {
    collect(expression, |check| {
        let mut found = unseen_events(check, types, unseen);
        check.left.for_each_field(&mut |field| {
            if field.name.starts_with("evt.arg") || field.name.starts_with("evt.rawarg") {
                found.push(unseen_parameter(&field.to_string(), types, unseen));
            }
        });
        found
    })
}

fn collect(expression: &Expression, find: impl Fn(&Check) -> Vec<Found>) -> Vec<Warning<'_>> {
    let mut warnings: Vec<Warning<'_>> = Vec::new();
    expression.for_each_check(&mut |check, home| {
        for (code, message, help) in find(check).into_iter().flatten() {
            if !warnings.iter().any(|known| known.code == code && known.message == message) {
                warnings.push(Warning { code, message, help, span: &check.span, home });
            }
        }
    });
    warnings
}

type Found = Option<(Code, String, Option<String>)>;

fn field_name(check: &Check) -> Option<&str> {
    match &check.left {
        Operand::Field(field) => Some(&field.name),
        Operand::Call(_) => None,
    }
}

fn literals(check: &Check) -> &[Literal] {
    match &check.right {
        Right::Text(literal) => std::slice::from_ref(literal),
        Right::List(literals, _) => literals,
        Right::Nothing | Right::Operand(_) => &[],
    }
}

/// *Falco:* fields of JSON events are never the text `<NA>`.
fn unsafe_absence(check: &Check) -> Found {
    let json = field_name(check).is_some_and(|name| name.starts_with("ka.") || name.starts_with("jevt."));
    let compares = literals(check).iter().any(|literal| literal.text == "<NA>");
    let message = "comparing a field with <NA> is unsafe: use the operator 'exists'";
    (json && compares).then(|| (Code::UnsafeNaCheck, message.to_owned(), None))
}

fn direction(check: &Check) -> Found {
    let message = "due to the drop of enter events, 'evt.dir = <' always evaluates to true, and 'evt.dir = >' always evaluates to false. The rule expression can be simplified by removing the condition on 'evt.dir'";
    (field_name(check) == Some("evt.dir")).then(|| (Code::DeprecatedItem, message.to_owned(), None))
}

/// A field that has no value where calls are decided.
fn absent(check: &Check) -> Found {
    let row = Field::describe(field_name(check)?)?;
    let reason = row.availability.absence()?;
    let message = format!("field '{}' is always absent here: it {reason}", row.name);
    Some((Code::FieldAbsent, message, Some("every comparison with it is false, also `!=`".to_owned())))
}

/// Event types that a check asks for by name and that no event has.
fn unseen_events(check: &Check, types: &EventTypeSet, unseen: &Unseen) -> Vec<Found> {
    let by_name =
        matches!(check.operator, Operator::Equal | Operator::EqualEqual | Operator::In | Operator::Intersects);
    if !by_name || !matches!(field_name(check), Some("evt.type" | "syscall.type")) {
        return Vec::new();
    }
    let is_vain = unseen.seen(types).is_empty();
    let help = if is_vain { "the rule never matches" } else { "the rule matches its other event types alone" };
    let named = literals(check).iter().filter_map(|literal| EventType::from_name(&literal.text));
    named
        .filter(|named| types.contains(*named))
        .filter_map(|named| {
            let message = format!("there are never events of the type '{}' here", named.name());
            let message = match unseen.replacement(named) {
                // Whoever names both wants both, and gets them.
                Some(other) if types.contains(other) => return None,
                Some(other) => format!("{message}: such a call is an event of the type '{}'", other.name()),
                None if unseen.events.contains(named) => message,
                None => return None,
            };
            Some(Some((Code::EventUnseen, message, Some(help.to_owned()))))
        })
        .collect()
}

/// A parameter that no event which the rule can match has a value of.
fn unseen_parameter(field: &str, types: &EventTypeSet, unseen: &Unseen) -> Found {
    let (description, argument, _) = Field::parse(field)?;
    if !matches!(description.field, Field::Evt(EvtField::Arg | EvtField::Rawarg)) || argument == Argument::Unused {
        return None;
    }
    let seen = unseen.seen(types);
    let with = |event_type: EventType| Some((event_type, event_type.parameter(&argument)?));
    let mut having = seen.iter().filter_map(with).peekable();
    having.peek()?;
    if !having.all(|parameter| unseen.parameters.contains(&parameter)) {
        return None;
    }
    let message = format!("field '{field}' is always absent here: nothing tells it before the call");
    Some((Code::FieldAbsent, message, Some("every comparison with it is false, also `!=`".to_owned())))
}
