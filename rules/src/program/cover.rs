// SPDX-License-Identifier: Apache-2.0
//! What a condition needs: needles of which an event must have one for the condition to hold.

use std::{collections::HashMap, rc::Rc};

use rustc_hash::FxBuildHasher;

use super::{
    index::Needle,
    run::{Instruction, Program},
};
use crate::{
    ContainerField, EvtField, FdField, Field, ProcField,
    compile::{Comparison, CompiledCheck, GlobLiteral, Matcher, Right, Test, TextMatcher},
    condition::ast::Modifier,
};

/// Needles of one condition; more are not worth the memory.
const MAX_NEEDLES: usize = 4096;
/// The weight of something that every event has.
const CERTAIN: u32 = 1000;
/// The score up to which a cover of cheap fields is used beside a better one of dear fields: what many events have leaves
/// too many roots to be worth a look-up of its own.
const SELECTIVE: u32 = 100;
/// Cost up to which a field is asked for at every event: its value lies in registers or in memory that was read.
const CHEAP: u32 = 5;
/// Cost of a field beyond which no index asks for it: only conditions whose cheaper parts hold may.
const MAX_COST: u32 = 10;
/// Values that are assumed besides those that conditions look for.
const UNSEEN: u32 = 64;

/// Needles with their fields, of which one is needed.
#[derive(Debug, Clone)]
pub(super) struct Cover {
    pub(super) needles: Rc<[(u32, Needle)]>,
    /// How likely events have one, and what it costs to know: less is better.
    score: u32,
}

/// The covers of every node; nothing for those that hold for too many events.
#[derive(Debug)]
pub(super) struct Covers {
    /// Of cheap fields alone, where that rules out enough.
    pub(super) cheap: Vec<Option<Cover>>,
    /// The best of all, where that asks for a field that is not cheap.
    pub(super) dear: Vec<Option<Cover>>,
}

impl Covers {
    /// Finds the covers of a program.
    pub(super) fn of(program: &Program, users: &[u32], field_costs: &[u32]) -> Self {
        let of_checks = program.checks.iter().map(|check| needles_of(&check.compiled)).collect();
        let (counts, totals) = (HashMap::default(), HashMap::default());
        let mut finder = Finder { program, field_costs, of_checks, counts, totals };
        for (node, users) in program.nodes.iter().zip(users) {
            if let Instruction::Check(check) = node.instruction {
                finder.count(check, *users);
            }
        }
        let is_dear = |(field, _): &(u32, Needle)| finder.cost(*field) > CHEAP;
        let asks = |cover: &Cover| cover.needles.iter().any(is_dear);
        let dear: Vec<_> = finder.covers(MAX_COST).into_iter().map(|cover| cover.filter(asks)).collect();
        let cheap = finder.covers(CHEAP).into_iter().zip(&dear);
        let cheap = cheap.map(|(cheap, dear)| cheap.filter(|cover| cover.score <= SELECTIVE || dear.is_none()));
        Self { cheap: cheap.collect(), dear }
    }
}

impl Cover {
    fn impossible() -> Self {
        Self { needles: Rc::default(), score: 0 }
    }
}

/// The needles of all alternatives.
fn any_of(children: &[u32], covers: &[Option<Cover>]) -> Option<Cover> {
    let mut needles = Vec::new();
    let mut score = 0_u32;
    for child in children {
        let cover = covers.get(*child as usize)?.as_ref()?;
        needles.extend_from_slice(&cover.needles);
        score = score.saturating_add(cover.score);
    }
    (score < CERTAIN && needles.len() <= MAX_NEEDLES).then(|| Cover { needles: needles.into(), score })
}

struct Finder<'a> {
    program: &'a Program,
    field_costs: &'a [u32],
    of_checks: Vec<Alternatives>,
    /// How often conditions look for each needle, and for any in each field.
    counts: HashMap<(u32, Needle), u32, FxBuildHasher>,
    totals: HashMap<u32, u32, FxBuildHasher>,
}

impl Finder<'_> {
    fn field(&self, check: u32) -> Option<u32> {
        self.program.checks.get(check as usize)?.field
    }

    /// The best cover of every node whose fields cost at most `max_cost`.
    fn covers(&self, max_cost: u32) -> Vec<Option<Cover>> {
        let mut covers: Vec<Option<Cover>> = Vec::with_capacity(self.program.nodes.len());
        for node in &self.program.nodes {
            let cover = match node.instruction {
                Instruction::Constant(value) => (!value).then(Cover::impossible),
                Instruction::Check(check) => self.check(check, max_cost),
                Instruction::Not(_) => None,
                Instruction::And { first, end } => {
                    let children = self.program.children_of(first, end).iter();
                    let known = children.filter_map(|child| covers.get(*child as usize)?.as_ref());
                    known.min_by_key(|cover| cover.score).cloned()
                }
                Instruction::Or { first, end } => any_of(self.program.children_of(first, end), &covers),
            };
            covers.push(cover);
        }
        covers
    }

    fn cost(&self, field: u32) -> u32 {
        self.field_costs.get(field as usize).copied().unwrap_or_default()
    }

    fn count(&mut self, check: u32, users: u32) {
        let (Some(field), Some(alternatives)) = (self.field(check), self.of_checks.get(check as usize)) else { return };
        for needle in alternatives.iter().flatten() {
            let count = self.counts.entry((field, *needle)).or_default();
            *count = count.saturating_add(users);
            let total = self.totals.entry(field).or_default();
            *total = total.saturating_add(users);
        }
    }

    fn check(&self, check: u32, max_cost: u32) -> Option<Cover> {
        let field = self.field(check)?;
        let weigh = |needles: &Vec<Needle>| {
            needles.iter().fold(0_u32, |sum, needle| sum.saturating_add(self.weight(field, *needle)))
        };
        let alternatives = self.of_checks.get(check as usize)?.iter().map(|needles| (weigh(needles), needles));
        let (weight, needles) = alternatives.min_by_key(|(weight, _)| *weight)?;
        let cost = self.cost(field);
        // A field that costs twice as much has to rule out far more.
        let score = weight + cost * cost;
        let useful = weight < CERTAIN && cost <= max_cost && needles.len() <= MAX_NEEDLES;
        useful.then(|| Cover { needles: needles.iter().map(|needle| (field, *needle)).collect(), score })
    }

    /// What many conditions look for, many events have: out of [`CERTAIN`].
    fn weight(&self, field: u32, needle: Needle) -> u32 {
        let count = u64::from(self.counts.get(&(field, needle)).copied().unwrap_or_default());
        let total = u64::from(self.totals.get(&field).copied().unwrap_or_default()) + u64::from(UNSEEN);
        let weight = count * u64::from(needle.commonness()) * u64::from(CERTAIN) / total;
        let has_few_values = self.program.fields.get(field as usize).is_some_and(|(field, _)| has_few_values(*field));
        let least = if has_few_values || needle.is_flag() { CERTAIN / 2 } else { 1 };
        u32::try_from(weight).unwrap_or(u32::MAX).max(least)
    }
}

/// Whether most events have one of a handful of values.
fn has_few_values(field: Field) -> bool {
    use ContainerField as C;
    use EvtField as E;
    use FdField as F;
    match field {
        Field::Evt(field) => matches!(field, E::Res | E::Category | E::Dir | E::Source | E::IoDir | E::Arg | E::Rawarg),
        Field::Fd(field) => matches!(field, F::Type | F::Typechar | F::L4proto | F::Sockfamily),
        Field::Container(field) => matches!(field, C::Id | C::Type),
        Field::User(_) | Field::Group(_) => true,
        Field::Proc(field) => matches!(field, ProcField::Tty | ProcField::Vpid | ProcField::Pvpid | ProcField::Ppid),
        Field::Thread(_) | Field::FsPath(_) | Field::FdList(_) | Field::Util(_) | Field::K8s(_) | Field::Lanner(_) => {
            false
        }
    }
}

/// Sets of needles: to satisfy a check, a value must have one of each set. No set where other values may satisfy it.
type Alternatives = Vec<Vec<Needle>>;

fn needles_of(check: &CompiledCheck) -> Alternatives {
    let Right::Constants(comparison) = &check.right else { return Vec::new() };
    match comparison {
        Comparison::Exists => Vec::new(),
        Comparison::Never => vec![Vec::new()],
        Comparison::One(test) => of_test(test),
        Comparison::Several(Modifier::Allof, tests) if !tests.is_empty() => tests.iter().flat_map(of_test).collect(),
        Comparison::Several(_, tests) => {
            let needles: Option<Vec<_>> = tests.iter().map(|test| of_test(test).pop()).collect();
            needles.map(|needles| needles.concat()).into_iter().collect()
        }
    }
}

fn of_test(test: &Test) -> Alternatives {
    let needles: Option<Vec<_>> = match &test.matcher {
        Matcher::Text(matcher) => return of_text(matcher),
        Matcher::Number(orderings, number) => orderings.is_equality().then(|| vec![Needle::number(*number)]),
        Matcher::Numbers(numbers) => Some(numbers.iter().map(|number| Needle::number(*number)).collect()),
        Matcher::Bool { expected } => Some(vec![Needle::flag(*expected)]),
        Matcher::Address { expected, equal } => equal.then(|| vec![Needle::address(*expected)]),
        Matcher::Addresses(addresses) => Some(addresses.iter().map(|address| Needle::address(*address)).collect()),
        Matcher::Network { network, inside } => of_network(network).filter(|_| *inside).map(|needle| vec![needle]),
        Matcher::Networks(networks) => networks.iter().map(of_network).collect(),
        Matcher::Intersects(set) => Some(set.members().map(|text| Needle::whole(text)).collect()),
        Matcher::Subset(_) | Matcher::Double(..) | Matcher::Doubles(_) => None,
    };
    needles.into_iter().collect()
}

fn of_network(network: &ipnet::IpNet) -> Option<Needle> {
    Needle::network(network.addr(), network.prefix_len())
}

fn of_text(matcher: &TextMatcher) -> Alternatives {
    let one = |needle: Option<Needle>| needle.map(|needle| vec![needle]);
    let needles: Option<Vec<_>> = match matcher {
        TextMatcher::Equal(text) => one(Some(Needle::whole(text))),
        TextMatcher::OneOf(set) => set.members().map(|text| Some(Needle::whole(text))).collect(),
        TextMatcher::StartsWith(text) => one(Needle::start(text)),
        TextMatcher::StartsWithAny(prefixes) => prefixes.members().map(|text| Needle::start(text)).collect(),
        TextMatcher::EndsWith(text) => one(Needle::end(text)),
        TextMatcher::EndsWithAny(suffixes) => suffixes.iter().map(|text| Needle::end(text)).collect(),
        TextMatcher::Contains(finder) => one(Needle::part(finder.needle())),
        TextMatcher::ContainsAny(needles) => needles.members().map(|text| Needle::part(text)).collect(),
        TextMatcher::Glob(glob) => {
            let needle = |literal: &GlobLiteral| match literal {
                GlobLiteral::Whole(text) => Some(Needle::whole(text)),
                GlobLiteral::Start(text) => Needle::start(text),
                GlobLiteral::End(text) => Needle::end(text),
                GlobLiteral::Part(text) => Needle::part(text),
            };
            return glob.literals().iter().filter_map(|literal| one(needle(literal))).collect();
        }
        TextMatcher::Below(prefixes) => {
            let mut needles = Vec::new();
            prefixes.for_each_name(&mut |name| needles.push(name.and_then(Needle::part)));
            needles.into_iter().collect()
        }
        TextMatcher::NotEqual(_)
        | TextMatcher::Ordered(..)
        | TextMatcher::ContainsIgnoringCase(_)
        | TextMatcher::Regex(_) => None,
    };
    needles.into_iter().collect()
}
