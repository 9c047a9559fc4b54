// SPDX-License-Identifier: Apache-2.0
//! Values as typed JSON, as in Falco's `output_fields`.

use serde_json::{Number, Value as Json};

use super::{
    template::{FieldSource, OutputField},
    value::{ValueStyle, write_value},
};
use crate::{Argument, Event, EvtField, Field, Value};

/// The value of a member of `output_fields`.
pub(super) fn field_value(field: &OutputField, event: &dyn Event, style: ValueStyle) -> Json {
    match &field.source {
        FieldSource::Time => event
            .value(Field::Evt(EvtField::Rawtime), &Argument::Unused)
            .map_or(Json::Null, |value| typed(&value, style)),
        FieldSource::Value(extractor) => match extractor.extract(event) {
            Some(value) if !is_empty_any(&value) => typed(&value, style),
            _ => Json::Null,
        },
        FieldSource::Text(template) => {
            let mut text = String::new();
            template.render(event, &mut text);
            Json::String(text)
        }
    }
}

/// Several values of which there are none: an address without a name.
pub(super) fn is_empty_any(value: &Value<'_>) -> bool {
    matches!(value, Value::Any(values) if values.is_empty())
}

/// A value as typed JSON, whatever its field.
pub(crate) fn typed(value: &Value<'_>, style: ValueStyle) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Number((*value).into()),
        Value::Uint(value) => Json::Number((*value).into()),
        Value::Double(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
        Value::Text(_) | Value::Bytes(_) | Value::Ip(_) | Value::List(_) | Value::Any(_) => {
            let mut text = String::new();
            write_value(&mut text, value, style);
            Json::String(text)
        }
    }
}
