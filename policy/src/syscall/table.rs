// SPDX-License-Identifier: Apache-2.0
//! One row per call that can be watched, with the numbers of the kernel's `syscall*.tbl` files.

use super::Family;

/// One row; the name is also Falco's event type.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) family: Family,
    /// x86-64, x32 (without its bit), i386, aarch64, arm. `None` where the architecture lacks the call.
    pub(super) numbers: [Option<u16>; 5],
}

macro_rules! row {
    (@number -) => { None };
    (@number $number:literal) => { Some($number) };
    ($name:literal $family:ident $($number:tt)*) => {
        Row { name: $name, family: Family::$family, numbers: [$(row!(@number $number)),*] }
    };
}

#[rustfmt::skip] // columns: x86-64, x32, i386, aarch64, arm
pub(super) static ROWS: &[Row] = &[
    row!("execve"         Execve        59 520  11 221  11),
    row!("execveat"       Execveat     322 545 358 281 387),
    row!("open"           Open           2   2   5   -   5),
    row!("openat"         Openat       257 257 295  56 322),
    row!("openat2"        Openat2      437 437 437 437 437),
    row!("creat"          Creat         85  85   8   -   8),
    row!("io_uring_setup" IoUringSetup 425 425 425 425 425),
];
