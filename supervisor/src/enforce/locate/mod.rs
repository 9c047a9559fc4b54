// SPDX-License-Identifier: Apache-2.0
//! From a path to the file it names for a task, or to the place where that file would be made.
//!
//! The calling thread has the task's root directory and credentials, so that the kernel's own lookup gives the task's
//! result, permissions included, with one exception: `/proc/self` and what lies behind it would lead to us. So the kernel
//! first looks without symbolic links, which is enough for most paths; then with links, but not through those of `/proc`;
//! and what touches procfs is walked here, name by name ([`Walk`]), as is everything where nobody can have the task's root.

mod aliases;
mod protection;
mod scope;
mod walk;

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use self::{
    aliases::{aliases, aliases_of_missing},
    protection::Protection,
    scope::SCOPED,
    walk::Walk,
};
use super::{
    credentials::{Credentials, Kinship, Worn},
    opener::errno,
    request::{OpenRequest, bits, cut},
    terminal,
};
use crate::{
    process::Process,
    sys::{FileFacts, OpenHow, file_facts, open_at},
};

/// Devices whose opening does nothing (`memory_open` of the kernel's `drivers/char/mem.c`): null, zero, full, random and
/// urandom.
const PLAIN_DEVICES: [(u32, u32); 5] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9)];

/// Where a path leads.
#[derive(Debug)]
pub(crate) enum Located {
    /// To this file.
    Existing {
        /// A handle of it.
        file: OwnedFd,
        /// What it is.
        facts: FileFacts,
        /// Why an open with the request's flags fails all the same.
        refusal: Option<i32>,
        /// What it is to the task.
        kinship: Kinship,
    },
    /// To a free name, where the request may make a file.
    Missing {
        /// A handle of the directory.
        parent: OwnedFd,
        /// The name in it.
        name: CString,
    },
    /// Nowhere: the call fails with this errno.
    Failed(i32),
}

impl Located {
    /// A file that somebody else found.
    pub(crate) fn existing(file: OwnedFd) -> io::Result<Self> {
        let Handle { file, facts, kinship } = Handle::of(file)?;
        Ok(Self::Existing { file, facts, refusal: None, kinship })
    }

    /// Those of `names` that are the found file, too, below the container's `root`, or the file that is about to be made.
    /// Only a file with several links, or one that was reached through a mount of its own, can have other names, or one whose
    /// own name was removed.
    pub(crate) fn aliases(&self, root: BorrowedFd<'_>, names: &[String]) -> Vec<Vec<u8>> {
        match self {
            Self::Existing { file, facts, .. } => aliases(root, names, (file.as_fd(), facts)),
            Self::Missing { parent, name } => aliases_of_missing(root, names, parent.as_fd(), name),
            Self::Failed(_) => Vec::new(),
        }
    }
}

/// Everything that a lookup needs.
pub(super) struct Lookup<'a> {
    pub(super) process: &'a Process,
    pub(super) credentials: &'a Credentials,
    pub(super) worn: &'a Worn<'a>,
    pub(super) request: &'a OpenRequest,
    /// Our own `/proc/self/fd`.
    pub(super) own_descriptors: BorrowedFd<'a>,
    /// The task's root directory.
    pub(super) root: BorrowedFd<'a>,
    /// Where the path starts.
    pub(super) start: BorrowedFd<'a>,
    /// With which errno the thread failed to take on that root directory, if it did. A task may have that of a dead process,
    /// and the kernel does not mind as long as no path leads there; what leads there fails so.
    pub(super) shut: Option<i32>,
}

impl Lookup<'_> {
    pub(super) fn locate(&self) -> Located {
        let request = self.request;
        if request.checks_flags()
            && let Err(error) = open_at(self.root, c"", request.how)
            && errno(&error) != libc::ENOENT
        {
            return Located::Failed(errno(&error));
        }
        if request.path.is_empty() {
            return Located::Failed(libc::ENOENT);
        }
        if let Some(parent) = self.parent_of_directory() {
            return Located::Failed(self.refusal_of_directory(parent));
        }
        let located = self.by_kernel().or_else(|| self.by_walking());
        located.unwrap_or_else(|error| Located::Failed(errno(&error)))
    }

    /// The path of the directory above, where a slash at the end says that a directory is to be made, which no open does.
    fn parent_of_directory(&self) -> Option<&[u8]> {
        let path = self.request.path.to_bytes();
        if !path.ends_with(b"/") || !self.request.has(libc::O_CREAT) {
            return None;
        }
        let length = path.iter().rposition(|byte| *byte != b'/')? + 1;
        let (parent, name) = cut(path.get(..length)?);
        (!matches!(name, b"." | b"..")).then_some(parent)
    }

    /// The kernel does not look for such a name, but for what is above it (`open_last_lookups` of its `namei.c`).
    fn refusal_of_directory(&self, parent: &[u8]) -> i32 {
        let Ok(parent) = CString::new(if parent.is_empty() { b"." } else { parent }) else { return libc::EINVAL };
        let mut look = OpenRequest::to_look(self.request.start, parent, libc::O_DIRECTORY);
        look.how.resolve = self.request.how.resolve;
        match (Lookup { request: &look, ..*self }).locate() {
            Located::Existing { refusal: None, .. } => libc::EISDIR,
            Located::Existing { refusal: Some(errno), .. } | Located::Failed(errno) => errno,
            Located::Missing { .. } => libc::ENOENT,
        }
    }

    /// What can be found without taking on the task's root directory: a path without symbolic links, which does not lead
    /// upwards. `None` where that is not enough.
    pub(super) fn without_entering(&self) -> Option<io::Result<Located>> {
        let (request, path) = (self.request, self.request.path.as_c_str());
        let scope = if path.to_bytes().starts_with(b"/") { libc::RESOLVE_IN_ROOT } else { libc::RESOLVE_BENEATH };
        if request.checks_flags() || request.how.resolve != 0 || request.path.is_empty() {
            return None;
        }
        if self.parent_of_directory().is_some() {
            return None;
        }
        // Below its start, a path may still go upwards from the task's root directory, and stay there.
        if path.to_bytes().windows(2).any(|pair| pair == b"..") {
            return None;
        }
        let resolve = scope | libc::RESOLVE_NO_SYMLINKS;
        match self.handle(self.start, path, resolve) {
            Ok(handle) if handle.is_on_procfs() => None,
            Ok(handle) => self.existing_in_sight(handle, resolve),
            Err(error) if errno(&error) == libc::ENOENT => Some(self.missing(resolve)),
            Err(_) => None,
        }
    }

    /// What the kernel finds; `None` inside where it must not look.
    fn by_kernel(&self) -> Attempt {
        let (how, path) = (self.request.how, self.request.path.as_c_str());
        if how.resolve & SCOPED != 0 {
            return self.in_scope(0).into();
        }
        // Its root would be ours.
        if self.shut.is_some() {
            return Attempt::Undecided;
        }
        let resolve = how.resolve | libc::RESOLVE_NO_SYMLINKS;
        match self.handle(self.start, path, resolve) {
            Ok(handle) if handle.is_on_procfs() => return Attempt::Undecided,
            Ok(handle) => return self.existing_in_sight(handle, resolve).map_or(Attempt::Undecided, Into::into),
            Err(error) => match errno(&error) {
                libc::ENOENT => return self.missing(resolve).into(),
                libc::ELOOP if how.resolve & libc::RESOLVE_NO_SYMLINKS == 0 => {}
                // A process may see more of itself than we do; walking tells whether it is that.
                libc::EACCES => return Attempt::Undecided,
                _ => return Attempt::Failed(error),
            },
        }
        match self.handle(self.start, path, how.resolve | libc::RESOLVE_NO_MAGICLINKS) {
            Ok(handle) if !handle.is_on_procfs() && !self.may_be_protected(&handle.facts) => {
                self.existing(handle).into()
            }
            // Missing because of `/proc/self`, or because it is a link of procfs, or really: walking tells.
            Ok(_) => Attempt::Undecided,
            Err(error) if matches!(errno(&error), libc::ENOENT | libc::ELOOP | libc::EACCES) => Attempt::Undecided,
            Err(error) => Attempt::Failed(error),
        }
    }

    fn by_walking(&self) -> io::Result<Located> {
        Walk::new(self)?.walk()
    }

    /// The task's root directory, for a path that leads there.
    fn enter_root(&self) -> io::Result<OwnedFd> {
        match self.shut {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => self.root.try_clone_to_owned(),
        }
    }

    /// A handle of what `path` names.
    fn handle(&self, start: BorrowedFd<'_>, path: &CStr, resolve: u64) -> io::Result<Handle> {
        let kept = bits(libc::O_DIRECTORY) & self.request.how.flags;
        let end = if self.request.keeps_link() { bits(libc::O_NOFOLLOW) } else { 0 };
        Handle::of(open_at(start, path, OpenHow { flags: bits(libc::O_PATH) | kept | end, mode: 0, resolve })?)
    }

    /// The free name at the path's end, if the request may make a file there.
    fn missing(&self, resolve: u64) -> io::Result<Located> {
        if !self.request.has(libc::O_CREAT) {
            return Ok(Located::Failed(libc::ENOENT));
        }
        let (_, name) = cut(self.request.path.to_bytes());
        if name.is_empty() {
            return Ok(Located::Failed(libc::EISDIR));
        }
        let parent = self.parent(resolve)?;
        Ok(Located::Missing { parent, name: CString::new(name).map_err(io::Error::other)? })
    }

    /// The directory that the path's last name is looked up in.
    fn parent(&self, resolve: u64) -> io::Result<OwnedFd> {
        let (directory, _) = cut(self.request.path.to_bytes());
        let directory = CString::new(if directory.is_empty() { b"." } else { directory }).map_err(io::Error::other)?;
        let flags = bits(libc::O_PATH | libc::O_DIRECTORY);
        open_at(self.start, &directory, OpenHow { flags, mode: 0, resolve })
    }

    /// The same, where the name in it is the file that was found; one that a link leads to cannot be told apart from one
    /// that was moved meanwhile, and is kept.
    fn parent_of(&self, facts: &FileFacts, resolve: u64) -> io::Result<OwnedFd> {
        let (parent, (_, name)) = (self.parent(resolve)?, cut(self.request.path.to_bytes()));
        let name = CString::new(name).map_err(io::Error::other)?;
        let is_it = file_facts(parent.as_fd(), &name, false).is_ok_and(|named| named.is_same_file(facts));
        if is_it { Ok(parent) } else { Err(io::Error::from_raw_os_error(libc::EACCES)) }
    }

    /// A file that was found, with what its type means for the request.
    fn existing(&self, handle: Handle) -> io::Result<Located> {
        let refusal = self.refusal(&handle.facts);
        self.found(handle, refusal)
    }

    /// The same of one that no link led to; `None` where its place matters and is not what the path says any more.
    fn existing_in_sight(&self, handle: Handle, resolve: u64) -> Option<io::Result<Located>> {
        if !self.may_be_protected(&handle.facts) {
            return Some(self.existing(handle));
        }
        let directory = self.parent_of(&handle.facts, resolve).ok()?;
        Some(self.existing_in(handle, || Ok(directory)))
    }

    /// The same where its place may matter: `directory` is the one that it was looked up in.
    fn existing_in(&self, handle: Handle, directory: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<Located> {
        let refusal = match self.refusal(&handle.facts) {
            refusal @ (None | Some(libc::ELOOP)) if self.may_be_protected(&handle.facts) => {
                let is_protected = Self::is_protected(&handle.facts, directory()?.as_fd())?;
                if is_protected { Some(libc::EACCES) } else { refusal }
            }
            refusal => refusal,
        };
        self.found(handle, refusal)
    }

    fn found(&self, Handle { file, facts, kinship }: Handle, refusal: Option<i32>) -> io::Result<Located> {
        if refusal.is_none() && !self.request.has(libc::O_PATH) && terminal::is_controlling(&facts) {
            let found = self.worn.lay_aside(|| terminal::controlling(self.process, self.root))?;
            let Some(found) = found else { return Ok(Located::Failed(libc::ENXIO)) };
            return Located::existing(found);
        }
        Ok(Located::Existing { file, facts, refusal, kinship })
    }

    fn refusal(&self, facts: &FileFacts) -> Option<i32> {
        let request = self.request;
        if request.has(libc::O_CREAT | libc::O_EXCL) && !request.has(libc::O_TMPFILE) {
            return Some(libc::EEXIST);
        }
        if facts.is(libc::S_IFLNK) {
            return Some(libc::ELOOP);
        }
        if request.has(libc::O_CREAT) && facts.is(libc::S_IFDIR) {
            return Some(libc::EISDIR);
        }
        let is_too_large =
            request.is_small_file && facts.is(libc::S_IFREG) && facts.size > i32::MAX.unsigned_abs().into();
        is_too_large.then_some(libc::EOVERFLOW)
    }

    /// Whether it depends on where the file was found if the request, which would have made it, may open it.
    fn may_be_protected(&self, facts: &FileFacts) -> bool {
        self.request.has(libc::O_CREAT)
            && facts.user != self.credentials.file_user()
            && !facts.is(libc::S_IFDIR)
            && Protection::of(facts).is_none_or(|protection| protection.level() > 0)
    }

    /// `fs.protected_symlinks`: somebody's link in a shared directory, at the end of a path, is followed by its owner and the
    /// directory's alone (proc(5); `may_follow_link` of the kernel's `namei.c`).
    fn may_follow(&self, link: &FileFacts, directory: BorrowedFd<'_>) -> io::Result<()> {
        if link.user == self.credentials.file_user() || Protection::Symlinks.level() == 0 {
            return Ok(());
        }
        let directory = file_facts(directory, c"", false)?;
        let is_shared = directory.mode & libc::S_ISVTX != 0 && directory.mode & 0o002 != 0;
        if is_shared && directory.user != link.user {
            return Err(io::Error::from_raw_os_error(libc::EACCES));
        }
        Ok(())
    }

    /// Whether somebody's file in a shared directory may not be opened by a request that would have made it: a regular file
    /// or a FIFO as `fs.protected_regular` and `fs.protected_fifos` say (proc(5)), any other never (`may_create_in_sticky`
    /// of the kernel's `namei.c`). What counts is the directory of the look-up, not where the file is when it is asked about.
    fn is_protected(facts: &FileFacts, directory: BorrowedFd<'_>) -> io::Result<bool> {
        let level = Protection::of(facts).map_or(1, Protection::level);
        let directory = file_facts(directory, c"", false)?;
        let is_sticky = directory.mode & libc::S_ISVTX != 0 && facts.user != directory.user;
        let is_open = directory.mode & 0o002 != 0 || level >= 2 && directory.mode & 0o020 != 0;
        Ok(level > 0 && is_sticky && is_open)
    }
}

/// A file that was found.
struct Handle {
    file: OwnedFd,
    facts: FileFacts,
    kinship: Kinship,
}

impl Handle {
    /// The file was found, so that no error here is one of looking for it; but whoever serves a file system may refuse even
    /// to say what its root is.
    fn of(file: OwnedFd) -> io::Result<Self> {
        let told = |error: &io::Error| if errno(error) == libc::EACCES { libc::EACCES } else { libc::EIO };
        let facts = file_facts(file.as_fd(), c"", false).map_err(|error| io::Error::from_raw_os_error(told(&error)))?;
        Ok(Self { file, facts, kinship: Kinship::None })
    }

    fn is_on_procfs(&self) -> bool {
        // File systems without a device, like procfs, have the major number 0 for theirs.
        self.facts.device.0 == 0 && is_on_procfs(self.file.as_fd())
    }
}

/// Whether opening the file is more than getting a descriptor of data.
pub(super) fn acts(facts: &FileFacts) -> bool {
    !facts.is(libc::S_IFREG) && !facts.is(libc::S_IFDIR)
}

/// Whether opening the file may wait for somebody, or do something by itself.
pub(super) fn may_wait(facts: &FileFacts) -> bool {
    acts(facts) && !(facts.is(libc::S_IFCHR) && PLAIN_DEVICES.contains(&facts.represents))
}

/// What an attempt to look came to.
enum Attempt {
    Found(Located),
    Failed(io::Error),
    Undecided,
}

impl Attempt {
    fn or_else(self, next: impl FnOnce() -> io::Result<Located>) -> io::Result<Located> {
        match self {
            Self::Found(located) => Ok(located),
            Self::Failed(error) => Err(error),
            Self::Undecided => next(),
        }
    }
}

impl From<io::Result<Located>> for Attempt {
    fn from(result: io::Result<Located>) -> Self {
        result.map_or_else(Self::Failed, Self::Found)
    }
}

/// Whether a handle is of a file or directory of procfs.
pub(super) fn is_on_procfs(file: BorrowedFd<'_>) -> bool {
    fstatfs(file).is_ok_and(|facts| facts.filesystem_type() == PROC_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_may_wait_but_for_those_that_only_stand_for_data() {
        let root = std::fs::File::open("/").unwrap();
        let waits = |path: &CStr| may_wait(&file_facts(root.as_fd(), path, true).unwrap());
        for path in [c"dev/null", c"dev/zero", c"dev/full", c"dev/random", c"dev/urandom", c"etc/passwd", c"etc"] {
            assert!(!waits(path), "{path:?}");
        }
        for path in [c"dev/tty", c"dev/ptmx"] {
            assert!(waits(path), "{path:?}");
        }
    }
}
