// SPDX-License-Identifier: Apache-2.0
//! Finding the file that a path of the target names, the way the kernel would for the target.
//!
//! The result is a path descriptor: nothing is opened for reading, so that FIFOs do not block and devices do not act. It says
//! what the path named when we looked; the kernel will look again.

use std::{
    ffi::CString,
    os::fd::{AsFd as _, OwnedFd},
};

use nix::sys::stat::fstat;

use crate::{
    plain_file::read_plain,
    process::{Process, found},
    sys::look_below,
};

/// Bytes of a program that the kernel looks at to find out what it is (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;

/// The file that `path` names for `process`, whose directory `base` is used when the path is relative.
pub(super) fn resolve(process: &Process, base: Option<&[u8]>, path: &[u8]) -> Option<OwnedFd> {
    if let Some(link) = own_link(process, path) {
        return process.open_link(&link);
    }
    let full = if path.starts_with(b"/") {
        path.to_vec()
    } else {
        [&process.below_root(base?)?, b"/".as_slice(), path].concat()
    };
    let root = process.open_link("root")?;
    found(look_below(root.as_fd(), &CString::new(full).ok()?))
}

/// The entry of the target's own `/proc` directory that a path names: `exe` or `fd/3`.
///
/// Only the spelling is looked at: `/proc/self` inside the container's procfs would lead us to ourselves or nowhere.
pub(super) fn own_link(process: &Process, path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let descriptor = |rest: &str| rest.parse::<u32>().ok().map(|number| format!("fd/{number}"));
    match path {
        "/dev/stdin" => return descriptor("0"),
        "/dev/stdout" => return descriptor("1"),
        "/dev/stderr" => return descriptor("2"),
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("/dev/fd/") {
        return descriptor(rest);
    }
    let (task, entry) = path.strip_prefix("/proc/")?.split_once('/')?;
    let is_own = || {
        let number = task.parse().ok();
        number.is_some() && process.status().is_some_and(|status| number == Some(status.own_process))
    };
    if !matches!(task, "self" | "thread-self") && !is_own() {
        return None;
    }
    if entry == "exe" { Some(entry.to_owned()) } else { descriptor(entry.strip_prefix("fd/")?) }
}

/// The first bytes of a file that can be executed; `None` for anything else and where it is unreadable. The kernel opens no
/// other (`do_open_execat`), not even for root, and so nobody is to have it read by naming it.
pub(super) fn head(file: &OwnedFd) -> Option<Vec<u8>> {
    let facts = fstat(file).ok()?;
    if facts.st_mode & 0o111 == 0 { None } else { read_plain(file, &facts, HEAD) }
}
