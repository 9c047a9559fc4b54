// SPDX-License-Identifier: Apache-2.0
//! What a rule can see: the [`Event`] trait, the values its fields take, and the arguments that fields accept.

use std::{borrow::Cow, net::IpAddr};

use crate::{EventType, Field};

/// One decoded call, as rules see it.
///
/// Implementations compute nothing until a field is asked for, and may be asked for the same field several times.
pub trait Event {
    /// The type rules are indexed by.
    fn event_type(&self) -> EventType;

    /// The value of `field` with `argument` (the part in brackets), or `None` where the event has none: every
    /// comparison with an absent value is false.
    fn value(&self, field: Field, argument: &Argument) -> Option<Value<'_>>;
}

/// A field's argument: `[2]` is an index, `[PATH]` a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Argument {
    /// No brackets.
    Unused,
    /// A decimal number that fits; for fields that take both, digits are an index.
    Index(u32),
    /// Any other text.
    Key(Box<str>),
}

/// A field's value. Text and bytes are as found: escaping happens at the output edge.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// All signed integer types, and relative times in nanoseconds.
    Int(i64),
    /// All unsigned integer types, ports, and absolute times in nanoseconds since the epoch.
    Uint(u64),
    /// `proc.fdusage`.
    Double(f64),
    /// Text and paths; not necessarily valid UTF-8.
    Text(Cow<'a, [u8]>),
    /// Payload.
    Bytes(Cow<'a, [u8]>),
    /// An address; also for network-typed fields.
    Ip(IpAddr),
    /// The elements of a list-typed field.
    List(Vec<Value<'a>>),
    /// Several values of which any may satisfy a comparison: both ends of `fd.ip`, all ancestors of `proc.aname`.
    Any(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// Borrowed text.
    pub fn text(bytes: &'a [u8]) -> Self {
        Self::Text(Cow::Borrowed(bytes))
    }
}
