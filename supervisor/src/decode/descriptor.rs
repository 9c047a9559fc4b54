// SPDX-License-Identifier: Apache-2.0
//! Calls on an open descriptor.

use super::{
    Layout, Source,
    Source::{CloseOnExec, Data, Descriptor, Hex, Mode, NewDescriptor, Number, Outcome, Unknown},
    Subject,
};

const fn layout(name: &'static str, category: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category, sources, subject: Subject::Descriptor(0) }
}

const fn duplicating(name: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category: "file", sources, subject: Subject::Duplicate(0) }
}

pub(super) static LAYOUTS: &[Layout] = &[
    duplicating("dup", &[NewDescriptor, Descriptor(0)]),
    duplicating("dup2", &[NewDescriptor, Descriptor(0), Descriptor(1)]),
    duplicating("dup3", &[NewDescriptor, Descriptor(0), Descriptor(1), CloseOnExec(2)]),
    layout("fchmod", "file", &[Outcome, Descriptor(0), Mode(1)]),
    layout("fchown", "file", &[Outcome, Descriptor(0), Number(1), Number(2)]),
    layout("fchdir", "file", &[Outcome, Descriptor(0)]),
    layout("ioctl", "file", &[Outcome, Descriptor(0), Hex(1), Hex(2)]),
    layout("writev", "io_write", &[Outcome, Data, Descriptor(0), Unknown]),
    layout("pwritev", "io_write", &[Outcome, Data, Descriptor(0), Unknown, Unknown]),
    layout("setns", "process", &[Outcome, Descriptor(0), Source::CloneFlags(1)]),
];
