// SPDX-License-Identifier: Apache-2.0
//! The immutable set of rules in force: what each rule is, and which rules match an event.

use std::{collections::HashMap, fmt};

use crate::{
    Action, Event, EventType, EventTypeSet, PartialEvent, Priority, Template,
    condition::ast::Operator,
    program::{Arena, NodeId, Program, specialise},
};

/// One loaded rule.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) priority: Priority,
    /// Sorted.
    pub(crate) tags: Vec<String>,
    pub(crate) source: String,
    pub(crate) description: String,
    pub(crate) action: Option<Action>,
    pub(crate) enabled: bool,
    pub(crate) output: Template,
    pub(crate) condition: String,
    pub(crate) event_types: EventTypeSet,
}

impl Rule {
    /// The place in [`Ruleset::rules`], which is the order of first definition.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How severe a match is.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// The tags, sorted.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Where its events come from: `syscall`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The `desc` of the file.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What the rule itself asks for, if it says.
    pub fn action(&self) -> Option<Action> {
        self.action
    }

    /// Whether the rule can match at all.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The message of an alert.
    pub fn output(&self) -> &Template {
        &self.output
    }

    /// The condition with lists, macros and exceptions written out.
    pub fn condition(&self) -> &str {
        &self.condition
    }

    /// The event types that the condition can match.
    pub fn event_types(&self) -> &EventTypeSet {
        &self.event_types
    }
}

/// All loaded rules, ready to be evaluated; immutable, so that threads share it freely.
#[derive(Default)]
pub struct Ruleset {
    rules: Vec<Rule>,
    programs: Vec<Program>,
    /// The program of each event type, by its index.
    by_type: Vec<usize>,
    event_types: EventTypeSet,
    named_files: Vec<String>,
    named_addresses: Vec<String>,
}

impl Ruleset {
    /// Builds the programs for rules and their conditions.
    pub(crate) fn new(rules: Vec<Rule>, conditions: &[(usize, NodeId)], arena: &Arena) -> Self {
        use Operator as O;
        const NAMES: [&str; 4] = ["fd.cip.name", "fd.sip.name", "fd.lip.name", "fd.rip.name"];
        let roots = || conditions.iter().map(|(_, node)| *node);
        let equality = [O::Equal, O::EqualEqual, O::NotEqual, O::In, O::Intersects];
        let mut ruleset = Self {
            rules,
            named_files: arena.constants_of(roots(), &["fd.realpath"], &[]),
            named_addresses: arena.constants_of(roots(), &NAMES, &equality),
            ..Self::default()
        };
        let mut known: HashMap<Vec<bool>, usize> = HashMap::new();
        for (event_type, signature) in arena.signatures() {
            let program = *known.entry(signature).or_insert_with(|| {
                let can_match = |(index, _): &&(usize, NodeId)| {
                    ruleset.rules.get(*index).is_some_and(|rule| rule.event_types.contains(event_type))
                };
                let conditions: Vec<_> = conditions.iter().filter(can_match).copied().collect();
                ruleset.programs.push(specialise(arena, &conditions, event_type));
                ruleset.programs.len() - 1
            });
            ruleset.by_type.push(program);
            if ruleset.programs.get(program).is_some_and(|program| program.rules().next().is_some()) {
                ruleset.event_types.insert(event_type);
            }
        }
        ruleset
    }

    /// The rules in the order of their first definition, also disabled ones.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The event types that some enabled rule can match.
    pub fn event_types(&self) -> &EventTypeSet {
        &self.event_types
    }

    /// The enabled rules that can match an event type.
    pub fn rules_for(&self, event_type: EventType) -> impl Iterator<Item = &Rule> {
        self.program(event_type).into_iter().flat_map(Program::rules).filter_map(|index| self.rules.get(index))
    }

    /// Calls `on_match` for every enabled rule that matches, in order.
    pub fn evaluate<'r>(&'r self, event: &dyn Event, on_match: &mut dyn FnMut(&'r Rule)) {
        let Some(program) = self.program(event.event_type()) else { return };
        program.run(event, &mut |index| {
            if let Some(rule) = self.rules.get(index) {
                on_match(rule);
            }
        });
    }

    /// What conditions compare `fd.realpath` with: names under which a file may be meant that has other names too.
    pub fn named_files(&self) -> &[String] {
        &self.named_files
    }

    /// What conditions compare `fd.sip.name` and the like with: names whose addresses must be known.
    pub fn named_addresses(&self) -> &[String] {
        &self.named_addresses
    }

    /// Whether some enabled rule could match an event of which a part is known. Never says no where a rule would match.
    pub fn can_match(&self, event: &dyn PartialEvent) -> bool {
        self.program(event.event_type()).is_some_and(|program| program.can_match(event))
    }

    fn program(&self, event_type: EventType) -> Option<&Program> {
        self.by_type.get(event_type.index()).and_then(|program| self.programs.get(*program))
    }
}

impl fmt::Debug for Ruleset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ruleset").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}
