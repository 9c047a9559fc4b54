// SPDX-License-Identifier: Apache-2.0
//! Reading a file that a container names, with rights that the container does not have.
//!
//! Only files whose reading does nothing else are read. Of FIFOs and devices that is never so; of what the kernel makes up
//! while it is read nobody knows: `/proc/kmsg` hands each message out once, `trace_pipe` too, and PCI configuration space is
//! the device itself.

use std::{
    fs::File,
    io::Read as _,
    os::fd::{AsFd, AsRawFd},
};

use nix::{
    fcntl::{AT_FDCWD, OFlag, openat},
    sys::{
        stat::{FileStat, Mode, SFlag},
        statfs::{
            BPF_FS_MAGIC, DEBUGFS_MAGIC, FsType, PROC_SUPER_MAGIC, SECURITYFS_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC,
            fstatfs,
        },
    },
};

/// `linux/magic.h`.
const EFIVARFS_MAGIC: FsType = FsType(0xde5e_81e4);
/// `fs/configfs/mount.c` of the kernel.
const CONFIGFS_MAGIC: FsType = FsType(0x6265_6570);
/// File systems of the kernel's own whose files may have a size. Others, such as those of control groups, show none.
const MADE_UP: [FsType; 8] = [
    PROC_SUPER_MAGIC,
    SYSFS_MAGIC,
    DEBUGFS_MAGIC,
    TRACEFS_MAGIC,
    EFIVARFS_MAGIC,
    SECURITYFS_MAGIC,
    BPF_FS_MAGIC,
    CONFIGFS_MAGIC,
];

/// Whether `file`, of which these are the facts, is one that only holds what was written to it.
fn is_plain(file: impl AsFd, facts: &FileStat) -> bool {
    let is_regular = facts.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
    // The kernel's own tell what they are.
    let is_made_up = || fstatfs(file).is_ok_and(|system| MADE_UP.contains(&system.filesystem_type()));
    is_regular && facts.st_size > 0 && !is_made_up()
}

/// The beginning of a plain file, at most `limit` bytes; `None` for any other and where it is unreadable. `file` may be a path
/// descriptor, `facts` are its own. Its time of access stays where its owner allows that.
pub(crate) fn read_plain(file: impl AsFd, facts: &FileStat, limit: usize) -> Option<Vec<u8>> {
    if !is_plain(file.as_fd(), facts) {
        return None;
    }
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let open = |flags| openat(AT_FDCWD, path.as_str(), flags, Mode::empty());
    let readable = open(flags | OFlag::O_NOATIME).or_else(|_| open(flags)).ok()?;
    let mut content = Vec::new();
    File::from(readable).take(limit.try_into().ok()?).read_to_end(&mut content).ok()?;
    Some(content)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::fd::OwnedFd, path::Path};

    use nix::{fcntl::open, sys::stat::fstat, unistd::mkfifo};

    use super::*;

    fn beginning(path: &Path) -> Option<Vec<u8>> {
        let file: OwnedFd = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        read_plain(&file, &fstat(&file).unwrap(), 4)
    }

    #[test]
    fn only_what_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let (plain, fifo) = (directory.path().join("plain"), directory.path().join("fifo"));
        File::create(&plain).unwrap().write_all(b"content").unwrap();
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert_eq!(beginning(&plain).as_deref(), Some(b"cont".as_slice()));
        for other in [fifo.as_path(), directory.path()] {
            assert_eq!(beginning(other), None, "{}", other.display());
        }
        for made_up in ["/proc/kmsg", "/proc/version", "/sys/kernel/notes", "/sys/kernel/profiling", "/dev/null"] {
            let path = Path::new(made_up);
            assert!(!path.exists() || beginning(path).is_none(), "{made_up}");
        }
    }
}
