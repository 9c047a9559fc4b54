// SPDX-License-Identifier: Apache-2.0
//! `/dev/tty`: to the kernel it is the controlling terminal of whoever opens it, and that is us.

use std::{
    ffi::CString,
    ops::RangeInclusive,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use super::request::bits;
use crate::{
    process::Process,
    sys::{FileFacts, OpenHow, file_facts, open_at},
};

/// `/dev/tty`.
const CONTROLLING: (u32, u32) = (5, 0);
/// Major numbers of the terminals of devpts (Documentation/admin-guide/devices.txt), each with 256 of them.
const PSEUDO: RangeInclusive<u32> = 136..=143;
/// Where a program that has a terminal has it.
const STANDARD: [&str; 3] = ["fd/0", "fd/1", "fd/2"];

/// Whether a file stands for the controlling terminal.
pub(super) fn is_controlling(facts: &FileFacts) -> bool {
    facts.is(libc::S_IFCHR) && facts.represents == CONTROLLING
}

/// A handle of the process' controlling terminal; `None` where it has none, or none that can be found: it is looked for
/// among the standard streams, then in `/dev/pts` below `root`.
pub(super) fn controlling(process: &Process, root: BorrowedFd<'_>) -> Option<OwnedFd> {
    let number = process.stat()?.terminal;
    if number == 0 {
        return None;
    }
    // The file has the kernel's encoding (proc_pid_stat(5)), which is the C library's for numbers of 32 bits.
    let (major, minor) = (libc::major(number.into()), libc::minor(number.into()));
    let is_it = |file: &OwnedFd| {
        file_facts(file.as_fd(), c"", false)
            .is_ok_and(|facts| facts.is(libc::S_IFCHR) && facts.represents == (major, minor))
    };
    let own = || STANDARD.iter().find_map(|name| process.open_link(name).filter(is_it));
    let listed = || {
        let index = PSEUDO.contains(&major).then(|| (major - PSEUDO.start()) * 256 + minor)?;
        let path = CString::new(format!("dev/pts/{index}")).ok()?;
        let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS;
        open_at(root, &path, OpenHow { flags: bits(libc::O_PATH), mode: 0, resolve }).ok().filter(is_it)
    };
    own().or_else(listed)
}
