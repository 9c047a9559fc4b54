// SPDX-License-Identifier: Apache-2.0
//! YAML text to a tree of nodes with positions; the only file that names the YAML crate.
//!
//! Scalars stay text, as Falco's parser keeps them: `0644`, `on` and `1.0` are what stands there. Aliases are copied, within
//! a limit; nesting has a limit, so no file can exhaust the stack.

use std::{collections::HashMap, ops::Range, sync::Arc};

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use crate::source::{Location, Source, Text};

/// Levels of nested collections; the deepest construct of the language (a list in an exception's row) needs seven.
const MAX_DEPTH: usize = 64;
/// Nodes of one file including the copies that aliases make; the largest stock file has 8,000.
const MAX_NODES: usize = 2_000_000;

/// A YAML node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) content: Content,
    /// Where Falco's parser says the node is: for a block scalar that is its `>` or `|`.
    pub(crate) location: Location,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(Text),
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// Why a file is not YAML.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct YamlError {
    pub(crate) message: String,
    pub(crate) offset: usize,
}

impl Node {
    /// The value of a key; the first one, as in Falco, where a key stands twice.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name.text().is_some_and(|text| text == key)).map(|(_, value)| value)
    }

    /// The entries of a mapping; nothing for other nodes.
    pub(crate) fn entries(&self) -> &[(Self, Self)] {
        match &self.content {
            Content::Mapping(entries) => entries,
            Content::Null | Content::Scalar(_) | Content::Sequence(_) => &[],
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text) => Some(text.as_str()),
            Content::Null | Content::Sequence(_) | Content::Mapping(_) => None,
        }
    }
}

/// Reads all documents of a file, or those before the first error together with the error.
pub(crate) fn parse(source: &Arc<Source>) -> (Vec<Node>, Option<YamlError>) {
    let mut builder = Builder { source, documents: Vec::new(), open: Vec::new(), anchors: HashMap::new(), nodes: 0 };
    let mut options = Options::default();
    options.emit_comments = false;
    for event in Parser::new_from_str_with_options(&source.text, options) {
        let outcome = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                let marker = *error.marker();
                Err(YamlError { message: error.info(), offset: marker.byte_offset().unwrap_or_else(|| marker.index()) })
            }
        };
        if let Err(error) = outcome {
            return (builder.documents, Some(error));
        }
    }
    (builder.documents, None)
}

/// Builds nodes from events with a stack of its own, so that depth costs heap and is bounded.
struct Builder<'a> {
    source: &'a Arc<Source>,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

/// A collection whose end has not been seen.
struct Open {
    content: Content,
    /// The key that waits for its value, in a mapping.
    key: Option<Node>,
    span: Range<usize>,
    anchor: usize,
}

impl Builder<'_> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other events are not about nodes, and more may be added")]
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let range = span.byte_range().unwrap_or(0..0);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let node = scalar(self.source, &text, style, range);
                self.add(node, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.start(Content::Sequence(Vec::new()), range, anchor),
            Event::MappingStart(_, anchor, _) => self.start(Content::Mapping(Vec::new()), range, anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, &range),
            _ => Ok(()),
        }
    }

    fn start(&mut self, content: Content, span: Range<usize>, anchor: usize) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            return Err(YamlError { message, offset: span.start });
        }
        self.open.push(Open { content, key: None, span, anchor });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let location = Location { source: Arc::clone(self.source), span: open.span };
        self.add(Node { content: open.content, location }, open.anchor)
    }

    fn alias(&mut self, anchor: usize, span: &Range<usize>) -> Result<(), YamlError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(YamlError { message: "an alias inside its own anchor".to_owned(), offset: span.start });
        };
        self.nodes += count(node);
        if self.nodes > MAX_NODES {
            return Err(too_many(span.start));
        }
        let node = node.clone();
        self.add(node, 0)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(too_many(node.location.span.start));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping(entries) => match open.key.take() {
                Some(key) => entries.push((key, node)),
                None => open.key = Some(node),
            },
            Content::Null | Content::Scalar(_) => {}
        }
        Ok(())
    }
}

fn too_many(offset: usize) -> YamlError {
    YamlError { message: format!("more than {MAX_NODES} values"), offset }
}

fn count(node: &Node) -> usize {
    match &node.content {
        Content::Null | Content::Scalar(_) => 1,
        Content::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        Content::Mapping(entries) => 1 + entries.iter().map(|(key, value)| count(key) + count(value)).sum::<usize>(),
    }
}

fn scalar(source: &Arc<Source>, text: &str, style: ScalarStyle, span: Range<usize>) -> Node {
    let plain = style == ScalarStyle::Plain;
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    let start = if block { block_indicator(&source.text, span.start) } else { span.start };
    let location = Location { source: Arc::clone(source), span: start..span.end.max(start) };
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Node { content: Content::Null, location };
    }
    let text = align(text, source, span, style);
    Node { content: Content::Scalar(text), location }
}

/// The offset of the `>` or `|` that announces the block scalar whose content starts at `content`.
fn block_indicator(text: &str, content: usize) -> usize {
    let before = text.get(..content).unwrap_or_default();
    let mut end = before.len();
    for line in before.split_inclusive('\n').rev() {
        end -= line.len();
        let header = line.find(" #").and_then(|comment| line.get(..comment)).unwrap_or(line).trim_end();
        let indicator = header.trim_end_matches(|c: char| c.is_ascii_digit() || c == '+' || c == '-');
        if indicator.ends_with(['>', '|']) {
            return end + indicator.len() - 1;
        }
        if !header.trim().is_empty() {
            break;
        }
    }
    content
}

/// Maps a scalar's value back to the raw text it was read from: folded line ends, indentation, quotes and escapes.
fn align(value: &str, source: &Arc<Source>, span: Range<usize>, style: ScalarStyle) -> Text {
    let quote = match style {
        ScalarStyle::SingleQuoted => Some('\''),
        ScalarStyle::DoubleQuoted => Some('"'),
        ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => None,
    };
    let start = span.start + usize::from(quote.is_some());
    let raw = source.text.get(start..span.end).unwrap_or_default();
    let mut text = Text::default();
    let mut rest = raw;
    for c in value.chars() {
        let skipped = skip_to(rest, c, quote);
        rest = rest.get(skipped..).unwrap_or_default();
        let at = start + raw.len() - rest.len();
        let mut buffer = [0; 4];
        text.push_from(c.encode_utf8(&mut buffer), source, at);
        rest = rest.get(raw_length(rest, c, quote)..).unwrap_or_default();
    }
    text
}

/// How many raw bytes to skip before the raw form of `c`: indentation, the rest of a fold, or an escaped line end.
fn skip_to(raw: &str, c: char, quote: Option<char>) -> usize {
    let escaped_end = |raw: &str| quote == Some('"') && (raw.starts_with("\\\n") || raw.starts_with("\\\r"));
    if c.is_whitespace() && !escaped_end(raw) {
        return 0;
    }
    let mut rest = raw;
    loop {
        let trimmed = rest.trim_start();
        if !escaped_end(trimmed) {
            return raw.len() - trimmed.len();
        }
        rest = trimmed.get(1..).unwrap_or_default();
    }
}

/// How many raw bytes stand for `c`.
fn raw_length(raw: &str, c: char, quote: Option<char>) -> usize {
    if quote == Some('"') && raw.starts_with('\\') {
        return match raw.chars().nth(1) {
            Some('x') => 4,
            Some('u') => 6,
            Some('U') => 10,
            Some(escaped) => 1 + escaped.len_utf8(),
            None => 1,
        };
    }
    if quote == Some('\'') && c == '\'' && raw.starts_with("''") {
        return 2;
    }
    // A line end that folding added where the raw text has none left.
    let added = c.is_whitespace() && !raw.starts_with(char::is_whitespace);
    raw.chars().next().filter(|_| !added).map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of key `a` and, for each of its words, the line and column it comes from.
    #[track_caller]
    fn check(yaml: &str, value: &str, words: &[(&str, usize, usize)]) {
        let source = Source::new("t", yaml);
        let (documents, error) = parse(&source);
        assert!(error.is_none(), "{error:?}");
        let node = documents[0].get("a").unwrap();
        let Content::Scalar(text) = &node.content else { panic!("{node:?}") };
        assert_eq!(text.as_str(), value);
        for (word, line, column) in words {
            let at = value.find(word).unwrap();
            let position = text.locate(at..at + word.len()).unwrap().position();
            assert_eq!((position.line, position.column), (*line, *column), "{word}");
        }
    }

    #[test]
    fn offsets_lead_back_through_folds_quotes_and_escapes() {
        check("a: one two\n", "one two", &[("two", 0, 7)]);
        check(
            "a: >\n  one\n  two\n    three\n",
            "one two\n  three\n",
            &[("one", 1, 2), ("two", 2, 2), ("three", 3, 4)],
        );
        check("a: >-\n\n  one\n\n  two\n", "\none\ntwo", &[("one", 2, 2), ("two", 4, 2)]);
        check("a: 'it''s\n  two'\n", "it's two", &[("s two", 0, 8), ("two", 1, 2)]);
        check("a: \"x\\ty \\\n  z\"\n", "x\ty z", &[("y", 0, 7), ("z", 1, 2)]);
        check("a: |\n   é b\n   c\n", "é b\nc\n", &[("b", 1, 6), ("c", 2, 3)]);
    }

    #[test]
    fn a_block_scalar_is_where_its_indicator_is() {
        let source = Source::new("t", "x: 1\na: >- # why > not\n\n  b\n");
        let (documents, _) = parse(&source);
        assert_eq!(documents[0].get("a").unwrap().location.span.start, 8);
    }

    #[test]
    fn depth_and_copies_are_limited() {
        let deep = Source::new("t", &"[".repeat(100_000));
        assert!(parse(&deep).1.is_some());
        let mut bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for pair in ('a'..='i').zip('b'..='j') {
            let (from, to) = pair;
            let copies = vec![format!("*{from}"); 8].join(",");
            bomb.extend([to.to_string(), format!(": &{to} [{copies}]\n")]);
        }
        let bomb = Source::new("t", &bomb);
        assert_eq!(parse(&bomb).1.unwrap().message, "more than 2000000 values");
    }
}
