// SPDX-License-Identifier: Apache-2.0
//! Event types: Falco's `evt.type` names as small numbers, and sets of them.

mod table;

use std::{collections::HashMap, sync::LazyLock};

use table::EVENTS;

use crate::Argument;

/// Words of a set: enough bits for the table.
const WORDS: usize = 8;

/// One of Falco's event type names (`openat`, `execve`, ..); cheap to copy and compare. The default is the first of the
/// table, for places where any will do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType(u16);

/// A name of the event table with the parameters that `evt.arg` knows.
#[derive(Debug)]
pub struct EventDescription {
    /// What `evt.type` prints.
    pub name: &'static str,
    /// Which part of Falco's table it stands in.
    pub category: EventCategory,
    /// In the order of `evt.args`.
    pub parameters: &'static [Parameter],
}

/// The part of Falco's table an event type stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Falco's section titles")]
pub enum EventCategory {
    Syscall,
    Meta,
    Plugin,
    Tracepoint,
}

/// One parameter of an event type.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The name in `evt.arg.NAME`.
    pub name: &'static str,
    /// Its type in Falco's table.
    pub value_type: ParameterType,
}

/// A table of types and their names.
macro_rules! parameter_types {
    ($($variant:ident = $name:literal,)*) => {
        /// Falco's parameter types (`PT_*`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names are Falco's")]
        pub enum ParameterType { $($variant,)* }

        impl ParameterType {
            /// Falco's name of the type.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

parameter_types! {
    Abstime = "ABSTIME",
    Bytebuf = "BYTEBUF",
    Charbuf = "CHARBUF",
    Dynamic = "DYNAMIC",
    Enumflags16 = "ENUMFLAGS16",
    Enumflags32 = "ENUMFLAGS32",
    Enumflags8 = "ENUMFLAGS8",
    Errno = "ERRNO",
    Fd = "FD",
    Fdlist = "FDLIST",
    Flags16 = "FLAGS16",
    Flags32 = "FLAGS32",
    Flags8 = "FLAGS8",
    Fspath = "FSPATH",
    Fsrelpath = "FSRELPATH",
    Gid = "GID",
    Int16 = "INT16",
    Int32 = "INT32",
    Int64 = "INT64",
    Mode = "MODE",
    Pid = "PID",
    Reltime = "RELTIME",
    Sigset = "SIGSET",
    Sigtype = "SIGTYPE",
    Sockaddr = "SOCKADDR",
    Socktuple = "SOCKTUPLE",
    Syscallid = "SYSCALLID",
    Uid = "UID",
    Uint16 = "UINT16",
    Uint32 = "UINT32",
    Uint64 = "UINT64",
    Uint8 = "UINT8",
}

static BY_NAME: LazyLock<HashMap<&'static str, EventType>> =
    LazyLock::new(|| EventType::all().map(|event_type| (event_type.name(), event_type)).collect());

impl EventType {
    /// All of them, in the order of Falco's table.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).zip(EVENTS).map(|(index, _)| Self(index))
    }

    /// The type that `evt.type = name` means.
    pub fn from_name(name: &str) -> Option<Self> {
        BY_NAME.get(name).copied()
    }

    /// Name and parameters.
    pub fn description(self) -> &'static EventDescription {
        static NONE: EventDescription = EventDescription { name: "", category: EventCategory::Meta, parameters: &[] };
        // Every value is made by `all`, so the fallback is for the compiler.
        EVENTS.get(usize::from(self.0)).unwrap_or(&NONE)
    }

    /// The place of the parameter that `evt.arg[argument]` or `evt.arg.argument` means.
    pub fn parameter(self, argument: &Argument) -> Option<usize> {
        match argument {
            Argument::Index(index) => usize::try_from(*index).ok(),
            Argument::Key(name) => self.description().parameters.iter().position(|known| *known.name == **name),
            Argument::Unused => None,
        }
    }

    /// What `evt.type` prints.
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// A small dense number, for tables by event type.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A set of event types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventTypeSet([u64; WORDS]);

impl EventTypeSet {
    /// No type.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Every type of the table.
    pub fn all() -> Self {
        static ALL: LazyLock<EventTypeSet> = LazyLock::new(|| EventType::all().collect());
        *ALL
    }

    /// Adds one type.
    pub fn insert(&mut self, event_type: EventType) {
        if let Some(word) = self.0.get_mut(event_type.index() / 64) {
            *word |= 1 << (event_type.index() % 64);
        }
    }

    /// Whether the type is in the set.
    pub fn contains(&self, event_type: EventType) -> bool {
        self.0.get(event_type.index() / 64).is_some_and(|word| word & (1 << (event_type.index() % 64)) != 0)
    }

    /// The types in both sets.
    #[must_use]
    pub fn intersection(mut self, other: &Self) -> Self {
        for (word, theirs) in self.0.iter_mut().zip(other.0) {
            *word &= theirs;
        }
        self
    }

    /// The types in either set.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        for (word, theirs) in self.0.iter_mut().zip(other.0) {
            *word |= theirs;
        }
        self
    }

    /// The types that are in `self` and not in `other`.
    #[must_use]
    pub fn difference(mut self, other: &Self) -> Self {
        for (word, theirs) in self.0.iter_mut().zip(other.0) {
            *word &= !theirs;
        }
        self
    }

    /// The types in the set, in the table's order.
    pub fn iter(&self) -> impl Iterator<Item = EventType> + '_ {
        EventType::all().filter(|event_type| self.contains(*event_type))
    }

    /// How many types the set holds.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether the set holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl FromIterator<EventType> for EventTypeSet {
    fn from_iter<I: IntoIterator<Item = EventType>>(types: I) -> Self {
        let mut set = Self::EMPTY;
        for event_type in types {
            set.insert(event_type);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_own_type_and_fits_the_set() {
        for event_type in EventType::all() {
            assert_eq!(EventType::from_name(event_type.name()), Some(event_type));
            assert!(EventTypeSet::from_iter([event_type]).contains(event_type));
        }
    }
}
