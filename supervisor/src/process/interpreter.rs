// SPDX-License-Identifier: Apache-2.0
//! What the kernel has loaded of a program.

use std::{
    io,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat, readlinkat},
    sys::stat::{Mode, fstat, fstatat},
};

use super::Process;

impl Process {
    /// The file that was loaded beside the program, which the program names as its interpreter (`PT_INTERP`, elf(5)), and the
    /// file's name; `None` for a program without one. Of a process that has executed it and not run yet: besides its own
    /// file and this one nothing is mapped. Of one that runs, or ends meanwhile, what is mapped last and still there.
    pub(crate) fn loaded_interpreter(&self) -> io::Result<Option<(OwnedFd, Vec<u8>)>> {
        match self.find_interpreter() {
            Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
            found => Ok(found?),
        }
    }

    fn find_interpreter(&self) -> nix::Result<Option<(OwnedFd, Vec<u8>)>> {
        let own = fstatat(self.directory(), "exe", AtFlags::empty())?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut directory = Dir::openat(self.directory(), "map_files", flags, Mode::empty())?;
        let ranges =
            directory.iter().map(|entry| Ok(entry?.file_name().to_owned())).collect::<nix::Result<Vec<_>>>()?;
        // By address: the program lies mostly below.
        for range in ranges.iter().rev().filter(|range| !range.to_bytes().starts_with(b".")) {
            let path = format!("map_files/{}", range.to_string_lossy());
            let file = match openat(self.directory(), path.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
                // It runs, and no longer has it.
                Err(Errno::ENOENT) => continue,
                opened => opened?,
            };
            let facts = fstat(&file)?;
            if (facts.st_dev, facts.st_ino) != (own.st_dev, own.st_ino) {
                let name = readlinkat(self.directory(), path.as_str())?;
                return Ok(Some((file, OsStringExt::into_vec(name))));
            }
        }
        Ok(None)
    }
}
