// SPDX-License-Identifier: Apache-2.0
//! Whether some rule could match an event of which only a part is known yet.

use super::run::{Instruction, Program};
use crate::{
    Argument, EventType, Field, Value,
    compile::{CompiledCheck, Extractor, Right},
};

/// What is known of a field before the event happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Knowledge<'a> {
    /// Anything, also no value.
    Unknown,
    /// This value, or none.
    Known(Option<Value<'a>>),
}

/// An event of which a part is known: its type, and what its registers decide.
pub trait PartialEvent {
    /// The type.
    fn event_type(&self) -> EventType;

    /// What is known of `field`. What is said to be known must be what [`crate::Event::value`] will say.
    fn knowledge(&self, field: Field, argument: &Argument) -> Knowledge<'_>;
}

impl Program {
    /// Whether any rule's condition can hold for an event that is as `event` says.
    pub(crate) fn can_match(&self, event: &dyn PartialEvent) -> bool {
        self.roots.iter().any(|(_, node)| self.outcome(*node, event) != Some(false))
    }

    /// The result of a part, if what is known decides it.
    fn outcome(&self, node: u32, event: &dyn PartialEvent) -> Option<bool> {
        match self.nodes.get(node as usize)?.instruction {
            Instruction::Constant(value) => Some(value),
            Instruction::Check(check) => {
                self.checks.get(check as usize).and_then(|check| outcome_of(&check.compiled, event))
            }
            Instruction::Not(child) => self.outcome(child, event).map(|value| !value),
            Instruction::And { first, end } => self.chain(first, end, false, event),
            Instruction::Or { first, end } => self.chain(first, end, true, event),
        }
    }

    /// `decisive` if any child is, its opposite if all children are that.
    fn chain(&self, first: u32, end: u32, decisive: bool, event: &dyn PartialEvent) -> Option<bool> {
        let mut all_known = true;
        for child in self.children_of(first, end) {
            match self.outcome(*child, event) {
                Some(value) if value == decisive => return Some(decisive),
                Some(_) => {}
                None => all_known = false,
            }
        }
        all_known.then_some(!decisive)
    }
}

fn outcome_of(check: &CompiledCheck, event: &dyn PartialEvent) -> Option<bool> {
    let (Extractor::Field(field, argument), Right::Constants(comparison)) = (&check.left, &check.right) else {
        return None;
    };
    match event.knowledge(*field, argument) {
        Knowledge::Unknown => None,
        Knowledge::Known(value) => Some(comparison.holds(value.as_ref())),
    }
}
