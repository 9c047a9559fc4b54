// SPDX-License-Identifier: Apache-2.0
//! Lines as conditions of one rules file: each matches among all the others exactly where it matches alone.
#![no_main]

use fuzz::WordEvent;
use libfuzzer_sys::fuzz_target;
use rules::{LoadOptions, Loader, Ruleset};

/// Rules of one input; more only take time.
const MAX_RULES: usize = 12;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0xff);
    let Some(text) = parts.next().and_then(|text| str::from_utf8(text).ok()) else { return };
    let event = WordEvent::new(parts.next().unwrap_or(data));
    let mut conditions = Vec::new();
    let mut expected = Vec::new();
    for condition in text.lines().take(MAX_RULES) {
        let Some(alone) = load(&[condition]) else { continue };
        if !matches(&alone, &event).is_empty() {
            expected.push(conditions.len());
        }
        conditions.push(condition);
    }
    let all = load(&conditions).expect("rules that load alone load together");
    assert_eq!(matches(&all, &event), expected, "{conditions:#?}");
});

fn load(conditions: &[&str]) -> Option<Ruleset> {
    let mut loader = Loader::new(LoadOptions::default());
    let file = conditions.iter().enumerate().fold(String::new(), |file, (number, condition)| {
        // JSON's strings are YAML's, but for characters that YAML wants to be escaped in its own way.
        let condition = serde_json::Value::from(condition.replace(|c: char| c.is_control() || c > '\u{7e}', "?"));
        file + &format!("- rule: r{number}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
    });
    loader.add("r.yaml", file.as_bytes());
    loader.finish().ruleset
}

fn matches(ruleset: &Ruleset, event: &WordEvent<'_>) -> Vec<usize> {
    let mut found = Vec::new();
    ruleset.evaluate(event, &mut |rule| found.push(rule.index()));
    found
}
