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
    sys::stat::{Mode, fstatat},
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
        for path in self.mapped_files()?.into_iter().rev() {
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

    /// The entries of `map_files`, by address. They are found in `/proc/PID/maps`, since listing them makes the kernel build
    /// an inode for each.
    fn mapped_files(&self) -> io::Result<Vec<Vec<u8>>> {
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
            entries.extend(entry(&head));
        }
    }
}

/// The entry of `map_files` for a line of `maps`, if a file is mapped there (`proc_pid_maps(5)`). The kernel pads addresses in
/// lines, but not in entries.
fn entry(line: &[u8]) -> Option<Vec<u8>> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let mut addresses = words.next()?.split(|byte| *byte == b'-').map(|address| {
        let digits = address.iter().position(|digit| *digit != b'0').unwrap_or_else(|| address.len().saturating_sub(1));
        address.get(digits..).unwrap_or_default()
    });
    let (start, end) = (addresses.next()?, addresses.next()?);
    // Rights, offset, device and inode; then a file's name, or in brackets what the memory is for.
    let name = words.nth(4)?;
    (!name.starts_with(b"[")).then(|| [b"map_files/", start, b"-", end].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mapped_files_have_an_entry() {
        let cases: [(&[u8], Option<&[u8]>); 7] = [
            (b"00400000-10401000 r--p 00000000 fe:00 123                  /bin/a", Some(b"map_files/400000-10401000")),
            (b"00000000-00001000 r--p 00000000 fe:00 123                  /bin/a", Some(b"map_files/0-1000")),
            (
                b"7f00-7f10 r--p 00000000 00:2f 0                            /on fuse (deleted)",
                Some(b"map_files/7f00-7f10"),
            ),
            (b"7f00-7f10 rw-p 00000000 00:00 0", None),
            (b"7f00-7f10 rw-p 00000000 00:00 0                            [heap]", None),
            (b"7f00-7f10 rw-p 00000000 00:00 0                            [anon:a /b]", None),
            (b"", None),
        ];
        for (line, path) in cases {
            assert_eq!(entry(line).as_deref(), path, "{}", line.escape_ascii());
        }
    }
}
