// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/mountinfo`: which layer of an overlay a file lives in, and which part of a file system a mount shows.

use std::{
    ffi::{CString, OsString},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::Path,
};

use nix::{
    fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2},
    sys::{
        stat::{Mode, SFlag, fstatat},
        statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs},
    },
};

use super::{Process, stat::number};
use crate::sys::{file_facts, look_below};

/// Bytes of the mount table that are read: some 2000 mounts.
const MAX_TABLE: usize = 256 * 1024;

/// Where a file of an overlay lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// In the writable layer: made or changed since the container was created.
    Upper,
    /// In a layer of the image.
    Lower,
}

/// One line of the table.
struct Mount<'a> {
    id: u64,
    root: Vec<u8>,
    point: Vec<u8>,
    kind: &'a [u8],
    options: &'a [u8],
}

impl<'a> Mount<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let id = number(words.next()?)?;
        let root = unescape(words.nth(2)?);
        let point = unescape(words.next()?);
        let mut behind = words.skip_while(|word| *word != b"-").skip(1);
        let kind = behind.next()?;
        Some(Self { id, root, point, kind, options: behind.nth(1)? })
    }

    fn option(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut options = self.options.split(|byte| *byte == b',');
        options.find_map(|option| option.strip_prefix(name)?.strip_prefix(b"=")).map(unescape)
    }
}

/// The layer of `file`, which is `path` as the kernel names it in the task's mount namespace; `None` where it is on no
/// overlay. The mount tells so, not the file's device: where the layers lie on different file systems, a file has a device
/// that is not the overlay's.
///
/// A file whose name was removed is in no layer by name, and counts as made since: who drops a program and removes it
/// before it runs is to be told from the image.
///
/// The file is looked for in the upper directory by name. That is the host's path of the directory that the engine mounted
/// where the file is on the mount of `root`, the container's root as its first program found it; where we cannot see that
/// directory, the answer is `None` too. Any other overlay was mounted from inside: its directory is looked for there, and one
/// that is not found counts as all new, as does an overlay that the table does not show.
pub(crate) fn layer(process: &Process, file: &OwnedFd, path: &[u8], root: Option<BorrowedFd<'_>>) -> Option<Layer> {
    let table = process.read("mountinfo", MAX_TABLE)?;
    let mount_of = |file: BorrowedFd<'_>| file_facts(file, c"", false).ok().map(|facts| facts.mount);
    // Mounts have the same numbers in every namespace.
    let id = mount_of(file.as_fd())?;
    let mut mounts = table.split(|byte| *byte == b'\n').filter_map(Mount::parse);
    let mount = match mounts.find(|mount| mount.id == id) {
        Some(mount) if mount.kind == b"overlay" => mount,
        Some(_) => return None,
        // It belongs to no tree, or stands behind the end of what is read: nobody but the container mounts so.
        None => return is_on_overlay(file.as_fd()).then_some(Layer::Upper),
    };
    let name = OsString::from_vec(mount.option(b"upperdir")?);
    if process.is_removed(file.as_fd()) {
        return Some(Layer::Upper);
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let inside = root.filter(|root| mount_of(*root) != Some(id));
    let upper = match inside {
        None => open(Path::new(&name), flags, Mode::empty()).ok()?,
        Some(root) => match look_below(root, &CString::new(name.into_vec()).ok()?) {
            Ok(upper) => upper,
            Err(_unseen) => return Some(Layer::Upper),
        },
    };
    // The task sees the mount, and not its own way to the file.
    let seen = process.below_root(path);
    let Some(relative) = seen.as_deref().and_then(|path| below(&mount.point, path)) else { return Some(Layer::Upper) };
    let relative = OsString::from_vec(relative.to_vec());
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let found = openat2(&upper, Path::new(&relative), how).ok();
    let facts = found.and_then(|file| fstatat(file, "", AtFlags::AT_EMPTY_PATH).ok());
    // A character device in the upper layer may be a whiteout, which hides a removed file.
    let present = facts.is_some_and(|facts| facts.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFCHR.bits());
    Some(if present { Layer::Upper } else { Layer::Lower })
}

fn is_on_overlay(file: BorrowedFd<'_>) -> bool {
    fstatfs(file).is_ok_and(|facts| facts.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
}

/// The directory or file of its file system that the mount with this number shows, as a path there; `None` where the task's
/// mount namespace has no such mount.
pub(crate) fn mount_root(process: &Process, mount: u64) -> Option<Vec<u8>> {
    let table = process.read("mountinfo", MAX_TABLE)?;
    let mut mounts = table.split(|byte| *byte == b'\n').filter_map(Mount::parse);
    mounts.find(|found| found.id == mount).map(|found| found.root)
}

/// The part of `path` below `point`, without a leading slash.
fn below<'a>(point: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    path.strip_prefix(point.strip_suffix(b"/").unwrap_or(point))?.strip_prefix(b"/")
}

/// Undoes the octal escapes of the table.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                text.push(byte);
                rest = behind.get(3..).unwrap_or_default();
            }
            _ => {
                text.push(*first);
                rest = behind;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_its_overlay() {
        let line = b"91 80 0:44 /in\\040it /a\\040b rw,relatime master:1 - overlay overlay rw,lowerdir=/l1:/l2,upperdir=/up\\040x,workdir=/w";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.point.as_slice(), mount.kind), (b"/a b".as_slice(), b"overlay".as_slice()));
        assert_eq!(mount.option(b"upperdir").unwrap(), b"/up x");
        assert_eq!((mount.id, mount.root.as_slice()), (91, b"/in it".as_slice()));
    }

    #[test]
    fn only_whole_components_are_below() {
        assert_eq!(below(b"/", b"/bin/sh"), Some(b"bin/sh".as_slice()));
        assert_eq!(below(b"/mnt", b"/mnt/x"), Some(b"x".as_slice()));
        assert_eq!(below(b"/mnt", b"/mntx"), None);
    }
}
