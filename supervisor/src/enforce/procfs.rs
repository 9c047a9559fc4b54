// SPDX-License-Identifier: Apache-2.0
//! Links of procfs, followed for a task: `/proc/self` is the task, and its own descriptors are open to it.

use std::{
    ffi::{CStr, CString},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
};

use nix::fcntl::readlinkat;

use super::{
    credentials::{Kinship, Worn},
    locate::is_on_procfs,
    opener::{descriptor_name, errno},
    request::bits,
};
use crate::{
    process::{Process, Status, mount_root, unseen},
    sys::{FileFacts, OpenHow, file_facts, open_at},
};

/// The inode of every procfs' root directory (`PROC_ROOT_INO` of `linux/proc_ns.h`).
const ROOT_INODE: u64 = 1;

/// What everybody may look at of every process, and what leads there; `ps` shows us as it would without us.
const HARMLESS: [&[u8]; 11] = [
    b"cgroup",
    b"cmdline",
    b"comm",
    b"limits",
    b"loginuid",
    b"oom_score",
    b"sessionid",
    b"stat",
    b"statm",
    b"status",
    b"task",
];
const DEEPEST: usize = 16; // directories of a process lie less deep

/// Where a link leads.
pub(super) enum Link {
    /// To further names, from the link's directory.
    Text(Vec<u8>),
    /// Straight to a file.
    File(OwnedFd),
}

/// The part of a walk that lies inside a procfs.
pub(super) struct Procfs<'a> {
    process: &'a Process,
    worn: &'a Worn<'a>,
    /// Names since the root of the procfs; `None` outside, and where the way in is not known.
    trail: Option<Vec<Vec<u8>>>,
}

impl<'a> Procfs<'a> {
    pub(super) fn new(process: &'a Process, worn: &'a Worn<'a>) -> Self {
        Self { process, worn, trail: None }
    }

    /// Notes that the walk goes on outside.
    pub(super) fn leave(&mut self) {
        self.trail = None;
    }

    /// Notes that the walk entered a directory of procfs by `name`.
    pub(super) fn enter(&mut self, directory: BorrowedFd<'_>, name: &[u8]) {
        if is_root(directory).unwrap_or(false) {
            self.trail = Some(Vec::new());
        } else if name == b".." {
            if let Some(trail) = &mut self.trail {
                trail.pop();
            }
        } else if let Some(trail) = self.trail.as_mut().filter(|_| name != b".") {
            trail.push(name.to_vec());
        }
    }

    /// Follows the link `name` of `directory`.
    pub(super) fn follow(&self, directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Link> {
        let is_root = is_root(directory)?;
        match name.to_bytes() {
            b"self" if is_root => return self.own_process(directory).map(Link::Text),
            b"thread-self" if is_root => return self.own_thread(directory).map(Link::Text),
            _ => {}
        }
        let flags = bits(libc::O_PATH);
        let plain = OpenHow { flags, mode: 0, resolve: libc::RESOLVE_NO_MAGICLINKS };
        // The kernel asks for rights before it says what kind of link it is (`proc_pid_get_link` of `fs/proc/base.c`).
        match self.worn.as_kin(|| self.kinship(directory, None), || open_at(directory, name, plain)) {
            Err(error) if errno(&error) == libc::ELOOP => {}
            // A security module may keep a thread of ours from being kin. For a link of a mapping the kernel asks for more
            // than rights, which nobody has answered then.
            Err(error) if errno(&error) == libc::EACCES && !self.is_at_mappings() => {
                if let Some(file) = self.worn.lay_aside(|| self.own_file(directory, name.to_bytes()))? {
                    return Ok(Link::File(file));
                }
                return text_of(directory, name);
            }
            // Of a mapping (`proc_map_files_get_link`), which has no text to follow either.
            Err(error) if errno(&error) == libc::EPERM => return Err(error),
            // A link with a text, such as `mounts`; what it leads to may be missing for us and not for the task.
            Ok(_) | Err(_) => return text_of(directory, name),
        }
        if let Some(file) = self.worn.lay_aside(|| self.own_file(directory, name.to_bytes()))? {
            return Ok(Link::File(file));
        }
        open_at(directory, name, OpenHow { flags, mode: 0, resolve: 0 }).map(Link::File)
    }

    /// The task's process in the numbering of the procfs whose root `directory` is.
    fn own_process(&self, directory: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
        self.number_in(directory, |status| &status.processes)
    }

    fn own_thread(&self, directory: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
        let process = self.own_process(directory)?;
        let thread = self.number_in(directory, |status| &status.threads)?;
        Ok([&process, b"/task/".as_slice(), &thread].concat())
    }

    /// The number that the procfs has for the task: that of the pid namespace it was mounted for, which is the one where
    /// the number leads to the task's process.
    fn number_in(&self, directory: BorrowedFd<'_>, numbers: fn(&Status) -> &[u32]) -> io::Result<Vec<u8>> {
        let missing = || io::Error::from_raw_os_error(libc::ENOENT);
        let status = self.process.status().ok_or_else(missing)?;
        let mut levels = numbers(&status).iter().zip(&status.processes);
        let found = levels
            .find(|(_, process)| Process::open_in(directory, **process).is_some_and(|seen| is_same(&seen, &status)));
        let (number, _) = found.ok_or_else(missing)?;
        Ok(number.to_string().into_bytes())
    }

    /// The file behind the link if it is one of the task's own process: the kernel opens those for the process itself,
    /// whatever else would be in the way. It is opened as us, by the names on the way here: only ones that lead through no
    /// other link will do.
    fn own_file(&self, directory: BorrowedFd<'_>, name: &[u8]) -> Option<OwnedFd> {
        let (process, inside) = self.trail.as_ref()?.split_first()?;
        let status = self.process.status()?;
        let number: u32 = std::str::from_utf8(process).ok()?.parse().ok()?;
        if !status.processes.contains(&number) || self.is_own(directory, inside.len()) != Some(true) {
            return None;
        }
        let names: Vec<&[u8]> = inside.iter().map(Vec::as_slice).chain([name]).collect();
        match names.as_slice() {
            // The calling thread may have descriptors of its own.
            [b"task", thread, rest @ ..] if status.has_thread(thread) => self.process.open_link(&own_link(rest)?),
            all => self.own_leader()?.open_link(&own_link(all)?),
        }
    }

    /// Whether the walk has come to a directory of mappings.
    fn is_at_mappings(&self) -> bool {
        self.trail.as_ref().and_then(|trail| trail.last()).is_some_and(|name| name == b"map_files")
    }

    /// The task's process. As long as the task is there, nobody else has that number.
    fn own_leader(&self) -> Option<Process> {
        Process::open(self.process.leader()?).filter(|_leader| self.process.exists())
    }

    /// What the file `name` is to the task, where that may matter for its opening.
    pub(super) fn kinship_of(&self, directory: BorrowedFd<'_>, name: &[u8], facts: &FileFacts) -> io::Result<Kinship> {
        let is_harmless = HARMLESS.contains(&name) && name != b"comm";
        if is_harmless || name == b".." || !(facts.is(libc::S_IFREG) || facts.is(libc::S_IFDIR)) {
            return Ok(Kinship::None);
        }
        self.kinship(directory, Some(name).filter(|name| *name != b"."))
    }

    /// What the directory that the walk has come to is to the task, or what `name` in it is.
    pub(super) fn kinship(&self, directory: BorrowedFd<'_>, name: Option<&[u8]>) -> io::Result<Kinship> {
        let Some((_process, inside)) = self.trail.as_ref().and_then(|trail| trail.split_first()) else {
            return Ok(Kinship::None);
        };
        if self.worn.lay_aside(|| self.is_own(directory, inside.len()))? != Some(true) {
            return Ok(Kinship::None);
        }
        let names: Vec<&[u8]> = inside.iter().map(Vec::as_slice).chain(name).collect();
        Ok(match names.as_slice() {
            [b"fd" | b"map_files"] | [b"task", _, b"fd"] => Kinship::Descriptors,
            [b"task", _, b"comm"] => Kinship::ThreadName,
            _ => Kinship::Own,
        })
    }

    /// Whether the directory, `depth` below that of a process, surely is one of the task's own process, and not what somebody
    /// has mounted there. Numbers alone are those of many processes: a procfs shows them from its own namespace inwards.
    fn is_own(&self, directory: BorrowedFd<'_>, depth: usize) -> Option<bool> {
        let top = CString::new(format!("{}.", "../".repeat(depth))).ok()?;
        let flags = bits(libc::O_PATH | libc::O_DIRECTORY);
        let unmounted = OpenHow { flags, mode: 0, resolve: libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_SYMLINKS };
        let seen = Process::of_directory(open_at(directory, &top, unmounted).ok()?);
        let is_same = is_same(&seen, &self.process.status()?);
        let there = numbering(&seen)?;
        // The task's own last: as it is there still, it was when the other one was.
        Some(is_same && there == numbering(self.process)?)
    }
}

/// Keeps to ourselves what only we may see of us: the kernel asks nothing of a process that opens its own memory,
/// descriptors and root, and it is us who open for the target (`__ptrace_may_access` of the kernel's `ptrace.c`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Privacy<'a> {
    /// The task that we open for.
    pub(super) process: &'a Process,
    /// `/proc/self/fd`, which names our descriptors.
    pub(super) own_descriptors: BorrowedFd<'a>,
}

impl Privacy<'_> {
    /// Fails where `name` in a `directory` of procfs is ours to see only.
    pub(super) fn check_name(self, directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        let bytes = name.to_bytes();
        if matches!(bytes, b"." | b"..") || HARMLESS.contains(&bytes) || is_root(directory)? {
            return Ok(());
        }
        // Of the names that are numbers, descriptors are links or files and tasks are directories.
        let is_number = bytes.iter().all(u8::is_ascii_digit);
        if is_number && file_facts(directory, name, false).is_ok_and(|facts| facts.is(libc::S_IFDIR)) {
            return Ok(());
        }
        let (top, is_whole) = top(directory)?;
        if !is_whole {
            self.check_file(top.as_fd())?;
        }
        let seen = Process::of_directory(top);
        let Some((status, stat)) = seen.status().zip(seen.stat()) else {
            // A process that says nothing of itself could be ours behind something that was mounted over its files.
            return if is_process(&seen)? { Err(refused()) } else { Ok(()) };
        };
        // The number alone could be that of a task of an inner namespace.
        let own = own_task(status.own_thread)?;
        let is_own = own.is_some_and(|own| own.stat().is_none_or(|own| own.started == stat.started));
        if is_own { Err(refused()) } else { Ok(()) }
    }

    /// Fails where a file of procfs is ours to see only. For those that are not found by their names in the directory of a
    /// process, but behind a link or as a mount of their own; a task of an inner namespace with one of our numbers is taken
    /// for us there.
    pub(super) fn check_file(self, file: BorrowedFd<'_>) -> io::Result<()> {
        let facts = file_facts(file, c"", false)?;
        if is_root(file)? {
            return Ok(());
        }
        let names = self.names(file, &facts)?;
        let names = names.iter().flat_map(|path| path.split(|byte| *byte == b'/'));
        for number in names.filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok()) {
            if own_task(number)?.is_some() {
                return Err(refused());
            }
        }
        Ok(())
    }

    /// Fails for a setting that would be ours: `pid_max` belongs to the namespace of processes of whoever opens it (since
    /// Linux 6.14; before, to the host).
    pub(super) fn check_setting(self, file: BorrowedFd<'_>, facts: &FileFacts) -> io::Result<()> {
        let is_it = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next() == Some(b"pid_max");
        // What is mounted by itself has its name there only.
        let is_ours = if facts.is_mount_root {
            self.names(file, facts)?.iter().any(|path| is_it(path))
        } else {
            is_it(&self.path(file)?)
        };
        let namespace = |process: &Process| process.namespace("ns/pid");
        if is_ours && Process::own().and_then(|own| namespace(&own)) != namespace(self.process) {
            return Err(refused());
        }
        Ok(())
    }

    /// Both parts of a file's path in its procfs: to the part that its mount shows, and from there, behind where that is
    /// mounted. A mount that the target's namespace does not list could show anything.
    fn names(self, file: BorrowedFd<'_>, facts: &FileFacts) -> io::Result<[Vec<u8>; 2]> {
        let root = mount_root(self.process, facts.mount).ok_or_else(refused)?;
        Ok([root, self.path(file)?])
    }

    fn path(self, file: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
        let path = readlinkat(self.own_descriptors, &*descriptor_name(file)?).map_err(io::Error::from)?;
        Ok(path.into_vec())
    }
}

fn text_of(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Link> {
    let text = readlinkat(directory, name).map_err(io::Error::from)?;
    Ok(Link::Text(text.into_vec()))
}

/// The path of a magic link from its task's directory, if the only link in it is the last name.
fn own_link(names: &[&[u8]]) -> Option<String> {
    let is_link = match names {
        [b"cwd" | b"exe" | b"root"] => true,
        [b"fd", name] => name.iter().all(u8::is_ascii_digit),
        [b"ns" | b"map_files", name] => !matches!(*name, b"." | b".."),
        _ => false,
    };
    is_link.then(|| String::from_utf8(names.join(b"/".as_slice())).ok()).flatten()
}

/// A task of ours, by its number in our pid namespace. Without a descriptor to look at it nobody knows, and it is refused.
fn own_task(number: u32) -> io::Result<Option<Process>> {
    let before = unseen();
    let own = Process::open(number).filter(|task| task.leader() == Some(std::process::id()));
    if unseen() == before { Ok(own) } else { Err(refused()) }
}

fn refused() -> io::Error {
    io::Error::from_raw_os_error(libc::EACCES)
}

/// The namespace in which the process has its innermost number.
fn numbering(process: &Process) -> Option<Vec<u8>> {
    let flags = bits(libc::O_PATH | libc::O_NOFOLLOW);
    let unmounted = OpenHow { flags, mode: 0, resolve: libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_SYMLINKS };
    let link = open_at(process.directory(), c"ns/pid", unmounted).ok()?;
    readlinkat(&link, c"").ok().map(OsStringExt::into_vec)
}

/// Whether a directory below the root of a procfs is that of a process.
fn is_process(directory: &Process) -> io::Result<bool> {
    match directory.open_own("status", libc::O_PATH) {
        Ok(_status) => Ok(true),
        // Of a dead process nothing can be opened either.
        Err(error) if matches!(errno(&error), libc::ENOENT | libc::ESRCH) => Ok(false),
        Err(error) if matches!(errno(&error), libc::EXDEV | libc::ELOOP) => Err(refused()),
        // Who may not even look into the directory (`hidepid`, proc(5)) may not open anything there.
        Err(error) => Err(error),
    }
}

/// Other directories may have the same number: those below a process' are counted in 32 bits, together with pipes and
/// sockets.
fn is_root(directory: BorrowedFd<'_>) -> io::Result<bool> {
    let has_number = file_facts(directory, c"", false)?.inode == ROOT_INODE;
    Ok(has_number && file_facts(directory, c"self", false).is_ok_and(|entry| entry.is(libc::S_IFLNK)))
}

/// The process' directory that `directory` lies in, or the highest one that can be reached, and whether that is one below
/// the root of the procfs: where only a part is mounted, the way up leaves it.
fn top(directory: BorrowedFd<'_>) -> io::Result<(OwnedFd, bool)> {
    let path = OpenHow { flags: bits(libc::O_PATH | libc::O_DIRECTORY), mode: 0, resolve: 0 };
    let mut top = directory.try_clone_to_owned()?;
    for _ in 0..DEEPEST {
        let parent = open_at(top.as_fd(), c"..", path)?;
        if !is_on_procfs(parent.as_fd()) {
            return Ok((top, false));
        }
        if is_root(parent.as_fd())? {
            return Ok((top, true));
        }
        top = parent;
    }
    Err(refused())
}

/// Whether the directory, of whatever procfs, is that of the process that `status` is about. Seen through a procfs of an
/// inner namespace, a process shows only its numbers from there inwards.
fn is_same(seen: &Process, status: &Status) -> bool {
    seen.status().is_some_and(|seen| status.processes.ends_with(&seen.processes) && seen.depth > 0)
}
