// SPDX-License-Identifier: Apache-2.0
//! The texts that something was put in force from, kept so that a successor can use them when the files have become bad.
//!
//! A broken edit leaves the rules in force. It must not take them away when the supervisor is replaced either, so each
//! successful load is handed to the guard as a memfd, and the guard hands it to the next supervisor.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Seek, Write},
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::{
    bounded,
    config::{Config, ConfigError, TextFile, rules_files},
};

/// Configuration and rule files as read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Sources {
    /// The configuration files, the main one first.
    config: Vec<TextFile>,
    /// The rule files in loading order.
    pub(crate) rules: Vec<TextFile>,
}

/// The texts cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourcesError {
    /// The configuration is not usable.
    #[error("cannot use the configuration")]
    Config(#[from] ConfigError),
    /// A file cannot be read, or is not UTF-8.
    #[error("cannot read `{path}`")]
    Read {
        /// Which one.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The memfd of a predecessor's texts cannot be used.
    #[error("cannot use the texts that the guard keeps")]
    Kept(#[source] io::Error),
}

impl Sources {
    /// Reads what the files say now.
    pub(crate) fn read(config_path: &Path) -> Result<(Config, Self), SourcesError> {
        let (config, _notices) = Config::load(config_path, &[])?;
        let mut rules = Vec::new();
        for path in rules_files::expand(&config.rules.entries) {
            let file = TextFile::read(&path, bounded::MAX_RULES);
            rules.push(file.map_err(|source| SourcesError::Read { path, source })?);
        }
        let sources = Self { config: config.files.clone(), rules };
        Ok((config, sources))
    }

    /// Changes whenever any of the texts does.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// The texts as a memfd, for the guard to keep.
    pub(crate) fn to_memfd(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create(c"lanner-sources", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&serde_json::to_vec(self)?)?;
        file.rewind()?;
        Ok(file.into())
    }

    /// Reads a predecessor's texts back, and the configuration in them.
    pub(crate) fn from_memfd(descriptor: BorrowedFd<'_>) -> Result<(Config, Self), SourcesError> {
        let bytes = read_whole(descriptor).map_err(SourcesError::Kept)?;
        let sources: Self = serde_json::from_slice(&bytes).map_err(|error| SourcesError::Kept(error.into()))?;
        let (config, _notices) = Config::load_kept(&sources.config)?;
        Ok((config, sources))
    }
}

fn read_whole(descriptor: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::from(descriptor.try_clone_to_owned()?);
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
