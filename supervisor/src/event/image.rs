// SPDX-License-Identifier: Apache-2.0
//! The program that an exec is about to start: what `proc.*` describes on exec events.
//!
//! Everything is a prediction from the call's arguments. The kernel reads them again, and finds the file again; the exec is
//! verified elsewhere.

use std::{
    cell::{Cell, OnceCell},
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use nix::sys::{
    stat::{FileStat, fstat},
    statvfs::{FsFlags, fstatvfs},
};

use super::{CallEvent, file::may_execute, join::file_name, resolve};
use crate::{
    process::{self, Auxiliary, MAX_FIRST_ARGUMENT, Process},
    sys::{FileFacts, file_facts},
    target::{Limits, PATH_MAX, Strings, Text},
};

/// What is read of `argv` and `envp`.
const LIMITS: Limits = Limits { count: 8192, first: MAX_FIRST_ARGUMENT, bytes: MAX_ARGUMENTS };
/// Bytes that Falco keeps of the arguments behind the first.
const MAX_ARGUMENTS: usize = 4096;
/// The kernel's limit of a task's name (`TASK_COMM_LEN` without the terminator).
const MAX_NAME: usize = 15;
/// Interpreters that are interpreted themselves, before the kernel gives up with ELOOP.
const MAX_INTERPRETERS: usize = 5;

/// Facts of the new program.
#[derive(Default)]
pub(super) struct Image {
    /// The exec has happened, and what it has loaded is asked instead of predicted.
    executed: Cell<bool>,
    path: OnceCell<Option<Text>>,
    given: OnceCell<Option<Strings>>,
    arguments: OnceCell<Option<Strings>>,
    environment: OnceCell<Option<Strings>>,
    program: OnceCell<Option<Program>>,
    auxiliary: OnceCell<Option<Auxiliary>>,
}

/// The file that the kernel will map, and the scripts on the way to it.
pub(super) struct Program {
    /// Its path as the kernel names it.
    pub(super) path: Vec<u8>,
    /// The file itself, as a path descriptor.
    file: OnceCell<Option<OwnedFd>>,
    /// What `stat` says of it.
    facts: OnceCell<Option<FileStat>>,
    /// Scripts on the way to it.
    scripts: Vec<OwnedFd>,
    /// Interpreters, the first script's first.
    interpreters: Vec<Interpreter>,
}

/// What an exec loads, as far as two looks at it can differ.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExecSnapshot {
    filename: Option<Vec<u8>>,
    arguments: Option<Strings>,
    /// Path of the image.
    program: Option<Vec<u8>>,
    /// Its device and inode, where its file system tells them.
    number: Option<(u64, u64)>,
}

impl ExecSnapshot {
    /// Whether nothing that both know differs. Of a program that has ended the kernel shows no argument.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        fn shown(snapshot: &ExecSnapshot) -> Option<&Strings> {
            snapshot.arguments.as_ref().filter(|given| given.iter().next().is_some())
        }
        agree(self.filename.as_ref(), other.filename.as_ref())
            && agree(shown(self), shown(other))
            && agree(self.program.as_ref(), other.program.as_ref())
            && agree(self.number.as_ref(), other.number.as_ref())
    }
}

/// The first line of a script.
#[derive(Debug, PartialEq, Eq)]
struct Interpreter {
    path: Vec<u8>,
    argument: Option<Vec<u8>>,
}

impl CallEvent<'_> {
    /// The exec has happened: the target is the process with the new program, before its first instruction; `process` is a
    /// handle of it, where there is one.
    pub(crate) fn set_executed(&self, process: Option<Arc<Process>>) {
        self.image.executed.set(true);
        self.set_thread(process);
    }

    /// Whether the call is an exec whose program the target has yet to get, so that what it will be is predicted.
    pub(super) fn will_execute(&self) -> bool {
        self.call.is_exec() && !self.image.executed.get()
    }

    /// What tells two looks at an exec apart.
    pub(crate) fn exec_snapshot(&self) -> Option<ExecSnapshot> {
        self.call.exec_registers()?;
        Some(ExecSnapshot {
            filename: self.exec_filename(),
            arguments: self.exec_arguments().cloned(),
            program: self.program().map(|program| program.path.clone()),
            number: self.program_facts().map(|facts| (facts.st_dev, facts.st_ino)),
        })
    }

    /// The path of the program that an exec loads, empty where nobody knows.
    pub(crate) fn executed_program(&self) -> Vec<u8> {
        self.program().map(|program| program.path.clone()).unwrap_or_default()
    }

    /// The path argument of an exec.
    pub(super) fn exec_path(&self) -> Option<&[u8]> {
        let registers = self.call.exec_registers()?;
        let read = || {
            if self.image.executed.get() {
                return self.executed_path().map(|path| Text::copy(&path));
            }
            self.target.path(self.call.register(registers.path)).ok()
        };
        self.image.path.get_or_init(read).as_ref().map(Text::as_bytes)
    }

    /// The kernel's name for the new program: the last component of the path, even of a script's.
    pub(super) fn exec_name(&self) -> Option<Vec<u8>> {
        let known = self.image.executed.get().then(|| self.kernel_name()).flatten();
        known.or_else(|| self.name_by_path())
    }

    /// The name that the kernel has given to the program that was loaded: whoever may write into its memory cannot change
    /// it. `None` where it says nothing: the `exe` of a multi-call program, and a descriptor's number (before Linux 6.14).
    fn kernel_name(&self) -> Option<Vec<u8>> {
        let name = match self.shared_caller() {
            Some(caller) => caller.name(),
            None => process::name_of(self.target.tid()),
        }?;
        let says_nothing = name == b"exe" || name.iter().all(u8::is_ascii_digit);
        (!says_nothing).then_some(name)
    }

    fn name_by_path(&self) -> Option<Vec<u8>> {
        let path = self.exec_path()?;
        let by_descriptor = self.image.executed.get() && path.starts_with(b"/dev/fd/");
        let name = if by_descriptor {
            file_name(&self.program()?.path).to_vec()
        } else if path.is_empty() {
            // The descriptor's file; kernels before 6.14 take the descriptor's number instead, which says nothing.
            file_name(&self.thread()?.path_of(self.exec_file()?.as_fd())?).to_vec()
        } else if is_own_program(path) {
            // A multi-call program starts its other self: the kernel would say `exe`, and the program renames itself
            // after its first argument as soon as it runs, which is what everybody expects to read.
            file_name(self.given_arguments()?.get(0)?).to_vec()
        } else {
            file_name(path).to_vec()
        };
        Some(name.into_iter().take(MAX_NAME).collect())
    }

    /// `argv` as the kernel will hand it over: a script's is preceded by its interpreter.
    pub(super) fn exec_arguments(&self) -> Option<&Strings> {
        self.image.arguments.get_or_init(|| self.final_arguments()).as_ref()
    }

    /// `envp`.
    pub(super) fn exec_environment(&self) -> Option<&Strings> {
        let registers = self.call.exec_registers()?;
        let read = || {
            let given = if self.image.executed.get() {
                self.thread()?.environment()
            } else {
                self.strings(registers.environment)
            };
            given.map(|given| cut(given.iter()))
        };
        self.image.environment.get_or_init(read).as_ref()
    }

    /// The file that the kernel will map; `None` where it cannot be found now.
    pub(super) fn program(&self) -> Option<&Program> {
        self.image.program.get_or_init(|| self.find_program()).as_ref()
    }

    /// The file of [`Self::program`], as a path descriptor.
    pub(super) fn program_descriptor(&self) -> Option<&OwnedFd> {
        self.program()?.file.get_or_init(|| self.thread()?.open_link("exe")).as_ref()
    }

    /// What `stat` says of it.
    pub(super) fn program_facts(&self) -> Option<&FileStat> {
        self.program()?.facts.get_or_init(|| fstat(self.program_descriptor()?).ok()).as_ref()
    }

    /// The files that an exec loads: the program, and every script on the way to it; `None` where nobody knows.
    pub(crate) fn executed_files(&self) -> Option<Vec<FileFacts>> {
        let files = self.program()?.scripts.iter().chain([self.program_descriptor()?]);
        files.map(|file| file_facts(file.as_fd(), c"", false).ok()).collect()
    }

    /// Whether the caller may execute the program, and every script on the way to it.
    pub(super) fn may_run(&self) -> bool {
        let Some(program) = self.program() else { return false };
        let files = || program.scripts.iter().chain(self.program_descriptor());
        self.image.executed.get() || files().all(|file| self.may_execute(file))
    }

    /// The path as the kernel sees it: an empty one stands for the descriptor.
    pub(super) fn exec_filename(&self) -> Option<Vec<u8>> {
        let path = self.exec_path()?;
        if self.image.executed.get() {
            return Some(path.to_vec());
        }
        let descriptor = self.call.exec_registers()?.directory.map(|register| self.call.int(register));
        Some(match descriptor {
            Some(number) if path.is_empty() => format!("/dev/fd/{number}").into_bytes(),
            Some(number) if number != libc::AT_FDCWD && !path.starts_with(b"/") => {
                [format!("/dev/fd/{number}/").as_bytes(), path].concat()
            }
            _ => path.to_vec(),
        })
    }

    fn given_arguments(&self) -> Option<&Strings> {
        let registers = self.call.exec_registers()?;
        let read = || {
            if self.image.executed.get() { self.thread()?.arguments() } else { self.strings(registers.arguments) }
        };
        self.image.given.get_or_init(read).as_ref()
    }

    fn strings(&self, register: usize) -> Option<Strings> {
        self.target.strings(self.call.register(register), self.call.width(), LIMITS).ok()
    }

    fn final_arguments(&self) -> Option<Strings> {
        let given = self.given_arguments()?;
        if self.image.executed.get() {
            let mut strings = Strings::default();
            let mut texts = given.iter();
            if let Some(first) = texts.next() {
                strings.push(first);
            }
            cut(texts).iter().for_each(|text| strings.push(text));
            return Some(strings);
        }
        let interpreters = self.program().map(|program| program.interpreters.as_slice()).unwrap_or_default();
        let mut all: Vec<Vec<u8>> = Vec::new();
        let mut script = self.exec_filename()?;
        for interpreter in interpreters {
            // The kernel drops the first argument and puts interpreter, its argument and the script before the rest.
            let first = [Some(interpreter.path.clone()), interpreter.argument.clone(), Some(script.clone())];
            all = first.into_iter().flatten().chain(all.into_iter().skip(1)).collect();
            script.clone_from(&interpreter.path);
        }
        let skipped = usize::from(!interpreters.is_empty());
        let mut texts = all.iter().map(Vec::as_slice).chain(given.iter().skip(skipped));
        let mut strings = Strings::default();
        if let Some(first) = texts.next() {
            strings.push(first);
        }
        cut(texts).iter().for_each(|text| strings.push(text));
        Some(strings)
    }

    /// The path that the kernel executed, which it left for the program (`AT_EXECFN`, getauxval(3)).
    fn executed_path(&self) -> Option<Vec<u8>> {
        self.target.text(self.auxiliary()?.name?, PATH_MAX).ok()
    }

    fn auxiliary(&self) -> Option<Auxiliary> {
        let told = || match self.shared_caller() {
            Some(caller) => caller.auxiliary(),
            None => process::auxiliary_of(self.target.tid()),
        };
        *self.image.auxiliary.get_or_init(told)
    }

    /// The file that the kernel has opened for the program that was executed, which is to read or run it, and its name. None for
    /// most, and for a process that is gone.
    pub(crate) fn file_for_program(&self) -> io::Result<Option<(OwnedFd, Vec<u8>)>> {
        if let Some(Auxiliary { program: None, .. }) = self.auxiliary() {
            return Ok(None);
        }
        let Some(thread) = self.thread().filter(|thread| thread.exists()) else { return Ok(None) };
        let unknown = || io::Error::other("what the kernel told the program cannot be read");
        let number = self.auxiliary().and_then(|told| told.program).ok_or_else(unknown)?;
        process::linked_file(thread.directory(), &format!("fd/{number}")).map(Some)
    }

    fn exec_file(&self) -> Option<OwnedFd> {
        let (registers, thread, path) = (self.call.exec_registers()?, self.thread()?, self.exec_path()?);
        let directory = registers.directory.map(|register| self.call.int(register));
        match directory {
            Some(number) if path.is_empty() => thread.open_link(&format!("fd/{number}")),
            _ if path.starts_with(b"/") => resolve::resolve(thread, None, path),
            _ => resolve::resolve(thread, self.base(registers.directory).as_deref(), path),
        }
    }

    fn find_program(&self) -> Option<Program> {
        let thread = self.thread()?;
        if self.image.executed.get() {
            let path = program_path(thread.path_behind("exe")?);
            return Some(Program::new(path, None));
        }
        let mut file = self.exec_file()?;
        let (mut scripts, mut interpreters) = (Vec::new(), Vec::new());
        while interpreters.len() < MAX_INTERPRETERS {
            let Some(interpreter) = resolve::head(&file).as_deref().and_then(Interpreter::parse) else { break };
            let next = resolve::resolve(thread, self.base(None).as_deref(), &interpreter.path);
            interpreters.push(interpreter);
            scripts.push(std::mem::replace(&mut file, next?));
        }
        let path = program_path(thread.path_of(file.as_fd())?);
        Some(Program { scripts, interpreters, ..Program::new(path, Some(file)) })
    }

    fn may_execute(&self, file: &OwnedFd) -> bool {
        let on_noexec = fstatvfs(file).is_ok_and(|mount| mount.flags().contains(FsFlags::ST_NOEXEC));
        let allows = |facts: FileStat| self.status().is_none_or(|status| may_execute(status, &facts));
        !on_noexec && fstat(file).ok().is_none_or(allows)
    }
}

impl Program {
    /// The program at `path`; without `file`, the one that the task runs.
    fn new(path: Vec<u8>, file: Option<OwnedFd>) -> Self {
        let file = file.map_or_else(OnceCell::new, |file| OnceCell::from(Some(file)));
        Self { path, file, facts: OnceCell::new(), scripts: Vec::new(), interpreters: Vec::new() }
    }
}

impl Interpreter {
    /// The interpreter that a script's first line names; see `load_script` of the kernel's `binfmt_script.c`.
    fn parse(head: &[u8]) -> Option<Self> {
        let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        let line = line.trim_ascii();
        let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t' | 0)).unwrap_or(line.len());
        let path = line.get(..end).filter(|path| !path.is_empty())?.to_vec();
        let argument = line.get(end..)?.split(|byte| *byte == 0).next()?.trim_ascii();
        Some(Self { path, argument: (!argument.is_empty()).then(|| argument.to_vec()) })
    }
}

/// Whether a path is spelled like the link to a running program: `/proc/self/exe`, `/proc/N/exe`, `/proc/N/task/M/exe`.
fn is_own_program(path: &[u8]) -> bool {
    let is_number = |name: &[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    let Some(names) = path.strip_prefix(b"/proc/").and_then(|names| names.strip_suffix(b"/exe")) else { return false };
    let names: Vec<_> = names.split(|byte| *byte == b'/').collect();
    match names.as_slice() {
        [b"self" | b"thread-self"] => true,
        [process] => is_number(process),
        [process, b"task", thread] => is_number(process) && is_number(thread),
        _ => false,
    }
}

/// *Falco:* a program in memory is named without the slash that the kernel puts before it (live oracle, exec-memfd).
pub(super) fn program_path(path: Vec<u8>) -> Vec<u8> {
    match path.strip_prefix(b"/") {
        Some(name) if name.starts_with(b"memfd:") => name.to_vec(),
        _ => path,
    }
}

/// The texts up to Falco's limit, the last one shortened.
fn cut<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Strings {
    let mut strings = Strings::default();
    let mut left = MAX_ARGUMENTS;
    for text in texts {
        if left == 0 {
            break;
        }
        strings.push(text.get(..left).unwrap_or(text));
        left = left.saturating_sub(text.len() + 1);
    }
    strings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &[u8], expected: Option<(&str, Option<&str>)>) {
        let found = Interpreter::parse(head);
        let expected = expected.map(|(path, argument)| Interpreter {
            path: path.into(),
            argument: argument.map(|argument| argument.as_bytes().to_vec()),
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn first_lines_name_interpreters() {
        check(b"#!/bin/sh -e\nexit 0\n", Some(("/bin/sh", Some("-e"))));
        check(b"#! /usr/bin/env  python3 -u \n", Some(("/usr/bin/env", Some("python3 -u"))));
        check(b"#!/bin/sh", Some(("/bin/sh", None)));
        check(b"#!\n/bin/sh", None);
        check(b"\x7fELF", None);
        check(b"", None);
    }

    #[test]
    fn only_links_of_procfs_are_running_programs() {
        for path in ["/proc/self/exe", "/proc/thread-self/exe", "/proc/1/exe", "/proc/12/task/34/exe"] {
            assert!(is_own_program(path.as_bytes()), "{path}");
        }
        for path in [
            "/proc/../tmp/exe",
            "/proc/exe",
            "/proc//exe",
            "/proc/self/../tmp/exe",
            "/proc/self/root/tmp/exe",
            "/proc/1/cwd/exe",
            "/proc/1/task/self/exe",
            "/proc/self/task/1/exe",
            "/tmp/proc/self/exe",
            "proc/self/exe",
            "/proc/self/exe/",
        ] {
            assert!(!is_own_program(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn lists_are_cut_where_falco_cuts_them() {
        let long = vec![b'a'; 5000];
        assert_eq!(cut([long.as_slice(), b"x"].into_iter()).total(), 4096);
        assert_eq!(cut([b"ab".as_slice(), b"", b"c"].into_iter()).len(), 3);
    }
}
