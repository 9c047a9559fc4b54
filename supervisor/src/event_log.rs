// SPDX-License-Identifier: Apache-2.0
//! The append-only log that every alert enters before its call proceeds.
//!
//! One write per notification with `O_APPEND`: writers of different containers never interleave inside a record (write(2):
//! the offset is moved and the data written as one step). The log is the queue of all outputs, so it is also what a
//! successor asks whether its predecessor's alert was written.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use arc_swap::ArcSwap;
use memchr::memmem;

use crate::alert::Alert;

/// What stands before a record's id.
const ID: &[u8] = b"\"id\":\"";
/// How much of the log is searched for a predecessor's alert: far more than all containers of a node write while one
/// supervisor is replaced.
const MAX_SEARCH_BYTES: u64 = 64 << 20;
/// Piece in which the log is searched.
const SEARCH_CHUNK: usize = 64 << 10;

/// The event log, open for appending.
#[derive(Debug)]
pub(crate) struct EventLog {
    path: PathBuf,
    file: ArcSwap<File>,
}

/// A place in the log that stays meaningful when the file is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Which file.
    pub(crate) inode: u64,
    /// Bytes from its start.
    pub(crate) offset: u64,
}

/// The event log cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventLogError {
    /// It cannot be opened for appending.
    #[error("cannot open event log `{path}`")]
    Open {
        /// As configured.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A record cannot be appended.
    #[error("cannot append to event log `{path}`")]
    Append {
        /// As configured.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
}

impl EventLog {
    /// Opens the log, making the file and its folder where they are missing. Readable for its owner and group alone: it
    /// holds command lines.
    pub(crate) fn open(path: &Path) -> Result<Self, EventLogError> {
        let file = open_for_appending(path).map_err(|source| EventLogError::Open { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file: ArcSwap::from_pointee(file) })
    }

    /// Where the next record of this process will stand, or further on.
    pub(crate) fn end(&self) -> io::Result<Position> {
        let metadata = self.file.load().metadata()?;
        Ok(Position { inode: metadata.ino(), offset: metadata.len() })
    }

    /// Appends whole lines with one write.
    pub(crate) fn append(&self, lines: &[u8]) -> Result<(), EventLogError> {
        let failed = |source| EventLogError::Append { path: self.path.clone(), source };
        let file = self.file.load();
        let written = (&**file).write(lines).map_err(failed)?;
        if written == lines.len() {
            return Ok(());
        }
        // A full disk cuts a write short. Readers step over the torn line; the alert counts as not written.
        Err(failed(io::ErrorKind::StorageFull.into()))
    }

    /// Follows a rotation: if the path no longer names the open file, opens the one it names now, or a new one.
    pub(crate) fn reopen_if_moved(&self) -> Result<(), EventLogError> {
        let failed = |source| EventLogError::Open { path: self.path.clone(), source };
        let open = self.file.load().metadata().map_err(failed)?;
        if has_moved(&self.path, (open.dev(), open.ino())).map_err(failed)? {
            self.file.store(open_for_appending(&self.path).map_err(failed)?.into());
        }
        Ok(())
    }

    /// How many records with each of these ids stand in the log behind a position. Whoever is killed inside a write leaves a part
    /// of a record, which does not count.
    ///
    /// Where the log was rotated since, the new file is searched from its start and the old one, under its usual name
    /// with `.1`, from there.
    pub(crate) fn count(&self, marks: &HashMap<String, Position>) -> io::Result<HashMap<String, usize>> {
        let mut counts = HashMap::new();
        if marks.is_empty() {
            return Ok(counts);
        }
        let mut rotated = self.path.clone().into_os_string();
        rotated.push(".1");
        let opened = |path: &Path| match File::open(path) {
            Ok(file) => Ok(Some((file.metadata()?, file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let current = opened(&self.path)?;
        let newest = current.as_ref().map(|(facts, _)| facts.ino());
        for (facts, file) in current.into_iter().chain(opened(Path::new(&rotated))?) {
            let (inode, length) = (facts.ino(), facts.len());
            // Where in this file, if at all: an older one than that of the mark has nothing.
            let start_of = |mark: &Position| match mark.inode {
                marked if marked == inode => Some(mark.offset),
                marked if Some(marked) == newest => None,
                _ => Some(0),
            };
            let starts: HashMap<_, _> =
                marks.iter().filter_map(|(id, mark)| Some((id.as_str(), start_of(mark)?))).collect();
            let Some(first) = starts.values().min() else { continue };
            let first = (*first).max(length.saturating_sub(MAX_SEARCH_BYTES));
            count_in(file, first, &starts, &mut counts)?;
        }
        Ok(counts)
    }
}

/// Counts the records of a file from `first` on that stand behind where those with their id start.
fn count_in(
    mut file: File,
    first: u64,
    starts: &HashMap<&str, u64>,
    counts: &mut HashMap<String, usize>,
) -> io::Result<()> {
    let finder = memmem::Finder::new(ID);
    file.seek(SeekFrom::Start(first))?;
    let mut lines = BufReader::with_capacity(SEARCH_CHUNK, file);
    let (mut line, mut offset) = (Vec::new(), first);
    while lines.read_until(b'\n', &mut line)? > 0 {
        let end = offset + line.len() as u64;
        let is_wanted = |id: &str| starts.get(id).is_some_and(|start| end > *start);
        // A torn record may stand before this one.
        let mut named = finder.find_iter(&line).filter_map(|at| id_at(&line, at + ID.len()));
        if line.ends_with(b"\n")
            && named.any(is_wanted)
            && let Some(alert) = Alert::parse(&line).filter(|alert| is_wanted(&alert.id))
        {
            *counts.entry(alert.id).or_insert(0) += 1;
        }
        offset = end;
        line.clear();
    }
    Ok(())
}

/// The text from here to the next quote.
fn id_at(line: &[u8], start: usize) -> Option<&str> {
    let rest = line.get(start..)?;
    str::from_utf8(rest.get(..memchr::memchr(b'"', rest)?)?).ok()
}

/// Whether the path no longer names the file of this device and inode.
pub(crate) fn has_moved(path: &Path, file: (u64, u64)) -> io::Result<bool> {
    match path.metadata() {
        Ok(named) => Ok((named.dev(), named.ino()) != file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Opens a log, making the file and its folder where they are missing.
pub(crate) fn open_for_appending(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (tempfile::TempDir, EventLog) {
        let folder = tempfile::tempdir().unwrap();
        let log = EventLog::open(&folder.path().join("logs/events.jsonl")).unwrap();
        (folder, log)
    }

    fn count(log: &EventLog, id: &str, from: Position) -> usize {
        let counts = log.count(&HashMap::from([(id.to_owned(), from), ("none".to_owned(), from)])).unwrap();
        counts.get(id).copied().unwrap_or(0)
    }

    fn record(id: &str) -> Vec<u8> {
        let record = format!(
            r#"{{"time":1,"id":"{id}","rule":"R","priority":"Notice","source":"syscall","hostname":"h","message":"m"}}"#
        );
        [record.as_bytes(), b"\n"].concat()
    }

    #[test]
    fn a_record_is_found_from_the_position_before_it_and_not_from_behind() {
        let (_folder, log) = log();
        let before = log.end().unwrap();
        log.append(&record("a-1-2")).unwrap();
        assert_eq!(count(&log, "a-1-2", before), 1);
        assert_eq!(count(&log, "a-1-3", before), 0);
        assert_eq!(count(&log, "a-1-2", log.end().unwrap()), 0);
    }

    #[test]
    fn a_part_of_a_record_does_not_count() {
        let (_folder, log) = log();
        let before = log.end().unwrap();
        log.append(&record("a-1-2")[..40]).unwrap();
        assert_eq!(count(&log, "a-1-2", before), 0);
        log.append(&record("a-1-3")).unwrap();
        assert_eq!(count(&log, "a-1-2", before), 0);
        assert_eq!(count(&log, "a-1-3", before), 1);
        log.append(&record("a-1-2")).unwrap();
        assert_eq!(count(&log, "a-1-2", before), 1);
    }

    #[test]
    fn a_record_across_the_border_of_two_pieces_is_found() {
        let (_folder, log) = log();
        let before = log.end().unwrap();
        log.append(&vec![b'x'; SEARCH_CHUNK - 5]).unwrap();
        log.append(&record("border")).unwrap();
        log.append(&vec![b'y'; 3 * SEARCH_CHUNK]).unwrap();
        assert_eq!(count(&log, "border", before), 1);
    }

    #[test]
    fn a_rotated_log_is_followed_and_still_searched() {
        let (folder, log) = log();
        let before = log.end().unwrap();
        log.append(&record("old")).unwrap();
        let path = folder.path().join("logs/events.jsonl");
        std::fs::rename(&path, folder.path().join("logs/events.jsonl.1")).unwrap();
        log.reopen_if_moved().unwrap();
        log.append(&record("new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), record("new"));
        assert_eq!(count(&log, "old", before), 1);
        assert_eq!(count(&log, "new", before), 1);
    }
}
