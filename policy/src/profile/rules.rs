// SPDX-License-Identifier: Apache-2.0
//! A profile's `syscalls` with every permission of a treated name turned into its treatment.
//!
//! Each permissive rule becomes up to three rules in its place, which share its arguments and other members and divide
//! its names: notified, denied, untouched. Since libseccomp orders by conditions and not by actions, what a rule decided
//! before, its parts decide now. Where the default action permits, names that no rule decides get a rule of their own.

use serde_json::{Map, Value, json};

use super::{
    ProfileError, Treatment, Treatments,
    complement::{self, MASKED_EQUAL},
    malformed, misspelt,
};
use crate::{Comparison, RegisterTest};

pub(super) const ALLOW: &str = "SCMP_ACT_ALLOW";
/// Every action of the runtimes' specification.
const ACTIONS: [&str; 9] = [
    ALLOW,
    LOG,
    NOTIFY,
    ERRNO,
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_TRAP",
    TRACE,
];
const LOG: &str = "SCMP_ACT_LOG";
pub(super) const NOTIFY: &str = "SCMP_ACT_NOTIFY";
/// `ptrace`'s: without a tracer the call fails, with one it happens if that wants it.
pub(super) const TRACE: &str = "SCMP_ACT_TRACE";
const ERRNO: &str = "SCMP_ACT_ERRNO";
const EPERM: i32 = 1;

/// The members of a rule, and of each of its arguments.
const MEMBERS: &[&str] = &["names", "action", "errnoRet", "args"];
const ARGUMENT_MEMBERS: &[&str] = &["index", "value", "valueTwo", "op"];

/// One of the profile's rules, its members checked as far as they matter here.
#[derive(Debug)]
pub(super) struct Rule<'a> {
    members: &'a Map<String, Value>,
    pub(super) names: Vec<&'a str>,
    pub(super) action: &'a str,
    pub(super) conditions: &'a [Value],
}

/// What a profile says of calls: its default action, and its rules in their order.
pub(super) fn read(profile: &Map<String, Value>) -> Result<(&str, Vec<Rule<'_>>), ProfileError> {
    let default = action(profile, "defaultAction", || "defaultAction".to_owned())?;
    if default == NOTIFY {
        return Err(ProfileError::ForeignNotify { name: "defaultAction".to_owned() });
    }
    if default == TRACE {
        return Err(ProfileError::Traced { name: "defaultAction".to_owned() });
    }
    let own = match profile.get("syscalls") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(own)) => {
            own.iter().enumerate().map(|(at, rule)| Rule::read(at, rule)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(malformed("syscalls", "a list")),
    };
    Ok((default, own))
}

/// The rules to write, from a profile's default action and rules.
pub(super) fn rewritten(
    default: &str,
    own: &[Rule<'_>],
    treatments: &Treatments<'_>,
) -> Result<Vec<Value>, ProfileError> {
    let mut rewritten = if is_permissive(default) { remainder(default, own, treatments)? } else { Vec::new() };
    for rule in own {
        rewritten.extend(rule.split(default, own, treatments)?);
    }
    Ok(rewritten)
}

impl<'a> Rule<'a> {
    fn read(index: usize, rule: &'a Value) -> Result<Self, ProfileError> {
        let member = |name: &str| format!("syscalls[{index}]{name}");
        let members = rule.as_object().ok_or_else(|| malformed(member(""), "an object"))?;
        let conditions = list(members, "args").ok_or_else(|| malformed(member(".args"), "a list"))?;
        let mut arguments = conditions.iter().filter_map(Value::as_object);
        let wrong = misspelt(members, MEMBERS).map(|name| format!(".{name}"));
        let wrong =
            wrong.or_else(|| Some(format!(".args.{}", arguments.find_map(|all| misspelt(all, ARGUMENT_MEMBERS))?)));
        if let Some(name) = wrong {
            return Err(ProfileError::Misspelt { member: member(&name) });
        }
        let names = list(members, "names").ok_or_else(|| malformed(member(".names"), "a list"))?;
        let names = names.iter().map(Value::as_str).collect::<Option<_>>();
        Ok(Self {
            members,
            names: names.ok_or_else(|| malformed(member(".names"), "a list of strings"))?,
            action: action(members, "action", || member(".action"))?,
            conditions,
        })
    }

    fn split(&self, default: &str, own: &[Self], treatments: &Treatments<'_>) -> Result<Vec<Value>, ProfileError> {
        if self.action == NOTIFY {
            let name = self.names.first().copied().unwrap_or_default().to_owned();
            return Err(ProfileError::ForeignNotify { name });
        }
        let is_treated = |name: &&&str| treatments.iter().any(|(treated, _)| treated == *name);
        if self.action == TRACE
            && let Some(name) = self.names.iter().find(is_treated)
        {
            return Err(ProfileError::Traced { name: (*name).to_owned() });
        }
        if !is_permissive(self.action) {
            return Ok(vec![Value::Object(self.members.clone())]);
        }
        let mut notified = Vec::new();
        let mut denied = Vec::new();
        let mut kept = Vec::new();
        let mut tested = Vec::new();
        for name in &self.names {
            let treatment = treatments.iter().find(|(treated, _)| treated == name).map(|(_, treatment)| *treatment);
            match treatment {
                None => kept.push(*name),
                // The runtimes skip a rule that repeats the default action, so its names must not gain one here.
                Some(_) if self.action == default => {}
                Some(Treatment::Deny) => denied.push(*name),
                Some(Treatment::Notify(&[test])) if self.decides_alone(name, own) => tested.push((*name, test)),
                Some(Treatment::Notify(_)) => notified.push(*name),
            }
        }
        if kept.len() == self.names.len() {
            return Ok(vec![Value::Object(self.members.clone())]);
        }
        let mut parts = Vec::new();
        parts.extend(self.part(&notified, Some(Changed::Notify)));
        parts.extend(self.part(&denied, Some(Changed::Deny)));
        for (name, test) in tested {
            parts.extend(self.part(&[name], Some(Changed::NotifyWhen(test))));
            parts.extend(self.part(&[name], Some(Changed::PermitWhen(test.opposite()))));
        }
        parts.extend(self.part(&kept, None));
        Ok(parts)
    }

    /// Whether no other rule says anything about the name: a rule with conditions does not count while there is one
    /// without, and would begin to if that one were given a condition.
    fn decides_alone(&self, name: &str, own: &[Self]) -> bool {
        let rules = own.iter().flat_map(|rule| &rule.names).filter(|other| **other == name).count();
        rules == 1 && self.conditions.is_empty()
    }

    /// The rule for some of its names; nothing for none of them.
    fn part(&self, names: &[&str], change: Option<Changed>) -> Option<Value> {
        if names.is_empty() {
            return None;
        }
        let mut members = self.members.clone();
        members.insert("names".to_owned(), json!(names));
        match change {
            None => {}
            Some(Changed::Notify) => {
                members.insert("action".to_owned(), json!(NOTIFY));
            }
            Some(Changed::Deny) => {
                members.insert("action".to_owned(), json!(ERRNO));
                members.insert("errnoRet".to_owned(), json!(EPERM));
            }
            Some(Changed::NotifyWhen(test)) => {
                members.insert("action".to_owned(), json!(NOTIFY));
                members.insert("args".to_owned(), json!([argument(test)]));
            }
            Some(Changed::PermitWhen(test)) => {
                members.insert("args".to_owned(), json!([argument(test)]));
            }
        }
        Some(Value::Object(members))
    }
}

/// How a part of a rule differs from the rule.
#[derive(Debug, Clone, Copy)]
enum Changed {
    Notify,
    Deny,
    NotifyWhen(RegisterTest),
    PermitWhen(RegisterTest),
}

/// OCI's form of a test.
fn argument(test: RegisterTest) -> Value {
    let masked = |wanted| json!({"index": test.register, "value": test.value, "valueTwo": wanted, "op": MASKED_EQUAL});
    let operator = match test.comparison {
        Comparison::Equal => "SCMP_CMP_EQ",
        Comparison::NotEqual => "SCMP_CMP_NE",
        Comparison::AtLeast => "SCMP_CMP_GE",
        Comparison::Below => "SCMP_CMP_LT",
        Comparison::HasBit => return masked(test.value),
        Comparison::LacksBit => return masked(0),
    };
    json!({"index": test.register, "value": test.value, "op": operator})
}

/// The rules for what the permissive `default` action would let through unseen.
fn remainder(default: &str, own: &[Rule<'_>], treatments: &Treatments<'_>) -> Result<Vec<Value>, ProfileError> {
    let mut notified = Vec::new();
    let mut denied = Vec::new();
    let mut conditional = Vec::new();
    for (name, treatment) in treatments {
        let effective = || own.iter().filter(|rule| rule.action != default && rule.names.contains(name));
        if effective().any(|rule| rule.conditions.is_empty()) {
            continue;
        }
        let mut denials = effective().filter(|rule| !is_permissive(rule.action));
        match (treatment, denials.next()) {
            (Treatment::Deny, _) => denied.push(*name),
            (Treatment::Notify([]), None) => notified.push(*name),
            (Treatment::Notify(tests), None) if effective().next().is_none() => {
                let rule = |test: &RegisterTest| json!({"names": [name], "action": NOTIFY, "args": [argument(*test)]});
                conditional.extend(tests.iter().map(rule));
            }
            (Treatment::Notify(_), None) => notified.push(*name),
            (Treatment::Notify(_), Some(denial)) => {
                // A second rule could overlap with the opposite of the first, and libseccomp picks by its own order.
                let conditions = complement::of(denial.conditions).filter(|_| effective().nth(1).is_none());
                let conditions =
                    conditions.ok_or_else(|| ProfileError::ConditionalDenial { name: (*name).to_owned() })?;
                conditional.extend(
                    conditions
                        .into_iter()
                        .map(|condition| json!({"names": [name], "action": NOTIFY, "args": [condition]})),
                );
            }
        }
    }
    let mut rules = Vec::new();
    if !notified.is_empty() {
        rules.push(json!({"names": notified, "action": NOTIFY}));
    }
    if !denied.is_empty() {
        rules.push(json!({"names": denied, "action": ERRNO, "errnoRet": EPERM}));
    }
    rules.extend(conditional);
    Ok(rules)
}

pub(super) fn is_permissive(action: &str) -> bool {
    matches!(action, ALLOW | LOG)
}

/// An action member. What one of another name permits, nobody here can say; the runtimes refuse it too.
fn action<'a>(
    members: &'a Map<String, Value>,
    name: &str,
    path: impl FnOnce() -> String,
) -> Result<&'a str, ProfileError> {
    let action = members.get(name).and_then(Value::as_str).filter(|action| ACTIONS.contains(action));
    action.ok_or_else(|| malformed(path(), "the name of an action"))
}

/// A list member; absent and null are empty, as in the runtimes.
fn list<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a [Value]> {
    match members.get(name) {
        None | Some(Value::Null) => Some(&[]),
        Some(Value::Array(elements)) => Some(elements),
        Some(_) => None,
    }
}
