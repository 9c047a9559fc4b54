// SPDX-License-Identifier: Apache-2.0
//! Who is held, for a supervisor that comes after one that has died: links in the run directory.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, readlinkat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, symlinkat, unlinkat},
};

/// In front of a process' number; the link leads to its group.
const HELD: &str = "held-";
/// Nobody is to be held any more.
const EXPOSED: &str = "exposed";

/// The run directory, by a descriptor: a thread that makes calls for the container has another root directory than we.
#[derive(Debug)]
pub(super) struct Records(File);

impl Records {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        File::open(directory).map(Self)
    }

    /// Says where a group will be. A record of one that is not there does no harm.
    pub(super) fn note(&self, group: &[u8], process: u32) -> io::Result<()> {
        self.forget(process)?;
        Ok(symlinkat(OsStr::from_bytes(group), &self.0, name_of(process).as_str())?)
    }

    pub(super) fn forget(&self, process: u32) -> io::Result<()> {
        match unlinkat(&self.0, name_of(process).as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Of whom there are records.
    pub(super) fn processes(&self) -> io::Result<Vec<u32>> {
        let mut listed = Dir::openat(&self.0, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        let mut processes = Vec::new();
        for entry in listed.iter() {
            let entry = entry?;
            let name = entry.file_name().to_str().unwrap_or_default();
            processes.extend(name.strip_prefix(HELD).and_then(|process| process.parse::<u32>().ok()));
        }
        Ok(processes)
    }

    /// The path of the group that a process is recorded to be held in.
    pub(super) fn group_of(&self, process: u32) -> io::Result<Vec<u8>> {
        Ok(readlinkat(&self.0, name_of(process).as_str())?.into_vec())
    }

    /// Says for good that nobody is to be held.
    pub(super) fn note_exposed(&self) -> io::Result<()> {
        match symlinkat(".", &self.0, EXPOSED) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether that was said.
    pub(super) fn say_exposed(&self) -> bool {
        !matches!(readlinkat(&self.0, EXPOSED), Err(Errno::ENOENT))
    }
}

fn name_of(process: u32) -> String {
    format!("{HELD}{process}")
}
