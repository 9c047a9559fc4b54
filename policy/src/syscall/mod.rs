// SPDX-License-Identifier: Apache-2.0
//! System calls that Lanner can watch: their number on each architecture, their event type and their family.

mod table;

use std::sync::LazyLock;

use rules::EventType;

use table::ROWS;

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
    /// How its arguments are read.
    pub family: Family,
}

/// How a call's arguments are read; one handler of the supervisor each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `(path, argv, envp)`
    Execve,
    /// `(dirfd, path, argv, envp, flags)`
    Execveat,
    /// `(path, flags, mode)`
    Open,
    /// `(dirfd, path, flags, mode)`
    Openat,
    /// `(dirfd, path, struct open_how *, size)`
    Openat2,
    /// `(path, mode)`; flags are `O_CREAT|O_WRONLY|O_TRUNC`
    Creat,
    /// `(entries, struct io_uring_params *)`
    IoUringSetup,
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

    /// Its `seccomp_data` number under `arch`, with x32's bit; `None` where that architecture has no such call.
    pub fn number(&self, arch: Arch) -> Option<i32> {
        let row = ROWS.iter().find(|row| row.name == self.name)?;
        let number = (*row.numbers.get(arch.column())?)?;
        let bit = if arch == Arch::X32 { X32_BIT } else { 0 };
        i32::try_from(u32::from(number) | bit).ok()
    }
}

/// The call that `arch` and `nr` of a `seccomp_data` mean, if Lanner can watch it. Constant time.
pub fn lookup(audit_arch: u32, nr: i32) -> Option<&'static Syscall> {
    let arch = Arch::of(audit_arch, nr)?;
    let bit = if arch == Arch::X32 { X32_BIT } else { 0 };
    let index = usize::try_from(nr.cast_unsigned() ^ bit).ok()?;
    *BY_NUMBER.get(arch.column())?.get(index)?
}

static SYSCALLS: LazyLock<Vec<Syscall>> = LazyLock::new(|| {
    let syscall = |row: &table::Row| {
        let event_type = EventType::from_name(row.name)?;
        Some(Syscall { name: row.name, event_type, family: row.family })
    };
    ROWS.iter().filter_map(syscall).collect()
});

/// Dense tables by architecture and number; a few KiB, built once.
static BY_NUMBER: LazyLock<[Vec<Option<&'static Syscall>>; Arch::ALL.len()]> =
    LazyLock::new(|| Arch::ALL.map(numbers_of));

fn numbers_of(arch: Arch) -> Vec<Option<&'static Syscall>> {
    let mut table = Vec::new();
    for syscall in Syscall::all() {
        let row = ROWS.iter().find(|row| row.name == syscall.name);
        let Some(number) = row.and_then(|row| *row.numbers.get(arch.column())?) else { continue };
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
