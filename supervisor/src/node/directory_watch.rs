// SPDX-License-Identifier: Apache-2.0
//! Changes in directories, by inotify. Directories are watched rather than files, because editors, rotations and
//! mounted `ConfigMap`s put a new file under the old name.

use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
    path::Path,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use tokio::{
    io::unix::AsyncFd,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

/// How often somebody looks for whom the kernel has no watches left. An alert is late by as much.
const LOOK: Duration = Duration::from_secs(1);

/// Watches one or more directories.
#[derive(Debug)]
pub(crate) enum DirectoryWatch {
    /// The kernel tells.
    Inotify(AsyncFd<Descriptor>),
    /// Every second may have brought a change: a user may have 128 instances (`fs.inotify.max_user_instances`), and each
    /// container takes one.
    Looks(Interval),
}

/// [`AsyncFd`] asks for the older trait.
#[derive(Debug)]
pub(crate) struct Descriptor(Inotify);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl DirectoryWatch {
    /// Watches `directories`; one that is not there is not watched.
    pub(crate) fn new<'a>(directories: impl IntoIterator<Item = &'a Path>) -> io::Result<Self> {
        let inotify = match watched(directories) {
            Err(errno @ (Errno::EMFILE | Errno::ENOSPC | Errno::ENOMEM)) => {
                tracing::warn!(%errno, "the kernel has no more inotify watches for us: changes are looked for every second");
                let mut looks = interval_at(Instant::now() + LOOK, LOOK);
                looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                return Ok(Self::Looks(looks));
            }
            inotify => inotify?,
        };
        #[expect(
            deprecated,
            reason = "its successor is unsafe for descriptors that may change; ours is owned and stays"
        )]
        let registered = AsyncFd::new(Descriptor(inotify))?;
        Ok(Self::Inotify(registered))
    }

    /// Watches `directories` from now on in place of the others. Who looks goes on looking.
    pub(crate) fn renew<'a>(&mut self, directories: impl IntoIterator<Item = &'a Path>) -> io::Result<()> {
        if let Self::Inotify(_) = self {
            *self = Self::new(directories)?;
        }
        Ok(())
    }

    /// Waits for changes, and gives the names they are about; no names where nobody can tell which.
    pub(crate) async fn changed(&mut self) -> io::Result<Vec<OsString>> {
        let inotify = match self {
            Self::Inotify(inotify) => inotify,
            Self::Looks(interval) => {
                interval.tick().await;
                return Ok(Vec::new());
            }
        };
        loop {
            let mut ready = inotify.readable().await?;
            match ready.get_inner().0.read_events() {
                Ok(events) => return Ok(events.into_iter().filter_map(|event| event.name).collect()),
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

fn watched<'a>(directories: impl IntoIterator<Item = &'a Path>) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let changes = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM;
    for directory in directories {
        match inotify.add_watch(directory, changes | AddWatchFlags::IN_ONLYDIR) {
            Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(inotify)
}
