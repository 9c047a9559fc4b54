// SPDX-License-Identifier: Apache-2.0
//! The two ends of the socket that a call is about, as far as they are known before the call, and the data it moves.

use std::borrow::Cow;

use rules::{FdField, Value};

use super::{CallEvent, call::owned};
use crate::{
    decode::{Pieces, SocketAddress, Subject},
    process::{End, Kind, Socket},
};

/// Bytes of data that are looked at: Falco's default of `snaplen`.
const MAX_DATA: usize = 80;
/// The bits of the second argument of socket(2) that name the type.
const SOCKET_TYPE: i32 = 0xf;
/// Where the ports begin that the kernel gives to clients (`net.ipv4.ip_local_port_range`).
const FIRST_CLIENT_PORT: u16 = 32_768;

impl CallEvent<'_> {
    /// Fields of the subject's ends.
    pub(super) fn address_field(&self, field: FdField) -> Option<Value<'_>> {
        use FdField as F;
        match field {
            F::Ip | F::Net => self.both(|(address, _)| Value::Ip(address)),
            F::Port | F::Proto => self.both(|(_, port)| Value::Uint(u64::from(port))),
            F::Cip | F::Cnet | F::Cport | F::Cproto => self.client().map(|end| end_value(field, end)),
            F::Sip | F::Snet | F::Sport | F::Sproto => self.server().map(|end| end_value(field, end)),
            // *Falco:* a socket without another end has no local one either, but a server's (live oracle, listen).
            F::Lip | F::Lnet | F::Lport | F::Lproto => {
                self.remote().and_then(|_| self.local()).map(|end| end_value(field, end))
            }
            F::Rip | F::Rnet | F::Rport | F::Rproto => self.remote().map(|end| end_value(field, end)),
            F::CipName => self.names(self.client()),
            F::SipName => self.names(self.server()),
            F::LipName => self.remote().and_then(|_| self.names(self.local())),
            F::RipName => self.names(self.remote()),
            F::IsServer => self.subject_socket().map(|_| Value::Bool(self.is_server())),
            F::Connected => self.subject_socket().map(|socket| Value::Bool(self.will_be_connected(socket))),
            F::NameChanged => self.subject_socket().map(|socket| Value::Bool(self.names_new_end(socket))),
            _ => None,
        }
    }

    /// `tcp`, `udp` or `raw`. *Falco:* of a new socket only `raw`.
    pub(super) fn transport(&self) -> Option<&'static str> {
        match self.call.layout().subject {
            Subject::Created(_) => {
                let is_raw = self.call.int(1) & SOCKET_TYPE == libc::SOCK_RAW;
                (is_raw && matches!(self.subject_kind()?, Kind::Ipv4 | Kind::Ipv6)).then_some("raw")
            }
            _ if self.is_socket() => self.subject_socket()?.transport(),
            _ => None,
        }
    }

    /// `client->server` of a connection, the server's end alone of one that waits or has no other end yet.
    pub(super) fn connection_name(&self) -> Option<Cow<'_, [u8]>> {
        if let Some(address @ (SocketAddress::Unix(_) | SocketAddress::Other(_))) = self.valid_address() {
            return address.render().map(Cow::Owned);
        }
        Ends { client: self.client(), server: self.server() }.name().map(Cow::Owned)
    }

    /// The beginning of what is sent, or of what waits to be received.
    pub(crate) fn data(&self) -> Option<Vec<u8>> {
        if self.call.receives() {
            let mut buffer = [0; MAX_DATA];
            let (length, _) = self.subject_socket()?.peek(&mut buffer)?;
            return buffer.get(..length).map(<[u8]>::to_vec);
        }
        let (address, length) = if self.call.is_scattered() {
            self.pieces()?.first(&self.target, self.call.width()).ok()?
        } else {
            (self.call.register(1), self.call.register(2))
        };
        self.bytes(address, length)
    }

    /// How much the call moves at most. What a message will bring stands in no register.
    pub(crate) fn data_length(&self) -> Option<u64> {
        if self.call.is_scattered() {
            return self.pieces()?.length(&self.target, self.call.width()).ok();
        }
        (!matches!(self.call.layout().name, "recvmsg" | "recvmmsg")).then(|| self.call.register(2))
    }

    fn pieces(&self) -> Option<Pieces> {
        match self.call.layout().subject {
            Subject::Message(_) => self.message().map(|message| message.pieces),
            _ => Some(Pieces { address: self.call.register(1), count: self.call.register(2) }),
        }
    }

    /// The beginning of what is in the target's memory.
    pub(super) fn bytes(&self, address: u64, length: u64) -> Option<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(length).unwrap_or(MAX_DATA).min(MAX_DATA)];
        self.target.exact(address, &mut buffer).ok()?;
        Some(buffer)
    }

    fn both(&self, value: impl Fn(End) -> Value<'static>) -> Option<Value<'_>> {
        let ends: Vec<_> = [self.client(), self.server()].into_iter().flatten().map(value).collect();
        (!ends.is_empty()).then_some(Value::Any(ends))
    }

    /// All names of an end. *Falco:* what has no other end has names only where there are some, so that `!=` does not hold.
    fn names(&self, end: Option<End>) -> Option<Value<'_>> {
        let names = self.context.names.of(end?.0);
        if names.is_empty() {
            self.remote()?;
        }
        Some(Value::Any(names.iter().map(|name| owned(name.as_bytes())).collect()))
    }

    fn client(&self) -> Option<End> {
        if self.is_server() { self.remote() } else { self.local() }
    }

    fn server(&self) -> Option<End> {
        if self.is_server() { self.local() } else { self.remote() }
    }

    fn given(&self) -> Option<End> {
        match self.valid_address()? {
            SocketAddress::Ip(address, port) => Some((*address, *port)),
            SocketAddress::Unix(_) | SocketAddress::Other(_) => None,
        }
    }

    fn local(&self) -> Option<End> {
        if self.call.layout().name == "bind" { self.given() } else { self.subject_socket()?.local() }
    }

    fn remote(&self) -> Option<End> {
        match self.call.layout().name {
            "bind" | "listen" | "accept" | "accept4" => None,
            _ => self.given().or_else(|| {
                let socket = self.subject_socket()?;
                let sender = || socket.peek(&mut [0; 1]).and_then(|(_, sender)| sender);
                socket.remote().or_else(|| if self.call.receives() { sender() } else { None })
            }),
        }
    }

    /// Whether the own end is the server's. Where the call does not say it, the end whose port is none of those that
    /// clients get is.
    fn is_server(&self) -> bool {
        match self.call.layout().name {
            "bind" | "listen" | "accept" | "accept4" => true,
            "connect" => false,
            _ if self.given().is_some() => false,
            _ => is_servers(self.local(), self.remote()),
        }
    }

    fn will_be_connected(&self, socket: &Socket) -> bool {
        self.call.layout().name == "connect" || socket.is_connected()
    }

    /// Whether the call gives the socket another end than it has: a connection, or a datagram to or from somebody new.
    fn names_new_end(&self, socket: &Socket) -> bool {
        match self.call.layout().name {
            "connect" => true,
            "accept" | "accept4" | "listen" => false,
            _ => !socket.is_connected() && (self.given().is_some() || self.wants_sender()),
        }
    }

    /// Whether the call asks from whom it receives.
    fn wants_sender(&self) -> bool {
        let asks = |register| self.call.register(register) != 0;
        self.call.layout().name == "recvmsg" || self.call.receives() && self.call.address_register().is_some_and(asks)
    }

    /// Whether the subject is a socket that exists already.
    pub(super) fn is_open_socket(&self) -> bool {
        !matches!(self.call.layout().subject, Subject::Created(_)) && self.is_socket()
    }

    /// Whether the subject is a socket.
    pub(super) fn is_socket(&self) -> bool {
        matches!(self.call.layout().subject, Subject::Address(..) | Subject::Message(_))
            || self.subject_kind().is_some_and(Kind::is_socket)
    }
}

/// The two ends of a socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) client: Option<End>,
    pub(super) server: Option<End>,
}

impl Ends {
    /// Those of a socket that no call is about.
    pub(super) fn of(socket: &Socket) -> Self {
        let (own, other) = (socket.local(), socket.remote());
        if is_servers(own, other) { Self { client: other, server: own } } else { Self { client: own, server: other } }
    }

    /// `client->server`, or the one end that is known.
    pub(super) fn name(self) -> Option<Vec<u8>> {
        let render = |(address, port): End| format!("{address}:{port}");
        let name = match (self.client, self.server) {
            (Some(client), Some(server)) => format!("{}->{}", render(client), render(server)),
            (None, Some(one)) | (Some(one), None) => render(one),
            (None, None) => return None,
        };
        Some(name.into_bytes())
    }
}

/// Whether a socket's own end is the server's, by its ports.
fn is_servers(own: Option<End>, other: Option<End>) -> bool {
    let port = |end: Option<End>| end.map(|(_, port)| port);
    let (own, other) = (port(own), port(other));
    own.is_some_and(|own| own < FIRST_CLIENT_PORT && other.is_none_or(|other| other >= FIRST_CLIENT_PORT))
}

fn end_value(field: FdField, (address, port): End) -> Value<'static> {
    use FdField as F;
    match field {
        F::Cport | F::Sport | F::Lport | F::Rport => Value::Uint(u64::from(port)),
        F::Cproto | F::Sproto | F::Lproto | F::Rproto => owned(port.to_string()),
        _ => Value::Ip(address),
    }
}
