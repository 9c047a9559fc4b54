// SPDX-License-Identifier: Apache-2.0
//! What supervisors said about the texts in force, remembered for the starts of further containers: loading the rules
//! takes longer than a container's start should, and which calls they need changes only with them.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use policy::{Mode, Watched};
use serde::{Deserialize, Serialize};

/// In `run_dir`, among directories that are called like their containers, of which none begins with a dot.
const NAME: &str = ".interest.json";

/// The calls that one version of the texts needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Of the texts.
    fingerprint: u64,
    /// Of the executable that decided.
    executable: String,
    /// What it decided.
    watched: Vec<Watched>,
}

/// Where it is remembered.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    path: PathBuf,
    executable: String,
    mode: Mode,
}

impl Memory {
    /// In `run_dir`, for the decisions of `executable` about a container in this mode.
    pub(super) fn new(run_dir: &Path, executable: &Path, mode: Mode) -> Self {
        let version = fs::metadata(executable).map_or_else(
            |_error| String::new(),
            |file| format!("{}:{}:{}.{}", executable.display(), file.size(), file.mtime(), file.mtime_nsec()),
        );
        Self { path: run_dir.join(NAME), executable: version, mode }
    }

    /// The calls that the texts with this fingerprint need; `None` where nobody has decided about them yet.
    pub(super) fn recall(&self, fingerprint: u64) -> Option<Vec<Watched>> {
        let remembered: Remembered = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        let fits = remembered.fingerprint == fingerprint && remembered.executable == self.executable;
        fits.then_some(remembered.watched)
    }

    /// Remembers a decision about an audited container: others need other calls, and wait for the decision in any case.
    /// Where that fails, the next container's start takes a little longer.
    pub(super) fn remember(&self, fingerprint: u64, watched: &[Watched]) {
        if self.mode == Mode::Enforce || self.recall(fingerprint).as_deref() == Some(watched) {
            return;
        }
        let (executable, watched) = (self.executable.clone(), watched.to_vec());
        if let Err(error) = self.write(&Remembered { fingerprint, executable, watched }) {
            tracing::warn!(%error, path = %self.path.display(), "which calls the rules need is not remembered");
        }
    }

    /// Beside and renamed, since other guards read at any time.
    fn write(&self, remembered: &Remembered) -> io::Result<()> {
        let beside = self.path.with_extension(format!("{}.new", std::process::id()));
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        serde_json::to_writer(file, remembered)?;
        fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_counts_for_the_same_texts_and_the_same_executable_only() {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("lanner");
        fs::write(&executable, "one").unwrap();
        let memory = Memory::new(folder.path(), &executable, Mode::Audit);
        assert_eq!(memory.recall(7), None);
        let watched = [Watched::always("connect")];
        memory.remember(7, &watched);
        assert_eq!(memory.recall(7).as_deref(), Some(watched.as_slice()));
        assert_eq!(memory.recall(8), None);
        fs::write(&executable, "another").unwrap();
        assert_eq!(Memory::new(folder.path(), &executable, Mode::Audit).recall(7), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside");
    }
}
