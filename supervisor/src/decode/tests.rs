// SPDX-License-Identifier: Apache-2.0
//! Layouts agree with the event types' parameters, and with Falco's event table.

use super::*;

const NOBODY: Target<'static> = Target::new(0, &|| false);

#[test]
fn every_watched_call_with_parameters_has_a_source_for_each() {
    let mut described = 0;
    for event_type in policy::watchable().iter() {
        let call = Call::new(event_type, Width::Eight, [0; 6]);
        let parameters = call.event_type().description().parameters;
        // Falco has nothing to say of these but their number.
        if parameters.first().is_some_and(|parameter| parameter.name != "ID") {
            assert_eq!(call.layout().sources.len(), parameters.len(), "{}", event_type.name());
            described += 1;
        }
    }
    assert!(described > 100, "{described} layouts");
}

/// The watched event types that Falco has events of their own for, by the category of its event table (libs 0.25.4). All others
/// are one event to it, whose category is "other".
const CATEGORIES: &[(Category, &str)] = &[
    (Category::Net, "accept accept4 bind connect getpeername getsockname getsockopt listen setsockopt shutdown socket"),
    (
        Category::File,
        "access chdir chmod chown copy_file_range creat fchdir fchmod fchmodat fchown fchownat flock fstat \
         fstat64 getcwd getdents getdents64 lchown link linkat lseek lstat lstat64 mkdir mkdirat mount \
         newfstatat open open_by_handle_at openat openat2 rename renameat renameat2 rmdir stat stat64 symlink \
         symlinkat umount umount2 unlink unlinkat userfaultfd",
    ),
    (
        Category::Process,
        "capset chroot execve execveat getrlimit pidfd_getfd pidfd_open prctl ptrace semctl semget \
         semop setns setpgid setrlimit setsid unshare",
    ),
    (
        Category::User,
        "getegid geteuid getgid getresgid getresuid getuid quotactl setgid setregid setresgid setresuid \
         setreuid setuid",
    ),
    (Category::Ipc, "inotify_init inotify_init1 process_vm_readv process_vm_writev socketpair"),
    (Category::Signal, "kill signalfd signalfd4 tkill"),
    (Category::Memory, "memfd_create mlock mlock2 mlockall mprotect munlock munlockall"),
    (Category::Wait, "poll ppoll select"),
    (Category::Time, "timerfd_create"),
    (Category::System, "fsconfig"),
    (Category::Other, "bpf delete_module finit_module init_module keyctl mknod mknodat"),
    (Category::Read, "preadv readv recv recvfrom recvmmsg recvmsg"),
    (Category::Write, "pwritev send sendfile sendmmsg sendmsg sendto writev"),
    (Category::Use, "close_range dup dup2 dup3 io_uring_enter io_uring_register io_uring_setup ioctl splice"),
];

#[test]
fn each_type_has_the_category_that_falco_gives_it() {
    let named = || CATEGORIES.iter().flat_map(|(category, names)| names.split(' ').map(move |name| (name, *category)));
    for event_type in policy::watchable().iter() {
        let name = event_type.name();
        let expected = named().find(|(named, _)| *named == name).map_or(Category::Other, |(_, category)| category);
        assert_eq!(Call::of_type(event_type).layout().category, expected, "{name}");
    }
    let is_watchable = |name: &str| EventType::from_name(name).is_some_and(|named| policy::watchable().contains(named));
    assert_eq!(named().map(|(name, _)| name).find(|name| !is_watchable(name)), None);
}

#[test]
fn numbers_are_those_of_their_architecture() {
    let name =
        |arch, number| Call::decode(arch, number, [3; 6], &NOBODY).ok().map(|call| (call.layout().name, call.width()));
    assert_eq!(name(0xC000_003E, 257), Some(("openat", Width::Eight)));
    assert_eq!(name(0xC000_003E, 0x4000_0208), Some(("execve", Width::Four)));
    assert_eq!(name(0x4000_0003, 11), Some(("execve", Width::Four)));
    assert_eq!(name(0x4000_0003, 102), Some(("connect", Width::Four)));
    assert_eq!(Call::decode(0x4000_0003, 102, [99; 6], &NOBODY).unwrap_err(), Undecodable::NoSuchCall);
    assert_eq!(name(0xC000_00B7, 56), Some(("openat", Width::Eight)));
    assert_eq!(name(0xC000_00B7, -1), None);
    assert_eq!(name(1, 2), None);
}

#[test]
fn an_execveat_is_reported_as_execve() {
    let call = Call::decode(0xC000_003E, 322, [0; 6], &NOBODY).unwrap();
    assert_eq!((call.event_type().name(), call.layout().name), ("execve", "execveat"));
    let replaced: Vec<_> = replaced_types().map(|(named, reported)| (named.name(), reported.name())).collect();
    assert_eq!(replaced, [("execveat", "execve")]);
}

/// What rules see, and what is performed, is what the kernel takes of a register.
#[test]
fn registers_are_taken_as_the_kernel_takes_them() {
    const X86_64: u32 = 0xC000_003E;
    const I386: u32 = 0x4000_0003;
    const ABOVE: u64 = 1 << 32;
    const NONE: u64 = 0xffff_ffff;
    #[track_caller]
    fn check((arch, number): (u32, i32), registers: [u64; 4], expected: [u64; 4]) {
        let [first, second, third, fourth] = registers;
        let call = Call::decode(arch, number, [first, second, third, fourth, 0, 0], &NOBODY).unwrap();
        assert_eq!([0, 1, 2, 3].map(|place| call.register(place)), expected, "{}", call.layout().name);
    }
    // ioctl, chmod, fchmod, fchmodat, mkdir, mkdirat, mknod, mknodat
    check((X86_64, 16), [3, ABOVE | 0x541b, ABOVE | 7, 0], [3, 0x541b, ABOVE | 7, 0]);
    check((X86_64, 90), [9, 0x1_0000 | 0o4755, 0, 0], [9, 0o4755, 0, 0]);
    check((X86_64, 91), [9, 0o10_4755, 0, 0], [9, 0o4755, 0, 0]);
    check((X86_64, 268), [9, 9, ABOVE | 0o4755, 0], [9, 9, 0o4755, 0]);
    check((X86_64, 83), [9, 0x1_0000 | 0o4777, 0, 0], [9, 0o777, 0, 0]);
    check((X86_64, 258), [9, 9, ABOVE | 0o1777, 0], [9, 9, 0o1777, 0]);
    check((X86_64, 133), [9, 0x1_0000 | 0o10_0644, 5, 0], [9, 0o10_0644, 5, 0]);
    check((X86_64, 259), [9, 9, 0x1_0000 | 0o10_0644, 5], [9, 9, 0o10_0644, 5]);
    // Ids of 16 bits: lchown, setuid, setgid, fchown, setresuid, setresgid, chown, and the same calls with wider ones.
    for (short, wide) in [(16, 198), (95, 207), (182, 212)] {
        let given = [0x1_0009, 0x1_03e8, 0x7_ffff, 9];
        check((I386, short), given, [0x1_0009, 1000, NONE, 9]);
        check((I386, wide), given, given);
    }
    for number in [23, 46] {
        check((I386, number), [0x1_03e8, 0x1_0009, 9, 9], [1000, 0x1_0009, 9, 9]);
        check((I386, number), [0xffff, 9, 9, 9], [NONE, 9, 9, 9]);
    }
    for number in [164, 170] {
        check((I386, number), [0x1_03e8, 0xffff, 0x1_0000, 9], [1000, NONE, 0, 9]);
    }
    for number in [70, 71] {
        check((I386, number), [0x1_03e8, 0xffff, 0x1_0000, 9], [1000, NONE, 0x1_0000, 9]);
    }
    for number in [138, 139] {
        check((I386, number), [0x1_03e8, 0x1_0009, 9, 9], [1000, 0x1_0009, 9, 9]);
    }
    check((X86_64, 105), [0x1_03e8, 9, 9, 9], [0x1_03e8, 9, 9, 9]);
    check((X86_64, 0x4000_0069), [0x1_03e8, 9, 9, 9], [0x1_03e8, 9, 9, 9]);
    // A socket of packets, in the obsolete way.
    check((X86_64, 41), [ABOVE | 2, ABOVE | 0x8_080a, 3, 0], [17, ABOVE | 0x8_080a, 3, 0]);
    check((X86_64, 41), [2, 3, 3, 0], [2, 3, 3, 0]);
    check((X86_64, 41), [10, 10, 3, 0], [10, 10, 3, 0]);
    check((I386, 359), [2, 10, 3, 0], [17, 10, 3, 0]);
}
