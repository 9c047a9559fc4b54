// SPDX-License-Identifier: Apache-2.0
//! File systems that programs serve (FUSE), perhaps programs of the container's, whose own calls wait for whoever receives: a
//! call that touches one is not to keep it from receiving.
//!
//! That is asked for a while after some call held its thread up, and no such file system is touched for the answer: the
//! kernel looks as far as it remembers names (`RESOLVE_CACHED`, openat2(2), Linux 5.12), and the mount table says what a mount is.

use std::{
    collections::HashMap,
    ffi::CString,
    io,
    os::fd::{AsFd as _, BorrowedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    process::Process,
    sys::{FileFacts, OpenHow, file_facts, open_at},
};

/// Bytes of the mount table that are read: some 2000 mounts.
const MAX_TABLE: usize = 256 * 1024;
/// Mounts that are remembered; with one more they are found out anew.
const MAX_MOUNTS: usize = 256;

/// A mount by its number, and its file system's device: numbers are used again.
type Mount = (u64, (u32, u32));

/// Whether mounts are of such a file system.
#[derive(Debug, Default)]
pub(super) struct Served(Mutex<HashMap<Mount, bool>>);

impl Served {
    fn mounts(&self) -> MutexGuard<'_, HashMap<Mount, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was mounted may be something else by now.
    pub(super) fn forget(&self) {
        self.mounts().clear();
    }

    /// Whether looking for `path` may have to wait for a program; it starts from `start` where it is relative.
    pub(super) fn may_hold_up(&self, process: &Process, start: Option<BorrowedFd<'_>>, path: &[u8]) -> bool {
        let root = if path.starts_with(b"/") { process.open_link("root") } else { None };
        let Some(start) = root.as_ref().map(|root| root.as_fd()).or(start) else { return true };
        let is = |error: &io::Error, number| error.raw_os_error() == Some(number);
        match remembered(start, path) {
            Ok(facts) => self.is_served(process, &facts),
            // It is asked for, or made, where its folder is: what is mounted on a name is remembered.
            Err(error) if is(&error, libc::ENOENT) || is(&error, libc::EAGAIN) => {
                match remembered(start, folder(path)) {
                    Ok(facts) => self.is_served(process, &facts),
                    Err(error) => !is(&error, libc::ENOENT),
                }
            }
            Err(_) => true,
        }
    }

    fn is_served(&self, process: &Process, facts: &FileFacts) -> bool {
        let mount = (facts.mount, facts.device);
        if let Some(is_served) = self.mounts().get(&mount) {
            return *is_served;
        }
        let table = process.read("mountinfo", MAX_TABLE);
        // A mount of another namespace can be anything.
        let is_served = table.and_then(|table| kind(&table, facts.mount).map(is_fuse)).unwrap_or(true);
        let mut mounts = self.mounts();
        if mounts.len() >= MAX_MOUNTS {
            mounts.clear();
        }
        mounts.insert(mount, is_served);
        is_served
    }
}

/// What the path leads to, if that can be said without asking a file system.
fn remembered(start: BorrowedFd<'_>, path: &[u8]) -> io::Result<FileFacts> {
    let scope = if path.starts_with(b"/") { libc::RESOLVE_IN_ROOT } else { libc::RESOLVE_BENEATH };
    let resolve = scope | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_CACHED;
    let path = CString::new(if path.is_empty() { b"." } else { path }).map_err(io::Error::other)?;
    let found = open_at(start, &path, OpenHow { flags: u64::from(libc::O_PATH.cast_unsigned()), mode: 0, resolve })?;
    file_facts(found.as_fd(), c"", false)
}

/// The path of the folder that the last name of `path` is in.
fn folder(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let slash = path.get(..end).and_then(|path| memchr::memrchr(b'/', path));
    path.get(..slash.map_or(0, |slash| slash + 1)).unwrap_or_default()
}

/// The file system of a mount, by the mount table (`/proc/PID/mountinfo`, proc(5)).
fn kind(table: &[u8], mount: u64) -> Option<&[u8]> {
    let number = mount.to_string();
    let mut lines = table.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b' '));
    let line = lines.find_map(|mut line| (line.next()? == number.as_bytes()).then_some(line))?;
    line.skip_while(|word| *word != b"-").nth(1)
}

/// A file system of FUSE may say more about itself behind a dot.
fn is_fuse(kind: &[u8]) -> bool {
    matches!(kind.split(|byte| *byte == b'.').next(), Some(b"fuse" | b"fuseblk"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_mount_is_what_the_table_says() {
        let table = b"21 28 0:19 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n\
            36 35 0:50 / /a\\040b rw - fuse.sshfs none rw\n\
            3 35 8:1 /x /c rw master:1 propagate_from:2 - fuseblk /dev/sda1 rw\n";
        for (mount, expected) in [(21, Some("sysfs")), (36, Some("fuse.sshfs")), (3, Some("fuseblk")), (2, None)] {
            assert_eq!(kind(table, mount), expected.map(str::as_bytes));
        }
        let fuse = [&b"fuse"[..], b"fuseblk", b"fuse.sshfs", b"fusectl", b"ext4"].map(is_fuse);
        assert_eq!(fuse, [true, true, true, false, false]);
    }

    #[test]
    fn folders_are_what_names_are_in() {
        let folders = [("/a/b", "/a/"), ("a", ""), ("a/b//", "a/"), ("/a", "/"), ("/", ""), ("", "")];
        for (path, expected) in folders {
            assert_eq!(folder(path.as_bytes()), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn what_the_kernel_remembers_of_its_own_file_systems_holds_nobody_up() {
        let (process, served) = (Process::own().unwrap(), Served::default());
        let folder = File::open("/proc").unwrap();
        assert!(folder.metadata().is_ok() && std::fs::metadata("/proc/version").is_ok());
        for path in [&b"version"[..], b"/proc/version", b".", b"/proc", b"/proc/version-of-nothing"] {
            assert!(!served.may_hold_up(&process, Some(folder.as_fd()), path), "{}", path.escape_ascii());
        }
        assert!(served.may_hold_up(&process, None, b"version"), "from nobody knows where");
        assert!(served.may_hold_up(&process, Some(folder.as_fd()), b"self/cwd/file"), "through who knows what");
    }
}
