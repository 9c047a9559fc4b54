// SPDX-License-Identifier: Apache-2.0
//! Calls on processes, namespaces and the kernel itself.

use super::{
    Layout, Made, Source,
    Source::{
        Bytes, Choice, CloneFlags, CloseOnExec, ControlNumber, Descriptor, Enumerated, Hex, Named, NewDescriptor,
        Number, Outcome, Renumbered, Signed, Text, TextFor, Unknown,
    },
    Subject,
    flags::{
        kernel::{BPF_COMMANDS, KEY_OPERATIONS, SEMAPHORE_BITS, SEMAPHORE_COMMANDS},
        process::{LIMITS, PIDFD_BITS, PRCTL_OPTIONS, PTRACE_REQUESTS},
    },
};

const fn layout(name: &'static str, category: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category, sources, subject: Subject::None }
}

const fn making(name: &'static str, category: &'static str, sources: &'static [Source], made: Made) -> Layout {
    Layout { name, category, sources, subject: Subject::Created(made) }
}

/// `PR_SET_NAME` of prctl(2), whose second argument is text.
const SET_NAME: u32 = 15;

const NO_NAMES: &[(&str, u32)] = &[];

pub(super) static LAYOUTS: &[Layout] = &[
    layout("unshare", "process", &[Outcome, CloneFlags(0)]),
    layout("ptrace", "process", &[Outcome, Hex(2), Hex(3), Choice(0, &PTRACE_REQUESTS), Signed(1)]),
    making("bpf", "other", &[NewDescriptor, Enumerated(0, BPF_COMMANDS)], Made::Bpf),
    making("userfaultfd", "file", &[Outcome, Named(0, NO_NAMES)], Made::UserFault),
    layout("init_module", "other", &[Outcome, Bytes(0, 1), Number(1), Text(2)]),
    Layout {
        subject: Subject::Descriptor(0),
        ..layout("finit_module", "other", &[Outcome, Descriptor(0), Text(1), Named(2, NO_NAMES)])
    },
    layout("delete_module", "other", &[Outcome, Text(0), Named(1, NO_NAMES)]),
    layout("prctl", "process", &[Outcome, Enumerated(0, PRCTL_OPTIONS), TextFor(1, 0, &[SET_NAME]), ControlNumber]),
    layout("setpgid", "process", &[Outcome, Signed(0), Signed(1)]),
    layout("capset", "process", &[Outcome, Unknown, Unknown, Unknown]),
    layout("getrlimit", "process", &[Outcome, Unknown, Unknown, Enumerated(0, LIMITS)]),
    layout("setrlimit", "process", &[Outcome, Unknown, Unknown, Enumerated(0, LIMITS)]),
    layout("prlimit", "process", &[Outcome, Unknown, Unknown, Unknown, Unknown, Signed(0), Enumerated(1, LIMITS)]),
    layout("process_vm_readv", "syscall", &[Unknown, Signed(0), Unknown]),
    layout("process_vm_writev", "syscall", &[Unknown, Signed(0), Unknown]),
    layout("pidfd_open", "process", &[NewDescriptor, Signed(0), Renumbered(1, PIDFD_BITS)]),
    layout("pidfd_getfd", "process", &[NewDescriptor, Descriptor(0), Signed(1), Number(2)]),
    layout("semget", "process", &[Outcome, Hex(0), Signed(1), Renumbered(2, SEMAPHORE_BITS)]),
    layout("semctl", "process", &[Outcome, Signed(0), Signed(1), Choice(2, &SEMAPHORE_COMMANDS), Unknown]),
    layout("semop", "process", &[Outcome, Number(2), Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Signed(0)]),
    layout("keyctl", "other", &[Outcome, Enumerated(0, KEY_OPERATIONS), Unknown, Unknown, Unknown, Unknown]),
    layout(
        "quotactl",
        "user",
        &[
            Outcome,
            Text(1),
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
            Unknown,
        ],
    ),
    layout("signalfd", "signal", &[NewDescriptor, Descriptor(0), Unknown, Unknown]),
    layout("signalfd4", "signal", &[NewDescriptor, CloseOnExec(3), Descriptor(0), Unknown]),
    layout("timerfd_create", "time", &[NewDescriptor, Number(0), Unknown]),
    layout("inotify_init", "ipc", &[NewDescriptor, Unknown]),
    layout("inotify_init1", "ipc", &[NewDescriptor, CloseOnExec(0)]),
    layout("select", "wait", &[Outcome]),
    layout("kill", "signal", &[Outcome, Signed(0), Number(1)]),
    layout("tkill", "signal", &[Outcome, Signed(0), Number(1)]),
    layout("tgkill", "signal", &[Outcome, Signed(0), Signed(1), Number(2)]),
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
