// SPDX-License-Identifier: Apache-2.0
//! Transformers: functions on values, checked when a rule is loaded and computed when its condition or output asks.

use std::borrow::Cow;

use super::{compare::number, operand::Extractor};
use crate::{Event, Value};

/// A checked transformer call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    Tolower(Extractor),
    Toupper(Extractor),
    B64(Extractor),
    Basename(Extractor),
    Len(Extractor),
    Join { separator: Extractor, items: Items },
    Concat(Vec<Extractor>),
    Getopt { arguments: Items, options: Extractor, selector: Option<u8> },
}

/// A list: written out, or the value of a list field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Items {
    Written(Vec<Extractor>),
    Field(Extractor),
}

impl Function {
    /// The result; absent if any part is absent.
    pub(crate) fn call<'e>(&'e self, event: &'e dyn Event) -> Option<Value<'e>> {
        match self {
            Self::Tolower(input) => map_text(input.extract(event)?, &|text| Some(text.to_ascii_lowercase())),
            Self::Toupper(input) => map_text(input.extract(event)?, &|text| Some(text.to_ascii_uppercase())),
            Self::B64(input) => map_text(input.extract(event)?, &decode_base64),
            Self::Basename(input) => map_text(input.extract(event)?, &|text| Some(basename(text).to_vec())),
            Self::Len(input) => length(&input.extract(event)?),
            Self::Join { separator, items } => {
                let separator = rendered(&separator.extract(event)?)?;
                let items = items.rendered(event)?;
                Some(Value::Text(Cow::Owned(items.join(&*separator))))
            }
            Self::Concat(parts) => {
                let parts: Option<Vec<_>> = parts.iter().map(|part| rendered(&part.extract(event)?)).collect();
                Some(Value::Text(Cow::Owned(parts?.concat())))
            }
            Self::Getopt { arguments, options, selector } => {
                let arguments = arguments.rendered(event)?;
                let options = rendered(&options.extract(event)?)?;
                let found = getopt(&arguments, &options);
                match selector {
                    None => Some(Value::List(found.into_iter().flat_map(Found::into_values).collect())),
                    Some(letter) => {
                        found.into_iter().rev().find(|found| found.letter == *letter).map(Found::into_selected)
                    }
                }
            }
        }
    }
}

impl Items {
    fn rendered(&self, event: &dyn Event) -> Option<Vec<Vec<u8>>> {
        match self {
            Self::Written(items) => items.iter().map(|item| rendered(&item.extract(event)?)).collect(),
            Self::Field(field) => {
                let value = field.extract(event)?;
                if let Value::List(values) = &value {
                    return values.iter().map(rendered).collect();
                }
                // The arguments of a process come as one text.
                let text = rendered(&value)?;
                Some(text.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect())
            }
        }
    }
}

/// A value as text, for `join` and `concat`.
fn rendered(value: &Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Text(text) | Value::Bytes(text) => Some(text.to_vec()),
        Value::Bool(value) => Some(value.to_string().into_bytes()),
        Value::Double(value) => Some(value.to_string().into_bytes()),
        Value::Ip(value) => Some(value.to_string().into_bytes()),
        Value::Int(_) | Value::Uint(_) => number(value).map(|value| value.to_string().into_bytes()),
        Value::List(_) | Value::Any(_) => None,
    }
}

/// Applies a function to text, bytes, or each element of a list.
fn map_text<'e>(value: Value<'e>, function: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Value<'e>> {
    match value {
        Value::Text(text) => function(&text).map(|text| Value::Text(Cow::Owned(text))),
        Value::Bytes(bytes) => function(&bytes).map(|bytes| Value::Bytes(Cow::Owned(bytes))),
        Value::List(values) => {
            let mapped: Option<Vec<_>> = values.into_iter().map(|value| map_text(value, function)).collect();
            mapped.map(Value::List)
        }
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Ip(_) | Value::Any(_) => None,
    }
}

fn basename(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn length<'e>(value: &Value<'_>) -> Option<Value<'e>> {
    let length = match value {
        Value::Text(text) | Value::Bytes(text) => text.len(),
        Value::List(values) => values.len(),
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Ip(_) | Value::Any(_) => {
            return None;
        }
    };
    u64::try_from(length).ok().map(Value::Uint)
}

/// Decodes base64 with or without padding.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut decoded = Vec::with_capacity(body.len() / 4 * 3 + 2);
    for group in body.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | base64_digit(*byte)?;
        }
        let missing = 4 - group.len();
        if missing == 3 {
            return None;
        }
        let [_, bytes @ ..] = (bits << (6 * missing)).to_be_bytes();
        decoded.extend(bytes.iter().take(3 - missing));
    }
    Some(decoded)
}

fn base64_digit(byte: u8) -> Option<u32> {
    let digit = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(digit))
}

/// One option that `getopt` came across.
struct Found {
    letter: u8,
    /// Whether the letter itself is a result; *Falco:* it is not where its argument is missing.
    shown: bool,
    argument: Option<Vec<u8>>,
}

impl Found {
    fn into_values<'e>(self) -> impl Iterator<Item = Value<'e>> {
        let letter = self.shown.then(|| vec![self.letter]);
        letter.into_iter().chain(self.argument).map(|text| Value::Text(Cow::Owned(text)))
    }

    /// The argument, or the letter of an option that takes none.
    fn into_selected<'e>(self) -> Value<'e> {
        Value::Text(Cow::Owned(self.argument.unwrap_or_else(|| vec![self.letter])))
    }
}

/// Scans short options as getopt(3) does, but passes over words that begin with `--`.
fn getopt(arguments: &[Vec<u8>], options: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let cluster = match word.as_slice() {
            b"--" | b"-" => break,
            [b'-', b'-', ..] => continue,
            [b'-', cluster @ ..] => cluster,
            _ => break,
        };
        let mut rest = cluster;
        while let [letter, after @ ..] = rest {
            rest = after;
            match takes_argument(options, *letter) {
                None => found.push(Found { letter: b'?', shown: true, argument: None }),
                Some(false) => found.push(Found { letter: *letter, shown: true, argument: None }),
                Some(true) => {
                    let argument = if after.is_empty() { words.next().cloned() } else { Some(after.to_vec()) };
                    let shown = argument.is_some();
                    found.push(Found { letter: *letter, shown, argument: Some(argument.unwrap_or_default()) });
                    break;
                }
            }
        }
    }
    found
}

/// Whether an option is known and takes an argument.
fn takes_argument(options: &[u8], letter: u8) -> Option<bool> {
    let at = options.iter().position(|option| *option == letter && letter != b':')?;
    Some(options.get(at + 1) == Some(&b':'))
}
