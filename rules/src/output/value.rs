// SPDX-License-Identifier: Apache-2.0
//! One value as text, safe to print: no control characters, always UTF-8.

use std::fmt::Write;

use crate::{EvtField, Field, Value, sanitize};

/// How values are written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ValueStyle {
    /// Bytes in base64 instead of as printable characters.
    pub(crate) base64: bool,
}

/// Appends a value.
pub(super) fn write_value(out: &mut String, value: &Value<'_>, style: ValueStyle) {
    let written = match value {
        Value::Text(text) => {
            out.push_str(&sanitize(text));
            Ok(())
        }
        Value::Bool(value) => write!(out, "{value}"),
        Value::Int(value) => write!(out, "{value}"),
        Value::Uint(value) => write!(out, "{value}"),
        Value::Double(value) => write!(out, "{value:.1}"),
        Value::Ip(value) => write!(out, "{value}"),
        Value::Bytes(bytes) if style.base64 => {
            encode_base64(out, bytes);
            Ok(())
        }
        Value::Bytes(bytes) => {
            out.extend(bytes.iter().map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }));
            Ok(())
        }
        Value::List(values) => {
            out.push('(');
            write_joined(out, values, ",", style);
            out.push(')');
            Ok(())
        }
        Value::Any(values) => {
            write_joined(out, values, " ", style);
            Ok(())
        }
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

/// Appends the value of a field; some numbers are padded.
pub(super) fn write_field_value(out: &mut String, field: Option<Field>, value: &Value<'_>, style: ValueStyle) {
    match (field, value) {
        (
            Some(Field::Evt(EvtField::RawtimeNs | EvtField::ReltimeNs | EvtField::DeltatimeNs)),
            Value::Uint(nanoseconds),
        ) => {
            let written = write!(out, "{nanoseconds:09}");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
        _ => write_value(out, value, style),
    }
}

fn write_joined(out: &mut String, values: &[Value<'_>], separator: &str, style: ValueStyle) {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        write_value(out, value, style);
    }
}

fn encode_base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let mut padded = group.iter().copied().chain([0, 0]);
        let bits = (0..3).fold(0_usize, |bits, _| bits << 8 | usize::from(padded.next().unwrap_or(0)));
        for place in 0..4 {
            let digit = DIGITS.get(bits >> (18 - 6 * place) & 63).copied().unwrap_or(b'=');
            out.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[track_caller]
    fn check(value: &Value<'_>, base64: bool, expected: &str) {
        let mut out = String::new();
        write_value(&mut out, value, ValueStyle { base64 });
        assert_eq!(out, expected);
    }

    #[test]
    fn bytes_are_printable_or_base64() {
        for (bytes, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            check(&Value::Bytes(Cow::Borrowed(bytes.as_bytes())), true, encoded);
        }
        check(&Value::Bytes(Cow::Borrowed(b"a\x1b\xff\n")), false, "a...");
    }

    #[test]
    fn text_cannot_carry_escape_sequences() {
        check(&Value::text(b"a\x1b[31m\n\xc3"), false, "a\u{fffd}[31m\u{fffd}\u{fffd}");
        check(&Value::List(vec![Value::text(b"a"), Value::text(b"b")]), false, "(a,b)");
        check(&Value::Any(vec![Value::text(b"a"), Value::text(b"b")]), false, "a b");
    }
}
