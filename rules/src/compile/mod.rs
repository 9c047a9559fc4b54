// SPDX-License-Identifier: Apache-2.0
//! Syntax trees to things that can be evaluated: names looked up, types checked, comparisons chosen.

mod check;
mod compare;
mod constant;
mod glob;
mod network;
mod operand;
mod pattern;
mod posix;
mod transform;

use std::ops::Range;

pub(crate) use check::{CompiledCheck, Right, compile_check};
pub(crate) use compare::{Comparison, Matcher, Test, TextMatcher};
pub(crate) use glob::GlobLiteral;
pub(crate) use operand::{CompiledOperand, Extractor, compile_operand, may_be_field, operand_fields};
pub(crate) use pattern::{Prefixes, Substrings, TextSet};

/// What conditions and outputs may refer to besides the catalogue.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// Values of `static.<key>`.
    pub(crate) static_fields: Vec<(String, String)>,
}

/// Something wrong with a part of a condition or an output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Problem {
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// Byte range in the text that was compiled.
    pub(crate) span: Range<usize>,
    /// Where Falco would point: the check rather than the token in it.
    pub(crate) anchor: usize,
    /// Whether `skip-if-unknown-filter` turns it into a warning.
    pub(crate) unknown: bool,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>, span: &Range<usize>) -> Self {
        Self { message: message.into(), help: None, span: span.clone(), anchor: span.start, unknown: false }
    }

    pub(crate) fn unknown(message: impl Into<String>, span: &Range<usize>) -> Self {
        Self { unknown: true, ..Self::new(message, span) }
    }

    pub(crate) fn with_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }
}
