// SPDX-License-Identifier: Apache-2.0
//! Whether a task has executed a program, as the kernel itself tells (`perf_event_open(2)`).

use std::{
    io,
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
};

use nix::unistd::{SysconfVar, sysconf};

use super::{Mapping, SyscallError};

/// `struct perf_event_attr` of `linux/perf_event.h` as it was first.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_watermark: u32,
    breakpoint: u32,
    address: u64,
}

/// A sign that is given once a task has a new program's memory, and can be waited for: readable then, and again when the
/// program begins to run. Nothing that the task or its tracer does gives it, or takes it back.
///
/// It is an event that counts page faults in user mode, is switched on by an exec that succeeds, and records each exec
/// from then on. No processor has to count anything for it.
#[derive(Debug)]
pub(crate) struct ExecSign {
    event: OwnedFd,
    records: Mapping,
}

impl ExecSign {
    /// For the task's next exec.
    pub(crate) fn of(task: u32) -> Result<Self, SyscallError> {
        let refused = |source| SyscallError { call: "perf_event_open", source };
        let event = open(task).map_err(refused)?;
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| usize::try_from(size).ok());
        // The head, and a page of records.
        let length = NonZeroUsize::new(page.unwrap_or(4096) * 2).ok_or_else(|| refused(io::ErrorKind::Other.into()))?;
        Ok(Self { records: Mapping::new(event.as_fd(), length)?, event })
    }

    /// Whether the task has executed a program since. Of one that is dead this still says so.
    pub(crate) fn is_given(&self) -> bool {
        // `data_head`, how many bytes were recorded.
        const HEAD: usize = 1024 / size_of::<AtomicU64>();
        self.records.cells().get(HEAD).is_some_and(|head| head.load(Ordering::Acquire) != 0)
    }
}

impl AsFd for ExecSign {
    /// Has hung up for ever when the task is dead, or runs a program that may not be looked into.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

fn open(task: u32) -> io::Result<OwnedFd> {
    const SOFTWARE: u32 = 1;
    const PAGE_FAULTS: u64 = 2;
    const DISABLED: u64 = 1;
    const EXCLUDE_KERNEL: u64 = 1 << 5;
    const NAMES: u64 = 1 << 9;
    const ENABLE_ON_EXEC: u64 = 1 << 12;
    const WATERMARK: u64 = 1 << 14;
    const CLOSE_ON_EXEC: libc::c_ulong = 8;
    let attributes = Attributes {
        kind: SOFTWARE,
        size: u32::try_from(size_of::<Attributes>()).unwrap_or_default(),
        config: PAGE_FAULTS,
        sample_period: 1,
        flags: DISABLED | EXCLUDE_KERNEL | NAMES | ENABLE_ON_EXEC | WATERMARK,
        wakeup_watermark: 1,
        ..Attributes::default()
    };
    let (any_processor, no_group) = (-1, -1);
    // SAFETY: the call reads one structure of the size that it names, which lives across it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            task,
            any_processor as libc::c_int,
            no_group as libc::c_int,
            CLOSE_ON_EXEC,
        )
    };
    let raw = i32::try_from(result).ok().filter(|raw| *raw >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        process::{Child, Command, Stdio},
        thread,
        time::{Duration, Instant},
    };

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn shell(script: &str) -> Child {
        let mut child =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    fn wait(sign: &ExecSign) -> PollFlags {
        let mut wanted = [PollFd::new(sign.as_fd(), PollFlags::POLLIN)];
        poll(&mut wanted, PollTimeout::try_from(5000).unwrap()).unwrap();
        wanted[0].revents().unwrap()
    }

    #[test]
    fn it_is_given_by_an_exec_alone_even_by_one_of_the_same_program_at_the_same_place() {
        for (script, executes) in [
            ("echo; read line; exec setarch -R sh -c 'echo; sleep 60'", true),
            ("echo; read line; ./none; exec ./none 2>&-", false),
        ] {
            let mut child = shell(script);
            let sign = ExecSign::of(child.id()).unwrap();
            assert!(!sign.is_given());
            child.stdin.take().unwrap().write_all(b"\n").unwrap();
            assert_eq!(wait(&sign).contains(PollFlags::POLLIN), executes);
            assert_eq!(sign.is_given(), executes);
            let _killed = child.kill();
            child.wait().unwrap();
            assert!(wait(&sign).contains(PollFlags::POLLHUP));
            assert_eq!(sign.is_given(), executes);
        }
    }

    #[test]
    fn a_task_that_waits_or_renames_itself_gives_none() {
        let mut child = shell("echo; echo other > /proc/$$/comm; read line");
        let sign = ExecSign::of(child.id()).unwrap();
        let begun = Instant::now();
        thread::sleep(Duration::from_millis(20));
        assert!(!sign.is_given(), "after {:?}", begun.elapsed());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
