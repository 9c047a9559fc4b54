// SPDX-License-Identifier: Apache-2.0
//! Tokens of conditions: what may stand next depends on the place, so the parser asks for one kind of token at a time.

use std::ops::Range;

/// Blanks between tokens. *Falco:* the backspace is one of them.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{8}' | '\r' | '\n')
}

/// What `[[:space:]]` stands for: nothing beyond ASCII.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ')
}

/// Why a quoted string cannot be read.
pub(super) enum QuoteError {
    Unterminated,
    /// The other quote escaped.
    Escape,
    UnsupportedEscape(char),
}

/// A cursor over the text of a condition.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// The last token, for messages that name it.
    last: Range<usize>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, last: 0..0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn go_back(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn last_token(&self) -> &'a str {
        self.text.get(self.last.clone()).unwrap_or_default()
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips blanks and says whether there were any.
    pub(super) fn blank(&mut self) -> bool {
        let length = self.rest().len() - self.rest().trim_start_matches(is_blank).len();
        self.at += length;
        length > 0
    }

    /// Takes exactly this text.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.advance(token.len());
        }
        found
    }

    /// Takes a word that a blank follows, but not the blank.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.rest().strip_prefix(word).is_some_and(|rest| rest.starts_with(is_blank));
        if found {
            self.advance(word.len());
        }
        found
    }

    /// `not[[:space:]]+`. *Falco:* the backspace is no blank here.
    pub(super) fn take_not(&mut self) -> bool {
        let Some(rest) = self.rest().strip_prefix("not").filter(|rest| rest.starts_with(is_space)) else {
            return false;
        };
        let length = self.rest().len() - rest.trim_start_matches(is_space).len();
        self.advance(length);
        true
    }

    /// `[a-zA-Z]+[a-zA-Z0-9_]*`.
    pub(super) fn identifier(&mut self) -> Option<&'a str> {
        let length = identifier_length(self.rest());
        self.token(length)
    }

    /// Two or more identifiers joined by dots.
    pub(super) fn field_name(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let mut length = identifier_length(rest);
        let mut parts = 1;
        while let Some(after_dot) = rest.get(length..).and_then(|rest| rest.strip_prefix('.')) {
            match identifier_length(after_dot) {
                0 => break,
                part => length += 1 + part,
            }
            parts += 1;
        }
        if parts < 2 || rest.starts_with('.') { None } else { self.token(length) }
    }

    /// `[^]["'\s]+`, the text in brackets.
    pub(super) fn field_argument(&mut self) -> Option<&'a str> {
        self.token_while(|c| !matches!(c, ']' | '[' | '"' | '\'') && !is_space(c))
    }

    /// `[^()"'\s=,]+`, a string without quotes.
    pub(super) fn bare_string(&mut self) -> Option<&'a str> {
        self.token_while(|c| !matches!(c, '(' | ')' | '"' | '\'' | '=' | ',') && !is_space(c))
    }

    /// A hexadecimal or decimal number.
    pub(super) fn number(&mut self) -> Option<&'a str> {
        let length = number_length(self.rest());
        self.token(length)
    }

    /// A string in quotes with its escapes decoded; nothing where no quote stands.
    ///
    /// *Falco:* the string ends at the first quote that no backslash precedes, even an escaped one.
    pub(super) fn quoted(&mut self) -> Option<Result<String, QuoteError>> {
        let rest = self.rest();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let inner = rest.get(1..)?;
        let mut before = quote;
        let end = inner.find(|c| {
            let ends = c == quote && before != '\\';
            before = c;
            ends
        });
        let Some(end) = end else { return Some(Err(QuoteError::Unterminated)) };
        let decoded = unescape_all(inner.get(..end)?, quote);
        if decoded.is_ok() {
            self.advance(end + 2);
        }
        Some(decoded)
    }

    fn token_while(&mut self, belongs: impl Fn(char) -> bool) -> Option<&'a str> {
        let rest = self.rest();
        self.token(rest.find(|c| !belongs(c)).unwrap_or(rest.len()))
    }

    fn token(&mut self, length: usize) -> Option<&'a str> {
        let token = self.rest().get(..length).filter(|token| !token.is_empty())?;
        self.advance(length);
        Some(token)
    }

    fn advance(&mut self, length: usize) {
        self.last = self.at..self.at + length;
        self.at += length;
    }
}

fn unescape_all(text: &str, quote: char) -> Result<String, QuoteError> {
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(escaped)) => {
                value.push(unescape(escaped, quote)?);
                chars.next();
            }
            _ => value.push(c),
        }
    }
    Ok(value)
}

/// *Falco:* a backslash and a blank are a backslash.
fn unescape(escaped: char, quote: char) -> Result<char, QuoteError> {
    match escaped {
        'b' => Ok('\u{8}'),
        'f' => Ok('\u{c}'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        '\\' | '/' => Ok(escaped),
        '"' | '\'' if escaped == quote => Ok(escaped),
        '"' | '\'' => Err(QuoteError::Escape),
        ' ' => Ok('\\'),
        _ => Err(QuoteError::UnsupportedEscape(escaped)),
    }
}

fn identifier_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// `0[xX][0-9a-fA-F]+` or `[+-]?[0-9]+[.]?[0-9]*([eE][+-][0-9]+)?`.
fn number_length(text: &str) -> usize {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = |at: usize| text.get(at..).unwrap_or_default();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let length = hex.len() - hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
        if length > 0 {
            return 2 + length;
        }
    }
    let sign = usize::from(text.starts_with(['+', '-']));
    let whole = digits(rest(sign));
    if whole == 0 {
        return 0;
    }
    let mut length = sign + whole;
    if rest(length).starts_with('.') {
        length += 1 + digits(rest(length + 1));
    }
    let exponent =
        rest(length).strip_prefix(['e', 'E']).and_then(|rest| rest.strip_prefix(['+', '-'])).map_or(0, digits);
    if exponent > 0 { length + 2 + exponent } else { length }
}
