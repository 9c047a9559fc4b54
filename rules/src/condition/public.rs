// SPDX-License-Identifier: Apache-2.0
//! Conditions by themselves, for tools: parse, print, and say what stands where.

use std::fmt;

use super::{
    ast::{CallParameter, Expression, Operand, Right, Span},
    parser,
};
use crate::diagnostic::condition_position;

/// The syntax tree of one condition; names in it are not looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    text: String,
    tree: Expression,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ConditionError {
    /// What was expected.
    pub message: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in bytes.
    pub column: usize,
}

/// One node of a condition's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConditionNode {
    /// `and`, `or`, `not`, `unary`, `binary`, `field`, `transformer`, `value`, `list` or `identifier`.
    pub kind: &'static str,
    /// Bytes from the start of the text.
    pub offset: usize,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in bytes.
    pub column: usize,
}

impl Condition {
    /// Parses a condition.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        match parser::parse(text) {
            Ok(tree) => Ok(Self { text: text.to_owned(), tree }),
            Err(error) => {
                let position = condition_position(text, error.at);
                Err(ConditionError { message: error.message, line: position.line, column: position.column })
            }
        }
    }

    /// The nodes of the tree, each before its children.
    pub fn nodes(&self) -> Vec<ConditionNode> {
        let mut nodes = Nodes { text: &self.text, found: Vec::new() };
        nodes.expression(&self.tree);
        nodes.found
    }
}

/// Prints the canonical text.
impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.tree, formatter)
    }
}

struct Nodes<'a> {
    text: &'a str,
    found: Vec<ConditionNode>,
}

impl Nodes<'_> {
    fn add(&mut self, kind: &'static str, span: &Span) {
        let position = condition_position(self.text, span.0.start);
        self.found.push(ConditionNode { kind, offset: span.0.start, line: position.line, column: position.column });
    }

    fn expression(&mut self, expression: &Expression) {
        match expression {
            Expression::And(children, span) => self.chain("and", children, span),
            Expression::Or(children, span) => self.chain("or", children, span),
            Expression::Not(child, span) => {
                self.add("not", span);
                self.expression(child);
            }
            Expression::Name(_, span) | Expression::Macro(_, span) => self.add("identifier", span),
            Expression::Check(check) => {
                let kind = if check.right == Right::Nothing { "unary" } else { "binary" };
                self.add(kind, &check.span);
                self.operand(&check.left);
                match &check.right {
                    Right::Nothing => {}
                    Right::Text(literal) => self.add("value", &literal.span),
                    Right::List(_, span) => self.add("list", span),
                    Right::Operand(operand) => self.operand(operand),
                }
            }
        }
    }

    fn chain(&mut self, kind: &'static str, children: &[Expression], span: &Span) {
        self.add(kind, span);
        for child in children {
            self.expression(child);
        }
    }

    fn operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Field(field) => self.add("field", &field.span),
            Operand::Call(call) => {
                self.add("transformer", &call.span);
                for parameter in &call.parameters {
                    self.parameter(parameter);
                }
            }
        }
    }

    fn parameter(&mut self, parameter: &CallParameter) {
        match parameter {
            CallParameter::Operand(operand) => self.operand(operand),
            CallParameter::Text(_, span) => self.add("value", span),
            CallParameter::List(items, span) => {
                self.add("list", span);
                for item in items {
                    self.parameter(item);
                }
            }
        }
    }
}
