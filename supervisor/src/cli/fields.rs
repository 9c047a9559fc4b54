// SPDX-License-Identifier: Apache-2.0
//! `lanner fields`: every field that conditions and outputs may use, as Falco's `--list`.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use clap::Args;
use rules::{ArgumentRule, Description, Field, FieldClass, Flags, Type};
use serde_json::{Value, json};

use super::text::write_entry;

/// Column of what is said about a field.
const DESCRIPTION: usize = 34;

/// How to print.
#[derive(Debug, Args)]
pub(super) struct FieldsArguments {
    /// Print a table in Markdown for each class
    #[arg(long, conflicts_with = "json")]
    markdown: bool,

    /// Print Falco's JSON form, and how each field is known
    #[arg(long)]
    json: bool,

    /// Print the names alone
    #[arg(short = 'N', long)]
    names: bool,
}

/// Prints the fields. Those that exist in name only are marked: every comparison with them is false.
pub(super) fn run(arguments: &FieldsArguments) -> io::Result<()> {
    let text = match arguments {
        FieldsArguments { names: true, json: true, .. } => {
            let names: Vec<_> = listed().map(|row| row.name).collect();
            format!("{:#}\n", json!({ "fieldnames": names }))
        }
        FieldsArguments { names: true, .. } => listed().fold(String::new(), |out, row| out + row.name + "\n"),
        FieldsArguments { json: true, .. } => {
            let classes: Vec<_> = classes().into_iter().map(|(class, rows)| json_class(class, &rows)).collect();
            format!("{:#}\n", json!({ "fieldclasses": classes }))
        }
        FieldsArguments { markdown: true, .. } => joined(markdown_class),
        FieldsArguments { .. } => joined(text_class),
    };
    io::stdout().lock().write_all(text.as_bytes())
}

/// *Falco:* fields that only its own tables use, and deprecated ones, are not shown.
fn listed() -> impl Iterator<Item = &'static Description> {
    let hidden = |row: &Description| row.flags.has(Flags::TABLE_ONLY) || row.flags.has(Flags::DEPRECATED);
    Field::all().iter().filter(move |row| !hidden(row))
}

type Class = (&'static FieldClass, Vec<&'static Description>);

/// The classes in order, each with its fields.
fn classes() -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::new();
    for row in listed() {
        let class = row.field.class();
        match classes.iter_mut().find(|(known, _)| *known == class) {
            Some((_, rows)) => rows.push(row),
            None => classes.push((class, vec![row])),
        }
    }
    classes
}

fn joined(class: fn(&FieldClass, &[&Description]) -> String) -> String {
    classes().into_iter().map(|(known, rows)| class(known, &rows)).collect::<Vec<_>>().join("\n")
}

fn text_class(class: &FieldClass, rows: &[&Description]) -> String {
    let mut out = String::new();
    write_entry(&mut out, class.name, class.doc, DESCRIPTION);
    for row in rows {
        let marks = match marks(row) {
            marks if marks.is_empty() => String::new(),
            marks => format!(" [{}]", marks.join(", ")),
        };
        let text = format!("{}{marks} {}", type_name(row), row.doc);
        write_entry(&mut out, &format!("  {}{}", row.name, argument(row.argument)), &text, DESCRIPTION);
    }
    out
}

fn markdown_class(class: &FieldClass, rows: &[&Description]) -> String {
    let head = "| field | type | | description |\n|---|---|---|---|\n";
    let mut out = format!("## {}\n\n{}\n\n{head}", class.name, class.doc);
    for row in rows {
        let (name, marks) = (format!("{}{}", row.name, argument(row.argument)), marks(row).join(", "));
        // Writing to a string cannot fail.
        writeln!(out, "| `{name}` | {} | {marks} | {} |", type_name(row), row.doc).unwrap_or_default();
    }
    out
}

/// *Falco's* members, and `availability` and `filled`.
fn json_class(class: &FieldClass, rows: &[&Description]) -> Value {
    let field = |row: &&Description| {
        json!({
            "argument": json_argument(row.argument),
            "availability": row.availability.name(),
            "desc": row.doc,
            "filled": row.availability.absence().is_none(),
            "is_list": row.value_type == Type::TextList,
            "name": row.name,
            "type": row.value_type.name(),
        })
    };
    let fields: Vec<_> = rows.iter().map(field).collect();
    json!({ "desc": class.doc, "event_sources": ["syscall"], "fields": fields, "name": class.name })
}

fn json_argument(rule: ArgumentRule) -> Value {
    let (required, kinds): (bool, &[&str]) = match rule {
        ArgumentRule::Unused => return Value::Null,
        ArgumentRule::Optional => (false, &[]),
        ArgumentRule::Required => (true, &[]),
        ArgumentRule::Key => (true, &["KEY"]),
        ArgumentRule::IndexOrKey => (true, &["INDEX", "KEY"]),
    };
    json!({ "required": required, "type": kinds })
}

/// The brackets that may or must follow a name.
fn argument(rule: ArgumentRule) -> &'static str {
    match rule {
        ArgumentRule::Unused => "",
        ArgumentRule::Optional => "[[..]]",
        ArgumentRule::Required => "[..]",
        ArgumentRule::Key => "[KEY]",
        ArgumentRule::IndexOrKey => "[INDEX|KEY]",
    }
}

fn type_name(row: &Description) -> String {
    let name = row.value_type.name();
    if row.value_type == Type::TextList { format!("LIST({name})") } else { name.to_owned() }
}

/// What is special about a field.
fn marks(row: &Description) -> Vec<String> {
    let flags = [
        (Flags::FILTER_ONLY, "conditions only"),
        (Flags::PRINT_ONLY, "outputs only"),
        (Flags::NO_RHS, "not in val()"),
        (Flags::NO_TRANSFORMER, "no transformers"),
    ];
    let restrictions = flags.into_iter().filter(|(flag, _)| row.flags.has(*flag)).map(|(_, mark)| mark.to_owned());
    row.availability.absence().map(|reason| format!("NEVER FILLED: {reason}")).into_iter().chain(restrictions).collect()
}
