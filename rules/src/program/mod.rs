// SPDX-License-Identifier: Apache-2.0
//! All conditions of a ruleset as programs, one for each group of event types that the rules cannot tell apart.
//!
//! The [`Arena`] holds every distinct part of every condition once. For an event type the checks on the type become
//! constants, what remains is simplified, grouped and ordered by cost, and the result is a [`Program`]. A program of many
//! rules does not evaluate all: for each it knows literals of which an event must have one, and looks up those that it has.
//! None of this changes a result: checks have no side effects, and an absent value makes a check false wherever it stands.

mod arena;
mod build;
mod cover;
mod group;
mod index;
mod possible;
mod run;
mod specialise;
#[cfg(test)]
pub(crate) mod tests;
mod values;

pub(crate) use arena::{Arena, NodeId};
pub use possible::{Knowledge, PartialEvent};
pub(crate) use run::Program;
pub(crate) use specialise::specialise;
