// SPDX-License-Identifier: Apache-2.0
//! The private copy of an open's arguments, checked as the kernel checks them before it looks at the path.

use std::ffi::CString;

use serde::{Deserialize, Serialize};

use crate::{
    decode::{Call, Open},
    sys::OpenHow,
    target::{ReadError, Target, Width},
};

/// Where a relative path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Start {
    /// The path is absolute.
    Root,
    /// The working directory.
    WorkingDirectory,
    /// A descriptor of the target.
    Descriptor(i32),
}

impl Start {
    /// Where `path` starts that is given with this descriptor, or `AT_FDCWD`.
    pub(super) fn of(path: &[u8], descriptor: i32) -> Self {
        if path.starts_with(b"/") { Self::Root } else { Self::of_descriptor(descriptor) }
    }

    /// Where a relative path starts.
    pub(crate) fn of_descriptor(descriptor: i32) -> Self {
        if descriptor == libc::AT_FDCWD { Self::WorkingDirectory } else { Self::Descriptor(descriptor) }
    }
}

/// A path up to and with its last slash, and the name behind that.
pub(super) fn cut(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1))
}

/// An open as the target asked for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OpenRequest {
    pub(crate) start: Start,
    pub(crate) path: CString,
    /// Flags, mode and `RESOLVE_*`, without what the kernel ignores.
    pub(crate) how: OpenHow,
    /// Whether files that need more than 31 bits for their size are refused (open(2), `O_LARGEFILE`).
    pub(crate) is_small_file: bool,
    /// Whether the flags must be shown to the kernel before the path counts.
    checks_flags: bool,
}

/// Why an open cannot be performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// The kernel refuses such arguments with this errno.
    Errno(i32),
    /// Nobody waits for the call any more.
    Gone,
}

impl From<ReadError> for RequestError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Fault => Self::Errno(libc::EFAULT),
            ReadError::TooLong => Self::Errno(libc::ENAMETOOLONG),
            ReadError::Gone => Self::Gone,
            // Nothing is known of the arguments, so that nothing may be allowed.
            ReadError::Refused(_) => Self::Errno(libc::EIO),
        }
    }
}

/// Flags that the kernel knows (`VALID_OPEN_FLAGS` of linux/fcntl.h); the older calls ignore all others.
const KNOWN: i32 = libc::O_ACCMODE
    | libc::O_CREAT
    | libc::O_EXCL
    | libc::O_NOCTTY
    | libc::O_TRUNC
    | libc::O_APPEND
    | libc::O_NONBLOCK
    | libc::O_SYNC
    | libc::O_DSYNC
    | libc::O_ASYNC
    | libc::O_DIRECT
    | LARGE_FILE
    | libc::O_DIRECTORY
    | libc::O_NOFOLLOW
    | libc::O_NOATIME
    | libc::O_CLOEXEC
    | libc::O_PATH
    | libc::O_TMPFILE;
/// The kernel's `O_LARGEFILE`, which the C library of a 64-bit system says is 0.
const LARGE_FILE: i32 = if cfg!(target_arch = "aarch64") { 0o400_000 } else { 0o100_000 };
/// The flags that mean something beside `O_PATH`.
const WITH_PATH: i32 = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_PATH | libc::O_CLOEXEC;
/// Permissions, set-id bits and sticky bit.
const MODE_BITS: u64 = 0o7777;

impl OpenRequest {
    /// The request of `call`, whose arguments in memory are `path` and `open`.
    pub(crate) fn new(call: &Call, path: &[u8], open: Open) -> Option<Self> {
        let (directory, _) = call.paths().next()?;
        let descriptor = directory.map_or(libc::AT_FDCWD, |register| call.int(register));
        // Where the start counts as root directory, a leading slash leads there.
        let starts_in_root = open.resolve & libc::RESOLVE_IN_ROOT != 0;
        let start = if starts_in_root { Start::of_descriptor(descriptor) } else { Start::of(path, descriptor) };
        let is_strict = call.has_open_how();
        let flags = open.flags.unwrap_or_else(|| bits(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC));
        let flags = if is_strict { flags } else { flags & bits(KNOWN) };
        let flags = if !is_strict && has(flags, libc::O_PATH) { flags & bits(WITH_PATH) } else { flags };
        let mode = if is_strict { open.whole_mode } else { u64::from(open.mode) & MODE_BITS };
        let is_odd = flags & bits(libc::O_TMPFILE & !libc::O_DIRECTORY) != 0
            || has(flags, libc::O_CREAT) && has(flags, libc::O_DIRECTORY);
        Some(Self {
            start,
            path: CString::new(path).ok()?,
            how: OpenHow { flags, mode, resolve: open.resolve },
            // The kernel's openat2 has no entry of its own for programs that know no large files.
            is_small_file: call.width() == Width::Four && !call.is_x32() && !is_strict && !has(flags, LARGE_FILE),
            checks_flags: is_strict || is_odd,
        })
    }

    /// A look for what `path` names from `start`; of `O_*`, the flags say what may stand at its end.
    pub(super) fn to_look(start: Start, path: CString, flags: i32) -> Self {
        let how = OpenHow { flags: bits(libc::O_PATH | flags), mode: 0, resolve: 0 };
        Self { start, path, how, is_small_file: false, checks_flags: false }
    }

    /// The same for another path from the same start.
    pub(super) fn with_path(&self, path: CString) -> Self {
        Self { path, ..self.clone() }
    }

    /// Whether all of these `O_*` bits are asked for.
    pub(crate) fn has(&self, flag: i32) -> bool {
        has(self.how.flags, flag)
    }

    /// Whether only a handle is asked for, through which nothing can be read or written.
    pub(crate) fn is_handle(&self) -> bool {
        self.has(libc::O_PATH)
    }

    /// Whether something may be written.
    pub(super) fn writes(&self) -> bool {
        self.how.flags & bits(libc::O_ACCMODE) != 0
    }

    /// Takes a file that is there for the one that the request made before.
    pub(crate) fn forget_exclusive(&mut self) {
        self.how.flags &= !bits(libc::O_EXCL);
    }

    /// Whether a symbolic link at the path's end is not followed.
    pub(super) fn keeps_link(&self) -> bool {
        self.has(libc::O_NOFOLLOW) || self.has(libc::O_CREAT | libc::O_EXCL)
    }

    /// Whether the flags must be tried before anything else.
    pub(super) fn checks_flags(&self) -> bool {
        self.checks_flags
    }
}

/// A flag as `open_how` holds it.
pub(super) fn bits(flag: i32) -> u64 {
    u64::from(flag.cast_unsigned())
}

fn has(flags: u64, all_of: i32) -> bool {
    flags & bits(all_of) == bits(all_of)
}

/// Bytes of the first `struct open_how` (`OPEN_HOW_SIZE_VER0`), and the most that the kernel looks at.
const HOW_SIZES: std::ops::RangeInclusive<u64> = 24..=4096;

impl Call {
    /// Whether flags and mode lie in memory, in a `struct open_how`; those of the older calls are registers.
    pub(crate) fn has_open_how(&self) -> bool {
        self.layout().name == "openat2"
    }

    /// Whether the size that `openat2` is given is one the kernel takes (openat2(2), "Extensibility"): what it does not
    /// know must be zero.
    pub(crate) fn check_open_size(&self, target: &Target<'_>) -> Result<(), RequestError> {
        if !self.has_open_how() {
            return Ok(());
        }
        let (address, size) = (self.register(2), self.register(3));
        match size {
            size if size < *HOW_SIZES.start() => return Err(RequestError::Errno(libc::EINVAL)),
            size if size > *HOW_SIZES.end() => return Err(RequestError::Errno(libc::E2BIG)),
            _ => {}
        }
        let rest = usize::try_from(size - HOW_SIZES.start()).unwrap_or(0);
        let mut unknown = vec![0; rest];
        let behind = address.checked_add(*HOW_SIZES.start()).ok_or(RequestError::Errno(libc::EFAULT))?;
        target.exact(behind, &mut unknown)?;
        if unknown.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(RequestError::Errno(libc::E2BIG)) }
    }
}
