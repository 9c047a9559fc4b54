// SPDX-License-Identifier: Apache-2.0
//! What enforce mode does with a match: `enforce` and `actions`.

use policy::{ActionEntry, Enforce};
use serde_json::Value;

use super::{
    section::Section,
    source::Finding,
    tree::{Content, Node},
};

/// What a match leads to in enforce mode.
#[derive(Debug)]
pub(crate) struct Enforcement {
    /// The errno of denied calls, and the action of rules that have none of their own.
    pub(crate) enforce: Enforce,
    /// Actions by rule; the first that fits.
    pub(crate) actions: Vec<ActionEntry>,
}

impl Enforcement {
    pub(super) fn read(root: Section<'_>) -> Self {
        let section = root.section("enforce");
        let default = Enforce::default();
        let errnos = "one of EPERM, ENOENT, EIO, EACCES, EROFS and ENOSYS";
        Self {
            enforce: Enforce {
                default_action: section.parsed("default_action", "alert, deny or kill", default.default_action),
                errno: section.parsed("errno", errnos, default.errno),
            },
            actions: root.items("actions").iter().filter_map(|item| read_action(item, root)).collect(),
        }
    }
}

fn read_action(item: &Node, root: Section<'_>) -> Option<ActionEntry> {
    match serde_json::from_value(to_json(item)) {
        Ok(entry) => Some(entry),
        Err(error) => {
            let help = "an element has `action` and any of `rules: WILDCARD`, `tags: [..]` and `priority`";
            root.findings().problem(Finding::at(&item.place, format!("`actions`: {error}")).help(help));
            None
        }
    }
}

/// Every scalar becomes a string: no key of an action takes anything else.
fn to_json(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Scalar(text) => Value::String(text.clone()),
        Content::List(items) => items.iter().map(to_json).collect(),
        Content::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), to_json(&entry.value))).collect(),
    }
}
