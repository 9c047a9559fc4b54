// SPDX-License-Identifier: Apache-2.0
//! A control group of cgroup v2 (`Documentation/admin-guide/cgroup-v2.rst` of the kernel).

use std::{
    ffi::CString,
    fs::File,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::FileExt as _,
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, openat},
    sys::stat::{Mode, mkdirat},
    unistd::{Gid, Uid, UnlinkatFlags, setfsgid, setfsuid, unlinkat},
};

use crate::sys::{OpenHow, open_at};

/// How long a group is tried to be emptied, and to be removed: what was killed takes a moment to end.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(1);

/// By a descriptor of its directory.
#[derive(Debug)]
pub(super) struct Group(OwnedFd);

impl Group {
    /// By its path below another one's directory.
    pub(super) fn open(above: BorrowedFd<'_>, path: &[u8]) -> io::Result<Self> {
        let path = CString::new(if path.is_empty() { b".".as_slice() } else { path })?;
        let flags = u64::from((libc::O_PATH | libc::O_DIRECTORY).cast_unsigned());
        let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_XDEV;
        open_at(above, &path, OpenHow { flags, mode: 0, resolve }).map(Self)
    }

    /// A new one below it. One of this name that is there already must be empty: whoever made it may have more of it than
    /// its name.
    pub(super) fn make(&self, name: &str) -> io::Result<Self> {
        let mut made = self.make_directory(name);
        if made == Err(Errno::EEXIST) {
            self.remove(name)?;
            made = self.make_directory(name);
        }
        made?;
        self.group(name)
    }

    /// The kernel gives it to whoever makes it, and a thread that opens files for others may wear the ids of one of them.
    fn make_directory(&self, name: &str) -> nix::Result<()> {
        let (user, group) = (setfsuid(Uid::from_raw(0)), setfsgid(Gid::from_raw(0)));
        let made = mkdirat(&self.0, name, Mode::S_IRWXU);
        setfsgid(group);
        setfsuid(user);
        made
    }

    /// One below it.
    pub(super) fn group(&self, name: &str) -> io::Result<Self> {
        Self::open(self.0.as_fd(), name.as_bytes())
    }

    /// Removes one below it that is empty, or soon will be; there need not be one.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            match self.try_remove(name) {
                Err(error) if is_busy(&error) && begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
                removed => return removed,
            }
        }
    }

    /// Removes one below it that is empty now; there need not be one.
    pub(super) fn try_remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.0, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// One of its files.
    pub(super) fn file(&self, name: &str, flags: OFlag) -> io::Result<File> {
        Ok(openat(&self.0, name, flags | OFlag::O_CLOEXEC, Mode::empty())?.into())
    }

    /// The numbers of its threads. A process may be here whose first thread has ended, and counts nowhere.
    pub(super) fn threads(&self) -> io::Result<Vec<u32>> {
        let mut content = String::new();
        self.file("cgroup.threads", OFlag::O_RDONLY)?.read_to_string(&mut content)?;
        // The kernel writes 0 for one that ended just now, and takes 0 for the caller.
        Ok(content.lines().filter_map(|line| line.parse().ok()).filter(|thread| *thread != 0).collect())
    }

    /// Moves a whole process here, by the number of any of its threads, which takes up to 20 ms: the kernel has to wait until
    /// all processors have been somewhere else (`cgroup_threadgroup_rwsem`). Nothing is interrupted by that.
    pub(super) fn take(&self, thread: u32) -> io::Result<()> {
        // In one write, which is a command.
        self.file("cgroup.procs", OFlag::O_WRONLY)?.write_all(thread.to_string().as_bytes())
    }

    /// From now on none of its tasks, or those of groups below it, gets back to its program. One that the kernel lets wait
    /// interruptibly leaves its call.
    pub(super) fn freeze(&self) -> io::Result<()> {
        self.file("cgroup.freeze", OFlag::O_WRONLY)?.write_all(b"1")
    }

    /// Lets them go on.
    pub(super) fn thaw(&self) -> io::Result<()> {
        self.file("cgroup.freeze", OFlag::O_WRONLY)?.write_all(b"0")
    }

    /// Whether somebody wants it frozen.
    pub(super) fn is_to_be_frozen(&self) -> io::Result<bool> {
        let mut content = [0; 1];
        let length = self.file("cgroup.freeze", OFlag::O_RDONLY)?.read_at(&mut content, 0)?;
        Ok(length == 1 && content == *b"1")
    }

    /// Moves all its processes to another one. It should be frozen: they make no others then. Somebody else may go on making
    /// some here, to be frozen in turn, for which a mount that is read-only is enough (`CLONE_INTO_CGROUP` of clone3(2)).
    pub(super) fn empty_into(&self, other: &Self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            // Each brings its whole process along.
            let Some(thread) = self.threads()?.into_iter().next() else { return Ok(()) };
            if begun.elapsed() >= PATIENCE {
                return Err(Errno::EBUSY.into());
            }
            match other.take(thread) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                Ok(()) | Err(_) => {}
            }
            if self.threads()?.first() == Some(&thread) {
                // It is ending.
                thread::sleep(PAUSE);
            }
        }
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}
