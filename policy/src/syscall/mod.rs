// SPDX-License-Identifier: Apache-2.0
//! System calls that Lanner can watch: their number on each architecture and their event type.

mod table;

use std::sync::LazyLock;

use rules::EventType;

use table::{IPC, IPC_CALLS, ROWS, SOCKET_CALLS, SOCKETCALL, UNWATCHABLE};

/// Set in the number of every x32 call, which otherwise reports the architecture of x86-64.
const X32_BIT: u32 = 0x4000_0000;

const AUDIT_ARCH_I386: u32 = 0x4000_0003;
const AUDIT_ARCH_X86_64: u32 = 0xC000_003E;
const AUDIT_ARCH_ARM: u32 = 0x4000_0028;
const AUDIT_ARCH_AARCH64: u32 = 0xC000_00B7;

/// Calling conventions that a kernel of the supported hosts accepts. The order is that of the table's number columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub enum Arch {
    X86_64,
    X32,
    I386,
    Aarch64,
    Arm,
}

/// A call that can be watched.
#[derive(Debug)]
pub struct Syscall {
    /// The kernel's and libseccomp's name.
    pub name: &'static str,
    /// What rules see it as.
    pub event_type: EventType,
    numbers: [Option<u16>; Arch::ALL.len()],
}

/// What a system call number means.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    /// One call.
    Call(&'static Syscall),
    /// The call that the first register names, see [`socket_call`]; its arguments are 32-bit words in memory, where the
    /// second register points to.
    SocketCall,
    /// The call that the lower half of the first register names, see [`ipc_call`].
    Ipc,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::X32, Self::I386, Self::Aarch64, Self::Arm];

    /// What `arch` and `nr` of a `seccomp_data` mean; `None` for conventions that no supported kernel has.
    pub fn of(audit_arch: u32, nr: i32) -> Option<Self> {
        match audit_arch {
            AUDIT_ARCH_X86_64 if nr.cast_unsigned() & X32_BIT != 0 => Some(Self::X32),
            AUDIT_ARCH_X86_64 => Some(Self::X86_64),
            AUDIT_ARCH_I386 => Some(Self::I386),
            AUDIT_ARCH_AARCH64 => Some(Self::Aarch64),
            AUDIT_ARCH_ARM => Some(Self::Arm),
            _ => None,
        }
    }

    /// The conventions that a kernel of the machine this was built for accepts, the native one first.
    pub fn of_host() -> &'static [Self] {
        if cfg!(target_arch = "aarch64") { &[Self::Aarch64, Self::Arm] } else { &[Self::X86_64, Self::I386, Self::X32] }
    }

    /// OCI's name in a profile's `architectures`.
    pub fn oci_name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X32 => "SCMP_ARCH_X32",
            Self::I386 => "SCMP_ARCH_X86",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// Bytes of a pointer inside argument memory, for instance of `argv`.
    pub fn pointer_size(self) -> usize {
        match self {
            Self::X86_64 | Self::Aarch64 => 8,
            Self::X32 | Self::I386 | Self::Arm => 4,
        }
    }

    fn column(self) -> usize {
        match self {
            Self::X86_64 => 0,
            Self::X32 => 1,
            Self::I386 => 2,
            Self::Aarch64 => 3,
            Self::Arm => 4,
        }
    }
}

impl Syscall {
    /// All of them, in the table's order.
    pub fn all() -> &'static [Self] {
        &SYSCALLS
    }

    /// The call with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|syscall| syscall.name == name)
    }

    /// Its `seccomp_data` number under `arch`, with x32's bit; `None` where that architecture has no such call.
    pub fn number(&self, arch: Arch) -> Option<i32> {
        let number = (*self.numbers.get(arch.column())?)?;
        let bit = if arch == Arch::X32 { X32_BIT } else { 0 };
        i32::try_from(u32::from(number) | bit).ok()
    }
}

/// Names of calls that exist and are never watched: the low-level runtime would hang in a container's start, or the
/// container would stand still.
pub(crate) fn unwatchable() -> &'static [&'static str] {
    UNWATCHABLE
}

/// The call that `arch` and `nr` of a `seccomp_data` mean, if Lanner can watch it. Constant time.
pub fn lookup(audit_arch: u32, nr: i32) -> Option<Meaning> {
    let arch = Arch::of(audit_arch, nr)?;
    let bit = if arch == Arch::X32 { X32_BIT } else { 0 };
    let number = nr.cast_unsigned() ^ bit;
    match arch {
        Arch::I386 if number == u32::from(SOCKETCALL) => return Some(Meaning::SocketCall),
        Arch::I386 if number == u32::from(IPC) => return Some(Meaning::Ipc),
        Arch::X86_64 | Arch::X32 | Arch::I386 | Arch::Aarch64 | Arch::Arm => {}
    }
    let call = *BY_NUMBER.get(arch.column())?.get(usize::try_from(number).ok()?)?;
    call.map(Meaning::Call)
}

/// The call that the first register of [`Meaning::SocketCall`] names.
pub fn socket_call(register: u64) -> Option<&'static Syscall> {
    let place = usize::try_from(register).ok()?.checked_sub(1)?;
    Syscall::named(SOCKET_CALLS.get(place)?)
}

/// The call that the first register of [`Meaning::Ipc`] names; its upper half is a version.
pub fn ipc_call(register: u64) -> Option<&'static Syscall> {
    let (_, name) = IPC_CALLS.iter().find(|(number, _)| u64::from(*number) == register & 0xffff)?;
    Syscall::named(name)
}

/// Whether [`Meaning::SocketCall`] can stand for the call of this name.
pub(crate) fn is_socket_call(name: &str) -> bool {
    SOCKET_CALLS.contains(&name)
}

/// Whether [`Meaning::Ipc`] can stand for the call of this name.
pub(crate) fn is_ipc_call(name: &str) -> bool {
    IPC_CALLS.iter().any(|(_, call)| *call == name)
}

static SYSCALLS: LazyLock<Vec<Syscall>> = LazyLock::new(|| {
    let syscall = |row: &table::Row| {
        let event_type = EventType::from_name(row.event)?;
        Some(Syscall { name: row.name, event_type, numbers: row.numbers })
    };
    ROWS.iter().filter_map(syscall).collect()
});

/// Dense tables by architecture and number; a few KiB, built once.
static BY_NUMBER: LazyLock<[Vec<Option<&'static Syscall>>; Arch::ALL.len()]> =
    LazyLock::new(|| Arch::ALL.map(numbers_of));

fn numbers_of(arch: Arch) -> Vec<Option<&'static Syscall>> {
    let mut table = Vec::new();
    for syscall in Syscall::all() {
        let Some(number) = syscall.numbers.get(arch.column()).copied().flatten() else { continue };
        let index = usize::from(number);
        if table.len() <= index {
            table.resize(index + 1, None);
        }
        if let Some(slot) = table.get_mut(index) {
            *slot = Some(syscall);
        }
    }
    table
}

#[cfg(test)]
mod tests;
