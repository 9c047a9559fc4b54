// SPDX-License-Identifier: Apache-2.0
//! A machine's first root filesystem: an archive in the `newc` format of cpio, which the kernel unpacks into memory.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Read, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
};

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive that grows by one entry after the other; of several with one name the first counts.
#[derive(Debug)]
pub(crate) struct Initramfs {
    archive: BufWriter<File>,
    names: BTreeSet<Vec<u8>>,
}

impl Initramfs {
    /// An archive without entries.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { archive: BufWriter::new(File::create(path)?), names: BTreeSet::new() })
    }

    /// A folder, and those that it lies in.
    pub(crate) fn folder(&mut self, inside: &Path) -> io::Result<()> {
        self.entry(inside, FOLDER | 0o755, 0, io::empty())
    }

    /// A file that is executable.
    pub(crate) fn text(&mut self, inside: &Path, content: &str) -> io::Result<()> {
        self.entry(inside, FILE | 0o755, content.len() as u64, content.as_bytes())
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, inside: &Path, target: &Path) -> io::Result<()> {
        let target = target.as_os_str().as_bytes();
        self.entry(inside, LINK | 0o777, target.len() as u64, target)
    }

    /// What lies at a path of this machine: the file, where it is a link too.
    pub(crate) fn file(&mut self, inside: &Path, host: &Path) -> io::Result<()> {
        let file = File::open(host)?;
        let metadata = file.metadata()?;
        self.entry(inside, FILE | (metadata.permissions().mode() & 0o7777), metadata.len(), file)
    }

    /// A folder with all its folders, files and links; what is none of these is left out.
    pub(crate) fn tree(&mut self, inside: &Path, host: &Path) -> io::Result<()> {
        let mode = fs::metadata(host)?.permissions().mode();
        self.entry(inside, FOLDER | (mode & 0o7777), 0, io::empty())?;
        for entry in fs::read_dir(host)? {
            let entry = entry?;
            let (place, kind) = (inside.join(entry.file_name()), entry.file_type()?);
            if kind.is_dir() {
                self.tree(&place, &entry.path())?;
            } else if kind.is_symlink() {
                self.link(&place, &fs::read_link(entry.path())?)?;
            } else if kind.is_file() {
                self.file(&place, &entry.path())?;
            }
        }
        Ok(())
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.header(b"TRAILER!!!", 0, 0)?;
        self.archive.flush()
    }

    fn entry(&mut self, inside: &Path, mode: u32, size: u64, mut content: impl Read) -> io::Result<()> {
        let name = inside.strip_prefix("/").unwrap_or(inside);
        if let Some(parent) = name.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.folder(parent)?;
        }
        let name = name.as_os_str().as_bytes();
        let is_root = name.is_empty(); // which is there already
        if is_root || !self.names.insert(name.to_owned()) {
            return Ok(());
        }
        self.header(name, mode, size)?;
        let copied = io::copy(&mut content, &mut self.archive)?;
        if copied != size {
            return Err(io::Error::other("a file changed while it was packed"));
        }
        self.pad(size)
    }

    /// Thirteen numbers of eight digits and the name; all entries belong to root and have one name.
    fn header(&mut self, name: &[u8], mode: u32, size: u64) -> io::Result<()> {
        let named = name.len() + 1;
        write!(self.archive, "070701{:08x}{mode:08x}{:016x}{:08x}{:08x}{size:08x}", 0, 0, 1, 0)?;
        write!(self.archive, "{:032x}{named:08x}{:08x}", 0, 0)?;
        self.archive.write_all(name)?;
        self.archive.write_all(b"\0")?;
        self.pad(110 + named as u64) // 110: the digits before the name
    }

    /// Everything begins at a multiple of four bytes.
    fn pad(&mut self, written: u64) -> io::Result<()> {
        (written..written.next_multiple_of(4)).try_for_each(|_| self.archive.write_all(b"\0"))
    }
}
