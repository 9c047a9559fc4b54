// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets share: an event whose values are made of the fuzzer's bytes, and reading a load to its end.
#![forbid(unsafe_code)]

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use rules::{Argument, Event, EventType, EvtField, Field, Load, Type, Value};

/// An event of some type. Which of the words is a field's value depends on the field and its argument alone.
#[derive(Debug)]
pub struct WordEvent<'a> {
    event_type: EventType,
    words: Vec<&'a [u8]>,
}

impl<'a> WordEvent<'a> {
    /// The first byte chooses the type, blanks separate the words.
    ///
    /// # Panics
    /// Where the table of event types has lost the most ordinary ones.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        let (first, words) = data.split_first().unwrap_or((&0, data));
        let known = ["open", "openat", "execve", "connect", "close", "chmod", "ptrace", "dup"];
        let known = known.into_iter().filter_map(EventType::from_name).cycle().nth(usize::from(*first));
        let words = words.split(|byte| *byte == b' ').collect();
        Self { event_type: known.expect("names of the table"), words }
    }

    fn one(&self, value_type: Type, number: u64) -> Option<Value<'_>> {
        let length = u64::try_from(self.words.len()).ok()?;
        let word = self.words.get(usize::try_from(number % length.max(1)).ok()?).copied()?;
        let number = word.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        Some(match value_type {
            Type::Bool => Value::Bool(number & 1 == 1),
            Type::Double => Value::Double(f64::from(u32::try_from(number & 0xffff).ok()?)),
            Type::Int16 | Type::Int32 | Type::Int64 => Value::Int(number.cast_signed()),
            Type::Uint32 | Type::Uint64 | Type::Port | Type::RelativeTime | Type::AbsoluteTime => Value::Uint(number),
            Type::Ip | Type::Net if number & 1 == 1 => Value::Ip(IpAddr::V6(Ipv6Addr::from(u128::from(number)))),
            Type::Ip | Type::Net => Value::Ip(IpAddr::V4(Ipv4Addr::from(u32::try_from(number & 0xffff_ffff).ok()?))),
            Type::Bytes => Value::Bytes(word.into()),
            Type::Text | Type::TextList | Type::Dynamic => Value::text(word),
        })
    }
}

impl Event for WordEvent<'_> {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn value(&self, field: Field, argument: &Argument) -> Option<Value<'_>> {
        if field == Field::Evt(EvtField::Type) {
            return Some(Value::text(self.event_type.name().as_bytes()));
        }
        let mut hasher = DefaultHasher::new();
        (field, argument).hash(&mut hasher);
        let number = hasher.finish() >> 8;
        let value_type = Field::describe(field.name())?.value_type;
        let several = || (number..number + number % 4).filter_map(|number| self.one(value_type, number)).collect();
        match number % 8 {
            0 => None,
            1 if value_type != Type::TextList => Some(Value::Any(several())),
            _ if value_type == Type::TextList => Some(Value::List(several())),
            _ => self.one(value_type, number),
        }
    }
}

/// Evaluates the rules of a load, if there are any, renders what matches, and writes the report in both forms.
///
/// # Panics
/// Where an output has control characters or is no JSON.
pub fn read_to_the_end(load: &Load, event: &dyn Event) {
    assert_eq!(load.report.to_string().is_empty(), load.report.files().is_empty());
    assert!(load.report.to_json().is_object());
    let Some(ruleset) = &load.ruleset else { return };
    ruleset.evaluate(event, &mut |rule| {
        let (mut text, mut json) = (String::new(), Vec::new());
        rule.output().render(event, &mut text);
        let literal = |c: char| rule.output().text().contains(c);
        assert!(!text.contains(|c: char| c.is_control() && !literal(c)), "{text:?}");
        rule.output().write_json(event, &mut json);
        let parsed: serde_json::Value = serde_json::from_slice(&json).expect("an output is JSON");
        assert!(parsed.get("evt.time").is_some());
    });
}
