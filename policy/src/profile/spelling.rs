// SPDX-License-Identifier: Apache-2.0
//! Members whose names differ in case only: runc reads each of them as the other, and lets the last one decide.

use serde_json::{Map, Value};

/// The first member of `members` that runc takes for one of `known` and that is spelt in another way.
pub fn misspelt<'a>(members: &'a Map<String, Value>, known: &[&str]) -> Option<&'a str> {
    let is_taken_for = |name: &str| known.iter().any(|known| *known != name && folded(known) == folded(name));
    members.keys().map(String::as_str).find(|name| is_taken_for(name))
}

/// Equal for names that Go's `encoding/json` takes for each other: it folds case by Unicode's simple rules, by which `ſ`
/// and the sign for kelvin are an `s` and a `k`.
fn folded(name: &str) -> String {
    name.to_lowercase().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_go_takes_for_each_other_are_found() {
        let cases = [
            ("seccomp", None),
            ("Seccomp", Some("Seccomp")),
            ("ſeccomp", Some("ſeccomp")),
            ("seccomp2", None),
            ("hooks", None),
            ("hoo\u{212a}s", Some("hoo\u{212a}s")),
        ];
        for (name, expected) in cases {
            let members = Map::from_iter([(name.to_owned(), Value::Null)]);
            assert_eq!(misspelt(&members, &["seccomp", "hooks"]), expected);
        }
    }
}
