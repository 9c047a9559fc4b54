// SPDX-License-Identifier: Apache-2.0
//! Lists, macros and rules as they stand after all files so far.

use std::collections::{BTreeSet, HashMap};

use crate::{
    Action, Priority,
    diagnostic::Context,
    source::{Location, Text},
};

/// Named definitions in the order in which their names first appeared.
#[derive(Debug)]
pub(crate) struct Named<T> {
    items: Vec<T>,
    by_name: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { items: Vec::new(), by_name: HashMap::new() }
    }
}

impl<T> Named<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.by_name.get(name).and_then(|index| self.items.get(*index))
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.by_name.get(name).and_then(|index| self.items.get_mut(*index))
    }

    pub(crate) fn push(&mut self, name: &str, item: T) {
        self.by_name.insert(name.to_owned(), self.items.len());
        self.items.push(item);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

/// When a definition was first made and last touched: lists and macros see only what was there before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) index: usize,
    pub(crate) visibility: usize,
}

/// A text value with the place of its YAML node.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) text: Text,
    pub(crate) location: Location,
}

#[derive(Debug)]
pub(crate) struct ListDefinition {
    pub(crate) name: String,
    pub(crate) items: Vec<Text>,
    pub(crate) order: Order,
    pub(crate) context: Context,
}

#[derive(Debug)]
pub(crate) struct MacroDefinition {
    pub(crate) name: String,
    pub(crate) condition: Located,
    pub(crate) order: Order,
    pub(crate) context: Context,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub(crate) struct RuleDefinition {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) known_source: bool,
    pub(crate) condition: Located,
    pub(crate) output: Located,
    pub(crate) description: Text,
    pub(crate) priority: Priority,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) enabled: bool,
    pub(crate) warn_event_types: bool,
    pub(crate) skip_if_unknown_filter: bool,
    pub(crate) capture: bool,
    pub(crate) capture_duration: u32,
    pub(crate) action: Option<Action>,
    pub(crate) context: Context,
}

/// One exception of a rule.
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    pub(crate) name: String,
    pub(crate) fields: Option<Entry>,
    pub(crate) comparisons: Option<Entry>,
    /// Nothing if there is no `values` key.
    pub(crate) values: Option<Vec<Entry>>,
    pub(crate) context: Context,
}

impl Exception {
    /// Whether it excepts anything: one without values is only a name to append to.
    pub(crate) fn has_values(&self) -> bool {
        self.values.as_deref().is_some_and(|values| !values.is_empty())
    }
}

/// A value of an exception: a string or a list.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    One(Text),
    Many(Vec<Self>),
}

/// Everything that was defined, and what the files ask for.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub(crate) lists: Named<ListDefinition>,
    pub(crate) macros: Named<MacroDefinition>,
    pub(crate) rules: Named<RuleDefinition>,
    pub(crate) plugins: Vec<PluginRequirement>,
    /// The newest rules engine that a file asks for.
    pub(crate) engine: Version,
    /// Names of lists and macros whose definition could not be read: using them is not another problem.
    pub(crate) broken: BTreeSet<String>,
}

/// One of several plugins that must be there.
#[derive(Debug, Clone)]
pub(crate) struct PluginRequirement {
    /// Name and version; the first is the one asked for.
    pub(crate) alternatives: Vec<(String, Version)>,
    pub(crate) context: Context,
}

/// A version of the engine or of a plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// A version by its three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `1.2.3`. *Falco:* whatever follows the third number, `-rc1` or other, means nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, rest) = text.split_once('.')?;
        let (minor, rest) = rest.split_once('.')?;
        let patch = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        Some(Self { major: number(major)?, minor: number(minor)?, patch: number(patch)? })
    }

    /// Whether this one can be used where `required` is asked for.
    pub(crate) fn satisfies(self, required: Self) -> bool {
        self.major == required.major && self >= required
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}
