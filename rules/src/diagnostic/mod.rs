// SPDX-License-Identifier: Apache-2.0
//! Problems found while loading: what, how bad, where, and what to do about it.

mod code;
mod context;
mod json;
mod report;

pub use code::{Code, Severity};
pub use context::ContextLocation;
pub(crate) use context::{Context, condition_position};
pub use report::{FileReport, LoadReport};

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::source::{Location, Position, Text};

/// Errors of one file, and of one compilation of everything; who made more has one cause for them, and reads no more.
pub(crate) const MAX_ERRORS: usize = 1_000;

/// One problem.
#[derive(Debug, Clone)]
pub struct Diagnostic(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    message: String,
    help: Option<String>,
    context: Vec<ContextLocation>,
    /// What to underline, as its author wrote it.
    origin: Option<Location>,
    /// The cited line and a caret, in the form of Falco's JSON.
    snippet: String,
}

impl Diagnostic {
    /// A problem of an item or a part of one.
    pub(crate) fn new(code: Code, message: impl Into<String>, context: &Context) -> Self {
        let origin = context.origin().clone();
        let (line, start) = origin.source.line_at(origin.span.start);
        let snippet = snippet(line, origin.span.start - start);
        let context = context.locations();
        Self(Box::new(Parts { code, message: message.into(), help: None, context, origin: Some(origin), snippet }))
    }

    /// A problem of a piece of text, which may have come from several places.
    pub(crate) fn in_text(
        code: Code,
        message: impl Into<String>,
        context: &Context,
        text: &Text,
        span: std::ops::Range<usize>,
    ) -> Self {
        let mut diagnostic = Self::new(code, message, context);
        if let Some(origin) = text.locate(span) {
            diagnostic.0.origin = Some(origin);
        }
        diagnostic
    }

    /// Underlines another place than the item's own.
    pub(crate) fn at(mut self, origin: Location) -> Self {
        self.0.origin = Some(origin);
        self
    }

    /// Cites nothing: there is no text.
    pub(crate) fn without_origin(mut self) -> Self {
        self.0.origin = None;
        self
    }

    pub(crate) fn with_help(mut self, help: Option<String>) -> Self {
        self.0.help = help;
        self
    }

    /// Uses a line of text that is not a line of the file, such as a condition with its lists written out.
    pub(crate) fn with_snippet(mut self, text: &str, at: usize) -> Self {
        let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        self.0.snippet = snippet(line, at - start);
        self
    }

    /// Falco's code, or one of our own.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The items around the problem, from the file inwards, as Falco reports them.
    pub fn context(&self) -> &[ContextLocation] {
        &self.0.context
    }

    /// The file and the place of the offending text, counted from 0.
    pub fn place(&self) -> Option<(&str, Position)> {
        self.0.origin.as_ref().map(|origin| (origin.source.name.as_str(), origin.position()))
    }

    /// A number that problems share only where they are the same one, found twice.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.0.code, &self.0.message, &self.0.context).hash(&mut hasher);
        hasher.finish()
    }
}

/// Longest part of a cited line.
const MAX_SNIPPET: usize = 160;

/// A line and a caret below one of its columns.
fn snippet(line: &str, column: usize) -> String {
    let before = line.get(..column).unwrap_or_default().chars().count();
    // The caret stays in view on a long line.
    let skipped = before.saturating_sub(MAX_SNIPPET / 2) * usize::from(line.chars().count() > MAX_SNIPPET);
    let cited: String = line.chars().skip(skipped).take(MAX_SNIPPET).collect();
    format!("{}\n{}^\n", cited.trim_end(), " ".repeat(before - skipped))
}
