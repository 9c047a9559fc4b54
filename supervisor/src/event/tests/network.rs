// SPDX-License-Identifier: Apache-2.0
//! What is said of sockets that a call uses or waits for, and of data that lies in pieces: calls of this test itself.

use std::{
    fs::File,
    io::IoSlice,
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use ::rules::{LoadOptions, Loader};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::{PENDING, context, text};
use crate::{
    decode::{Call, Pieces},
    event::{CallEvent, Context},
    process::unseen,
    target::{ReadError, Target, Width},
};

const OURSELVES: fn() -> Target<'static> =
    || Target::new(u32::try_from(nix::unistd::gettid().as_raw()).unwrap(), PENDING);

/// A call of this test.
pub(super) fn own<'a>(context: &'a Context, name: &str, arguments: [u64; 6]) -> CallEvent<'a> {
    let event_type = ::rules::EventType::from_name(name).unwrap();
    let call = Call::new(event_type, Width::Eight, arguments);
    CallEvent::new(context, call, OURSELVES(), context.clock.tick())
}

fn address<T>(items: &[T]) -> u64 {
    u64::try_from(items.as_ptr().addr()).unwrap()
}

fn number(descriptor: &impl AsRawFd) -> u64 {
    u64::try_from(descriptor.as_raw_fd()).unwrap()
}

/// A server with a client. The port is below those that clients get, as servers' are.
fn connection() -> (TcpListener, TcpStream, TcpStream) {
    let listener = (20_000..30_000).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    (listener, client, accepted)
}

/// The fields of one call; none where a field is absent.
#[track_caller]
fn check(event: &CallEvent<'_>, expected: &[(&str, Option<&str>)]) {
    for (field, expected) in expected {
        assert_eq!(text(event, field).as_deref(), *expected, "{field}");
    }
}

#[test]
fn a_poll_lists_what_it_waits_for() {
    let (listener, client, accepted) = connection();
    let file = File::open("/etc/hostname").unwrap();
    let descriptors = [listener.as_raw_fd(), client.as_raw_fd(), accepted.as_raw_fd(), file.as_raw_fd(), -1, 1 << 20];
    let polled: Vec<[i32; 2]> = descriptors.iter().map(|descriptor| [*descriptor, 1]).collect();
    let (server, own) = (listener.local_addr().unwrap(), client.local_addr().unwrap());
    let numbers = descriptors.map(|descriptor| descriptor.to_string()).join(",");
    let names = format!("{server},{own}->{server},{own}->{server},/etc/hostname,<NA>,<NA>");
    let (client_ports, server_ports) = (format!("{0},{0}", own.port()), format!("{0},{0}", server.port()));
    let context = context();
    for call in ["poll", "ppoll"] {
        check(
            &own_poll(&context, call, address(&polled), polled.len()),
            &[
                ("fdlist.nums", Some(&numbers)),
                ("fdlist.names", Some(&names)),
                ("fdlist.cips", Some("127.0.0.1,127.0.0.1")),
                ("fdlist.sips", Some("127.0.0.1,127.0.0.1,127.0.0.1")),
                ("fdlist.cports", Some(&client_ports)),
                ("fdlist.sports", Some(&server_ports)),
                ("evt.category", Some("wait")),
                ("fd.num", None),
            ],
        );
    }
    let files: Vec<[i32; 2]> = vec![[file.as_raw_fd(), 1]; 40];
    let sixteen = vec![file.as_raw_fd().to_string(); 16].join(",");
    let only = own_poll(&context, "poll", address(&files), files.len());
    check(&only, &[("fdlist.nums", Some(&sixteen)), ("fdlist.cips", None), ("fdlist.sports", None)]);
    let absent = [("fdlist.nums", None), ("fdlist.names", None), ("fdlist.sips", None)];
    check(&own_poll(&context, "poll", 0, 3), &absent);
    check(&own_poll(&context, "poll", address(&files), 0), &absent);
    check(&own_poll(&context, "select", address(&files), 1), &absent);
}

fn own_poll<'a>(context: &'a Context, name: &str, address: u64, count: usize) -> CallEvent<'a> {
    own(context, name, [address, u64::try_from(count).unwrap(), 0, 0, 0, 0])
}

#[test]
fn what_is_written_is_counted_by_what_it_is_written_to() {
    let (_listener, client, _accepted) = connection();
    let file = tempfile::tempfile().unwrap();
    let pieces = [IoSlice::new(b"abc"), IoSlice::new(b"defg")];
    let header = [0, 0, address(&pieces), 2, 0, 0, 0];
    let (file, socket) = (number(&file), number(&client));
    let context = context();
    let cases = [
        ("writev", [file, address(&pieces), 2, 0, 0, 0], [Some("7"), Some("7"), Some("7"), None]),
        ("pwritev", [file, address(&pieces), 1, 0, 0, 0], [Some("3"), Some("3"), Some("3"), None]),
        ("writev", [socket, address(&pieces), 2, 0, 0, 0], [Some("7"), Some("7"), None, Some("7")]),
        ("writev", [file, 0, 2, 0, 0, 0], [None; 4]),
        ("writev", [file, address(&pieces), 1025, 0, 0, 0], [None; 4]),
        ("sendto", [socket, 0, 5, 0, 0, 0], [Some("5"), Some("5"), None, Some("5")]),
        ("sendmsg", [socket, address(&header), 0, 0, 0, 0], [Some("7"), Some("7"), None, Some("7")]),
        ("recvfrom", [socket, 0, 5, 0, 0, 0], [Some("5"), None, None, None]),
        ("recvmsg", [socket, address(&header), 9, 0, 0, 0], [None; 4]),
        ("openat", [0; 6], [None; 4]),
    ];
    for (call, arguments, expected) in cases {
        let event = own(&context, call, arguments);
        let fields = ["evt.buflen", "evt.buflen.out", "evt.buflen.file.out", "evt.buflen.net.out"];
        let seen = fields.map(|field| text(&event, field));
        assert_eq!(seen.each_ref().map(Option::as_deref), expected, "{call} {arguments:?}");
    }
    let event = own(&context, "writev", [file, address(&pieces), 2, 0, 0, 0]);
    check(&event, &[("evt.buffer", Some("abc")), ("evt.is_io_write", Some("true")), ("fd.type", Some("file"))]);
}

#[test]
fn pieces_of_32_bit_programs_are_half_as_large() {
    let pieces: [u32; 6] = [1, 20, 2, 3, 4, 7];
    let read = |count| Pieces { address: address(&pieces), count }.length(&OURSELVES(), Width::Four);
    assert_eq!((read(0), read(2), read(3)), (Ok(0), Ok(23), Ok(30)));
    let first = |count| Pieces { address: address(&pieces), count }.first(&OURSELVES(), Width::Four);
    assert_eq!((first(0), first(3)), (Ok((0, 0)), Ok((1, 20))));
    assert_eq!(read(1025), Err(ReadError::TooLong));
}

/// `struct sockaddr_in`.
fn socket_address([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [2, 0, 1, 187, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]
}

#[test]
fn an_address_that_a_connection_ignores_is_not_seen() {
    let (listener, client, _accepted) = connection();
    let name = format!("{}->{}", client.local_addr().unwrap(), listener.local_addr().unwrap());
    let elsewhere = socket_address([192, 0, 2, 7]);
    let path = *b"\x01\0/path\0\0\0\0\0\0\0\0\0";
    let context = context();
    for given in [elsewhere, path] {
        let header = [address(&given), 16, 0, 0, 0, 0, 0];
        let calls = [
            ("sendto", [number(&client), 0, 5, 0, address(&given), 16]),
            ("sendmsg", [number(&client), address(&header), 0, 0, 0, 0]),
        ];
        for (call, arguments) in calls {
            let event = own(&context, call, arguments);
            check(&event, &[("fd.name", Some(&name)), ("fd.type", Some("ipv4")), ("fd.sip", Some("127.0.0.1"))]);
        }
    }
}

#[test]
fn an_address_has_the_names_that_rules_compare_it_with() {
    let (listener, client, accepted) = connection();
    let file = File::open("/etc/hostname").unwrap();
    let (known, unknown) = (socket_address([192, 0, 2, 7]), socket_address([192, 0, 2, 8]));
    let context = context();
    let names: [(Arc<str>, Vec<IpAddr>); 3] = [
        ("www.test".into(), vec![Ipv4Addr::new(192, 0, 2, 7).into()]),
        ("api.test".into(), vec![Ipv4Addr::new(192, 0, 2, 7).into(), Ipv4Addr::new(192, 0, 2, 9).into()]),
        ("me.test".into(), vec![Ipv4Addr::LOCALHOST.into()]),
    ];
    context.names.replace(names.iter().map(|(name, addresses)| (name, addresses.as_slice())));
    let (me, none, both) = (Some("me.test"), Some(""), Some("api.test,www.test"));
    let new = UdpSocket::bind("127.0.0.1:0").unwrap();
    let cases = [
        ("sendto", [number(&client), 0, 5, 0, 0, 0], [me, me, me, me]),
        ("sendto", [number(&client), 0, 5, 0, address(&known), 16], [me, me, me, me]),
        ("sendto", [number(&new), 0, 5, 0, address(&known), 16], [me, both, me, both]),
        ("recvfrom", [number(&accepted), 0, 5, 0, 0, 0], [me, me, me, me]),
        ("connect", [number(&new), address(&known), 16, 0, 0, 0], [me, both, me, both]),
        ("connect", [number(&new), address(&unknown), 16, 0, 0, 0], [me, none, me, none]),
        ("listen", [number(&listener), 1, 0, 0, 0, 0], [None, me, None, None]),
        ("bind", [number(&new), address(&unknown), 16, 0, 0, 0], [None; 4]),
        ("fchdir", [number(&file), 0, 0, 0, 0, 0], [None; 4]),
    ];
    for (call, arguments, expected) in cases {
        let event = own(&context, call, arguments);
        let seen = ["fd.cip.name", "fd.sip.name", "fd.lip.name", "fd.rip.name"].map(|field| text(&event, field));
        assert_eq!(seen.each_ref().map(Option::as_deref), expected, "{call} {arguments:?}");
    }
    let rule = |name: &str, check: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: evt.type = connect and {check}\n  output: at %fd.sip.name\n  priority: INFO\n"
        )
    };
    let file_text = [
        rule("named", "fd.sip.name in (www.test, other.test)"),
        rule("other", "fd.sip.name != www.test"),
        rule("excluded", "not fd.sip.name = www.test"),
    ]
    .concat();
    let mut loader = Loader::new(LoadOptions::default());
    loader.add("r.yaml", file_text.as_bytes());
    let rules = loader.finish().ruleset.unwrap();
    assert_eq!(rules.named_addresses(), ["other.test", "www.test"]);
    for (destination, expected) in
        [(&known, vec!["named at api.test www.test"]), (&unknown, vec!["other at <NA>", "excluded at <NA>"])]
    {
        let event = own(&context, "connect", [number(&new), address(destination), 16, 0, 0, 0]);
        let mut found = Vec::new();
        rules.evaluate(&event, &mut |rule| {
            let mut line = format!("{} ", rule.name());
            rule.output().render(&event, &mut line);
            found.push(line);
        });
        assert_eq!(found, expected);
    }
}

/// A name of a message in memory that is longer than any address is cut by the kernel; a negative length it refuses, as it
/// refuses an address in registers that is too long.
#[test]
fn an_address_is_read_as_far_as_the_kernel_reads_it() {
    let mut long = [0; 200];
    long[..16].copy_from_slice(&socket_address([192, 0, 2, 7]));
    let new = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (context, seen) = (context(), Some("192.0.2.7"));
    let negative = u64::from(u32::MAX);
    for (length, message, registers) in [
        (16, seen, seen),
        (128, seen, seen),
        (129, seen, None),
        (200, seen, None),
        (negative, None, None),
        (3, None, None),
    ] {
        let header = [address(&long), length, 0, 0, 0, 0, 0];
        let sendmsg = own(&context, "sendmsg", [number(&new), address(&header), 0, 0, 0, 0]);
        let sendto = own(&context, "sendto", [number(&new), 0, 5, 0, address(&long), length]);
        let before = unseen();
        assert_eq!(text(&sendmsg, "fd.rip").as_deref(), message, "{length}");
        assert_eq!(text(&sendto, "fd.rip").as_deref(), registers, "{length}");
        assert_eq!(unseen(), before, "{length}");
    }
}

/// Nobody knows what the kernel reads where nothing is mapped yet.
#[test]
fn an_address_that_cannot_be_read_is_overlooked() {
    let new = UdpSocket::bind("127.0.0.1:0").unwrap();
    let context = context();
    let header = [8_u64, 16, 0, 0, 0, 0, 0];
    for (call, arguments, overlooked) in [
        ("sendto", [number(&new), 0, 5, 0, 8, 16], 1),
        ("sendto", [number(&new), 0, 5, 0, 0, 16], 0),
        ("sendmsg", [number(&new), address(&header), 0, 0, 0, 0], 1),
        ("sendmsg", [number(&new), 8, 0, 0, 0, 0], 1),
        ("bind", [number(&new), 8, 16, 0, 0, 0], 1),
        ("connect", [number(&new), 8, 16, 0, 0, 0], 0),
    ] {
        let (event, before) = (own(&context, call, arguments), unseen());
        check(&event, &[("fd.rip", None), ("fd.sip.name", None)]);
        assert_eq!(unseen() - before, overlooked, "{call} {arguments:?}");
    }
}

#[test]
fn an_address_of_no_family_is_one_of_its_sockets() {
    // 10.0.0.1 of IPv4, ::1 of IPv6, of the family in front.
    let given = |family: u8| {
        let mut bytes = [0; 28];
        bytes[..8].copy_from_slice(&[family, 0, 1, 187, 10, 0, 0, 1]);
        bytes[23] = 1;
        bytes
    };
    let raw = |family| socket(family, SockType::Raw, SockFlag::empty(), SockProtocol::Raw).unwrap();
    let udp = |name| OwnedFd::from(UdpSocket::bind(name).unwrap());
    let four = [udp("127.0.0.1:0"), raw(AddressFamily::Inet)];
    let six = [udp("[::1]:0"), raw(AddressFamily::Inet6)];
    let (context, none, other) = (context(), given(0), given(40));
    let (ipv4, ipv6) = (Some("10.0.0.1"), Some("::1"));
    for (name, socket, address_given, expected) in [
        ("sendto", &four[0], &none, ipv4),
        ("sendto", &four[1], &none, ipv4),
        ("sendto", &six[0], &none, None),
        ("sendto", &six[1], &none, ipv6),
        ("sendto", &four[1], &other, None),
        ("bind", &four[0], &none, ipv4),
        ("bind", &four[0], &other, None),
        ("bind", &four[1], &none, ipv4),
        ("bind", &four[1], &other, ipv4),
        ("bind", &six[0], &none, None),
        ("bind", &six[1], &other, None),
        ("connect", &four[0], &none, None),
    ] {
        let start = address(address_given);
        let arguments =
            if name == "sendto" { [number(socket), 0, 5, 0, start, 28] } else { [number(socket), start, 28, 0, 0, 0] };
        let event = own(&context, name, arguments);
        let field = if name == "bind" { "fd.sip" } else { "fd.rip" };
        assert_eq!(text(&event, field).as_deref(), expected, "{name} {socket:?} {}", address_given[0]);
    }
}

#[test]
fn each_of_several_messages_has_its_own_address_and_data() {
    let new = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (one, two) = (socket_address([192, 0, 2, 7]), socket_address([192, 0, 2, 8]));
    let pieces = [IoSlice::new(b"abc"), IoSlice::new(b"defg")];
    let headers = [
        [address(&one), 16, address(&pieces), 1, 0, 0, 0, 0],
        [address(&two), 16, address(&pieces[1..]), 1, 0, 0, 0, 0],
    ];
    let context = context();
    let arguments = [number(&new), address(&headers), 1 << 32 | 2, 0, 0, 0];
    assert_eq!(own(&context, "sendmmsg", arguments).call().messages(), 2);
    for (place, [ip, data, length]) in [(0, ["192.0.2.7", "abc", "3"]), (1, ["192.0.2.8", "defg", "4"])] {
        let event = own(&context, "sendmmsg", arguments);
        event.set_message(place);
        check(&event, &[("fd.sip", Some(ip)), ("evt.buffer", Some(data)), ("evt.buflen", Some(length))]);
        check(&event, &[("fd.type", Some("ipv4")), ("fd.sport", Some("443")), ("evt.category", Some("net"))]);
    }
    assert_eq!(own(&context, "sendmmsg", [number(&new), 0, 5000, 0, 0, 0]).call().messages(), 1024);
    // No message is sent, and none is looked at.
    let before = unseen();
    assert_eq!(own(&context, "sendmmsg", [number(&new), 0x10, 0, 0, 0, 0]).subject_address(), None);
    assert_eq!(unseen(), before);
    assert_eq!(own(&context, "sendmsg", arguments).call().messages(), 1);
}
