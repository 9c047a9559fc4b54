// SPDX-License-Identifier: Apache-2.0
//! How far each sink got in the event log, and the file beside the log that keeps it over a restart.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// A place between two lines of the event log, or of a file that once was it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Bytes that were taken.
    pub(super) offset: u64,
    /// Fingerprint of the file's beginning: a new file may get the inode of a removed one.
    pub(super) head: Option<u64>,
    /// The file's time of modification (unix ns) when it was last read; what came later is newer than the position.
    pub(super) modified: i128,
}

/// The positions of all sinks by name.
#[derive(Debug)]
pub(super) struct Positions {
    path: PathBuf,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    positions: BTreeMap<String, Position>,
    is_stored: bool,
}

impl Positions {
    /// Reads the stored positions of the sinks in `names`; those of other sinks are forgotten, so that a sink that is
    /// enabled again after a month does not repeat the month.
    ///
    /// Without usable positions every sink begins at the head of the log: alerts rather come twice than not at all.
    pub(super) fn load(log: &Path, names: &[&str]) -> Self {
        let path = stored_beside(log);
        let mut positions = read(&path).unwrap_or_else(|error| {
            tracing::error!(path = %path.display(), %error, "cannot read the positions, beginning at the head of the event log");
            BTreeMap::new()
        });
        let slowest = positions.values().copied().min_by_key(|position| (position.modified, position.offset));
        positions.retain(|name, _| names.contains(&name.as_str()));
        if let Some(slowest) = slowest {
            for name in names {
                positions.entry((*name).to_owned()).or_insert(slowest);
            }
        }
        Self { path, state: Mutex::new(State { positions, is_stored: true }), changed: Notify::new() }
    }

    pub(super) fn get(&self, sink: &str) -> Option<Position> {
        self.lock().positions.get(sink).copied()
    }

    /// Notes that `sink` has everything before `position`.
    pub(super) fn set(&self, sink: &str, position: Position) {
        let mut state = self.lock();
        match state.positions.get_mut(sink) {
            Some(known) => *known = position,
            None => drop(state.positions.insert(sink.to_owned(), position)),
        }
        state.is_stored = false;
        self.changed.notify_one();
    }

    /// Waits until there is something to store.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Writes beside and renames, so that a reader finds the old positions or the new ones, never half of them.
    pub(super) fn store(&self) -> io::Result<()> {
        let bytes = {
            let mut state = self.lock();
            if state.is_stored {
                return Ok(());
            }
            state.is_stored = true;
            serde_json::to_vec(&state.positions)?
        };
        let stored = self.write(&bytes);
        if stored.is_err() {
            self.lock().is_stored = false;
        }
        stored
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        fs::write(&beside, bytes)?;
        fs::rename(&beside, &self.path)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The positions in the file at `path`; none if there is no file.
fn read(path: &Path) -> io::Result<BTreeMap<String, Position>> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// The name of the file that holds the positions of `log`.
pub(super) fn stored_beside(log: &Path) -> PathBuf {
    let mut path = log.to_owned().into_os_string();
    path.push(".position");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(offset: u64) -> Position {
        Position { device: 1, inode: 2, offset, head: Some(u64::MAX), modified: 1_700_000_000_000_000_000 }
    }

    #[test]
    fn positions_survive_and_a_new_sink_starts_at_the_slowest() -> io::Result<()> {
        let scratch = tempfile::tempdir()?;
        let log = scratch.path().join("events.jsonl");
        let first = Positions::load(&log, &["file", "stdout"]);
        assert_eq!(first.get("file"), None);
        first.set("file", position(500));
        first.set("stdout", position(300));
        first.store()?;
        let second = Positions::load(&log, &["file", "syslog"]);
        assert_eq!(second.get("file"), Some(position(500)));
        assert_eq!(second.get("syslog"), Some(position(300)));
        assert_eq!(second.get("stdout"), None);
        Ok(())
    }

    #[test]
    fn broken_positions_mean_the_head_of_the_log() -> io::Result<()> {
        let scratch = tempfile::tempdir()?;
        let log = scratch.path().join("events.jsonl");
        fs::write(stored_beside(&log), "{")?;
        assert_eq!(Positions::load(&log, &["file"]).get("file"), None);
        Ok(())
    }
}
