// SPDX-License-Identifier: Apache-2.0
//! Globs as in fnmatch(3): parts between stars, each of a fixed length.

use std::ops::RangeInclusive;

/// A shell pattern as fnmatch(3) with flags 0 reads it: `*` also matches `/` and leading dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    first: Segment,
    /// What follows each `*`.
    rest: Vec<Segment>,
    ignore_case: bool,
}

/// A part of a pattern without `*`: it matches a fixed number of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Vec<u8>),
    Tokens(Vec<GlobToken>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum GlobToken {
    Byte(u8),
    One,
    Set {
        negated: bool,
        members: Vec<RangeInclusive<u8>>,
    },
    /// A backslash at the end of the pattern.
    Nothing,
}

impl Glob {
    pub(crate) fn new(pattern: &[u8], ignore_case: bool) -> Self {
        let (mut tokens, mut segments) = (Vec::new(), Vec::new());
        let mut rest = pattern;
        while let [first, tail @ ..] = rest {
            rest = tail;
            tokens.push(match first {
                b'?' => GlobToken::One,
                b'*' => {
                    segments.push(Segment::new(std::mem::take(&mut tokens), ignore_case));
                    continue;
                }
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
        segments.push(Segment::new(tokens, ignore_case));
        let first = segments.remove(0);
        Self { first, rest: segments, ignore_case }
    }

    /// Whether the whole text matches; never worse than text times pattern.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let Some((last, middle)) = self.rest.split_last() else {
            return text.len() == self.first.len() && self.first.fits(text, self.ignore_case);
        };
        let Some(between) = text.len().checked_sub(last.len()).and_then(|end| text.get(self.first.len()..end)) else {
            return false;
        };
        let end = text.get(text.len() - last.len()..).unwrap_or_default();
        if !self.first.fits(text, self.ignore_case) || !last.fits(end, self.ignore_case) {
            return false;
        }
        // The leftmost place of each leaves most to those after it.
        let mut left = between;
        middle.iter().all(|segment| match segment.find(left, self.ignore_case) {
            Some(at) => {
                left = left.get(at + segment.len()..).unwrap_or_default();
                true
            }
            None => false,
        })
    }

    /// Texts that every match has, and where; none if case does not matter.
    pub(crate) fn literals(&self) -> Vec<GlobLiteral> {
        if self.ignore_case {
            return Vec::new();
        }
        let whole = |segment: &Segment| match segment {
            Segment::Literal(text) => Some(text.clone()),
            Segment::Tokens(_) => None,
        };
        let Some((last, middle)) = self.rest.split_last() else {
            let whole = whole(&self.first).map(GlobLiteral::Whole);
            return vec![whole.unwrap_or_else(|| GlobLiteral::Part(self.first.longest_run()))];
        };
        let parts = [&self.first, last].into_iter().filter(|segment| whole(segment).is_none()).chain(middle);
        let ends = [whole(&self.first).map(GlobLiteral::Start), whole(last).map(GlobLiteral::End)];
        parts.map(|segment| GlobLiteral::Part(segment.longest_run())).chain(ends.into_iter().flatten()).collect()
    }
}

fn longest_run(tokens: &[GlobToken]) -> Vec<u8> {
    let byte = |token: &GlobToken| if let GlobToken::Byte(byte) = token { Some(*byte) } else { None };
    let runs = tokens.split(|token| byte(token).is_none());
    runs.max_by_key(|run| run.len()).into_iter().flatten().filter_map(byte).collect()
}

impl Segment {
    /// The longest part without special characters.
    fn longest_run(&self) -> Vec<u8> {
        match self {
            Self::Literal(text) => text.clone(),
            Self::Tokens(tokens) => longest_run(tokens),
        }
    }

    fn new(tokens: Vec<GlobToken>, ignore_case: bool) -> Self {
        let text = longest_run(&tokens);
        if text.len() == tokens.len() && !ignore_case { Self::Literal(text) } else { Self::Tokens(tokens) }
    }

    fn len(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Tokens(tokens) => tokens.len(),
        }
    }

    /// Whether the text begins with it.
    fn fits(&self, text: &[u8], ignore_case: bool) -> bool {
        match self {
            Self::Literal(literal) => text.starts_with(literal),
            Self::Tokens(tokens) => {
                tokens.len() <= text.len()
                    && tokens.iter().zip(text).all(|(token, byte)| token.fits(*byte, ignore_case))
            }
        }
    }

    /// The first place where it fits.
    fn find(&self, text: &[u8], ignore_case: bool) -> Option<usize> {
        match self {
            Self::Literal(literal) => memchr::memmem::find(text, literal),
            Self::Tokens(tokens) => (0..=text.len().checked_sub(tokens.len())?)
                .find(|at| text.get(*at..).is_some_and(|rest| self.fits(rest, ignore_case))),
        }
    }
}

impl GlobToken {
    fn fits(&self, byte: u8, ignore_case: bool) -> bool {
        match self {
            Self::One => true,
            Self::Nothing => false,
            Self::Byte(wanted) if ignore_case => wanted.eq_ignore_ascii_case(&byte),
            Self::Byte(wanted) => *wanted == byte,
            Self::Set { negated, members } => {
                let found = if ignore_case {
                    // The C library folds the text and each end of a range to lower case.
                    let low = byte.to_ascii_lowercase();
                    members.iter().any(|range| {
                        (range.start().to_ascii_lowercase()..=range.end().to_ascii_lowercase()).contains(&low)
                    })
                } else {
                    members.iter().any(|range| range.contains(&byte))
                };
                found != *negated
            }
        }
    }
}

/// A text without special characters that a pattern contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GlobLiteral {
    Whole(Vec<u8>),
    Start(Vec<u8>),
    End(Vec<u8>),
    Part(Vec<u8>),
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
    fn every_match_of_a_pattern_has_its_literals() {
        use GlobLiteral::{End, Part, Start, Whole};
        let text = |text: &str| text.as_bytes().to_vec();
        for (pattern, expected) in [
            ("/etc/passwd", vec![Whole(text("/etc/passwd"))]),
            ("/etc/?b", vec![Part(text("/etc/"))]),
            ("/etc/*", vec![Start(text("/etc/")), End(text(""))]),
            ("*/a/?.conf", vec![Part(text(".conf")), Start(text(""))]),
            ("/*/secrets/*[ab]", vec![Part(text("")), Part(text("/secrets/")), Start(text("/"))]),
            (r"a\*b*", vec![Start(text("a*b")), End(text(""))]),
        ] {
            assert_eq!(Glob::new(pattern.as_bytes(), false).literals(), expected, "{pattern}");
        }
        assert_eq!(Glob::new(b"abc", true).literals(), []);
    }
}
