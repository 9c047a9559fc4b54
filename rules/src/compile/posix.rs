// SPDX-License-Identifier: Apache-2.0
//! Regular expressions in RE2's POSIX syntax, rewritten for the `regex` library, which reads parts of it otherwise.
//!
//! *Falco:* the syntax has neither Perl's classes and assertions (`\d`, `\b`, `\A`) nor groups with flags (`(?i)`);
//! repetitions stack, `^` and `$` stand for the ends of lines, and a dot for any character but the end of a line
//! (RE2's `parse.cc` without the flags `PerlX`, `PerlClasses`, `PerlB`, `UnicodeGroups` and `OneLine`).

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegexError {
    #[error("invalid escape sequence `{0}`")]
    Escape(String),
    #[error("backslash at the end")]
    TrailingBackslash,
    #[error("invalid character class `{0}`")]
    Class(String),
    #[error("invalid range `{0}`")]
    Range(String),
    #[error("a bracket is not closed")]
    OpenBracket,
    #[error("a parenthesis is not closed")]
    OpenParenthesis,
    #[error("a parenthesis is not opened")]
    CloseParenthesis,
    #[error("nothing is repeated by `{0}`")]
    NothingRepeated(String),
    #[error("`{0}` has its bounds in the wrong order")]
    Bounds(String),
    #[error("repetition of more than {MAX_COPIES} copies by `{0}`")]
    TooManyCopies(String),
    /// The library refuses it, for its size.
    #[error("{0}")]
    Library(String),
}

impl RegexError {
    /// What to write instead.
    pub(super) fn help(&self) -> Option<String> {
        if matches!(self, Self::NothingRepeated(operator) if operator == "?") {
            return Some("POSIX syntax has no groups that begin with `(?`".to_owned());
        }
        let Self::Escape(escape) = self else { return None };
        let instead = match escape.as_str() {
            r"\d" => "[0-9]",
            r"\D" => "[^0-9]",
            r"\w" => "[[:word:]]",
            r"\W" => "[^[:word:]]",
            r"\s" => "[[:space:]]",
            r"\S" => "[^[:space:]]",
            r"\A" | r"\z" => return Some("leave it out: the whole value has to match anyway".to_owned()),
            _ => return None,
        };
        Some(format!("expressions have POSIX syntax: write `{instead}`"))
    }
}

/// *Falco:* copies of a part, through all repetitions around it.
const MAX_COPIES: u32 = 1_000;

/// All characters beyond ASCII as RE2 compiles them: the first byte tells the length, and what follows may be overlong.
const BEYOND_ASCII: &str =
    r"(?-u:[\xC2-\xDF][\x80-\xBF]|[\xE0-\xEF][\x80-\xBF][\x80-\xBF]|[\xF0-\xF4][\x80-\xBF][\x80-\xBF][\x80-\xBF])";

/// Rewrites an expression; to be compiled with `multi_line`.
pub(super) fn translate(pattern: &str) -> Result<String, RegexError> {
    let mut translator = Translator { rest: pattern, out: String::new(), groups: Vec::new(), last: None, copies: 1 };
    while let Some(c) = translator.next() {
        translator.token(c)?;
    }
    if translator.groups.is_empty() { Ok(translator.out) } else { Err(RegexError::OpenParenthesis) }
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
    /// The groups that are open.
    groups: Vec<Group>,
    /// What a repetition would repeat.
    last: Option<Part>,
    /// Most copies of a part of the group that is read.
    copies: u32,
}

struct Group {
    start: usize,
    /// Most copies of a part before the group.
    copies: u32,
}

struct Part {
    start: usize,
    copies: u32,
    repetition: Repetition,
}

/// What repeats a part so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repetition {
    None,
    /// `*`, `+` or `?`, the last byte that was written.
    Operator(char),
    Counted,
}

impl<'a> Translator<'a> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// Rewrites what begins with this character.
    fn token(&mut self, c: char) -> Result<(), RegexError> {
        match c {
            '(' => {
                self.groups.push(Group { start: self.out.len(), copies: self.copies });
                (self.copies, self.last) = (1, None);
                self.out.push_str("(?:");
            }
            ')' => {
                let group = self.groups.pop().ok_or(RegexError::CloseParenthesis)?;
                let part = Part { start: group.start, copies: self.copies, repetition: Repetition::None };
                self.copies = self.copies.max(group.copies);
                self.out.push(')');
                self.last = Some(part);
            }
            '|' => {
                self.last = None;
                self.out.push('|');
            }
            '*' | '+' | '?' => self.repeat(c)?,
            '{' => match self.bounds() {
                Some(bounds) => self.repeat_counted(&bounds)?,
                None => self.character('{'),
            },
            '^' | '$' => {
                self.begin_part();
                self.out.push(c);
            }
            '.' => {
                let mut newline = Class::default();
                newline.add('\n', '\n');
                self.class(&newline, true);
            }
            '[' => {
                let negated = self.rest.starts_with('^');
                let class = self.read_class(negated)?;
                self.class(&class, negated);
            }
            '\\' => {
                let character = self.escape()?;
                self.character(character);
            }
            _ => self.character(c),
        }
        Ok(())
    }

    fn begin_part(&mut self) {
        self.last = Some(Part { start: self.out.len(), copies: 1, repetition: Repetition::None });
    }

    fn character(&mut self, c: char) {
        self.begin_part();
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    /// *Falco:* repetitions of repetitions are allowed; two different operators are a star.
    fn repeat(&mut self, operator: char) -> Result<(), RegexError> {
        let Some(part) = &mut self.last else { return Err(RegexError::NothingRepeated(operator.into())) };
        if let Repetition::Operator(before) = part.repetition {
            if before != operator {
                self.out.pop();
                self.out.push('*');
                part.repetition = Repetition::Operator('*');
            }
            return Ok(());
        }
        if part.repetition == Repetition::Counted {
            wrap(&mut self.out, part.start);
        }
        part.repetition = Repetition::Operator(operator);
        self.out.push(operator);
        Ok(())
    }

    fn repeat_counted(&mut self, bounds: &Bounds<'_>) -> Result<(), RegexError> {
        let shown = || format!("{{{}}}", bounds.text);
        let most = bounds.high.unwrap_or(bounds.low).max(bounds.low);
        if most > MAX_COPIES {
            return Err(RegexError::TooManyCopies(shown()));
        }
        if bounds.high.is_some_and(|high| high < bounds.low) {
            return Err(RegexError::Bounds(shown()));
        }
        let Some(part) = &mut self.last else { return Err(RegexError::NothingRepeated(shown())) };
        part.copies *= bounds.high.unwrap_or(bounds.low).max(1);
        if part.copies > MAX_COPIES {
            return Err(RegexError::TooManyCopies(shown()));
        }
        self.copies = self.copies.max(part.copies);
        if part.repetition != Repetition::None {
            wrap(&mut self.out, part.start);
        }
        part.repetition = Repetition::Counted;
        self.out.push_str(&shown());
        Ok(())
    }

    /// Takes `2}`, `2,}` or `2,4}`. *Falco:* a brace before anything else stands for itself (corpus `rules_load-0093`).
    fn bounds(&mut self) -> Option<Bounds<'a>> {
        let (text, rest) = self.rest.split_once('}')?;
        let (low, high) = match text.split_once(',') {
            None => (bound(text)?, Some(bound(text)?)),
            Some((low, "")) => (bound(low)?, None),
            Some((low, high)) => (bound(low)?, Some(bound(high)?)),
        };
        self.rest = rest;
        Some(Bounds { text, low, high })
    }

    /// Reads the character that the text behind a backslash stands for.
    fn escape(&mut self) -> Result<char, RegexError> {
        let rest = self.rest;
        let c = self.next().ok_or(RegexError::TrailingBackslash)?;
        let code = match c {
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => return Ok(c),
            'a' => 0x07,
            'f' => 0x0C,
            'n' => 0x0A,
            'r' => 0x0D,
            't' => 0x09,
            'v' => 0x0B,
            'x' => return self.hexadecimal(rest),
            // A single digit would refer to a group.
            '1'..='7' if !self.rest.starts_with(is_octal) => return Err(escape_error(rest, self.rest)),
            '0'..='7' => {
                let digits = rest.len() - rest.trim_start_matches(is_octal).len();
                let (digits, after) = rest.split_at(digits.min(3));
                self.rest = after;
                u32::from_str_radix(digits, 8).unwrap_or_default()
            }
            _ => return Err(escape_error(rest, self.rest)),
        };
        char::from_u32(code).ok_or_else(|| escape_error(rest, self.rest))
    }

    /// `x41` or `x{41}`.
    fn hexadecimal(&mut self, escape: &str) -> Result<char, RegexError> {
        let (digits, rest) = match self.rest.strip_prefix('{') {
            Some(braced) => braced.split_once('}').unwrap_or((braced, "")),
            None => self.rest.split_at(self.rest.char_indices().nth(2).map_or(self.rest.len(), |(at, _)| at)),
        };
        let short = !self.rest.starts_with('{') && digits.len() != 2;
        let closed = self.rest.contains('}') || !self.rest.starts_with('{');
        self.rest = rest;
        let valid = closed && !short && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, 16).ok().filter(|_| valid);
        code.and_then(char::from_u32).ok_or_else(|| escape_error(escape, rest))
    }

    /// Reads a class up to its closing bracket.
    fn read_class(&mut self, negated: bool) -> Result<Class, RegexError> {
        let mut class = Class::default();
        self.rest = self.rest.get(usize::from(negated)..).unwrap_or_default();
        let mut first = true;
        loop {
            let range = self.rest;
            match range.chars().next() {
                None => return Err(RegexError::OpenBracket),
                Some(']') if !first => break,
                // *Falco:* a hyphen stands for itself only as the first or the last character.
                Some('-') if !first && !range.starts_with("-]") => {
                    return Err(RegexError::Range(range.chars().take(2).collect()));
                }
                Some(_) => {}
            }
            first = false;
            if let Some((name, rest)) = named_class(range) {
                class.add_named(name)?;
                self.rest = rest;
                continue;
            }
            let low = self.class_character()?;
            let mut high = low;
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
                self.next();
                high = self.class_character()?;
            }
            if high < low {
                return Err(RegexError::Range(taken(range, self.rest).to_owned()));
            }
            class.add(low, high);
        }
        self.next();
        Ok(class)
    }

    fn class_character(&mut self) -> Result<char, RegexError> {
        match self.next() {
            None => Err(RegexError::OpenBracket),
            Some('\\') => self.escape(),
            Some(c) => Ok(c),
        }
    }

    fn class(&mut self, class: &Class, negated: bool) {
        self.begin_part();
        class.write(negated, &mut self.out);
    }
}

/// Counts in braces.
struct Bounds<'a> {
    text: &'a str,
    low: u32,
    /// Nothing where there is no upper bound.
    high: Option<u32>,
}

/// *Falco:* a number with a leading zero is none.
fn bound(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && text.len() < 10 && (text.len() == 1 || !text.starts_with('0'))).then(|| text.parse().ok())?
}

/// Makes one part of what was written from `start` on.
fn wrap(out: &mut String, start: usize) {
    out.insert_str(start, "(?:");
    out.push(')');
}

fn is_octal(c: char) -> bool {
    matches!(c, '0'..='7')
}

/// What stands before `rest`, which ends the text.
fn taken<'t>(text: &'t str, rest: &str) -> &'t str {
    text.get(..text.len() - rest.len()).unwrap_or(text)
}

fn escape_error(escape: &str, rest: &str) -> RegexError {
    RegexError::Escape(format!("\\{}", taken(escape, rest)))
}

/// `[:alpha:]` and what follows it.
fn named_class(text: &str) -> Option<(&str, &str)> {
    let length = text.strip_prefix("[:")?.find(":]")? + 4;
    text.split_at_checked(length)
}

/// The characters in brackets: ASCII as bits, the others as ranges.
#[derive(Default)]
struct Class {
    ascii: u128,
    ranges: Vec<(char, char)>,
    /// Everything beyond ASCII.
    beyond: bool,
}

impl Class {
    fn add(&mut self, low: char, high: char) {
        self.ascii |= (0..128_u8).filter(|byte| (low..=high).contains(&char::from(*byte))).map(bit).sum::<u128>();
        if !high.is_ascii() {
            self.ranges.push((low.max('\u{80}'), high));
        }
    }

    fn add_named(&mut self, class: &str) -> Result<(), RegexError> {
        let name = class.strip_prefix("[:").and_then(|name| name.strip_suffix(":]")).unwrap_or_default();
        let (negated, name) = name.strip_prefix('^').map_or((false, name), |name| (true, name));
        let holds: fn(&u8) -> bool = match name {
            "alnum" => u8::is_ascii_alphanumeric,
            "alpha" => u8::is_ascii_alphabetic,
            "ascii" => u8::is_ascii,
            "blank" => |byte| matches!(byte, b' ' | b'\t'),
            "cntrl" => u8::is_ascii_control,
            "digit" => u8::is_ascii_digit,
            "graph" => u8::is_ascii_graphic,
            "lower" => u8::is_ascii_lowercase,
            "print" => |byte| matches!(byte, b' '..=b'~'),
            "punct" => u8::is_ascii_punctuation,
            "space" => |byte| matches!(byte, b'\t'..=b'\r' | b' '),
            "upper" => u8::is_ascii_uppercase,
            "word" => |byte| byte.is_ascii_alphanumeric() || *byte == b'_',
            "xdigit" => u8::is_ascii_hexdigit,
            _ => return Err(RegexError::Class(class.to_owned())),
        };
        self.ascii |= (0..128_u8).filter(|byte| holds(byte) != negated).map(bit).sum::<u128>();
        self.beyond |= negated;
        Ok(())
    }

    fn write(&self, negated: bool, out: &mut String) {
        let ascii = if negated { !self.ascii } else { self.ascii };
        let all_beyond = if negated { !self.beyond && self.ranges.is_empty() } else { self.beyond };
        out.push_str(if all_beyond { "(?:[" } else { "[" });
        for byte in (0..128_u8).filter(|byte| ascii & bit(*byte) != 0) {
            write_character(char::from(byte), out);
        }
        if !all_beyond && !self.beyond {
            self.write_ranges(negated, out);
        }
        if ascii == 0 && (all_beyond || self.beyond || self.ranges.is_empty()) {
            // No character at all.
            out.push_str(r"^\x00-\x{10FFFF}");
        }
        out.push(']');
        if all_beyond {
            out.push('|');
            out.push_str(BEYOND_ASCII);
            out.push(')');
        }
    }

    fn write_ranges(&self, negated: bool, out: &mut String) {
        if negated {
            out.push_str(r"[^\x00-\x7F");
        }
        for (low, high) in &self.ranges {
            write_character(*low, out);
            out.push('-');
            write_character(*high, out);
        }
        if negated {
            out.push(']');
        }
    }
}

fn bit(byte: u8) -> u128 {
    1 << byte
}

fn write_character(c: char, out: &mut String) {
    out.extend(c.escape_unicode());
}
