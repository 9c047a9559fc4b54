// SPDX-License-Identifier: Apache-2.0
//! `lanner explain`: why a rule matches an event or does not, each check with the value it saw.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use rules::{EventType, Explanation, Field, Flags, Loader, Truth, did_you_mean};
use serde_json::Value;

use super::{
    error::CommandError,
    rule_files,
    rules::{UnknownRule, refuse_errors},
};
use crate::{
    alert::{Alert, INTERNAL_SOURCE},
    bounded,
    config::{Config, RuleMatching},
    node::log_reader::LogReader,
    recorded_event::{RecordedEvent, RecordedEventError},
};

/// An event takes some kilobytes; a longer text is something else by mistake.
const MAX_EVENT: u64 = 1 << 20;

/// What to explain.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The rule; an alert's own if none is given
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,

    /// JSON file with an alert, or an object of fields and values; `-` is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "last", conflicts_with = "last")]
    event: Option<PathBuf>,

    /// The last alert of the event log; with ID the last one whose id begins so
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "")]
    last: Option<String>,

    /// Rule file or directory to load in place of the configuration's; may be repeated
    #[arg(short = 'r', long = "rules", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read the event log")]
    Log(#[source] io::Error),
    #[error("there is no alert{} in the event log", beginning(.0))]
    NoAlert(String),
    #[error("no rule raised alert {id}, \"{rule}\": Lanner tells of itself with it")]
    Internal { id: String, rule: String },
    #[error(transparent)]
    Event(#[from] RecordedEventError),
    #[error("the event does not say which rule raised it: name one with `--rule`")]
    NoRule,
}

fn beginning(id: &str) -> String {
    if id.is_empty() { String::new() } else { format!(" whose id begins with `{id}`") }
}

/// Explains one rule with one event.
pub(super) fn run(config: &Config, arguments: &ExplainArguments) -> Result<(), CommandError> {
    let record = match (&arguments.event, &arguments.last) {
        (Some(path), _) => read(path)?,
        (None, id) => last_alert(&config.event_log, id.as_deref().unwrap_or_default())?,
    };
    let mut event = RecordedEvent::parse(&record).map_err(ExplainError::from)?;
    report_unknown_names(&event)?;
    let rule = arguments.rule.clone().or_else(|| event.rule.clone()).ok_or(ExplainError::NoRule)?;
    let loader = rule_files::load(config, &arguments.files)?;
    complete_type(&mut event, &rule, &loader);
    let explained = loader.explain(&rule, &event).ok_or_else(|| UnknownRule::new(&rule, &loader));
    let earlier = explained.as_ref().ok().and_then(|explained| earlier_match(explained, &event, &loader, config));
    refuse_errors(&loader.into_report())?;
    let explained = explained?;
    let text = if arguments.json || config.outputs.format.json {
        format!("{}\n", explained.to_json())
    } else {
        format!("{explained}{}", advice(&explained, earlier.as_deref()))
    };
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

fn read(path: &Path) -> Result<Vec<u8>, ExplainError> {
    let failed = |source| ExplainError::Read { path: path.to_owned(), source };
    let event = if path == Path::new("-") {
        bounded::read_all(io::stdin().lock(), MAX_EVENT)
    } else {
        bounded::read(path, MAX_EVENT)
    };
    event.map_err(failed)
}

/// The last alert about a call whose id begins with `id`.
fn last_alert(log: &Path, id: &str) -> Result<Vec<u8>, ExplainError> {
    let mut reader = LogReader::new(log, None);
    let mut found = Err(ExplainError::NoAlert(id.to_owned()));
    loop {
        let lines = reader.read().map_err(ExplainError::Log)?;
        if lines.is_empty() {
            return found;
        }
        for (alert, record) in lines.iter().filter_map(|line| Alert::parse_record(&line.bytes)) {
            if !alert.id.starts_with(id) {
                continue;
            }
            if alert.source != INTERNAL_SOURCE {
                found = Ok(record.to_vec());
            } else if found.is_err() && !id.is_empty() {
                found = Err(ExplainError::Internal { id: alert.id, rule: alert.rule });
            }
        }
    }
}

/// A misspelt field would look like one that the event does not have.
fn report_unknown_names(event: &RecordedEvent) -> io::Result<()> {
    for name in &event.unknown_names {
        let help = did_you_mean(name, Field::all().iter().map(|row| row.name));
        let help = help.map(|help| format!("; {help}")).unwrap_or_default();
        writeln!(io::stderr().lock(), "lanner: `{name}` is not a field, and is left out{help}")?;
    }
    Ok(())
}

/// An alert of a rule that is about one event type was raised by an event of that type.
fn complete_type(event: &mut RecordedEvent, rule: &str, loader: &Loader) {
    if event.has_type() || event.rule.as_deref() != Some(rule) {
        return;
    }
    let description = loader.describe_rule(rule);
    let types = description.as_ref().and_then(|found| found.pointer("/rules/0/details/events"));
    if let Some([only]) = types.and_then(Value::as_array).map(Vec::as_slice)
        && let Some(event_type) = only.as_str().and_then(EventType::from_name)
    {
        event.set_type(event_type);
    }
}

/// A rule before this one that takes its alert.
fn earlier_match(explained: &Explanation, event: &RecordedEvent, loader: &Loader, config: &Config) -> Option<String> {
    if config.rules.matching == RuleMatching::All || explained.truth() == Truth::False {
        return None;
    }
    let before = loader.rule_names().take_while(|name| *name != explained.rule());
    let mut matching = before.filter(|name| {
        let other = loader.explain(name, event);
        other.is_some_and(|other| other.is_enabled() && other.truth() == Truth::True)
    });
    matching.next().map(str::to_owned)
}

/// What to do about an explanation that leaves something open.
fn advice(explained: &Explanation, earlier: Option<&str>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    if let Some(name) = earlier {
        writeln!(text, "note: `{name}` comes before and matches as well; with `rule_matching: first` it alone alerts")
            .unwrap_or_default();
    }
    let unknown = explained.unknown_fields();
    if unknown.is_empty() {
        return text;
    }
    let listed = |names: &[&str]| names.join(", ");
    let unknown: Vec<_> = unknown.into_iter().collect();
    writeln!(text, "note: not known of this event: {}", listed(&unknown)).unwrap_or_default();
    let can_be_printed = |name: &&&str| Field::parse(name).is_some_and(|(row, ..)| !row.flags.has(Flags::FILTER_ONLY));
    let printed: Vec<_> = unknown.iter().filter(can_be_printed).copied().collect();
    if !printed.is_empty() {
        let rule = Value::from(explained.rule());
        let fields: Vec<_> = printed.iter().map(|name| Value::from(*name).to_string()).collect();
        writeln!(
            text,
            "help: alerts hold the fields that their outputs name; to have these in later alerts, configure\n  append_output: [{{match: {{rule: {rule}}}, extra_fields: [{}]}}]",
            fields.join(", ")
        )
        .unwrap_or_default();
    }
    text
}
