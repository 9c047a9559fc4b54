// SPDX-License-Identifier: Apache-2.0
//! `naive SOCKET text|resolving`: a checker that answers *continue*, kept to show that the attack programs are real.
//!
//! Serves one container on the listener socket: receive, read the path, refuse the call with EPERM where the path names
//! what the stage of the attacks forbids, let the kernel go on otherwise. It does this as well as it can be done so:
//! paths are joined with the working directory or the descriptor's and cleaned of dots; `resolving` also asks where the
//! path leads in the target's root. It knows the native system calls only.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, IoSliceMut},
    os::{
        fd::AsRawFd as _,
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use integration::Listener;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat2, readlinkat},
    sys::{
        stat::Mode,
        uio::{RemoteIoVec, process_vm_readv},
    },
    unistd::Pid,
};

const NATIVE: u32 = 0xc000_003e; // AUDIT_ARCH_X86_64 of linux/audit.h
const LONGEST: usize = 4096; // PATH_MAX
const PAGE: u64 = 4096;
const ARGUMENTS: usize = 8; // of a program; the attacks use fewer

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: naive SOCKET text|resolving");
    let mut words = env::args_os().skip(1);
    let (Some(socket), Some(manner)) = (words.next(), words.next()) else { return Err(usage()) };
    let is_resolving = manner == "resolving";
    let listener = Listener::accept(&PathBuf::from(socket))?;
    while let Some(notification) = listener.receive()? {
        let caller = Caller { pid: notification.pid.cast_signed(), is_resolving };
        let refused = Question::of(&notification.data, &caller).is_some_and(|question| caller.refuses(&question));
        if refused {
            listener.refuse(notification.id, Errno::EPERM);
        } else if listener.is_pending(notification.id) {
            listener.resume(notification.id);
        }
    }
    Ok(())
}

/// What a call is about to do.
struct Question {
    /// `AT_FDCWD` or a descriptor.
    directory: i32,
    path: u64,
    /// The path starts at the directory even if it begins with a slash (`RESOLVE_IN_ROOT`).
    in_root: bool,
    purpose: Purpose,
}

enum Purpose {
    Read,
    Write,
    /// Of a socket.
    Connect,
    /// The address of `argv`.
    Execute(u64),
}

impl Question {
    fn of(call: &libc::seccomp_data, caller: &Caller) -> Option<Self> {
        let [first, second, third, fourth, ..] = call.args;
        let descriptor = i32::from_ne_bytes(first.to_ne_bytes().first_chunk().copied()?);
        let here = |path, purpose| Self { directory: libc::AT_FDCWD, path, in_root: false, purpose };
        let below = |purpose| Self { directory: descriptor, path: second, in_root: false, purpose };
        let question = match i64::from(call.nr) {
            _ if call.arch != NATIVE => return None,
            libc::SYS_open => here(first, Purpose::of_flags(second)),
            libc::SYS_creat | libc::SYS_mkdir | libc::SYS_mknod | libc::SYS_chmod => here(first, Purpose::Write),
            libc::SYS_openat => below(Purpose::of_flags(third)),
            libc::SYS_openat2 => {
                let mut how = [[0; 8]; 3];
                caller.read(third, how.as_flattened_mut())?;
                let [flags, _, resolve] = how.map(u64::from_ne_bytes);
                Self { in_root: resolve & libc::RESOLVE_IN_ROOT != 0, ..below(Purpose::of_flags(flags)) }
            }
            libc::SYS_link | libc::SYS_rename | libc::SYS_symlink => here(second, Purpose::Write),
            libc::SYS_linkat => here(fourth, Purpose::Write), // the attack's path is absolute
            libc::SYS_connect => here(second, Purpose::Connect),
            libc::SYS_execve => here(first, Purpose::Execute(second)),
            libc::SYS_execveat => below(Purpose::Execute(third)),
            _ => return None,
        };
        Some(question)
    }
}

impl Purpose {
    fn of_flags(flags: u64) -> Self {
        let access = flags & 3; // O_ACCMODE
        if access == 0 { Self::Read } else { Self::Write }
    }
}

struct Caller {
    pid: i32,
    is_resolving: bool,
}

impl Caller {
    fn refuses(&self, question: &Question) -> bool {
        if let Purpose::Execute(argv) = question.purpose
            && self.arguments(argv).iter().any(|argument| argument == b"--banned")
        {
            return true;
        }
        if let Purpose::Connect = question.purpose {
            return self.peer(question.path).is_some_and(|peer| peer == "/secret/socket" || peer == "7777");
        }
        let Some(name) = self.full_name(question) else { return false };
        let resolved = self.is_resolving.then(|| self.resolved(&name)).flatten();
        [Some(cleaned(&name)), resolved].iter().flatten().any(|name| match question.purpose {
            Purpose::Read => name.starts_with(b"/secret/"),
            Purpose::Write => name.starts_with(b"/secret/") || name.starts_with(b"/guarded/"),
            Purpose::Connect => false,
            Purpose::Execute(_) => name.starts_with(b"/banned/") || name.starts_with(b"/memfd:"),
        })
    }

    /// The path or port of a socket's address.
    fn peer(&self, address: u64) -> Option<String> {
        let mut start = [0; 4];
        self.read(address, &mut start)?;
        let [family, _, port @ ..] = start;
        match i32::from(family) {
            libc::AF_INET => Some(u16::from_be_bytes(port).to_string()),
            libc::AF_UNIX => String::from_utf8(self.text(address + 2)?).ok(),
            _ => None,
        }
    }

    /// The path as an absolute one, with all its dots.
    fn full_name(&self, question: &Question) -> Option<Vec<u8>> {
        let path = self.text(question.path)?;
        if path.starts_with(b"/") && !question.in_root {
            return Some(path);
        }
        let base = match question.directory {
            libc::AT_FDCWD => self.link("cwd")?,
            descriptor => self.link(&format!("fd/{descriptor}"))?,
        };
        let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
        Some([base.as_slice(), slash, &path].concat())
    }

    fn link(&self, entry: &str) -> Option<Vec<u8>> {
        Some(fs::read_link(format!("/proc/{}/{entry}", self.pid)).ok()?.into_os_string().into_vec())
    }

    /// Where a path leads in the caller's root, as the kernel names it. Links of /proc are not followed: they would lead
    /// to this process.
    fn resolved(&self, name: &[u8]) -> Option<Vec<u8>> {
        let root = format!("/proc/{}/root", self.pid);
        let root = open(root.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        let file = openat2(&root, Path::new(OsStr::from_bytes(name)), how).ok()?;
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        Some(readlinkat(AT_FDCWD, link.as_str()).ok()?.into_vec())
    }

    fn arguments(&self, argv: u64) -> Vec<Vec<u8>> {
        let mut pointers = [[0; 8]; ARGUMENTS];
        if self.read(argv, pointers.as_flattened_mut()).is_none() {
            return Vec::new();
        }
        let pointers = pointers.into_iter().map(u64::from_ne_bytes).take_while(|pointer| *pointer != 0);
        pointers.map_while(|pointer| self.text(pointer)).collect()
    }

    /// Text up to its closing NUL, read once.
    fn text(&self, address: u64) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        while text.len() < LONGEST {
            let start = address + u64::try_from(text.len()).ok()?;
            let mut part = vec![0; usize::try_from(PAGE - start % PAGE).ok()?];
            self.read(start, &mut part)?;
            let end = part.iter().position(|byte| *byte == 0);
            text.extend(part.iter().take(end.unwrap_or(part.len())));
            if end.is_some() {
                return Some(text);
            }
        }
        None
    }

    fn read(&self, address: u64, buffer: &mut [u8]) -> Option<()> {
        let length = buffer.len();
        let remote = [RemoteIoVec { base: usize::try_from(address).ok()?, len: length }];
        let read = process_vm_readv(Pid::from_raw(self.pid), &mut [IoSliceMut::new(buffer)], &remote).ok()?;
        (read == length).then_some(())
    }
}

/// An absolute name without dots, as text: what a link among its parts does to `..` is not seen.
fn cleaned(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.iter().flat_map(|part| [b"/".as_slice(), part]).collect::<Vec<_>>().concat()
}
