// SPDX-License-Identifier: Apache-2.0
//! Why a rule matches an event or does not: its condition as it is written, with what each check saw and came to.
//!
//! The compiled checks themselves are asked, so an explanation cannot disagree with the engine. What is not known of the
//! event makes a check unknown, and logic goes on from there: `false and unknown` is false, `true and unknown` is unknown.

mod json;
#[cfg(test)]
mod tests;
mod text;

use std::{collections::BTreeSet, fmt};

use serde_json::Value as Json;

use crate::{
    Argument, Event, EventType, Field, Knowledge, PartialEvent, Value,
    compile::{CompiledCheck, Environment, Extractor, compile_operand},
    condition::ast::{Check, Expression, FieldReference, Operand, Right},
    definitions::Exception,
    output::{ValueStyle, typed},
    program::Arena,
};

/// What a part of a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It does not hold.
    False,
    /// What is known of the event does not decide it.
    Unknown,
    /// It holds.
    True,
}

/// A rule's condition, evaluated in full for one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    rule: String,
    enabled: bool,
    root: Part,
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    truth: Truth,
    /// Whether evaluation from left to right comes here; if not, what stands before decides without it.
    reached: bool,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    And(Vec<Part>),
    Or(Vec<Part>),
    Not(Box<Part>),
    Macro(String, Box<Part>),
    Exception(String, Box<Part>),
    Check(CheckPart),
}

/// A check and what it saw.
#[derive(Debug, Clone, PartialEq)]
struct CheckPart {
    check: Check,
    seen: Vec<Seen>,
}

/// A field of a check.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    /// As it is written.
    field: String,
    value: SeenValue,
}

#[derive(Debug, Clone, PartialEq)]
enum SeenValue {
    Unknown,
    Absent,
    /// As alerts show it.
    Value(Json),
}

impl Explanation {
    /// The rule's name.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Whether the rule may match at all, whatever its condition comes to.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// What the whole condition comes to.
    pub fn truth(&self) -> Truth {
        self.root.truth
    }

    /// The exceptions that hold, and so keep the rule from matching.
    pub fn exceptions(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.root.visit(&mut |part| {
            if let (Kind::Exception(name, _), Truth::True) = (&part.kind, part.truth) {
                found.push(name.as_str());
            }
        });
        found
    }

    /// The fields whose values would decide what the whole comes to, as they are written; none if it is known.
    pub fn unknown_fields(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        self.root.add_unknown_fields(&mut found);
        found
    }
}

impl CheckPart {
    fn unknown_fields(&self) -> impl Iterator<Item = &str> {
        self.seen.iter().filter(|seen| seen.value == SeenValue::Unknown).map(|seen| seen.field.as_str())
    }
}

impl Part {
    fn children(&self) -> &[Self] {
        match &self.kind {
            Kind::And(parts) | Kind::Or(parts) => parts,
            Kind::Not(part) | Kind::Macro(_, part) | Kind::Exception(_, part) => std::slice::from_ref(part),
            Kind::Check(_) => &[],
        }
    }

    fn add_unknown_fields<'a>(&'a self, found: &mut BTreeSet<&'a str>) {
        if self.truth != Truth::Unknown {
            return;
        }
        if let Kind::Check(check) = &self.kind {
            found.extend(check.unknown_fields());
        }
        for child in self.children() {
            child.add_unknown_fields(found);
        }
    }

    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        for child in self.children() {
            child.visit(visit);
        }
    }
}

impl Truth {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::False => "false",
            Self::Unknown => "unknown",
            Self::True => "true",
        }
    }

    fn of(known: bool) -> Self {
        if known { Self::True } else { Self::False }
    }

    fn opposite(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Evaluates conditions for one event.
pub(crate) struct Explainer<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) environment: &'a Environment,
    pub(crate) event: &'a dyn PartialEvent,
}

impl Explainer<'_> {
    /// Explains a rule whose condition was compiled into the arena, exceptions included.
    pub(crate) fn explain(
        &self,
        rule: &str,
        enabled: bool,
        condition: &Expression,
        exceptions: &[Exception],
    ) -> Explanation {
        let mut root = self.part(condition, true);
        let names = exceptions.iter().filter(|exception| exception.has_values()).map(|exception| &*exception.name);
        name_exceptions(&mut root, &names.collect::<Vec<_>>());
        Explanation { rule: rule.to_owned(), enabled, root }
    }

    fn part(&self, expression: &Expression, reached: bool) -> Part {
        let (truth, kind) = match expression {
            Expression::And(children, _) => {
                let (truth, parts) = self.chain(children, Truth::False, reached);
                (truth, Kind::And(parts))
            }
            Expression::Or(children, _) => {
                let (truth, parts) = self.chain(children, Truth::True, reached);
                (truth, Kind::Or(parts))
            }
            Expression::Not(child, _) => {
                let part = self.part(child, reached);
                (part.truth.opposite(), Kind::Not(Box::new(part)))
            }
            Expression::Macro(found, _) => {
                let body = self.part(&found.body, reached);
                (body.truth, Kind::Macro(found.name.clone(), Box::new(body)))
            }
            Expression::Check(check) => {
                let (truth, seen) = self.check(check);
                (truth, Kind::Check(CheckPart { check: check.clone(), seen }))
            }
            // Names are gone from a condition that compiles.
            Expression::Name(name, _) => (Truth::Unknown, Kind::Macro(name.clone(), Box::new(Part::nothing()))),
        };
        Part { truth, reached, kind }
    }

    /// `decisive` if any child is, else unknown if any child is, else the opposite.
    fn chain(&self, children: &[Expression], decisive: Truth, reached: bool) -> (Truth, Vec<Part>) {
        let mut open = reached;
        let mut truth = decisive.opposite();
        let mut parts = Vec::with_capacity(children.len());
        for child in children {
            let part = self.part(child, open);
            open &= part.truth != decisive;
            if part.truth == decisive || truth != decisive && part.truth == Truth::Unknown {
                truth = part.truth;
            }
            parts.push(part);
        }
        (truth, parts)
    }

    fn check(&self, check: &Check) -> (Truth, Vec<Seen>) {
        let mut seen = Vec::new();
        let mut see = |reference| seen.push(self.see(reference));
        check.left.for_each_field(&mut see);
        if let Right::Operand(operand) = &check.right {
            operand.for_each_field(&mut see);
        }
        let compiled = self.arena.compiled(check);
        // A part without a value leaves its operand without one, and no comparison holds for that.
        let is_absent = seen.iter().any(|seen| seen.value == SeenValue::Absent);
        let truth = if is_absent || compiled.is_some_and(CompiledCheck::never_holds) {
            Truth::False
        } else if seen.iter().any(|seen| seen.value == SeenValue::Unknown) {
            Truth::Unknown
        } else {
            let holds = |compiled: &CompiledCheck| compiled.holds(&KnownPart(self.event));
            compiled.map_or(Truth::Unknown, |compiled| Truth::of(holds(compiled)))
        };
        (truth, seen)
    }

    fn see(&self, reference: &FieldReference) -> Seen {
        let operand = compile_operand(&Operand::Field(reference.clone()), self.environment);
        let value = match operand.map(|operand| operand.extractor) {
            Ok(Extractor::Field(field, argument)) => match self.event.knowledge(field, &argument) {
                Knowledge::Known(Some(value)) => SeenValue::Value(typed(&value, ValueStyle::default())),
                Knowledge::Known(None) => SeenValue::Absent,
                Knowledge::Unknown => SeenValue::Unknown,
            },
            Ok(Extractor::Constant(text)) => SeenValue::Value(typed(&Value::text(&text), ValueStyle::default())),
            // A field alone is no call, and was compiled before.
            Ok(Extractor::Call(_)) | Err(_) => SeenValue::Unknown,
        };
        Seen { field: reference.to_string(), value }
    }
}

impl Part {
    fn nothing() -> Self {
        Self { truth: Truth::Unknown, reached: false, kind: Kind::And(Vec::new()) }
    }
}

/// Marks the parts that were made of exceptions: they are the last parts of the condition, each behind a `not`.
fn name_exceptions(root: &mut Part, names: &[&str]) {
    let Kind::And(parts) = &mut root.kind else { return };
    let first = parts.len().saturating_sub(names.len());
    let last = parts.get_mut(first..).unwrap_or_default();
    // Parentheses inside of values could give the text another shape; then nothing is marked.
    if last.len() != names.len() || !last.iter().all(|part| matches!(part.kind, Kind::Not(_))) {
        return;
    }
    for (part, name) in last.iter_mut().zip(names) {
        if let Kind::Not(body) = &mut part.kind {
            let (truth, reached) = (body.truth, body.reached);
            let inner = std::mem::replace(&mut **body, Part::nothing());
            **body = Part { truth, reached, kind: Kind::Exception((*name).to_owned(), Box::new(inner)) };
        }
    }
}

/// The known part of an event as an event, for checks of which all fields are known.
struct KnownPart<'a>(&'a dyn PartialEvent);

impl Event for KnownPart<'_> {
    fn event_type(&self) -> EventType {
        self.0.event_type()
    }

    fn value(&self, field: Field, argument: &Argument) -> Option<Value<'_>> {
        match self.0.knowledge(field, argument) {
            Knowledge::Known(value) => value,
            Knowledge::Unknown => None,
        }
    }
}
