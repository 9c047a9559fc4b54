// SPDX-License-Identifier: Apache-2.0
//! Which files hold the event log's earlier lines, and how one is recognised again.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::position::Position;

/// A record begins with its time in ns and its id; no two logs share these bytes.
const HEAD_BYTES: usize = 64;

/// Endings of files that a rotation has compressed: their lines cannot be read where they stand.
const COMPRESSED: [&str; 5] = ["gz", "bz2", "xz", "zst", "zip"];

/// The file that `position` is in, or a copy of it, under whatever name it has now.
pub(super) fn find(log: &Path, position: &Position) -> io::Result<Option<File>> {
    for path in std::iter::once(log.to_owned()).chain(siblings(log)) {
        let Some(file) = open(&path)? else { continue };
        let metadata = file.metadata()?;
        let is_same = match position.head {
            Some(expected) => head(&file)? == Some(expected),
            None => (metadata.dev(), metadata.ino()) == (position.device, position.inode),
        };
        if is_same && metadata.len() >= position.offset {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The oldest rotated file that was written after `modified` (unix ns), or else the event log; none if there is none.
pub(super) fn next(log: &Path, after: i128) -> io::Result<Option<File>> {
    let mut newer: Vec<(i128, PathBuf)> = siblings(log)
        .into_iter()
        .filter_map(|path| fs::metadata(&path).ok().map(|metadata| (modified(&metadata), path)))
        .filter(|(time, _)| *time > after)
        .collect();
    newer.sort();
    for path in newer.into_iter().map(|(_, path)| path).chain([log.to_owned()]) {
        if let Some(file) = open(&path)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Opens a regular file; none if there is none of this name.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `events.jsonl.1`, `events.jsonl-20261123` and the like.
fn siblings(log: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (log.parent(), log.file_name()) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.filter(|path| is_rotated(path, name.as_encoded_bytes())).collect()
}

fn is_rotated(path: &Path, log: &[u8]) -> bool {
    let suffix = path.file_name().and_then(|name| name.as_encoded_bytes().strip_prefix(log));
    let is_compressed =
        path.extension().is_some_and(|ending| COMPRESSED.iter().any(|compressed| ending == *compressed));
    let is_ours = |suffix: &[u8]| suffix.starts_with(b".position");
    suffix.is_some_and(|suffix| matches!(suffix.first(), Some(b'.' | b'-')) && !is_ours(suffix)) && !is_compressed
}

/// Fingerprint of the file's first bytes (FNV-1a, which is the same in every release); none while it is shorter.
pub(super) fn head(file: &File) -> io::Result<Option<u64>> {
    let mut bytes = [0_u8; HEAD_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    Ok(Some(bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)))
}

/// Time of modification in unix ns.
pub(super) fn modified(metadata: &Metadata) -> i128 {
    i128::from(metadata.mtime()).saturating_mul(1_000_000_000).saturating_add(i128::from(metadata.mtime_nsec()))
}
