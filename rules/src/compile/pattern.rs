// SPDX-License-Identifier: Apache-2.0
//! Patterns on text, prepared once: globs as in fnmatch(3), path prefixes, regular expressions, sets and groups of literals.

use std::{collections::HashMap, ops::RangeInclusive};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};
use rustc_hash::{FxBuildHasher, FxHashSet};

use crate::sanitize::sanitize;

/// Memory of one compiled regular expression; larger ones are refused, so that a rule file cannot exhaust us.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// A shell pattern as fnmatch(3) with flags 0 reads it: `*` also matches `/` and leading dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    tokens: Vec<GlobToken>,
    ignore_case: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum GlobToken {
    Byte(u8),
    One,
    Many,
    Set {
        negated: bool,
        members: Vec<RangeInclusive<u8>>,
    },
    /// A backslash at the end of the pattern.
    Nothing,
}

impl Glob {
    pub(crate) fn new(pattern: &[u8], ignore_case: bool) -> Self {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let [first, tail @ ..] = rest {
            rest = tail;
            tokens.push(match first {
                b'?' => GlobToken::One,
                b'*' if tokens.last() == Some(&GlobToken::Many) => continue,
                b'*' => GlobToken::Many,
                b'\\' => match tail {
                    [escaped, after @ ..] => {
                        rest = after;
                        GlobToken::Byte(*escaped)
                    }
                    [] => GlobToken::Nothing,
                },
                b'[' => match bracket(tail) {
                    Some((set, after)) => {
                        rest = after;
                        set
                    }
                    None => GlobToken::Byte(b'['),
                },
                byte => GlobToken::Byte(*byte),
            });
        }
        Self { tokens, ignore_case }
    }

    /// Whether the whole text matches. Linear for one `*`; never worse than text times pattern.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let (mut at, mut token) = (0, 0);
        // Where to go on when the text after the last `*` does not fit.
        let mut retry = None;
        loop {
            let fits = match (self.tokens.get(token), text.get(at)) {
                (None, None) => return true,
                (Some(GlobToken::Many), _) => {
                    retry = Some((at, token + 1));
                    token += 1;
                    continue;
                }
                (Some(wanted), Some(byte)) => self.fits(wanted, *byte),
                (None, Some(_)) | (Some(_), None) => false,
            };
            if fits {
                at += 1;
                token += 1;
                continue;
            }
            let Some((start, after)) = retry.filter(|(start, _)| *start < text.len()) else { return false };
            retry = Some((start + 1, after));
            (at, token) = (start + 1, after);
        }
    }

    fn fits(&self, token: &GlobToken, byte: u8) -> bool {
        match token {
            GlobToken::One | GlobToken::Many => true,
            GlobToken::Nothing => false,
            GlobToken::Byte(wanted) if self.ignore_case => wanted.eq_ignore_ascii_case(&byte),
            GlobToken::Byte(wanted) => *wanted == byte,
            GlobToken::Set { negated, members } => {
                let inside = |byte: u8| members.iter().any(|range| range.contains(&byte));
                let found = if self.ignore_case {
                    // The C library folds the text and each end of a range to lower case.
                    let low = byte.to_ascii_lowercase();
                    members.iter().any(|range| {
                        (range.start().to_ascii_lowercase()..=range.end().to_ascii_lowercase()).contains(&low)
                    })
                } else {
                    inside(byte)
                };
                found != *negated
            }
        }
    }
}

/// The set after an opening bracket and what follows it; nothing where the bracket is not closed.
fn bracket(pattern: &[u8]) -> Option<(GlobToken, &[u8])> {
    let (negated, mut rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut members = Vec::new();
    let mut first = true;
    loop {
        match rest {
            [b']', after @ ..] if !first => return Some((GlobToken::Set { negated, members }, after)),
            [b'[', b':', tail @ ..] if class(tail).is_some() => {
                let (ranges, after) = class(tail)?;
                members.extend(ranges.iter().cloned());
                rest = after;
            }
            _ => {
                let (low, after) = member(rest)?;
                rest = after;
                match rest {
                    [b'-', next @ ..] if !next.is_empty() && !next.starts_with(b"]") => {
                        let (high, after) = member(next)?;
                        members.push(low..=high);
                        rest = after;
                    }
                    _ => members.push(low..=low),
                }
            }
        }
        first = false;
    }
}

/// One byte of a set: plain, escaped, `[=x=]` or `[.x.]`.
fn member(rest: &[u8]) -> Option<(u8, &[u8])> {
    match rest {
        [b'[', b'=', byte, b'=', b']', after @ ..]
        | [b'[', b'.', byte, b'.', b']', after @ ..]
        | [b'\\', byte, after @ ..]
        | [byte, after @ ..] => Some((*byte, after)),
        [] => None,
    }
}

/// A named class after `[:`, in the C locale.
fn class(rest: &[u8]) -> Option<(&'static [RangeInclusive<u8>], &[u8])> {
    const CLASSES: &[(&[u8], &[RangeInclusive<u8>])] = &[
        (b"alnum:]", &[b'0'..=b'9', b'A'..=b'Z', b'a'..=b'z']),
        (b"alpha:]", &[b'A'..=b'Z', b'a'..=b'z']),
        (b"blank:]", &[b' '..=b' ', b'\t'..=b'\t']),
        (b"cntrl:]", &[0..=31, 127..=127]),
        (b"digit:]", &[b'0'..=b'9']),
        (b"graph:]", &[33..=126]),
        (b"lower:]", &[b'a'..=b'z']),
        (b"print:]", &[32..=126]),
        (b"punct:]", &[33..=47, 58..=64, 91..=96, 123..=126]),
        (b"space:]", &[9..=13, b' '..=b' ']),
        (b"upper:]", &[b'A'..=b'Z']),
        (b"xdigit:]", &[b'0'..=b'9', b'A'..=b'F', b'a'..=b'f']),
    ];
    CLASSES.iter().find_map(|(name, ranges)| rest.strip_prefix(*name).map(|after| (*ranges, after)))
}

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
pub(crate) struct WholeRegex(Regex);

impl WholeRegex {
    pub(crate) fn new(pattern: &str) -> Result<Self, regex::Error> {
        let pattern = &escape_open_braces(pattern);
        // A pattern such as `a)(b` must not become valid by the group around it.
        RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build()?;
        let whole = format!(r"\A(?:{pattern})\z");
        RegexBuilder::new(&whole).size_limit(MAX_REGEX_BYTES).build().map(Self)
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match(sanitize(text).as_bytes())
    }
}

/// *Falco:* a brace that begins no repetition stands for itself (corpus `rules_load-0093`).
fn escape_open_braces(pattern: &str) -> String {
    let mut escaped = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escaped.extend([c].into_iter().chain(chars.next())),
            '{' if !begins_repetition(chars.as_str()) => escaped.push_str("\\{"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Whether `2}`, `2,}` or `2,4}` follows.
fn begins_repetition(rest: &str) -> bool {
    let Some((bounds, _)) = rest.split_once('}') else { return false };
    let (low, high) = bounds.split_once(',').unwrap_or((bounds, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
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

/// Several prefixes at once, by first byte.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes(HashMap<u8, Vec<Box<[u8]>>, FxBuildHasher>, bool);

impl Prefixes {
    pub(crate) fn new(prefixes: Vec<Box<[u8]>>) -> Self {
        let mut by_first: HashMap<u8, Vec<Box<[u8]>>, FxBuildHasher> = HashMap::default();
        let mut everything = false;
        for prefix in prefixes {
            match prefix.first() {
                Some(first) => by_first.entry(*first).or_default().push(prefix),
                None => everything = true,
            }
        }
        Self(by_first, everything)
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let starts = |prefixes: &Vec<Box<[u8]>>| prefixes.iter().any(|prefix| text.starts_with(prefix));
        self.1 || text.first().and_then(|first| self.0.get(first)).is_some_and(starts)
    }
}

/// Several substrings at once.
#[derive(Debug, Clone)]
pub(crate) struct Substrings(AhoCorasick);

impl Substrings {
    pub(crate) fn new(needles: &[Box<[u8]>]) -> Option<Self> {
        // The faster automaton of the library takes ten times the memory.
        AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(needles).ok().map(Self)
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        let glob = Glob::new(pattern.as_bytes(), false);
        for text in matching {
            assert!(glob.matches(text.as_bytes()), "{pattern} must match {text}");
        }
        for text in other {
            assert!(!glob.matches(text.as_bytes()), "{pattern} must not match {text}");
        }
    }

    #[test]
    fn globs_follow_fnmatch() {
        check("/a*/c", &["/a/c", "/ab/x/c"], &["/b/c", "/a/cd"]);
        check("[!a-c]?", &["dx"], &["ax", "d"]);
        check("[]x]", &["]", "x"], &["[", "a"]);
        check("[ab", &["[ab"], &["a"]);
        check(r"\*", &["*"], &["x"]);
        check("[[:digit:]a]", &["7", "a"], &[":", "b"]);
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
