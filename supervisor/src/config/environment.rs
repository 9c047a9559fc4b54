// SPDX-License-Identifier: Apache-2.0
//! `${NAME}` in configuration values.
//!
//! *Falco:* an unset variable expands to nothing, `$${NAME}` stands for a literal `${NAME}`, and there are no defaults.

use super::{
    source::{Finding, Notice},
    tree::{Content, Node},
};

/// Looks a variable up; a parameter so that tests need not change their own environment.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every value below `node`; keys stay as they are.
pub(super) fn expand(node: &mut Node, lookup: Lookup<'_>, notices: &mut Vec<Notice>) {
    match &mut node.content {
        Content::Null => {}
        Content::Scalar(text) if !text.contains("${") => {}
        Content::Scalar(text) => {
            let (expanded, unset) = expand_text(text, lookup);
            *text = expanded;
            notices.extend(unset.into_iter().map(|name| {
                Finding::at(
                    &node.place,
                    format!("the environment variable `{name}` is not set, so `${{{name}}}` is empty"),
                )
            }));
        }
        Content::List(items) => items.iter_mut().for_each(|item| expand(item, lookup, notices)),
        Content::Map(entries) => entries.iter_mut().for_each(|entry| expand(&mut entry.value, lookup, notices)),
    }
}

/// The expanded text and the variables that were not set.
fn expand_text(text: &str, lookup: Lookup<'_>) -> (String, Vec<String>) {
    let mut expanded = String::with_capacity(text.len());
    let mut unset = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else { break };
        if let Some(before) = before.strip_suffix('$') {
            expanded.extend([before, "${", name, "}"]);
        } else {
            expanded += before;
            match lookup(name) {
                Some(value) => expanded += &value,
                None => unset.push(name.to_owned()),
            }
        }
        rest = tail;
    }
    expanded += rest;
    (expanded, unset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str, expected_unset: &[&str]) {
        let lookup = |name: &str| (name == "HOST").then(|| "node-7".to_owned());
        let (expanded, unset) = expand_text(text, &lookup);
        assert_eq!(
            (expanded.as_str(), unset.as_slice()),
            (expected, expected_unset.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice())
        );
    }

    #[test]
    fn variables_expand_as_in_falco() {
        check("plain", "plain", &[]);
        check("${HOST}", "node-7", &[]);
        check("a ${HOST} b ${HOST}!", "a node-7 b node-7!", &[]);
        check("a${NONE}b", "ab", &["NONE"]);
        check("$${HOST}", "${HOST}", &[]);
        check("${HOST", "${HOST", &[]);
        check("$HOST $ {}", "$HOST $ {}", &[]);
    }
}
