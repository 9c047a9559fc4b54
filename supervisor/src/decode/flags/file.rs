// SPDX-License-Identifier: Apache-2.0
//! Names of opens, paths and descriptors.

use super::{Bits, Names};

/// Falco's numbers of open flags.
pub(crate) mod open {
    pub(crate) const READ: u32 = 1;
    pub(crate) const WRITE: u32 = 2;
    pub(crate) const CREATE: u32 = 4;
    pub(crate) const APPEND: u32 = 8;
    pub(crate) const DATA_SYNC: u32 = 16;
    pub(crate) const EXCLUSIVE: u32 = 32;
    pub(crate) const NONBLOCK: u32 = 64;
    pub(crate) const SYNC: u32 = 128;
    pub(crate) const TRUNCATE: u32 = 256;
    pub(crate) const DIRECT: u32 = 512;
    pub(crate) const DIRECTORY: u32 = 1024;
    pub(crate) const LARGE: u32 = 2048;
    pub(crate) const CLOSE_ON_EXEC: u32 = 4096;
    pub(crate) const UNNAMED: u32 = 8192;
    /// The file did not exist before.
    pub(crate) const CREATED: u32 = 1 << 14;
    /// The file lives in the writable layer of an overlay.
    pub(crate) const UPPER: u32 = 1 << 15;
    /// The file lives in an image's layer.
    pub(crate) const LOWER: u32 = 1 << 16;
}

/// `evt.arg.flags` of an open. `O_RDWR` stands before its halves and takes both bits.
pub(crate) const OPEN_BITS: Names = &[
    ("O_LARGEFILE", open::LARGE),
    ("O_DIRECTORY", open::DIRECTORY),
    ("O_DIRECT", open::DIRECT),
    ("O_TRUNC", open::TRUNCATE),
    ("O_SYNC", open::SYNC),
    ("O_NONBLOCK", open::NONBLOCK),
    ("O_EXCL", open::EXCLUSIVE),
    ("O_DSYNC", open::DATA_SYNC),
    ("O_APPEND", open::APPEND),
    ("O_CREAT", open::CREATE),
    ("O_RDWR", open::READ | open::WRITE),
    ("O_WRONLY", open::WRITE),
    ("O_RDONLY", open::READ),
    ("O_CLOEXEC", open::CLOSE_ON_EXEC),
    ("O_NONE", 0),
    ("O_TMPFILE", open::UNNAMED),
    ("O_F_CREATED", open::CREATED),
    ("FD_UPPER_LAYER", open::UPPER),
    ("FD_LOWER_LAYER", open::LOWER),
];

/// `evt.arg.mode` of a chmod.
pub(crate) const CHMOD_BITS: Names = &[
    ("S_IXOTH", 0o1),
    ("S_IWOTH", 0o2),
    ("S_IROTH", 0o4),
    ("S_IXGRP", 0o10),
    ("S_IWGRP", 0o20),
    ("S_IRGRP", 0o40),
    ("S_IXUSR", 0o100),
    ("S_IWUSR", 0o200),
    ("S_IRUSR", 0o400),
    ("S_ISVTX", 0o1000),
    ("S_ISGID", 0o2000),
    ("S_ISUID", 0o4000),
];

/// What `evt.arg.mode` of a mknod names beside the permissions.
pub(crate) const NODE_TYPES: Names = &[
    ("S_IFREG", 0o10_0000),
    ("S_IFCHR", 0o2_0000),
    ("S_IFBLK", 0o6_0000),
    ("S_IFIFO", 0o1_0000),
    ("S_IFSOCK", 0o14_0000),
];

/// `evt.arg.resolve`.
pub(crate) const RESOLVE_BITS: Names = &[
    ("RESOLVE_BENEATH", 1),
    ("RESOLVE_IN_ROOT", 2),
    ("RESOLVE_NO_MAGICLINKS", 4),
    ("RESOLVE_NO_SYMLINKS", 8),
    ("RESOLVE_NO_XDEV", 16),
    ("RESOLVE_CACHED", 32),
];

/// `evt.arg.flags` of `renameat2`.
pub(crate) const RENAME_BITS: Names =
    &[("RENAME_NOREPLACE", 1 << 0), ("RENAME_EXCHANGE", 1 << 1), ("RENAME_WHITEOUT", 1 << 2)];

/// `evt.arg.flags` of `linkat`.
pub(crate) const LINK_BITS: Names = &[("AT_SYMLINK_FOLLOW", 0x400), ("AT_EMPTY_PATH", 0x1000)];

/// `evt.arg.flags` of `unlinkat`.
pub(crate) const UNLINK_BITS: Names = &[("AT_REMOVEDIR", 0x200)];

/// `evt.arg.flags` of `fchownat`. *Falco:* calls `AT_SYMLINK_FOLLOW` so, and does not know the flag of that name.
pub(crate) const OWNER_BITS: Names = &[("AT_SYMLINK_NOFOLLOW", 0x400), ("AT_EMPTY_PATH", 0x1000)];

/// `evt.arg.flags` of `mount`, with the kernel's numbers.
pub(crate) const MOUNT_BITS: Names = &[
    ("RDONLY", 1 << 0),
    ("NOSUID", 1 << 1),
    ("NODEV", 1 << 2),
    ("NOEXEC", 1 << 3),
    ("SYNCHRONOUS", 1 << 4),
    ("REMOUNT", 1 << 5),
    ("MANDLOCK", 1 << 6),
    ("DIRSYNC", 1 << 7),
    ("NOATIME", 1 << 10),
    ("NODIRATIME", 1 << 11),
    ("BIND", 1 << 12),
    ("MOVE", 1 << 13),
    ("REC", 1 << 14),
    ("SILENT", 1 << 15),
    ("POSIXACL", 1 << 16),
    ("UNBINDABLE", 1 << 17),
    ("PRIVATE", 1 << 18),
    ("SLAVE", 1 << 19),
    ("SHARED", 1 << 20),
    ("RELATIME", 1 << 21),
    ("KERNMOUNT", 1 << 22),
    ("I_VERSION", 1 << 23),
    ("STRICTATIME", 1 << 24),
    ("LAZYTIME", 1 << 25),
    ("NOSEC", 1 << 28),
    ("BORN", 1 << 29),
    ("ACTIVE", 1 << 30),
    ("NOUSER", 1 << 31),
];

/// `evt.arg.flags` of `umount2`.
pub(crate) const UNMOUNT_BITS: Names =
    &[("FORCE", 1 << 0), ("DETACH", 1 << 1), ("EXPIRE", 1 << 2), ("NOFOLLOW", 1 << 3)];

/// The number of a whence that Falco does not know, such as `SEEK_DATA`: `SEEK_SET`.
pub(crate) const OTHER_SEEK: u32 = 0;

/// `evt.arg.whence`.
pub(crate) const SEEKS: Names = &[("SEEK_END", 2), ("SEEK_CUR", 1), ("SEEK_SET", 0)];

/// `evt.arg.flags` of splice.
pub(crate) const SPLICE_BITS: Names =
    &[("SPLICE_F_MOVE", 1), ("SPLICE_F_NONBLOCK", 2), ("SPLICE_F_MORE", 4), ("SPLICE_F_GIFT", 8)];

/// `evt.arg.operation` of flock.
pub(crate) const LOCK_BITS: Names = &[("LOCK_SH", 1), ("LOCK_EX", 2), ("LOCK_NB", 4), ("LOCK_UN", 8), ("LOCK_NONE", 0)];

/// `evt.arg.mode` of access.
pub(crate) const ACCESS_BITS: Names = &[("F_OK", 0), ("R_OK", 4), ("W_OK", 2), ("X_OK", 1)];

/// `evt.arg.flags` of newfstatat.
pub(crate) const STAT_BITS: Names =
    &[("AT_EMPTY_PATH", 0x1000), ("AT_NO_AUTOMOUNT", 0x800), ("AT_SYMLINK_NOFOLLOW", 0x100)];

/// `evt.arg.flags` of `close_range`.
pub(crate) const CLOSE_RANGE_BITS: Names = &[("CLOSE_RANGE_UNSHARE", 2), ("CLOSE_RANGE_CLOEXEC", 4)];

/// `evt.arg.flags` of dup3.
pub(crate) const DUPLICATE_BITS: Bits = &[("O_CLOEXEC", 0o200_0000, open::CLOSE_ON_EXEC), ("O_NONE", 0, 0)];

/// `evt.arg.cmd` of fsconfig.
pub(crate) const SETTINGS: Names = &[
    ("FSCONFIG_SET_FLAG", 0),
    ("FSCONFIG_SET_STRING", 1),
    ("FSCONFIG_SET_BINARY", 2),
    ("FSCONFIG_SET_PATH", 3),
    ("FSCONFIG_SET_PATH_EMPTY", 4),
    ("FSCONFIG_SET_FD", 5),
    ("FSCONFIG_CMD_CREATE", 6),
    ("FSCONFIG_CMD_RECONFIGURE", 7),
];
