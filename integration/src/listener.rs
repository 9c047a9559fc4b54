// SPDX-License-Identifier: Apache-2.0
//! A seccomp listener for programs that serve one container without any part of Lanner.
#![expect(unsafe_code, reason = "raw ioctls; no part of Lanner is used here")]

use std::{
    fs,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{ControlMessageOwned, MsgFlags, recvmsg},
};

const STATE_BYTES: usize = 65_536; // an OCI state with its annotations
const SYNC_WAKE_UP: libc::c_ulong = 1; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP of linux/seccomp.h, which libc lacks

/// What a low-level runtime handed over on its `listenerPath`.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Waits on `socket` for the listener of a container. Once the socket is there it can be connected to.
    pub fn accept(socket: &Path) -> io::Result<Self> {
        let beside = socket.with_added_extension("new");
        let listener = UnixListener::bind(&beside)?;
        fs::rename(beside, socket)?;
        let (connection, _) = listener.accept()?;
        let mut state = vec![0; STATE_BYTES];
        let mut space = nix::cmsg_space!([i32; 1]);
        let mut buffers = [IoSliceMut::new(&mut state)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(connection.as_raw_fd(), &mut buffers, Some(&mut space), flags)?;
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(descriptors) = part
                && let Some(&descriptor) = descriptors.first()
            {
                // SAFETY: the kernel just made this descriptor for us, and nothing else refers to it.
                let listener = Self(unsafe { OwnedFd::from_raw_fd(descriptor) });
                listener.wake_synchronously()?;
                return Ok(listener);
            }
        }
        Err(io::Error::other("the runtime sent no listener"))
    }

    fn wake_synchronously(&self) -> io::Result<()> {
        // SAFETY: this request takes its argument by value.
        let set = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        Errno::result(set)?;
        Ok(())
    }

    /// The next notification; `None` when the container is gone.
    pub fn receive(&self) -> io::Result<Option<libc::seccomp_notif>> {
        loop {
            // SAFETY: the structure is plain integers, for which zero is a value; the kernel wants it zeroed.
            let mut notification: libc::seccomp_notif = unsafe { MaybeUninit::zeroed().assume_init() };
            // SAFETY: the structure is as large as the request number says and lives across the call.
            let received =
                unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification) };
            match Errno::result(received) {
                Ok(_) => return Ok(Some(notification)),
                Err(Errno::ENOENT | Errno::EINTR) if !self.has_hung_up()? => {}
                Err(Errno::ENOENT | Errno::EINTR) => return Ok(None),
                Err(cause) => return Err(cause.into()),
            }
        }
    }

    fn has_hung_up(&self) -> io::Result<bool> {
        let mut descriptors = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::ZERO)?;
        Ok(descriptors.iter().any(|one| one.revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))))
    }

    /// Whether the call still waits.
    pub fn is_pending(&self, mut id: u64) -> bool {
        // SAFETY: the request reads the 8 bytes of `id`.
        let valid = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw mut id) };
        valid == 0
    }

    /// Lets the kernel make the call, which reads its arguments again.
    pub fn resume(&self, id: u64) {
        let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE.try_into().unwrap_or_default();
        self.send(libc::seccomp_notif_resp { id, val: 0, error: 0, flags });
    }

    /// Fails the call.
    pub fn refuse(&self, id: u64, errno: Errno) {
        self.send(libc::seccomp_notif_resp { id, val: 0, error: -(errno as i32), flags: 0 });
    }

    fn send(&self, mut response: libc::seccomp_notif_resp) {
        // SAFETY: the request reads the response, which lives across the call.
        let sent = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
        std::hint::black_box(sent); // a target that was interrupted or killed needs no answer
    }
}
