// SPDX-License-Identifier: Apache-2.0
//! Sockets with addresses of whatever family, as bytes.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Connects `socket` to `address`, a socket address of any family, or of none where it is too short.
pub(crate) fn connect(socket: BorrowedFd<'_>, address: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(address.len()).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: the call reads as many bytes as it is told from the slice, which lives across the call.
    let result = unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The family of a socket (`SO_DOMAIN`, socket(7)), whoever holds its lock.
pub(crate) fn socket_domain(socket: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    let mut domain: libc::c_int = 0;
    let mut size = libc::socklen_t::try_from(size_of_val(&domain)).unwrap_or_default();
    let place = std::ptr::from_mut(&mut domain).cast();
    // SAFETY: the call writes at most `size` bytes to `domain`, and the number of them to `size`; both live across the call.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_DOMAIN, place, &raw mut size) };
    if result == 0 { Ok(domain) } else { Err(io::Error::last_os_error()) }
}
