// SPDX-License-Identifier: Apache-2.0
//! Which files a process has mapped, asked for one by one (`PROCMAP_QUERY`, linux/fs.h, Linux 6.11).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// Part of a file in a process' memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileMapping {
    /// Where it begins.
    pub(crate) start: u64,
    /// The first address behind it.
    pub(crate) end: u64,
    /// Major and minor number of the file's file system. Some show their files under others (stat(2) of btrfs).
    pub(crate) device: (u32, u32),
    /// The file's number within it.
    pub(crate) inode: u64,
}

/// `struct procmap_query`.
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    flags: u64,
    address: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}

/// The first mapping of a file that ends behind `address`, of the process whose `/proc/PID/maps` this is; `None` if there is
/// none. ENOTTY where the kernel does not know the question.
pub(crate) fn next_file_mapping(maps: BorrowedFd<'_>, address: u64) -> io::Result<Option<FileMapping>> {
    // _IOWR('f', 17, struct procmap_query)
    const PROCMAP_QUERY: libc::c_ulong = 0xc068_6611;
    const COVERING_OR_NEXT: u64 = 0x10;
    const FILE_BACKED: u64 = 0x20;
    const _: () = assert!(size_of::<Query>() == 0x68);
    let mut query =
        Query { size: size_of::<Query>() as u64, flags: COVERING_OR_NEXT | FILE_BACKED, address, ..Query::default() };
    // SAFETY: the request reads and writes `query`, whose size it is told and which lives across the call; neither name nor
    // build id is asked for, so that their addresses are not followed.
    let result = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, ptr::from_mut(&mut query)) };
    if result == 0 {
        let Query { vma_start: start, vma_end: end, inode, dev_major, dev_minor, .. } = query;
        return Ok(Some(FileMapping { start, end, device: (dev_major, dev_minor), inode }));
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOENT) { Ok(None) } else { Err(error) }
}
