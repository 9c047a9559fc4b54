// SPDX-License-Identifier: Apache-2.0
//! Where a problem is, as the chain of items around it.

use std::{ops::Range, sync::Arc};

use crate::source::{Location, Position, Source};

/// One item of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContextLocation {
    /// What it is: `rules content`, `rule`, `macro condition`, ..
    pub item_type: &'static str,
    /// Its name, or nothing.
    pub item_name: String,
    /// The file, or the beginning of a condition in quotes.
    pub file: String,
    /// The place in it.
    pub position: Position,
}

/// A chain of items that problems can be reported in.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    chain: Vec<ContextLocation>,
    origin: Location,
}

impl Context {
    /// The file itself.
    pub(crate) fn file(source: &Arc<Source>) -> Self {
        let chain = vec![ContextLocation {
            item_type: "rules content",
            item_name: String::new(),
            file: source.name.clone(),
            position: Position::default(),
        }];
        Self { chain, origin: Location { source: Arc::clone(source), span: 0..1 } }
    }

    /// An item inside this one.
    pub(crate) fn item(&self, item_type: &'static str, name: &str, location: &Location) -> Self {
        let mut chain = self.chain.clone();
        let file = location.source.name.clone();
        chain.push(ContextLocation { item_type, item_name: name.to_owned(), file, position: location.position() });
        let line_end = location.source.text.get(location.span.clone()).and_then(|text| text.find('\n'));
        let end = line_end.map_or(location.span.end, |length| location.span.start + length);
        let span = location.span.start..end.max(location.span.start + 1);
        Self { chain, origin: Location { source: Arc::clone(&location.source), span } }
    }

    /// A part of a condition; *Falco:* its position is that of the item plus that within the text.
    pub(crate) fn condition(&self, text: &str, position: Position) -> Self {
        let mut chain = self.chain.clone();
        let base = self.chain.last().map_or_else(Position::default, |last| last.position);
        let shown = if text.len() > SHOWN + 3 { format!("{}...", prefix(text, SHOWN)) } else { text.to_owned() };
        chain.push(ContextLocation {
            item_type: "condition expression",
            item_name: String::new(),
            file: format!("\"{shown}\""),
            position: Position {
                line: base.line + position.line,
                column: base.column + position.column,
                offset: base.offset + position.offset,
            },
        });
        Self { chain, origin: self.origin.clone() }
    }

    pub(crate) fn locations(&self) -> Vec<ContextLocation> {
        self.chain.clone()
    }

    pub(crate) fn origin(&self) -> &Location {
        &self.origin
    }
}

/// Bytes of a condition that stand for its name.
const SHOWN: usize = 17;

fn prefix(text: &str, length: usize) -> &str {
    let Range { start, end } = 0..text.floor_char_boundary(length);
    text.get(start..end).unwrap_or_default()
}

/// A position in a condition: *Falco:* offsets from 0, lines and columns from 1.
pub(crate) fn condition_position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position { line: before.matches('\n').count() + 1, column: before.len() - line_start + 1, offset }
}
