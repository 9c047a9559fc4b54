// SPDX-License-Identifier: Apache-2.0
//! `lanner rules`: what the loaded rules are, all of them in short or one in full, as Falco's `-L` and `-l`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use policy::ResolvedAction;
use rules::{EventType, Load, LoadReport, Loader, did_you_mean};
use serde_json::Value;

use super::{
    error::CommandError,
    rule_files::{self, UnusableRules},
    text::write_entry,
};
use crate::{config::Config, in_force::InForce, node::line::escape_controls};

/// Column of the descriptions.
const DESCRIPTION: usize = 51;
/// Column of what is said about one rule.
const DETAILS: usize = 14;

/// More event types than anybody would read.
const MANY_EVENTS: usize = 100;

/// Which rules to describe.
#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    /// The rule to describe in full; all rules in short if none is given
    #[arg(conflicts_with = "all")]
    name: Option<String>,

    /// Describe all rules, as without NAME; Falco's spelling
    #[arg(short = 'L')]
    all: bool,

    /// Rule file or directory to load in place of the configuration's; may be repeated
    #[arg(short = 'r', long = "rules", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print Falco's JSON form: rules, macros and lists with everything that is known about them
    #[arg(long)]
    json: bool,
}

/// There is no such rule.
#[derive(Debug, thiserror::Error)]
#[error("rule `{name}` is not loaded{}", help.as_deref().unwrap_or_default())]
pub(crate) struct UnknownRule {
    name: String,
    help: Option<String>,
}

impl UnknownRule {
    /// With the name that was probably meant.
    pub(super) fn new(name: &str, loader: &Loader) -> Self {
        let help = did_you_mean(name, loader.rule_names()).map(|help| format!("; {help}"));
        Self { name: name.to_owned(), help }
    }
}

/// Prints what is asked for; rules that do not load are reported instead.
pub(super) fn run(config: &Config, arguments: &RulesArguments) -> Result<(), CommandError> {
    let loader = rule_files::load(config, &arguments.files)?;
    let description = match &arguments.name {
        None => Ok(loader.describe()),
        Some(name) => loader.describe_rule(name).ok_or_else(|| UnknownRule::new(name, &loader)),
    };
    let Load { ruleset, report } = loader.finish();
    refuse_errors(&report)?;
    let description = description?;
    let action_of = |name: &str| {
        let rule = ruleset.as_ref()?.rules().iter().find(|rule| rule.name() == name)?;
        Some(action(InForce::action_under(config, rule)))
    };
    let text = match &arguments.name {
        _ if arguments.json || config.outputs.format.json => format!("{description}\n"),
        None => overview(&description),
        Some(name) => rules_of(&description).map(|rule| details(rule, action_of(name))).collect(),
    };
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

/// Reports rules that do not load on standard error.
pub(super) fn refuse_errors(report: &LoadReport) -> Result<(), CommandError> {
    if report.is_ok() {
        return Ok(());
    }
    write!(io::stderr().lock(), "{report}")?;
    Err(UnusableRules.into())
}

fn rules_of(description: &Value) -> impl Iterator<Item = &Value> {
    description.get("rules").and_then(Value::as_array).into_iter().flatten()
}

fn overview(description: &Value) -> String {
    let mut out = String::new();
    write_entry(&mut out, "Rule", "Description", DESCRIPTION);
    write_entry(&mut out, "----", "-----------", DESCRIPTION);
    for rule in rules_of(description) {
        let state = if rule.pointer("/info/enabled") == Some(&Value::Bool(false)) { "(disabled) " } else { "" };
        let text = format!("{state}{}", text(rule, "/info/description"));
        write_entry(&mut out, &text_line(rule, "/info/name"), &text, DESCRIPTION);
    }
    out
}

/// Everything about one rule, in the order in which somebody would ask for it.
fn details(rule: &Value, action: Option<String>) -> String {
    let mut out = format!("{}\n", text_line(rule, "/info/name"));
    let enabled = rule.pointer("/info/enabled") == Some(&Value::Bool(true));
    let entries = [
        ("description", text(rule, "/info/description")),
        ("priority", text(rule, "/info/priority")),
        ("enabled", if enabled { "yes" } else { "no" }.to_owned()),
        ("action", action.unwrap_or_default()),
        ("tags", list(rule, "/info/tags")),
        ("events", events(rule)),
        ("condition", text(rule, "/info/condition")),
        ("compiled", text(rule, "/details/condition_compiled")),
        ("output", text(rule, "/details/output_compiled")),
        ("macros", list(rule, "/details/macros")),
        ("lists", list(rule, "/details/lists")),
        ("exceptions", list(rule, "/details/exception_names")),
        ("fields", list(rule, "/details/condition_fields")),
    ];
    for (name, text) in entries.iter().filter(|(_, text)| !text.is_empty()) {
        write_entry(&mut out, &format!("  {name}"), text, DETAILS);
    }
    out
}

/// What enforce mode does with a match, and who says so.
fn action(resolved: ResolvedAction) -> String {
    let by = if resolved.explicit { "assigned by the rule or `actions`" } else { "`enforce.default_action`" };
    format!("{} in enforce mode ({by})", resolved.action)
}

/// A text of a rule, with its lines.
fn text(rule: &Value, pointer: &str) -> String {
    let text = rule.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    text.lines().map(escape_controls).collect::<Vec<_>>().join("\n")
}

fn text_line(rule: &Value, pointer: &str) -> String {
    text(rule, pointer).replace('\n', " ")
}

/// The event types by name, unless they are so many that the condition does not really name them.
fn events(rule: &Value) -> String {
    let count = rule.pointer("/details/events").and_then(Value::as_array).map_or(0, Vec::len);
    if count > MANY_EVENTS {
        return format!("{count} of {} event types", EventType::all().count());
    }
    list(rule, "/details/events")
}

fn list(rule: &Value, pointer: &str) -> String {
    let items = rule.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let items: Vec<_> = items.filter_map(Value::as_str).map(escape_controls).collect();
    items.join(", ")
}
