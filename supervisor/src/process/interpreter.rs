// SPDX-License-Identifier: Apache-2.0
//! What the kernel has loaded of a program.

use std::{
    collections::HashSet,
    ffi::CString,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, openat, readlinkat},
    sys::stat::Mode,
};

use super::{handle::proc_root, unseen::named};
use crate::sys::{FileMapping, file_facts, next_file_mapping};

/// What of a line of `maps` is looked at: all before the name, and how that begins. The rest is a path of any length.
const HEAD: usize = 160;

/// The files that were loaded beside a program, with their names: the one that the program names as its interpreter
/// (`PT_INTERP`, elf(5)). None for a program without one, and for a process that is gone. Of a process that has executed its
/// program and not run yet: besides its own file and this one nothing is mapped, but a file system that the container serves
/// can number the program's file anew between two looks, and then it is among them. Of one that runs, or ends meanwhile,
/// what is still there; where that is nobody's tracee of ours, its number may be another process' by now.
///
/// Where the kernel put the interpreter (`AT_BASE`, getauxval(3)) does not say whether there is one: it is 0 too for one
/// that is not position independent.
pub(crate) fn loaded_beside(process: u32) -> io::Result<Vec<(OwnedFd, Vec<u8>)>> {
    let root = proc_root().ok_or_else(|| io::Error::other("/proc cannot be opened"))?;
    match find_loaded(root, process) {
        Err(error) if is_gone(&error, root, &format!("{process}/exe")) => Ok(Vec::new()),
        found => found,
    }
}

/// Whether the error came because `/proc` no longer has this magic link. A file system that the container serves can say the
/// same of its files, where it is asked; for the link itself none answers.
fn is_gone(error: &io::Error, root: BorrowedFd<'_>, link: &str) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
        && matches!(readlinkat(root, link), Err(Errno::ENOENT | Errno::ESRCH))
}

/// The file behind a magic link, and its name.
pub(crate) fn linked_file(directory: BorrowedFd<'_>, link: &str) -> io::Result<(OwnedFd, Vec<u8>)> {
    let file = openat(directory, link, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let name = match readlinkat(directory, link) {
        // A path that no call takes; what the file is still counts.
        unknown @ Err(Errno::ENAMETOOLONG) => named(unknown).map(OsStringExt::into_vec).unwrap_or_default(),
        name => OsStringExt::into_vec(name?),
    };
    Ok((file, name))
}

fn find_loaded(root: BorrowedFd<'_>, process: u32) -> io::Result<Vec<(OwnedFd, Vec<u8>)>> {
    let own = file_facts(root, &CString::new(format!("{process}/exe"))?, true)?;
    let mut files = HashSet::from([(own.device, own.inode)]);
    // Files by the numbers that mappings have. Those of some file systems (btrfs) are not what stat(2) shows, and two files
    // may share one: then each mapping is looked at.
    let mut numbers = files.clone();
    let mut loaded = Vec::new();
    for mapping in mapped_files(root, process)? {
        let number = (mapping.device, mapping.inode);
        if numbers.contains(&number) {
            continue;
        }
        let link = format!("{process}/map_files/{:x}-{:x}", mapping.start, mapping.end);
        let (file, name) = match linked_file(root, &link) {
            // It runs, and no longer has it.
            Err(error) if is_gone(&error, root, &link) => continue,
            found => found?,
        };
        // What the kernel knows without asking the file system.
        let facts = file_facts(file.as_fd(), c"", false)?;
        if (facts.device, facts.inode) == number {
            numbers.insert(number);
        }
        if files.insert((facts.device, facts.inode)) {
            loaded.push((file, name));
        }
    }
    Ok(loaded)
}

/// What is mapped of files, by address. Listing `map_files` would make the kernel build an inode for each.
fn mapped_files(root: BorrowedFd<'_>, process: u32) -> io::Result<Vec<FileMapping>> {
    let maps = openat(root, format!("{process}/maps").as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut mappings: Vec<FileMapping> = Vec::new();
    loop {
        match next_file_mapping(maps.as_fd(), mappings.last().map_or(0, |last| last.end)) {
            Ok(Some(mapping)) => mappings.push(mapping),
            Ok(None) => return Ok(mappings),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(error),
            // A kernel that tells it in text only, or a security module that permits nothing else.
            Err(_) => return mappings_in(File::from(maps)),
        }
    }
}

/// The same from the file's lines.
fn mappings_in(maps: impl io::Read) -> io::Result<Vec<FileMapping>> {
    let mut lines = BufReader::new(maps);
    let (mut head, mut mappings) = (Vec::with_capacity(HEAD), Vec::new());
    loop {
        head.clear();
        let length = lines.by_ref().take(HEAD as u64).read_until(b'\n', &mut head)?;
        if length == 0 {
            return Ok(mappings);
        }
        if head.pop_if(|byte| *byte == b'\n').is_none() {
            lines.skip_until(b'\n')?;
        }
        mappings.extend(mapping(&head)?);
    }
}

/// The mapping of a line of `maps`, if it is one of a file (`proc_pid_maps(5)`).
fn mapping(line: &[u8]) -> io::Result<Option<FileMapping>> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    // Rights and offset are skipped. In the end stands a file's name, or in brackets what the memory is for.
    let facts = (words.next(), words.nth(2), words.next(), words.next());
    let (Some(addresses), Some(device), Some(inode), Some(name)) = facts else { return Ok(None) };
    if name.starts_with(b"[") {
        return Ok(None);
    }
    let parse = || {
        let (start, end) = pair(addresses, '-')?;
        Some(FileMapping { start, end, device: pair(device, ':')?, inode: str::from_utf8(inode).ok()?.parse().ok()? })
    };
    let mapping =
        parse().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a line of maps is of no known form"));
    mapping.map(Some)
}

/// Two hexadecimal numbers.
fn pair<T: TryFrom<u64>>(word: &[u8], separator: char) -> Option<(T, T)> {
    let (first, second) = str::from_utf8(word).ok()?.split_once(separator)?;
    let parse = |digits| T::try_from(u64::from_str_radix(digits, 16).ok()?).ok();
    Some((parse(first)?, parse(second)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::settled;

    /// A line, then addresses, device and inode of what it says.
    type Case<'a> = (&'a str, Option<((u64, u64), (u32, u32), u64)>);

    #[test]
    fn only_files_are_mappings() {
        let cases: [Case<'_>; 7] = [
            (
                "00400000-10401000 r--p 00000000 fe:00 123                  /bin/a",
                Some(((0x40_0000, 0x1040_1000), (0xfe, 0), 123)),
            ),
            (
                "00000000-00001000 r--p 00000000 103:1a 9                   /bin/a",
                Some(((0, 0x1000), (0x103, 0x1a), 9)),
            ),
            (
                "7f00-7f10 r--p 00000000 00:2f 0                            /on fuse (deleted)",
                Some(((0x7f00, 0x7f10), (0, 0x2f), 0)),
            ),
            ("7f00-7f10 rw-p 00000000 00:00 0", None),
            ("7f00-7f10 rw-p 00000000 00:00 0                            [heap]", None),
            ("7f00-7f10 rw-p 00000000 00:00 0                            [anon:a /b]", None),
            ("", None),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|((start, end), device, inode)| FileMapping { start, end, device, inode });
            assert_eq!(mapping(line.as_bytes()).unwrap(), expected, "{line}");
        }
        mapping(b"7f00:7f10 r--p 00000000 00:2f 0 /a").expect_err("no such line is known");
    }

    #[test]
    fn the_kernel_says_the_same_in_numbers_and_in_text() {
        let mut child = settled();
        let process = child.id();
        let in_text = mappings_in(File::open(format!("/proc/{process}/maps")).unwrap()).unwrap();
        let asked = mapped_files(proc_root().unwrap(), process).unwrap();
        let loaded = loaded_beside(process).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(in_text.len() > 1);
        assert_eq!(asked, in_text);
        assert!(!loaded.is_empty(), "it is linked dynamically");
        assert!(loaded.iter().all(|(_file, name)| name.starts_with(b"/")), "{loaded:?}");
        assert!(loaded_beside(process).unwrap().is_empty(), "it is gone");
    }
}
