// SPDX-License-Identifier: Apache-2.0
//! Shared memory as a slice of eight-byte atomic cells: memfds that survive a process, and counter files.

use std::{
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd},
    ptr::NonNull,
    slice,
    sync::atomic::AtomicU64,
};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::SyscallError;

/// Size of every mapping: one page is enough for all that processes share.
const MAPPING_BYTES: usize = 4096;
/// The same in cells.
const MAPPING_CELLS: usize = MAPPING_BYTES / size_of::<u64>();

/// One page of shared memory.
#[derive(Debug)]
pub(crate) struct Mapping(NonNull<AtomicU64>);

// SAFETY: the mapping is reached only through atomics, and unmapped once, by its one owner.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared access is what atomics are for.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Bytes that a file must have before it is mapped.
    pub(crate) const BYTES: usize = MAPPING_BYTES;

    /// Maps the first page of `file` and makes it present, so that the kernel never meets a page fault while it writes a
    /// notification there.
    pub(crate) fn new(file: BorrowedFd<'_>) -> Result<Self, SyscallError> {
        const LENGTH: NonZeroUsize = NonZeroUsize::new(MAPPING_BYTES).unwrap();
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: the kernel chooses the address, so no existing mapping is replaced.
        let address = unsafe { mmap(None, LENGTH, protection, flags, file.as_fd(), 0) }
            .map_err(|errno| SyscallError::from_errno("mmap", errno))?;
        Ok(Self(address.cast()))
    }

    /// The page as cells.
    pub(crate) fn cells(&self) -> &[AtomicU64] {
        // SAFETY: the page is mapped for as long as `self` lives, is aligned, and every bit pattern is a valid cell.
        unsafe { slice::from_raw_parts(self.0.as_ptr(), MAPPING_CELLS) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and nothing borrows it any more.
        let result = unsafe { munmap(self.0.cast(), MAPPING_BYTES) };
        debug_assert!(result.is_ok(), "a mapping that was made can be unmapped");
    }
}
