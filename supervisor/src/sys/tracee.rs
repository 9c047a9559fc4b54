// SPDX-License-Identifier: Apache-2.0
//! Stops of traced tasks (ptrace(2)). nix decodes them too, but fails on the real-time signals, and a stop that was taken
//! and not understood leaves its task stopped for ever.

use std::{io, ptr};

use nix::{sys::ptrace, unistd::Pid};

/// What a task that the calling thread traces reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It stopped at a `PTRACE_EVENT_*`.
    Event(Pid, i32),
    /// It stopped before the delivery of this signal.
    Signal(Pid, i32),
    /// It is gone.
    Ended(Pid),
}

/// Waits for the next report of a tracee, or of `task` alone. Other children of the thread are none of it:
/// `__WCLONE` leaves out those that end with SIGCHLD, as a helper process does, and takes every tracee (`eligible_child` of the
/// kernel's `exit.c`, since Linux 4.7).
pub(crate) fn next_stop(task: Option<Pid>) -> io::Result<Stop> {
    stop_of(task, 0)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The report of a tracee that is there already.
pub(crate) fn reported_stop() -> io::Result<Option<Stop>> {
    stop_of(None, libc::WNOHANG)
}

fn stop_of(task: Option<Pid>, flags: libc::c_int) -> io::Result<Option<Stop>> {
    let mut status = 0;
    let which = task.map_or(-1, Pid::as_raw);
    // SAFETY: the call writes one integer, which lives across it.
    let found = unsafe { libc::waitpid(which, &raw mut status, libc::__WCLONE | libc::__WNOTHREAD | flags) };
    if found < 0 {
        return Err(io::Error::last_os_error());
    }
    if found == 0 {
        return Ok(None);
    }
    let found = Pid::from_raw(found);
    Ok(Some(if !libc::WIFSTOPPED(status) {
        Stop::Ended(found)
    } else if let event @ 1.. = status >> 16 {
        // The kernel puts the event above the sixteen bits of the usual status.
        Stop::Event(found, event)
    } else {
        Stop::Signal(found, libc::WSTOPSIG(status))
    }))
}

/// Whether a tracee that is stopped behind the call `number` makes it anew when it runs on, unless a signal is delivered before
/// (`ERESTARTSYS` and its like, include/linux/errno.h, which no program sees).
pub(crate) fn makes_anew(task: Pid, number: i64) -> bool {
    const AGAIN: [i64; 4] = [-512, -513, -514, -516];
    let Ok(registers) = ptrace::getregs(task) else { return false };
    #[cfg(target_arch = "x86_64")]
    let (call, result) = (registers.orig_rax, registers.rax);
    #[cfg(target_arch = "aarch64")]
    let (call, result) = (registers.regs[8], registers.regs[0]);
    call.cast_signed() == number && AGAIN.contains(&result.cast_signed())
}

/// Lets a stopped tracee of the calling thread run on, with a signal delivered if it is not 0.
pub(crate) fn resume(task: Pid, signal: i32) -> io::Result<()> {
    let none = ptr::null_mut::<libc::c_void>();
    // SAFETY: the request takes an address that it ignores and a number; it touches no memory of ours.
    let result = unsafe { libc::ptrace(libc::PTRACE_CONT, task.as_raw(), none, libc::c_long::from(signal)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
