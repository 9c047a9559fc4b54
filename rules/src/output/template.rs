// SPDX-License-Identifier: Apache-2.0
//! A checked output: literal text and tokens, and the typed fields that go with it.

use serde_json::{Map, Value as Json};

use super::{
    json,
    value::{ValueStyle, write_field_value},
};
use crate::{Argument, Event, Field, ProcField, compile::Extractor};

/// What Falco prints for an absent value.
const ABSENT: &str = "<NA>";

/// A rule's output.
#[derive(Debug, Clone, Default)]
pub struct Template {
    pub(super) text: String,
    pub(super) parts: Vec<Part>,
    /// Sorted by name, each name once.
    pub(super) fields: Vec<OutputField>,
    pub(super) style: ValueStyle,
}

#[derive(Debug, Clone)]
pub(super) enum Part {
    Literal(String),
    Token { extractor: Extractor, width: Option<usize> },
}

/// A member of `output_fields`.
#[derive(Debug, Clone)]
pub(super) struct OutputField {
    pub(super) name: String,
    pub(super) source: FieldSource,
}

#[derive(Debug, Clone)]
pub(super) enum FieldSource {
    Value(Extractor),
    /// `evt.time` and its ISO form: nanoseconds.
    Time,
    /// A formatted extra field.
    Text(Box<Template>),
}

impl Template {
    /// The output as written, with what the configuration appended.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Appends the message for an event: absent values as `<NA>`, no control characters.
    pub fn render(&self, event: &dyn Event, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Token { extractor, width: None } => write_token(out, extractor, event, self.style),
                Part::Token { extractor, width: Some(width) } => {
                    let mut token = String::new();
                    write_token(&mut token, extractor, event, self.style);
                    let padding = std::iter::repeat(' ');
                    out.extend(token.chars().chain(padding).take(*width));
                }
            }
        }
    }

    /// The typed fields, sorted by name; absent values are null, and `evt.time` is always there.
    pub fn fields(&self, event: &dyn Event) -> Map<String, Json> {
        self.fields.iter().map(|field| (field.name.clone(), json::field_value(field, event, self.style))).collect()
    }

    /// Appends the typed fields as a compact JSON object.
    pub fn write_json(&self, event: &dyn Event, out: &mut Vec<u8>) {
        out.extend_from_slice(Json::Object(self.fields(event)).to_string().as_bytes());
    }

    /// The formatted extra fields: name and format.
    pub(crate) fn formatted_fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().filter_map(|field| match &field.source {
            FieldSource::Text(template) => Some((field.name.as_str(), template.text())),
            FieldSource::Value(_) | FieldSource::Time => None,
        })
    }

    /// The names of the typed fields, sorted; always with `evt.time`.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }
}

/// Appends the value of a token, or the mark of an absent one.
fn write_token(out: &mut String, extractor: &Extractor, event: &dyn Event, style: ValueStyle) {
    let field = match extractor {
        // *Falco:* without an index this one prints the process's own id.
        Extractor::Field(Field::Proc(ProcField::Apid), Argument::Unused) => {
            let own = Extractor::Field(Field::Proc(ProcField::Pid), Argument::Unused);
            return write_token(out, &own, event, style);
        }
        Extractor::Field(field, _) => Some(*field),
        Extractor::Constant(_) | Extractor::Call(_) => None,
    };
    match extractor.extract(event) {
        Some(value) if !json::is_empty_any(&value) => write_field_value(out, field, &value, style),
        _ => out.push_str(ABSENT),
    }
}
