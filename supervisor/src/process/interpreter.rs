// SPDX-License-Identifier: Apache-2.0
//! What the kernel has loaded of a program.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat, readlinkat},
    sys::stat::{FileStat, Mode, fstatat, major, minor},
};

use super::Process;

/// What of a line of `maps` is looked at: all before the name, and how that begins. The rest is a path of any length.
const HEAD: usize = 160;

impl Process {
    /// The file that was loaded beside the program, which the program names as its interpreter (`PT_INTERP`, elf(5)), and the
    /// file's name; `None` for a program without one. Of a process that has executed it and not run yet: besides its own
    /// file and this one nothing is mapped. Of one that runs, or ends meanwhile, what is mapped last and still there.
    ///
    /// Where the kernel put the interpreter (`AT_BASE`, getauxval(3)) does not say whether there is one: it is 0 too for one
    /// that is not position independent.
    pub(crate) fn loaded_interpreter(&self) -> io::Result<Option<(OwnedFd, Vec<u8>)>> {
        match self.find_interpreter() {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
            found => found,
        }
    }

    fn find_interpreter(&self) -> io::Result<Option<(OwnedFd, Vec<u8>)>> {
        let own = fstatat(self.directory(), "exe", AtFlags::empty())?;
        // By address: the program lies mostly below.
        for Mapping { path, number } in self.mapped_files()?.into_iter().rev() {
            if number == Some(FileNumber::of(&own)) {
                continue;
            }
            let facts = match fstatat(self.directory(), path.as_slice(), AtFlags::empty()) {
                // It runs, and no longer has it.
                Err(Errno::ENOENT) => continue,
                facts => facts?,
            };
            if (facts.st_dev, facts.st_ino) != (own.st_dev, own.st_ino) {
                let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
                let file = openat(self.directory(), path.as_slice(), flags, Mode::empty())?;
                let name = match readlinkat(self.directory(), path.as_slice()) {
                    // A path that no call takes; what the file is still counts.
                    Err(Errno::ENAMETOOLONG) => Vec::new(),
                    name => OsStringExt::into_vec(name?),
                };
                return Ok(Some((file, name)));
            }
        }
        Ok(None)
    }

    /// What is mapped of files, by address. It is found in `/proc/PID/maps`, since listing `map_files` makes the kernel build
    /// an inode for each.
    fn mapped_files(&self) -> io::Result<Vec<Mapping>> {
        let file = openat(self.directory(), "maps", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        let mut lines = BufReader::new(File::from(file));
        let (mut head, mut entries) = (Vec::with_capacity(HEAD), Vec::new());
        loop {
            head.clear();
            let length = lines.by_ref().take(HEAD as u64).read_until(b'\n', &mut head)?;
            if length == 0 {
                return Ok(entries);
            }
            if head.pop_if(|byte| *byte == b'\n').is_none() {
                lines.skip_until(b'\n')?;
            }
            entries.extend(mapping(&head));
        }
    }
}

/// Part of a file in memory.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    /// The entry of `map_files`.
    path: Vec<u8>,
    number: Option<FileNumber>,
}

/// The number of a file within its file system, and that of the file system. Some show their files under others
/// (stat(2) of btrfs): one that has the shown number of another file does not occur.
#[derive(Debug, PartialEq, Eq)]
struct FileNumber {
    device: (u64, u64),
    inode: u64,
}

impl FileNumber {
    fn of(facts: &FileStat) -> Self {
        Self { device: (major(facts.st_dev), minor(facts.st_dev)), inode: facts.st_ino }
    }

    /// As `maps` writes it.
    fn parse(device: &[u8], inode: &[u8]) -> Option<Self> {
        let (major, minor) = str::from_utf8(device).ok()?.split_once(':')?;
        let device = (u64::from_str_radix(major, 16).ok()?, u64::from_str_radix(minor, 16).ok()?);
        Some(Self { device, inode: str::from_utf8(inode).ok()?.parse().ok()? })
    }
}

/// The mapping of a line of `maps`, if it is one of a file (`proc_pid_maps(5)`). The kernel pads addresses in lines, but not in
/// entries.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let mut addresses = words.next()?.split(|byte| *byte == b'-').map(|address| {
        let digits = address.iter().position(|digit| *digit != b'0').unwrap_or_else(|| address.len().saturating_sub(1));
        address.get(digits..).unwrap_or_default()
    });
    let (start, end) = (addresses.next()?, addresses.next()?);
    // Behind rights and offset. In the end a file's name, or in brackets what the memory is for.
    let (device, inode, name) = (words.nth(2)?, words.next()?, words.next()?);
    if name.starts_with(b"[") {
        return None;
    }
    Some(Mapping { path: [b"map_files/", start, b"-", end].concat(), number: FileNumber::parse(device, inode) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, then the entry, the device and the inode of what it says.
    type Case<'a> = (&'a str, Option<(&'a str, (u64, u64), u64)>);

    #[test]
    fn only_files_are_mappings_with_an_entry() {
        let cases: [Case<'_>; 7] = [
            (
                "00400000-10401000 r--p 00000000 fe:00 123                  /bin/a",
                Some(("map_files/400000-10401000", (0xfe, 0), 123)),
            ),
            (
                "00000000-00001000 r--p 00000000 103:1a 9                   /bin/a",
                Some(("map_files/0-1000", (0x103, 0x1a), 9)),
            ),
            (
                "7f00-7f10 r--p 00000000 00:2f 0                            /on fuse (deleted)",
                Some(("map_files/7f00-7f10", (0, 0x2f), 0)),
            ),
            ("7f00-7f10 rw-p 00000000 00:00 0", None),
            ("7f00-7f10 rw-p 00000000 00:00 0                            [heap]", None),
            ("7f00-7f10 rw-p 00000000 00:00 0                            [anon:a /b]", None),
            ("", None),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|(path, device, inode)| Mapping {
                path: path.as_bytes().to_owned(),
                number: Some(FileNumber { device, inode }),
            });
            assert_eq!(mapping(line.as_bytes()), expected, "{line}");
        }
    }
}
