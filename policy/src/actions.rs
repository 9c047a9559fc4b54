// SPDX-License-Identifier: Apache-2.0
//! What a match of each rule asks for: the configuration's `actions` and `enforce` over the rule's own `action`.

use std::{
    borrow::Cow,
    fmt::{self, Display},
    str::FromStr,
};

use rules::{Action, Priority};
use serde::{Deserialize, Deserializer, de};

use crate::Errno;

/// One entry of `actions`: the selectors that are given must all fit. Without a selector it fits every rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionEntry {
    /// The whole rule name; `*` stands for any text.
    pub rules: Option<String>,
    /// Any one of the rule's tags.
    pub tags: Option<Vec<String>>,
    /// The rule's priority, or a more severe one (as Falco's `priority` key).
    #[serde(default, deserialize_with = "optional_from_text")]
    pub priority: Option<Priority>,
    /// What the fitting rules ask for.
    #[serde(deserialize_with = "from_text")]
    pub action: Action,
}

/// The `enforce` block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Enforce {
    /// What a rule asks for when neither it nor the configuration says.
    #[serde(deserialize_with = "from_text")]
    pub default_action: Action,
    /// What a denied call fails with.
    pub errno: Errno,
}

impl Default for Enforce {
    fn default() -> Self {
        Self { default_action: Action::Deny, errno: Errno::Eperm }
    }
}

/// What is known of a rule where its action is decided.
#[derive(Debug, Clone, Copy)]
pub struct RuleFacts<'a> {
    /// The rule's name.
    pub name: &'a str,
    /// Its tags.
    pub tags: &'a [String],
    /// Its priority.
    pub priority: Priority,
    /// Its own `action` key.
    pub action: Option<Action>,
}

/// What a rule's matches ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResolvedAction {
    /// The action.
    pub action: Action,
    /// Whether the rule or the configuration assigned it, rather than the default.
    pub explicit: bool,
}

/// The action of one rule: the first entry that fits, stricter or milder, replaces the rule's own key; the default is
/// for rules that nobody mentions. An operator can so soften a rule of a file that stays as its authors ship it.
pub fn resolve(entries: &[ActionEntry], enforce: Enforce, rule: &RuleFacts<'_>) -> ResolvedAction {
    let configured = entries.iter().find(|entry| entry.fits(rule)).map(|entry| entry.action);
    match configured.or(rule.action) {
        Some(action) => ResolvedAction { action, explicit: true },
        None => ResolvedAction { action: enforce.default_action, explicit: false },
    }
}

impl Display for ActionEntry {
    /// Its selectors, as one would write them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.as_ref().map(|pattern| format!("rules: {pattern}"));
        let tags = self.tags.as_ref().map(|tags| format!("tags: [{}]", tags.join(", ")));
        let priority = self.priority.map(|priority| format!("priority: {priority}"));
        let given: Vec<_> = [rules, tags, priority].into_iter().flatten().collect();
        formatter.write_str(&given.join(", "))
    }
}

impl ActionEntry {
    /// Whether it is about this rule.
    pub fn fits(&self, rule: &RuleFacts<'_>) -> bool {
        self.rules.as_ref().is_none_or(|pattern| is_wildcard_match(pattern, rule.name))
            && self.tags.as_ref().is_none_or(|tags| tags.iter().any(|tag| rule.tags.contains(tag)))
            && self.priority.is_none_or(|least| rule.priority <= least)
    }
}

/// Whether `name` is `pattern`, in which only `*` is special. Linear: each literal part is taken at its first place.
fn is_wildcard_match(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = name.split_once(part) else { return false };
        name = after;
    }
    name.ends_with(tail)
}

fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
    Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn optional_from_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    from_text(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: &str, own: Option<Action>, expected: (Action, bool)) {
        let entries: Vec<ActionEntry> = serde_json::from_str(config).unwrap();
        let tags = ["container".to_owned(), "mitre_execution".to_owned()];
        let rule =
            RuleFacts { name: "Terminal shell in container", tags: &tags, priority: Priority::Notice, action: own };
        let resolved = resolve(&entries, Enforce::default(), &rule);
        assert_eq!((resolved.action, resolved.explicit), expected);
    }

    #[test]
    fn the_default_is_for_rules_that_nobody_mentions() {
        check("[]", None, (Action::Deny, false));
        check("[]", Some(Action::Kill), (Action::Kill, true));
        check(r#"[{"rules": "Read*", "action": "kill"}]"#, None, (Action::Deny, false));
    }

    #[test]
    fn the_first_fitting_entry_decides_over_the_rule_itself_in_both_directions() {
        check(r#"[{"rules": "Terminal*", "action": "alert"}]"#, Some(Action::Kill), (Action::Alert, true));
        check(r#"[{"rules": "Terminal*", "action": "kill"}]"#, Some(Action::Alert), (Action::Kill, true));
        check(r#"[{"action": "alert"}, {"rules": "Terminal*", "action": "kill"}]"#, None, (Action::Alert, true));
    }

    #[test]
    fn every_selector_given_must_fit() {
        check(r#"[{"tags": ["network", "container"], "action": "kill"}]"#, None, (Action::Kill, true));
        check(r#"[{"tags": [], "action": "kill"}]"#, None, (Action::Deny, false));
        check(r#"[{"priority": "notice", "action": "kill"}]"#, None, (Action::Kill, true));
        check(r#"[{"priority": "INFO", "action": "kill"}]"#, None, (Action::Kill, true));
        check(r#"[{"priority": "warning", "action": "kill"}]"#, None, (Action::Deny, false));
        check(r#"[{"tags": ["container"], "priority": "error", "action": "kill"}]"#, None, (Action::Deny, false));
    }

    #[test]
    fn a_wildcard_stands_for_any_text_and_nothing_else_is_special() {
        let cases = [
            ("Read *", "Read sensitive file", true),
            ("*shell*", "Terminal shell in container", true),
            ("*", "", true),
            ("", "", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab", "aab", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("**", "x", true),
            ("read *", "Read x", false),
            ("a?c", "abc", false),
            ("[a]", "a", false),
            ("*é", "café", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(is_wildcard_match(pattern, name), expected, "`{pattern}` and `{name}`");
        }
    }

    #[test]
    fn a_wrong_entry_is_refused_by_name() {
        let error = |config| serde_json::from_str::<ActionEntry>(config).unwrap_err().to_string();
        assert!(error(r#"{"rule": "x", "action": "deny"}"#).starts_with("unknown field `rule`"));
        assert!(error(r#"{"action": "block"}"#).starts_with("not an action: use alert, deny or kill"));
        assert!(error(r#"{"rules": "x"}"#).starts_with("missing field `action`"));
        assert!(error(r#"{"priority": "high", "action": "deny"}"#).starts_with("not a priority"));
    }
}
