// SPDX-License-Identifier: Apache-2.0
//! Stage one of reading the configuration: YAML text to a tree that keeps every value as written, with its place.
//!
//! Scalars stay text, as in yaml-cpp, which Falco uses: `yes`, `0644` or `1e3` mean what the key that holds them says.

use std::{collections::HashMap, rc::Rc};

use granit_parser::{Event, Marker, Parser, ScalarStyle};

use super::source::{Finding, Place, Source};

/// More than any real configuration holds; aliases of aliases must not fill the memory.
const MAX_NODES: usize = 50_000;

/// One value of the configuration and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) place: Place,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    /// A key without a value, or the plain words `null` and `~`.
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value` of a map.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: Node,
}

impl Node {
    /// The value of `key`, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries of a map; nothing of anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Content::Map(entries) = &self.content { entries } else { &[] }
    }

    /// What the value is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Scalar(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    /// How many values the tree holds, itself included.
    fn size(&self) -> usize {
        match &self.content {
            Content::Null | Content::Scalar(_) => 1,
            Content::List(items) => items.iter().map(Self::size).sum::<usize>().saturating_add(1),
            Content::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum::<usize>().saturating_add(1),
        }
    }
}

/// Reads the first document of a source; an empty one is [`Content::Null`].
pub(super) fn parse(source: &Rc<Source>) -> Result<Node, Finding> {
    let mut builder = Builder { source, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    for next in Parser::new_from_str(&source.text) {
        let (event, span) = next.map_err(|error| Finding::at(&builder.place(*error.marker()), error.info()))?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.take(event, span.start)?;
    }
    let start = Place { source: Rc::clone(source), line: 1, column: 1 };
    Ok(builder.root.unwrap_or(Node { content: Content::Null, place: start }))
}

/// Builds the tree from events without recursion.
struct Builder<'a> {
    source: &'a Rc<Source>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

/// A list or map whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(String, Place)>),
}

impl Builder<'_> {
    fn place(&self, marker: Marker) -> Place {
        Place { source: Rc::clone(self.source), line: marker.line(), column: marker.col().saturating_add(1) }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's events may grow; the rest carries no values")]
    fn take(&mut self, event: Event<'_>, start: Marker) -> Result<(), Finding> {
        let place = self.place(start);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_null =
                    style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let content = if is_null { Content::Null } else { Content::Scalar(text.into_owned()) };
                self.close(Node { content, place }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(place, anchor, OpenContent::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.begin(place, anchor, OpenContent::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.count(&node)?;
                    self.close(Node { place, ..node }, 0)
                }
                None => Err(Finding::at(&place, "the alias refers to a value that contains it")),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, content: OpenContent) -> Result<(), Finding> {
        if let Some(Open { content: OpenContent::Map(_, None), .. }) = self.open.last() {
            return Err(Finding::at(&place, "a key must be a single value"));
        }
        self.open.push(Open { place, anchor, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Finding> {
        let Some(Open { place, anchor, content }) = self.open.pop() else { return Ok(()) };
        let content = match content {
            OpenContent::List(items) => Content::List(items),
            OpenContent::Map(entries, _) => Content::Map(entries),
        };
        self.close(Node { content, place }, anchor)
    }

    /// Puts a complete value where it belongs.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Finding> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(OpenContent::List(items)) => items.push(node),
            Some(OpenContent::Map(entries, key)) => match key.take() {
                Some((key, key_place)) => entries.push(Entry { key, key_place, value: node }),
                None => *key = Some(new_key(node, entries)?),
            },
        }
        Ok(())
    }

    /// Counts what an alias copies; values that are written out are bounded by the size of the file.
    fn count(&mut self, node: &Node) -> Result<(), Finding> {
        self.nodes = self.nodes.saturating_add(node.size());
        if self.nodes > MAX_NODES {
            return Err(Finding::at(&node.place, format!("aliases stand for more than {MAX_NODES} values")));
        }
        Ok(())
    }
}

fn new_key(node: Node, entries: &[Entry]) -> Result<(String, Place), Finding> {
    let Content::Scalar(key) = node.content else {
        return Err(Finding::at(&node.place, "a key must be a single value"));
    };
    if let Some(first) = entries.iter().find(|entry| entry.key == key) {
        let line = first.key_place.line;
        return Err(Finding::at(&node.place, format!("`{key}` is given twice"))
            .help(format!("it is first given in line {line}; keep one of them")));
    }
    Ok((key, node.place))
}
