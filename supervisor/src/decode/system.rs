// SPDX-License-Identifier: Apache-2.0
//! Calls on processes, namespaces and the kernel itself.

use super::{
    Category, Layout, Made, Source,
    Source::{
        Bytes, Choice, CloneFlags, CloseOnExec, ControlNumber, Descriptor, Enumerated, Hex, Limited, Named,
        NewDescriptor, Number, Outcome, Renumbered, Signed, Text, TextFor, Unknown, Whole,
    },
    Subject,
    flags::{
        file::OPEN_BITS,
        kernel::{BPF_COMMANDS, KEY_OPERATIONS, LOADING_BITS, SEMAPHORE_BITS, SEMAPHORE_COMMANDS, UNLOADING_BITS},
        process::{LIMITS, OTHER_LIMIT, PIDFD_BITS, PRCTL_OPTIONS, PTRACE_REQUESTS},
    },
};

const fn layout(name: &'static str, category: Category, sources: &'static [Source]) -> Layout {
    Layout { name, category, sources, subject: Subject::None }
}

const fn making(name: &'static str, category: Category, sources: &'static [Source], made: Made) -> Layout {
    Layout { name, category, sources, subject: Subject::Created(made) }
}

/// `PR_SET_NAME` of prctl(2), whose second argument is text.
const SET_NAME: u32 = 15;

pub(super) static LAYOUTS: &[Layout] = &[
    layout("unshare", Category::Process, &[Outcome, CloneFlags(0)]),
    layout("ptrace", Category::Process, &[Outcome, Hex(2), Hex(3), Choice(0, &PTRACE_REQUESTS), Signed(1)]),
    making("bpf", Category::Other, &[NewDescriptor, Enumerated(0, BPF_COMMANDS)], Made::Bpf),
    // *Falco:* gives the kernel's bits the names of its own.
    making("userfaultfd", Category::File, &[Outcome, Whole(0, OPEN_BITS)], Made::UserFault),
    layout("init_module", Category::Other, &[Outcome, Bytes(0, 1), Number(1), Text(2)]),
    Layout {
        subject: Subject::Descriptor(0),
        ..layout("finit_module", Category::Other, &[Outcome, Descriptor(0), Text(1), Named(2, LOADING_BITS)])
    },
    layout("delete_module", Category::Other, &[Outcome, Text(0), Renumbered(1, UNLOADING_BITS)]),
    layout(
        "prctl",
        Category::Process,
        &[Outcome, Enumerated(0, PRCTL_OPTIONS), TextFor(1, 0, &[SET_NAME]), ControlNumber],
    ),
    layout("setpgid", Category::Process, &[Outcome, Signed(0), Signed(1)]),
    layout("capset", Category::Process, &[Outcome, Unknown, Unknown, Unknown]),
    layout("getrlimit", Category::Process, &[Outcome, Unknown, Unknown, Limited(0, LIMITS, OTHER_LIMIT)]),
    layout("setrlimit", Category::Process, &[Outcome, Unknown, Unknown, Limited(0, LIMITS, OTHER_LIMIT)]),
    layout(
        "prlimit",
        Category::Process,
        &[Outcome, Unknown, Unknown, Unknown, Unknown, Signed(0), Limited(1, LIMITS, OTHER_LIMIT)],
    ),
    layout("process_vm_readv", Category::Ipc, &[Unknown, Signed(0), Unknown]),
    layout("process_vm_writev", Category::Ipc, &[Unknown, Signed(0), Unknown]),
    layout("pidfd_open", Category::Process, &[NewDescriptor, Signed(0), Renumbered(1, PIDFD_BITS)]),
    layout("pidfd_getfd", Category::Process, &[NewDescriptor, Descriptor(0), Signed(1), Number(2)]),
    layout("semget", Category::Process, &[Outcome, Hex(0), Signed(1), Renumbered(2, SEMAPHORE_BITS)]),
    layout("semctl", Category::Process, &[Outcome, Signed(0), Signed(1), Choice(2, &SEMAPHORE_COMMANDS), Unknown]),
    layout(
        "semop",
        Category::Process,
        &[Outcome, Number(2), Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Signed(0)],
    ),
    layout("keyctl", Category::Other, &[Outcome, Enumerated(0, KEY_OPERATIONS), Unknown, Unknown, Unknown, Unknown]),
    layout(
        "quotactl",
        Category::User,
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
    layout("signalfd", Category::Signal, &[NewDescriptor, Descriptor(0), Unknown, Unknown]),
    layout("signalfd4", Category::Signal, &[NewDescriptor, CloseOnExec(3), Descriptor(0), Unknown]),
    layout("timerfd_create", Category::Time, &[NewDescriptor, Number(0), Unknown]),
    layout("inotify_init", Category::Ipc, &[NewDescriptor, Unknown]),
    layout("inotify_init1", Category::Ipc, &[NewDescriptor, CloseOnExec(0)]),
    layout("select", Category::Wait, &[Outcome]),
    layout("kill", Category::Signal, &[Outcome, Signed(0), Number(1)]),
    layout("tkill", Category::Signal, &[Outcome, Signed(0), Number(1)]),
    layout("tgkill", Category::Signal, &[Outcome, Signed(0), Signed(1), Number(2)]),
    layout(
        "io_uring_setup",
        Category::Use,
        &[Outcome, Number(0), Unknown, Unknown, Unknown, Unknown, Unknown, Unknown],
    ),
    layout("setsid", Category::Process, &[Unknown]),
    // What happened on the descriptors is said behind each of them.
    layout("poll", Category::Wait, &[Outcome, Unknown, Unknown]),
    layout("ppoll", Category::Wait, &[Outcome, Unknown, Unknown, Unknown]),
];

/// `mount` flags as the kernel and Falco take them: without the number that older kernels wanted in the upper half
/// (`MS_MGC_VAL` of mount(2)).
pub(crate) fn mount_flags(flags: u32) -> u32 {
    const MARK: u32 = 0xc0ed_0000;
    const UPPER: u32 = 0xffff_0000;
    if flags & UPPER == MARK { flags & !UPPER } else { flags }
}

/// A mode of `mknod`. *Falco:* a type that no node has is left out, and none is that of a file.
pub(crate) fn node_mode(mode: u32) -> u32 {
    let kind = match mode & libc::S_IFMT {
        0 => libc::S_IFREG,
        kind @ (libc::S_IFREG | libc::S_IFCHR | libc::S_IFBLK | libc::S_IFIFO | libc::S_IFSOCK) => kind,
        _ => 0,
    };
    mode & 0o7777 | kind
}

/// Namespace and sharing bits in Falco's numbers, which are not the kernel's.
pub(crate) fn clone_flags(kernel: u32) -> u32 {
    const BITS: [(i32, u32); 22] = [
        (libc::CLONE_FILES, 1),
        (libc::CLONE_FS, 1 << 1),
        (libc::CLONE_IO, 1 << 2),
        (libc::CLONE_NEWIPC, 1 << 3),
        (libc::CLONE_NEWNET, 1 << 4),
        (libc::CLONE_NEWNS, 1 << 5),
        (libc::CLONE_NEWPID, 1 << 6),
        (libc::CLONE_NEWUTS, 1 << 7),
        (libc::CLONE_PARENT, 1 << 8),
        (libc::CLONE_PARENT_SETTID, 1 << 9),
        (libc::CLONE_PTRACE, 1 << 10),
        (libc::CLONE_SIGHAND, 1 << 11),
        (libc::CLONE_SYSVSEM, 1 << 12),
        (libc::CLONE_THREAD, 1 << 13),
        (libc::CLONE_UNTRACED, 1 << 14),
        (libc::CLONE_VM, 1 << 15),
        (libc::CLONE_NEWUSER, 1 << 20),
        (libc::CLONE_CHILD_CLEARTID, 1 << 23),
        (libc::CLONE_CHILD_SETTID, 1 << 24),
        (libc::CLONE_SETTLS, 1 << 25),
        (libc::CLONE_VFORK, 1 << 27),
        (libc::CLONE_NEWCGROUP, 1 << 28),
    ];
    BITS.iter().filter(|(theirs, _)| kernel & theirs.cast_unsigned() != 0).fold(0, |all, (_, ours)| all | ours)
}
