// SPDX-License-Identifier: Apache-2.0
//! Calls that make, move, remove or change files by their names, performed for the target.
//!
//! None of them follows a link at the end of a name that it makes, moves or removes. So the directory that a name lies in
//! is found as the target would find it, and the call is made on the name in that very directory. What is only changed, or
//! gets one more name, is found itself and reached by its handle.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{
    fcntl::{AtFlags, RenameFlags, renameat2},
    sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, mkdirat, mknodat},
    unistd::{AccessFlags, Gid, Uid, UnlinkatFlags, faccessat, fchownat, linkat, symlinkat, unlinkat},
};
use serde::{Deserialize, Serialize};

use super::{
    opener::descriptor_name,
    request::{OpenRequest, Start, cut},
};
use crate::{
    decode::Call,
    sys::{FileFacts, file_facts},
};

/// Permissions, set-id bits and sticky bit.
const MODE_BITS: u32 = 0o7777;

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    /// `mkdir`.
    MakeDirectory { mode: u32 },
    /// `mknod`.
    MakeNode { mode: u32, device: u32 },
    /// `symlink`.
    MakeSymlink { text: CString },
    /// `unlink`, `rmdir`.
    Remove { is_directory: bool },
    /// `rename`.
    Rename { flags: u32 },
    /// `link`.
    Link { follows: bool, takes_empty: bool },
    /// `chmod`.
    SetMode { mode: u32 },
    /// `chown`.
    SetOwner { user: u32, group: u32, follows: bool, takes_empty: bool },
}

/// What a call came to means to the same call when it is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Nothing: made twice, it comes to the same.
    Nothing,
    /// It is not made again if it succeeded; one that failed has changed nothing.
    Success,
    /// It is not made again, and comes to the same, be it an error.
    Result,
}

/// A path of the target, as it was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) start: Start,
    pub(crate) path: CString,
}

/// The private copy of such a call. A name that cannot be read is the errno that the call fails with when it comes to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Naming {
    pub(crate) deed: Deed,
    pub(crate) names: Vec<Result<Name, i32>>,
}

/// How the file behind a name is found.
#[derive(Debug)]
pub(super) enum Wanted {
    /// The name in its directory.
    Entry,
    /// The file itself.
    File {
        /// What a handle is asked for with.
        request: OpenRequest,
    },
    /// What the name starts from: it is empty, and allowed to be.
    Start,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Place {
    /// A name in a directory; the root directory has none.
    Entry { directory: OwnedFd, name: CString, is_root: bool },
    /// A handle of a file.
    File(OwnedFd),
    /// A descriptor of the target's.
    Start(OwnedFd),
}

impl Place {
    /// The entry's facts and those of its directory, where there is such an entry.
    fn facts(&self) -> Option<(FileFacts, FileFacts)> {
        let Self::Entry { directory, name, .. } = self else { return None };
        let of = |name| file_facts(directory.as_fd(), name, false).ok();
        Some((of(name.as_c_str())?, of(c"")?))
    }

    /// Whether the calling thread may change the directory.
    fn may_change(&self) -> bool {
        let Self::Entry { directory, .. } = self else { return false };
        faccessat(directory, c".", AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS).is_ok()
    }
}

impl Name {
    /// `path` as it is given with `descriptor`, or `AT_FDCWD`.
    pub(crate) fn new(path: &[u8], descriptor: i32) -> Option<Self> {
        Some(Self { start: Start::of(path, descriptor), path: CString::new(path).ok()? })
    }

    /// A look for the directory that the last name lies in, that name with the slashes behind it, and whether it is no name
    /// because the path is the root directory.
    pub(super) fn split(&self) -> (OpenRequest, CString, bool) {
        let path = self.path.to_bytes();
        let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        let (names, slashes) = path.split_at(end);
        let (directory, name) = cut(names);
        let name = [name, slashes].concat();
        let is_root = end == 0;
        // By the dot, the kernel takes a link before it for one on the way.
        let directory = [if is_root { b"/" } else { directory }, b"."].concat();
        let look = OpenRequest::to_look(self.start, terminated(&directory), libc::O_DIRECTORY);
        (look, if is_root { c".".to_owned() } else { terminated(&name) }, is_root)
    }
}

/// A part of a path, which has no NUL.
fn terminated(bytes: &[u8]) -> CString {
    CString::new(bytes).unwrap_or_default()
}

impl Deed {
    /// What the call asks for; `None` for calls of other families, an errno where the kernel refuses its flags or mode. The `text`
    /// is that of a new symbolic link.
    pub(crate) fn of(call: &Call, text: impl FnOnce(usize) -> Result<CString, i32>) -> Option<Result<Self, i32>> {
        let flags = |register, known: i32| {
            let flags = call.int(register);
            if flags & !known == 0 { Ok(flags) } else { Err(libc::EINVAL) }
        };
        let has = |flags: i32, flag| flags & flag != 0;
        let make_directory = |mode| Ok(Self::MakeDirectory { mode: call.word(mode) });
        let make_node =
            |mode, device| node_mode(call.word(mode)).map(|mode| Self::MakeNode { mode, device: call.word(device) });
        let owner = |user, follows, takes_empty| {
            Ok(Self::SetOwner { user: call.word(user), group: call.word(user + 1), follows, takes_empty })
        };
        Some(match call.layout().name {
            "mkdir" => make_directory(1),
            "mkdirat" => make_directory(2),
            "mknod" => make_node(1, 2),
            "mknodat" => make_node(2, 3),
            "symlink" | "symlinkat" => text(0).map(|text| Self::MakeSymlink { text }),
            "unlink" => Ok(Self::Remove { is_directory: false }),
            "rmdir" => Ok(Self::Remove { is_directory: true }),
            "unlinkat" => {
                flags(2, libc::AT_REMOVEDIR).map(|flags| Self::Remove { is_directory: has(flags, libc::AT_REMOVEDIR) })
            }
            "rename" | "renameat" => Ok(Self::Rename { flags: 0 }),
            "renameat2" => rename_flags(call.word(4)).map(|flags| Self::Rename { flags }),
            "link" => Ok(Self::Link { follows: false, takes_empty: false }),
            "linkat" => flags(4, libc::AT_SYMLINK_FOLLOW | libc::AT_EMPTY_PATH).map(|flags| Self::Link {
                follows: has(flags, libc::AT_SYMLINK_FOLLOW),
                takes_empty: has(flags, libc::AT_EMPTY_PATH),
            }),
            "chmod" => Ok(Self::SetMode { mode: call.word(1) }),
            "fchmodat" => Ok(Self::SetMode { mode: call.word(2) }),
            "chown" => owner(1, true, false),
            "lchown" => owner(1, false, false),
            "fchownat" => flags(4, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)
                .and_then(|flags| owner(2, !has(flags, libc::AT_SYMLINK_NOFOLLOW), has(flags, libc::AT_EMPTY_PATH))),
            _ => return None,
        })
    }

    /// Whether an empty path is allowed as the call's name `index`.
    pub(super) fn takes_empty(&self, index: usize) -> bool {
        match self {
            Self::Link { takes_empty, .. } => *takes_empty && index == 0,
            Self::SetOwner { takes_empty, .. } => *takes_empty,
            Self::MakeDirectory { .. }
            | Self::MakeNode { .. }
            | Self::MakeSymlink { .. }
            | Self::Remove { .. }
            | Self::Rename { .. }
            | Self::SetMode { .. } => false,
        }
    }

    /// How the call's name `index` is looked up.
    pub(super) fn wants(&self, index: usize, name: &Name) -> Wanted {
        let follows = match (self, index) {
            (Self::Link { follows, .. }, 0) | (Self::SetOwner { follows, .. }, _) => *follows,
            (Self::SetMode { .. }, _) => true,
            _ => return Wanted::Entry,
        };
        if name.path.is_empty() && self.takes_empty(index) {
            return Wanted::Start;
        }
        let end = if follows { 0 } else { libc::O_NOFOLLOW };
        Wanted::File { request: OpenRequest::to_look(name.start, name.path.clone(), end) }
    }

    /// Whether a file comes into being, whose permissions the target's mask has a say in.
    pub(super) fn makes_file(&self) -> bool {
        matches!(self, Self::MakeDirectory { .. } | Self::MakeNode { .. })
    }

    /// Whether it must not be done to a directory or file that something is mounted on.
    pub(super) fn spares_mount_points(&self) -> bool {
        matches!(self, Self::Remove { .. } | Self::Rename { .. })
    }

    /// Whether it would move or remove what something is mounted on, where the kernel does not see it: it looks at the
    /// mounts of our namespace. Where the call fails for another reason, the kernel says so.
    pub(super) fn disturbs_mounts(&self, places: &[Place]) -> bool {
        let facts: Vec<_> = places.iter().map(Place::facts).collect();
        let is_mounted = facts.iter().flatten().any(|(entry, directory)| entry.mount != directory.mount);
        if !is_mounted || !places.iter().all(Place::may_change) {
            return false;
        }
        let is_directory = |facts: &(FileFacts, FileFacts)| facts.0.is(libc::S_IFDIR);
        match (self, facts.as_slice()) {
            (Self::Remove { is_directory: wanted }, [Some(entry)]) => is_directory(entry) == *wanted,
            (Self::Rename { .. }, [Some(old), Some(new)]) => {
                old.1.mount == new.1.mount && (self.is_exchange() || is_directory(old) == is_directory(new))
            }
            (Self::Rename { .. }, [Some(_), None]) => true,
            _ => false,
        }
    }

    /// Does it. The calling thread has the target's credentials; `own_descriptors` is our own `/proc/self/fd`.
    pub(super) fn perform(&self, own_descriptors: BorrowedFd<'_>, places: &[Place]) -> io::Result<()> {
        let done = match (self, places) {
            (Self::MakeDirectory { mode }, [Place::Entry { directory, name, .. }]) => {
                mkdirat(directory, name.as_c_str(), permissions(*mode))
            }
            (Self::MakeNode { mode, device }, [Place::Entry { directory, name, .. }]) => {
                let kind = SFlag::from_bits_retain(*mode & libc::S_IFMT);
                mknodat(directory, name.as_c_str(), kind, permissions(*mode), unpacked(*device))
            }
            (Self::MakeSymlink { text }, [Place::Entry { directory, name, .. }]) => {
                symlinkat(text.as_c_str(), directory, name.as_c_str())
            }
            (Self::Remove { is_directory: true }, [Place::Entry { is_root: true, .. }]) => Err(nix::Error::EBUSY),
            (Self::Remove { is_directory }, [Place::Entry { directory, name, .. }]) => {
                let kind = if *is_directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
                unlinkat(directory, name.as_c_str(), kind)
            }
            (
                Self::Rename { flags },
                [Place::Entry { directory, name, .. }, Place::Entry { directory: new_directory, name: new, .. }],
            ) => {
                let flags = RenameFlags::from_bits_retain(*flags);
                renameat2(directory, name.as_c_str(), new_directory, new.as_c_str(), flags)
            }
            // The kernel asks what it would ask the target: who opened the descriptor, or for a capability.
            (Self::Link { .. }, [Place::Start(file), Place::Entry { directory, name, .. }]) => {
                linkat(file, c"", directory, name.as_c_str(), AtFlags::AT_EMPTY_PATH)
            }
            (Self::Link { .. }, [Place::File(file), Place::Entry { directory, name, .. }]) => {
                let file = descriptor_name(file.as_fd())?;
                linkat(own_descriptors, file.as_c_str(), directory, name.as_c_str(), AtFlags::AT_SYMLINK_FOLLOW)
            }
            (Self::SetMode { mode }, [Place::File(file)]) => {
                let file = descriptor_name(file.as_fd())?;
                fchmodat(own_descriptors, file.as_c_str(), permissions(*mode), FchmodatFlags::FollowSymlink)
            }
            (Self::SetOwner { user, group, .. }, [Place::File(file) | Place::Start(file)]) => {
                let (user, group) = (Some(Uid::from_raw(*user)), Some(Gid::from_raw(*group)));
                fchownat(file, c"", user, group, AtFlags::AT_EMPTY_PATH)
            }
            _ => Err(nix::Error::EINVAL),
        };
        Ok(done?)
    }

    /// What is kept of the call for its next notification, if this one was withdrawn meanwhile.
    pub(crate) fn lasts(&self) -> Lasting {
        match self {
            Self::SetMode { .. } | Self::SetOwner { .. } => Lasting::Nothing,
            Self::MakeDirectory { .. }
            | Self::MakeNode { .. }
            | Self::MakeSymlink { .. }
            | Self::Remove { .. }
            | Self::Rename { .. }
            | Self::Link { .. } => Lasting::Success,
        }
    }

    /// What a call comes to that may have been made before by a supervisor that died on it: what that one did is no
    /// obstacle. Two names that may have been exchanged already cannot be told from two that were not.
    pub(crate) fn forgive(&self, result: Result<(), i32>) -> Result<(), i32> {
        let obstacle = match self {
            Self::MakeDirectory { .. } | Self::MakeNode { .. } | Self::MakeSymlink { .. } | Self::Link { .. } => {
                libc::EEXIST
            }
            Self::Remove { .. } | Self::Rename { .. } => libc::ENOENT,
            Self::SetMode { .. } | Self::SetOwner { .. } => return result,
        };
        if result == Err(obstacle) { Ok(()) } else { result }
    }

    /// Whether doing it twice undoes it, or does it to what it has left behind.
    pub(crate) fn is_undone_by_itself(&self) -> bool {
        matches!(self, Self::Rename { flags } if flags & (libc::RENAME_EXCHANGE | libc::RENAME_WHITEOUT) != 0)
    }

    fn is_exchange(&self) -> bool {
        matches!(self, Self::Rename { flags } if flags & libc::RENAME_EXCHANGE != 0)
    }
}

/// The flags that the kernel takes together (renameat2(2)).
fn rename_flags(flags: u32) -> Result<u32, i32> {
    let one_sided = libc::RENAME_NOREPLACE | libc::RENAME_WHITEOUT;
    let is_known = flags & !(one_sided | libc::RENAME_EXCHANGE) == 0;
    let is_both = flags & one_sided != 0 && flags & libc::RENAME_EXCHANGE != 0;
    if is_known && !is_both { Ok(flags) } else { Err(libc::EINVAL) }
}

/// The mode of a node, of which the kernel looks at the type before any path (`may_mknod` of its `namei.c`).
fn node_mode(mode: u32) -> Result<u32, i32> {
    match mode & libc::S_IFMT {
        0 | libc::S_IFREG | libc::S_IFCHR | libc::S_IFBLK | libc::S_IFIFO | libc::S_IFSOCK => Ok(mode),
        libc::S_IFDIR => Err(libc::EPERM),
        _ => Err(libc::EINVAL),
    }
}

fn permissions(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode & MODE_BITS)
}

/// A device number of 32 bits, as the C library takes it (`new_decode_dev` of the kernel).
fn unpacked(device: u32) -> libc::dev_t {
    let (major, minor) = ((device & 0xf_ff00) >> 8, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    nix::sys::stat::makedev(u64::from(major), u64::from(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, directory: &str, name: &str, is_root: bool) {
        let (look, last, root) = Name::new(path.as_bytes(), libc::AT_FDCWD).unwrap().split();
        let found = (look.path.to_str().unwrap(), last.to_str().unwrap(), root);
        assert_eq!(found, (directory, name, is_root), "{path}");
    }

    #[test]
    fn what_a_dead_supervisor_did_is_no_obstacle() {
        let (made, gone) = (Deed::MakeDirectory { mode: 0 }, Deed::Remove { is_directory: true });
        assert_eq!([made.forgive(Err(libc::EEXIST)), gone.forgive(Err(libc::ENOENT))], [Ok(()), Ok(())]);
        assert_eq!(made.forgive(Err(libc::EACCES)), Err(libc::EACCES));
        assert_eq!(gone.forgive(Err(libc::EEXIST)), Err(libc::EEXIST));
        let twice = |flags| Deed::Rename { flags }.is_undone_by_itself();
        assert!(twice(libc::RENAME_EXCHANGE) && twice(libc::RENAME_WHITEOUT) && !twice(0));
    }

    #[test]
    fn a_path_is_a_directory_and_a_last_name_with_its_slashes() {
        check("name", ".", "name", false);
        check("name//", ".", "name//", false);
        check("a/b/../c", "a/b/../.", "c", false);
        check("/name", "/.", "name", false);
        check("a/..", "a/.", "..", false);
        check("//", "/.", ".", true);
    }

    #[test]
    fn device_numbers_are_the_kernels() {
        assert_eq!(unpacked(0x0000_0103), nix::sys::stat::makedev(1, 3));
        assert_eq!(unpacked(0xabc1_23ff), nix::sys::stat::makedev(0x123, 0xa_bcff));
    }

    #[test]
    fn flags_that_the_kernel_refuses_are_refused() {
        assert_eq!(rename_flags(libc::RENAME_EXCHANGE), Ok(libc::RENAME_EXCHANGE));
        assert_eq!(rename_flags(libc::RENAME_EXCHANGE | libc::RENAME_NOREPLACE), Err(libc::EINVAL));
        assert_eq!(rename_flags(8), Err(libc::EINVAL));
    }

    #[test]
    fn types_that_no_node_has_are_refused() {
        assert_eq!(node_mode(libc::S_IFCHR | 0o600), Ok(libc::S_IFCHR | 0o600));
        assert_eq!(node_mode(0o600), Ok(0o600));
        assert_eq!(node_mode(libc::S_IFDIR), Err(libc::EPERM));
        assert_eq!([libc::S_IFLNK, libc::S_IFMT].map(node_mode), [Err(libc::EINVAL); 2]);
    }
}
