// SPDX-License-Identifier: Apache-2.0
//! Processes that are stopped at the entry of a call, in the state in which a seccomp notification finds them.

use std::{
    path::Path,
    process::{Child, Command},
};

use nix::{
    sys::{
        ptrace,
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

const X86_64: u32 = 0xC000_003E;
const I386: u32 = 0x4000_0003;

/// A process at the entry of a call; killed when dropped.
pub(super) struct Stopped {
    child: Child,
    task: Pid,
    arch: u32,
    number: i32,
    arguments: [u64; 6],
}

impl Stopped {
    /// Starts `program` through a shell that waits for us, and runs it up to its first call for which `wanted` holds.
    pub(super) fn at(program: &[&str], wanted: impl Fn(u32, i32, &[u64; 6]) -> bool) -> Self {
        let mut shell = shell("kill -STOP $$; exec \"$@\"");
        shell.arg("sh").args(program).env_clear().env("MARK", "set");
        Self::start(shell, wanted)
    }

    /// Like [`Self::at`], for a [`leader`] that stops itself first.
    pub(super) fn start(mut leader: Command, wanted: impl Fn(u32, i32, &[u64; 6]) -> bool) -> Self {
        let child = leader.spawn().unwrap();
        let first = Pid::from_raw(i32::try_from(child.id()).unwrap());
        waitpid(first, Some(WaitPidFlag::WUNTRACED)).unwrap();
        let follow = ptrace::Options::PTRACE_O_TRACEFORK
            | ptrace::Options::PTRACE_O_TRACEVFORK
            | ptrace::Options::PTRACE_O_TRACECLONE;
        ptrace::seize(first, ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL | follow)
            .unwrap();
        ptrace::interrupt(first).unwrap();
        kill(first, Signal::SIGCONT).unwrap();
        let mut stopped = Self { child, task: first, arch: 0, number: -1, arguments: [0; 6] };
        assert!(stopped.advance(wanted), "the program ended without the call");
        stopped
    }

    /// Runs on to the next call for which `wanted` holds; false at the end of the program.
    pub(super) fn advance(&mut self, wanted: impl Fn(u32, i32, &[u64; 6]) -> bool) -> bool {
        if self.number >= 0 {
            ptrace::syscall(self.task, None).unwrap();
        }
        loop {
            // Other tests of this process trace as well, from their own threads.
            let mine = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            let Ok(status) = waitpid(Pid::from_raw(-1), Some(mine)) else { return false };
            let task = status.pid().unwrap();
            match status {
                WaitStatus::PtraceSyscall(_)
                    if self.take_entry(task) && wanted(self.arch, self.number, &self.arguments) =>
                {
                    self.task = task;
                    return true;
                }
                WaitStatus::Stopped(_, signal) if signal != Signal::SIGTRAP && signal != Signal::SIGSTOP => {
                    ptrace::syscall(task, signal).unwrap();
                    continue;
                }
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    if u32::try_from(task.as_raw()).unwrap() == self.child.id() {
                        return false;
                    }
                    continue;
                }
                _ => {}
            }
            // A task may be killed between its stop and our answer.
            let _gone = ptrace::syscall(task, None);
        }
    }

    /// Reads the registers of an entry; false at the exit of a call.
    fn take_entry(&mut self, task: Pid) -> bool {
        let Ok(registers) = ptrace::getregs(task) else { return false };
        // At entry the kernel has put ENOSYS where the result will be.
        if registers.rax.cast_signed() != -38 {
            return false;
        }
        let code = ptrace::read(task, usize::try_from(registers.rip - 2).unwrap() as ptrace::AddressType).unwrap();
        // int 0x80 calls i386 code even from a 64-bit program.
        let is_i386 = code.to_le_bytes().starts_with(&[0xcd, 0x80]);
        self.number = i32::try_from(registers.orig_rax.cast_signed()).unwrap_or(-1);
        (self.arch, self.arguments) = if is_i386 {
            let low = |value: u64| value & u64::from(u32::MAX);
            let registers = [registers.rbx, registers.rcx, registers.rdx, registers.rsi, registers.rdi, registers.rbp];
            (I386, registers.map(low))
        } else {
            (X86_64, [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9])
        };
        true
    }

    /// Architecture, number and arguments of the call.
    pub(super) fn call(&self) -> (u32, i32, [u64; 6]) {
        (self.arch, self.number, self.arguments)
    }

    /// The task that makes the call.
    pub(super) fn task(&self) -> u32 {
        u32::try_from(self.task.as_raw()).unwrap()
    }

    /// The program that was started.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // The process may be gone already, which is just as well.
        let _ended = (self.child.kill(), self.child.wait());
    }
}

/// A command that leads a session of its own.
///
/// The session of the test may have lost its leader, which would leave the leader's fields absent.
pub(super) fn leader(program: &str) -> Command {
    let mut command = Command::new("/usr/bin/setsid");
    command.arg(program);
    command
}

/// A [`leader`] shell that runs `script`.
pub(super) fn shell(script: &str) -> Command {
    let mut shell = leader("/bin/sh");
    shell.args(["-c", script]);
    shell
}

/// Whether a call has this number on x86-64.
pub(super) fn is(wanted: i64) -> impl Fn(u32, i32, &[u64; 6]) -> bool {
    move |arch, number, _| arch == X86_64 && i64::from(number) == wanted
}

/// An x86-64 program of raw machine code that is loaded at [`BASE`]; data may follow the code.
pub(super) fn write_program(path: &Path, code: &[u8]) {
    use std::{fs, os::unix::fs::PermissionsExt};
    let mut file = Vec::new();
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // ET_EXEC, EM_X86_64, version, entry, program headers, no sections, flags, sizes and counts.
    for (value, bytes) in [
        (2, 2),
        (62, 2),
        (1, 4),
        (BASE + 120, 8),
        (64, 8),
        (0, 8),
        (0, 4),
        (64, 2),
        (56, 2),
        (1, 2),
        (0, 2),
        (0, 2),
        (0, 2),
    ] {
        file.extend_from_slice(&u64::to_le_bytes(value)[..bytes]);
    }
    // PT_LOAD, RWX, offset, addresses, sizes, alignment.
    let size = u64::try_from(code.len() + 120).unwrap();
    for (value, bytes) in [(1, 4), (7, 4), (0, 8), (BASE, 8), (BASE, 8), (size, 8), (size, 8), (0x1000, 8)] {
        file.extend_from_slice(&u64::to_le_bytes(value)[..bytes]);
    }
    file.extend_from_slice(code);
    fs::write(path, file).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Where programs of [`write_program`] are loaded: below 4 GiB, so that 32-bit pointers reach them.
pub(super) const BASE: u64 = 0x10000;
/// Where their code begins.
pub(super) const CODE: u64 = BASE + 120;
