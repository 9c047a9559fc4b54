// SPDX-License-Identifier: Apache-2.0
//! A socket of a task, asked through a second descriptor of it: family, ends, and what waits in its queue.
#![expect(clippy::wildcard_enum_match_arm, reason = "rules know three of forty families")]

use std::{
    io::IoSliceMut,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockname, getsockopt, recvmsg,
    sockopt,
};

use super::{Kind, Process};
use crate::sys;

/// An end of a connection.
pub(crate) type End = (IpAddr, u16);

/// A socket that a task has open, or had open when it was asked for.
#[derive(Debug)]
pub(crate) struct Socket {
    descriptor: OwnedFd,
    /// Falco's family, which is that of the own address.
    family: AddressFamily,
    /// The kernel's.
    domain: AddressFamily,
}

impl Process {
    /// The socket `number` of the task; `None` for anything else.
    pub(crate) fn socket(&self, number: i32) -> Option<Socket> {
        Socket::of(self.duplicate(number)?)
    }
}

impl Socket {
    /// The socket behind a descriptor of ours; `None` for anything else.
    pub(crate) fn of(descriptor: OwnedFd) -> Option<Self> {
        // Fails for everything but sockets, and tells the family even of unbound ones.
        let own: SockaddrStorage = getsockname(descriptor.as_raw_fd()).ok()?;
        // Falco's type of a socket is that of its addresses (`parse_connect_exit` of parsers.cpp).
        let is_ipv4 = end(&own).is_some_and(|(address, _)| address.is_ipv4());
        let domain = own.family()?;
        let family = if is_ipv4 { AddressFamily::Inet } else { domain };
        Some(Self { descriptor, family, domain })
    }

    /// Falco's type of the descriptor.
    pub(crate) fn kind(&self) -> Kind {
        match self.family {
            AddressFamily::Inet => Kind::Ipv4,
            AddressFamily::Inet6 => Kind::Ipv6,
            AddressFamily::Unix => Kind::Unix,
            _ => Kind::Other,
        }
    }

    /// `tcp`, `udp`, `raw`; `None` where there is no transport of these.
    pub(crate) fn transport(&self) -> Option<&'static str> {
        if !matches!(self.family, AddressFamily::Inet | AddressFamily::Inet6) {
            return None;
        }
        match getsockopt(&self.descriptor.as_fd(), sockopt::SockType).ok()? {
            SockType::Stream => Some("tcp"),
            SockType::Datagram => Some("udp"),
            SockType::Raw => Some("raw"),
            _ => None,
        }
    }

    /// The family that the socket takes an address for which it sends to and which says none; `None` where it ignores such an
    /// address. That of IPv6 differs by protocol (`udpv6_sendmsg`, `rawv6_sendmsg` and `l2tp_ip6_sendmsg` of the kernel), of
    /// IPv4 all that take it read it as an address of IPv4 (`udp_sendmsg`, `raw_sendmsg`, `l2tp_ip_sendmsg`).
    pub(crate) fn family_sent_to(&self) -> Option<i32> {
        match self.domain {
            AddressFamily::Inet => Some(libc::AF_INET),
            AddressFamily::Inet6 => (!self.protocol()?.starts_with(b"UDP")).then_some(libc::AF_INET6),
            _ => None,
        }
    }

    /// The family that the socket takes an address for which it is bound to and which says that it is of `family`: raw ones of
    /// IPv4 do not look at that (`raw_bind` of the kernel), others of IPv4 let none stand for their own (`__inet_bind`).
    pub(crate) fn family_bound_to(&self, family: i32) -> i32 {
        let is_taken = self.domain == AddressFamily::Inet
            && (family == libc::AF_UNSPEC || self.protocol().is_some_and(|name| name == b"RAW"));
        if is_taken { libc::AF_INET } else { family }
    }

    /// The name of what it speaks.
    fn protocol(&self) -> Option<Vec<u8>> {
        sys::socket_protocol(self.descriptor.as_fd()).ok()
    }

    /// The own end, unless it is not bound to anything yet.
    pub(crate) fn local(&self) -> Option<End> {
        end(&getsockname::<SockaddrStorage>(self.descriptor.as_raw_fd()).ok()?).filter(|(_, port)| *port != 0)
    }

    /// The other end of a connected socket.
    pub(crate) fn remote(&self) -> Option<End> {
        end(&getpeername::<SockaddrStorage>(self.descriptor.as_raw_fd()).ok()?)
    }

    /// Whether the socket has another end, of whatever family.
    pub(crate) fn is_connected(&self) -> bool {
        getpeername::<SockaddrStorage>(self.descriptor.as_raw_fd()).is_ok()
    }

    /// The beginning of what the next receive would get, and who sent it; nothing is taken from the queue, and nothing
    /// is waited for. An error that waits for the program stays there: a look would take it (`sock_error` of the kernel's
    /// `sock.h`), so that none is made.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> Option<(usize, Option<End>)> {
        let mut looked = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
        poll(&mut looked, PollTimeout::ZERO).ok()?;
        looked[0].revents().filter(|events| *events & (PollFlags::POLLIN | PollFlags::POLLERR) == PollFlags::POLLIN)?;
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let mut pieces = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(self.descriptor.as_raw_fd(), &mut pieces, None, flags).ok()?;
        Some((message.bytes, message.address.as_ref().and_then(end)))
    }
}

fn end(address: &SockaddrStorage) -> Option<End> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::from((address.ip(), address.port())));
    let v6 = || address.as_sockaddr_in6().map(|address| SocketAddr::from((address.ip(), address.port())));
    v4.or_else(v6).map(|address| (address.ip().to_canonical(), address.port()))
}
