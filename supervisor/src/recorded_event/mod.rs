// SPDX-License-Identifier: Apache-2.0
//! An event as something wrote it down: an alert, or a file with names and values of fields.
//!
//! What is not written down is not known, with two exceptions: what holds for every call (`evt.source`), and what follows
//! from a value that is there (`evt.rawtime` from an alert's time).

#[cfg(test)]
mod tests;
mod value;

use std::collections::HashMap;

use rules::{Argument, EventCategory, EventType, EvtField, FdField, Field, Knowledge, PartialEvent, ProcField, Value};
use serde_json::{Map, Value as Json};

use crate::container::short_id;
use value::read_value;

/// What is known of an event.
#[derive(Debug)]
pub(crate) struct RecordedEvent {
    event_type: Option<EventType>,
    known: HashMap<(Field, Argument), Option<Value<'static>>>,
    /// The rule that raised the alert, if it is one.
    pub(crate) rule: Option<String>,
    /// Names that are no fields; of a file that somebody wrote, where they are mistakes.
    pub(crate) unknown_names: Vec<String>,
}

/// Something that is no event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordedEventError {
    /// It is not JSON.
    #[error("the event is not valid JSON")]
    Json(#[from] serde_json::Error),
    /// It is a list, a text, ..
    #[error("the event is not a JSON object of fields, and no alert")]
    Shape,
    /// There is no such type.
    #[error("`{0}` is not an event type")]
    EventType(String),
    /// A field has another type.
    #[error("`{field}` must be {expected}, and is {found}")]
    Value {
        /// Its name.
        field: String,
        /// What it takes.
        expected: &'static str,
        /// What was given.
        found: Json,
    },
}

impl RecordedEvent {
    /// Reads an alert of the event log, an alert in Falco's JSON form, or an object of fields.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, RecordedEventError> {
        let record: Map<String, Json> = match serde_json::from_slice(text)? {
            Json::Object(record) => record,
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                return Err(RecordedEventError::Shape);
            }
        };
        let mut event = Self { event_type: None, known: HashMap::new(), rule: None, unknown_names: Vec::new() };
        let fields = ["fields", "output_fields"].into_iter().find_map(|key| record.get(key));
        match fields.map(Json::as_object) {
            Some(Some(fields)) => {
                event.read_fields(fields)?;
                // An alert has further texts of its own making among its fields.
                event.unknown_names.clear();
                event.read_alert(&record);
            }
            Some(None) => return Err(RecordedEventError::Shape),
            None => event.read_fields(&record)?,
        }
        event.complete();
        Ok(event)
    }

    /// Whether the event says what type it is of.
    pub(crate) fn has_type(&self) -> bool {
        self.event_type.is_some()
    }

    /// Gives the event a type that is known otherwise.
    pub(crate) fn set_type(&mut self, event_type: EventType) {
        self.event_type = Some(event_type);
        let name = || Some(Value::text(event_type.name().as_bytes()));
        self.known.insert(key(EvtField::Type), name());
        if event_type.description().category == EventCategory::Syscall {
            self.known.entry(key(EvtField::SyscallType)).or_insert_with(name);
        }
    }

    fn read_fields(&mut self, fields: &Map<String, Json>) -> Result<(), RecordedEventError> {
        for (name, json) in fields {
            let Some((row, argument, value_type)) = Field::parse(name) else {
                self.unknown_names.extend((!name.starts_with("static.")).then(|| name.clone()));
                continue;
            };
            match (row.field, json) {
                (Field::Evt(EvtField::Type), Json::String(name)) => match EventType::from_name(name) {
                    Some(event_type) => self.set_type(event_type),
                    None => return Err(RecordedEventError::EventType(name.clone())),
                },
                // Alerts have the number behind these texts.
                (Field::Evt(EvtField::Time | EvtField::TimeIso8601), Json::Number(time)) => {
                    self.known.insert(key(EvtField::Rawtime), time.as_u64().map(Value::Uint));
                }
                // Names and command lines have blanks in them, so ancestors that are joined by blanks are not known.
                (field, Json::String(_)) if is_any_ancestor(field, &argument) => {}
                // An address without a name and no address look alike.
                (field, Json::Null) if is_address_name(field) => {}
                (field, Json::String(names)) if is_address_name(field) => {
                    let names = names.split(' ').map(|name| Value::Text(name.as_bytes().to_vec().into()));
                    self.known.insert((field, argument), Some(Value::Any(names.collect())));
                }
                (field, json) => {
                    let value = read_value(json, value_type).map_err(|expected| RecordedEventError::Value {
                        field: name.clone(),
                        expected,
                        found: json.clone(),
                    })?;
                    if let Knowledge::Known(value) = value {
                        self.known.insert((field, argument), value);
                    }
                }
            }
        }
        Ok(())
    }

    /// What an alert says besides its fields.
    fn read_alert(&mut self, record: &Map<String, Json>) {
        let text = |name: &str| record.get(name).and_then(Json::as_str);
        self.rule = text("rule").map(str::to_owned);
        let mut add = |field: Field, text: Option<String>| {
            if let Some(text) = text {
                let value = Some(Value::Text(text.into_bytes().into()));
                self.known.entry((field, Argument::Unused)).or_insert(value);
            }
        };
        add(Field::Evt(EvtField::Hostname), text("hostname").map(str::to_owned));
        let id = text("container").map(short_id);
        add(Field::Container(rules::ContainerField::Id), id);
    }

    /// What holds for every call, and the names of all ancestors where the oldest is known.
    fn complete(&mut self) {
        let constants = [
            // Numbers begin at one; rules ask whether it is zero in order never to match.
            (EvtField::Num, Value::Uint(1)),
            (EvtField::Count, Value::Uint(1)),
            (EvtField::CountExit, Value::Uint(1)),
            (EvtField::Source, Value::text(b"syscall")),
            (EvtField::Dir, Value::text(b"<")),
            (EvtField::IsAsync, Value::Bool(false)),
        ];
        for (field, value) in constants {
            self.known.entry(key(field)).or_insert(Some(value));
        }
        if let Some(names) = self.ancestors() {
            let all = (Field::Proc(ProcField::Aname), Argument::Unused);
            self.known.entry(all).or_insert_with(|| (!names.is_empty()).then_some(Value::Any(names)));
        }
    }

    /// `proc.aname[1]` and so on to the one that has no value.
    fn ancestors(&self) -> Option<Vec<Value<'static>>> {
        let mut names = Vec::new();
        for index in 1.. {
            let name = self.known.get(&(Field::Proc(ProcField::Aname), Argument::Index(index)));
            let parent = || self.known.get(&(Field::Proc(ProcField::Pname), Argument::Unused)).filter(|_| index == 1);
            match name.or_else(parent)? {
                Some(name) => names.push(name.clone()),
                None => break,
            }
        }
        Some(names)
    }
}

impl PartialEvent for RecordedEvent {
    /// Where the type is not known, any: what is known of the field `evt.type` says so.
    fn event_type(&self) -> EventType {
        self.event_type.unwrap_or_default()
    }

    fn knowledge(&self, field: Field, argument: &Argument) -> Knowledge<'_> {
        match self.known.get(&(field, argument.clone())) {
            Some(value) => Knowledge::Known(value.clone()),
            None => Knowledge::Unknown,
        }
    }
}

fn key(field: EvtField) -> (Field, Argument) {
    (Field::Evt(field), Argument::Unused)
}

/// Whether the field stands for all names of an address, which alerts join by blanks.
fn is_address_name(field: Field) -> bool {
    use FdField as F;
    [F::CipName, F::SipName, F::LipName, F::RipName].map(Field::Fd).contains(&field)
}

/// Whether the field stands for the values of all ancestors.
fn is_any_ancestor(field: Field, argument: &Argument) -> bool {
    use ProcField as P;
    let ancestors = [P::Aname, P::Aexe, P::Aexepath, P::Aargs, P::Acmdline, P::Apid].map(Field::Proc);
    *argument == Argument::Unused && ancestors.contains(&field)
}
