// SPDX-License-Identifier: Apache-2.0
//! Names of what is done to processes.

use super::{Bits, Choices, Names};

/// `evt.arg.flags` of an exec.
pub(crate) const EXEC_BITS: Names =
    &[("EXE_WRITABLE", 1), ("EXE_UPPER_LAYER", 2), ("EXE_FROM_MEMFD", 4), ("EXE_LOWER_LAYER", 8)];

/// `evt.arg.flags` of unshare, `evt.arg.nstype` of setns.
pub(crate) const CLONE_BITS: Names = &[
    ("CLONE_FILES", 1 << 0),
    ("CLONE_FS", 1 << 1),
    ("CLONE_IO", 1 << 2),
    ("CLONE_NEWIPC", 1 << 3),
    ("CLONE_NEWNET", 1 << 4),
    ("CLONE_NEWNS", 1 << 5),
    ("CLONE_NEWPID", 1 << 6),
    ("CLONE_NEWUTS", 1 << 7),
    ("CLONE_PARENT", 1 << 8),
    ("CLONE_PARENT_SETTID", 1 << 9),
    ("CLONE_PTRACE", 1 << 10),
    ("CLONE_SIGHAND", 1 << 11),
    ("CLONE_SYSVSEM", 1 << 12),
    ("CLONE_THREAD", 1 << 13),
    ("CLONE_UNTRACED", 1 << 14),
    ("CLONE_VM", 1 << 15),
    ("CLOSED", 1 << 18),
    ("CLONE_NEWUSER", 1 << 20),
    ("CLONE_CHILD_CLEARTID", 1 << 23),
    ("CLONE_CHILD_SETTID", 1 << 24),
    ("CLONE_SETTLS", 1 << 25),
    ("CLONE_STOPPED", 1 << 26),
    ("CLONE_VFORK", 1 << 27),
    ("CLONE_NEWCGROUP", 1 << 28),
];

/// `evt.arg.request` of ptrace.
pub(crate) const PTRACE_REQUESTS: Choices = Choices {
    known: &[
        ("PTRACE_TRACEME", 0, 1),
        ("PTRACE_PEEKTEXT", 1, 2),
        ("PTRACE_PEEKDATA", 2, 3),
        ("PTRACE_PEEKUSR", 3, 4),
        ("PTRACE_POKETEXT", 4, 5),
        ("PTRACE_POKEDATA", 5, 6),
        ("PTRACE_POKEUSR", 6, 7),
        ("PTRACE_CONT", 7, 8),
        ("PTRACE_KILL", 8, 9),
        ("PTRACE_SINGLESTEP", 9, 10),
        ("PTRACE_ATTACH", 16, 11),
        ("PTRACE_DETACH", 17, 12),
        ("PTRACE_SYSCALL", 24, 13),
        ("PTRACE_SETOPTIONS", 0x4200, 14),
        ("PTRACE_GETEVENTMSG", 0x4201, 15),
        ("PTRACE_GETSIGINFO", 0x4202, 16),
        ("PTRACE_SETSIGINFO", 0x4203, 17),
        ("PTRACE_GETREGSET", 0x4204, 18),
        ("PTRACE_SETREGSET", 0x4205, 19),
        ("PTRACE_SEIZE", 0x4206, 20),
        ("PTRACE_INTERRUPT", 0x4207, 21),
        ("PTRACE_LISTEN", 0x4208, 22),
        ("PTRACE_PEEKSIGINFO", 0x4209, 23),
        ("PTRACE_GETSIGMASK", 0x420a, 24),
        ("PTRACE_SETSIGMASK", 0x420b, 25),
        ("PTRACE_GETREGS", 12, 26),
        ("PTRACE_SETREGS", 13, 27),
        ("PTRACE_GETFPREGS", 14, 28),
        ("PTRACE_SETFPREGS", 15, 29),
        ("PTRACE_GETFPXREGS", 18, 30),
        ("PTRACE_SETFPXREGS", 19, 31),
        ("PTRACE_OLDSETOPTIONS", 21, 32),
        ("PTRACE_GET_THREAD_AREA", 25, 33),
        ("PTRACE_SET_THREAD_AREA", 26, 34),
        ("PTRACE_ARCH_PRCTL", 30, 35),
        ("PTRACE_SYSEMU", 31, 36),
        ("PTRACE_SYSEMU_SINGLESTEP", 32, 37),
        ("PTRACE_SINGLEBLOCK", 33, 38),
    ],
    unknown: "PTRACE_UNKNOWN",
};

/// The number of a limit that Falco does not know.
pub(crate) const OTHER_LIMIT: u32 = 255;

/// `evt.arg.resource`.
pub(crate) const LIMITS: Names = &[
    ("RLIMIT_UNKNOWN", OTHER_LIMIT),
    ("RLIMIT_RTTIME", 15),
    ("RLIMIT_RTPRIO", 14),
    ("RLIMIT_NICE", 13),
    ("RLIMIT_MSGQUEUE", 12),
    ("RLIMIT_SIGPENDING", 11),
    ("RLIMIT_LOCKS", 10),
    ("RLIMIT_AS", 9),
    ("RLIMIT_MEMLOCK", 8),
    ("RLIMIT_NOFILE", 7),
    ("RLIMIT_NPROC", 6),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_CORE", 4),
    ("RLIMIT_STACK", 3),
    ("RLIMIT_DATA", 2),
    ("RLIMIT_FSIZE", 1),
    ("RLIMIT_CPU", 0),
];

/// `evt.arg.flags` of `pidfd_open`.
pub(crate) const PIDFD_BITS: Bits = &[("PIDFD_NONBLOCK", 0x800, 1)];

/// `evt.arg.option` of prctl. *Falco:* has one of them twice, so that it prints twice.
pub(crate) const PRCTL_OPTIONS: Names = &[
    ("PR_GET_DUMPABLE", 3),
    ("PR_SET_DUMPABLE", 4),
    ("PR_GET_KEEPCAPS", 7),
    ("PR_SET_KEEPCAPS", 8),
    ("PR_SET_NAME", 15),
    ("PR_GET_NAME", 16),
    ("PR_GET_SECCOMP", 21),
    ("PR_SET_SECCOMP", 22),
    ("PR_CAPBSET_READ", 23),
    ("PR_CAPBSET_DROP", 24),
    ("PR_GET_SECUREBITS", 27),
    ("PR_SET_SECUREBITS", 28),
    ("PR_MCE_KILL", 33),
    ("PR_MCE_KILL", 33),
    ("PR_SET_MM", 35),
    ("PR_SET_CHILD_SUBREAPER", 36),
    ("PR_GET_CHILD_SUBREAPER", 37),
    ("PR_SET_NO_NEW_PRIVS", 38),
    ("PR_GET_NO_NEW_PRIVS", 39),
    ("PR_GET_TID_ADDRESS", 40),
    ("PR_SET_THP_DISABLE", 41),
    ("PR_GET_THP_DISABLE", 42),
    ("PR_CAP_AMBIENT", 47),
];
