// SPDX-License-Identifier: Apache-2.0
//! Conditions as text and as syntax trees: reading order is tree, lexer, parser, then the resolver of lists and macros.

pub(crate) mod ast;
mod lexer;
pub(crate) mod parser;
mod print;
mod public;
pub(crate) mod resolver;
#[cfg(test)]
mod tests;

pub(crate) use lexer::is_space;
pub(crate) use print::quoted;
pub use public::{Condition, ConditionError, ConditionNode};
