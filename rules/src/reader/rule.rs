// SPDX-License-Identifier: Apache-2.0
//! Rules: full definitions, overrides, and the two old forms of changing an earlier rule.

use std::collections::BTreeSet;

use super::{
    Read,
    exception::exceptions,
    item::{APPEND_DEPRECATED, Item, OVERRIDE_AND_APPEND, Operation, RuleParts, named, overrides, warn_unknown_keys},
    value::{boolean, invalid, number, optional, optional_items, required},
};
use crate::{
    diagnostic::{Code, Context, Diagnostic},
    source::Text,
    yaml::{Content, Node},
};

const APPENDABLE: &[&str] = &["condition", "output", "desc", "tags", "exceptions"];
const REPLACEABLE: &[&str] = &[
    "condition",
    "output",
    "desc",
    "tags",
    "exceptions",
    "priority",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
    "action",
];
const KNOWN: &[&str] = &[
    "rule",
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "tags",
    "exceptions",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
    "append",
    "override",
    "action",
];
/// A full definition has all of these.
const REQUIRED: &[&str] = &["condition", "output", "desc", "priority"];

pub(super) fn read(node: &Node, file: &Context, warnings: &mut Vec<Diagnostic>) -> Read<Item> {
    let (name, context) = named(node, "rule", file)?;
    let append = boolean(node, "append", &context)?.unwrap_or(false);
    if append {
        warnings.push(Diagnostic::new(Code::DeprecatedItem, APPEND_DEPRECATED, &context));
    }
    let overrides = overrides(node, APPENDABLE, REPLACEABLE, &context)?;
    if append && !overrides.is_empty() {
        return Err(invalid(OVERRIDE_AND_APPEND, &context));
    }
    warn_unknown_keys(node, KNOWN, &context, warnings);
    let mut reader = RuleReader { node, context: &context, warnings };
    if !overrides.is_empty() {
        let (source, appended, replaced) = reader.overrides(&overrides)?;
        return Ok(Item::RuleUpdate { name, source, append: appended, replace: replaced, context });
    }
    if append {
        let mut parts = RuleParts::default();
        for key in ["condition", "exceptions"] {
            reader.part(key, true, &mut parts)?;
        }
        let source = reader.source()?;
        return Ok(Item::RuleUpdate { name, source, append: Some(Box::new(parts)), replace: None, context });
    }
    if REQUIRED.iter().all(|key| node.get(key).is_none()) {
        required(node, "enabled", &context)?;
        let enabled = boolean(node, "enabled", &context)?.unwrap_or(true);
        let message = "The standalone 'enabled' key usage is deprecated. The correct approach requires also a 'replace' entry under the 'override' key (i.e. 'enabled: replace').";
        reader.warnings.push(Diagnostic::new(Code::DeprecatedItem, message, &context));
        return Ok(Item::RuleToggle { name, enabled, context });
    }
    let parts = Box::new(reader.definition()?);
    Ok(Item::Rule { name, parts, context })
}

struct RuleReader<'a> {
    node: &'a Node,
    context: &'a Context,
    warnings: &'a mut Vec<Diagnostic>,
}

type Update = (Option<String>, Option<Box<RuleParts>>, Option<Box<RuleParts>>);

impl RuleReader<'_> {
    fn definition(&mut self) -> Read<RuleParts> {
        for key in REQUIRED {
            required(self.node, key, self.context)?;
        }
        let mut parts = RuleParts { source: self.source()?, ..RuleParts::default() };
        for key in REPLACEABLE {
            self.part(key, false, &mut parts)?;
        }
        Ok(parts)
    }

    fn overrides(&mut self, overrides: &[(String, Operation)]) -> Read<Update> {
        let (mut append, mut replace) = (None, None);
        for wanted in [Operation::Append, Operation::Replace] {
            for (key, operation) in overrides.iter().filter(|(_, operation)| *operation == wanted) {
                let (word, parts) = match operation {
                    Operation::Append => ("append", &mut append),
                    Operation::Replace => ("replace", &mut replace),
                };
                if self.node.get(key).is_none() {
                    let message = format!("An {word} override for '{key}' was specified but '{key}' is not defined");
                    return Err(invalid(message, self.context));
                }
                let parts = parts.get_or_insert_with(Box::<RuleParts>::default);
                self.part(key, *operation == Operation::Append, parts)?;
            }
        }
        let overridden: BTreeSet<_> = overrides.iter().map(|(key, _)| key.as_str()).collect();
        let mut keys: Vec<_> = REPLACEABLE.iter().filter(|key| !overridden.contains(**key)).collect();
        keys.sort();
        for key in keys {
            if let Some(value) = self.node.get(key) {
                let message = format!("Unexpected key '{key}': no corresponding entry under 'override' is defined.");
                return Err(invalid(message, &self.context.item("overrides", key, &value.location)));
            }
        }
        Ok((self.source()?, append, replace))
    }

    /// Reads one key into the parts, if the item has it.
    fn part(&mut self, key: &str, append: bool, parts: &mut RuleParts) -> Read<()> {
        let (node, context) = (self.node, self.context);
        match key {
            "condition" => parts.condition = optional(node, key, context)?,
            "output" => parts.output = optional(node, key, context)?,
            "desc" => parts.description = optional(node, key, context)?.map(|value| value.text),
            "tags" => {
                let tags = optional_items(node, key, context)?;
                parts.tags = tags.map(|tags| tags.iter().map(|tag| tag.as_str().to_owned()).collect());
            }
            "exceptions" => parts.exceptions = exceptions(node, context, append, self.warnings)?,
            "priority" => parts.priority = self.word(key, "rule priority", "Invalid priority")?,
            "action" => parts.action = self.word(key, "rule action", "Invalid action")?,
            "enabled" => parts.enabled = boolean(node, key, context)?,
            "warn_evttypes" => parts.warn_event_types = boolean(node, key, context)?,
            "skip-if-unknown-filter" => parts.skip_if_unknown_filter = boolean(node, key, context)?,
            "capture" => parts.capture = boolean(node, key, context)?,
            "capture_duration" => parts.capture_duration = number(node, key, context)?,
            _ => {}
        }
        Ok(())
    }

    /// A word of a fixed set.
    fn word<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        key: &str,
        item_type: &'static str,
        message: &str,
    ) -> Read<Option<T>> {
        let Some(value) = optional(self.node, key, self.context)? else { return Ok(None) };
        let context = self.context.item(item_type, "", &value.location);
        match value.text.as_str().parse() {
            Ok(word) => Ok(Some(word)),
            Err(error) => {
                Err(invalid(message, &context).with_help(Some(format!("`{}` is {error}", value.text.as_str()))))
            }
        }
    }

    /// *Falco:* the source may be empty or null, which is the same as leaving it out.
    fn source(&self) -> Read<Option<String>> {
        match self.node.get("source").map(|value| &value.content) {
            None | Some(Content::Null) => Ok(None),
            Some(Content::Scalar(text)) if text.is_empty() => Ok(None),
            Some(Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_)) => {
                let source = required(self.node, "source", self.context)?.text;
                Ok(Some(Text::as_str(&source).to_owned()))
            }
        }
    }
}
