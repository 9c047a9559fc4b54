// SPDX-License-Identifier: Apache-2.0
//! Calls on processes, namespaces and the kernel itself.

use super::{
    Layout, Made, Source,
    Source::{
        Bytes, CloneFlags, Descriptor, Enumerated, Hex, Named, NewDescriptor, Number, Outcome, Request, Task, Text,
        Unknown,
    },
    Subject,
    flags::{BPF_COMMANDS, MEMFD_BITS},
};

const fn layout(name: &'static str, category: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category, sources, subject: Subject::None }
}

const fn making(name: &'static str, category: &'static str, sources: &'static [Source], made: Made) -> Layout {
    Layout { name, category, sources, subject: Subject::Created(made) }
}

const NO_NAMES: &[(&str, u32)] = &[];

pub(super) static LAYOUTS: &[Layout] = &[
    layout("unshare", "process", &[Outcome, CloneFlags(0)]),
    layout("ptrace", "process", &[Outcome, Hex(2), Hex(3), Request(0), Task(1)]),
    making("bpf", "other", &[NewDescriptor, Enumerated(0, BPF_COMMANDS)], Made::Bpf),
    making("userfaultfd", "file", &[Outcome, Named(0, NO_NAMES)], Made::UserFault),
    layout("init_module", "other", &[Outcome, Bytes(0, 1), Number(1), Text(2)]),
    Layout {
        subject: Subject::Descriptor(0),
        ..layout("finit_module", "other", &[Outcome, Descriptor(0), Text(1), Named(2, NO_NAMES)])
    },
    layout("delete_module", "other", &[Outcome, Text(0), Named(1, NO_NAMES)]),
    layout("memfd_create", "memory", &[NewDescriptor, Text(0), Named(1, MEMFD_BITS)]),
    layout("kill", "signal", &[Outcome, Task(0), Number(1)]),
    layout("tkill", "signal", &[Outcome, Task(0), Number(1)]),
    layout("tgkill", "signal", &[Outcome, Task(0), Task(1), Number(2)]),
    layout("io_uring_setup", "io_other", &[Outcome, Number(0), Unknown, Unknown, Unknown, Unknown, Unknown, Unknown]),
    layout("setsid", "process", &[Unknown]),
    // What happened on the descriptors is said behind each of them.
    layout("poll", "wait", &[Outcome, Unknown, Unknown]),
    layout("ppoll", "wait", &[Outcome, Unknown, Unknown, Unknown]),
];

/// Namespace and sharing bits in Falco's numbers, which are not the kernel's.
pub(crate) fn clone_flags(kernel: u32) -> u32 {
    const BITS: [(i32, u32); 12] = [
        (libc::CLONE_FILES, 1),
        (libc::CLONE_FS, 1 << 1),
        (libc::CLONE_NEWIPC, 1 << 3),
        (libc::CLONE_NEWNET, 1 << 4),
        (libc::CLONE_NEWNS, 1 << 5),
        (libc::CLONE_NEWPID, 1 << 6),
        (libc::CLONE_NEWUTS, 1 << 7),
        (libc::CLONE_SIGHAND, 1 << 11),
        (libc::CLONE_SYSVSEM, 1 << 12),
        (libc::CLONE_THREAD, 1 << 13),
        (libc::CLONE_NEWUSER, 1 << 20),
        (libc::CLONE_NEWCGROUP, 1 << 28),
    ];
    BITS.iter().filter(|(theirs, _)| kernel & theirs.cast_unsigned() != 0).fold(0, |all, (_, ours)| all | ours)
}
