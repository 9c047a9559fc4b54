// SPDX-License-Identifier: Apache-2.0
//! The table against the C library, the kernel's headers and itself.

use std::fs;

use super::*;

#[track_caller]
fn check(audit_arch: u32, nr: i32, expected: Option<&str>) {
    let found = match lookup(audit_arch, nr) {
        Some(Meaning::Call(syscall)) => Some(syscall.name),
        Some(Meaning::SocketCall) => Some("socketcall"),
        Some(Meaning::Ipc) => Some("ipc"),
        None => None,
    };
    assert_eq!(found, expected, "arch {audit_arch:#x} number {nr:#x}");
}

#[test]
fn a_number_means_what_its_architecture_says() {
    check(AUDIT_ARCH_X86_64, 59, Some("execve"));
    check(AUDIT_ARCH_X86_64, 0x4000_0000 + 520, Some("execve"));
    check(AUDIT_ARCH_X86_64, 520, None);
    check(AUDIT_ARCH_X86_64, 0x4000_0000 + 59, None);
    check(AUDIT_ARCH_X86_64, 0x4000_0000 + 2, Some("open"));
    check(AUDIT_ARCH_I386, 5, Some("open"));
    check(AUDIT_ARCH_I386, 0x4000_0005, None);
    check(AUDIT_ARCH_I386, 102, Some("socketcall"));
    check(AUDIT_ARCH_I386, 117, Some("ipc"));
    check(AUDIT_ARCH_X86_64, 1, None);
    check(AUDIT_ARCH_AARCH64, 5, Some("setxattr"));
    check(AUDIT_ARCH_AARCH64, 56, Some("openat"));
    check(AUDIT_ARCH_ARM, 322, Some("openat"));
    check(0xC000_0015, 257, None);
    check(AUDIT_ARCH_X86_64, -1, None);
    check(AUDIT_ARCH_X86_64, i32::MAX, None);
    check(AUDIT_ARCH_X86_64, i32::MIN, None);
}

#[test]
fn every_row_is_an_event_type_and_is_found_by_its_number() {
    assert_eq!(Syscall::all().len(), ROWS.len(), "a row's name is no event type");
    let audit_arches = [AUDIT_ARCH_X86_64, AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM];
    for syscall in Syscall::all() {
        for (arch, audit_arch) in Arch::ALL.into_iter().zip(audit_arches) {
            if let Some(number) = syscall.number(arch) {
                assert_eq!(Arch::of(audit_arch, number), Some(arch));
                check(audit_arch, number, Some(syscall.name));
            }
        }
    }
}

#[test]
fn a_multiplexed_call_is_named_by_its_first_register() {
    let name = |syscall: Option<&Syscall>| syscall.map(|syscall| syscall.name);
    assert_eq!(name(socket_call(3)), Some("connect"));
    assert_eq!(name(socket_call(20)), Some("sendmmsg"));
    assert_eq!(name(ipc_call(0x0001_0015)), Some("shmat"));
    assert!([0, 25, u64::MAX].into_iter().all(|number| socket_call(number).is_none() && ipc_call(number).is_none()));
    assert!(SOCKET_CALLS.iter().all(|name| Syscall::named(name).is_some()));
}

#[test]
fn no_call_is_both_watchable_and_not() {
    assert!(UNWATCHABLE.iter().all(|name| Syscall::named(name).is_none()));
}

#[test]
fn numbers_are_those_of_the_kernel_headers_of_this_machine() {
    let folders = ["/usr/include/x86_64-linux-gnu/asm", "/usr/include/asm"];
    for (file, arch) in [("unistd_64.h", Arch::X86_64), ("unistd_x32.h", Arch::X32), ("unistd_32.h", Arch::I386)] {
        let header = folders.iter().find_map(|folder| fs::read_to_string(format!("{folder}/{file}")).ok());
        let Some(header) = header else {
            println!("skipped: this machine has no asm/{file}");
            continue;
        };
        for syscall in Syscall::all() {
            let number = syscall.number(arch).map(|number| i64::from(number) & 0x3FFF_FFFF);
            let is_newer = |number: &i64| *number > NEWEST_OF_LINUX_5_10;
            let defined = defined(&header, syscall.name).or_else(|| number.filter(is_newer));
            assert_eq!(number, defined, "{} in {file}", syscall.name);
        }
    }
}

/// `process_madvise`; headers of supported systems need not have what is newer.
const NEWEST_OF_LINUX_5_10: i64 = 440;

/// The number of `#define __NR_NAME NUMBER` or `#define __NR_NAME (__X32_SYSCALL_BIT + NUMBER)`.
fn defined(header: &str, name: &str) -> Option<i64> {
    let prefix = format!("#define __NR_{name} ");
    let value = header.lines().find_map(|line| line.strip_prefix(&prefix))?;
    value.trim_start_matches("(__X32_SYSCALL_BIT + ").trim_end_matches(')').trim().parse().ok()
}
