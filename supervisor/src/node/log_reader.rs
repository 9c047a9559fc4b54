// SPDX-License-Identifier: Apache-2.0
//! Reads the event log line by line from a position on, over rotation, truncation and removal.
//!
//! A reader at the end of a file that is no longer the event log waits [`GRACE`] for late writers, unless it was left alone
//! for as long already, and goes on with the next newer file: rotated siblings first, by time of modification, then the event log itself.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{position::Position, rotation};

/// Supervisors look every 5 s whether the log was renamed under them, and write into the old file until then.
const GRACE: Duration = Duration::from_secs(6);

/// What one read asks for: many alerts, and little memory.
const CHUNK_BYTES: usize = 64 << 10;

/// No alert is longer; what is, is not an alert.
const MAX_LINE_BYTES: usize = 4 << 20;

/// Reads one event log.
#[derive(Debug)]
pub(crate) struct LogReader {
    path: PathBuf,
    open: Option<OpenLog>,
    /// Where to go on as soon as there is a file.
    resume: Option<Position>,
    /// What was read and not taken yet; begins at the open file's offset.
    pending: Vec<u8>,
    grace: Duration,
    /// Since when the open file is known not to be the event log any more.
    replaced_since: Option<Instant>,
}

#[derive(Debug)]
struct OpenLog {
    file: File,
    device: u64,
    inode: u64,
    /// Bytes taken.
    offset: u64,
    head: Option<u64>,
    modified: i128,
}

/// One complete line, without its newline, and the position behind it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) bytes: Vec<u8>,
    pub(crate) after: Position,
}

impl LogReader {
    /// Reads on from `position`; without one, from the beginning of the log.
    pub(crate) fn new(path: &Path, position: Option<Position>) -> Self {
        Self {
            path: path.to_owned(),
            open: None,
            resume: position,
            pending: Vec::new(),
            grace: GRACE,
            replaced_since: None,
        }
    }

    /// The same reader with another patience for late writers.
    #[cfg(test)]
    pub(super) fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// The next lines, as many as one chunk holds; nothing if there are none now.
    pub(crate) fn read(&mut self) -> io::Result<Vec<Line>> {
        loop {
            if self.open.is_none() && !self.open_log()? {
                return Ok(Vec::new());
            }
            let Some(open) = &mut self.open else { return Ok(Vec::new()) };
            let metadata = open.file.metadata()?;
            if open.was_rewritten(&metadata)? {
                // What was not read before may stand in a copy beside (logrotate's `copytruncate`).
                self.resume = Some(open.position());
                self.open = None;
                continue;
            }
            if self.fill()? {
                let lines = self.take_lines();
                if !lines.is_empty() {
                    return Ok(lines);
                }
            } else if !self.go_on_with_next()? {
                return Ok(Vec::new());
            }
        }
    }

    /// Opens the file to go on with; whether there is one.
    fn open_log(&mut self) -> io::Result<bool> {
        self.pending.clear();
        self.replaced_since = None;
        self.open = match self.resume {
            Some(position) => self.open_after(&position)?,
            None => rotation::next(&self.path, i128::MAX)?.map(OpenLog::from_start).transpose()?,
        };
        Ok(self.open.is_some())
    }

    fn open_after(&self, position: &Position) -> io::Result<Option<OpenLog>> {
        if let Some(file) = rotation::find(&self.path, position)? {
            return OpenLog::at(file, position).map(Some);
        }
        let next = rotation::next(&self.path, position.modified)?;
        if next.is_some() {
            tracing::info!(log = %self.path.display(), "the part of the event log that was read last is gone, reading on in the next");
        }
        next.map(OpenLog::from_start).transpose()
    }

    /// Reads a chunk behind what is pending; whether there was anything.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let old = self.pending.len();
        self.pending.resize(old.saturating_add(CHUNK_BYTES), 0);
        let from = open.offset.saturating_add(u64::try_from(old).unwrap_or(u64::MAX));
        let read = open.file.read_at(self.pending.get_mut(old..).unwrap_or_default(), from);
        self.pending.truncate(old.saturating_add(*read.as_ref().unwrap_or(&0)));
        Ok(read? > 0)
    }

    fn take_lines(&mut self) -> Vec<Line> {
        let Some(open) = &mut self.open else { return Vec::new() };
        let mut lines = Vec::new();
        let mut taken = 0_usize;
        for newline in memchr::memchr_iter(b'\n', &self.pending) {
            let bytes = self.pending.get(taken..newline).unwrap_or_default().to_vec();
            let length = newline.saturating_add(1).saturating_sub(taken);
            open.advance(length);
            taken = newline.saturating_add(1);
            lines.push(Line { bytes, after: open.position() });
        }
        self.pending.drain(..taken);
        if self.pending.len() > MAX_LINE_BYTES {
            tracing::warn!(bytes = self.pending.len(), "skipping a part of the event log that is no alert");
            open.advance(self.pending.len());
            self.pending.clear();
        }
        lines
    }

    /// At the end of the file: whether another one follows it.
    fn go_on_with_next(&mut self) -> io::Result<bool> {
        let Some(open) = &self.open else { return Ok(false) };
        match fs::metadata(&self.path) {
            Ok(metadata) if open.is(&metadata) => {
                self.replaced_since = None;
                return Ok(false);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let has_waited = self.replaced_since.get_or_insert_with(Instant::now).elapsed() >= self.grace;
        if !has_waited && !is_at_rest(&open.file.metadata()?, self.grace) {
            return Ok(false);
        }
        let next = rotation::next(&self.path, open.modified)?;
        let next = next.map(OpenLog::from_start).transpose()?.filter(|next| !next.is_same(open));
        let Some(next) = next else { return Ok(false) };
        self.open = Some(next);
        self.pending.clear();
        self.replaced_since = None;
        Ok(true)
    }
}

/// Whether a file was written and renamed longer ago than `grace`, so that nobody writes into it any more.
fn is_at_rest(metadata: &Metadata, grace: Duration) -> bool {
    let changed = metadata.mtime().max(metadata.ctime());
    let changed = u64::try_from(changed).ok().and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age > grace + Duration::from_secs(1))
}

impl OpenLog {
    fn from_start(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let head = rotation::head(&file)?;
        let (device, inode) = (metadata.dev(), metadata.ino());
        Ok(Self { file, device, inode, offset: 0, head, modified: rotation::modified(&metadata) })
    }

    fn at(file: File, position: &Position) -> io::Result<Self> {
        Ok(Self { offset: position.offset, ..Self::from_start(file)? })
    }

    fn position(&self) -> Position {
        let Self { device, inode, offset, head, modified, .. } = *self;
        Position { device, inode, offset, head, modified }
    }

    fn advance(&mut self, bytes: usize) {
        self.offset = self.offset.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn is(&self, metadata: &Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether the file was truncated since it was last read, even if it has grown again; notes its facts otherwise.
    fn was_rewritten(&mut self, metadata: &Metadata) -> io::Result<bool> {
        if metadata.len() < self.offset {
            return Ok(true);
        }
        let modified = rotation::modified(metadata);
        if self.head.is_some() && modified == self.modified {
            return Ok(false);
        }
        let head = rotation::head(&self.file)?;
        if self.head.is_some() && head != self.head {
            return Ok(true);
        }
        self.head = head;
        self.modified = modified;
        Ok(false)
    }
}
