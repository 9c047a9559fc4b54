// SPDX-License-Identifier: Apache-2.0
//! The configuration of the service, and its changes.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    time::sleep_until,
};

use crate::{
    config::{Config, ConfigError, Notice},
    reload::{ChangeWatcher, Sign},
};

/// A configuration that is watched before it is read, so that no change comes between the two.
#[derive(Debug)]
pub(super) struct ConfigWatch {
    path: PathBuf,
    options: Vec<String>,
    watcher: ChangeWatcher,
}

impl ConfigWatch {
    /// For the file at `path` with the `key=value` options over it.
    pub(super) fn new(path: &Path, options: &[String]) -> Self {
        Self { path: path.to_owned(), options: options.to_owned(), watcher: ChangeWatcher::new() }
    }

    /// What the files say now.
    pub(super) fn read(&mut self) -> Result<(Config, Vec<Notice>), ConfigError> {
        self.watcher.cover_file(&self.path, &self.options);
        let (config, notices) = Config::load(&self.path, &self.options)?;
        config.check_sinks().map(|()| (config, notices))
    }

    /// Waits until something may have changed since the last [`Self::read`].
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            match self.watcher.sign() {
                Sign::Readable(descriptor) => {
                    #[expect(
                        deprecated,
                        reason = "its successor is unsafe for descriptors that may change; this one is borrowed and stays"
                    )]
                    let registered = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
                    registered.readable().await?.retain_ready();
                }
                Sign::Due(due) => sleep_until(due.into()).await,
            }
            if self.watcher.drain().texts {
                return Ok(());
            }
        }
    }
}
