// SPDX-License-Identifier: Apache-2.0
//! Why a text cannot be an output, for those who have it from elsewhere than a rules file.

use super::{Template, parse};
use crate::compile::{Environment, Problem};

/// A text that is no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no output: {message}")]
pub struct OutputError {
    text: String,
    message: String,
    help: Option<String>,
}

impl OutputError {
    fn new(text: &str, problem: Problem) -> Self {
        Self { text: text.to_owned(), message: problem.message, help: problem.help }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl Template {
    /// Checks a text with tokens. `static_fields` has the values of the fields `static.<key>`.
    pub fn check(text: &str, static_fields: &[(String, String)]) -> Result<(), OutputError> {
        let environment = Environment { static_fields: static_fields.to_vec() };
        let parsed = parse(text, &environment, super::ValueStyle::default());
        parsed.map(drop).map_err(|problem| OutputError::new(text, problem))
    }

    /// Checks a member of the typed fields: the field of this name, or a text with tokens.
    pub fn check_field(
        name: &str,
        format: Option<&str>,
        static_fields: &[(String, String)],
    ) -> Result<(), OutputError> {
        let environment = Environment { static_fields: static_fields.to_vec() };
        let added = Self::default().add_field(name, format, &environment);
        added.map_err(|problem| OutputError::new(format.unwrap_or(name), problem))
    }
}
