// SPDX-License-Identifier: Apache-2.0
//! Where the texts of the configuration come from.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use settings::MAX_FILE_BYTES;

use super::rules_files;
use crate::bounded;

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct TextFile {
    /// Its path, as diagnostics name it.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
}

impl TextFile {
    /// Reads the file at `path`, of at most `limit` bytes. Fails also if it is not UTF-8.
    pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Self> {
        Ok(Self { name: path.display().to_string(), text: bounded::read_text(path, limit)? })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.name)
    }
}

/// The place that configuration files are read from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Files<'a> {
    /// The file system.
    Disk,
    /// All that a successful load had read, whatever has become of the files.
    Kept(&'a [TextFile]),
}

impl Files<'_> {
    /// The files that an entry of `config_files` stands for.
    pub(super) fn named(self, entry: &Path) -> Vec<PathBuf> {
        match self {
            Self::Disk => rules_files::expand_one(entry),
            Self::Kept(files) if files.iter().any(|file| file.path() == entry) => vec![entry.to_owned()],
            Self::Kept(files) => {
                let is_inside = |path: &&Path| path.parent() == Some(entry) && rules_files::has_yaml_name(path);
                let mut inside: Vec<_> =
                    files.iter().map(TextFile::path).filter(is_inside).map(Path::to_owned).collect();
                inside.sort();
                inside
            }
        }
    }

    /// One file.
    pub(super) fn read(self, path: &Path) -> io::Result<TextFile> {
        match self {
            Self::Disk => TextFile::read(path, MAX_FILE_BYTES),
            Self::Kept(files) => {
                files.iter().find(|file| file.path() == path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }
}
