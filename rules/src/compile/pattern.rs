// SPDX-License-Identifier: Apache-2.0
//! Patterns on text, prepared once: path prefixes, regular expressions, sets and groups of literals.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use rustc_hash::{FxBuildHasher, FxHashSet};

use super::{
    glob::Glob,
    posix::{self, RegexError},
};

/// Memory of one compiled regular expression; larger ones are refused, so that a rule file cannot exhaust us.
const MAX_REGEX_BYTES: usize = 1 << 20;
/// Smaller sizes, by which expressions are counted.
const REGEX_SIZES: [usize; 3] = [1 << 12, 1 << 15, 1 << 18];

/// The `pmatch` operator: path prefixes compared component by component, each component a glob.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathPrefixes {
    /// A prefix ends here, so everything below matches.
    complete: bool,
    literal: HashMap<Box<[u8]>, Self, FxBuildHasher>,
    globs: Vec<(Glob, Self)>,
}

impl PathPrefixes {
    pub(crate) fn new<'a>(prefixes: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut root = Self::default();
        for prefix in prefixes {
            root.insert(prefix);
        }
        root
    }

    fn insert(&mut self, prefix: &[u8]) {
        let mut node = self;
        for component in components(prefix) {
            node = if component.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\')) {
                node.globs.push((Glob::new(component, false), Self::default()));
                match node.globs.last_mut() {
                    Some((_, next)) => next,
                    None => return,
                }
            } else {
                node.literal.entry(component.into()).or_default()
            };
        }
        node.complete = true;
    }

    /// Calls `visit` for each prefix with the longest name in it that is no pattern; with nothing where there is none.
    pub(crate) fn for_each_name(&self, visit: &mut dyn FnMut(Option<&[u8]>)) {
        self.names(None, visit);
    }

    fn names<'a>(&'a self, longest: Option<&'a [u8]>, visit: &mut dyn FnMut(Option<&'a [u8]>)) {
        if self.complete {
            return visit(longest);
        }
        for (name, next) in &self.literal {
            let longer = longest.filter(|longest| longest.len() > name.len());
            next.names(Some(longer.unwrap_or(name)), visit);
        }
        for (_, next) in &self.globs {
            next.names(longest, visit);
        }
    }

    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        if self.complete {
            return true;
        }
        let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
        let path = path.get(start..).unwrap_or_default();
        if path.is_empty() {
            return false;
        }
        let end = memchr::memchr(b'/', path).unwrap_or(path.len());
        let (component, rest) = path.split_at(end);
        self.literal.get(component).is_some_and(|next| next.matches(rest))
            || self.globs.iter().any(|(glob, next)| glob.matches(component) && next.matches(rest))
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
}

/// A regular expression that must match the whole value.
#[derive(Debug, Clone)]
pub(crate) struct WholeRegex {
    regex: Regex,
    /// What it takes at most.
    bytes: usize,
}

impl WholeRegex {
    pub(crate) fn new(pattern: &str) -> Result<Self, RegexError> {
        let pattern = format!(r"\A(?:{})\z", posix::translate(pattern)?);
        let build = |bytes| -> Result<Self, regex::Error> {
            Ok(Self { regex: RegexBuilder::new(&pattern).multi_line(true).size_limit(bytes).build()?, bytes })
        };
        // The library does not tell the size, but what it refuses as too large.
        let whole = REGEX_SIZES.into_iter().map(build).find(Result::is_ok).unwrap_or_else(|| build(MAX_REGEX_BYTES));
        whole.map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            RegexError::Library(reason.to_owned())
        })
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What simpler operator says the same as a regular expression, if one does.
pub(crate) fn simpler_operator(pattern: &str) -> Option<&'static str> {
    let (front, rest) = match pattern.strip_prefix('^') {
        Some(rest) => (false, rest),
        None => strip_any(pattern, str::strip_prefix),
    };
    let (back, rest) = match rest.strip_suffix('$') {
        Some(rest) => (false, rest),
        None => strip_any(rest, str::strip_suffix),
    };
    let special =
        |c: char| matches!(c, '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' | '\\');
    if rest.is_empty() || rest.contains(special) {
        return None;
    }
    Some(match (front, back) {
        (false, false) => "=",
        (false, true) => "startswith",
        (true, false) => "endswith",
        (true, true) => "contains",
    })
}

fn strip_any<'a>(pattern: &'a str, strip: fn(&'a str, &'static str) -> Option<&'a str>) -> (bool, &'a str) {
    let stripped = [".*", ".+", ".?"].into_iter().find_map(|any| strip(pattern, any));
    stripped.map_or((false, pattern), |rest| (true, rest))
}

/// A set of byte strings; most lookups miss, and the lengths alone say so.
#[derive(Debug, Clone)]
pub(crate) struct TextSet {
    /// Bit n: some member has n bytes; bit 63 stands for 63 and more.
    lengths: u64,
    members: FxHashSet<Box<[u8]>>,
}

impl TextSet {
    pub(crate) fn new(members: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        let members: FxHashSet<_> = members.into_iter().collect();
        let lengths = members.iter().fold(0, |lengths, member| lengths | Self::length_bit(member));
        Self { lengths, members }
    }

    pub(crate) fn contains(&self, text: &[u8]) -> bool {
        self.lengths & Self::length_bit(text) != 0 && self.members.contains(text)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Box<[u8]>> {
        self.members.iter()
    }

    fn length_bit(text: &[u8]) -> u64 {
        1 << text.len().min(63)
    }
}

/// Several prefixes at once: sorted, and none begins with another.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes(Box<[Box<[u8]>]>);

impl Prefixes {
    pub(crate) fn new(mut prefixes: Vec<Box<[u8]>>) -> Self {
        prefixes.sort_unstable();
        // After sorting, those that begin with another one follow it.
        prefixes.dedup_by(|longer, kept| longer.starts_with(kept));
        Self(prefixes.into())
    }

    /// Only the last prefix that is not greater can be one of the text: what stands between the two in order begins with it.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let after = self.0.partition_point(|prefix| **prefix <= *text);
        after.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|prefix| text.starts_with(prefix))
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Box<[u8]>> {
        self.0.iter()
    }
}

/// Substrings of one automaton: the time to build it grows with their square.
const MAX_SUBSTRINGS: usize = 2_000;

/// Several substrings at once.
#[derive(Debug, Clone)]
pub(crate) struct Substrings {
    automata: Box<[AhoCorasick]>,
    members: Box<[Box<[u8]>]>,
}

impl Substrings {
    pub(crate) fn new(members: Vec<Box<[u8]>>) -> Option<Self> {
        // The faster automaton of the library takes ten times the memory.
        let build = |some| AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(some).ok();
        let automata: Option<_> = members.chunks(MAX_SUBSTRINGS).map(build).collect();
        Some(Self { automata: automata?, members: members.into() })
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        self.automata.iter().any(|automaton| automaton.is_match(text))
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Box<[u8]>> {
        self.members.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_prefixes_are_each_a_prefix() {
        let members: Vec<Box<[u8]>> =
            ["/usr/b", "/usr", "/etc/", "/etc/x", "/a"].iter().map(|text| text.as_bytes().into()).collect();
        let prefixes = Prefixes::new(members);
        for (text, expected) in
            [("/usr/lib", true), ("/usr", true), ("/etc", false), ("/etc/y", true), ("/b", false), ("", false)]
        {
            assert_eq!(prefixes.matches(text.as_bytes()), expected, "{text}");
        }
        assert!(Prefixes::new(vec![Box::default()]).matches(b""));
    }

    #[test]
    fn only_patterns_without_special_characters_have_a_simpler_operator() {
        assert_eq!(simpler_operator("^abc$"), Some("="));
        assert_eq!(simpler_operator(".+abc"), Some("endswith"));
        assert_eq!(simpler_operator("abc.?"), Some("startswith"));
        assert_eq!(simpler_operator(r"abc\.*"), None);
        assert_eq!(simpler_operator("a.*c"), None);
    }
}
