// SPDX-License-Identifier: Apache-2.0
//! Memory that a task's own calls may read and other processes may not.
//!
//! `process_vm_readv(2)` asks whether memory is mapped for reading. The kernel that copies an argument does not: to a processor,
//! what is writable or executable is readable (`access_error` of `arch/x86/mm/fault.c`). `/proc/PID/mem` does not ask either.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    os::fd::{AsFd as _, OwnedFd},
};

use nix::sys::uio::pread;

use super::Process;
use crate::sys;

/// Bytes of `maps` that are looked at where the kernel answers no single question (before Linux 6.11): 10,000 mappings.
const MAX_MAPS: u64 = 1 << 20;

/// Reads such memory of a task; `None` where there is none.
pub(crate) fn read_hidden(task: u32, address: u64, buffer: &mut [u8]) -> Option<usize> {
    let process = Process::open(task)?;
    let maps = process.open_own("maps", libc::O_RDONLY).ok()?;
    if !is_accessible(maps, address) {
        return None;
    }
    let memory = process.open_own("mem", libc::O_RDONLY).ok()?;
    pread(memory, buffer, i64::try_from(address).ok()?).ok().filter(|length| *length > 0)
}

fn is_accessible(maps: OwnedFd, address: u64) -> bool {
    if let Ok(is_accessible) = sys::is_accessible(maps.as_fd(), address) {
        return is_accessible;
    }
    let lines = BufReader::new(File::from(maps).take(MAX_MAPS)).split(b'\n');
    lines.map_while(Result::ok).find_map(|line| protection(&line, address)).unwrap_or(false)
}

/// Whether a line of `maps` (`proc_pid_maps(5)`) permits any access; `None` if it is not that of the mapping around `address`.
fn protection(line: &[u8], address: u64) -> Option<bool> {
    let mut words = line.split(|byte| *byte == b' ');
    let (start, end) = std::str::from_utf8(words.next()?).ok()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let is_here = (number(start)?..number(end)?).contains(&address);
    is_here.then(|| words.next().is_some_and(|bits| bits.iter().take(3).any(|bit| *bit != b'-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_those_of_the_mapping_around_the_address() {
        let (hidden, none) = (b"7f0000001000-7f0000003000 -w-p 00000000 00:00 0 ", b"1000-3000 ---s 00000000 00:00 0 ");
        for (line, address, expected) in [
            (hidden.as_slice(), 0x7f00_0000_0fff, None),
            (hidden, 0x7f00_0000_1000, Some(true)),
            (hidden, 0x7f00_0000_2fff, Some(true)),
            (hidden, 0x7f00_0000_3000, None),
            (none, 0x2000, Some(false)),
        ] {
            assert_eq!(protection(line, address), expected, "{address:x}");
        }
        assert_eq!(protection(b"", 0), None);
    }
}
