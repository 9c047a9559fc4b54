// SPDX-License-Identifier: Apache-2.0
//! Text as a condition: an error has a place in the text, and what parses is printed so that it parses to the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::Condition;

fuzz_target!(|text: &str| {
    match Condition::parse(text) {
        Err(error) => assert!(error.line <= text.lines().count() + 1 && error.column <= text.len() + 1, "{error}"),
        Ok(condition) => {
            let printed = condition.to_string();
            if !comes_back(text) || [r#"\\""#, "not not "].iter().any(|lost| printed.contains(lost)) {
                return;
            }
            let again = Condition::parse(&printed).unwrap_or_else(|error| panic!("{error} in {printed:?}"));
            assert_eq!(again.to_string(), printed);
            let kinds = |condition: &Condition| condition.nodes().iter().map(|node| node.kind).collect::<Vec<_>>();
            assert_eq!(kinds(&again), kinds(&condition), "{printed:?}");
        }
    }
});

/// Falco prints some strings without the quotes they need: empty ones, ones with parentheses or commas, and constants in
/// calls. A string that ends with a backslash hides its closing quote, also one that had no quotes before, and two
/// negations that parentheses kept apart cancel.
fn comes_back(text: &str) -> bool {
    let calls = ["tolower(", "toupper(", "b64(", "basename(", "len(", "join(", "concat(", "getopt("];
    if calls.iter().any(|call| text.contains(call)) {
        return false;
    }
    let hides_quote = |bare: &str| {
        let mut pairs = bare.chars().zip(bare.chars().skip(1).chain([' ']));
        pairs.any(|(c, next)| c == '\\' && (next.is_whitespace() || matches!(next, '(' | ')' | ',' | '=')))
    };
    let mut rest = text;
    while let Some((bare, after)) = rest.split_once(['"', '\'']) {
        if hides_quote(bare) {
            return false;
        }
        let quote = rest.get(rest.len() - after.len() - 1..).and_then(|rest| rest.chars().next()).unwrap_or('"');
        let mut before = quote;
        let end = after.find(|c| {
            let ends = c == quote && before != '\\';
            before = c;
            ends
        });
        let Some((inner, left)) = end.and_then(|end| Some((after.get(..end)?, after.get(end + 1..)?))) else {
            return true;
        };
        if inner.is_empty() || inner.contains(['(', ')', ',']) || inner.trim_end().ends_with('\\') {
            return false;
        }
        rest = left;
    }
    !hides_quote(rest)
}
