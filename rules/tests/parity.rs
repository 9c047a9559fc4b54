// SPDX-License-Identifier: Apache-2.0
//! What Falco does where its own tests say nothing: found by reading its source, and by asking RE2.
//!
//! The cases stand in `parity.jsonl`, in groups that begin with what they are `about`. A line has a `condition` with the
//! `result` for its `fields`, or an `output` with the `text` for them; either may have the `error` instead that loading
//! ends with. Or it has the `content` of a file with all its `errors` and `warnings`: codes and parts of the messages.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::tests_outside_test_module,
    clippy::wildcard_enum_match_arm,
    dead_code,
    unused_imports,
    reason = "test code; `support` offers more than these tests use"
)]

mod support;

use rules::{Diagnostic, Load, LoadOptions};
use serde_json::Value as Json;
use support::{MapEvent, load, rule_file};

const CASES: &str = include_str!("parity.jsonl");

#[test]
fn what_the_corpus_leaves_open_is_as_in_falco() {
    let cases = CASES.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")));
    let problems: Vec<_> =
        cases.filter_map(|case: Json| check(&case).err().map(|what| format!("{case}: {what}"))).collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

fn check(case: &Json) -> Result<(), String> {
    if let Some(content) = case["content"].as_str() {
        let load = load(LoadOptions::default(), [("t.yaml", content)]);
        let file = &load.report.files()[0];
        return remarks(file.errors(), &case["errors"]).and_then(|()| remarks(file.warnings(), &case["warnings"]));
    }
    let output = case["output"].as_str().unwrap_or("o");
    let condition = case["condition"].as_str().unwrap_or("evt.type = getcwd");
    if case["about"].is_string() {
        return Ok(());
    }
    let load = load(LoadOptions::default(), [("t.yaml", rule_file(condition, output).as_str())]);
    if let Some(error) = case["error"].as_str() {
        let found = load.report.files()[0].errors().iter().any(|found| found.message().contains(error));
        return if found { Ok(()) } else { Err(format!("no such error: {}", load.report)) };
    }
    evaluate(case, &load)
}

fn evaluate(case: &Json, load: &Load) -> Result<(), String> {
    let Some(ruleset) = &load.ruleset else { return Err(load.report.to_string()) };
    let event = MapEvent::new(&case["fields"].as_object().cloned().unwrap_or_default());
    let mut matched = false;
    let mut text = String::new();
    ruleset.evaluate(&event, &mut |rule| {
        matched = true;
        rule.output().render(&event, &mut text);
    });
    match case["text"].as_str() {
        Some(expected) => equal(&text.as_str(), &expected),
        None => equal(&matched, &case["result"].as_bool().unwrap()),
    }
}

/// Each expected remark is a code and a part of the message.
fn remarks(found: &[Diagnostic], expected: &Json) -> Result<(), String> {
    let expected = expected.as_array().map(Vec::as_slice).unwrap_or_default();
    let fits = |(found, expected): (&Diagnostic, &Json)| {
        expected[0] == found.code().as_str() && found.message().contains(expected[1].as_str().unwrap())
    };
    if found.len() == expected.len() && found.iter().zip(expected).all(fits) {
        return Ok(());
    }
    Err(found.iter().map(ToString::to_string).collect::<String>())
}

fn equal<T: PartialEq + std::fmt::Debug>(ours: &T, falco: &T) -> Result<(), String> {
    if ours == falco { Ok(()) } else { Err(format!("ours {ours:?}, Falco's {falco:?}")) }
}
