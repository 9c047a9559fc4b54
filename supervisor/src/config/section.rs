// SPDX-License-Identifier: Apache-2.0
//! Typed access to one map of the configuration; what does not fit is recorded, and the default taken instead, so
//! that one run shows every mistake.

use std::{cell::RefCell, path::PathBuf, str::FromStr};

use super::{
    source::{Finding, Notice, Place},
    tree::{Content, Node},
};

/// Everything found while reading.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: RefCell<Vec<Finding>>,
    notices: RefCell<Vec<Notice>>,
}

impl Findings {
    pub(super) fn problem(&self, finding: Finding) {
        self.problems.borrow_mut().push(finding);
    }

    pub(super) fn notice(&self, finding: Finding) {
        self.notices.borrow_mut().push(finding);
    }

    /// The problems and the notices.
    pub(super) fn into_parts(self) -> (Vec<Finding>, Vec<Notice>) {
        (self.problems.into_inner(), self.notices.into_inner())
    }
}

/// One map, or the place where one could be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a> {
    node: Option<&'a Node>,
    name: &'a str,
    findings: &'a Findings,
}

impl<'a> Section<'a> {
    pub(super) fn new(node: Option<&'a Node>, name: &'a str, findings: &'a Findings) -> Self {
        let node = node.filter(|node| match node.content {
            Content::Map(_) => true,
            Content::Null => false,
            Content::Scalar(_) | Content::List(_) => {
                let message = format!("`{name}` must be a map of keys, and is {}", node.kind());
                findings.problem(Finding::at(&node.place, message));
                false
            }
        });
        Self { node, name, findings }
    }

    /// The map under `key`.
    pub(super) fn section(&self, key: &'a str) -> Self {
        Self::new(self.get(key), key, self.findings)
    }

    /// The value of `key`; none if it is absent or null.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.and_then(|node| node.get(key)).filter(|node| !matches!(node.content, Content::Null))
    }

    pub(super) fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// A boolean in any of the spellings yaml-cpp takes.
    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        self.read(key, "true or false", flag).unwrap_or(default)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.read(key, "a text", |text| Some(text.to_owned()))
    }

    /// A value that knows how to read itself; `expected` completes "must be ..".
    pub(super) fn parsed<T: FromStr>(&self, key: &str, expected: &str, default: T) -> T {
        self.read(key, expected, |text| text.parse().ok()).unwrap_or(default)
    }

    /// An absolute path: the processes that read the file have different working directories.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.read(key, "an absolute path", |text| text.starts_with('/').then(|| PathBuf::from(text)))
    }

    /// A list of texts; a single value stands for a list of one.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<(String, &'a Place)>> {
        let node = self.get(key)?;
        let items = match &node.content {
            Content::List(items) => items.as_slice(),
            Content::Null | Content::Scalar(_) | Content::Map(_) => std::slice::from_ref(node),
        };
        Some(
            items
                .iter()
                .filter_map(|item| self.scalar(item, key, "a text").map(|text| (text.to_owned(), &item.place)))
                .collect(),
        )
    }

    /// The elements of a list, whatever they are.
    pub(super) fn items(&self, key: &str) -> &'a [Node] {
        match self.get(key).map(|node| (node, &node.content)) {
            None => &[],
            Some((_, Content::List(items))) => items,
            Some((node, Content::Null | Content::Scalar(_) | Content::Map(_))) => {
                self.wrong(node, key, "a list");
                &[]
            }
        }
    }

    /// Applies `read` to the text of `key`, and records what it refuses.
    pub(super) fn read<T>(&self, key: &str, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let node = self.get(key)?;
        let value = read(self.scalar(node, key, expected)?);
        if value.is_none() {
            self.wrong(node, key, expected);
        }
        value
    }

    fn scalar(&self, node: &'a Node, key: &str, expected: &str) -> Option<&'a str> {
        if let Content::Scalar(text) = &node.content {
            return Some(text);
        }
        self.wrong(node, key, expected);
        None
    }

    fn wrong(&self, node: &Node, key: &str, expected: &str) {
        let key = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        let found = match &node.content {
            Content::Scalar(text) => format!("`{text}`"),
            Content::Null | Content::List(_) | Content::Map(_) => node.kind().to_owned(),
        };
        self.findings.problem(Finding::at(&node.place, format!("`{key}` must be {expected}, and is {found}")));
    }
}

/// *Falco:* yaml-cpp takes these words, in lower case, upper case or capitalised.
fn flag(text: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(["true", "yes", "on", "y"]) {
        return Some(true);
    }
    is_one_of(["false", "no", "off", "n"]).then_some(false)
}
