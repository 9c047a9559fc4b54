// SPDX-License-Identifier: Apache-2.0
//! Sockets with addresses of whatever family, as bytes.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// The attribute of sockfs, and room for its value (`name` of the kernel's `struct proto`).
const PROTOCOL_NAME: &CStr = c"system.sockprotoname";
const MAX_PROTOCOL_NAME: usize = 64;

/// Connects `socket` to `address`, a socket address of any family, or of none where it is too short.
pub(crate) fn connect(socket: BorrowedFd<'_>, address: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(address.len()).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: the call reads as many bytes as it is told from the slice, which lives across the call.
    let result = unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The kernel's own name of what a socket speaks, such as `UNIX-STREAM` or `TCPv6` (`sockfs_xattr_get` of its `socket.c`).
/// Programs of a control group, which a container may have attached, change what `getsockopt` says of the group's sockets,
/// and not this. For sockets alone: of another file its file system would be asked.
pub(crate) fn socket_protocol(socket: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut name = [0_u8; MAX_PROTOCOL_NAME];
    // SAFETY: the call reads the attribute's name, which ends in NUL, and writes as many bytes to `name` as it is told at most.
    let length =
        unsafe { libc::fgetxattr(socket.as_raw_fd(), PROTOCOL_NAME.as_ptr(), name.as_mut_ptr().cast(), name.len()) };
    let length = usize::try_from(length).map_err(|_negative| io::Error::last_os_error())?;
    Ok(name.iter().take(length).copied().take_while(|byte| *byte != 0).collect())
}
