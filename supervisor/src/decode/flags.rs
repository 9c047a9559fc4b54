// SPDX-License-Identifier: Apache-2.0
//! Names of flag bits, in the order and with the numbers of Falco's own tables.

/// Falco's numbers of open flags.
pub(crate) mod open {
    pub(crate) const READ: u32 = 1;
    pub(crate) const WRITE: u32 = 2;
    pub(crate) const CREATE: u32 = 4;
    pub(crate) const APPEND: u32 = 8;
    pub(crate) const DATA_SYNC: u32 = 16;
    pub(crate) const EXCLUSIVE: u32 = 32;
    pub(crate) const NONBLOCK: u32 = 64;
    pub(crate) const SYNC: u32 = 128;
    pub(crate) const TRUNCATE: u32 = 256;
    pub(crate) const DIRECT: u32 = 512;
    pub(crate) const DIRECTORY: u32 = 1024;
    pub(crate) const LARGE: u32 = 2048;
    pub(crate) const CLOSE_ON_EXEC: u32 = 4096;
    pub(crate) const UNNAMED: u32 = 8192;
    /// The file did not exist before.
    pub(crate) const CREATED: u32 = 1 << 14;
    /// The file lives in the writable layer of an overlay.
    pub(crate) const UPPER: u32 = 1 << 15;
    /// The file lives in an image's layer.
    pub(crate) const LOWER: u32 = 1 << 16;
}

/// A table: names in the order they print.
pub(crate) type Names = &'static [(&'static str, u32)];

/// `evt.arg.flags` of an open. `O_RDWR` stands before its halves and takes both bits.
pub(crate) const OPEN_BITS: Names = &[
    ("O_LARGEFILE", open::LARGE),
    ("O_DIRECTORY", open::DIRECTORY),
    ("O_DIRECT", open::DIRECT),
    ("O_TRUNC", open::TRUNCATE),
    ("O_SYNC", open::SYNC),
    ("O_NONBLOCK", open::NONBLOCK),
    ("O_EXCL", open::EXCLUSIVE),
    ("O_DSYNC", open::DATA_SYNC),
    ("O_APPEND", open::APPEND),
    ("O_CREAT", open::CREATE),
    ("O_RDWR", open::READ | open::WRITE),
    ("O_WRONLY", open::WRITE),
    ("O_RDONLY", open::READ),
    ("O_CLOEXEC", open::CLOSE_ON_EXEC),
    ("O_NONE", 0),
    ("O_TMPFILE", open::UNNAMED),
    ("O_F_CREATED", open::CREATED),
    ("FD_UPPER_LAYER", open::UPPER),
    ("FD_LOWER_LAYER", open::LOWER),
];

/// `evt.arg.flags` of an exec.
pub(crate) const EXEC_BITS: Names =
    &[("EXE_WRITABLE", 1), ("EXE_UPPER_LAYER", 2), ("EXE_FROM_MEMFD", 4), ("EXE_LOWER_LAYER", 8)];

/// `evt.arg.mode` of a chmod.
pub(crate) const CHMOD_BITS: Names = &[
    ("S_IXOTH", 0o1),
    ("S_IWOTH", 0o2),
    ("S_IROTH", 0o4),
    ("S_IXGRP", 0o10),
    ("S_IWGRP", 0o20),
    ("S_IRGRP", 0o40),
    ("S_IXUSR", 0o100),
    ("S_IWUSR", 0o200),
    ("S_IRUSR", 0o400),
    ("S_ISVTX", 0o1000),
    ("S_ISGID", 0o2000),
    ("S_ISUID", 0o4000),
];

/// `evt.arg.resolve`.
pub(crate) const RESOLVE_BITS: Names = &[
    ("RESOLVE_BENEATH", 1),
    ("RESOLVE_IN_ROOT", 2),
    ("RESOLVE_NO_MAGICLINKS", 4),
    ("RESOLVE_NO_SYMLINKS", 8),
    ("RESOLVE_NO_XDEV", 16),
    ("RESOLVE_CACHED", 32),
];

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

/// `evt.arg.flags` of `renameat2`.
pub(crate) const RENAME_BITS: Names =
    &[("RENAME_NOREPLACE", 1 << 0), ("RENAME_EXCHANGE", 1 << 1), ("RENAME_WHITEOUT", 1 << 2)];

/// `evt.arg.flags` of `linkat`.
pub(crate) const LINK_BITS: Names = &[("AT_SYMLINK_FOLLOW", 0x400), ("AT_EMPTY_PATH", 0x1000)];

/// `evt.arg.flags` of `unlinkat`.
pub(crate) const UNLINK_BITS: Names = &[("AT_REMOVEDIR", 0x200)];

/// `evt.arg.flags` of `fchownat`.
pub(crate) const OWNER_BITS: Names = &[("AT_SYMLINK_NOFOLLOW", 0x400), ("AT_EMPTY_PATH", 0x1000)];

/// `evt.arg.flags` of `mount`, with the kernel's numbers.
pub(crate) const MOUNT_BITS: Names = &[
    ("RDONLY", 1 << 0),
    ("NOSUID", 1 << 1),
    ("NODEV", 1 << 2),
    ("NOEXEC", 1 << 3),
    ("SYNCHRONOUS", 1 << 4),
    ("REMOUNT", 1 << 5),
    ("MANDLOCK", 1 << 6),
    ("DIRSYNC", 1 << 7),
    ("NOATIME", 1 << 10),
    ("NODIRATIME", 1 << 11),
    ("BIND", 1 << 12),
    ("MOVE", 1 << 13),
    ("REC", 1 << 14),
    ("SILENT", 1 << 15),
    ("POSIXACL", 1 << 16),
    ("UNBINDABLE", 1 << 17),
    ("PRIVATE", 1 << 18),
    ("SLAVE", 1 << 19),
    ("SHARED", 1 << 20),
    ("RELATIME", 1 << 21),
    ("KERNMOUNT", 1 << 22),
    ("I_VERSION", 1 << 23),
    ("STRICTATIME", 1 << 24),
    ("LAZYTIME", 1 << 25),
];

/// `evt.arg.flags` of `umount2`.
pub(crate) const UNMOUNT_BITS: Names =
    &[("FORCE", 1 << 0), ("DETACH", 1 << 1), ("EXPIRE", 1 << 2), ("NOFOLLOW", 1 << 3)];

/// `evt.arg.flags` of `memfd_create`.
pub(crate) const MEMFD_BITS: Names = &[("MFD_CLOEXEC", 1 << 0), ("MFD_ALLOW_SEALING", 1 << 1), ("MFD_HUGETLB", 1 << 2)];

/// `evt.arg.domain`.
pub(crate) const FAMILIES: Names = &[
    ("AF_NFC", 39),
    ("AF_ALG", 38),
    ("AF_CAIF", 37),
    ("AF_IEEE802154", 36),
    ("AF_PHONET", 35),
    ("AF_ISDN", 34),
    ("AF_RXRPC", 33),
    ("AF_IUCV", 32),
    ("AF_BLUETOOTH", 31),
    ("AF_TIPC", 30),
    ("AF_CAN", 29),
    ("AF_LLC", 26),
    ("AF_WANPIPE", 25),
    ("AF_PPPOX", 24),
    ("AF_IRDA", 23),
    ("AF_SNA", 22),
    ("AF_RDS", 21),
    ("AF_ATMSVC", 20),
    ("AF_ECONET", 19),
    ("AF_ASH", 18),
    ("AF_PACKET", 17),
    ("AF_ROUTE", 16),
    ("AF_NETLINK", 16),
    ("AF_KEY", 15),
    ("AF_SECURITY", 14),
    ("AF_NETBEUI", 13),
    ("AF_DECnet", 12),
    ("AF_ROSE", 11),
    ("AF_INET6", 10),
    ("AF_X25", 9),
    ("AF_ATMPVC", 8),
    ("AF_BRIDGE", 7),
    ("AF_NETROM", 6),
    ("AF_APPLETALK", 5),
    ("AF_IPX", 4),
    ("AF_AX25", 3),
    ("AF_INET", 2),
    ("AF_LOCAL", 1),
    ("AF_UNIX", 1),
    ("AF_UNSPEC", 0),
];

/// `evt.arg.request` of ptrace, with the kernel's numbers, in the order of Falco's own numbers, which begin at 1.
pub(crate) const PTRACE_REQUESTS: Names = &[
    ("PTRACE_TRACEME", 0),
    ("PTRACE_PEEKTEXT", 1),
    ("PTRACE_PEEKDATA", 2),
    ("PTRACE_PEEKUSR", 3),
    ("PTRACE_POKETEXT", 4),
    ("PTRACE_POKEDATA", 5),
    ("PTRACE_POKEUSR", 6),
    ("PTRACE_CONT", 7),
    ("PTRACE_KILL", 8),
    ("PTRACE_SINGLESTEP", 9),
    ("PTRACE_ATTACH", 16),
    ("PTRACE_DETACH", 17),
    ("PTRACE_SYSCALL", 24),
    ("PTRACE_SETOPTIONS", 0x4200),
    ("PTRACE_GETEVENTMSG", 0x4201),
    ("PTRACE_GETSIGINFO", 0x4202),
    ("PTRACE_SETSIGINFO", 0x4203),
    ("PTRACE_GETREGSET", 0x4204),
    ("PTRACE_SETREGSET", 0x4205),
    ("PTRACE_SEIZE", 0x4206),
    ("PTRACE_INTERRUPT", 0x4207),
    ("PTRACE_LISTEN", 0x4208),
    ("PTRACE_PEEKSIGINFO", 0x4209),
    ("PTRACE_GETSIGMASK", 0x420a),
    ("PTRACE_SETSIGMASK", 0x420b),
    ("PTRACE_GETREGS", 12),
    ("PTRACE_SETREGS", 13),
    ("PTRACE_GETFPREGS", 14),
    ("PTRACE_SETFPREGS", 15),
    ("PTRACE_GETFPXREGS", 18),
    ("PTRACE_SETFPXREGS", 19),
    ("PTRACE_OLDSETOPTIONS", 21),
    ("PTRACE_GET_THREAD_AREA", 25),
    ("PTRACE_SET_THREAD_AREA", 26),
    ("PTRACE_ARCH_PRCTL", 30),
    ("PTRACE_SYSEMU", 31),
    ("PTRACE_SYSEMU_SINGLESTEP", 32),
    ("PTRACE_SINGLEBLOCK", 33),
];

/// `evt.arg.cmd` of bpf.
pub(crate) const BPF_COMMANDS: Names = &[
    ("BPF_MAP_CREATE", 0),
    ("BPF_MAP_LOOKUP_ELEM", 1),
    ("BPF_MAP_UPDATE_ELEM", 2),
    ("BPF_MAP_DELETE_ELEM", 3),
    ("BPF_MAP_GET_NEXT_KEY", 4),
    ("BPF_PROG_LOAD", 5),
    ("BPF_OBJ_PIN", 6),
    ("BPF_OBJ_GET", 7),
    ("BPF_PROG_ATTACH", 8),
    ("BPF_PROG_DETACH", 9),
    ("BPF_PROG_TEST_RUN", 10),
    ("BPF_PROG_RUN", 10),
    ("BPF_PROG_GET_NEXT_ID", 11),
    ("BPF_MAP_GET_NEXT_ID", 12),
    ("BPF_PROG_GET_FD_BY_ID", 13),
    ("BPF_MAP_GET_FD_BY_ID", 14),
    ("BPF_OBJ_GET_INFO_BY_FD", 15),
    ("BPF_PROG_QUERY", 16),
    ("BPF_RAW_TRACEPOINT_OPEN", 17),
    ("BPF_BTF_LOAD", 18),
    ("BPF_BTF_GET_FD_BY_ID", 19),
    ("BPF_TASK_FD_QUERY", 20),
    ("BPF_MAP_LOOKUP_AND_DELETE_ELEM", 21),
    ("BPF_MAP_FREEZE", 22),
    ("BPF_BTF_GET_NEXT_ID", 23),
    ("BPF_MAP_LOOKUP_BATCH", 24),
    ("BPF_MAP_LOOKUP_AND_DELETE_BATCH", 25),
    ("BPF_MAP_UPDATE_BATCH", 26),
    ("BPF_MAP_DELETE_BATCH", 27),
    ("BPF_LINK_CREATE", 28),
    ("BPF_LINK_UPDATE", 29),
    ("BPF_LINK_GET_FD_BY_ID", 30),
    ("BPF_LINK_GET_NEXT_ID", 31),
    ("BPF_ENABLE_STATS", 32),
    ("BPF_ITER_CREATE", 33),
    ("BPF_LINK_DETACH", 34),
    ("BPF_PROG_BIND_MAP", 35),
];

/// The names of the bits that are set, joined by a vertical bar.
///
/// *Falco:* a name takes its bits away from the names behind it, the name of 0 stands only for 0 itself, and the search
/// ends at the name that is the whole value.
pub(crate) fn render(names: Names, value: u32) -> String {
    let mut left = value;
    let mut found: Vec<&str> = Vec::new();
    for (name, bits) in names {
        let matches = if *bits == 0 { value == 0 } else { left & bits == *bits };
        if matches {
            found.push(name);
            left &= !bits;
            if *bits == value {
                break;
            }
        }
    }
    found.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_flags_print_as_falco_prints_them() {
        assert_eq!(render(OPEN_BITS, 4097), "O_RDONLY|O_CLOEXEC");
        assert_eq!(render(OPEN_BITS, 16646), "O_TRUNC|O_CREAT|O_WRONLY|O_F_CREATED");
        assert_eq!(render(OPEN_BITS, 9219), "O_DIRECTORY|O_RDWR|O_TMPFILE");
        assert_eq!(render(OPEN_BITS, 11), "O_APPEND|O_RDWR");
        assert_eq!(render(OPEN_BITS, 0), "O_NONE");
    }

    #[test]
    fn permission_bits_print_as_falco_prints_them() {
        let all = "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID";
        assert_eq!(render(CHMOD_BITS, 0o4755), all);
        assert_eq!(render(EXEC_BITS, 5), "EXE_WRITABLE|EXE_FROM_MEMFD");
        assert_eq!(render(EXEC_BITS, 0), "");
    }
}
