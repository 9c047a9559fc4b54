// SPDX-License-Identifier: Apache-2.0
//! YAML nodes to items: which keys an item has, and whether their values have the right shape.

mod exception;
mod item;
mod rule;
mod value;

pub(crate) use item::{Change, Item, RuleParts, read};

use crate::diagnostic::Diagnostic;

/// Reads one part of an item, adding warnings on the way.
pub(crate) type Read<T> = Result<T, Diagnostic>;
