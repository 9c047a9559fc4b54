// SPDX-License-Identifier: Apache-2.0
//! Calls on memory.

use super::{
    Category, Layout, Source,
    Source::{Hex, Long, Named, NewDescriptor, Outcome, Renumbered, Text},
    Subject,
    flags::memory::{LOCK_ALL_BITS, LOCK_MEMORY_BITS, MEMFD_BITS, PROTECTION_BITS},
};

const fn layout(name: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category: Category::Memory, sources, subject: Subject::None }
}

pub(super) static LAYOUTS: &[Layout] = &[
    layout("memfd_create", &[NewDescriptor, Text(0), Named(1, MEMFD_BITS)]),
    layout("mprotect", &[Outcome, Hex(0), Long(1), Renumbered(2, PROTECTION_BITS)]),
    layout("mlock", &[Outcome, Hex(0), Long(1)]),
    layout("mlock2", &[Outcome, Hex(0), Long(1), Named(2, LOCK_MEMORY_BITS)]),
    layout("munlock", &[Outcome, Hex(0), Long(1)]),
    layout("mlockall", &[Outcome, Named(0, LOCK_ALL_BITS)]),
    layout("munlockall", &[Outcome]),
];
