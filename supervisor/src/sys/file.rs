// SPDX-License-Identifier: Apache-2.0
//! Opening with every flag the kernel knows, and what a descriptor refers to.

use std::{
    ffi::CStr,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use nix::{
    time::ClockId,
    unistd::{chroot, fchdir},
};
use serde::{Deserialize, Serialize};

/// Arguments of `openat2(2)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenHow {
    /// `O_*`.
    pub(crate) flags: u64,
    /// Permission bits of a new file; must be 0 where none can be made.
    pub(crate) mode: u64,
    /// `RESOLVE_*`.
    pub(crate) resolve: u64,
}

/// What `statx(2)` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileFacts {
    /// Major and minor number of the device with the file's inode.
    pub(crate) device: (u32, u32),
    /// The inode.
    pub(crate) inode: u64,
    /// The mount it was reached through.
    pub(crate) mount: u64,
    /// Type and permissions.
    pub(crate) mode: u32,
    /// Names.
    pub(crate) links: u32,
    /// Owner.
    pub(crate) user: u32,
    /// Major and minor number of a device file.
    pub(crate) represents: (u32, u32),
    /// Bytes.
    pub(crate) size: u64,
    /// When the inode was last changed, its number of names included: seconds since the epoch.
    pub(crate) changed: i64,
    /// Whether it is what its mount shows at its top (Linux 5.8).
    pub(crate) is_mount_root: bool,
}

/// Opens `path` from `directory`, close-on-exec.
pub(crate) fn open_at(directory: BorrowedFd<'_>, path: &CStr, how: OpenHow) -> io::Result<OwnedFd> {
    let OpenHow { flags, mode, resolve } = how;
    // SAFETY: all members are integers, for which zero is a value.
    let mut raw: libc::open_how = unsafe { MaybeUninit::zeroed().assume_init() };
    raw.flags = flags | u64::from(libc::O_CLOEXEC.cast_unsigned());
    (raw.mode, raw.resolve) = (mode, resolve);
    // SAFETY: the call reads a terminated text and a structure of the size that is passed; both live across the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            directory.as_raw_fd(),
            path.as_ptr(),
            ptr::from_ref(&raw),
            size_of::<libc::open_how>(),
        )
    };
    let raw = i32::try_from(result).ok().filter(|raw| *raw >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A path descriptor of what `path` names for a task whose root directory is `root`; links of procfs are not followed, which
/// would be ours.
///
/// A path with `..` is not looked up to its end while anything is renamed or mounted, anywhere on the machine (EAGAIN,
/// openat2(2)): it is tried again.
pub(crate) fn look_below(root: BorrowedFd<'_>, path: &CStr) -> io::Result<OwnedFd> {
    const ATTEMPTS: usize = 1000;
    let flags = u64::from(libc::O_PATH.cast_unsigned());
    let how = OpenHow { flags, mode: 0, resolve: libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS };
    let mut found = open_at(root, path, how);
    for _ in 1..ATTEMPTS {
        match found {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => found = open_at(root, path, how),
            found => return found,
        }
    }
    found
}

/// Makes `root` the calling thread's root and working directory, which must be its own alone (`CLONE_FS`).
pub(crate) fn take_root(root: BorrowedFd<'_>) -> nix::Result<()> {
    fchdir(root)?;
    chroot(".")
}

/// What `path` from `directory` is; an empty path means the descriptor itself. A symbolic link at its end is not followed
/// unless `follow` says so.
pub(crate) fn file_facts(directory: BorrowedFd<'_>, path: &CStr, follow: bool) -> io::Result<FileFacts> {
    // linux/stat.h: STATX_MNT_ID; needed fields only, so that network file systems are not asked again.
    let mask = libc::STATX_BASIC_STATS | libc::STATX_MNT_ID;
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC | if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    let mut raw = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the call reads a terminated text and writes one `statx`; both live across the call.
    let result = unsafe { libc::statx(directory.as_raw_fd(), path.as_ptr(), flags, mask, raw.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the structure was zeroed, which is a value, and then written by the kernel.
    let raw = unsafe { raw.assume_init() };
    Ok(FileFacts {
        device: (raw.stx_dev_major, raw.stx_dev_minor),
        inode: raw.stx_ino,
        mount: raw.stx_mnt_id,
        mode: u32::from(raw.stx_mode),
        links: raw.stx_nlink,
        user: raw.stx_uid,
        represents: (raw.stx_rdev_major, raw.stx_rdev_minor),
        size: raw.stx_size,
        changed: raw.stx_ctime.tv_sec,
        // linux/stat.h: STATX_ATTR_MOUNT_ROOT.
        is_mount_root: raw.stx_attributes & 0x2000 != 0,
    })
}

/// Whether a link is on a mount whose links nobody follows (`MS_NOSYMFOLLOW`, mount(2), Linux 5.10).
///
/// A file system that answers no question about itself counts as one whose links are followed.
pub(crate) fn is_never_followed(link: BorrowedFd<'_>) -> bool {
    // linux/statfs.h: ST_NOSYMFOLLOW; libc has no name for it.
    const NEVER_FOLLOWED: libc::c_ulong = 0x2000;
    let mut raw = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the call writes one `statvfs`, which lives across the call.
    if unsafe { libc::fstatvfs(link.as_raw_fd(), raw.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the structure was zeroed, which is a value, and then written by the C library.
    unsafe { raw.assume_init() }.f_flag & NEVER_FOLLOWED != 0
}

impl FileFacts {
    /// Whether the file is of this type (`S_IF*`).
    pub(crate) fn is(&self, kind: libc::mode_t) -> bool {
        self.mode & libc::S_IFMT == kind
    }

    /// Whether the inode was changed within the last two seconds, or will be, by clocks that disagree.
    pub(crate) fn was_changed_lately(&self) -> bool {
        const LATELY: i64 = 2;
        let now = ClockId::CLOCK_REALTIME_COARSE.now();
        now.map_or(true, |now| now.tv_sec().saturating_sub(self.changed) <= LATELY)
    }

    /// Whether both are the same file, by whatever names and mounts they were reached.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_descriptor_is_the_file_that_was_opened() {
        let root = std::fs::File::open("/").unwrap();
        let path = OpenHow { flags: libc::O_PATH.cast_unsigned().into(), ..OpenHow::default() };
        let file = open_at(root.as_fd(), c"etc/passwd", path).unwrap();
        let (by_name, itself) =
            (file_facts(root.as_fd(), c"etc/passwd", true).unwrap(), file_facts(file.as_fd(), c"", false).unwrap());
        assert_eq!(by_name, itself);
        assert!(itself.is(libc::S_IFREG) && itself.is_same_file(&by_name));
        assert!(!file_facts(root.as_fd(), c"etc", true).unwrap().is_same_file(&itself));
        let error = open_at(root.as_fd(), c"etc/none", path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
