// SPDX-License-Identifier: Apache-2.0
//! Syntax trees to canonical text, as Falco prints compiled conditions.
//!
//! Parsing it again gives the same tree, with exceptions that are Falco's: empty strings, parentheses and commas, and
//! constants in calls are printed without quotes, a string that ends with a backslash hides its closing quote, and two
//! negations that parentheses kept apart cancel.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use super::ast::{Call, CallParameter, Check, Expression, FieldReference, Operand, Right};

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(children, _) => chain(formatter, children, " and "),
            Self::Or(children, _) => chain(formatter, children, " or "),
            Self::Not(child, _) => write!(formatter, "not {child}"),
            Self::Check(check) => write!(formatter, "{check}"),
            Self::Name(name, _) => formatter.write_str(name),
            Self::Macro(resolved, _) => write!(formatter, "{}", resolved.body),
        }
    }
}

fn chain(formatter: &mut fmt::Formatter<'_>, children: &[Expression], separator: &str) -> fmt::Result {
    formatter.write_char('(')?;
    for (index, child) in children.iter().enumerate() {
        if index > 0 {
            formatter.write_str(separator)?;
        }
        write!(formatter, "{child}")?;
    }
    formatter.write_char(')')
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.left, self.operator)?;
        if let Some(modifier) = self.modifier {
            write!(formatter, " {modifier}")?;
        }
        match &self.right {
            Right::Nothing => Ok(()),
            Right::Text(literal) => write!(formatter, " {}", quoted(&literal.text)),
            Right::Operand(operand) => write!(formatter, " {operand}"),
            Right::List(items, _) => {
                let items: Vec<_> = items.iter().map(|item| quoted(&item.text)).collect();
                write!(formatter, " ({})", items.join(", "))
            }
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => write!(formatter, "{field}"),
            Self::Call(call) => write!(formatter, "{call}"),
        }
    }
}

impl fmt::Display for FieldReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        argument(formatter, self.argument.as_deref())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}(", self.transformer)?;
        parameters(formatter, &self.parameters)?;
        formatter.write_char(')')?;
        argument(formatter, self.argument.as_deref())
    }
}

impl fmt::Display for CallParameter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(operand) => write!(formatter, "{operand}"),
            // *Falco:* constants in calls are printed without quotes, so this text does not parse again.
            Self::Text(text, _) => formatter.write_str(text),
            Self::List(items, _) => {
                formatter.write_char('(')?;
                parameters(formatter, items)?;
                formatter.write_char(')')
            }
        }
    }
}

fn parameters(formatter: &mut fmt::Formatter<'_>, items: &[CallParameter]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            formatter.write_char(',')?;
        }
        write!(formatter, "{item}")?;
    }
    Ok(())
}

fn argument(formatter: &mut fmt::Formatter<'_>, argument: Option<&str>) -> fmt::Result {
    match argument {
        None => Ok(()),
        Some("") => formatter.write_str("[\"\"]"),
        Some(text) => write!(formatter, "[{}]", quoted(text)),
    }
}

/// The text as a string of a condition: in quotes if it could not be read back without them.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    let needs_quotes = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '=' | '"' | '\'' | '\\');
    if !text.contains(needs_quotes) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    Cow::Owned(quoted)
}
