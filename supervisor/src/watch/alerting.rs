// SPDX-License-Identifier: Apache-2.0
//! The alerts of one call: rendering the lines, and making sure that each is written once.

use std::{
    fmt,
    hash::{Hash as _, Hasher as _},
};

use policy::{Errno, Verdict};
use rules::{Action, Rule};

use super::withdrawn;
use crate::{
    alert::{AlertRecord, Outcome},
    config::RuleMatching,
    event::{CallEvent, Decision},
    in_force::InForce,
    shared::Shared,
};

/// The source of all events that come from a listener.
const SOURCE: &str = "syscall";

/// What identifies a notification in the log: the container, the listener, the kernel's number.
#[derive(Debug, Clone, Copy)]
pub(super) struct AlertId<'a> {
    pub(super) container: &'a str,
    pub(super) listener: u32,
    pub(super) notification: u64,
    /// Whether the alert is about what an exec turned out to be, after one about what it seemed to be.
    pub(super) is_verified: bool,
}

impl fmt::Display for AlertId<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.is_verified { "-v" } else { "" };
        write!(formatter, "{}-{}-{:x}{suffix}", self.container, self.listener, self.notification)
    }
}

/// The rules that one call matches, and what they lead to.
#[derive(Debug)]
pub(super) struct Matches<'r> {
    /// Those that alert, in the ruleset's order.
    rules: Vec<&'r Rule>,
    action: Action,
    explicit: bool,
    matching: RuleMatching,
    errno: Errno,
}

impl<'r> Matches<'r> {
    /// Asks every rule; `None` where none matches, which allocates nothing.
    pub(super) fn of(in_force: &'r InForce, event: &CallEvent<'_>) -> Option<Self> {
        let InForce { matching, errno, .. } = *in_force;
        let mut matches = Self { rules: Vec::new(), action: Action::Alert, explicit: false, matching, errno };
        in_force.ruleset.evaluate(event, &mut |rule| matches.add(rule, in_force));
        (!matches.rules.is_empty()).then_some(matches)
    }

    /// The strictest action of all matches counts; it is explicit if any that asks for it is. Where only the first rule is to
    /// alert, the one that decides does, too: nobody could tell what a call failed by from the alert of another one.
    fn add(&mut self, rule: &'r Rule, in_force: &InForce) {
        let resolved = in_force.action(rule);
        let decides = resolved.action > self.action;
        self.explicit = match resolved.action.cmp(&self.action) {
            std::cmp::Ordering::Less => self.explicit,
            std::cmp::Ordering::Equal => self.explicit || resolved.explicit,
            std::cmp::Ordering::Greater => resolved.explicit,
        };
        self.action = self.action.max(resolved.action);
        if self.rules.is_empty() || self.matching == RuleMatching::All {
            self.rules.push(rule);
        } else if decides {
            self.rules.truncate(1);
            self.rules.push(rule);
        }
    }

    /// The strictest action that the matching rules ask for.
    pub(super) fn action(&self) -> Action {
        self.action
    }

    /// What the call fails with if it is denied.
    pub(super) fn errno(&self) -> Errno {
        self.errno
    }

    /// The places of the rules in their ruleset.
    pub(super) fn indices(&self) -> Vec<usize> {
        self.rules.iter().map(|rule| rule.index()).collect()
    }

    /// How many alerts this makes.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.rules.len()).unwrap_or(u64::MAX)
    }

    /// Forgets the first rules, whose lines stand in the log already.
    pub(super) fn forget_first(&mut self, written: usize) {
        self.rules.drain(..written.min(self.rules.len()));
    }

    /// Appends one line per alerting rule to `lines`.
    pub(super) fn write_lines(
        &self,
        shared: &Shared,
        event: &CallEvent<'_>,
        id: AlertId<'_>,
        lines: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        let verdict = Verdict::of(shared.mode, self.action);
        event.set_decision(Decision {
            mode: shared.mode.as_str(),
            action: self.action.as_str(),
            verdict: verdict.as_str(),
        });
        let outcome = Outcome {
            mode: shared.mode,
            action: self.action,
            explicit: self.explicit,
            verdict,
            errno: (verdict == Verdict::Deny).then(|| self.errno.as_str()),
        };
        self.rules.iter().try_for_each(|rule| {
            let output = rule.output();
            let mut message = String::new();
            output.render(event, &mut message);
            AlertRecord {
                time: event.moment().time,
                id: &id,
                rule: rule.name(),
                priority: rule.priority(),
                source: SOURCE,
                tags: rule.tags(),
                hostname: shared.context.hostname(),
                message: &message,
                fields: output.fields(event),
                container: Some(&shared.context.identity.full_id),
                container_name: shared.context.identity.known_name(),
                outcome: Some(outcome),
            }
            .write_line(lines)
        })
    }

    /// A hash of the rules and of what the call's arguments in memory say: the same call notified again has the same. What
    /// the outputs say is no measure, since a process' sizes and threads change meanwhile.
    pub(super) fn words(&self, event: &CallEvent<'_>) -> u64 {
        let mut hasher = withdrawn::hasher();
        for rule in &self.rules {
            hasher.write_usize(rule.index());
        }
        event.hash_arguments(&mut hasher);
        // The same path may lead to another program by then.
        event.exec_snapshot().hash(&mut hasher);
        hasher.finish()
    }
}
