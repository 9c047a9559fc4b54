// SPDX-License-Identifier: Apache-2.0
//! What a call is called by its type and descriptor, and whose failures count as what.

use std::{
    fs::File,
    net::UdpSocket,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixDatagram,
    },
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags},
    eventfd::EventFd,
    inotify::{InitFlags, Inotify},
    memfd::{MFdFlags, memfd_create},
    signal::SigSet,
    signalfd::SignalFd,
    timerfd::{ClockId, TimerFd, TimerFlags},
};

use super::{context, network::own, text};

const CLOSED: u64 = 1 << 20;

/// Calls of which Falco says what kind their descriptor is, and the register with that.
const ON_DESCRIPTORS: &[(&str, usize)] = &[
    ("readv", 0),
    ("preadv", 0),
    ("recvfrom", 0),
    ("writev", 0),
    ("pwritev", 0),
    ("sendfile", 0),
    ("ioctl", 0),
    ("dup", 0),
    ("dup2", 0),
    ("dup3", 0),
    ("splice", 2),
    ("io_uring_enter", 0),
    ("io_uring_register", 0),
];

#[test]
fn what_is_done_to_a_descriptor_is_called_by_what_that_is() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let (file, directory) = (File::open("/dev/null").unwrap(), File::open("/").unwrap());
    let (inet, unix) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UnixDatagram::unbound().unwrap());
    let event = EventFd::new().unwrap();
    let signal = SignalFd::new(&SigSet::empty()).unwrap();
    let inotify = Inotify::init(InitFlags::empty()).unwrap();
    let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::empty()).unwrap();
    let memory: OwnedFd = memfd_create(c"m", MFdFlags::empty()).unwrap();
    let cases: [(BorrowedFd<'_>, &str); 11] = [
        (file.as_fd(), "file"),
        (directory.as_fd(), "file"),
        (inet.as_fd(), "net"),
        (unix.as_fd(), "ipc"),
        (reader.as_fd(), "ipc"),
        (event.as_fd(), "ipc"),
        (signal.as_fd(), "ipc"),
        (inotify.as_fd(), "ipc"),
        (epoll.0.as_fd(), "unknown"),
        (timer.as_fd(), "unknown"),
        (memory.as_fd(), "unknown"),
    ];
    let cases = cases.map(|(descriptor, expected)| (u64::try_from(descriptor.as_raw_fd()).unwrap(), expected));
    let context = context();
    for (call, register) in ON_DESCRIPTORS {
        for (descriptor, expected) in cases.into_iter().chain([(CLOSED, "unknown")]) {
            let mut registers = [0; 6];
            registers[*register] = descriptor;
            let event = own(&context, call, registers);
            let kind = text(&event, "fd.type");
            assert_eq!(text(&event, "evt.category").as_deref(), Some(expected), "{call} on {kind:?}");
        }
    }
    for call in ["close_range", "io_uring_setup"] {
        assert_eq!(text(&own(&context, call, [0; 6]), "evt.category").as_deref(), Some("unknown"), "{call}");
    }
}

#[test]
fn a_failure_counts_by_its_descriptor_and_without_one_by_its_call() {
    let (file, inet, unix) =
        (File::open("/dev/null").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap(), UnixDatagram::unbound().unwrap());
    let event = EventFd::new().unwrap();
    let [file, inet, unix, event] = [file.as_fd(), inet.as_fd(), unix.as_fd(), event.as_fd()]
        .map(|descriptor| u64::try_from(descriptor.as_raw_fd()).unwrap());
    let context = context();
    for (call, register, expected) in [
        ("openat", 0, "file"),
        ("open_by_handle_at", 0, "file"),
        ("fchmod", file, "file"),
        ("fchmod", CLOSED, "other"),
        ("ioctl", inet, "net"),
        ("listen", unix, "net"),
        ("ioctl", event, "other"),
        ("unlink", 0, "other"),
        ("accept", CLOSED, "net"),
        ("accept4", event, "net"),
        ("socket", 2, "other"),
        ("mlock", 0, "memory"),
        ("setuid", 0, "other"),
    ] {
        let fields = ["file", "net", "memory", "other"];
        let failed = own(&context, call, [register, 0, 0, 0, 0, 0]);
        failed.set_result(-1);
        let counted = fields.map(|kind| text(&failed, &format!("evt.count.error.{kind}")).is_some());
        assert_eq!(counted, fields.map(|kind| kind == expected), "{call}");
        assert_eq!(text(&failed, "evt.count.error").as_deref(), Some("1"), "{call}");
        let done = own(&context, call, [register, 0, 0, 0, 0, 0]);
        done.set_result(0);
        // One that made a descriptor is of that one's kind.
        let expected = if call == "socket" { "net" } else { expected };
        assert_eq!(text(&done, &format!("evt.count.error.{expected}")).as_deref(), Some("0"), "{call}");
        assert_eq!(text(&done, "evt.count.error").as_deref(), Some("0"), "{call}");
    }
}
