// SPDX-License-Identifier: Apache-2.0
//! JSON values as values of fields, by the field's type.

use std::net::IpAddr;

use rules::{Knowledge, Type, Value};
use serde_json::Value as Json;

/// What stands for a byte that was no text.
const REPLACED: char = '\u{fffd}';

/// The value, null being none; the error says what the type takes.
///
/// Text in which characters were replaced is not what rules saw, so nothing is known.
pub(super) fn read_value(json: &Json, value_type: Type) -> Result<Knowledge<'static>, &'static str> {
    match json {
        Json::Null => Ok(Knowledge::Known(None)),
        Json::String(text) if text.contains(REPLACED) => Ok(Knowledge::Unknown),
        Json::Array(items) => {
            let items = items.iter().map(|item| read_scalar(item, value_type)).collect::<Result<Vec<_>, _>>()?;
            let value = if value_type == Type::TextList { Value::List(items) } else { Value::Any(items) };
            Ok(Knowledge::Known(Some(value)))
        }
        Json::String(text) if value_type == Type::TextList => Ok(Knowledge::Known(Some(Value::List(read_list(text))))),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => {
            read_scalar(json, value_type).map(|value| Knowledge::Known(Some(value)))
        }
    }
}

/// A list as alerts write it, `(a,b)`.
fn read_list(text: &str) -> Vec<Value<'static>> {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    inner.split(',').filter(|item| !item.is_empty()).map(owned).collect()
}

fn read_scalar(json: &Json, value_type: Type) -> Result<Value<'static>, &'static str> {
    match value_type {
        Type::Text | Type::TextList => text(json).map(|text| owned(&text)).ok_or("a text"),
        Type::Bytes => json.as_str().map(|text| Value::Bytes(text.as_bytes().to_vec().into())).ok_or("a text"),
        Type::Bool => json.as_bool().map(Value::Bool).ok_or("true or false"),
        Type::Double => json.as_f64().map(Value::Double).ok_or("a number"),
        Type::Ip | Type::Net => {
            let address = json.as_str().and_then(|text| text.parse::<IpAddr>().ok());
            address.map(Value::Ip).ok_or("an IPv4 or IPv6 address")
        }
        // What the type of a parameter is depends on the event; the engine compares numbers and texts.
        Type::Dynamic => number(json).or_else(|| text(json).map(|text| owned(&text))).ok_or("a number or a text"),
        Type::Int16
        | Type::Int32
        | Type::Int64
        | Type::Uint32
        | Type::Uint64
        | Type::Port
        | Type::RelativeTime
        | Type::AbsoluteTime => number(json).ok_or("an integer"),
    }
}

fn number(json: &Json) -> Option<Value<'static>> {
    json.as_u64().map(Value::Uint).or_else(|| json.as_i64().map(Value::Int))
}

fn text(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        // Falco writes some texts that look like numbers without quotes.
        Json::Bool(_) | Json::Number(_) => Some(json.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn owned(text: &str) -> Value<'static> {
    Value::Text(text.as_bytes().to_vec().into())
}
