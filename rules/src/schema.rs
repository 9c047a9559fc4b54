// SPDX-License-Identifier: Apache-2.0
//! The shape that Falco's JSON schema asks of rules files. It is only a remark in load results: what the schema refuses may
//! load, and the other way round.
//!
//! *Falco:* one list of keys for all kinds of items, priorities in capitals, and any scalar is a text.

use crate::{
    Action,
    source::Location,
    yaml::{Content, Node},
};

/// What a value must be.
enum Shape {
    Any,
    Text,
    Flag,
    Integer,
    /// One of some words.
    Word(&'static [&'static str]),
    List(&'static Self),
    Object {
        keys: &'static [(&'static str, Self)],
        required: &'static [&'static str],
    },
}

const PRIORITIES: Shape =
    Shape::Word(&["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "INFORMATIONAL", "DEBUG"]);
const ACTIONS: Shape = Shape::Word(&[Action::Alert.as_str(), Action::Deny.as_str(), Action::Kill.as_str()]);
const OVERRIDDEN: Shape = Shape::Word(&["append", "replace"]);

static VERSION: Shape =
    Shape::Object { keys: &[("name", Shape::Text), ("version", Shape::Text)], required: &["name", "version"] };
static REQUIREMENT: Shape = Shape::Object {
    keys: &[("name", Shape::Text), ("version", Shape::Text), ("alternatives", Shape::List(&VERSION))],
    required: &["name", "version"],
};
static EXCEPTION: Shape = Shape::Object {
    keys: &[("name", Shape::Text), ("fields", Shape::Any), ("comps", Shape::Any), ("values", Shape::Any)],
    required: &["name"],
};
const OVERRIDE: Shape = Shape::Object {
    keys: &[
        ("items", OVERRIDDEN),
        ("desc", OVERRIDDEN),
        ("condition", OVERRIDDEN),
        ("output", OVERRIDDEN),
        ("priority", OVERRIDDEN),
        ("enabled", OVERRIDDEN),
        ("exceptions", OVERRIDDEN),
        ("capture", OVERRIDDEN),
        ("capture_duration", OVERRIDDEN),
        ("tags", OVERRIDDEN),
        ("warn_evttypes", OVERRIDDEN),
        ("skip-if-unknown-filter", OVERRIDDEN),
        ("action", OVERRIDDEN),
    ],
    required: &[],
};
static ITEM: Shape = Shape::Object {
    keys: &[
        ("required_engine_version", Shape::Text),
        ("required_plugin_versions", Shape::List(&REQUIREMENT)),
        ("list", Shape::Text),
        ("items", Shape::List(&Shape::Text)),
        ("macro", Shape::Text),
        ("rule", Shape::Text),
        ("desc", Shape::Text),
        ("condition", Shape::Text),
        ("output", Shape::Text),
        ("priority", PRIORITIES),
        ("source", Shape::Text),
        ("enabled", Shape::Flag),
        ("tags", Shape::List(&Shape::Text)),
        ("exceptions", Shape::List(&EXCEPTION)),
        ("warn_evttypes", Shape::Flag),
        ("skip-if-unknown-filter", Shape::Flag),
        ("capture", Shape::Flag),
        ("capture_duration", Shape::Integer),
        ("append", Shape::Flag),
        ("override", OVERRIDE),
        // Lanner's own.
        ("action", ACTIONS),
    ],
    required: &[],
};
static FILE: Shape = Shape::List(&ITEM);

/// Adds what a document has in another shape; paths are Falco's, `<root>[0][priority]`.
pub(crate) fn check(document: &Node, found: &mut Vec<String>) {
    check_value(document, &FILE, "<root>", found);
}

fn check_value(node: &Node, shape: &Shape, path: &str, found: &mut Vec<String>) {
    let mut fail = |what: &str| found.push(format!("failed for {path}: {what}"));
    match (shape, &node.content) {
        (Shape::Any, _) | (Shape::Text, Content::Scalar(_)) => {}
        (Shape::Text, _) => fail("the value must be a text"),
        (Shape::Flag, Content::Scalar(text)) if is_flag(text.as_str()) && !is_quoted(node) => {}
        (Shape::Flag, _) => fail("the value must be true or false"),
        (Shape::Integer, Content::Scalar(text)) if text.as_str().parse::<i64>().is_ok() && !is_quoted(node) => {}
        (Shape::Integer, _) => fail("the value must be an integer"),
        (Shape::Word(words), Content::Scalar(text)) if words.contains(&text.as_str()) => {}
        (Shape::Word(words), _) => fail(&format!("the value must be one of {}", words.join(", "))),
        (Shape::List(of), Content::Sequence(items)) => {
            for (index, item) in items.iter().enumerate() {
                check_value(item, of, &format!("{path}[{index}]"), found);
            }
        }
        (Shape::List(_), _) => fail("the value must be a list"),
        (Shape::Object { keys, required }, Content::Mapping(_)) => check_object(node, keys, required, path, found),
        (Shape::Object { .. }, _) => fail("the value must be a mapping"),
    }
}

fn check_object(node: &Node, keys: &[(&str, Shape)], required: &[&str], path: &str, found: &mut Vec<String>) {
    for key in required.iter().filter(|key| node.get(key).is_none()) {
        found.push(format!("failed for {path}: the key '{key}' is missing"));
    }
    for (key, value) in node.entries() {
        let name = key.text().unwrap_or_default();
        match keys.iter().find(|(known, _)| *known == name) {
            Some((_, shape)) => check_value(value, shape, &format!("{path}[{name}]"), found),
            None => found.push(format!("failed for {path}: there is no key '{name}'")),
        }
    }
}

/// *Falco:* a scalar in quotes is a text for the schema, while the loader takes `"yes"` for a boolean.
fn is_quoted(node: &Node) -> bool {
    let Location { source, span } = &node.location;
    source.text.get(span.start..).is_some_and(|text| text.starts_with(['"', '\'']))
}

/// *Falco:* what yaml-cpp reads as a boolean.
fn is_flag(text: &str) -> bool {
    ["y", "n", "yes", "no", "true", "false", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word))
}
