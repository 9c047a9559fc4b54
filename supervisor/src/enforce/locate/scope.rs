// SPDX-License-Identifier: Apache-2.0
//! A look-up that has to stay below its start, which only the kernel can make (`RESOLVE_BENEATH` and `RESOLVE_IN_ROOT`,
//! openat2(2)).

use std::{ffi::CString, io, os::fd::AsFd as _};

use nix::fcntl::readlinkat;

use super::{Located, Lookup, cut, is_on_procfs, walk::MAX_LINKS};
use crate::{enforce::opener::errno, sys::file_facts};

/// `RESOLVE_*` of a caller that keep a look-up below its start.
pub(super) const SCOPED: u64 = libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT;

impl Lookup<'_> {
    /// Where the path leads, after `links` at its end were followed.
    pub(super) fn in_scope(&self, links: u32) -> io::Result<Located> {
        if let Some(path) = self.path_behind_link()? {
            if links == MAX_LINKS {
                return Ok(Located::Failed(libc::ELOOP));
            }
            let request = self.request.with_path(path);
            let next = Lookup { request: &request, ..*self };
            return match next.parent_of_directory() {
                Some(parent) => Ok(Located::Failed(next.refusal_of_directory(parent))),
                None => next.in_scope(links + 1),
            };
        }
        let resolve = self.request.how.resolve;
        match self.handle(self.start, &self.request.path, resolve) {
            Ok(handle) if handle.is_on_procfs() => Ok(Located::Failed(libc::EXDEV)),
            Ok(handle) => {
                let facts = handle.facts;
                self.existing_in(handle, || self.parent_of(&facts, resolve))
            }
            Err(error) if errno(&error) == libc::ENOENT => self.missing(resolve),
            Err(error) => Err(error),
        }
    }

    /// The path that a link at the end leads to, from the same start, where the directory matters that it leads to: a file
    /// may be made there. Links of procfs, and those that the caller does not want to follow, are left to the kernel.
    fn path_behind_link(&self) -> io::Result<Option<CString>> {
        let (before, name) = cut(self.request.path.to_bytes());
        let follows = !self.request.keeps_link() && self.request.how.resolve & libc::RESOLVE_NO_SYMLINKS == 0;
        if !self.request.has(libc::O_CREAT) || !follows || name.is_empty() {
            return Ok(None);
        }
        let parent = self.parent(self.request.how.resolve)?;
        let name = CString::new(name).map_err(io::Error::other)?;
        let Ok(facts) = file_facts(parent.as_fd(), &name, false) else { return Ok(None) };
        if !facts.is(libc::S_IFLNK) || is_on_procfs(parent.as_fd()) {
            return Ok(None);
        }
        self.may_follow(&facts, parent.as_fd())?;
        let text = readlinkat(&parent, name.as_c_str()).map_err(io::Error::from)?;
        let text = std::os::unix::ffi::OsStringExt::into_vec(text);
        let path = if text.starts_with(b"/") { text } else { [before, &text].concat() };
        CString::new(path).map(Some).map_err(io::Error::other)
    }
}
