// SPDX-License-Identifier: Apache-2.0
//! Processes and threads: going into the background, pidfds, and interrupting a thread that waits in the kernel.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::{
        pthread::{Pthread, pthread_kill},
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    },
    unistd::{ForkResult, Pid, fork, setsid},
};

use super::{Ids, SyscallError};

/// Which side of [`go_into_background`] this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Background {
    /// The process that was started; it should leave at once.
    Parent,
    /// The process that goes on, in a session of its own.
    Child,
}

/// A stable reference to a process: unlike its number it is never given to another one.
#[derive(Debug)]
pub(crate) struct Pidfd(OwnedFd);

/// `struct pidfd_info` of linux/pidfd.h as it was first.
#[repr(C)]
#[derive(Debug, Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ruid: u32,
    rgid: u32,
    euid: u32,
    egid: u32,
    suid: u32,
    sgid: u32,
    fsuid: u32,
    fsgid: u32,
    exit_code: i32,
}

/// Forks; the child gets its own session, so that no signal for the starter's terminal or group reaches it.
pub(crate) fn go_into_background() -> Result<Background, SyscallError> {
    // SAFETY: the process has a single thread here, so the child may go on using everything.
    let side = unsafe { fork() }.map_err(|errno| SyscallError::from_errno("fork", errno))?;
    match side {
        ForkResult::Parent { .. } => Ok(Background::Parent),
        ForkResult::Child => {
            setsid().map_err(|errno| SyscallError::from_errno("setsid", errno))?;
            Ok(Background::Child)
        }
    }
}

/// Whether the task is its process' first thread, whose number is the process' own (tgkill(2), which sends nothing here). What
/// could not be learned counts as no.
pub(crate) fn is_leader(task: u32) -> bool {
    // SAFETY: the call takes three integers and touches no memory.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, task, task, 0) };
    // It exists, but we may not send it signals.
    sent == 0 || Errno::last() == Errno::EPERM
}

impl Pidfd {
    /// Opens the process `pid` (a thread-group leader).
    pub(crate) fn open(pid: Pid) -> io::Result<Self> {
        Self::open_with(pid.as_raw().cast_unsigned(), 0)
    }

    /// Opens any task, also one that is no thread-group leader (`PIDFD_THREAD`, Linux 6.9).
    pub(crate) fn of_task(task: u32) -> io::Result<Self> {
        // linux/pidfd.h: PIDFD_THREAD is O_EXCL; libc has no name for it.
        match Self::open_with(task, libc::O_EXCL.cast_unsigned()) {
            // Older kernels know no flags; there only leaders can be opened.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Self::open_with(task, 0),
            result => result,
        }
    }

    /// This process.
    pub(crate) fn own() -> io::Result<Self> {
        Self::open(nix::unistd::getpid())
    }

    /// A process that another one has opened.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// The process' number in our pid namespace; `None` once it was waited for.
    pub(crate) fn number(&self) -> Option<u32> {
        let facts = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.0.as_raw_fd())).ok()?;
        facts.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
    }

    fn open_with(task: u32, flags: libc::c_uint) -> io::Result<Self> {
        // SAFETY: the call takes two integers and touches no memory of ours.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_open, task, flags) };
        let raw = i32::try_from(result).ok().filter(|raw| *raw >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel has just returned this descriptor, and nobody else knows its number.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(raw) }))
    }

    /// A descriptor of the open file that the task has under `number` (`pidfd_getfd(2)`, Linux 5.6).
    pub(crate) fn descriptor(&self, number: i32) -> io::Result<OwnedFd> {
        // SAFETY: the call takes integers and touches no memory of ours.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.0.as_raw_fd(), number, 0 as libc::c_uint) };
        let raw = i32::try_from(result).ok().filter(|raw| *raw >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel has just returned this descriptor, and nobody else knows its number.
        Ok(unsafe { OwnedFd::from_raw_fd(raw) })
    }

    /// User and group ids of the task (`PIDFD_GET_INFO`, Linux 6.13).
    pub(crate) fn ids(&self) -> io::Result<(Ids, Ids)> {
        // linux/pidfd.h: PIDFD_GET_INFO for a structure of 64 bytes, and PIDFD_INFO_CREDS; libc has no names for them.
        const GET_INFO: libc::c_ulong = 0xc040_ff0b;
        const CREDENTIALS: u64 = 1 << 1;
        let mut info = PidfdInfo { mask: CREDENTIALS, ..PidfdInfo::default() };
        // SAFETY: the request writes one structure of the size in its number to `info`, which lives across the call.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), GET_INFO, std::ptr::from_mut(&mut info)) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        if info.mask & CREDENTIALS == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let PidfdInfo { ruid, euid, suid, fsuid, rgid, egid, sgid, fsgid, .. } = info;
        let users = Ids { real: ruid, effective: euid, saved: suid, file: fsuid };
        Ok((users, Ids { real: rgid, effective: egid, saved: sgid, file: fsgid }))
    }

    /// Sends SIGKILL to the whole process.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)
    }

    /// Lets the process go on after it was stopped (SIGCONT).
    pub(crate) fn resume(&self) -> io::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Makes a system call return `EINTR` in which a process waits that has called [`prepare_interrupts`].
    pub(crate) fn interrupt(&self) -> io::Result<()> {
        self.signal(INTERRUPT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        // SAFETY: a null siginfo is what kill(2) uses; the descriptor is open.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal as libc::c_int,
                std::ptr::null::<libc::siginfo_t>(),
                0 as libc::c_uint,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for Pidfd {
    /// Readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What ends a process, and what others send to all they find: a host that shuts down, the end of a scope or a session.
const ENDING: [Signal; 14] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGSTKFLT,
    Signal::SIGXCPU,
    Signal::SIGXFSZ,
];

/// Lets the process outlive every signal but SIGKILL and those of its own faults. A container that is told to end makes
/// calls until it has, which somebody must answer; whoever answers leaves after the last one.
pub(crate) fn outlive_signals() -> Result<(), SyscallError> {
    let ignored = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in ENDING {
        // SAFETY: no handler is installed.
        unsafe { sigaction(signal, &ignored) }.map_err(|errno| SyscallError::from_errno("sigaction", errno))?;
    }
    Ok(())
}

/// Gives the calling process an empty session keyring of its own (keyctl(2)), for it and what it starts. What is opened for a
/// container is opened with our keys, which are to be nobody's; a kernel without keys has none.
pub(crate) fn leave_keyring() -> Result<(), SyscallError> {
    // SAFETY: the request takes a null pointer for an anonymous keyring, and touches no memory.
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<u8>()) };
    match Errno::result(joined) {
        Ok(_) | Err(Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(SyscallError::from_errno("keyctl", errno)),
    }
}

/// Gives memory that is not used any more back to the kernel (`malloc_trim(3)`): what loading rules took is many times what
/// they take when they are loaded.
pub(crate) fn give_memory_back() {
    // SAFETY: the call takes a number and changes nothing but which free pages the allocator keeps.
    let _has_given = unsafe { libc::malloc_trim(0) };
}

/// The signal that gets a watch out of RECV.
const INTERRUPT: Signal = Signal::SIGUSR1;

/// Does nothing: its only purpose is to make a blocked call return `EINTR`.
extern "C" fn ignore(_signal: libc::c_int) {}

/// Installs the handler that [`interrupt_thread`] relies on, without `SA_RESTART`.
pub(crate) fn prepare_interrupts() -> Result<(), SyscallError> {
    let action = SigAction::new(SigHandler::Handler(ignore), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, so it is safe at any point of any thread.
    unsafe { sigaction(INTERRUPT, &action) }.map(drop).map_err(|errno| SyscallError::from_errno("sigaction", errno))
}

/// From now on [`interrupt_thread`] has no effect on the calling thread.
pub(crate) fn refuse_interrupts() -> io::Result<()> {
    Ok(interrupts().thread_block()?)
}

/// From now on it has.
pub(crate) fn accept_interrupts() -> io::Result<()> {
    Ok(interrupts().thread_unblock()?)
}

fn interrupts() -> SigSet {
    SigSet::from_iter([INTERRUPT])
}

/// Makes a system call in which a thread waits return `EINTR`. The thread must not have ended, unless its handle is kept.
/// One that is just about to wait is not caught: repeat until it has noticed.
pub(crate) fn interrupt_thread(thread: Pthread) {
    let sent = pthread_kill(thread, INTERRUPT);
    debug_assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "pthread_kill takes any joinable thread");
}

#[cfg(test)]
mod tests {
    use std::thread;

    use nix::unistd::{getpid, gettid};

    use super::*;

    #[test]
    fn the_first_thread_of_a_process_leads_it_and_no_other() {
        assert!(is_leader(getpid().as_raw().cast_unsigned()));
        let other = thread::spawn(|| is_leader(gettid().as_raw().cast_unsigned()));
        assert!(!other.join().unwrap());
        assert!(!is_leader(u32::MAX >> 1), "nobody has this number");
    }
}
