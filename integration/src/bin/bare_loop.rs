// SPDX-License-Identifier: Apache-2.0
//! `bare-loop SOCKET`: the least a listener can do, as the bench's yardstick.
//!
//! Serves one container on the listener socket: receive, read the path, check that the notification is still valid,
//! continue. One thread, `SYNC_WAKE_UP`, no poll before receive; ends when the container is gone.
#![expect(unsafe_code, reason = "raw ioctls are what is measured; no part of Lanner is used here")]

use std::{
    env,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::net::UnixListener,
    },
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        socket::{ControlMessageOwned, MsgFlags, recvmsg},
        uio::{RemoteIoVec, process_vm_readv},
    },
    unistd::Pid,
};

const STATE_BYTES: usize = 65_536; // an OCI state with its annotations
const PATH_BYTES: usize = 256; // enough for the bench's path; read to the end of the page at most
const PAGE: u64 = 4096;
const SYNC_WAKE_UP: libc::c_ulong = 1; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP of linux/seccomp.h, which libc lacks

fn main() -> io::Result<()> {
    let socket = env::args_os().nth(1).ok_or_else(|| io::Error::other("usage: bare-loop SOCKET"))?;
    let (connection, _) = UnixListener::bind(socket)?.accept()?;
    let listener = receive_listener(connection.as_raw_fd())?;
    serve(&listener)
}

fn receive_listener(connection: i32) -> io::Result<OwnedFd> {
    let mut state = vec![0; STATE_BYTES];
    let mut space = nix::cmsg_space!([i32; 1]);
    let mut buffers = [IoSliceMut::new(&mut state)];
    let message = recvmsg::<()>(connection, &mut buffers, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = part
            && let Some(&descriptor) = descriptors.first()
        {
            // SAFETY: the kernel just made this descriptor for us, and nothing else refers to it.
            return Ok(unsafe { OwnedFd::from_raw_fd(descriptor) });
        }
    }
    Err(io::Error::other("the runtime sent no listener"))
}

fn serve(listener: &OwnedFd) -> io::Result<()> {
    // SAFETY: this request takes its argument by value.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) })?;
    loop {
        // SAFETY: the structure is plain integers, for which zero is a value; the kernel wants it zeroed.
        let mut notification: libc::seccomp_notif = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the structure is as large as the request number says and lives across the call.
        let received =
            unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification) };
        match Errno::result(received) {
            Ok(_) => answer(listener, &notification),
            Err(Errno::ENOENT | Errno::EINTR) if !hung_up(listener)? => {}
            Err(Errno::ENOENT | Errno::EINTR) => return Ok(()),
            Err(cause) => return Err(cause.into()),
        }
    }
}

fn hung_up(listener: &OwnedFd) -> io::Result<bool> {
    // SAFETY: the descriptor is open for as long as `listener` is borrowed.
    let borrowed = unsafe { BorrowedFd::borrow_raw(listener.as_raw_fd()) };
    let mut descriptors = [PollFd::new(borrowed, PollFlags::POLLIN)];
    poll(&mut descriptors, PollTimeout::ZERO)?;
    Ok(descriptors.iter().any(|one| one.revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))))
}

fn answer(listener: &OwnedFd, notification: &libc::seccomp_notif) {
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
    let mut id = notification.id;
    // SAFETY: the request reads the 8 bytes of `id`.
    let valid = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw mut id) };
    std::hint::black_box(valid);
    let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE.try_into().unwrap_or_default();
    let mut response = libc::seccomp_notif_resp { id, val: 0, error: 0, flags };
    // SAFETY: the request reads the response, which lives across the call.
    let sent = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
    std::hint::black_box(sent); // a target that was interrupted or killed needs no answer
}
