// SPDX-License-Identifier: Apache-2.0
//! A look-up name by name, for paths that touch procfs, and for links whose place matters.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use nix::fcntl::readlinkat;

use super::{Handle, Located, Lookup, is_on_procfs};
use crate::{
    enforce::{
        credentials::Kinship,
        opener::errno,
        procfs::{Link, Privacy, Procfs},
        request::bits,
    },
    sys::{OpenHow, file_facts, is_never_followed, open_at},
};

/// Symbolic links on the way before the kernel gives up with ELOOP (`MAXSYMLINKS`).
pub(super) const MAX_LINKS: u32 = 40;

/// A lookup name by name.
pub(super) struct Walk<'a> {
    lookup: &'a Lookup<'a>,
    procfs: Procfs<'a>,
    directory: OwnedFd,
    /// What the file that was found last is to the task.
    kinship: Kinship,
    /// Names that are still to be looked up, the next one last.
    names: Vec<Vec<u8>>,
    links: u32,
    /// Whether only a directory can stand at the end: the path ends in a slash.
    wants_directory: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(lookup: &'a Lookup<'a>) -> io::Result<Self> {
        let path = lookup.request.path.to_bytes();
        let is_absolute = path.starts_with(b"/");
        let directory = if is_absolute { lookup.enter_root() } else { lookup.start.try_clone_to_owned() }?;
        let mut walk = Self {
            lookup,
            procfs: Procfs::new(lookup.process, lookup.worn),
            directory,
            kinship: Kinship::None,
            names: Vec::new(),
            links: 0,
            wants_directory: path.ends_with(b"/"),
        };
        walk.push(path);
        Ok(walk)
    }

    /// Puts the names of `path` before the remaining ones.
    fn push(&mut self, path: &[u8]) {
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        self.names.extend(names.rev().map(<[u8]>::to_vec));
    }

    pub(super) fn walk(mut self) -> io::Result<Located> {
        while let Some(name) = self.names.pop() {
            let is_last = self.names.is_empty();
            let name = CString::new(name).map_err(io::Error::other)?;
            match self.step(&name, is_last) {
                Ok(Some(file)) if is_last => return self.end(file),
                Ok(Some(directory)) => self.enter(directory, &name),
                // A link; its names are the next ones.
                Ok(None) => {}
                Err(error) if is_last && errno(&error) == libc::ENOENT && self.lookup.request.has(libc::O_CREAT) => {
                    let failed = if self.wants_directory { Some(libc::EISDIR) } else { None };
                    return Ok(failed.map_or(Located::Missing { parent: self.directory, name }, Located::Failed));
                }
                Err(error) => return Err(error),
            }
        }
        // The path was "/" or a link to it.
        let directory = self.directory.try_clone()?;
        self.end(directory)
    }

    fn end(&self, file: OwnedFd) -> io::Result<Located> {
        let handle = Handle { kinship: self.kinship, ..Handle::of(file)? };
        if (self.wants_directory || self.lookup.request.has(libc::O_DIRECTORY)) && !handle.facts.is(libc::S_IFDIR) {
            return Ok(Located::Failed(libc::ENOTDIR));
        }
        if self.lookup.request.writes() && handle.is_on_procfs() {
            self.privacy().check_setting(handle.file.as_fd(), &handle.facts)?;
        }
        self.lookup.existing_in(handle, || self.directory.try_clone())
    }

    /// Looks up one name: the file, or `None` where it was a link that was followed.
    fn step(&mut self, name: &CStr, is_last: bool) -> io::Result<Option<OwnedFd>> {
        let is_inside = is_on_procfs(self.directory.as_fd());
        let file = self.look(name, is_inside)?;
        let facts = file_facts(file.as_fd(), c"", false)?;
        let is_mount = facts.mount != file_facts(self.directory.as_fd(), c"", false)?.mount;
        if is_mount && is_on_procfs(file.as_fd()) {
            self.privacy().check_file(file.as_fd())?;
        }
        let keeps = is_last && self.lookup.request.keeps_link() && !self.wants_directory;
        if !facts.is(libc::S_IFLNK) || keeps {
            if is_last && is_inside && !is_mount {
                self.kinship = self.procfs.kinship_of(self.directory.as_fd(), name.to_bytes(), &facts)?;
            }
            return Ok(Some(file));
        }
        self.links += 1;
        let is_kept = self.lookup.request.how.resolve & libc::RESOLVE_NO_SYMLINKS != 0;
        if self.links > MAX_LINKS || is_kept || is_never_followed(file.as_fd()) {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        if is_inside {
            match self.procfs.follow(self.directory.as_fd(), name)? {
                Link::Text(text) => self.push(&text),
                Link::File(_) if self.lookup.request.how.resolve & libc::RESOLVE_NO_MAGICLINKS != 0 => {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                Link::File(file) => {
                    self.may_jump(file.as_fd())?;
                    if is_on_procfs(file.as_fd()) {
                        self.privacy().check_file(file.as_fd())?;
                    }
                    // Wherever that is, the names on the way to the link do not lead there.
                    self.procfs.leave();
                    return Ok(Some(file));
                }
            }
            return Ok(None);
        }
        if is_last {
            self.lookup.may_follow(&facts, self.directory.as_fd())?;
        }
        let text = readlinkat(&file, c"").map_err(io::Error::from)?;
        let text = std::os::unix::ffi::OsStringExt::into_vec(text);
        if text.starts_with(b"/") {
            self.may_jump(self.lookup.root)?;
            self.directory = self.lookup.enter_root()?;
            self.procfs.leave();
        }
        self.wants_directory |= is_last && text.ends_with(b"/");
        self.push(&text);
        Ok(None)
    }

    /// A handle of what has the name, be it a link.
    fn look(&self, name: &CStr, is_inside: bool) -> io::Result<OwnedFd> {
        let directory = self.directory.as_fd();
        let resolve = self.lookup.request.how.resolve & libc::RESOLVE_NO_XDEV;
        let flags = bits(libc::O_PATH | libc::O_NOFOLLOW);
        let look = || match self.lookup.shut {
            Some(errno) if name == c".." => self.look_up(errno),
            _ => open_at(directory, name, OpenHow { flags, mode: 0, resolve }),
        };
        if !is_inside {
            return look();
        }
        let look = || self.privacy().check_name(directory, name).and_then(|()| look());
        self.lookup.worn.as_kin(|| self.procfs.kinship(directory, None), look)
    }

    /// A handle of what is above, where the thread has not the task's root directory, at which the kernel would stop: that has
    /// no way up, and another mount, which may have been put on it, has none either.
    fn look_up(&self, errno: i32) -> io::Result<OwnedFd> {
        let directory = self.directory.as_fd();
        let facts = |file| file_facts(file, c"", false);
        if facts(directory)?.is_same_file(&facts(self.lookup.root)?) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        open_at(directory, c"..", OpenHow { flags: bits(libc::O_PATH), mode: 0, resolve: libc::RESOLVE_NO_XDEV })
    }

    /// Fails where a link leads to another mount, and the caller wants to stay on this one.
    fn may_jump(&self, to: BorrowedFd<'_>) -> io::Result<()> {
        let mount = |file| file_facts(file, c"", false).map(|facts| facts.mount);
        let stays = self.lookup.request.how.resolve & libc::RESOLVE_NO_XDEV != 0;
        if stays && mount(self.directory.as_fd())? != mount(to)? {
            return Err(io::Error::from_raw_os_error(libc::EXDEV));
        }
        Ok(())
    }

    fn privacy(&self) -> Privacy<'a> {
        Privacy { process: self.lookup.process, own_descriptors: self.lookup.own_descriptors }
    }

    fn enter(&mut self, directory: OwnedFd, name: &CStr) {
        if is_on_procfs(directory.as_fd()) {
            self.procfs.enter(directory.as_fd(), name.to_bytes());
        } else {
            self.procfs.leave();
        }
        self.directory = directory;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::{
        enforce::{
            Upheaval,
            credentials::{Credentials, Fixed, Wardrobe},
            request::{OpenRequest, Start},
        },
        process::Process,
    };

    /// What `path` from `start` leads to for a task whose root directory nobody can have; an errno, or the file's text.
    #[track_caller]
    fn check(root: &str, start: &str, path: &CStr, expected: Result<&str, i32>) {
        let process = Process::own().unwrap();
        let namespace = process.namespace("ns/user").unwrap();
        let credentials = Credentials::of(&process, namespace, &Upheaval::default()).unwrap();
        let mut wardrobe = Wardrobe::new(Fixed::Person).unwrap();
        let worn = wardrobe.wear(&credentials).unwrap();
        let (own, root, start) =
            (File::open("/proc/self/fd").unwrap(), File::open(root).unwrap(), File::open(start).unwrap());
        let lookup = Lookup {
            process: &process,
            credentials: &credentials,
            worn: &worn,
            request: &OpenRequest::to_look(Start::WorkingDirectory, path.to_owned(), 0),
            own_descriptors: own.as_fd(),
            root: root.as_fd(),
            start: start.as_fd(),
            shut: Some(libc::ESRCH),
        };
        let found = match lookup.locate() {
            Located::Existing { file, refusal: None, .. } => {
                Ok(fs::read_to_string(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file))).unwrap())
            }
            Located::Existing { refusal: Some(errno), .. } | Located::Failed(errno) => Err(errno),
            Located::Missing { .. } => Err(libc::ENOENT),
        };
        assert_eq!(found.as_deref().map_err(|errno| *errno), expected, "{path:?}");
    }

    #[test]
    fn no_way_leads_past_a_root_directory_that_nobody_can_have() {
        let scratch = tempfile::tempdir().unwrap();
        let place = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
        let (root, inner) = (place("root"), place("root/inner"));
        fs::create_dir_all(&inner).unwrap();
        for (file, text) in [("outside", "outside"), ("root/file", "file"), ("root/inner/file", "inner")] {
            fs::write(place(file), text).unwrap();
        }
        for (link, target) in
            [("root/absolute", "/etc/passwd"), ("root/up", "../outside"), ("root/in", "inner/../file")]
        {
            std::os::unix::fs::symlink(target, place(link)).unwrap();
        }
        check(&root, &root, c"inner/file", Ok("inner"));
        check(&root, &inner, c"../file", Ok("file"));
        check(&root, &root, c"in", Ok("file"));
        for path in [c"/etc/passwd", c"absolute", c"..", c"../outside", c"up", c"inner/../../outside", c"inner/../up"] {
            check(&root, &root, path, Err(libc::ESRCH));
        }
        check(&root, &inner, c"../../outside", Err(libc::ESRCH));
        // From a mount's top, wherever the root is.
        check(&root, "/proc", c"../etc/passwd", Err(libc::EXDEV));
        check(&root, "/proc", c"self/comm/", Err(libc::ENOTDIR));
    }
}
