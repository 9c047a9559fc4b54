// SPDX-License-Identifier: Apache-2.0
//! Calls on sockets: layouts, and addresses in argument memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Category, Layout, Made, Pieces, Source,
    Source::{
        Address, Choice, CloseOnExec, Data, Descriptor, Limited, NewDescriptor, Number, Outcome, SocketFlags,
        SocketOption, Tuple, Unknown,
    },
    Subject,
    flags::socket::{FAMILIES, OTHER_FAMILY, OTHER_SHUTDOWN, SHUTDOWNS, SOCKET_LEVELS},
};
use crate::target::{ReadError, Target, Width};

/// `struct sockaddr_storage`: the kernel refuses longer addresses in registers (`move_addr_to_kernel` of `net/socket.c`), and
/// cuts those of messages.
const MAX_ADDRESS: usize = 128;
/// `sun_path` (unix(7)).
const MAX_UNIX_PATH: usize = 108;

const fn layout(name: &'static str, sources: &'static [Source], subject: Subject) -> Layout {
    Layout { name, category: Category::Net, sources, subject }
}

/// Another layout of a call that moves data.
const fn moving(name: &'static str, category: Category, sources: &'static [Source], subject: Subject) -> Layout {
    Layout { name, category, sources, subject }
}

pub(super) static LAYOUTS: &[Layout] = &[
    layout(
        "socket",
        &[NewDescriptor, Limited(0, FAMILIES, OTHER_FAMILY), Number(1), Number(2), CloseOnExec(1)],
        Subject::Created(Made::Socket),
    ),
    Layout {
        category: Category::Ipc,
        ..layout(
            "socketpair",
            &[Outcome, Unknown, Unknown, Unknown, Unknown, Limited(0, FAMILIES, OTHER_FAMILY), Number(1), Number(2)],
            Subject::None,
        )
    },
    layout("getsockname", &[], Subject::None),
    layout("getpeername", &[], Subject::None),
    layout("shutdown", &[Outcome, Descriptor(0), Limited(1, SHUTDOWNS, OTHER_SHUTDOWN)], Subject::Descriptor(0)),
    layout(
        "setsockopt",
        &[Outcome, Descriptor(0), Choice(1, &SOCKET_LEVELS), SocketOption(1, 2), Unknown, Number(4)],
        Subject::Descriptor(0),
    ),
    layout(
        "getsockopt",
        &[Outcome, Descriptor(0), Choice(1, &SOCKET_LEVELS), SocketOption(1, 2), Unknown, Unknown],
        Subject::Descriptor(0),
    ),
    layout("connect", &[Outcome, Tuple, Descriptor(0), Address], Subject::Address(1, 2)),
    layout("bind", &[Outcome, Address, Descriptor(0)], Subject::Address(1, 2)),
    layout("listen", &[Outcome, Descriptor(0), Number(1)], Subject::Descriptor(0)),
    layout("accept", &[NewDescriptor, Tuple, Unknown, Unknown, Unknown], Subject::Descriptor(0)),
    layout("accept4", &[NewDescriptor, Tuple, Unknown, Unknown, Unknown, SocketFlags(3)], Subject::Descriptor(0)),
    moving("send", Category::Write, &[Outcome, Data, Descriptor(0), Number(2), Tuple], Subject::Descriptor(0)),
    moving("sendto", Category::Write, &[Outcome, Data, Descriptor(0), Number(2), Tuple], Subject::Address(4, 5)),
    moving("sendmsg", Category::Write, &[Outcome, Data, Descriptor(0), Unknown, Tuple], Subject::Message(1)),
    // *Falco:* has an event for each message.
    moving("sendmmsg", Category::Write, &[Outcome, Descriptor(0), Unknown, Data, Tuple], Subject::Message(1)),
    moving("recv", Category::Read, &[Outcome, Data, Descriptor(0), Number(2), Tuple], Subject::Descriptor(0)),
    moving("recvfrom", Category::Read, &[Outcome, Data, Tuple, Descriptor(0), Number(2)], Subject::Descriptor(0)),
    // *Falco:* has an event for each message.
    moving(
        "recvmmsg",
        Category::Read,
        &[Outcome, Descriptor(0), Unknown, Data, Tuple, Unknown],
        Subject::Descriptor(0),
    ),
    moving("recvmsg", Category::Read, &[Outcome, Unknown, Data, Tuple, Unknown, Descriptor(0)], Subject::Descriptor(0)),
];

/// `struct msghdr`, as far as it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    /// Address and length of the name; 0 where there is none.
    pub(crate) name: (u64, u64),
    /// What is sent.
    pub(crate) pieces: Pieces,
}

impl Message {
    /// The message header at `place` of an array at `address`: each is a `struct mmsghdr`, eight words long.
    pub(crate) fn read(target: &Target<'_>, address: u64, place: u64, width: Width) -> Result<Self, ReadError> {
        let words = Words { target, width };
        let offset = u64::try_from(width.bytes()).ok().and_then(|bytes| place.checked_mul(8 * bytes));
        let address = offset.and_then(|offset| address.checked_add(offset)).ok_or(ReadError::Fault)?;
        // name, its length in 32 bits, pieces, their count
        let (name, name_length) = (words.at(address, 0)?, words.at(address, 1)? & u64::from(u32::MAX));
        let pieces = Pieces { address: words.at(address, 2)?, count: words.at(address, 3)? };
        Ok(Self { name: (name, if name == 0 { 0 } else { cut(name_length) }), pieces })
    }
}

/// The length of a message's name as the kernel takes it: it cuts what is too long, and refuses what is negative
/// (`__copy_msghdr` of `net/socket.c`, `__get_compat_msghdr` of `net/compat.c`).
fn cut(length: u64) -> u64 {
    if length > i32::MAX.unsigned_abs().into() { length } else { length.min(MAX_ADDRESS as u64) }
}

/// Memory as words of the target's width.
struct Words<'a> {
    target: &'a Target<'a>,
    width: Width,
}

impl Words<'_> {
    fn at(&self, address: u64, index: u64) -> Result<u64, ReadError> {
        let mut raw = [0; 8];
        let bytes = self.width.bytes();
        let offset = index * u64::try_from(bytes).unwrap_or(8);
        let address = address.checked_add(offset).ok_or(ReadError::Fault)?;
        self.target.exact(address, raw.get_mut(..bytes).unwrap_or_default())?;
        Ok(u64::from_le_bytes(raw))
    }
}

/// A socket address as it lies in the target's memory, copied once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawAddress {
    bytes: [u8; MAX_ADDRESS],
    length: usize,
}

impl RawAddress {
    /// The `length` bytes at `address`.
    pub(crate) fn read(target: &Target<'_>, address: u64, length: u64) -> Result<Self, ReadError> {
        let mut raw = Self { bytes: [0; MAX_ADDRESS], length: 0 };
        raw.length = usize::try_from(length & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        target.exact(address, raw.bytes.get_mut(..raw.length).ok_or(ReadError::TooLong)?)?;
        Ok(raw)
    }

    /// All of it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The path in the address of a Unix socket, as the kernel reads it; `None` for every other address.
    pub(crate) fn path(&self) -> Option<&[u8]> {
        let path = self.as_bytes().get(2..)?;
        let is_path = self.family() == Some(libc::AF_UNIX)
            && path.len() <= MAX_UNIX_PATH
            && path.first().is_some_and(|byte| *byte != 0);
        is_path.then(|| path.split(|byte| *byte == 0).next().unwrap_or_default())
    }

    /// The family that it says it is of.
    pub(crate) fn family(&self) -> Option<i32> {
        Some(i32::from(u16::from_ne_bytes(*self.as_bytes().first_chunk()?)))
    }

    /// What the kernel reads in it where a socket takes it for one of `family`; `None` where it is too short for that, which
    /// the kernel refuses.
    pub(crate) fn parse_as(&self, family: i32) -> Option<SocketAddress> {
        SocketAddress::parse(family, self.as_bytes())
    }
}

/// A socket address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum SocketAddress {
    /// IPv4 or IPv6.
    Ip(IpAddr, u16),
    /// A path, or an abstract name behind a NUL byte.
    Unix(Vec<u8>),
    /// A family that rules do not look into.
    Other(i32),
}

impl SocketAddress {
    fn parse(family: i32, raw: &[u8]) -> Option<Self> {
        let port = || Some(u16::from_be_bytes(raw.get(2..4)?.try_into().ok()?));
        match family {
            libc::AF_INET => {
                let bytes: [u8; 4] = raw.get(4..8)?.try_into().ok()?;
                Some(Self::Ip(IpAddr::V4(Ipv4Addr::from(bytes)), port()?))
            }
            libc::AF_INET6 => {
                let bytes: [u8; 16] = raw.get(8..24)?.try_into().ok()?;
                // One of IPv4 in the clothes of IPv6 counts as what it is, as in Falco (`parse_connect_exit` of parsers.cpp).
                Some(Self::Ip(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical(), port()?))
            }
            libc::AF_UNIX => Some(Self::Unix(unix_name(raw.get(2..)?))),
            _ => Some(Self::Other(family)),
        }
    }

    /// Falco's form: `127.0.0.1:80`, `::1:80`, a path.
    pub(crate) fn render(&self) -> Option<Vec<u8>> {
        match self {
            Self::Ip(address, port) => Some(format!("{address}:{port}").into_bytes()),
            Self::Unix(name) => Some(name.clone()),
            Self::Other(_) => None,
        }
    }
}

/// A path ends at its NUL; an abstract name, which begins with one, is shown with `@` as everywhere else.
fn unix_name(raw: &[u8]) -> Vec<u8> {
    match raw.split_first() {
        Some((0, name)) => [b"@", name].concat(),
        _ => raw.split(|byte| *byte == 0).next().unwrap_or_default().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &[u8], expected: Option<&[u8]>) {
        let mut address = RawAddress { bytes: [0; MAX_ADDRESS], length: raw.len() };
        address.bytes[..raw.len()].copy_from_slice(raw);
        let parsed = address.family().and_then(|family| address.parse_as(family));
        assert_eq!(parsed.and_then(|address| address.render()).as_deref(), expected);
    }

    #[test]
    fn addresses_print_as_falco_prints_them() {
        check(&[2, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], Some(b"127.0.0.1:9"));
        let mut six = [0; 28];
        (six[0], six[3], six[23]) = (10, 9, 1);
        check(&six, Some(b"::1:9"));
        (six[18], six[19], six[20]) = (0xff, 0xff, 169);
        check(&six, Some(b"169.0.0.1:9"));
        check(b"\x01\0/tmp/none.sock\0", Some(b"/tmp/none.sock"));
        check(b"\x01\0\0abstract", Some(b"@abstract"));
        check(&[2, 0, 0], None);
        check(&[], None);
    }
}
