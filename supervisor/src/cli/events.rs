// SPDX-License-Identifier: Apache-2.0
//! `lanner events`: every event type that conditions may name, as Falco's `--list-events`.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use clap::Args;
use policy::{is_base, watchable};
use rules::{EventCategory, EventType};
use serde_json::{Map, Value, json};

use super::text::write_entry;
use crate::decode::replaced_types;

/// Column of an event's parameters.
const PARAMETERS: usize = 26;

/// The version of the event table in Falco 0.44.1.
const SCHEMA_VERSION: &str = "4.3.0";

/// *Falco's* titles in its order.
const CATEGORIES: [(EventCategory, &str); 4] = [
    (EventCategory::Syscall, "Syscall events"),
    (EventCategory::Tracepoint, "Tracepoint events"),
    (EventCategory::Plugin, "Plugin events"),
    (EventCategory::Meta, "Metaevents"),
];

/// How to print.
#[derive(Debug, Args)]
pub(super) struct EventsArguments {
    /// Print a table in Markdown for each category
    #[arg(long, conflicts_with = "json")]
    markdown: bool,

    /// Print Falco's JSON form, and when each event is watched
    #[arg(long)]
    json: bool,
}

/// Prints the event types with the parameters that `evt.arg` knows, and whether rules on them can match.
pub(super) fn run(arguments: &EventsArguments) -> io::Result<()> {
    let text = if arguments.json {
        let categories = CATEGORIES.into_iter().map(|(category, title)| (title.to_owned(), json_events(category)));
        let mut root: Map<_, _> = categories.collect();
        root.insert("schema_version".to_owned(), json!(SCHEMA_VERSION));
        format!("{:#}\n", Value::Object(root))
    } else {
        let category = if arguments.markdown { markdown_category } else { text_category };
        CATEGORIES.map(|(known, title)| category(known, title)).join("\n")
    };
    io::stdout().lock().write_all(text.as_bytes())
}

/// When Lanner sees events of a type, or which other type they have.
fn watched(event_type: EventType) -> String {
    let text = match replaced_types().find(|(named, _)| *named == event_type) {
        Some((_, reported)) => return format!("as {}", reported.name()),
        None if is_base(event_type.name()) => "always",
        None if watchable().contains(event_type) => "on demand",
        None => "NEVER",
    };
    text.to_owned()
}

/// Whether there are events of a type.
fn is_available(event_type: EventType) -> bool {
    watchable().contains(event_type) && replaced_types().all(|(named, _)| named != event_type)
}

fn events(category: EventCategory) -> impl Iterator<Item = EventType> {
    EventType::all().filter(move |event_type| event_type.description().category == category)
}

fn parameters(event_type: EventType, separator: &str) -> String {
    let parameters = event_type.description().parameters.iter();
    parameters.map(|known| format!("{} {}", known.value_type.name(), known.name)).collect::<Vec<_>>().join(separator)
}

fn text_category(category: EventCategory, title: &str) -> String {
    let mut out = format!("{title}\n");
    for event_type in events(category) {
        let text = format!("[{}] {}", watched(event_type), parameters(event_type, ", "));
        write_entry(&mut out, &format!("  {}", event_type.name()), &text, PARAMETERS);
    }
    out
}

fn markdown_category(category: EventCategory, title: &str) -> String {
    let mut out = format!("## {title}\n\n| event | watched | parameters |\n|---|---|---|\n");
    for event_type in events(category) {
        let (name, parameters) = (event_type.name(), parameters(event_type, ", "));
        // Writing to a string cannot fail.
        writeln!(out, "| `{name}` | {} | {parameters} |", watched(event_type)).unwrap_or_default();
    }
    out
}

/// *Falco's* members, and `watched`. Rules see finished calls, whose direction is `<`.
fn json_events(category: EventCategory) -> Value {
    let described = |event_type: EventType| {
        let parameters = event_type.description().parameters.iter();
        let parameters = parameters.map(|known| json!({ "name": known.name, "type": known.value_type.name() }));
        json!({
            "available": is_available(event_type),
            "dir": "<",
            "name": event_type.name(),
            "params": parameters.collect::<Vec<_>>(),
            "watched": watched(event_type).to_lowercase(),
        })
    };
    events(category).map(described).collect()
}
