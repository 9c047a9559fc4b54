// SPDX-License-Identifier: Apache-2.0
//! Names that do not fit into a page, which is all that the kernel tells of one (`d_path`): directories may lie deeper.
//!
//! What it tells begins at the caller's root directory. So a thread of its own makes directories above the file its root,
//! one after the other, as long as what is below fits, and goes on with the last of them.

use std::{
    ffi::{CStr, CString},
    io,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    thread,
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, openat, readlinkat},
    sched::{CloneFlags, unshare},
    sys::stat::Mode,
};

use super::handle::proc_root;
use crate::sys::{file_facts, take_root};

/// Directories that are looked at, of which a few milliseconds are spent: what lies deeper has no name.
const MAX_STEPS: usize = 512;
/// Levels that are taken at once: many as long as that goes, then fewer. No level is climbed much more than once, as a search
/// by halves would: each `..` on a bind mount costs the kernel a walk to the mount's top (`path_connected` of its `namei.c`).
const STRIDES: [usize; 3] = [32, 4, 1];
/// A thread that makes system calls and little else.
const STACK_BYTES: usize = 128 << 10;

/// The name of `file`, which is too long for the kernel; it is looked for below `near`, a directory, and those above it, or,
/// for a directory, those above itself.
pub(super) fn long_path(file: BorrowedFd<'_>, near: Option<BorrowedFd<'_>>) -> io::Result<Vec<u8>> {
    thread::scope(|scope| {
        let find = || Finder::new().and_then(|finder| finder.find(file, near));
        let finder = thread::Builder::new().name("long-path".to_owned()).stack_size(STACK_BYTES);
        let found = finder.spawn_scoped(scope, find)?.join();
        found.unwrap_or_else(|_panic| Err(io::Error::other("the thread that looked for a name has panicked")))
    })
}

struct Finder {
    /// Our own descriptors, of which the kernel tells the names.
    own: OwnedFd,
    root: OwnedFd,
}

impl Finder {
    /// Gives the calling thread a root directory that is its own to change.
    fn new() -> io::Result<Self> {
        let proc = proc_root().ok_or(io::ErrorKind::NotFound)?;
        let (own, root) = (directory(proc, c"self/fd")?, directory(proc, c"/")?);
        unshare(CloneFlags::CLONE_FS)?;
        Ok(Self { own, root })
    }

    fn find(&self, file: BorrowedFd<'_>, near: Option<BorrowedFd<'_>>) -> io::Result<Vec<u8>> {
        let mut parts = Vec::new();
        let mut steps = 0;
        let mut target = file.try_clone_to_owned()?;
        let mut from = match near {
            Some(near) => near.try_clone_to_owned()?,
            None => directory(file, c"..")?,
        };
        loop {
            let (base, part) = self.furthest(&target, from, &mut steps)?;
            parts.push(part);
            take_root(self.root.as_fd())?;
            if let Some(name) = self.name(&base)? {
                parts.push(name);
                parts.reverse();
                return Ok(parts.concat());
            }
            from = directory(base.as_fd(), c"..")?;
            target = base;
        }
    }

    /// The furthest directory above `target` from which its name still fits, and that name.
    fn furthest(&self, target: &OwnedFd, from: OwnedFd, steps: &mut usize) -> io::Result<(OwnedFd, Vec<u8>)> {
        let mut at = from;
        let mut name = loop {
            if let Some(name) = self.name_below(&at, target, steps)? {
                break name;
            }
            let above = self.above(&at, c"..")?;
            if file_facts(above.as_fd(), c"", false)?.is_same_file(&file_facts(at.as_fd(), c"", false)?) {
                return Err(Errno::ENAMETOOLONG.into());
            }
            at = above;
        };
        // From the top of all it does not fit, so that this ends before.
        for stride in STRIDES {
            let upwards = CString::new("../".repeat(stride))?;
            loop {
                let above = self.above(&at, &upwards)?;
                let Some(longer) = self.name_below(&above, target, steps)? else { break };
                (at, name) = (above, longer);
            }
        }
        Ok((at, name))
    }

    fn above(&self, at: &OwnedFd, path: &CStr) -> io::Result<OwnedFd> {
        // Nothing is above the calling thread's root.
        take_root(self.root.as_fd())?;
        directory(at.as_fd(), path)
    }

    /// The name of `target` from `root` on, if it fits.
    fn name_below(&self, root: &OwnedFd, target: &OwnedFd, steps: &mut usize) -> io::Result<Option<Vec<u8>>> {
        *steps += 1;
        if *steps > MAX_STEPS {
            return Err(Errno::ENAMETOOLONG.into());
        }
        take_root(root.as_fd())?;
        self.name(target)
    }

    /// The name as the calling thread's root directory shows it; `None` for one that is too long.
    fn name(&self, file: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
        match readlinkat(&self.own, file.as_raw_fd().to_string().as_str()) {
            Ok(name) => Ok(Some(name.into_vec())),
            Err(Errno::ENAMETOOLONG) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn directory(at: BorrowedFd<'_>, path: &CStr) -> io::Result<OwnedFd> {
    Ok(openat(at, path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use nix::sys::stat::mkdirat;

    use super::*;

    #[test]
    fn a_deep_file_has_its_whole_name() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: not root");
            return;
        }
        let name = "d".repeat(200);
        let scratch = tempfile::tempdir().unwrap();
        let mut folder = OwnedFd::from(File::open(scratch.path()).unwrap());
        let mut expected = scratch.path().to_str().unwrap().to_owned();
        for _level in 0..60 {
            mkdirat(&folder, name.as_str(), Mode::S_IRWXU).unwrap();
            folder = openat(&folder, name.as_str(), OFlag::O_RDONLY, Mode::empty()).unwrap();
            expected = format!("{expected}/{name}");
        }
        assert_eq!(long_path(folder.as_fd(), None).unwrap(), expected.as_bytes());
        let file = openat(&folder, "file", OFlag::O_RDWR | OFlag::O_CREAT, Mode::S_IRWXU).unwrap();
        let below = openat(&folder, ".", OFlag::O_RDONLY, Mode::empty()).unwrap();
        expected.push_str("/file");
        assert_eq!(long_path(file.as_fd(), Some(below.as_fd())).unwrap(), expected.as_bytes());
        mkdirat(&folder, "beside", Mode::S_IRWXU).unwrap();
        let beside = openat(&folder, "beside", OFlag::O_RDONLY, Mode::empty()).unwrap();
        assert_eq!(long_path(file.as_fd(), Some(beside.as_fd())).unwrap(), expected.as_bytes());
        let elsewhere = File::open("/usr").unwrap();
        long_path(file.as_fd(), Some(elsewhere.as_fd())).unwrap_err();
    }
}
