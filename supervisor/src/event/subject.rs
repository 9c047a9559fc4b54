// SPDX-License-Identifier: Apache-2.0
//! What `fd.*` describes: the file that is opened, the descriptor that is used, or the address that is connected.

use std::{
    cell::{Cell, OnceCell},
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use nix::sys::stat::{FileStat, fstat};

use super::{CallEvent, resolve};
use crate::{
    decode::{Category, Made, Message, RawAddress, SocketAddress, Subject},
    enforce::{Located, Start},
    process::{Descriptor, Kind, Layer, Socket, is_marked, kernel_path, layer, overlook},
    target::ReadError,
};

/// Facts of the subject.
#[derive(Default)]
pub(super) struct SubjectFile {
    located: OnceCell<Arc<Located>>,
    aliases: OnceCell<Vec<Vec<u8>>>,
    real_names: OnceCell<Vec<Vec<u8>>>,
    search: Cell<Search>,
    found: OnceCell<Option<Found>>,
    descriptor: OnceCell<Option<Descriptor>>,
    raw_address: OnceCell<Result<RawAddress, ReadError>>,
    address: OnceCell<Option<SocketAddress>>,
    /// Which of several messages the event is about.
    message_place: Cell<u64>,
    message: OnceCell<Option<Message>>,
    socket: OnceCell<Option<Socket>>,
}

/// When the file of an open is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Search {
    /// When somebody asks for it.
    #[default]
    Now,
    /// Later, by whoever opens it; nobody has asked for it yet.
    Later,
    /// Later, and what was said of it until then counts for nothing.
    Missed,
}

/// The file that the path of an open names now.
struct Found {
    file: OwnedFd,
    /// A file system that a container serves may say nothing.
    facts: OnceCell<Option<FileStat>>,
}

impl Found {
    fn new(file: OwnedFd) -> Self {
        Self { file, facts: OnceCell::new() }
    }

    fn facts(&self) -> Option<FileStat> {
        *self.facts.get_or_init(|| fstat(&self.file).ok())
    }
}

impl CallEvent<'_> {
    /// The number that `fd.num` shows; -1 for an open that failed.
    pub(super) fn descriptor_number(&self) -> Option<i64> {
        match self.call.layout().subject {
            Subject::None => None,
            Subject::Opened | Subject::Created(_) => Some(self.result().max(-1)),
            Subject::Duplicate(_) => Some(self.result()),
            Subject::Descriptor(_) | Subject::Address(..) | Subject::Message(_) => {
                self.subject_register().map(|register| i64::from(self.call.int(register)))
            }
        }
    }

    /// The register with the descriptor that the call uses.
    fn subject_register(&self) -> Option<usize> {
        match self.call.layout().subject {
            Subject::None | Subject::Opened | Subject::Created(_) => None,
            Subject::Descriptor(register) | Subject::Duplicate(register) => Some(register),
            Subject::Address(..) | Subject::Message(_) => Some(0),
        }
    }

    /// The type of the subject; `None` where it is not open.
    pub(super) fn subject_kind(&self) -> Option<Kind> {
        match self.call.layout().subject {
            Subject::None => None,
            Subject::Opened | Subject::Created(_) if self.is_failed() => None,
            Subject::Opened => Some(self.opened_kind()),
            Subject::Created(made) => Some(self.made_kind(made)),
            Subject::Descriptor(_) | Subject::Duplicate(_) => {
                self.subject_descriptor().map(|descriptor| descriptor.kind)
            }
            // The address costs less than the socket, and a call with another family's fails.
            Subject::Address(..) | Subject::Message(_) => match self.valid_address() {
                Some(SocketAddress::Ip(address, _)) => Some(if address.is_ipv4() { Kind::Ipv4 } else { Kind::Ipv6 }),
                Some(SocketAddress::Unix(_)) => Some(Kind::Unix),
                Some(SocketAddress::Other(_)) => Some(Kind::Other),
                None => self.subject_socket().map(Socket::kind),
            },
        }
    }

    /// *Falco:* what an open makes is a directory if it says so, else a file, whatever is there.
    pub(super) fn opened_kind(&self) -> Kind {
        if self.open().is_some_and(|open| open.is_directory()) { Kind::Directory } else { Kind::File }
    }

    fn made_kind(&self, made: Made) -> Kind {
        match (made, self.call.int(0)) {
            (Made::Socket, libc::AF_INET) => Kind::Ipv4,
            (Made::Socket, libc::AF_INET6) => Kind::Ipv6,
            (Made::Socket, libc::AF_UNIX) => Kind::Unix,
            (Made::Socket, _) => Kind::Other,
            (Made::Bpf, _) => Kind::Bpf,
            (Made::UserFault, _) => Kind::UserFault,
        }
    }

    /// The open descriptor in the call's register.
    pub(super) fn subject_descriptor(&self) -> Option<&Descriptor> {
        let find = || self.descriptor(self.call.int(self.subject_register()?));
        self.file.descriptor.get_or_init(find).as_ref()
    }

    /// What an open descriptor of the caller is.
    pub(super) fn descriptor(&self, number: i32) -> Option<Descriptor> {
        self.held_descriptor(number).or_else(|| self.thread()?.descriptor(number))
    }

    /// The socket in the call's register.
    pub(super) fn subject_socket(&self) -> Option<&Socket> {
        let find = || self.held_socket().or_else(|| self.thread()?.socket(self.call.int(self.subject_register()?)));
        self.file.socket.get_or_init(find).as_ref()
    }

    /// The address in the target's memory; `None` where the call gives none.
    pub(crate) fn subject_address(&self) -> Option<&SocketAddress> {
        let parse = || {
            let address = self.raw_address()?.ok()?;
            address.parse_as(self.family_taken(address.family()?)?)
        };
        self.file.address.get_or_init(parse).as_ref()
    }

    /// The family that the socket takes an address for which says that it is of `family`; `None` where it ignores such a one.
    fn family_taken(&self, family: i32) -> Option<i32> {
        match (self.call.layout().name, family) {
            ("bind", libc::AF_INET) => Some(family),
            ("bind", _) => Some(self.subject_socket().map_or(family, |socket| socket.family_bound_to(family))),
            (_, libc::AF_UNSPEC) if self.call.layout().category == Category::Write => {
                self.subject_socket()?.family_sent_to()
            }
            _ => Some(family),
        }
    }

    /// The address that the kernel will use: it ignores one that is given with what a connected TCP socket sends
    /// (`tcp_sendmsg_locked` of Linux' `tcp.c`).
    pub(super) fn valid_address(&self) -> Option<&SocketAddress> {
        let given = self.subject_address()?;
        let is_connection = |socket: &Socket| socket.transport() == Some("tcp") && socket.is_connected();
        let is_ignored =
            self.call.layout().category == Category::Write && self.subject_socket().is_some_and(is_connection);
        (!is_ignored).then_some(given)
    }

    /// The given address as it was copied; an error where it is unreadable.
    pub(crate) fn raw_address(&self) -> Option<Result<RawAddress, ReadError>> {
        let (address, length) = match self.call.layout().subject {
            Subject::Address(address, length) => (self.call.register(address), self.call.register(length)),
            Subject::Message(_) => self.message()?.name,
            Subject::None | Subject::Opened | Subject::Created(_) | Subject::Descriptor(_) | Subject::Duplicate(_) => {
                return None;
            }
        };
        let read = || self.seen(RawAddress::read(&self.target, address, length));
        (address != 0).then(|| *self.file.raw_address.get_or_init(read))
    }

    /// What was read, and where memory could not be read, that something was overlooked: the kernel may read it all the same,
    /// since it also reads secret memory (`memfd_secret(2)`), and since another thread may map it by then. What is too
    /// long is so by a register, and the kernel refuses it. A connect is performed with what was read.
    fn seen<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        if matches!(read, Err(ReadError::Fault | ReadError::Refused(_))) && self.call.layout().name != "connect" {
            overlook();
        }
        read
    }

    /// Says which of the call's messages the event is about, if not the first.
    pub(crate) fn set_message(&self, place: u64) {
        self.file.message_place.set(place);
    }

    /// The header of the message that the event is about.
    pub(super) fn message(&self) -> Option<&Message> {
        let Subject::Message(register) = self.call.layout().subject else { return None };
        let place = self.file.message_place.get();
        if place >= self.call.messages() {
            return None;
        }
        let read =
            || self.seen(Message::read(&self.target, self.call.register(register), place, self.call.width())).ok();
        self.file.message.get_or_init(read).as_ref()
    }

    /// What `stat` says of the subject's file; for an open, of the file that the path names now.
    pub(super) fn subject_facts(&self) -> Option<FileStat> {
        match self.call.layout().subject {
            Subject::Opened => self.found()?.facts(),
            Subject::Descriptor(register) | Subject::Duplicate(register) => {
                let number = self.call.int(register);
                self.held_facts(number).or_else(|| self.thread()?.file_facts(&format!("fd/{number}")))
            }
            Subject::None | Subject::Created(_) | Subject::Address(..) | Subject::Message(_) => None,
        }
    }

    /// The overlay layer of the file that is opened.
    pub(super) fn subject_layer(&self) -> Option<Layer> {
        let found = self.found()?;
        layer(self.thread()?, &found.file, &kernel_path(&found.file, || self.near())?, self.context.root())
    }

    /// Whether the open will make a file: it may, and there is none yet.
    pub(super) fn creates(&self) -> bool {
        let Some(open) = self.open().filter(|_| !self.is_failed()) else { return false };
        open.is_unnamed() || (open.may_create() && self.found().is_none())
    }

    /// Says that the file will be looked for by whoever opens it. Until [`Self::end_search`] nothing is known of it.
    pub(crate) fn defer_file(&self) {
        self.file.search.set(Search::Later);
    }

    /// Whether anything was asked of the file before it was found.
    pub(crate) fn is_file_missed(&self) -> bool {
        self.file.search.get() == Search::Missed
    }

    /// Whether the file is still to be found; whoever asks this has missed it.
    fn misses_file(&self) -> bool {
        let is_missed = self.file.search.get() != Search::Now;
        if is_missed {
            self.file.search.set(Search::Missed);
        }
        is_missed
    }

    /// Makes known which file the call will open: the one that was found for the target, not one that is looked for again.
    /// Without one, it is looked for when somebody asks for it.
    pub(crate) fn end_search(&self, located: Option<Arc<Located>>) {
        if let Some(located) = located {
            self.file.located.get_or_init(|| located);
        }
        self.file.search.set(Search::Now);
    }

    /// Makes known which file the kernel opened by itself, and under which name.
    pub(crate) fn set_opened(&self, file: Arc<Located>, name: &[u8]) {
        self.set_path(name);
        self.end_search(Some(file));
    }

    /// Makes known which of the `names` that rules give a file are the found one's, too. Where nobody knows the root that they
    /// begin at, one of them may be, unseen.
    pub(crate) fn find_aliases(&self, located: &Located, names: &[String]) {
        match self.context.root() {
            Some(root) => _ = self.file.aliases.get_or_init(|| located.aliases(root, names)),
            None if names.is_empty() => {}
            None => overlook(),
        }
    }

    /// Names under which rules mean the file, beside its own.
    pub(super) fn aliases(&self) -> &[Vec<u8>] {
        self.file.aliases.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// The names that the file of an open really has, in the container's own view: the kernel's, and where that was removed,
    /// what it was.
    pub(super) fn real_names(&self) -> &[Vec<u8>] {
        // What is not looked for yet has no names, which is not to be remembered.
        if self.file.located.get().is_none() && self.misses_file() {
            return &[];
        }
        self.file.real_names.get_or_init(|| self.find_real_names())
    }

    fn find_real_names(&self) -> Vec<Vec<u8>> {
        let Some(name) = self.real_path() else { return Vec::new() };
        let removed = self.thread().filter(|_| is_marked(&name)).and_then(|thread| {
            let facts = fstat(self.found()?.file.as_fd()).ok();
            Some(thread.unmarked(name.clone(), facts.as_ref())).filter(|unmarked| *unmarked != name)
        });
        [name].into_iter().chain(removed).collect()
    }

    /// The name by the kernel; of a file that will be made, the name it will have.
    fn real_path(&self) -> Option<Vec<u8>> {
        match self.file.located.get().map(Arc::as_ref) {
            Some(Located::Missing { parent, name }) => {
                let directory = kernel_path(parent, || None)?;
                Some(super::join::join(&directory, name.to_bytes()).into_owned())
            }
            Some(Located::Failed(_)) => None,
            Some(Located::Existing { file, .. }) => kernel_path(file, || self.near()),
            None => kernel_path(&self.found()?.file, || self.near()),
        }
    }

    /// A directory that the path of an open starts from.
    fn near(&self) -> Option<OwnedFd> {
        let (register, _) = self.call.paths().next()?;
        let start = Start::of_descriptor(register.map_or(libc::AT_FDCWD, |register| self.call.int(register)));
        let held = self.handles().and_then(|handles| handles.start(start)?.try_clone_to_owned().ok());
        held.or_else(|| match start {
            Start::Descriptor(number) => self.thread()?.open_link(&format!("fd/{number}")),
            Start::WorkingDirectory | Start::Root => self.thread()?.open_link("cwd"),
        })
    }

    fn found(&self) -> Option<&Found> {
        if self.misses_file() {
            return None;
        }
        let find = || {
            match self.file.located.get().map(Arc::as_ref) {
                Some(Located::Existing { file, .. }) => {
                    return file.try_clone().ok().map(Found::new);
                }
                Some(Located::Missing { .. } | Located::Failed(_)) => return None,
                None => {}
            }
            let (directory, _) = self.call.paths().next()?;
            let path = self.raw_path(0)?;
            let base = if path.starts_with(b"/") { None } else { self.base(directory) };
            let file = resolve::resolve(self.thread()?, base.as_deref(), path)?;
            Some(Found::new(file))
        };
        self.file.found.get_or_init(find).as_ref()
    }
}
