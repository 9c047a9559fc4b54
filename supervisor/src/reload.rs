// SPDX-License-Identifier: Apache-2.0
//! Noticing that rules or configuration have changed: inotify on the folders that hold them.
//!
//! Folders rather than files, because editors rename a new file over the old one and a Kubernetes `ConfigMap` swaps a
//! symbolic link; a watched file would be the one that is gone.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};

use crate::{config::Config, sys::SyscallError};

/// How long after the first sign of a change the files are read: an editor's several steps become one reload, and a
/// change still applies well within a second.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);

/// Watches the folders of one configuration.
#[derive(Debug)]
pub(crate) struct ChangeWatcher {
    inotify: Inotify,
    /// The event log's file name.
    log_name: OsString,
}

/// What may have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Configuration or rule files.
    pub(crate) texts: bool,
    /// The event log: it may have been rotated.
    pub(crate) log: bool,
}

impl ChangeWatcher {
    /// Watches nothing yet.
    pub(crate) fn new() -> Result<Self, SyscallError> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|errno| SyscallError::from_errno("inotify_init1", errno))?;
        Ok(Self { inotify, log_name: OsString::new() })
    }

    /// Watches every folder in which a change could concern `config` too. A folder that does not exist yet is watched
    /// through its nearest ancestor; call this again after each change.
    pub(crate) fn cover(&mut self, config: &Config) {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR;
        config.event_log.file_name().unwrap_or_default().clone_into(&mut self.log_name);
        for folder in folders(config) {
            if let Err(errno) = self.inotify.add_watch(&folder, flags) {
                tracing::warn!(folder = %folder.display(), %errno, "changes in this folder will not be noticed");
            }
        }
    }

    /// Takes the pending signs of change.
    pub(crate) fn drain(&self) -> Changes {
        let mut changes = Changes::default();
        loop {
            match self.inotify.read_events() {
                Ok(events) => events.iter().for_each(|event| changes.add(event.name.as_deref(), &self.log_name)),
                Err(Errno::EINTR) => {}
                Err(_) => return changes,
            }
        }
    }
}

impl Changes {
    /// The log and the files beside it that carry its name (a rotated log, a reader's position) change all the time and
    /// concern no rule, although they may lie in the same folder.
    fn add(&mut self, name: Option<&OsStr>, log_name: &OsStr) {
        match name {
            Some(name) if name.as_encoded_bytes().starts_with(log_name.as_encoded_bytes()) => self.log = true,
            _ => self.texts = true,
        }
    }
}

impl AsFd for ChangeWatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// The folders that hold the configuration, the rule files (and what they link to), and the event log.
fn folders(config: &Config) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for path in config.rules.entries.iter().chain(&config.files).chain([&config.event_log]) {
        folders.insert(nearest_folder(path));
        if let Some(parent) = path.parent() {
            folders.insert(nearest_folder(parent));
        }
        if let Ok(target) = path.read_link()
            && let Some(parent) = path.parent()
        {
            folders.insert(nearest_folder(&parent.join(target)));
        }
    }
    folders
}

/// `path` itself if it is a folder, else the first of its ancestors that is one.
fn nearest_folder(path: &Path) -> PathBuf {
    path.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or_else(|| Path::new("/")).to_owned()
}
