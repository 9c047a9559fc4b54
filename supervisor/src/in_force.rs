// SPDX-License-Identifier: Apache-2.0
//! What is in force for one container: a compiled ruleset with each rule's action, loaded from files, never changed.

use policy::{Errno, Mode, ResolvedAction, RuleFacts};
use rules::{Action, EventType, LoadReport, Loader, Rule, Ruleset};

use crate::{
    config::{Config, RuleMatching, TracedExecs, Verify},
    sources::Sources,
};

/// The calls that load a program.
const EXECS: [&str; 2] = ["execve", "execveat"];

/// A ruleset with the operator's decisions about it. One event sees one version.
#[derive(Debug)]
pub(crate) struct InForce {
    /// Which version of the files this was made of.
    pub(crate) fingerprint: u64,
    /// The compiled rules.
    pub(crate) ruleset: Ruleset,
    /// By rule index.
    actions: Vec<ResolvedAction>,
    verify: Verify,
    traced_execs: TracedExecs,
    may_deny_opens: bool,
    /// By event type.
    may_deny: Vec<bool>,
    judges_opens: bool,
    judges_execs: bool,
    /// What a rule of no known index asks for.
    default_action: ResolvedAction,
    /// Whether every matching rule alerts, or only the first.
    pub(crate) matching: RuleMatching,
    /// What a denied call fails with.
    pub(crate) errno: Errno,
}

/// The rules do not load. In one line, for alerts and runtimes' logs; the report has the cited lines.
#[derive(Debug, thiserror::Error)]
#[error("the rules do not load: {}", summary(.0))]
pub(crate) struct RulesError(pub(crate) Box<LoadReport>);

/// The first error with its place and its remedy, and how many more there are.
fn summary(report: &LoadReport) -> String {
    let mut errors = report.files().iter().flat_map(|file| file.errors().iter().map(move |error| (file.name(), error)));
    let Some((file, error)) = errors.next() else { return "no reason is known".to_owned() };
    let (file, place) = match error.place() {
        Some((file, position)) => (file, format!(":{}:{}", position.line + 1, position.column + 1)),
        None => (file, String::new()),
    };
    let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    let more = match errors.count() {
        0 => String::new(),
        more => format!("; {more} more"),
    };
    format!("{file}{place}: {}{help}{more}", error.message())
}

/// What decides about a rule's action.
fn facts_of(rule: &Rule) -> RuleFacts<'_> {
    RuleFacts { name: rule.name(), tags: rule.tags(), priority: rule.priority(), action: rule.action() }
}

impl InForce {
    /// Compiles `sources`; the report holds the warnings of a load that succeeds.
    pub(crate) fn load(config: &Config, sources: &Sources) -> Result<(Self, LoadReport), RulesError> {
        let mut loader = Loader::new(config.rules.load_options());
        for file in &sources.rules {
            loader.add(&file.name, file.text.as_bytes());
        }
        let load = loader.finish();
        match load.ruleset {
            Some(ruleset) => Ok((Self::new(config, ruleset, sources.fingerprint()), load.report)),
            None => Err(RulesError(Box::new(load.report))),
        }
    }

    /// No rule at all: what an audited container starts with when its rules do not load.
    pub(crate) fn empty(config: &Config) -> Self {
        Self::new(config, Ruleset::default(), 0)
    }

    /// What a match of a rule asks for under a configuration.
    pub(crate) fn action_under(config: &Config, rule: &Rule) -> ResolvedAction {
        policy::resolve(&config.enforcement.actions, config.enforcement.enforce, &facts_of(rule))
    }

    fn new(config: &Config, ruleset: Ruleset, fingerprint: u64) -> Self {
        let enforce = config.enforcement.enforce;
        let resolve = |rule: &Rule| Self::action_under(config, rule);
        let is_strict = |rule: &Rule| resolve(rule).action > Action::Alert;
        let rules_for = |names: &[&str]| {
            let types: Vec<_> = names.iter().filter_map(|name| EventType::from_name(name)).collect();
            types.into_iter().flat_map(|event_type| ruleset.rules_for(event_type)).collect::<Vec<_>>()
        };
        let opens = rules_for(&["open", "openat", "openat2", "creat"]);
        let may_deny = EventType::all().map(|event_type| ruleset.rules_for(event_type).any(is_strict)).collect();
        Self {
            fingerprint,
            may_deny,
            actions: ruleset.rules().iter().map(resolve).collect(),
            verify: config.enforcement.verify,
            traced_execs: config.enforcement.traced_execs,
            may_deny_opens: opens.iter().any(|rule| is_strict(rule)),
            judges_opens: !opens.is_empty(),
            judges_execs: !rules_for(&EXECS).is_empty(),
            default_action: ResolvedAction { action: enforce.default_action, explicit: false },
            matching: config.rules.matching,
            errno: enforce.errno,
            ruleset,
        }
    }

    /// The entries of `actions` that are about none of these rules, a line each: what one of them was to deny is not.
    pub(crate) fn idle_actions(config: &Config, ruleset: &Ruleset) -> Vec<String> {
        let entries = config.enforcement.actions.iter();
        let idle = entries.filter(|entry| !ruleset.rules().iter().any(|rule| entry.fits(&facts_of(rule))));
        idle.map(|entry| format!("no rule is meant by the entry of `actions` with {entry}")).collect()
    }

    /// Whether opens are performed for their callers: where a rule could deny one, or where the configuration wants all to
    /// be what the rules saw.
    pub(crate) fn performs_opens(&self, mode: Mode) -> bool {
        match (mode, self.verify) {
            (_, Verify::All) => self.judges_opens,
            (Mode::Enforce, Verify::Off | Verify::Exec) => self.may_deny_opens,
            (Mode::Audit, Verify::Off | Verify::Exec) => false,
        }
    }

    /// Whether a rule could deny a call of this type.
    pub(crate) fn may_deny(&self, event_type: EventType) -> bool {
        self.may_deny.get(event_type.index()).copied().unwrap_or(false)
    }

    /// Whether what an exec loads is judged, too: by rules on execs, or as what the kernel opens for it.
    pub(crate) fn verifies_execs(&self, mode: Mode) -> bool {
        self.verify != Verify::Off && (self.judges_execs || self.performs_opens(mode))
    }

    /// What becomes of the execs of tasks that others trace: what they load is known too late, unless something holds it.
    pub(crate) fn traced_execs(&self, mode: Mode) -> TracedExecs {
        let may_deny = |name| EventType::from_name(name).is_some_and(|event_type| self.may_deny(event_type));
        let is_strict = mode == Mode::Enforce && (EXECS.into_iter().any(may_deny) || self.performs_opens(mode));
        if is_strict { self.traced_execs } else { TracedExecs::Allow }
    }

    /// What a match of `rule` asks for.
    pub(crate) fn action(&self, rule: &Rule) -> ResolvedAction {
        self.actions.get(rule.index()).copied().unwrap_or(self.default_action)
    }
}
