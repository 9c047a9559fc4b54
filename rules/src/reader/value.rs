// SPDX-License-Identifier: Apache-2.0
//! Values of keys: text, booleans, numbers and lists, with Falco's messages where they are missing or of the wrong kind.

use super::Read;
use crate::{
    definitions::Located,
    diagnostic::{Code, Context, Diagnostic},
    source::Text,
    yaml::{Content, Node},
};

pub(super) fn invalid(message: impl Into<String>, context: &Context) -> Diagnostic {
    Diagnostic::new(Code::YamlValidate, message, context)
}

/// The scalar of a key that must be there.
pub(super) fn required(item: &Node, key: &str, context: &Context) -> Read<Located> {
    match item.get(key) {
        None => Err(invalid(format!("Item has no mapping for key '{key}'"), context)),
        Some(value) => match &value.content {
            Content::Null => Err(invalid(format!("Mapping for key '{key}' is empty"), context)),
            Content::Scalar(text) => non_empty(value, text, key, context),
            Content::Sequence(_) | Content::Mapping(_) => Err(undecodable(value, key, context)),
        },
    }
}

/// The scalar of a key that may be missing.
pub(super) fn optional(item: &Node, key: &str, context: &Context) -> Read<Option<Located>> {
    item.get(key).map(|_| required(item, key, context)).transpose()
}

fn non_empty(value: &Node, text: &Text, key: &str, context: &Context) -> Read<Located> {
    if text.is_empty() {
        return Err(invalid("Value must be non-empty", &context.item("value for", key, &value.location)));
    }
    Ok(Located { text: text.clone(), location: value.location.clone() })
}

fn undecodable(value: &Node, key: &str, context: &Context) -> Diagnostic {
    invalid("Can't decode YAML scalar value", &context.item("value for", key, &value.location))
}

/// *Falco:* yaml-cpp's booleans, also in quotes.
pub(super) fn boolean(item: &Node, key: &str, context: &Context) -> Read<Option<bool>> {
    let Some(value) = item.get(key) else { return Ok(None) };
    let text = required(item, key, context)?.text;
    let word = text.as_str();
    let lower = word.to_ascii_lowercase();
    let first = |c: char| c.is_ascii_uppercase();
    // Lower, upper or capitalised, but no mixture.
    let regular = word == lower || word == word.to_ascii_uppercase() || {
        let rest: String = word.chars().skip(1).collect();
        word.starts_with(first) && rest == rest.to_ascii_lowercase()
    };
    match lower.as_str() {
        "y" | "yes" | "true" | "on" if regular => Ok(Some(true)),
        "n" | "no" | "false" | "off" if regular => Ok(Some(false)),
        _ => Err(undecodable(value, key, context)),
    }
}

pub(super) fn number(item: &Node, key: &str, context: &Context) -> Read<Option<u32>> {
    let Some(value) = item.get(key) else { return Ok(None) };
    match required(item, key, context)?.text.as_str().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(undecodable(value, key, context)),
    }
}

/// The scalars of a list that must be there.
pub(super) fn required_items(item: &Node, key: &str, context: &Context) -> Read<Vec<Text>> {
    match optional_items(item, key, context)? {
        Some(items) => Ok(items),
        None => Err(invalid(format!("Item has no mapping for key '{key}'"), context)),
    }
}

/// The scalars of a list.
pub(super) fn optional_items(item: &Node, key: &str, context: &Context) -> Read<Option<Vec<Text>>> {
    let Some(value) = item.get(key) else { return Ok(None) };
    let inner = context.item("value for", key, &value.location);
    let items = match &value.content {
        Content::Sequence(items) => items,
        Content::Null => return Err(invalid(format!("Mapping for key '{key}' is empty"), context)),
        Content::Scalar(_) | Content::Mapping(_) => return Err(invalid("Value is not a sequence", &inner)),
    };
    items
        .iter()
        .map(|item| scalar(item).cloned().ok_or_else(|| element(item, key, context)))
        .collect::<Read<_>>()
        .map(Some)
}

fn element(item: &Node, key: &str, context: &Context) -> Diagnostic {
    invalid("Can't decode YAML scalar value", &context.item("value for", key, &item.location))
}

/// The text of a scalar that is not null.
pub(super) fn scalar(node: &Node) -> Option<&Text> {
    match &node.content {
        Content::Scalar(text) => Some(text),
        Content::Null | Content::Sequence(_) | Content::Mapping(_) => None,
    }
}
