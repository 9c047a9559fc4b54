// SPDX-License-Identifier: Apache-2.0
//! Registers as the kernel takes them: it ignores the upper bits of parameters that are narrower than a register, widens older
//! ids, and takes one family for another. Rules, records and what is performed for a target all see what comes of it.

use policy::Syscall;

/// An `unsigned int`.
const WORD: u64 = 0xffff_ffff;
/// `umode_t`.
const MODE: u64 = 0xffff;
/// What a chmod keeps of a mode (`S_IALLUGO`, `chmod_common` of the kernel's `open.c`).
const PERMISSIONS: u64 = 0o7777;
/// What a new directory gets of a mode (`vfs_mkdir` of the kernel's `namei.c`).
const OF_DIRECTORY: u64 = 0o1777;
/// `old_uid_t` and `old_gid_t`.
const SHORT_ID: u64 = 0xffff;
/// The bits of the second argument of socket(2) that name the type (`SOCK_TYPE_MASK`).
const SOCKET_TYPE: u64 = 0xf;
/// The type of a socket of IPv4 that makes it one of packets.
pub(crate) const SOCK_PACKET: u64 = 10;

/// Registers of the call `name`.
pub(super) fn taken(name: &str, registers: [u64; 6]) -> [u64; 6] {
    let (place, bits) = match name {
        "socket" => return with_family(registers),
        "ioctl" => (1, WORD),
        "chmod" | "fchmod" => (1, PERMISSIONS),
        "fchmodat" => (2, PERMISSIONS),
        "mkdir" => (1, OF_DIRECTORY),
        "mkdirat" => (2, OF_DIRECTORY),
        "mknod" => (1, MODE),
        "mknodat" => (2, MODE),
        _ => return registers,
    };
    changed(registers, place..place + 1, |value| value & bits)
}

/// Registers of a call by an architecture that has it with ids of 16 bits; the call with wider ids ends in `32` there
/// (`kernel/uid16.c`).
pub(super) fn with_wide_ids(syscall: &Syscall, registers: [u64; 6]) -> [u64; 6] {
    let ids = match syscall.name {
        "chown" | "lchown" | "fchown" => 1..3,
        "setuid" | "setgid" | "setfsuid" | "setfsgid" => 0..1,
        "setreuid" | "setregid" => 0..2,
        "setresuid" | "setresgid" => 0..3,
        _ => return registers,
    };
    // `low2highuid` of the kernel's `highuid.h`.
    changed(registers, ids, |id| if id & SHORT_ID == SHORT_ID { WORD } else { id & SHORT_ID })
}

/// The obsolete way to a socket of packets (`__sock_create` of the kernel's `socket.c`).
fn with_family(registers: [u64; 6]) -> [u64; 6] {
    let [family, kind, ..] = registers;
    let number = |family: i32| u64::from(family.cast_unsigned());
    let is_packet = family & WORD == number(libc::AF_INET) && kind & SOCKET_TYPE == SOCK_PACKET;
    if is_packet { changed(registers, 0..1, |_| number(libc::AF_PACKET)) } else { registers }
}

fn changed(mut registers: [u64; 6], places: std::ops::Range<usize>, change: impl Fn(u64) -> u64) -> [u64; 6] {
    registers.get_mut(places).unwrap_or_default().iter_mut().for_each(|register| *register = change(*register));
    registers
}
