// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/mountinfo` (proc(5)): what is mounted where, and which part of a file system a mount shows.

use std::{fs::File, io::Read as _};

use super::{Process, stat::number, unseen::found};

/// Bytes of a task's mount table that are read: some 2000 mounts.
const MAX_TABLE: usize = 256 * 1024;
/// The same of our own, where every container of the node has an overlay, each with a line of up to a page for its layers.
const MAX_OWN_TABLE: u64 = 64 << 20;

/// The mounts that a task sees.
pub(super) struct MountTable(Vec<u8>);

/// One line of the table.
pub(super) struct Mount<'a> {
    pub(super) id: u64,
    /// Major and minor number of its file system, which every mount of it has, in every mount namespace.
    pub(super) device: (u32, u32),
    /// The directory or file of the file system that is shown.
    root: Vec<u8>,
    /// Where the task sees it.
    pub(super) point: Vec<u8>,
    kind: &'a [u8],
    options: &'a [u8],
}

impl MountTable {
    /// That of the task's mount namespace.
    pub(super) fn of(process: &Process) -> Option<Self> {
        process.read("mountinfo", MAX_TABLE).map(Self)
    }

    /// Our own.
    pub(super) fn own() -> Option<Self> {
        let process = Process::open(std::process::id())?;
        let file = found(process.open_own("mountinfo", libc::O_RDONLY))?;
        let mut content = Vec::new();
        File::from(file).take(MAX_OWN_TABLE).read_to_end(&mut content).ok()?;
        Some(Self(content))
    }

    pub(super) fn mounts(&self) -> impl Iterator<Item = Mount<'_>> {
        self.0.split(|byte| *byte == b'\n').filter_map(Mount::parse)
    }
}

impl<'a> Mount<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let id = number(words.next()?)?;
        let mut device = words.nth(1)?.split(|byte| *byte == b':').map(number);
        let device = (device.next()??, device.next()??);
        let root = unescape(words.next()?);
        let point = unescape(words.next()?);
        let mut behind = words.skip_while(|word| *word != b"-").skip(1);
        let kind = behind.next()?;
        Some(Self { id, device, root, point, kind, options: behind.nth(1)? })
    }

    pub(super) fn is_overlay(&self) -> bool {
        self.kind == b"overlay"
    }

    /// The options of the file system, with their values.
    pub(super) fn options(&self) -> impl Iterator<Item = (&'a [u8], Vec<u8>)> {
        let options = self.options.split(|byte| *byte == b',');
        options.filter_map(|option| {
            let mut parts = option.splitn(2, |byte| *byte == b'=');
            Some((parts.next()?, unescape(parts.next()?)))
        })
    }

    /// What the file system itself calls the file that the task sees as `path`, without a leading slash; `None` where that is
    /// not on the mount.
    pub(super) fn name_of(&self, path: &[u8]) -> Option<Vec<u8>> {
        let inside = path.strip_prefix(self.point.strip_suffix(b"/").unwrap_or(&self.point))?;
        let whole = match inside.first() {
            None | Some(b'/') => [self.root.strip_suffix(b"/").unwrap_or(&self.root), inside].concat(),
            Some(_) => return None,
        };
        Some(whole.strip_prefix(b"/").unwrap_or(&whole).to_vec())
    }
}

/// The directory or file of its file system that the mount with this number shows, as a path there; `None` where the task's
/// mount namespace has no such mount.
pub(crate) fn mount_root(process: &Process, mount: u64) -> Option<Vec<u8>> {
    let table = MountTable::of(process)?;
    table.mounts().find(|found| found.id == mount).map(|found| found.root)
}

/// Where we see cgroup v2 from its root, as far as our namespace shows it.
pub(crate) fn cgroup2_mounts() -> Vec<Vec<u8>> {
    let table = MountTable::own();
    let mounts = table.iter().flat_map(MountTable::mounts);
    mounts.filter(|mount| mount.kind == b"cgroup2" && mount.root == b"/").map(|mount| mount.point).collect()
}

/// Undoes the octal escapes of the table.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                text.push(byte);
                rest = behind.get(3..).unwrap_or_default();
            }
            _ => {
                text.push(*first);
                rest = behind;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = b"91 80 0:44 /in\\040it /a\\040b rw,relatime master:1 - overlay overlay rw,lowerdir=/l1:/l2,upperdir=/up\\040x,volatile,workdir=/w";

    #[test]
    fn a_line_gives_its_overlay() {
        let mount = Mount::parse(LINE).unwrap();
        assert_eq!((mount.id, mount.device, mount.is_overlay()), (91, (0, 44), true));
        let options: Vec<_> = mount.options().collect();
        let pairs = [("lowerdir", "/l1:/l2"), ("upperdir", "/up x"), ("workdir", "/w")];
        assert_eq!(options, pairs.map(|(name, value)| (name.as_bytes(), value.into())));
    }

    #[track_caller]
    fn check(root: &str, point: &str, path: &str, expected: Option<&str>) {
        let mount = Mount { root: root.into(), point: point.into(), ..Mount::parse(LINE).unwrap() };
        assert_eq!(mount.name_of(path.as_bytes()), expected.map(Into::into));
    }

    #[test]
    fn names_are_those_of_the_file_system() {
        check("/", "/", "/bin/sh", Some("bin/sh"));
        check("/", "/mnt", "/mnt/x", Some("x"));
        check("/", "/mnt", "/mnt", Some(""));
        check("/", "/mnt", "/mntx", None);
        check("/sub/folder", "/mnt", "/mnt/x", Some("sub/folder/x"));
        check("/sub", "/", "/x", Some("sub/x"));
        check("/sub/file", "/mnt/file", "/mnt/file", Some("sub/file"));
    }
}
