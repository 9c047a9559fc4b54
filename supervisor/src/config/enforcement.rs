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
    /// Whose arguments are made sure of.
    pub(crate) verify: Verify,
    /// What becomes of execs whose task somebody else traces.
    pub(crate) traced_execs: TracedExecs,
}

/// What becomes of the execs of a task that another one of its container traces, where a rule could deny one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TracedExecs {
    /// Those go on that are allowed; the kernel holds their programs until they were looked at, or they fail.
    #[default]
    Hold,
    /// Those go on that are allowed, and what they have loaded is looked at as soon as it is there.
    Allow,
    /// They fail.
    Deny,
}

impl std::str::FromStr for TracedExecs {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "hold" => Ok(Self::Hold),
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err(UnknownWord),
        }
    }
}

/// For which calls Lanner makes sure that what the kernel does is what the rules saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Verify {
    /// For none, but for opens that a rule could deny.
    Off,
    /// For execs too: the program that was loaded is judged again before it runs.
    #[default]
    Exec,
    /// For execs and all opens that a rule is about, also in audit mode.
    All,
}

impl std::str::FromStr for Verify {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "exec" => Ok(Self::Exec),
            "all" => Ok(Self::All),
            _ => Err(UnknownWord),
        }
    }
}

/// The text is none of the words.
#[derive(Debug)]
pub(crate) struct UnknownWord;

impl Enforcement {
    pub(super) fn read(root: Section<'_>) -> Self {
        let section = root.section("enforce");
        let default = Enforce::default();
        let errnos = "one of EPERM, ENOENT, EIO, EACCES, EROFS and ENOSYS";
        let verify = root.parsed("verify", "off, exec or all", Verify::default());
        let traced_execs = section.parsed("traced_execs", "hold, allow or deny", TracedExecs::default());
        if verify == Verify::Off && traced_execs == TracedExecs::Deny {
            let message =
                "`enforce.traced_execs: deny` needs `verify: exec` or `all`, which find out that a task is traced";
            section.findings().problem(section.finding("traced_execs", message));
        }
        Self {
            enforce: Enforce {
                default_action: section.parsed("default_action", "alert, deny or kill", default.default_action),
                errno: section.parsed("errno", errnos, default.errno),
            },
            traced_execs,
            verify,
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
