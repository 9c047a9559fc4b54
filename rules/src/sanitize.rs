// SPDX-License-Identifier: Apache-2.0
//! Bytes from a container to text that is safe to print: valid UTF-8 without control characters.

use std::borrow::Cow;

/// Replaces each control character, non-character and maximal invalid sequence by U+FFFD.
pub fn sanitize(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes)
        && (is_plain(bytes) || !text.contains(is_unsafe))
    {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let replaced = chunk.valid().chars().map(|c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c });
        safe.extend(replaced);
        if !chunk.invalid().is_empty() {
            safe.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Cow::Owned(safe)
}

fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

fn is_unsafe(c: char) -> bool {
    let code = u32::from(c);
    c.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}
