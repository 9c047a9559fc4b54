// SPDX-License-Identifier: Apache-2.0
//! Top-level items: engine and plugin versions, lists and macros; rules have a file of their own.

use std::collections::BTreeSet;

use super::{
    Read, rule,
    value::{boolean, invalid, required, required_items, scalar},
};
use crate::{
    Action, Priority,
    condition::is_space,
    definitions::{Exception, Located, PluginRequirement, Version},
    diagnostic::{Code, Context, Diagnostic},
    source::{Location, Text},
    suggestion::did_you_mean,
    yaml::{Content, Node},
};

/// What an item of a file asks for.
#[derive(Debug)]
pub(crate) enum Item {
    EngineVersion {
        required: Version,
        context: Context,
    },
    Plugins(Vec<PluginRequirement>),
    List {
        name: String,
        items: Vec<Text>,
        change: Change,
        context: Context,
    },
    Macro {
        name: String,
        condition: Located,
        change: Change,
        context: Context,
    },
    /// A full definition.
    Rule {
        name: String,
        parts: Box<RuleParts>,
        context: Context,
    },
    /// Appends, then replacements.
    RuleUpdate {
        name: String,
        source: Option<String>,
        append: Option<Box<RuleParts>>,
        replace: Option<Box<RuleParts>>,
        context: Context,
    },
    /// The old form: only `enabled`.
    RuleToggle {
        name: String,
        enabled: bool,
        context: Context,
    },
}

/// Whether an item stands for itself or adds to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Define,
    Append,
}

/// Keys of a rule, each if it was given.
#[derive(Debug, Default)]
pub(crate) struct RuleParts {
    pub(crate) condition: Option<Located>,
    pub(crate) output: Option<Located>,
    pub(crate) description: Option<Text>,
    pub(crate) priority: Option<Priority>,
    pub(crate) source: Option<String>,
    pub(crate) tags: Option<BTreeSet<String>>,
    pub(crate) exceptions: Option<Vec<Exception>>,
    pub(crate) enabled: Option<bool>,
    pub(crate) warn_event_types: Option<bool>,
    pub(crate) skip_if_unknown_filter: Option<bool>,
    pub(crate) capture: Option<bool>,
    pub(crate) capture_duration: Option<u32>,
    pub(crate) action: Option<Action>,
}

/// *Falco's* advice on the old `append` key.
pub(super) const APPEND_DEPRECATED: &str =
    "'append' key is deprecated. Add an 'append' entry (e.g. 'condition: append') under 'override' instead.";
pub(super) const OVERRIDE_AND_APPEND: &str = "Keys 'override' and 'append: true' cannot be used together. Add an 'append' entry (e.g. 'condition: append') under 'override' instead.";

/// The names of the items that an unreadable node would have defined.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) name: Option<String>,
    pub(crate) diagnostic: Diagnostic,
}

/// Reads one item; nothing if it is of no known kind.
pub(crate) fn read(node: &Node, file: &Context, warnings: &mut Vec<Diagnostic>) -> Result<Option<Item>, Unreadable> {
    if !matches!(node.content, Content::Mapping(_)) {
        let context = file.item("rules content item", "", &node.location);
        let message = "Unexpected element type. Each element should be a yaml associative array.";
        return Err(Unreadable { name: None, diagnostic: invalid(message, &context) });
    }
    let defines = ["list", "macro"].iter().find_map(|key| node.get(key)?.text()).map(str::to_owned);
    read_mapping(node, file, warnings).map_err(|diagnostic| Unreadable { name: defines, diagnostic })
}

fn read_mapping(node: &Node, file: &Context, warnings: &mut Vec<Diagnostic>) -> Read<Option<Item>> {
    // *Falco:* the first of these keys that an item has says what it is.
    if node.get("required_engine_version").is_some() {
        return engine_version(node, file, warnings).map(Some);
    }
    if node.get("required_plugin_versions").is_some() {
        return plugins(node, file, warnings).map(Some);
    }
    if node.get("list").is_some() {
        return list(node, file, warnings).map(Some);
    }
    if node.get("macro").is_some() {
        return macro_item(node, file, warnings).map(Some);
    }
    if node.get("rule").is_some() {
        return rule::read(node, file, warnings).map(Some);
    }
    let context = file.item("rules content item", "", &node.location);
    warnings.push(Diagnostic::new(Code::UnknownItem, "Unknown top level item", &context));
    Ok(None)
}

fn engine_version(node: &Node, file: &Context, warnings: &mut Vec<Diagnostic>) -> Read<Item> {
    let context = file.item("required_engine_version", "", &node.location);
    warn_unknown_keys(node, &["required_engine_version"], &context, warnings);
    let text = required(node, "required_engine_version", &context)?.text;
    let required = match text.as_str().parse() {
        Ok(minor) => Some(Version::new(0, minor, 0)),
        Err(_) => Version::parse(text.as_str()),
    };
    if let Some(required) = required {
        return Ok(Item::EngineVersion { required, context });
    }
    let shown = text.as_str();
    let message =
        format!("Unable to parse engine version '{shown}' as a semver string. Expected \"x.y.z\" semver format.");
    Err(invalid(message, &context))
}

fn plugins(node: &Node, file: &Context, warnings: &mut Vec<Diagnostic>) -> Read<Item> {
    let context = file.item("required_plugin_versions", "", &node.location);
    warn_unknown_keys(node, &["required_plugin_versions"], &context, warnings);
    let Some(Content::Sequence(entries)) = node.get("required_plugin_versions").map(|value| &value.content) else {
        return Err(invalid("Value of required_plugin_versions must be a sequence", &context));
    };
    let mut requirements = Vec::new();
    for entry in entries {
        let context = context.item("required_plugin_versions entry", "", &entry.location);
        let mut alternatives = vec![plugin(entry, &context)?];
        if let Some(others) = entry.get("alternatives") {
            let Content::Sequence(others) = &others.content else {
                return Err(invalid("Value of plugin version alternatives must be a sequence", &context));
            };
            for other in others {
                let context = context.item("required_plugin_versions alternative", "", &other.location);
                alternatives.push(plugin(other, &context)?);
            }
        }
        let names: BTreeSet<_> = alternatives.iter().map(|(name, _)| name).collect();
        if names.len() < alternatives.len() {
            let message = "Defined multiple versions requirement for the same plugin";
            return Err(Diagnostic::new(Code::Validate, message, &context));
        }
        requirements.push(PluginRequirement { alternatives, context });
    }
    Ok(Item::Plugins(requirements))
}

fn plugin(node: &Node, context: &Context) -> Read<(String, Version)> {
    let name = required(node, "name", context)?.text;
    let version = required(node, "version", context)?.text;
    if let Some(version) = Version::parse(version.as_str()) {
        return Ok((name.as_str().to_owned(), version));
    }
    let message = format!("Invalid required version '{}' for plugin '{}'", version.as_str(), name.as_str());
    Err(Diagnostic::new(Code::Validate, message, context))
}

fn list(node: &Node, file: &Context, warnings: &mut Vec<Diagnostic>) -> Read<Item> {
    let (name, context) = named(node, "list", file)?;
    let delimits = |c: char| is_space(c) || matches!(c, '(' | ')' | '"' | '\'' | '=' | ',');
    if name.contains(delimits) {
        let message = "List has an invalid name. List names should match a regular expression: ([^()\"'[:space:]=,]+)";
        warnings.push(Diagnostic::new(Code::InvalidListName, message, &context));
    }
    let change = change(node, "items", &context, warnings)?;
    let items = required_items(node, "items", &context)?;
    warn_unknown_keys(node, &["list", "items", "append", "override"], &context, warnings);
    Ok(Item::List { name, items, change, context })
}

fn macro_item(node: &Node, file: &Context, warnings: &mut Vec<Diagnostic>) -> Read<Item> {
    let (name, context) = named(node, "macro", file)?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts || name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        let message =
            "Macro has an invalid name. Macro names should match a regular expression: ([a-zA-Z]+[a-zA-Z0-9_]*)";
        warnings.push(Diagnostic::new(Code::InvalidMacroName, message, &context));
    }
    let change = change(node, "condition", &context, warnings)?;
    let condition = required(node, "condition", &context)?;
    warn_unknown_keys(node, &["macro", "condition", "append", "override"], &context, warnings);
    Ok(Item::Macro { name, condition, change, context })
}

/// The name of an item, and the context that carries it.
pub(super) fn named(node: &Node, kind: &'static str, file: &Context) -> Read<(String, Context)> {
    let Located { text, location } = required(node, kind, &file.item(kind, "", &node.location))?;
    let name = text.as_str().to_owned();
    // A mapping is a point; what is underlined reaches to its name.
    let span = node.location.span.start..location.span.end.max(node.location.span.end);
    let context = file.item(kind, &name, &Location { span, ..node.location.clone() });
    Ok((name, context))
}

/// Whether a list or macro is appended to; its one key may be overridden either way.
fn change(node: &Node, key: &'static str, context: &Context, warnings: &mut Vec<Diagnostic>) -> Read<Change> {
    let append = boolean(node, "append", context)?.unwrap_or(false);
    if append {
        warnings.push(Diagnostic::new(Code::DeprecatedItem, APPEND_DEPRECATED, context));
    }
    let overrides = overrides(node, &[key], &[key], context)?;
    if append && !overrides.is_empty() {
        return Err(invalid(OVERRIDE_AND_APPEND, context));
    }
    let appends = append || overrides.iter().any(|(_, operation)| *operation == Operation::Append);
    Ok(if appends { Change::Append } else { Change::Define })
}

/// What an entry of `override` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Append,
    Replace,
}

/// The entries of `override`.
pub(super) fn overrides(
    node: &Node,
    appendable: &[&str],
    replaceable: &[&str],
    context: &Context,
) -> Read<Vec<(String, Operation)>> {
    let Some(value) = node.get("override") else { return Ok(Vec::new()) };
    // *Falco:* the context of the mapping is that of the item.
    let outer = context.item("overrides", "", &node.location);
    if !matches!(value.content, Content::Mapping(_)) {
        return Err(invalid("Value of 'override' must be a mapping", &outer));
    }
    let mut found = Vec::new();
    for (key, operation) in value.entries() {
        let name = key.text().unwrap_or_default();
        let context = outer.item("overrides", name, &key.location);
        let (operation, allowed, remedy) = match operation.text() {
            Some("append") => (Operation::Append, appendable, "appended to, use 'replace' instead"),
            Some("replace") => (Operation::Replace, replaceable, "replaced"),
            other => {
                let message = format!(
                    "Invalid override operation for key '{name}': '{}'. Allowed values are 'append' and 'replace'",
                    other.unwrap_or_default()
                );
                return Err(invalid(message, &context));
            }
        };
        if !allowed.contains(&name) {
            let remedy = if replaceable.contains(&name) { remedy } else { remedy.split(',').next().unwrap_or(remedy) };
            let help = did_you_mean(name, replaceable.iter().copied());
            return Err(invalid(format!("Key '{name}' cannot be {remedy}"), &context).with_help(help));
        }
        found.push((name.to_owned(), operation));
    }
    Ok(found)
}

/// Warns about keys that an item of this kind does not have.
pub(super) fn warn_unknown_keys(node: &Node, known: &[&str], context: &Context, warnings: &mut Vec<Diagnostic>) {
    for (key, _) in node.entries() {
        let Some(name) = scalar(key).map(Text::as_str).filter(|name| !known.contains(name)) else { continue };
        let message = format!("Unknown key '{name}'. The key will be ignored.");
        let help = did_you_mean(name, known.iter().copied());
        let origin = key.location.clone();
        warnings.push(Diagnostic::new(Code::UnknownKey, message, context).at(origin).with_help(help));
    }
}
