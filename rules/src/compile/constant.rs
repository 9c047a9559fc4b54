// SPDX-License-Identifier: Apache-2.0
//! Constants of conditions: text read as the type of the field it is compared with.

use std::ops::Range;

use super::Problem;
use crate::{Type, condition::ast::Literal};

/// Bytes of a string constant, also in hexadecimal form; *Falco:* its buffer has 256.
const MAX_CONSTANT_BYTES: usize = 255;

/// A string of allowed length.
pub(super) fn text(literal: &Literal) -> Result<Box<[u8]>, Problem> {
    if literal.text.len() > MAX_CONSTANT_BYTES {
        let message = format!("constant is longer than {MAX_CONSTANT_BYTES} bytes");
        return Err(Problem::new(message, &literal.span.0));
    }
    Ok(literal.text.as_bytes().into())
}

/// Hexadecimal digits, two for each byte.
pub(super) fn hexadecimal(literal: &Literal) -> Result<Box<[u8]>, Problem> {
    let digits = text(literal)?;
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
            _ => None,
        })
        .collect();
    match bytes {
        Some(bytes) if !bytes.is_empty() => Ok(bytes.into()),
        _ => Err(invalid(literal, "a string of hexadecimal digit pairs")),
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// An integer within the range of the type.
#[expect(clippy::wildcard_enum_match_arm, reason = "times have the range of the largest unsigned integer")]
pub(super) fn integer(literal: &Literal, value_type: Type) -> Result<i128, Problem> {
    let range = match value_type {
        Type::Int16 => i128::from(i16::MIN)..i128::from(i16::MAX) + 1,
        Type::Int32 => i128::from(i32::MIN)..i128::from(i32::MAX) + 1,
        Type::Int64 => i128::from(i64::MIN)..i128::from(i64::MAX) + 1,
        Type::Uint32 => 0..i128::from(u32::MAX) + 1,
        _ => 0..i128::from(u64::MAX) + 1,
    };
    parse_integer(&literal.text).filter(|value| range.contains(value)).ok_or_else(|| {
        let signed = if range.start < 0 { "a signed" } else { "an unsigned" };
        invalid(literal, &format!("{signed} integer of the field's size"))
    })
}

fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => i128::from_str_radix(hex, 16).ok()?,
        Some(_) => return None,
        None => digits.parse().ok()?,
    };
    Some(if negative { -value } else { value })
}

/// *Falco:* constants of floating-point fields are integers in practice.
pub(super) fn double(literal: &Literal) -> Result<f64, Problem> {
    let value = parse_integer(&literal.text).and_then(|value| i32::try_from(value).ok());
    value.map(f64::from).ok_or_else(|| invalid(literal, "an integer"))
}

pub(super) fn boolean(literal: &Literal) -> Result<bool, Problem> {
    match literal.text.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(literal, "`true` or `false`")),
    }
}

pub(super) fn invalid(literal: &Literal, expected: &str) -> Problem {
    Problem::new(format!("'{}' is not {expected}", literal.text), span(literal))
}

pub(super) fn span(literal: &Literal) -> &Range<usize> {
    &literal.span.0
}
