// SPDX-License-Identifier: Apache-2.0
//! Calls that open a file: their layouts, and flags and mode in Falco's own numbers.

use super::{
    Call, Category, Layout, Source,
    Source::{CreateFlags, Descriptor, Device, Inode, NewDescriptor, OpenFlags, OpenMode, OpenResolve, Path},
    Subject,
    flags::file::open as bits,
};
use crate::target::{ReadError, Target};

const fn layout(name: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category: Category::File, sources, subject: Subject::Opened }
}

pub(super) static LAYOUTS: &[Layout] = &[
    layout("open", &[NewDescriptor, Path(None, 0), OpenFlags, OpenMode, Device, Inode]),
    layout("openat", &[NewDescriptor, Descriptor(0), Path(Some(0), 1), OpenFlags, OpenMode, Device, Inode]),
    layout(
        "openat2",
        &[NewDescriptor, Descriptor(0), Path(Some(0), 1), OpenFlags, OpenMode, OpenResolve, Device, Inode],
    ),
    layout("creat", &[NewDescriptor, Path(None, 0), OpenMode, Device, Inode, CreateFlags]),
    layout("open_by_handle_at", &[NewDescriptor, Descriptor(0), OpenFlags, Source::Unknown, Device, Inode]),
];

/// What an open asks for, in the kernel's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Open {
    /// `O_*`; `None` for `creat`, whose flags are fixed and which Falco gives none.
    pub(crate) flags: Option<u64>,
    /// Permission bits of a new file; 0 where the kernel ignores them.
    pub(crate) mode: u32,
    /// The mode as `openat2` was given it; of the other calls the same as `mode`.
    pub(crate) whole_mode: u64,
    /// `RESOLVE_*` of `openat2`.
    pub(crate) resolve: u64,
}

impl Open {
    /// Flags and mode of a call that opens; `None` for any other call.
    pub(crate) fn of(call: &Call, target: &Target<'_>) -> Option<Result<Self, ReadError>> {
        let registers = |flags: usize, mode: usize| Self::from_registers(call.word(flags), call.word(mode));
        Some(Ok(match call.layout().name {
            "open" => registers(1, 2),
            "openat" => registers(2, 3),
            "open_by_handle_at" => Self { mode: 0, ..registers(2, 3) },
            "creat" => {
                let mode = call.word(1) & MODE_BITS;
                Self { flags: None, mode, whole_mode: mode.into(), resolve: 0 }
            }
            "openat2" => return Some(Self::from_memory(call.register(2), call.register(3), target)),
            _ => return None,
        }))
    }

    fn from_registers(flags: u32, mode: u32) -> Self {
        let open = Self { flags: Some(u64::from(flags)), mode, whole_mode: 0, resolve: 0 }.without_unused_mode();
        Self { whole_mode: open.mode.into(), ..open }
    }

    /// `struct open_how`: three words of 64 bits; a longer one must end in zeros.
    fn from_memory(address: u64, size: u64, target: &Target<'_>) -> Result<Self, ReadError> {
        let mut raw = [[0; 8]; 3];
        let length = usize::try_from(size).unwrap_or(usize::MAX).min(24);
        target.exact(address, raw.as_flattened_mut().get_mut(..length).unwrap_or_default())?;
        let [flags, mode, resolve] = raw.map(u64::from_le_bytes);
        let low = u32::try_from(mode & u64::from(u32::MAX)).unwrap_or(0);
        Ok(Self { flags: Some(flags), mode: low, whole_mode: mode, resolve }.without_unused_mode())
    }

    fn without_unused_mode(mut self) -> Self {
        self.mode = if self.may_create() { self.mode & MODE_BITS } else { 0 };
        self
    }

    /// Whether a new file may come into being.
    pub(crate) fn may_create(&self) -> bool {
        self.flags.is_none_or(|flags| has(flags, libc::O_CREAT) || has(flags, libc::O_TMPFILE))
    }

    /// Whether an unnamed file is made.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.flags.is_some_and(|flags| has(flags, libc::O_TMPFILE))
    }

    /// Whether only a directory may be opened; true for unnamed files too, whose path is a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.flags.is_some_and(|flags| has(flags, libc::O_DIRECTORY))
    }

    /// Whether reading is asked for; *Falco:* `creat` is none of the opens that this and [`Self::writes`] know, and what asks
    /// for neither reading nor writing (both bits, which the kernel wants the rights to both for) reads
    /// (`open_flags_to_scap` of `flags_table.h`).
    pub(crate) fn reads(&self) -> bool {
        self.flags.is_some_and(|flags| access(flags) != libc::O_WRONLY)
    }

    /// Whether writing is asked for.
    pub(crate) fn writes(&self) -> bool {
        self.flags.is_some_and(|flags| matches!(access(flags), libc::O_WRONLY | libc::O_RDWR))
    }

    /// The flags in Falco's numbers, which the text of `evt.arg.flags` follows.
    pub(crate) fn falco_flags(&self) -> u32 {
        let flags = self.flags.unwrap_or(0);
        let access = match access(flags) {
            libc::O_WRONLY => bits::WRITE,
            libc::O_RDWR => bits::READ | bits::WRITE,
            _ => bits::READ,
        };
        // *Falco:* tests any bit of O_TMPFILE, which contains O_DIRECTORY (live oracle, open-dir), and of O_SYNC, which
        // contains O_DSYNC.
        let is_set = |(theirs, _): &&(i32, u32)| flags & u64::from(theirs.cast_unsigned()) != 0;
        FALCO_BITS.iter().filter(is_set).fold(access, |all, (_, ours)| all | ours)
    }

    /// `RESOLVE_*` in Falco's numbers.
    pub(crate) fn falco_resolve(&self) -> u32 {
        RESOLVE_BITS.iter().filter(|(theirs, _)| self.resolve & theirs != 0).fold(0, |all, (_, ours)| all | ours)
    }
}

/// What the kernel keeps of a mode: permissions, set-id bits, sticky bit.
const MODE_BITS: u32 = 0o7777;

/// The kernel's `O_LARGEFILE`; the C library of a processor with 64 bits has none.
const LARGE: i32 = if cfg!(target_arch = "x86_64") { 0o10_0000 } else { 0o40_0000 };

const FALCO_BITS: [(i32, u32); 12] = [
    (LARGE, bits::LARGE),
    (libc::O_TMPFILE, bits::UNNAMED),
    (libc::O_CREAT, bits::CREATE),
    (libc::O_APPEND, bits::APPEND),
    (libc::O_DSYNC, bits::DATA_SYNC),
    (libc::O_EXCL, bits::EXCLUSIVE),
    (libc::O_NONBLOCK, bits::NONBLOCK),
    (libc::O_SYNC, bits::SYNC),
    (libc::O_TRUNC, bits::TRUNCATE),
    (libc::O_DIRECT, bits::DIRECT),
    (libc::O_DIRECTORY, bits::DIRECTORY),
    (libc::O_CLOEXEC, bits::CLOSE_ON_EXEC),
];

const RESOLVE_BITS: [(u64, u32); 6] = [
    (libc::RESOLVE_BENEATH, 1),
    (libc::RESOLVE_IN_ROOT, 2),
    (libc::RESOLVE_NO_MAGICLINKS, 4),
    (libc::RESOLVE_NO_SYMLINKS, 8),
    (libc::RESOLVE_NO_XDEV, 16),
    (0x20, 32),
];

fn has(flags: u64, all_of: i32) -> bool {
    let bits = u64::from(all_of.cast_unsigned());
    flags & bits == bits
}

fn access(flags: u64) -> i32 {
    i32::try_from(flags & 3).unwrap_or(libc::O_ACCMODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_what_falco_says_it_is() {
        for (flags, expected) in [
            (libc::O_RDONLY, (true, false, bits::READ)),
            (libc::O_WRONLY, (false, true, bits::WRITE)),
            (libc::O_RDWR, (true, true, bits::READ | bits::WRITE)),
            (libc::O_ACCMODE, (true, false, bits::READ)),
            (libc::O_ACCMODE | libc::O_TRUNC, (true, false, bits::READ | bits::TRUNCATE)),
            (libc::O_DSYNC, (true, false, bits::READ | bits::DATA_SYNC | bits::SYNC)),
            (libc::O_DIRECTORY | LARGE, (true, false, bits::READ | bits::DIRECTORY | bits::UNNAMED | bits::LARGE)),
        ] {
            let open = Open { flags: Some(u64::from(flags.cast_unsigned())), ..Open::default() };
            assert_eq!((open.reads(), open.writes(), open.falco_flags()), expected, "{flags:o}");
        }
    }
}
