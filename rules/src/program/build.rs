// SPDX-License-Identifier: Apache-2.0
//! Specialised conditions to a program: parts numbered, results that are worth keeping chosen, indexes built.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use rustc_hash::FxBuildHasher;

use super::{
    cover::{Cover, Covers},
    index::{Index, Needle, number},
    run::{Check, Instruction, MAX_RESULTS, Node, Program, Sieve},
    specialise::{Part, Shared, extraction_cost},
};
use crate::{
    Argument, Field,
    compile::{CompiledCheck, Extractor},
};

/// Programs of fewer rules are evaluated rule by rule: a look-up costs as much as that.
const MIN_INDEXED: usize = 4;
/// Tickets of one index; testing more costs as much as the look-up.
const MAX_TICKETS: usize = 4;

/// Gives numbers to the parts of a program.
#[derive(Default)]
pub(super) struct Builder {
    program: Program,
    nodes: HashMap<*const Part, u32, FxBuildHasher>,
    checks: HashMap<*const CompiledCheck, u32, FxBuildHasher>,
    fields: HashMap<(Field, Argument), u32, FxBuildHasher>,
    /// How many others ask for each node.
    users: Vec<u32>,
    /// What each node costs, and each field.
    costs: Vec<u32>,
    field_costs: Vec<u32>,
}

impl Builder {
    /// Builds the program of some rules.
    pub(super) fn build(roots: &[(usize, Shared)]) -> Program {
        let mut builder = Self::default();
        for (rule, part) in roots {
            let node = builder.node(part);
            builder.program.roots.push((*rule, node));
        }
        builder.index();
        builder.keep_results();
        builder.shrink();
        builder.program
    }

    fn node(&mut self, shared: &Shared) -> u32 {
        if let Some(index) = self.nodes.get(&Arc::as_ptr(&shared.part)) {
            let index = *index;
            if let Some(users) = self.users.get_mut(index as usize) {
                *users = users.saturating_add(1);
            }
            return index;
        }
        let instruction = match &*shared.part {
            Part::Constant(value) => Instruction::Constant(*value),
            Part::Check(check) => Instruction::Check(self.check(check)),
            Part::Not(child) => Instruction::Not(self.node(child)),
            Part::And(children) => {
                let (first, end) = self.children(children);
                Instruction::And { first, end }
            }
            Part::Or(children) => {
                let (first, end) = self.children(children);
                Instruction::Or { first, end }
            }
        };
        let index = number(self.program.nodes.len());
        self.program.nodes.push(Node { instruction, result: None });
        self.users.push(1);
        self.costs.push(shared.cost);
        self.nodes.insert(Arc::as_ptr(&shared.part), index);
        index
    }

    fn children(&mut self, parts: &[Shared]) -> (u32, u32) {
        let children: Vec<_> = parts.iter().map(|part| self.node(part)).collect();
        let first = number(self.program.children.len());
        self.program.children.extend(children);
        (first, number(self.program.children.len()))
    }

    fn check(&mut self, check: &Arc<CompiledCheck>) -> u32 {
        if let Some(index) = self.checks.get(&Arc::as_ptr(check)) {
            return *index;
        }
        let field = match &check.left {
            Extractor::Field(field, argument) => Some(self.field(*field, argument, &check.left)),
            Extractor::Constant(_) | Extractor::Call(_) => None,
        };
        let index = number(self.program.checks.len());
        self.program.checks.push(Check { compiled: Arc::clone(check), field });
        self.checks.insert(Arc::as_ptr(check), index);
        index
    }

    fn field(&mut self, field: Field, argument: &Argument, extractor: &Extractor) -> u32 {
        let (fields, costs) = (&mut self.program.fields, &mut self.field_costs);
        *self.fields.entry((field, argument.clone())).or_insert_with_key(|key| {
            fields.push(key.clone());
            costs.push(extraction_cost(extractor));
            number(fields.len() - 1)
        })
    }

    /// Plans how to find the roots that an event does not rule out.
    fn index(&mut self) {
        let roots = &self.program.roots;
        if roots.len() < MIN_INDEXED {
            return;
        }
        let covers = Covers::of(&self.program, &self.users, &self.field_costs);
        self.program.sieves = [covers.cheap, covers.dear].iter().map(|covers| self.sieve(covers)).collect();
    }

    /// The look-ups of the roots that have a cover.
    fn sieve(&self, covers: &[Option<Cover>]) -> Sieve {
        let mut plans: BTreeMap<u32, Plan> = BTreeMap::new();
        let mut roots = vec![0; self.program.roots.len().div_ceil(64)];
        for (root, (_, node)) in self.program.roots.iter().enumerate() {
            if let Some(Some(cover)) = covers.get(*node as usize) {
                self.plan(number(root), *node, cover, &mut plans);
                roots.iter_mut().skip(root / 64).take(1).for_each(|word| *word |= 1 << (root % 64));
            }
        }
        let mut plans: Vec<_> = plans.into_iter().collect();
        // What is cheap to know comes first: tickets may need it, too.
        plans.sort_by_key(|(field, _)| self.field_costs.get(*field as usize).copied());
        let indexes = plans.into_iter().map(|(field, plan)| Index::new(field, plan.tickets.into(), plan.needed));
        Sieve { roots, indexes: indexes.collect() }
    }

    fn plan(&self, root: u32, node: u32, cover: &Cover, plans: &mut BTreeMap<u32, Plan>) {
        for (field, needle) in &*cover.needles {
            let plan = plans.entry(*field).or_default();
            plan.needed.entry(*needle).or_default().push(root);
            plan.tickets.add(self.ticket(node, *field));
        }
    }

    /// A part of the condition that is cheaper than the field: where it does not hold, nobody has to know the field.
    fn ticket(&self, node: u32, field: u32) -> Option<u32> {
        let Instruction::And { first, end } = self.program.nodes.get(node as usize)?.instruction else { return None };
        let cheapest = self.program.children_of(first, end).first()?;
        let cheaper = self.costs.get(*cheapest as usize)? < self.field_costs.get(field as usize)?;
        cheaper.then_some(*cheapest)
    }

    /// Keeps the results of parts that several others ask for; a check on a kept value is cheap enough to repeat.
    fn keep_results(&mut self) {
        let constant = |node: &Node| matches!(node.instruction, Instruction::Constant(_));
        let nodes = self.program.nodes.iter().zip(&self.users).enumerate();
        let shared = nodes.filter(|(_, (node, users))| **users > 1 && !constant(node));
        let mut shared: Vec<_> = shared.map(|(index, (_, users))| (*users, index)).collect();
        shared.sort_by_key(|(users, index)| (std::cmp::Reverse(*users), *index));
        for (result, (_, index)) in (0..MAX_RESULTS).zip(shared) {
            if let Some(node) = self.program.nodes.get_mut(index) {
                node.result = Some(result);
            }
        }
    }

    fn shrink(&mut self) {
        let Program { nodes, children, checks, fields, roots, sieves: _ } = &mut self.program;
        nodes.shrink_to_fit();
        children.shrink_to_fit();
        checks.shrink_to_fit();
        fields.shrink_to_fit();
        roots.shrink_to_fit();
    }
}

/// What becomes the index of one field.
#[derive(Default)]
struct Plan {
    needed: BTreeMap<Needle, Vec<u32>>,
    tickets: Tickets,
}

/// The nodes of which one must hold for a look-up to be of use.
#[derive(Default)]
struct Tickets {
    nodes: BTreeSet<u32>,
    /// Some root has none.
    free: bool,
}

impl Tickets {
    fn add(&mut self, node: Option<u32>) {
        match node {
            Some(node) => self.nodes.extend([node]),
            None => self.free = true,
        }
    }
}

impl From<Tickets> for Vec<u32> {
    fn from(tickets: Tickets) -> Self {
        let useful = !tickets.free && tickets.nodes.len() <= MAX_TICKETS;
        if useful { tickets.nodes.into_iter().collect() } else { Self::new() }
    }
}
