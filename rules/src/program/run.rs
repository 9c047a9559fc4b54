// SPDX-License-Identifier: Apache-2.0
//! Programs and their evaluation: no allocation, every field asked for once, every shared part computed once.

use std::{collections::HashMap, sync::Arc};

use rustc_hash::FxBuildHasher;

use super::specialise::{Part, Shared};
use crate::{
    Argument, Event, Field, Value,
    compile::{Comparison, CompiledCheck, Extractor, Right},
};

/// Shared parts whose results are kept; further ones are computed each time. Stock programs have fewer than 60.
const MAX_RESULTS: usize = 128;

/// The conditions of all rules that one event type can match.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(super) nodes: Vec<Node>,
    pub(super) children: Vec<usize>,
    pub(super) checks: Vec<Check>,
    fields: Vec<(Field, Argument)>,
    /// Rule and node, in rule order.
    pub(super) roots: Vec<(usize, usize)>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) instruction: Instruction,
    /// Where the result is kept, if several others ask for it.
    result: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Instruction {
    Constant(bool),
    Check(usize),
    Not(usize),
    And { first: usize, end: usize },
    Or { first: usize, end: usize },
}

#[derive(Debug)]
pub(super) struct Check {
    pub(super) compiled: Arc<CompiledCheck>,
    /// The number of the left side's field, if it is one.
    field: Option<usize>,
}

impl Program {
    pub(super) fn new(roots: &[(usize, Shared)]) -> Self {
        let mut builder = Builder::default();
        for (rule, part) in roots {
            let node = builder.node(part);
            builder.program.roots.push((*rule, node));
        }
        builder.finish()
    }

    /// The rules in the program.
    pub(crate) fn rules(&self) -> impl Iterator<Item = usize> + '_ {
        self.roots.iter().map(|(rule, _)| *rule)
    }

    /// Calls `on_match` for every rule whose condition holds, in order.
    pub(crate) fn run(&self, event: &dyn Event, on_match: &mut dyn FnMut(usize)) {
        // Clearing a slot costs about as much as a comparison, so small programs get few.
        match self.fields.len() {
            0..=16 => self.run_with::<16>(event, on_match),
            17..=32 => self.run_with::<32>(event, on_match),
            33..=64 => self.run_with::<64>(event, on_match),
            _ => self.run_with::<256>(event, on_match),
        }
    }

    fn run_with<const FIELDS: usize>(&self, event: &dyn Event, on_match: &mut dyn FnMut(usize)) {
        let mut values: [Slot<'_>; FIELDS] = [const { Slot::Unknown }; FIELDS];
        let mut results = [None; MAX_RESULTS];
        let mut run = Run { program: self, event, values: &mut values, results: &mut results };
        for (rule, node) in &self.roots {
            if run.node(*node) {
                on_match(*rule);
            }
        }
    }
}

/// A field's value during one event.
enum Slot<'e> {
    Unknown,
    Known(Option<Value<'e>>),
}

struct Run<'p, 'e, 's> {
    program: &'p Program,
    event: &'e dyn Event,
    values: &'s mut [Slot<'e>],
    results: &'s mut [Option<bool>],
}

impl<'p: 'e, 'e> Run<'p, 'e, '_> {
    fn node(&mut self, index: usize) -> bool {
        let Some(node) = self.program.nodes.get(index) else { return false };
        let Some(slot) = node.result else { return self.instruction(node.instruction) };
        if let Some(Some(known)) = self.results.get(slot) {
            return *known;
        }
        let result = self.instruction(node.instruction);
        if let Some(kept) = self.results.get_mut(slot) {
            *kept = Some(result);
        }
        result
    }

    fn instruction(&mut self, instruction: Instruction) -> bool {
        match instruction {
            Instruction::Constant(value) => value,
            Instruction::Check(check) => self.check(check),
            Instruction::Not(child) => !self.node(child),
            Instruction::And { first, end } => self.children(first, end).iter().all(|child| self.node(*child)),
            Instruction::Or { first, end } => self.children(first, end).iter().any(|child| self.node(*child)),
        }
    }

    fn children(&self, first: usize, end: usize) -> &'p [usize] {
        self.program.children.get(first..end).unwrap_or_default()
    }

    fn check(&mut self, index: usize) -> bool {
        let Some(check) = self.program.checks.get(index) else { return false };
        let Check { compiled, field } = check;
        match (&compiled.right, field) {
            (Right::Constants(comparison), Some(field)) => self.compare(*field, comparison),
            (Right::Constants(_) | Right::Operand(..), _) => compiled.holds(self.event),
        }
    }

    fn compare(&mut self, field: usize, comparison: &Comparison) -> bool {
        let Some((name, argument)) = self.program.fields.get(field) else { return false };
        let Some(slot) = self.values.get_mut(field) else {
            return comparison.holds(self.event.value(*name, argument).as_ref());
        };
        if matches!(slot, Slot::Unknown) {
            *slot = Slot::Known(self.event.value(*name, argument));
        }
        match slot {
            Slot::Known(value) => comparison.holds(value.as_ref()),
            Slot::Unknown => false,
        }
    }
}

/// Gives numbers to the parts of a program.
#[derive(Default)]
struct Builder {
    program: Program,
    nodes: HashMap<*const Part, usize, FxBuildHasher>,
    checks: HashMap<*const CompiledCheck, usize, FxBuildHasher>,
    fields: HashMap<(Field, Argument), usize, FxBuildHasher>,
    /// How many others ask for each node.
    users: Vec<usize>,
}

impl Builder {
    fn node(&mut self, shared: &Shared) -> usize {
        if let Some(index) = self.nodes.get(&Arc::as_ptr(&shared.part)) {
            let index = *index;
            if let Some(users) = self.users.get_mut(index) {
                *users += 1;
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
        let index = self.program.nodes.len();
        self.program.nodes.push(Node { instruction, result: None });
        self.users.push(1);
        self.nodes.insert(Arc::as_ptr(&shared.part), index);
        index
    }

    fn children(&mut self, parts: &[Shared]) -> (usize, usize) {
        let children: Vec<_> = parts.iter().map(|part| self.node(part)).collect();
        let first = self.program.children.len();
        self.program.children.extend(children);
        (first, self.program.children.len())
    }

    fn check(&mut self, check: &Arc<CompiledCheck>) -> usize {
        if let Some(index) = self.checks.get(&Arc::as_ptr(check)) {
            return *index;
        }
        let field = match &check.left {
            Extractor::Field(field, argument) => Some(self.field(*field, argument)),
            Extractor::Constant(_) | Extractor::Call(_) => None,
        };
        let index = self.program.checks.len();
        self.program.checks.push(Check { compiled: Arc::clone(check), field });
        self.checks.insert(Arc::as_ptr(check), index);
        index
    }

    fn field(&mut self, field: Field, argument: &Argument) -> usize {
        let fields = &mut self.program.fields;
        *self.fields.entry((field, argument.clone())).or_insert_with_key(|key| {
            fields.push(key.clone());
            fields.len() - 1
        })
    }

    /// Keeps the results of parts that several others ask for; a check on a kept value is cheap enough to repeat.
    fn finish(mut self) -> Program {
        let shared =
            self.program.nodes.iter_mut().zip(&self.users).filter(|(_, users)| **users > 1).map(|(node, _)| node);
        let slots = shared.filter(|node| !matches!(node.instruction, Instruction::Constant(_))).take(MAX_RESULTS);
        for (slot, node) in slots.enumerate() {
            node.result = Some(slot);
        }
        self.program
    }
}
