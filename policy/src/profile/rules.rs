// SPDX-License-Identifier: Apache-2.0
//! A profile's `syscalls` with every permission of a treated name turned into its treatment.
//!
//! Each permissive rule becomes up to three rules in its place, which share its arguments and other members and divide
//! its names: notified, denied, untouched. Since libseccomp orders by conditions and not by actions, what a rule decided
//! before, its parts decide now. Where the default action permits, names that no rule decides get a rule of their own.

use serde_json::{Map, Value, json};

use super::{ProfileError, Treatment, Treatments, complement, malformed};

pub(super) const ALLOW: &str = "SCMP_ACT_ALLOW";
const LOG: &str = "SCMP_ACT_LOG";
pub(super) const NOTIFY: &str = "SCMP_ACT_NOTIFY";
const ERRNO: &str = "SCMP_ACT_ERRNO";
const EPERM: i32 = 1;

/// One of the profile's rules, its members checked as far as they matter here.
struct Rule<'a> {
    members: &'a Map<String, Value>,
    names: Vec<&'a str>,
    action: &'a str,
    conditions: &'a [Value],
}

/// The rules to write, from the profile's `defaultAction` and `syscalls`.
pub(super) fn rewritten(profile: &Map<String, Value>, treatments: &Treatments<'_>) -> Result<Vec<Value>, ProfileError> {
    let default = text(profile, "defaultAction", || "defaultAction".to_owned())?;
    if default == NOTIFY {
        return Err(ProfileError::ForeignNotify { name: "defaultAction".to_owned() });
    }
    let own = match profile.get("syscalls") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(own)) => {
            own.iter().enumerate().map(|(at, rule)| Rule::read(at, rule)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(malformed("syscalls", "a list")),
    };
    let mut rewritten = if is_permissive(default) { remainder(default, &own, treatments)? } else { Vec::new() };
    for rule in &own {
        rewritten.extend(rule.split(default, treatments)?);
    }
    Ok(rewritten)
}

impl<'a> Rule<'a> {
    fn read(index: usize, rule: &'a Value) -> Result<Self, ProfileError> {
        let member = |name: &str| format!("syscalls[{index}]{name}");
        let members = rule.as_object().ok_or_else(|| malformed(member(""), "an object"))?;
        let names = list(members, "names").ok_or_else(|| malformed(member(".names"), "a list"))?;
        let names = names.iter().map(Value::as_str).collect::<Option<_>>();
        Ok(Self {
            members,
            names: names.ok_or_else(|| malformed(member(".names"), "a list of strings"))?,
            action: text(members, "action", || member(".action"))?,
            conditions: list(members, "args").ok_or_else(|| malformed(member(".args"), "a list"))?,
        })
    }

    fn split(&self, default: &str, treatments: &Treatments<'_>) -> Result<Vec<Value>, ProfileError> {
        if self.action == NOTIFY {
            let name = self.names.first().copied().unwrap_or_default().to_owned();
            return Err(ProfileError::ForeignNotify { name });
        }
        let (treated, kept): (Vec<&str>, Vec<&str>) =
            self.names.iter().partition(|name| treatments.iter().any(|(treated, _)| treated == *name));
        if treated.is_empty() || !is_permissive(self.action) {
            return Ok(vec![Value::Object(self.members.clone())]);
        }
        let mut parts = Vec::new();
        // The runtimes skip a rule that repeats the default action, so its names must not gain one here.
        if self.action != default {
            let with = |treatment| {
                let is_treated = |name: &&&str| treatments.contains(&(**name, treatment));
                treated.iter().filter(is_treated).copied().collect::<Vec<_>>()
            };
            parts.extend(self.part(&with(Treatment::Notify), Some(Treatment::Notify)));
            parts.extend(self.part(&with(Treatment::Deny), Some(Treatment::Deny)));
        }
        parts.extend(self.part(&kept, None));
        Ok(parts)
    }

    /// The rule for some of its names; nothing for none of them.
    fn part(&self, names: &[&str], treatment: Option<Treatment>) -> Option<Value> {
        if names.is_empty() {
            return None;
        }
        let mut members = self.members.clone();
        members.insert("names".to_owned(), json!(names));
        match treatment {
            None => {}
            Some(Treatment::Notify) => {
                members.insert("action".to_owned(), json!(NOTIFY));
            }
            Some(Treatment::Deny) => {
                members.insert("action".to_owned(), json!(ERRNO));
                members.insert("errnoRet".to_owned(), json!(EPERM));
            }
        }
        Some(Value::Object(members))
    }
}

/// The rules for what the permissive `default` action would let through unseen.
fn remainder(default: &str, own: &[Rule<'_>], treatments: &Treatments<'_>) -> Result<Vec<Value>, ProfileError> {
    let mut notified = Vec::new();
    let mut denied = Vec::new();
    let mut opposites = Vec::new();
    for (name, treatment) in treatments {
        let effective = || own.iter().filter(|rule| rule.action != default && rule.names.contains(name));
        if effective().any(|rule| rule.conditions.is_empty()) {
            continue;
        }
        let mut denials = effective().filter(|rule| !is_permissive(rule.action));
        match (treatment, denials.next()) {
            (Treatment::Deny, _) => denied.push(*name),
            (Treatment::Notify, None) => notified.push(*name),
            (Treatment::Notify, Some(denial)) => {
                // A second rule could overlap with the opposite of the first, and libseccomp picks by its own order.
                let conditions = complement::of(denial.conditions).filter(|_| effective().nth(1).is_none());
                let conditions =
                    conditions.ok_or_else(|| ProfileError::ConditionalDenial { name: (*name).to_owned() })?;
                opposites.extend(
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
    rules.extend(opposites);
    Ok(rules)
}

fn is_permissive(action: &str) -> bool {
    matches!(action, ALLOW | LOG)
}

fn text<'a>(
    members: &'a Map<String, Value>,
    name: &str,
    path: impl FnOnce() -> String,
) -> Result<&'a str, ProfileError> {
    members.get(name).and_then(Value::as_str).ok_or_else(|| malformed(path(), "a string"))
}

/// A list member; absent and null are empty, as in the runtimes.
fn list<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a [Value]> {
    match members.get(name) {
        None | Some(Value::Null) => Some(&[]),
        Some(Value::Array(elements)) => Some(elements),
        Some(_) => None,
    }
}
