// SPDX-License-Identifier: Apache-2.0
//! Where text came from: sources, positions, and text that remembers the origin of every byte.
//!
//! A condition is rarely a contiguous part of a file: YAML folds it, `append` joins pieces of several files, and lists are
//! pasted into it. [`Text`] keeps the origin of each piece, so that a problem is shown where its author wrote it.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Range,
    sync::Arc,
};

/// One rules file: the name it was given and its content.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Offsets at which lines begin: every item of a file asks for its position.
    line_starts: Vec<usize>,
}

/// A place in a file, counted from zero as in Falco's JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// The line, from 0.
    pub line: usize,
    /// The column in bytes, from 0.
    pub column: usize,
    /// Bytes from the start of the file.
    pub offset: usize,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Arc<Self> {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let line_starts = std::iter::once(0).chain(ends.map(|end| end + 1)).collect();
        Arc::new(Self { name: name.to_owned(), text: text.to_owned(), line_starts })
    }

    /// The position of a byte offset.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.line_starts.get(line).copied().unwrap_or_default();
        Position { line, column: offset - start, offset }
    }

    /// The line that holds a byte offset, without its end, and the offset at which it starts.
    pub(crate) fn line_at(&self, offset: usize) -> (&str, usize) {
        let Position { column, .. } = self.position(offset);
        let start = offset - column;
        let rest = self.text.get(start..).unwrap_or_default();
        (rest.lines().next().unwrap_or_default(), start)
    }
}

/// A byte range of a source.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    pub(crate) source: Arc<Source>,
    pub(crate) span: Range<usize>,
}

impl Location {
    pub(crate) fn position(&self) -> Position {
        self.source.position(self.span.start)
    }
}

/// Text with the origin of its pieces.
#[derive(Clone, Default)]
pub(crate) struct Text {
    text: String,
    /// Ordered by `at`; each holds from there to the next.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
struct Piece {
    at: usize,
    source: Arc<Source>,
    offset: usize,
    /// Whether the origin moves on with the text, or is one point (an inserted blank, a decoded escape).
    advances: bool,
}

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds text that stands in the source as it is.
    pub(crate) fn push_from(&mut self, text: &str, source: &Arc<Source>, offset: usize) {
        self.mark(source, offset, true);
        self.text.push_str(text);
    }

    /// Adds text that nobody wrote; its origin is where the last text ended.
    pub(crate) fn push_str(&mut self, text: &str) {
        if let Some(last) = self.pieces.last().filter(|last| last.advances) {
            let (source, offset) = (Arc::clone(&last.source), last.offset + (self.text.len() - last.at));
            self.mark(&source, offset, false);
        }
        self.text.push_str(text);
    }

    /// Adds another text with its origins.
    pub(crate) fn push(&mut self, other: &Self) {
        let base = self.text.len();
        if other.pieces.is_empty() {
            return self.push_str(&other.text);
        }
        self.pieces.extend(other.pieces.iter().map(|piece| Piece { at: base + piece.at, ..piece.clone() }));
        self.text.push_str(&other.text);
    }

    /// Keeps the first bytes only.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
        self.pieces.truncate(self.pieces.partition_point(|piece| piece.at < length));
    }

    /// The part of the text in a range of bytes.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let first = self.pieces.partition_point(|piece| piece.at <= range.start).saturating_sub(1);
        let inside = self.pieces.iter().skip(first).take_while(|piece| piece.at < range.end);
        let pieces = inside.map(|piece| {
            let skipped = range.start.saturating_sub(piece.at);
            let offset = if piece.advances { piece.offset + skipped } else { piece.offset };
            Piece { at: piece.at.saturating_sub(range.start), offset, ..piece.clone() }
        });
        Self { pieces: pieces.collect(), text }
    }

    /// The text without blanks at its ends.
    pub(crate) fn trimmed(&self) -> Self {
        let start = self.text.len() - self.text.trim_start().len();
        self.slice(start..start + self.text.trim().len())
    }

    /// Where a range of the text came from; ends with the piece that holds its first byte.
    pub(crate) fn locate(&self, range: Range<usize>) -> Option<Location> {
        let index = self.pieces.partition_point(|piece| piece.at <= range.start).checked_sub(1)?;
        let piece = self.pieces.get(index)?;
        if !piece.advances {
            return Some(Location { source: Arc::clone(&piece.source), span: piece.offset..piece.offset + 1 });
        }
        let end = self.pieces.get(index + 1).map_or(self.text.len(), |next| next.at).min(range.end);
        let start = piece.offset + (range.start - piece.at);
        let length = end.saturating_sub(range.start).max(1);
        Some(Location { source: Arc::clone(&piece.source), span: start..start + length })
    }

    /// Records that the next text comes from there, unless the last piece already says so.
    fn mark(&mut self, source: &Arc<Source>, offset: usize, advances: bool) {
        let at = self.text.len();
        let continues = self.pieces.last().is_some_and(|last| {
            let expected = if last.advances { last.offset + (at - last.at) } else { last.offset };
            last.advances == advances && expected == offset && Arc::ptr_eq(&last.source, source)
        });
        if !continues {
            self.pieces.push(Piece { at, source: Arc::clone(source), offset, advances });
        }
    }
}

/// Texts are equal when they read the same; their origins do not count.
impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, formatter)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), pieces: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &Text, at: usize) -> (usize, usize) {
        let position = text.locate(at..at + 1).unwrap().position();
        (position.line, position.column)
    }

    #[test]
    fn pieces_keep_their_origin_through_joining_and_slicing() {
        let source = Source::new("a.yaml", "one\ntwo\nthree");
        let mut text = Text::default();
        text.push_from("one", &source, 0);
        text.push_str(" ");
        text.push_from("three", &source, 8);
        assert_eq!(text.as_str(), "one three");
        assert_eq!((origin(&text, 1), origin(&text, 3), origin(&text, 5)), ((0, 1), (0, 3), (2, 1)));
        let part = text.slice(5..8);
        assert_eq!((part.as_str(), origin(&part, 0)), ("hre", (2, 1)));
    }
}
