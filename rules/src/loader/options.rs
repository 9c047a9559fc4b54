// SPDX-License-Identifier: Apache-2.0
//! What the configuration says about loading.

use std::collections::BTreeSet;

use crate::{EventType, EventTypeSet, Priority, Version};

/// Options of a [`Loader`](crate::Loader).
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The least severe priority that is loaded.
    pub priority: Priority,
    /// Applied in order to all rules.
    pub selection: Vec<Selection>,
    /// Additions to outputs.
    pub append_output: Vec<AppendOutput>,
    /// Values of the fields `static.<key>`.
    pub static_fields: Vec<(String, String)>,
    /// Print byte buffers in base64.
    pub buffer_format_base64: bool,
    /// Plugins that `required_plugin_versions` may ask for.
    pub plugins: Vec<Plugin>,
    /// What rules may name and no event will have.
    pub unseen: Unseen,
}

/// What whoever asks the rules never sees. Rules on it load with a note.
#[derive(Debug, Clone, Default)]
pub struct Unseen {
    /// Types of which there are no events.
    pub events: EventTypeSet,
    /// Types whose calls are events of another one, with that.
    pub replaced: Vec<(EventType, EventType)>,
    /// Parameters, by type and place, that no event has a value of.
    pub parameters: BTreeSet<(EventType, usize)>,
}

impl Unseen {
    /// What remains of `types`.
    pub(super) fn seen(&self, types: &EventTypeSet) -> EventTypeSet {
        let replaced = self.replaced.iter().map(|(named, _)| *named).collect();
        types.difference(&self.events).difference(&replaced)
    }

    /// Of which type the events of a replaced one are.
    pub(super) fn replacement(&self, event_type: EventType) -> Option<EventType> {
        self.replaced.iter().find(|(named, _)| *named == event_type).map(|(_, other)| *other)
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            priority: Priority::Debug,
            selection: Vec::new(),
            append_output: Vec::new(),
            static_fields: Vec::new(),
            buffer_format_base64: false,
            // The stock files ask for the plugin whose fields are built in here.
            plugins: vec![Plugin { name: "container".to_owned(), version: Version::new(0, 7, 1) }],
            unseen: Unseen::default(),
        }
    }
}

/// A plugin that counts as loaded.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
}

/// Enables or disables rules.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Enable or disable.
    pub enable: bool,
    /// Which rules.
    pub selector: Selector,
}

/// Which rules a selection is about.
#[derive(Debug, Clone)]
pub enum Selector {
    /// Rules by name, in which `*` stands for any text.
    Rule(String),
    /// Rules with this tag.
    Tag(String),
}

impl Selector {
    pub(crate) fn selects(&self, name: &str, tags: &BTreeSet<String>) -> bool {
        match self {
            Self::Rule(pattern) => wildcard(pattern, name),
            Self::Tag(tag) => tags.contains(tag),
        }
    }
}

/// Whether a whole name matches a pattern in which `*` stands for any text.
fn wildcard(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// An addition to the outputs of some rules.
#[derive(Debug, Clone, Default)]
pub struct AppendOutput {
    /// Only rules of this name.
    pub rule: Option<String>,
    /// Only rules of this source.
    pub source: Option<String>,
    /// Only rules with all of these tags.
    pub tags: Vec<String>,
    /// Text with tokens, appended after a blank.
    pub extra_output: Option<String>,
    /// Members added to the typed fields.
    pub extra_fields: Vec<ExtraField>,
    /// Append the fields that identify the container.
    pub suggested_output: bool,
}

/// A member added to the typed fields.
#[derive(Debug, Clone)]
pub enum ExtraField {
    /// A field's value under its own name.
    Field(String),
    /// A formatted text.
    Format {
        /// The member's name.
        name: String,
        /// Text with tokens.
        format: String,
    },
}

impl AppendOutput {
    pub(crate) fn applies(&self, name: &str, source: &str, tags: &BTreeSet<String>) -> bool {
        self.rule.as_deref().is_none_or(|rule| rule == name)
            && self.source.as_deref().is_none_or(|wanted| wanted == source)
            && self.tags.iter().all(|tag| tags.contains(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_must_match_the_whole_name() {
        for (pattern, name, expected) in [
            ("*", "any rule", true),
            ("Read*file*", "Read sensitive file untrusted", true),
            ("Read", "Read sensitive", false),
            ("*untrusted", "Read untrusted x", false),
            ("a*a", "a", false),
            ("a.c", "abc", false),
        ] {
            assert_eq!(wildcard(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
