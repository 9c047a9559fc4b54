// SPDX-License-Identifier: Apache-2.0
//! `bare-loop SOCKET [stop]`: the least a listener can do, as the bench's yardstick.
//!
//! Serves one container on the listener socket: receive, read the path, check that the notification is still valid,
//! continue. One thread, `SYNC_WAKE_UP`, no poll before receive; ends when the container is gone. With `stop` it stops each
//! execve that succeeds before the program's first instruction, and lets it go on without a look: the least that whoever
//! verifies execs can do.

use std::{
    env,
    io::{self, IoSliceMut},
    path::PathBuf,
};

use integration::Listener;
use nix::{
    sys::{
        ptrace,
        uio::{RemoteIoVec, process_vm_readv},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

const PATH_BYTES: usize = 256; // enough for the bench's path; read to the end of the page at most
const PAGE: u64 = 4096;

fn main() -> io::Result<()> {
    let socket = env::args_os().nth(1).ok_or_else(|| io::Error::other("usage: bare-loop SOCKET [stop]"))?;
    let stops = env::args_os().nth(2).is_some_and(|word| word == "stop");
    let listener = Listener::accept(&PathBuf::from(socket))?;
    while let Some(notification) = listener.receive()? {
        let stopped = if stops { seize(&notification)? } else { None };
        answer(&listener, &notification);
        if let Some(task) = stopped {
            // A failed one would run on without a stop; the bench has none.
            waitpid(task, Some(WaitPidFlag::__WALL))?;
            ptrace::detach(task, None)?;
        }
    }
    Ok(())
}

/// Has the caller of an execve stop in it.
fn seize(notification: &libc::seccomp_notif) -> io::Result<Option<Pid>> {
    if i64::from(notification.data.nr) != libc::SYS_execve {
        return Ok(None);
    }
    let task = Pid::from_raw(i32::try_from(notification.pid).map_err(io::Error::other)?);
    ptrace::seize(task, ptrace::Options::PTRACE_O_TRACEEXEC)?;
    Ok(Some(task))
}

fn answer(listener: &Listener, notification: &libc::seccomp_notif) {
    let [first, second, ..] = notification.data.args;
    let path = if i64::from(notification.data.nr) == libc::SYS_openat { second } else { first };
    let mut text = [0; PATH_BYTES];
    let length = usize::try_from(PAGE - path % PAGE).map_or(PATH_BYTES, |rest| rest.min(PATH_BYTES));
    if let (Ok(pid), Ok(base), Some(buffer)) =
        (i32::try_from(notification.pid), usize::try_from(path), text.get_mut(..length))
    {
        let remote = [RemoteIoVec { base, len: length }];
        // A target that is gone has nothing to read; the validity check below says the same.
        let read = process_vm_readv(Pid::from_raw(pid), &mut [IoSliceMut::new(buffer)], &remote);
        std::hint::black_box(read.is_ok());
    }
    std::hint::black_box(listener.is_pending(notification.id));
    listener.resume(notification.id);
}
