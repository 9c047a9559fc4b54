// SPDX-License-Identifier: Apache-2.0
//! Conditions that load but do not mean what their author thinks.

use crate::{
    Field,
    condition::ast::{Check, Expression, Literal, Macro, Operand, Right, Span},
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
    let mut warnings: Vec<Warning<'_>> = Vec::new();
    expression.for_each_check(&mut |check, home| {
        for (code, message, help) in [unsafe_absence(check), direction(check), absent(check)].into_iter().flatten() {
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
