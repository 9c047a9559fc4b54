// SPDX-License-Identifier: Apache-2.0
//! Programs and their evaluation: no allocation, every field asked for once, every shared part computed once.
//!
//! A program first finds the rules that the event's values do not rule out, with one look-up for each field that some rule
//! needs a literal of, and then evaluates those, in rule order.

use std::sync::Arc;

use super::{
    index::{Candidates, Index},
    values::Values,
};
use crate::{
    Argument, Event, Field,
    compile::{CompiledCheck, Right},
};

/// Words of the bits that keep results. Further results are computed each time they are asked for.
const RESULT_WORDS: usize = 4;
/// Shared parts whose results are kept; stock programs have fewer than 60.
pub(super) const MAX_RESULTS: u32 = 64 * 4;

/// Roots that are evaluated rather than ruled out by a value that has to be read: reading one costs some twenty times as
/// much as evaluating a root.
const FEW: u32 = 16;

/// The conditions of all rules that one event type can match.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// Each after those it consists of.
    pub(super) nodes: Vec<Node>,
    pub(super) children: Vec<u32>,
    pub(super) checks: Vec<Check>,
    pub(super) fields: Vec<(Field, Argument)>,
    /// Rule and node, in rule order.
    pub(super) roots: Vec<(usize, u32)>,
    /// What rules roots out, one after the other: first by values that cost little, then by those that have to be read.
    /// None where there are few roots.
    pub(super) sieves: Vec<Sieve>,
}

/// Look-ups that rule roots out.
#[derive(Debug)]
pub(super) struct Sieve {
    /// Those that pass only where a look-up finds them, as bits.
    pub(super) roots: Vec<u64>,
    pub(super) indexes: Vec<Index>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) instruction: Instruction,
    /// Where the result is kept, if several others ask for it.
    pub(super) result: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Instruction {
    Constant(bool),
    Check(u32),
    Not(u32),
    And { first: u32, end: u32 },
    Or { first: u32, end: u32 },
}

#[derive(Debug)]
pub(super) struct Check {
    pub(super) compiled: Arc<CompiledCheck>,
    /// The number of the left side's field, if it is one.
    pub(super) field: Option<u32>,
}

impl Program {
    /// The rules in the program.
    pub(crate) fn rules(&self) -> impl Iterator<Item = usize> + '_ {
        self.roots.iter().map(|(rule, _)| *rule)
    }

    pub(super) fn children_of(&self, first: u32, end: u32) -> &[u32] {
        self.children.get(first as usize..end as usize).unwrap_or_default()
    }

    /// Calls `on_match` for every rule whose condition holds, in order.
    pub(crate) fn run(&self, event: &dyn Event, on_match: &mut dyn FnMut(usize)) {
        // Clearing the bits of ten thousand rules costs more than evaluating ten.
        match self.roots.len().div_ceil(64) {
            0 => {}
            1 => self.run_with::<1>(event, on_match),
            2..=4 => self.run_with::<4>(event, on_match),
            5..=32 => self.run_with::<32>(event, on_match),
            33..=256 => self.run_with::<256>(event, on_match),
            words => self.run_in((&mut vec![0; words], &mut vec![0; words]), event, on_match),
        }
    }

    // Not inlined, so that only programs of many rules need much stack.
    #[inline(never)]
    fn run_with<const WORDS: usize>(&self, event: &dyn Event, on_match: &mut dyn FnMut(usize)) {
        self.run_in((&mut [0; WORDS], &mut [0; WORDS]), event, on_match);
    }

    fn run_in(&self, words: (&mut [u64], &mut [u64]), event: &dyn Event, on_match: &mut dyn FnMut(usize)) {
        let mut candidates = Candidates::all(words, self.roots.len());
        let mut run =
            Run { program: self, event, values: Values::new(), known: [0; RESULT_WORDS], holds: [0; RESULT_WORDS] };
        for (index, sieve) in self.sieves.iter().enumerate() {
            // What the later ones ask for has to be read, which the few that are left may not need.
            if index == 0 || candidates.are_more_among(&sieve.roots, FEW) {
                sieve.indexes.iter().for_each(|index| run.look_up(index, &mut candidates));
                candidates.keep_found(&sieve.roots);
            }
        }
        candidates.for_each(|root| {
            if let Some((rule, node)) = self.roots.get(root)
                && run.node(*node)
            {
                on_match(*rule);
            }
        });
    }
}

struct Run<'p, 'e> {
    program: &'p Program,
    event: &'e dyn Event,
    values: Values<'e>,
    /// Which results are known, and those that are true.
    known: [u64; RESULT_WORDS],
    holds: [u64; RESULT_WORDS],
}

impl<'p: 'e, 'e> Run<'p, 'e> {
    /// Adds the roots that the value of the index's field allows, unless cheaper checks rule all of them out.
    fn look_up(&mut self, index: &Index, candidates: &mut Candidates<'_>) {
        if !index.tickets().is_empty() && !index.tickets().iter().any(|node| self.node(*node)) {
            return;
        }
        let Some(field) = self.program.fields.get(index.field() as usize) else { return };
        self.values.with(index.field(), self.event, field, |value| {
            if let Some(value) = value {
                index.look_up(value, candidates);
            }
        });
    }

    fn node(&mut self, index: u32) -> bool {
        let Some(node) = self.program.nodes.get(index as usize) else { return false };
        let Some(result) = node.result else { return self.instruction(node.instruction) };
        let (word, bit) = ((result / 64) as usize, 1_u64 << (result % 64));
        if self.known.get(word).is_some_and(|known| known & bit != 0) {
            return self.holds.get(word).is_some_and(|holds| holds & bit != 0);
        }
        let holds = self.instruction(node.instruction);
        if let (Some(known), Some(kept)) = (self.known.get_mut(word), self.holds.get_mut(word)) {
            *known |= bit;
            *kept |= if holds { bit } else { 0 };
        }
        holds
    }

    fn instruction(&mut self, instruction: Instruction) -> bool {
        let program = self.program;
        match instruction {
            Instruction::Constant(value) => value,
            Instruction::Check(check) => self.check(check),
            Instruction::Not(child) => !self.node(child),
            Instruction::And { first, end } => program.children_of(first, end).iter().all(|child| self.node(*child)),
            Instruction::Or { first, end } => program.children_of(first, end).iter().any(|child| self.node(*child)),
        }
    }

    fn check(&mut self, index: u32) -> bool {
        let Some(Check { compiled, field }) = self.program.checks.get(index as usize) else { return false };
        match (&compiled.right, field) {
            (Right::Constants(comparison), Some(number)) => {
                let Some(field) = self.program.fields.get(*number as usize) else { return false };
                self.values.with(*number, self.event, field, |value| comparison.holds(value))
            }
            (Right::Constants(_) | Right::Operand(..), _) => compiled.holds(self.event),
        }
    }
}
