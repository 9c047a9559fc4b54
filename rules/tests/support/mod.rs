// SPDX-License-Identifier: Apache-2.0
//! What the tests share: the folder of Falco's files, events made of maps, and rules made of single conditions.

mod shared;

use std::{borrow::Cow, collections::HashMap};

use rules::{Argument, Event, EventType, EvtField, FdField, Field, Load, LoadOptions, Loader, ProcField, Type, Value};
use serde_json::{Map, Value as Json};
pub(crate) use shared::shared;

/// Loads files of the given names and contents.
pub(crate) fn load<'a>(options: LoadOptions, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Load {
    let mut loader = Loader::new(options);
    for (name, content) in files {
        loader.add(name, content.as_bytes());
    }
    loader.finish()
}

/// A file with one rule; JSON strings are valid YAML.
pub(crate) fn rule_file(condition: &str, output: &str) -> String {
    let (condition, output) = (Json::from(condition), Json::from(output));
    format!(
        "- rule: r\n  desc: d\n  condition: {condition}\n  output: {output}\n  priority: INFO\n  warn_evttypes: false\n"
    )
}

/// Whether a condition is true for an event; an error if it does not load.
pub(crate) fn evaluates(condition: &str, event: &MapEvent) -> Result<bool, String> {
    let load = load(LoadOptions::default(), [("t.yaml", rule_file(condition, "o").as_str())]);
    let Some(ruleset) = load.ruleset else { return Err(load.report.to_string()) };
    let mut matched = false;
    ruleset.evaluate(event, &mut |_| matched = true);
    Ok(matched)
}

/// An event whose fields stand in a map.
pub(crate) struct MapEvent {
    event_type: EventType,
    values: HashMap<(Field, Argument), Owned>,
}

enum Owned {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    Ip(std::net::IpAddr),
    List(Vec<Vec<u8>>),
    Any(Vec<Self>),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Uint(value) => Value::Uint(*value),
            Self::Text(value) => Value::text(value),
            Self::Bytes(value) => Value::Bytes(Cow::Borrowed(value)),
            Self::Ip(value) => Value::Ip(*value),
            Self::List(values) => Value::List(values.iter().map(|value| Value::text(value)).collect()),
            Self::Any(values) => Value::Any(values.iter().map(Self::value).collect()),
        }
    }
}

impl Event for MapEvent {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn value(&self, field: Field, argument: &Argument) -> Option<Value<'_>> {
        match field {
            Field::Evt(EvtField::Type) => Some(Value::text(self.event_type.name().as_bytes())),
            Field::Evt(EvtField::Rawtime) => Some(Value::Uint(7)),
            _ => self.values.get(&(field, argument.clone())).map(Owned::value),
        }
    }
}

impl MapEvent {
    /// An event of the type under `evt.type` with all other fields of the map that the catalogue knows.
    pub(crate) fn new(fields: &Map<String, Json>) -> Self {
        let name = fields.get("evt.type").and_then(Json::as_str).unwrap_or("getcwd");
        let event_type = EventType::from_name(name).unwrap();
        let mut event = Self { event_type, values: HashMap::new() };
        for (key, value) in fields {
            let (key, bytes) = match key.strip_suffix("_hex") {
                Some(key) => (key, Some(hex(value.as_str().unwrap()))),
                None => (key.as_str(), None),
            };
            let Some((row, argument)) = field(key) else { continue };
            let owned = match (bytes, value) {
                (Some(bytes), _) => Owned::Text(bytes),
                (None, Json::Null) => continue,
                (None, Json::Array(values)) if row.value_type == Type::TextList => {
                    Owned::List(values.iter().map(|value| value.as_str().unwrap().as_bytes().to_vec()).collect())
                }
                (None, Json::Array(values)) => {
                    Owned::Any(values.iter().map(|value| owned(value, row.value_type)).collect())
                }
                (None, value) => owned(value, row.value_type),
            };
            event.values.insert((row.field, argument), owned);
        }
        event.add_ancestors();
        event
    }

    /// `proc.aname` without an index stands for all that have one, self excluded.
    fn add_ancestors(&mut self) {
        let aname = Field::Proc(ProcField::Aname);
        let names = (1..32).map_while(|index| self.values.get(&(aname, Argument::Index(index))));
        let names: Vec<_> = names
            .filter_map(|name| match name {
                Owned::Text(text) => Some(Owned::Text(text.clone())),
                _ => None,
            })
            .collect();
        if !names.is_empty() {
            self.values.entry((aname, Argument::Unused)).or_insert(Owned::Any(names));
        }
    }

    /// Gives a field a value, whatever its type.
    pub(crate) fn set_text(&mut self, field: Field, argument: Argument, text: &[u8]) {
        self.values.insert((field, argument), Owned::Text(text.to_vec()));
    }

    /// An event of type `open` on a path.
    pub(crate) fn open(path: &[u8]) -> Self {
        let mut event = Self { event_type: EventType::from_name("open").unwrap(), values: HashMap::new() };
        event.set_text(Field::Fd(FdField::Name), Argument::Unused, path);
        event
    }
}

fn owned(value: &Json, value_type: Type) -> Owned {
    match (value, value_type) {
        (Json::Bool(value), _) => Owned::Bool(*value),
        (Json::Number(value), Type::Text) => Owned::Text(value.to_string().into_bytes()),
        (Json::Number(value), _) => value.as_u64().map_or_else(|| Owned::Int(value.as_i64().unwrap()), Owned::Uint),
        (Json::String(text), Type::Ip | Type::Net) => Owned::Ip(text.parse().unwrap()),
        (Json::String(text), Type::Bytes) => Owned::Bytes(text.as_bytes().to_vec()),
        (Json::String(text), _) => Owned::Text(text.as_bytes().to_vec()),
        (other, _) => panic!("cannot bind {other}"),
    }
}

/// The field and argument of a name as it stands in conditions.
fn field(name: &str) -> Option<(&'static rules::Description, Argument)> {
    if let Some(row) = Field::describe(name) {
        return Some((row, Argument::Unused));
    }
    let (base, argument) = match name.strip_suffix(']') {
        Some(name) => name.split_once('[')?,
        None => name.rsplit_once('.')?,
    };
    let argument = argument.parse().map_or_else(|_| Argument::Key(argument.into()), Argument::Index);
    Field::describe(base).map(|row| (row, argument))
}

/// Bytes from hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}
