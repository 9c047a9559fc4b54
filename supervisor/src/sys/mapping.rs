// SPDX-License-Identifier: Apache-2.0
//! Shared memory as a slice of eight-byte atomic cells: memfds that survive a process, and counter files.

use std::{
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd},
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::SyscallError;

/// Shared memory.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: NonNull<AtomicU64>,
    length: NonZeroUsize,
}

// SAFETY: the mapping is reached only through atomics, and unmapped once, by its one owner.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared access is what atomics are for.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `length` bytes of `file`, which must have them.
    pub(crate) fn new(file: BorrowedFd<'_>, length: NonZeroUsize) -> Result<Self, SyscallError> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses the address, so no existing mapping is replaced.
        let address = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, file.as_fd(), 0) }
            .map_err(|errno| SyscallError::from_errno("mmap", errno))?;
        let mapping = Self { address: address.cast(), length };
        // The first page is present from now on, so that the kernel meets no page fault while it writes a notification there.
        if let Some(cell) = mapping.cells().first() {
            cell.fetch_add(0, Ordering::Relaxed);
        }
        Ok(mapping)
    }

    /// The memory as cells.
    pub(crate) fn cells(&self) -> &[AtomicU64] {
        // SAFETY: the memory is mapped for as long as `self` lives, is aligned, and every bit pattern is a valid cell.
        unsafe { slice::from_raw_parts(self.address.as_ptr(), self.length.get() / size_of::<u64>()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and nothing borrows it any more.
        let result = unsafe { munmap(self.address.cast(), self.length.get()) };
        debug_assert!(result.is_ok(), "a mapping that was made can be unmapped");
    }
}
