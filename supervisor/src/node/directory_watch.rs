// SPDX-License-Identifier: Apache-2.0
//! Changes in directories, by inotify. Directories are watched rather than files, because editors, rotations and
//! mounted `ConfigMap`s put a new file under the old name.

use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
    path::Path,
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use tokio::io::unix::AsyncFd;

/// Watches one or more directories.
#[derive(Debug)]
pub(crate) struct DirectoryWatch(AsyncFd<Descriptor>);

/// [`AsyncFd`] asks for the older trait.
#[derive(Debug)]
struct Descriptor(Inotify);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl DirectoryWatch {
    /// Watches `directories`; one that is not there is not watched.
    pub(crate) fn new<'a>(directories: impl IntoIterator<Item = &'a Path>) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let changes = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM;
        for directory in directories {
            match inotify.add_watch(directory, changes | AddWatchFlags::IN_ONLYDIR) {
                Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        #[expect(
            deprecated,
            reason = "its successor is unsafe for descriptors that may change; ours is owned and stays"
        )]
        let registered = AsyncFd::new(Descriptor(inotify))?;
        Ok(Self(registered))
    }

    /// Waits for changes, and gives the names they are about; no names where too many came at once to be told.
    pub(crate) async fn changed(&self) -> io::Result<Vec<OsString>> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.get_inner().0.read_events() {
                Ok(events) => return Ok(events.into_iter().filter_map(|event| event.name).collect()),
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
