// SPDX-License-Identifier: Apache-2.0
//! `connect`, performed for the target: on a descriptor of its own socket, with the address that was judged.
//!
//! A path is looked up as the target would, and the socket file that was found is reached by its handle.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::Arc,
};

use nix::sys::socket::{getsockopt, sockopt};
use serde::{Deserialize, Serialize};

use super::{
    handles::Handles,
    locate::Located,
    means::Residence,
    naming::Name,
    opener::errno,
    request::{OpenRequest, Start},
};
use crate::{decode::RawAddress, process::Socket, sys};

/// Where a connection leads, as the target gave it.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) address: Vec<u8>,
    /// The path in the address of a Unix socket.
    pub(crate) path: Option<Name>,
    protocol: Protocol,
}

/// What the socket speaks, as far as it matters who connects it, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// Nothing waits: a connect only says where to send.
    Datagrams,
    /// Unix, of whatever type: the other end of a stream gets to know who connected (`init_peercred` of the kernel's
    /// `unix/af_unix.c`), and which are streams it does not say everywhere.
    Unix,
    /// The address holds a descriptor's number.
    Tunnel,
    Other,
}

impl Protocol {
    fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        // Fails for everything but sockets.
        getsockopt(&socket, sockopt::AcceptConn)?;
        Ok(match &*sys::socket_protocol(socket)? {
            name if name.starts_with(b"UNIX") => Self::Unix,
            b"PPPOE" | b"PPPOL2TP" | b"PPTP" => Self::Tunnel,
            b"UDP" | b"UDPv6" | b"UDP-Lite" | b"UDPLITEv6" | b"RAW" | b"RAWv6" | b"PING" | b"PINGv6" | b"NETLINK"
            | b"PACKET" => Self::Datagrams,
            _ => Self::Other,
        })
    }
}

/// What is connected to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Peer {
    /// This address.
    Address(Vec<u8>),
    /// The socket file that comes with it.
    File,
}

/// A connection that can be made; see [`super::Means::approach`].
#[derive(Debug, Clone)]
pub(crate) struct Contact {
    pub(super) handles: Arc<Handles>,
    pub(super) address: Vec<u8>,
    pub(super) file: Option<Arc<Located>>,
    may_wait: bool,
}

impl Destination {
    /// The destination of a connect on `socket`; the errno of the call where that is none, or nobody can tell: a path must not
    /// be taken for an address, which the kernel would look up from our own root directory.
    pub(crate) fn new(address: Option<&RawAddress>, socket: BorrowedFd<'_>) -> Result<Self, i32> {
        let protocol = Protocol::of(socket).map_err(|error| errno(&error))?;
        if protocol == Protocol::Tunnel {
            // The descriptor would be one of ours (`pppol2tp_connect` of the kernel's `l2tp_ppp.c`).
            return Err(libc::EOPNOTSUPP);
        }
        let path = address.and_then(RawAddress::path).filter(|_| protocol == Protocol::Unix);
        let name = path.and_then(|path| Name::new(path, libc::AT_FDCWD));
        let address = address.map(|address| address.as_bytes().to_vec()).unwrap_or_default();
        Ok(Self { address, path: name, protocol })
    }

    /// Where whoever connects may live.
    pub(crate) fn residence(&self) -> Residence {
        if self.protocol == Protocol::Unix { Residence::Inside } else { Residence::Any }
    }

    /// The connection, with the socket's file where it has one.
    pub(super) fn contact(self, handles: Arc<Handles>, file: Option<Arc<Located>>) -> Contact {
        Contact { handles, address: self.address, file, may_wait: self.protocol != Protocol::Datagrams }
    }

    /// What the path starts from.
    pub(crate) fn start(path: &[u8]) -> Start {
        Start::of(path, libc::AT_FDCWD)
    }

    /// A look for the socket's file.
    pub(super) fn look(&self) -> Option<OpenRequest> {
        self.path.as_ref().map(|Name { start, path }| OpenRequest::to_look(*start, path.clone(), 0))
    }
}

impl Contact {
    /// Why the call fails before anything is connected.
    pub(super) fn failure(&self) -> Option<i32> {
        match self.file.as_deref() {
            Some(Located::Failed(errno)) => Some(*errno),
            Some(Located::Missing { .. }) => Some(libc::ENOENT),
            Some(Located::Existing { .. }) | None => None,
        }
    }

    pub(super) fn peer(&self) -> Peer {
        if self.file.is_some() { Peer::File } else { Peer::Address(self.address.clone()) }
    }

    pub(super) fn handle(&self) -> Option<BorrowedFd<'_>> {
        match self.file.as_deref() {
            Some(Located::Existing { file, .. }) => Some(file.as_fd()),
            Some(Located::Missing { .. } | Located::Failed(_)) | None => None,
        }
    }

    /// Whether the socket is connected now.
    pub(super) fn is_made(&self) -> bool {
        let socket = self.handles.socket().and_then(|socket| socket.try_clone_to_owned().ok());
        socket.and_then(Socket::of).is_some_and(|socket| socket.is_connected())
    }

    /// Whether connecting may wait for somebody else. That a socket does not block now says nothing: the target can change
    /// that at any time.
    pub(crate) fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// Whether the kernel would begin anew after a signal: not where the wait has a limit (signal(7)).
    pub(crate) fn restarts(&self) -> bool {
        let limit = self.handles.socket().and_then(|socket| getsockopt(&socket, sockopt::SendTimeout).ok());
        limit.is_none_or(|limit| limit.tv_sec() == 0 && limit.tv_usec() == 0)
    }
}

/// Connects, in the target's credentials.
pub(super) fn connect(socket: BorrowedFd<'_>, peer: &Peer, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    match (peer, file) {
        (Peer::Address(address), _) => sys::connect(socket, address),
        (Peer::File, Some(file)) => sys::connect(socket, &unix_address(file)),
        (Peer::File, None) => Err(io::Error::from_raw_os_error(libc::ENOENT)),
    }
}

/// The address of the socket that one of our descriptors leads to.
fn unix_address(file: BorrowedFd<'_>) -> Vec<u8> {
    let family = u16::try_from(libc::AF_UNIX).unwrap_or_default().to_ne_bytes();
    let path = format!("/proc/self/fd/{}\0", file.as_raw_fd());
    [family.as_slice(), path.as_bytes()].concat()
}

/// What a connect comes to that may have been made before by a supervisor that died on it.
pub(crate) fn forgive(result: Result<(), i32>) -> Result<(), i32> {
    match result {
        Err(libc::EISCONN) => Ok(()),
        Err(libc::EALREADY) => Err(libc::EINPROGRESS),
        other => other,
    }
}
