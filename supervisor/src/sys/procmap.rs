// SPDX-License-Identifier: Apache-2.0
//! What a process has mapped, asked for one by one (`PROCMAP_QUERY`, linux/fs.h, Linux 6.11).

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
    const COVERING_OR_NEXT: u64 = 0x10;
    const FILE_BACKED: u64 = 0x20;
    let found = ask(maps, COVERING_OR_NEXT | FILE_BACKED, address)?;
    Ok(found.map(|Query { vma_start: start, vma_end: end, inode, dev_major, dev_minor, .. }| FileMapping {
        start,
        end,
        device: (dev_major, dev_minor),
        inode,
    }))
}

/// Whether a program may read, write or execute what it has mapped at `address`; errors as above.
pub(crate) fn is_accessible(maps: BorrowedFd<'_>, address: u64) -> io::Result<bool> {
    const READABLE: u64 = 1;
    const WRITABLE: u64 = 2;
    const EXECUTABLE: u64 = 4;
    let found = ask(maps, 0, address)?;
    Ok(found.is_some_and(|found| found.vma_flags & (READABLE | WRITABLE | EXECUTABLE) != 0))
}

fn ask(maps: BorrowedFd<'_>, flags: u64, address: u64) -> io::Result<Option<Query>> {
    // _IOWR('f', 17, struct procmap_query)
    const PROCMAP_QUERY: libc::c_ulong = 0xc068_6611;
    const _: () = assert!(size_of::<Query>() == 0x68);
    let mut query = Query { size: size_of::<Query>() as u64, flags, address, ..Query::default() };
    // SAFETY: the request reads and writes `query`, whose size it is told and which lives across the call; neither name nor
    // build id is asked for, so that their addresses are not followed.
    let result = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, ptr::from_mut(&mut query)) };
    if result == 0 {
        return Ok(Some(query));
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOENT) { Ok(None) } else { Err(error) }
}
