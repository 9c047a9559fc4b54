// SPDX-License-Identifier: Apache-2.0
//! The table against the C library, the kernel's headers and itself.

use std::fs;

use super::*;

#[track_caller]
fn check(audit_arch: u32, nr: i32, expected: Option<&str>) {
    assert_eq!(lookup(audit_arch, nr).map(|syscall| syscall.name), expected, "arch {audit_arch:#x} number {nr:#x}");
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
    check(AUDIT_ARCH_AARCH64, 5, None);
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

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn native_numbers_are_those_of_the_c_library() {
    let known = [
        ("execve", libc::SYS_execve),
        ("execveat", libc::SYS_execveat),
        ("openat", libc::SYS_openat),
        ("openat2", libc::SYS_openat2),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        #[cfg(target_arch = "x86_64")]
        ("open", libc::SYS_open),
        #[cfg(target_arch = "x86_64")]
        ("creat", libc::SYS_creat),
    ];
    let [native, ..] = Arch::of_host() else { panic!("a host has an architecture") };
    for syscall in Syscall::all() {
        let expected = known.iter().find(|(name, _)| *name == syscall.name).map(|(_, number)| *number);
        assert_eq!(syscall.number(*native).map(i64::from), expected, "{}", syscall.name);
    }
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
            assert_eq!(number, defined(&header, syscall.name), "{} in {file}", syscall.name);
        }
    }
}

/// The number of `#define __NR_NAME NUMBER` or `#define __NR_NAME (__X32_SYSCALL_BIT + NUMBER)`.
fn defined(header: &str, name: &str) -> Option<i64> {
    let prefix = format!("#define __NR_{name} ");
    let value = header.lines().find_map(|line| line.strip_prefix(&prefix))?;
    value.trim_start_matches("(__X32_SYSCALL_BIT + ").trim_end_matches(')').trim().parse().ok()
}
