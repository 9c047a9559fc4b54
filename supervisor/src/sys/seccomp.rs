// SPDX-License-Identifier: Apache-2.0
//! The seccomp listener: receive, check, answer (`seccomp_unotify(2)`).

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::SyscallError;

/// Room for one notification in eight-byte cells; the kernel's structure has 80 bytes in 6.18 and may grow.
pub(crate) const NOTIFICATION_CELLS: usize = 16;

/// The descriptor on which a filter's notifications arrive.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

/// The kernel's record of one trapped call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notification {
    /// Unique per listener; never zero in a filled record.
    pub(crate) id: u64,
    /// Thread id of the target in our pid namespace; zero if it cannot be seen from here.
    pub(crate) target_tid: u32,
    /// System call number in the numbering of `arch`.
    pub(crate) nr: i32,
    /// `AUDIT_ARCH_*` of the entry that was used, not of the program.
    pub(crate) arch: u32,
    /// Address behind the system call instruction.
    pub(crate) instruction_pointer: u64,
    /// Argument registers, zero-extended for 32-bit entries.
    pub(crate) args: [u64; 6],
}

/// What is sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Response {
    /// The kernel performs the call, reading its arguments again.
    Continue,
    /// The call fails with this errno (positive).
    Errno(i32),
    /// The call returns this value.
    Value(i64),
}

/// Why no notification was received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// The target died or was interrupted between wake-up and receive; ask again.
    #[error("the notification went away before it was received")]
    Vanished,
    /// A signal arrived; the caller decides whether to go on.
    #[error("receiving was interrupted")]
    Interrupted,
    /// The kernel refused.
    #[error("cannot receive a notification")]
    Refused(#[source] io::Error),
}

/// Why a response was not delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The target is gone or was interrupted; nothing is waiting any more.
    #[error("the notification is no longer pending")]
    Gone,
    /// The kernel refused the response.
    #[error("cannot answer the notification")]
    Refused(#[source] io::Error),
}

/// Why a descriptor was not handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InjectError {
    /// The target is gone or was interrupted; nothing is waiting any more.
    #[error("the notification is no longer pending")]
    Gone,
    /// The target cannot take the descriptor and still waits for its answer.
    #[error("the target cannot take the descriptor")]
    Refused(#[source] io::Error),
}

impl Listener {
    /// Takes a descriptor that came with a handshake.
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// A second descriptor of the same listener.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Lets an answer wake the target on the answering CPU (Linux 6.6); `false` where the kernel has no such flag.
    pub(crate) fn wake_synchronously(&self) -> bool {
        // linux/seccomp.h: SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP; libc has no name for it.
        const SYNC_WAKE_UP: libc::c_ulong = 1;
        // SAFETY: the request takes its flags by value and touches no memory of ours; `self.0` is open.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        result == 0
    }

    /// Whether receiving would find something.
    pub(crate) fn has_notification(&self) -> bool {
        self.shows(PollFlags::POLLIN)
    }

    /// Whether every task of the listener is gone.
    pub(crate) fn has_hung_up(&self) -> bool {
        self.shows(PollFlags::POLLHUP)
    }

    fn shows(&self, event: PollFlags) -> bool {
        let mut wanted = [PollFd::new(self.as_fd(), event)];
        match poll(&mut wanted, PollTimeout::ZERO) {
            Ok(_) => wanted.iter().any(|entry| entry.revents().is_none_or(|events| events.contains(event))),
            Err(_) => false,
        }
    }

    /// Waits for a notification and lets the kernel write it into `cells`, which must be zero.
    pub(crate) fn receive(&self, cells: &[AtomicU64; NOTIFICATION_CELLS]) -> Result<Notification, ReceiveError> {
        let record = ptr::from_ref(cells).cast::<libc::seccomp_notif>().cast_mut();
        // SAFETY: `cells` is writable memory (atomics) of 128 bytes, and `check_structure_sizes` made sure at start-up that
        // the kernel writes no more; only this thread uses the slot while it waits.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, record) };
        if result == 0 {
            return Ok(Notification::from_cells(cells));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOENT) => Err(ReceiveError::Vanished),
            Some(libc::EINTR) => Err(ReceiveError::Interrupted),
            _ => Err(ReceiveError::Refused(error)),
        }
    }

    /// Whether the notification still waits for an answer, and its target therefore still is what it was.
    pub(crate) fn is_pending(&self, id: u64) -> bool {
        // SAFETY: the request reads eight bytes from `id`, which lives across the call.
        let ask = || unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, ptr::from_ref(&id)) };
        uninterrupted(ask).is_ok()
    }

    /// Answers a notification.
    pub(crate) fn send(&self, id: u64, response: Response) -> Result<(), SendError> {
        let (val, error, flags) = match response {
            Response::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
            Response::Errno(errno) => (0, -errno, 0),
            Response::Value(value) => (value, 0, 0),
        };
        let raw = libc::seccomp_notif_resp { id, val, error, flags: u32::try_from(flags).unwrap_or_default() };
        // SAFETY: the request reads one `seccomp_notif_resp` from `raw`, which lives across the call.
        let send = || unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, ptr::from_ref(&raw)) };
        uninterrupted(send).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT) => SendError::Gone,
            _ => SendError::Refused(error),
        })
    }
}

/// Makes a request until no signal keeps it from having the listener's lock (`mutex_lock_interruptible` of the kernel's
/// `seccomp.c`).
fn uninterrupted(mut request: impl FnMut() -> libc::c_int) -> io::Result<()> {
    loop {
        if request() == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

impl Listener {
    /// Installs `descriptor` in the target under the lowest free number, and answers the call with that number.
    ///
    /// No signal may interrupt the calling thread: the call counts as answered before the target takes the descriptor, and
    /// a target that finds none then returns 0 from its open.
    pub(crate) fn inject(&self, id: u64, descriptor: BorrowedFd<'_>, close_on_exec: bool) -> Result<(), InjectError> {
        let send = u32::try_from(libc::SECCOMP_ADDFD_FLAG_SEND).unwrap_or_default();
        match self.add_descriptor(id, descriptor, close_on_exec, send) {
            Ok(_number) => Ok(()),
            // Before Linux 5.14 the answer is a second step. Between the two a signal may withdraw the call, which then
            // has a descriptor that nobody knows of; there is no way to take it back.
            Err(InjectError::Refused(error)) if error.raw_os_error() == Some(libc::EINVAL) => {
                let number = self.add_descriptor(id, descriptor, close_on_exec, 0)?;
                match self.send(id, Response::Value(i64::from(number))) {
                    Ok(()) => Ok(()),
                    Err(SendError::Gone) => Err(InjectError::Gone),
                    Err(SendError::Refused(error)) => Err(InjectError::Refused(error)),
                }
            }
            Err(error) => Err(error),
        }
    }

    fn add_descriptor(
        &self,
        id: u64,
        descriptor: BorrowedFd<'_>,
        close_on_exec: bool,
        flags: u32,
    ) -> Result<i32, InjectError> {
        let newfd_flags = if close_on_exec { libc::O_CLOEXEC.cast_unsigned() } else { 0 };
        let srcfd = descriptor.as_raw_fd().cast_unsigned();
        let raw = libc::seccomp_notif_addfd { id, flags, srcfd, newfd: 0, newfd_flags };
        // SAFETY: the request reads one `seccomp_notif_addfd` from `raw`, which lives across the call.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, ptr::from_ref(&raw)) };
        if result >= 0 {
            return Ok(result);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // ESRCH: the target was interrupted before it took the descriptor (`seccomp_do_user_notification`); EINTR: we.
            Some(libc::ENOENT | libc::ESRCH | libc::EINTR) => Err(InjectError::Gone),
            _ => Err(InjectError::Refused(error)),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Notification {
    /// Reads the kernel's record back from shared memory; `id` is zero where none was written.
    pub(crate) fn from_cells(cells: &[AtomicU64; NOTIFICATION_CELLS]) -> Self {
        // struct seccomp_notif: id, (pid, flags), then struct seccomp_data: (nr, arch), ip, args[6].
        let [id, task, call, instruction_pointer, a0, a1, a2, a3, a4, a5, ..] = cells;
        let load = |cell: &AtomicU64| cell.load(Ordering::Acquire);
        let [target_tid, _flags] = halves(load(task));
        let [nr, arch] = halves(load(call));
        Self {
            id: load(id),
            target_tid,
            nr: nr.cast_signed(),
            arch,
            instruction_pointer: load(instruction_pointer),
            args: [load(a0), load(a1), load(a2), load(a3), load(a4), load(a5)],
        }
    }
}

/// The two 32-bit members that share an eight-byte cell, in memory order.
fn halves(cell: u64) -> [u32; 2] {
    let [low, high] = [cell & u64::from(u32::MAX), cell >> u32::BITS].map(|half| u32::try_from(half).unwrap_or(0));
    if cfg!(target_endian = "little") { [low, high] } else { [high, low] }
}

/// Makes sure that the kernel's structures fit what this module hands out (`SECCOMP_GET_NOTIF_SIZES`).
pub(crate) fn check_structure_sizes() -> Result<(), SyscallError> {
    let mut sizes = libc::seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
    // SAFETY: the operation writes one `seccomp_notif_sizes` to `sizes`, which lives across the call.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0 as libc::c_uint, ptr::from_mut(&mut sizes))
    };
    if result != 0 {
        return Err(SyscallError::last("seccomp(SECCOMP_GET_NOTIF_SIZES)"));
    }
    let fits = usize::from(sizes.seccomp_notif) <= NOTIFICATION_CELLS * size_of::<u64>()
        && usize::from(sizes.seccomp_notif_resp) == size_of::<libc::seccomp_notif_resp>();
    if fits {
        Ok(())
    } else {
        let source = io::Error::new(io::ErrorKind::Unsupported, "this kernel's notification structures are larger");
        Err(SyscallError { call: "seccomp(SECCOMP_GET_NOTIF_SIZES)", source })
    }
}

/// Whether the kernel knows `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19).
///
/// Asked by behaviour: a known flag lets the kernel go on to the filter, whose address is null (`EFAULT`); an unknown
/// one is refused before (`EINVAL`).
pub(crate) fn supports_wait_killable() -> bool {
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: the null filter address is never followed successfully, so no filter is installed.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, ptr::null::<libc::sock_fprog>())
    };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}
