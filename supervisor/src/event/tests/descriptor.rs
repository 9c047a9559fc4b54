// SPDX-License-Identifier: Apache-2.0
//! What `fd.*` and the parameters say of descriptors that calls use and make.

use super::{
    PENDING, calling, context,
    stopped::{Stopped, is, shell},
    text,
};
use crate::{
    decode::Call,
    event::CallEvent,
    target::{Target, Width},
};

/// Fields of one call of a process whose standard input is /dev/null; none where the field is absent.
type Case<'a> = (&'a str, [u64; 2], &'a [(&'a str, Option<&'a str>)]);

const AT_FDCWD: u64 = 0xffff_ff9c;

#[test]
fn descriptors_are_described_as_falco_describes_them() {
    let stopped = Stopped::start(shell("exec 0</dev/null 9>&-; kill -STOP $$; exec 1>&0"), is(libc::SYS_dup2));
    let context = context();
    let unknown = [
        ("fd.name", Some("")),
        ("fd.nameraw", Some("")),
        ("fd.typechar", Some("o")),
        ("fd.directory", Some("/")),
        ("fd.type", None),
        ("fd.l4proto", None),
        ("fd.connected", None),
    ];
    let cases: &[Case<'_>] = &[
        ("unlinkat", [AT_FDCWD, 0], &unknown),
        ("unlinkat", [AT_FDCWD, 0], &[("fd.num", Some("-100"))]),
        ("mkdirat", [0, 0], &[("fd.num", Some("0")), ("fd.name", Some("/dev/null"))]),
        ("mknodat", [0, 0], &[("fd.num", Some("0")), ("fd.name", Some("/dev/null"))]),
        ("fchownat", [0, 0], &[("fd.num", Some("0")), ("fd.name", Some("/dev/null"))]),
        ("mknodat", [AT_FDCWD, 0], &unknown),
        ("renameat", [0, 0], &[("fd.num", None)]),
        (
            "dup2",
            [0, 9],
            &[
                ("fd.num", Some("9")),
                ("fd.name", Some("/dev/null")),
                ("fd.l4proto", Some("<NA>")),
                ("fd.is_server", Some("false")),
                ("evt.args", Some("res=9(<f>/dev/null) oldfd=0(<f>/dev/null) newfd=9(<f>/dev/null)")),
            ],
        ),
        (
            "socket",
            [2, 1],
            &[
                ("fd.type", Some("ipv4")),
                ("fd.name", Some("")),
                ("fd.directory", None),
                ("fd.l4proto", Some("<NA>")),
                ("fd.connected", Some("false")),
                ("evt.arg.fd", Some("<4>")),
            ],
        ),
        ("socket", [10, 3], &[("fd.typechar", Some("6")), ("fd.l4proto", Some("raw")), ("evt.arg.fd", Some("<6r>"))]),
        ("socket", [17, 3], &[("fd.type", Some("<NA>")), ("fd.l4proto", Some("<NA>")), ("evt.arg.fd", Some("<o>"))]),
        ("newfstatat", [0, 0], &[("fd.name", Some("/dev/null"))]),
        ("splice", [9, 0], &[("fd.num", Some("0")), ("fd.name", Some("/dev/null"))]),
        ("fstat", [0, 0], &[("fd.name", Some("/dev/null")), ("evt.args", Some("res=0 fd=0(<f>/dev/null)"))]),
    ];
    for (call, arguments, expected) in cases {
        let event = calling(&context, &stopped, call, *arguments);
        for (field, expected) in *expected {
            assert_eq!(text(&event, field).as_deref(), *expected, "{call} {field}");
        }
    }
}

/// `evt.category` and `evt.args` of calls whose parameters stand in registers; descriptor 0 is /dev/null.
const REGISTERS: &[(&str, [u64; 6], &str, &str)] = &[
    ("ptrace", [16, 7, 0, 0, 0, 0], "process", "res=0 addr=0 data=0 request=11(PTRACE_ATTACH) pid=7"),
    ("ptrace", [999, 7, 0, 0, 0, 0], "process", "res=0 addr=0 data=0 request=0(PTRACE_UNKNOWN) pid=7"),
    ("prctl", [35, 13, 0, 0, 0, 0], "process", "res=0 option=35(PR_SET_MM) arg2_int=13"),
    ("prctl", [4, u64::MAX, 0, 0, 0, 0], "process", "res=0 option=4(PR_SET_DUMPABLE) arg2_int=-1"),
    ("prctl", [37, 99, 0, 0, 0, 0], "process", "res=0 option=37(PR_GET_CHILD_SUBREAPER)"),
    ("prctl", [16, 99, 0, 0, 0, 0], "process", "res=0 option=16(PR_GET_NAME) arg2_int=0"),
    ("prctl", [61, 2, 0, 0, 0, 0], "process", "res=0 option=61 arg2_int=2"),
    ("mprotect", [0x000a_bc00, 4096, 5, 0, 0, 0], "memory", "res=0 addr=ABC00 length=4096 prot=5(PROT_READ|PROT_EXEC)"),
    ("mlock2", [0x1000, 1 << 33, 1, 0, 0, 0], "memory", "res=0 addr=1000 len=8589934592 flags=1(MLOCK_ONFAULT)"),
    ("mlockall", [3, 0, 0, 0, 0, 0], "memory", "res=0 flags=3(MCL_CURRENT|MCL_FUTURE)"),
    ("setpgid", [7, 0, 0, 0, 0, 0], "process", "res=0 pid=7 pgid=0"),
    ("process_vm_writev", [7, 0, 0, 0, 0, 0], "IPC", "pid=7"),
    ("pidfd_open", [7, 0x800, 0, 0, 0, 0], "process", "fd=1 pid=7 flags=1(PIDFD_NONBLOCK)"),
    ("setrlimit", [7, 0, 0, 0, 0, 0], "process", "res=0 resource=7(RLIMIT_NOFILE)"),
    ("prlimit", [9, 3, 0, 0, 0, 0], "process", "res=0 pid=9 resource=3(RLIMIT_STACK)"),
    ("setreuid", [u64::MAX, 0, 0, 0, 0, 0], "user", "res=0 ruid=-1(<NONE>) euid=0(root)"),
    ("keyctl", [11, 1, 2, 3, 0, 0], "other", "res=0 operation=11(KEYCTL_READ)"),
    ("semget", [0x10, 2, 0o3000, 0, 0, 0], "process", "res=0 key=10 nsems=2 semflg=24576(IPC_EXCL|IPC_CREAT)"),
    ("semctl", [5, 1, 16, 7, 0, 0], "process", "res=0 semid=5 semnum=1 cmd=4096(SETVAL)"),
    ("shutdown", [0, 2, 0, 0, 0, 0], "net", "res=0 fd=0(<f>/dev/null) how=2(SHUT_RDWR)"),
    (
        "setsockopt",
        [0, 1, 26, 0, 16, 0],
        "net",
        "res=0 fd=0(<f>/dev/null) level=1(SOL_SOCKET) optname=26(SO_ATTACH_FILTER) optlen=16",
    ),
    ("getsockopt", [0, 6, 1, 0, 0, 0], "net", "res=0 fd=0(<f>/dev/null) level=2(SOL_TCP) optname=0(UNKNOWN)"),
    ("getsockopt", [0, 1, 57, 0, 0, 0], "net", "res=0 fd=0(<f>/dev/null) level=1(SOL_SOCKET) optname=53(SO_COOKIE)"),
    ("lseek", [0, 1 << 40, 2, 0, 0, 0], "file", "res=0 fd=0(<f>/dev/null) offset=1099511627776 whence=2(SEEK_END)"),
    ("flock", [0, 6, 0, 0, 0, 0], "file", "res=0 fd=0(<f>/dev/null) operation=6(LOCK_EX|LOCK_NB)"),
    ("pread", [0, 0, 8, 9, 0, 0], "file", "res=0 fd=0(<f>/dev/null) size=8 pos=9"),
    ("splice", [0, 0, 99, 0, 7, 4], "unknown", "res=0 fd_in=0(<f>/dev/null) fd_out=99 size=7 flags=4(SPLICE_F_MORE)"),
    ("sendfile", [0, 99, 0, 5, 0, 0], "file", "res=0 out_fd=0(<f>/dev/null) in_fd=99 size=5"),
    ("copy_file_range", [99, 1, 0, 2, 3, 0], "file", "res=0 fdout=0(<f>/dev/null) offout=2 fdin=99 offin=1 len=3"),
    ("close_range", [3, u64::MAX, 4, 0, 0, 0], "unknown", "res=0 first=3 last=4294967295 flags=4(CLOSE_RANGE_CLOEXEC)"),
    ("fsconfig", [0, 6, 0, 0, 0, 0], "system", "res=0 fd=0(<f>/dev/null) cmd=6(FSCONFIG_CMD_CREATE) aux=0"),
    (
        "io_uring_register",
        [0, 2, 0xab, 3, 0, 0],
        "file",
        "res=0 fd=0(<f>/dev/null) opcode=2(IORING_REGISTER_FILES) arg=AB nr_args=3",
    ),
    ("inotify_init1", [0x800, 0, 0, 0, 0, 0], "IPC", "res=1 flags=64(O_NONBLOCK)"),
];

#[test]
fn registers_are_described_as_falco_describes_them() {
    let stopped = Stopped::start(shell("exec 0</dev/null 9>&-; kill -STOP $$; exec 1>&0"), is(libc::SYS_dup2));
    let context = context();
    for (call, registers, category, arguments) in REGISTERS {
        let event_type = ::rules::EventType::from_name(call).unwrap();
        let decoded = Call::new(event_type, Width::Eight, *registers);
        let event = CallEvent::new(&context, decoded, Target::new(stopped.task(), PENDING), context.clock.tick());
        assert_eq!(text(&event, "evt.category").as_deref(), Some(*category), "{call}");
        assert_eq!(text(&event, "evt.args").as_deref(), Some(*arguments), "{call}");
    }
}

/// One parameter of a call as `evt.args` shows it.
const NAMED: &[(&str, [u64; 6], &str)] = &[
    ("shutdown", [0, 7, 0, 0, 0, 0], "how=255"),
    ("shutdown", [0, 0, 0, 0, 0, 0], "how=0(SHUT_RD)"),
    ("lseek", [0, 0, 3, 0, 0, 0], "whence=0(SEEK_SET)"),
    ("setrlimit", [16, 0, 0, 0, 0, 0], "resource=255(RLIMIT_UNKNOWN)"),
    ("prlimit", [0, 15, 0, 0, 0, 0], "resource=15(RLIMIT_RTTIME)"),
    ("socket", [40, 1, 0, 0, 0, 0], "domain=0(AF_UNSPEC)"),
    ("socket", [1, 1, 0, 0, 0, 0], "domain=1(AF_LOCAL|AF_UNIX)"),
    ("socketpair", [41, 1, 0, 0, 0, 0], "domain=0(AF_UNSPEC)"),
    ("io_uring_register", [0, 1 << 31 | 2, 0, 0, 0, 0], "opcode=2(IORING_REGISTER_FILES)"),
    ("prctl", [33, 0, 0, 0, 0, 0], "option=33(PR_MCE_KILL|PR_MCE_KILL)"),
    ("finit_module", [0, 0, 0x13, 0, 0, 0], "flags=3(MODULE_INIT_IGNORE_MODVERSIONS|MODULE_INIT_IGNORE_VERMAGIC)"),
    ("finit_module", [0, 0, 0, 0, 0, 0], "flags=0"),
    ("delete_module", [0, 0o5000, 0, 0, 0, 0], "flags=3(O_NONBLOCK|O_TRUNC)"),
    ("delete_module", [0, 0o4000, 0, 0, 0, 0], "flags=2(O_NONBLOCK)"),
    ("fchownat", [0, 0, 0, 0, 0x100, 0], "flags=0"),
    ("fchownat", [0, 0, 0, 0, 0x1500, 0], "flags=5120(AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH)"),
    ("unlinkat", [0, 0, 0x201, 0, 0, 0], "flags=512(AT_REMOVEDIR)"),
    ("linkat", [0, 0, 0, 0, 0x1001, 0], "flags=4096(AT_EMPTY_PATH)"),
    ("newfstatat", [0, 0, 0, 0x2100, 0, 0], "flags=256(AT_SYMLINK_NOFOLLOW)"),
    ("renameat2", [0, 0, 0, 0, 9, 0], "flags=9(RENAME_NOREPLACE)"),
    ("renameat2", [0, 0, 0, 0, 8, 0], "flags=8"),
    ("mount", [0, 0, 0, 0xc0ed_0021, 0, 0], "flags=33(RDONLY|REMOUNT)"),
    ("mount", [0, 0, 0, 0x8000_0300, 0, 0], "flags=2147484416(NOUSER)"),
    ("umount2", [0, 0x12, 0, 0, 0, 0], "flags=2(DETACH)"),
    ("access", [0, 8, 0, 0, 0, 0], "mode=0(F_OK)"),
    ("access", [0, 6, 0, 0, 0, 0], "mode=6(R_OK|W_OK)"),
    ("flock", [0, 0x20, 0, 0, 0, 0], "operation=0(LOCK_NONE)"),
    ("splice", [0, 0, 0, 0, 0, 0x18], "flags=8(SPLICE_F_GIFT)"),
    ("dup3", [0, 9, 0o200_4000, 0, 0, 0], "flags=4096(O_CLOEXEC)"),
    ("dup3", [0, 9, 0, 0, 0, 0], "flags=0(O_NONE)"),
    ("socket", [2, 0o200_4001, 0, 0, 0, 0], "flags=4160(O_NONBLOCK|O_CLOEXEC)"),
    ("accept4", [0, 0, 0, 0o200_4000, 0, 0], "flags=1040"),
    ("close_range", [3, 4, 9, 0, 0, 0], "flags=0"),
    ("memfd_create", [0, 9, 0, 0, 0, 0], "flags=1(MFD_CLOEXEC)"),
    ("userfaultfd", [0x800, 0, 0, 0, 0, 0], "flags=2048(O_LARGEFILE)"),
    ("userfaultfd", [0, 0, 0, 0, 0, 0], "flags=0(O_NONE)"),
    ("mlockall", [9, 0, 0, 0, 0, 0], "flags=1(MCL_CURRENT)"),
    ("mprotect", [0, 0, 0x11, 0, 0, 0], "prot=65(PROT_READ|PROT_SAO)"),
    ("unshare", [0x400_0100, 0, 0, 0, 0, 0], "flags=32896(CLONE_NEWUTS|CLONE_VM)"),
    ("unshare", [0x80, 0, 0, 0, 0, 0], "flags=0"),
    ("io_uring_enter", [0, 0, 0, 0x11, 0, 0], "flags=1(IORING_ENTER_GETEVENTS)"),
    ("mknod", [0, 0, 0, 0, 0, 0], "mode=0100000(S_IFREG)"),
    ("mknod", [0, 0o4_0700, 0, 0, 0, 0], "mode=0700(S_IXUSR|S_IWUSR|S_IRUSR)"),
    ("mknodat", [0, 0, 0o1_0400, 0, 0, 0], "mode=010400(S_IRUSR|S_IFIFO)"),
    ("fchmod", [0, 0o4400, 0, 0, 0, 0], "mode=04400(S_IRUSR|S_ISUID)"),
];

#[test]
fn values_that_falco_does_not_know_print_as_it_prints_them() {
    let stopped = Stopped::start(shell("exec 0</dev/null 9>&-; kill -STOP $$; exec 1>&0"), is(libc::SYS_dup2));
    let context = context();
    for (call, registers, expected) in NAMED {
        let event_type = ::rules::EventType::from_name(call).unwrap();
        let decoded = Call::new(event_type, Width::Eight, *registers);
        let event = CallEvent::new(&context, decoded, Target::new(stopped.task(), PENDING), context.clock.tick());
        let shown = text(&event, "evt.args").unwrap();
        assert!(shown.split(' ').any(|parameter| parameter == *expected), "{call} {registers:x?}: {shown}");
    }
}

#[test]
fn a_namespace_is_a_file() {
    let stopped = Stopped::start(shell("exec 0</proc/self/ns/uts; kill -STOP $$; exec 1>&0"), is(libc::SYS_dup2));
    let context = context();
    let event = calling(&context, &stopped, "setns", [0, 0]);
    assert_eq!(text(&event, "fd.type").as_deref(), Some("file"));
    assert!(text(&event, "fd.name").unwrap().starts_with("uts:["));
}
