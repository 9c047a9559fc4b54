// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/fd/N`: what an open descriptor of a task is.

use std::{
    ffi::{CString, OsString},
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt},
    },
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat},
    sys::stat::{FileStat, Mode, SFlag, fstat, fstatat},
};

use super::{
    Process,
    long_path::long_path,
    unseen::{named, opened},
};
use crate::sys::look_below;

/// Descriptors that are counted or listed; a process above its usual limit of 1024 is cut here.
const MAX_LISTED: usize = 65_536;

/// What a descriptor refers to; Falco's type words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Ipv4,
    Ipv6,
    Unix,
    Pipe,
    Event,
    Signal,
    Poll,
    Inotify,
    Bpf,
    UserFault,
    IoUring,
    Memory,
    Pid,
    Other,
}

impl Kind {
    /// What `fd.type` prints.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Unix => "unix",
            Self::Pipe => "pipe",
            Self::Event => "event",
            Self::Signal => "signalfd",
            Self::Poll => "eventpoll",
            Self::Inotify => "inotify",
            Self::Bpf => "bpf",
            Self::UserFault => "userfaultfd",
            Self::IoUring => "io_uring",
            Self::Memory => "memfd",
            Self::Pid => "pidfd",
            Self::Other => "<NA>",
        }
    }

    /// Whether it has ends, or a path in their place.
    pub(crate) fn is_socket(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6 | Self::Unix)
    }

    /// What `fd.typechar` prints.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::File => "f",
            Self::Directory => "d",
            Self::Ipv4 => "4",
            Self::Ipv6 => "6",
            Self::Unix | Self::UserFault => "u",
            Self::Pipe => "p",
            Self::Event => "e",
            Self::Signal => "s",
            Self::Poll => "l",
            Self::Inotify => "i",
            Self::Bpf => "b",
            Self::IoUring => "r",
            Self::Memory => "m",
            Self::Pid => "P",
            Self::Other => "o",
        }
    }
}

/// An open descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Its type.
    pub(crate) kind: Kind,
    /// The path of a file; the kernel's name of anything else.
    pub(crate) name: Vec<u8>,
}

impl Process {
    /// The open descriptor `number` of the task.
    pub(crate) fn descriptor(&self, number: i32) -> Option<Descriptor> {
        let path = format!("fd/{number}");
        let name = self.whole_link(&path)?;
        let kind = match Named::of(&name) {
            Named::Path => self.path_kind(&path),
            Named::Kind(kind) => kind,
            Named::Socket => self.socket(number).map_or(Kind::Other, |socket| socket.kind()),
        };
        let has_path = kind == Kind::Directory || kind == Kind::File;
        let name =
            if has_path && is_marked(&name) { self.unmarked(name, self.file_facts(&path).as_ref()) } else { name };
        Some(Descriptor { kind, name })
    }

    /// The numbers of all open descriptors.
    pub(crate) fn descriptors(&self) -> Option<Vec<i32>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut directory = nix::dir::Dir::openat(self.directory(), "fd", flags, Mode::empty()).ok()?;
        let names = directory.iter().filter_map(Result::ok).take(MAX_LISTED);
        Some(names.filter_map(|entry| super::stat::number(entry.file_name().to_bytes())).collect())
    }

    /// How many descriptors are open. From Linux 6.2 on they need not be listed for that: their directory's size is their
    /// number.
    pub(crate) fn descriptor_count(&self) -> Option<usize> {
        let told = self.file_facts("fd")?.st_size;
        match usize::try_from(told) {
            Ok(told @ 1..) => Some(told),
            Ok(0) | Err(_) => Some(self.descriptors()?.len()),
        }
    }

    /// Whether the number is taken; the file behind it is not asked.
    pub(crate) fn has_descriptor(&self, number: i64) -> bool {
        fstatat(self.directory(), format!("fd/{number}").as_str(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// What the file behind a magic link of the directory is; follows the link, but no symlink behind it.
    pub(crate) fn file_facts(&self, link: &str) -> Option<FileStat> {
        fstatat(self.directory(), link, AtFlags::empty()).ok()
    }

    fn path_kind(&self, link: &str) -> Kind {
        let mode = self.file_facts(link).map(|facts| SFlag::from_bits_truncate(facts.st_mode & SFlag::S_IFMT.bits()));
        match mode {
            Some(SFlag::S_IFDIR) => Kind::Directory,
            Some(SFlag::S_IFIFO) => Kind::Pipe,
            _ => Kind::File,
        }
    }

    /// Opens a magic link of the directory itself, without reading or writing rights and without side effects.
    pub(crate) fn open_link(&self, link: &str) -> Option<OwnedFd> {
        opened(openat(self.directory(), link, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()))
    }
}

/// What the text of a magic link says.
enum Named {
    Path,
    Kind(Kind),
    Socket,
}

impl Named {
    fn of(link: &[u8]) -> Self {
        const ANONYMOUS: [(&[u8], Kind); 10] = [
            (b"pipe:[", Kind::Pipe),
            (b"anon_inode:[eventfd]", Kind::Event),
            (b"anon_inode:[signalfd]", Kind::Signal),
            (b"anon_inode:[eventpoll]", Kind::Poll),
            (b"anon_inode:inotify", Kind::Inotify),
            (b"anon_inode:bpf", Kind::Bpf),
            (b"anon_inode:[userfaultfd]", Kind::UserFault),
            (b"anon_inode:[io_uring]", Kind::IoUring),
            (b"anon_inode:[pidfd]", Kind::Pid),
            (b"pidfd:[", Kind::Pid),
        ];
        const NAMESPACES: [&[u8]; 8] = [b"cgroup", b"ipc", b"mnt", b"net", b"pid", b"time", b"user", b"uts"];
        if link.starts_with(b"socket:[") {
            return Self::Socket;
        }
        if link.starts_with(b"/memfd:") {
            return Self::Kind(Kind::Memory);
        }
        let known = ANONYMOUS.iter().find(|(prefix, _)| link.starts_with(prefix)).map(|(_, kind)| *kind);
        match known {
            Some(kind) => Self::Kind(kind),
            None if link.starts_with(b"/") => Self::Path,
            // A namespace: `uts:[4026531838]`, a file of /proc when it was opened.
            None if NAMESPACES
                .iter()
                .any(|kind| link.strip_prefix(*kind).is_some_and(|rest| rest.starts_with(b":["))) =>
            {
                Self::Kind(Kind::File)
            }
            None => Self::Kind(Kind::Other),
        }
    }
}

/// What the kernel puts behind the name of a removed file.
const MARK: &[u8] = b" (deleted)";

/// Whether a name ends like that of a removed file.
pub(crate) fn is_marked(name: &[u8]) -> bool {
    name.ends_with(MARK)
}

/// Whether the name is gone by which a descriptor of ours was found; what the kernel does not tell counts as yes.
pub(crate) fn has_lost_name(file: BorrowedFd<'_>) -> bool {
    own_link(file).map_or(true, |name| is_marked(name.as_bytes()))
}

/// Where a descriptor of ours leads, as the kernel names it. A file whose name is too long for the kernel is looked for below
/// `near`, a directory, and those above it.
pub(crate) fn kernel_path(file: impl AsFd, near: impl FnOnce() -> Option<OwnedFd>) -> Option<Vec<u8>> {
    let file = file.as_fd();
    match own_link(file) {
        Err(Errno::ENAMETOOLONG) => {
            let is_directory = fstat(file).is_ok_and(|facts| facts.st_mode & libc::S_IFMT == libc::S_IFDIR);
            let near = if is_directory { None } else { near() };
            named(long_path(file, near.as_ref().map(AsFd::as_fd)).map_err(|_unknown| Errno::ENAMETOOLONG))
        }
        told => named(told).map(OsStringExt::into_vec),
    }
}

fn own_link(file: BorrowedFd<'_>) -> nix::Result<OsString> {
    readlinkat(AT_FDCWD, format!("/proc/self/fd/{}", file.as_raw_fd()).as_str())
}

impl Process {
    /// The path behind a magic link of the task's directory, without the mark of a removed file.
    pub(crate) fn path_behind(&self, link: &str) -> Option<Vec<u8>> {
        let name = self.whole_link(link)?;
        Some(if is_marked(&name) { self.unmarked(name, self.file_facts(link).as_ref()) } else { name })
    }

    /// What a magic link says, however long that is.
    fn whole_link(&self, link: &str) -> Option<Vec<u8>> {
        match readlinkat(self.directory(), link) {
            Err(Errno::ENAMETOOLONG) => kernel_path(self.open_link(link)?, || self.open_link("cwd")),
            told => named(told).map(OsStringExt::into_vec),
        }
    }

    /// The path of a descriptor of ours, as the task would name it, without the mark of a removed file.
    pub(crate) fn path_of(&self, file: BorrowedFd<'_>) -> Option<Vec<u8>> {
        let name = kernel_path(file, || self.open_link("cwd"))?;
        Some(if is_marked(&name) { self.unmarked(name, fstat(file).ok().as_ref()) } else { name })
    }

    /// Whether the name is gone by which the file was found.
    pub(crate) fn is_removed(&self, file: BorrowedFd<'_>) -> bool {
        let Some(name) = kernel_path(file, || self.open_link("cwd")).filter(|name| is_marked(name)) else {
            return false;
        };
        let marked = name.len();
        self.unmarked(name, fstat(file).ok().as_ref()).len() < marked
    }

    /// The name without the mark, unless that is part of it, or nobody can tell: somebody may call a file so to have it taken
    /// for another one, and go where its name leads nowhere.
    pub(crate) fn unmarked(&self, mut name: Vec<u8>, facts: Option<&FileStat>) -> Vec<u8> {
        if is_marked(&name) && self.was_removed(&name, facts) == Some(true) {
            name.truncate(name.len() - MARK.len());
        }
        name
    }

    /// Whether no file of this name, mark and all, is the one with these facts.
    fn was_removed(&self, name: &[u8], facts: Option<&FileStat>) -> Option<bool> {
        let facts = facts?;
        if facts.st_nlink == 0 {
            return Some(true);
        }
        let root = self.open_link("root")?;
        match look_below(root.as_fd(), &CString::new(self.below_root(name)?).ok()?) {
            Ok(literal) => {
                let literal = fstat(&literal).ok()?;
                Some((literal.st_dev, literal.st_ino) != (facts.st_dev, facts.st_ino))
            }
            Err(error) => matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)).then_some(true),
        }
    }
}
