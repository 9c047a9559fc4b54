// SPDX-License-Identifier: Apache-2.0
//! From the registers of a trapped call to an event type and a description of its arguments.
//!
//! Nothing here reads memory: a [`Layout`] says where each parameter of an event type comes from, and the event reads it
//! when a rule asks.

mod category;
mod credential;
mod descriptor;
mod exec;
mod flags;
mod memory;
mod open;
mod path;
mod pieces;
mod registers;
mod socket;
mod system;

use std::sync::LazyLock;

use policy::Meaning;
use rules::EventType;

pub(crate) use category::Category;
pub(crate) use exec::ExecParameter;
pub(crate) use flags::{
    Bits, Choices, Enumeration, Names,
    file::{MOUNT_BITS, OPEN_BITS, RESOLVE_BITS, open as open_bits},
    kept,
    process::{CLONE_BITS, EXEC_BITS},
    render as render_flags, render_mode, renumbered,
    socket::SOCKET_OPTIONS,
};
pub(crate) use open::Open;
pub(crate) use pieces::Pieces;
pub(crate) use registers::SOCK_PACKET;
pub(crate) use socket::{Message, RawAddress, SocketAddress};
pub(crate) use system::{clone_flags, mount_flags, node_mode};

use crate::target::{Target, Width};

/// One decoded call: its event type, its registers, and what they mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    event_type: EventType,
    layout: &'static Layout,
    arguments: [u64; 6],
    width: Width,
    is_x32: bool,
}

/// A notification that is no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// The number or its architecture is in no table.
    Unknown,
    /// A number that stands for several calls, and none of them is meant: the kernel refuses it with EINVAL.
    NoSuchCall,
}

/// What the registers of a call mean.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The system call, and the event type in all cases but one.
    pub(crate) name: &'static str,
    /// What `evt.category` goes by.
    pub(crate) category: Category,
    /// Where each parameter of the event type comes from, in the order of `evt.args`.
    pub(crate) sources: &'static [Source],
    /// What `fd.*` describes.
    pub(crate) subject: Subject,
}

/// What `fd.*` describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Nothing.
    None,
    /// The file that the call opens.
    Opened,
    /// The descriptor in a register.
    Descriptor(usize),
    /// The descriptor that the call makes of the one in a register.
    Duplicate(usize),
    /// A descriptor of this type that the call makes.
    Created(Made),
    /// The descriptor in the first register, a socket whose address the two given registers hold: pointer and length.
    Address(usize, usize),
    /// The descriptor in the first register, a socket; the given register points to a `struct msghdr`, or several, which may
    /// hold an address.
    Message(usize),
}

/// What a call makes that is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// A socket of the family in the first register.
    Socket,
    /// A program, a map or the like.
    Bpf,
    /// A handler of page faults.
    UserFault,
}

/// Where a parameter comes from; numbers are registers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// 0 or a negative errno.
    Outcome,
    /// The descriptor that the call returns, or a negative errno.
    NewDescriptor,
    /// A descriptor.
    Descriptor(usize),
    /// A path, relative to the descriptor in the first register, or to the working directory.
    Path(Option<usize>, usize),
    /// Text that is no path.
    Text(usize),
    /// Text in the first register, if the second one has one of these values.
    TextFor(usize, usize, &'static [u32]),
    /// The beginning of what is in memory: pointer and length.
    Bytes(usize, usize),
    /// A number of the parameter's type.
    Number(usize),
    /// A number with a sign, such as a task's, as the target numbers it.
    Signed(usize),
    /// A whole register.
    Long(usize),
    /// A number that prints in hexadecimal.
    Hex(usize),
    /// Bits with names, and no others.
    Named(usize, Names),
    /// Bits some of which have names.
    Whole(usize, Names),
    /// Flags of `mount`.
    MountFlags(usize),
    /// Bits with names and numbers of Falco's own.
    Renumbered(usize, Bits),
    /// A value with names, of which all equal ones print.
    Enumerated(usize, Names),
    /// The same of the lower half of the value.
    Short(usize, Names),
    /// The same of a value that has the last number where it has no name.
    Limited(usize, Names, u32),
    /// A value with names and numbers of Falco's own.
    Choice(usize, &'static Choices),
    /// The option of a socket: level and option.
    SocketOption(usize, usize),
    /// The second argument of prctl, as a number.
    ControlNumber,
    /// Open flags of `socket` and the like, in the kernel's numbers.
    CloseOnExec(usize),
    /// The same, as a number alone, in hexadecimal.
    SocketFlags(usize),
    /// Namespace and sharing bits of `unshare` and `setns`.
    CloneFlags(usize),
    /// Permission bits with names.
    Mode(usize),
    /// The same and a file's type.
    NodeMode(usize),
    /// User id.
    User(usize),
    /// Group id.
    Group(usize),
    /// The socket address that is the event's subject.
    Address,
    /// Both ends of the socket that is the event's subject.
    Tuple,
    /// What is sent: pointer and length; or what waits to be received.
    Data,
    /// Flags, mode and `resolve` of an open.
    OpenFlags,
    /// See [`Source::OpenFlags`].
    OpenMode,
    /// See [`Source::OpenFlags`].
    OpenResolve,
    /// Device number of the opened file.
    Device,
    /// Inode number of the opened file.
    Inode,
    /// Where `creat` finds the file.
    CreateFlags,
    /// State of the process after an exec.
    Exec(ExecParameter),
    /// Known only after the call.
    Unknown,
}

impl Source {
    /// The register of a parameter that is one of several named values, and those.
    pub(crate) fn enumeration(&self) -> Option<(usize, Enumeration)> {
        if let Self::Enumerated(register, names) = self {
            Some((*register, Enumeration::Same(names)))
        } else if let Self::Short(register, names) = self {
            Some((*register, Enumeration::Short(names)))
        } else if let Self::Limited(register, names, other) = self {
            Some((*register, Enumeration::Limited(names, *other)))
        } else if let Self::Choice(register, choices) = self {
            Some((*register, Enumeration::Renumbered(choices)))
        } else {
            None
        }
    }
}

static LAYOUTS: LazyLock<Vec<Option<&'static Layout>>> = LazyLock::new(|| {
    let mut table = vec![None; EventType::all().count()];
    let families = [
        open::LAYOUTS,
        exec::LAYOUTS,
        path::LAYOUTS,
        descriptor::LAYOUTS,
        socket::LAYOUTS,
        credential::LAYOUTS,
        memory::LAYOUTS,
        system::LAYOUTS,
    ];
    for layout in families.into_iter().flatten() {
        let slot = EventType::from_name(layout.name).and_then(|event_type| table.get_mut(event_type.index()));
        if let Some(slot) = slot {
            *slot = Some(layout);
        }
    }
    table
});

/// The parameters of watched calls that have no value before the kernel has run the call: event type and place.
pub(crate) fn unknown_parameters() -> impl Iterator<Item = (EventType, usize)> {
    policy::watchable().iter().collect::<Vec<_>>().into_iter().flat_map(|event_type| {
        let sources = Call::of_type(event_type).layout.sources;
        let parameters = 0..event_type.description().parameters.len();
        let is_unknown = move |place: &usize| matches!(sources.get(*place), None | Some(Source::Unknown));
        parameters.filter(is_unknown).map(move |place| (event_type, place))
    })
}

/// The types of watched calls that are events of another type, with that.
pub(crate) fn replaced_types() -> impl Iterator<Item = (EventType, EventType)> {
    let reported = |event_type| (event_type, Call::of_type(event_type).event_type());
    let types: Vec<_> = policy::watchable().iter().collect();
    types.into_iter().map(reported).filter(|(named, reported)| named != reported)
}

/// Messages that one call sends; the kernel leaves out more (`UIO_MAXIOV`).
const MAX_MESSAGES: u64 = 1024;

/// A call whose parameters nobody described: it matches by event type and process only.
static UNDESCRIBED: Layout = Layout { name: "", category: Category::Other, sources: &[], subject: Subject::None };

static EXECVE: LazyLock<Option<EventType>> = LazyLock::new(|| EventType::from_name("execve"));

/// A way past rules that no rule could judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dodge {
    /// No path leads to a file that is opened by its handle.
    OpenByHandle,
    /// Events of fanotify(7) bring descriptors of what others open.
    OpenByListener,
    /// A program of its control group answers and acts in its sockets' stead.
    Hooking,
    /// The task shows another program than the one that it runs.
    Posing,
}

impl Dodge {
    /// Whether it matters only where opens are performed.
    pub(crate) fn is_opening(self) -> bool {
        matches!(self, Self::OpenByHandle | Self::OpenByListener)
    }
}

impl Call {
    /// The call `number` of the architecture `arch` (both from `seccomp_data`). The arguments of i386's `socketcall` are
    /// read from the target's memory; they are 0 where it is unreadable.
    pub(crate) fn decode(
        arch: u32,
        number: i32,
        registers: [u64; 6],
        target: &Target<'_>,
    ) -> Result<Self, Undecodable> {
        let convention = policy::Arch::of(arch, number).ok_or(Undecodable::Unknown)?;
        let width = if convention.pointer_size() == 4 { Width::Four } else { Width::Eight };
        let [first, second, third, fourth, fifth, sixth] = registers;
        let (syscall, arguments) = match policy::lookup(arch, number).ok_or(Undecodable::Unknown)? {
            Meaning::Call(syscall) => (Some(syscall), registers),
            Meaning::SocketCall => (policy::socket_call(first), target.words(second).unwrap_or_default()),
            Meaning::Ipc => (policy::ipc_call(first), [second, third, fourth, fifth, sixth, 0]),
        };
        let syscall = syscall.ok_or(Undecodable::NoSuchCall)?;
        let is_x32 = convention == policy::Arch::X32;
        let has_short_ids = width == Width::Four && !is_x32;
        let arguments = if has_short_ids { registers::with_wide_ids(syscall, arguments) } else { arguments };
        Ok(Self { is_x32, ..Self::new(syscall.event_type, width, arguments) })
    }

    /// The call `call`, with the pointer width of its architecture.
    pub(crate) fn new(call: EventType, width: Width, arguments: [u64; 6]) -> Self {
        let layout = LAYOUTS.get(call.index()).copied().flatten().unwrap_or(&UNDESCRIBED);
        // *Falco:* a successful execveat is an `execve` (live oracle, execveat-fd), and every exec is judged as one that
        // succeeds: a rule on `execve` alone must not be evaded by the other call.
        let event_type = if layout.name == "execveat" { EXECVE.unwrap_or(call) } else { call };
        let arguments = registers::taken(layout.name, arguments);
        Self { event_type, layout, arguments, width, is_x32: false }
    }

    /// A call of this type with nothing in its registers.
    pub(crate) fn of_type(call: EventType) -> Self {
        Self::new(call, Width::Eight, [0; 6])
    }

    /// Whether the call receives or sends data. *Falco:* `sendfile`, which has none of its own, is of the category all the same.
    pub(crate) fn moves_data(&self) -> bool {
        matches!(self.layout.category, Category::Read | Category::Write) && self.layout.name != "sendfile"
    }

    /// The register of a call that moves data which may point to the other end's address.
    pub(crate) fn address_register(&self) -> Option<usize> {
        matches!(self.layout.name, "sendto" | "recvfrom").then_some(4)
    }

    /// Whether the call receives data.
    pub(crate) fn receives(&self) -> bool {
        self.layout.category == Category::Read
    }

    /// How many messages the call has (`__sys_sendmmsg` of the kernel's `socket.c`).
    pub(crate) fn messages(&self) -> u64 {
        if self.layout.name == "sendmmsg" { MAX_MESSAGES.min(self.word(2).into()) } else { 1 }
    }

    /// Whether the data of the call lies in pieces.
    pub(crate) fn is_scattered(&self) -> bool {
        matches!(self.layout.name, "sendmsg" | "sendmmsg" | "readv" | "preadv" | "writev" | "pwritev")
    }

    /// What rules are indexed by.
    pub(crate) fn event_type(&self) -> EventType {
        self.event_type
    }

    /// What the registers mean.
    pub(crate) fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// Bytes of a pointer in the target's memory.
    pub(crate) fn width(&self) -> Width {
        self.width
    }

    /// Whether the call came through x32, whose pointers have four bytes on a 64-bit processor.
    pub(crate) fn is_x32(&self) -> bool {
        self.is_x32
    }

    /// The event type's name, which is the call's in all cases but one.
    pub(crate) fn type_name(&self) -> &'static str {
        self.event_type.name()
    }

    /// A register as the kernel takes it; 0 for one that no call has.
    pub(crate) fn register(&self, index: usize) -> u64 {
        self.arguments.get(index).copied().unwrap_or(0)
    }

    /// A register as C's `int`: descriptors and flags, of which the kernel ignores the upper half.
    pub(crate) fn int(&self, index: usize) -> i32 {
        self.word(index).cast_signed()
    }

    /// The lower half of a register.
    pub(crate) fn word(&self, index: usize) -> u32 {
        u32::try_from(self.register(index) & u64::from(u32::MAX)).unwrap_or(0)
    }

    /// The sources of the call's path parameters, in the event type's order.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (Option<usize>, usize)> {
        self.layout.sources.iter().filter_map(|source| {
            if let Source::Path(directory, path) = source { Some((*directory, *path)) } else { None }
        })
    }

    /// How the call gets past rules, if it does.
    pub(crate) fn dodge(&self) -> Option<Dodge> {
        /// The latter is `FAN_REPORT_MNT`, whose listeners hear of mounts alone.
        const WITHOUT_DESCRIPTORS: u32 = policy::FAN_REPORT_FID | 0x4000;
        match self.type_name() {
            "open_by_handle_at" => Some(Dodge::OpenByHandle),
            "fanotify_init" if self.word(0) & WITHOUT_DESCRIPTORS == 0 => Some(Dodge::OpenByListener),
            "bpf" if policy::BPF_ATTACHING.contains(&self.word(0)) => Some(Dodge::Hooking),
            "prctl" if self.word(0) == policy::PR_SET_MM => Some(Dodge::Posing),
            _ => None,
        }
    }

    /// Whether the call fails where somebody has a file open that its task has closed, or tells of the close that is to come.
    pub(crate) fn needs_closed_files(&self) -> bool {
        self.is_mounting() || matches!(self.type_name(), "flock" | "inotify_add_watch")
    }

    /// Whether the call mounts a file system, unmounts it, or changes how it is mounted.
    pub(crate) fn is_mounting(&self) -> bool {
        policy::MOUNTING.contains(&self.type_name())
    }

    /// Whether the call opens a file by its path.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.layout.name, "open" | "openat" | "openat2" | "creat")
    }

    /// Whether the event describes a new program.
    pub(crate) fn is_exec(&self) -> bool {
        matches!(self.layout.name, "execve" | "execveat")
    }
}

#[cfg(test)]
mod tests;
