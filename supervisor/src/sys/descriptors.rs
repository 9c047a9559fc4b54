// SPDX-License-Identifier: Apache-2.0
//! Descriptors that travel over Unix sockets, and those that a careless parent left open.

use std::{
    io::{IoSlice, IoSliceMut},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg},
};

use super::SyscallError;

/// Most descriptors one message may bring; the kernel closes what does not fit.
const MAX_DESCRIPTORS: usize = 8;

/// Sends `bytes` with `descriptors` in one message. Where the other side has not read some hundred of them (the socket's
/// buffer is full), it has `patience` to read; then this fails with EAGAIN.
pub(crate) fn send_with_descriptors(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    patience: Duration,
) -> Result<(), SyscallError> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let deadline = Instant::now() + patience;
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None) {
            Err(Errno::EAGAIN) if Instant::now() < deadline => {
                let left = deadline.saturating_duration_since(Instant::now());
                let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                let mut room = [PollFd::new(socket, PollFlags::POLLOUT)];
                // Whatever it says, sending again tells.
                match poll(&mut room, timeout) {
                    Ok(_) | Err(_) => {}
                }
            }
            Err(Errno::EINTR) => {}
            sent => return sent.map(drop).map_err(|errno| SyscallError::from_errno("sendmsg", errno)),
        }
    }
}

/// Receives up to `buffer.len()` bytes and the descriptors that came with them, all close-on-exec. Zero bytes mean that
/// the other side has closed. Fails with ENOBUFS where we have no room for all descriptors; those that did come are closed.
pub(crate) fn receive_with_descriptors(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: MsgFlags,
) -> Result<(usize, Vec<OwnedFd>), nix::Error> {
    let mut control = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let mut parts = [IoSliceMut::new(buffer)];
    let mut message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags | MsgFlags::MSG_CMSG_CLOEXEC)?;
    // nix tells nothing of what did come where something is missing, so that it would stay open.
    let is_cut = message.flags.contains(MsgFlags::MSG_CTRUNC);
    message.flags.remove(MsgFlags::MSG_CTRUNC);
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            for raw in received {
                // SAFETY: the kernel has just installed this descriptor for us, and nobody else knows its number.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(raw) });
            }
        }
    }
    if is_cut { Err(nix::Error::ENOBUFS) } else { Ok((message.bytes, descriptors)) }
}

/// Closes every descriptor above standard error: engines hand pipes and sockets down that must not be held open.
pub(crate) fn close_inherited() -> Result<(), SyscallError> {
    // SAFETY: called first thing by the guard, before anything in this process owns a descriptor above 2.
    let result = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(SyscallError::last("close_range")) }
}

/// Gives the calling thread a table of descriptors of its own, with standard error alone: what it opens from then on goes with
/// the thread, and not with the last one of the process, which may be held up by a file system. To be called by a thread that
/// uses no other descriptor.
pub(crate) fn leave_descriptors() -> Result<(), SyscallError> {
    // Of a table that is cut, the kernel copies what is below the cut alone (`unshare_fd`): a file that is on its way to a target
    // has no second descriptor for a moment.
    let all_others = [(3, libc::c_uint::MAX), (0, 1)];
    for (first, last) in all_others {
        // SAFETY: the first of the calls makes the table the thread's own (close_range(2)), so that no descriptor is closed
        // that anybody else has; for the second one it is that already.
        let result = unsafe { libc::close_range(first, last, libc::CLOSE_RANGE_UNSHARE.cast_signed()) };
        if result != 0 {
            return Err(SyscallError::last("close_range"));
        }
    }
    Ok(())
}
