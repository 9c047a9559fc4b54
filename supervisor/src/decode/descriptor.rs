// SPDX-License-Identifier: Apache-2.0
//! Calls on an open descriptor.

use super::{
    Category, Layout, Source,
    Source::{
        Data, Descriptor, Enumerated, Hex, Limited, Long, Mode, Named, NewDescriptor, Number, Outcome, Renumbered,
        Short, Signed, Text, TextFor, Unknown,
    },
    Subject,
    flags::{
        file::{CLOSE_RANGE_BITS, DUPLICATE_BITS, LOCK_BITS, OTHER_SEEK, SEEKS, SETTINGS, SPLICE_BITS},
        kernel::{RING_ENTER_BITS, RING_OPERATIONS},
    },
};

/// Commands of fsconfig whose value is text: a string, a path, an empty path (`fsconfig(2)`).
const TEXT_SETTINGS: &[u32] = &[1, 3, 4];

const fn layout(name: &'static str, category: Category, sources: &'static [Source]) -> Layout {
    on(0, name, category, sources)
}

const fn on(descriptor: usize, name: &'static str, category: Category, sources: &'static [Source]) -> Layout {
    Layout { name, category, sources, subject: Subject::Descriptor(descriptor) }
}

const fn duplicating(name: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category: Category::Use, sources, subject: Subject::Duplicate(0) }
}

pub(super) static LAYOUTS: &[Layout] = &[
    duplicating("dup", &[NewDescriptor, Descriptor(0)]),
    duplicating("dup2", &[NewDescriptor, Descriptor(0), Descriptor(1)]),
    duplicating("dup3", &[NewDescriptor, Descriptor(0), Descriptor(1), Renumbered(2, DUPLICATE_BITS)]),
    layout("fchmod", Category::File, &[Outcome, Descriptor(0), Mode(1)]),
    layout("fchown", Category::File, &[Outcome, Descriptor(0), Number(1), Number(2)]),
    layout("fchdir", Category::File, &[Outcome, Descriptor(0)]),
    layout("ioctl", Category::Use, &[Outcome, Descriptor(0), Hex(1), Hex(2)]),
    layout("fstat", Category::File, &[Outcome, Descriptor(0)]),
    Layout { subject: Subject::None, ..layout("fstat64", Category::File, &[Outcome]) },
    layout("lseek", Category::File, &[Outcome, Descriptor(0), Long(1), Limited(2, SEEKS, OTHER_SEEK)]),
    layout("llseek", Category::File, &[Outcome, Descriptor(0), Unknown, Limited(4, SEEKS, OTHER_SEEK)]),
    layout("getdents", Category::File, &[Outcome, Descriptor(0)]),
    layout("getdents64", Category::File, &[Outcome, Descriptor(0)]),
    layout("flock", Category::File, &[Outcome, Descriptor(0), Named(1, LOCK_BITS)]),
    layout("pread", Category::Read, &[Outcome, Data, Descriptor(0), Number(2), Long(3)]),
    layout("readv", Category::Read, &[Outcome, Unknown, Data, Descriptor(0)]),
    layout("preadv", Category::Read, &[Outcome, Unknown, Data, Descriptor(0), Long(3)]),
    layout("pwrite", Category::Write, &[Outcome, Data, Descriptor(0), Number(2), Long(3)]),
    layout("writev", Category::Write, &[Outcome, Data, Descriptor(0), Unknown]),
    layout("pwritev", Category::Write, &[Outcome, Data, Descriptor(0), Unknown, Unknown]),
    on(2, "splice", Category::Use, &[Outcome, Descriptor(0), Descriptor(2), Long(4), Named(5, SPLICE_BITS)]),
    layout("sendfile", Category::Write, &[Outcome, Unknown, Descriptor(0), Descriptor(1), Long(3)]),
    on(2, "copy_file_range", Category::File, &[Outcome, Descriptor(2), Long(3), Descriptor(0), Long(1), Long(4)]),
    Layout {
        subject: Subject::None,
        ..layout("close_range", Category::Use, &[Outcome, Number(0), Number(1), Named(2, CLOSE_RANGE_BITS)])
    },
    layout(
        "fsconfig",
        Category::System,
        &[Outcome, Descriptor(0), Enumerated(1, SETTINGS), Text(2), Unknown, TextFor(3, 1, TEXT_SETTINGS), Signed(4)],
    ),
    layout(
        "io_uring_enter",
        Category::Use,
        &[Outcome, Descriptor(0), Number(1), Number(2), Named(3, RING_ENTER_BITS), Unknown],
    ),
    layout("io_uring_register", Category::Use, &[Outcome, Descriptor(0), Short(1, RING_OPERATIONS), Hex(2), Number(3)]),
    layout("setns", Category::Process, &[Outcome, Descriptor(0), Source::CloneFlags(1)]),
];
