// SPDX-License-Identifier: Apache-2.0
//! Changes in a directory, by inotify. The directory is watched rather than a file, because rotations put a new file under
//! the old name.

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

/// Watches the directory of a file.
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
    /// Watches the directory of `file`, if it is there.
    pub(crate) fn of(file: &Path) -> io::Result<Self> {
        // The parent of a bare name is empty, and means the working directory.
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let inotify = match watched(directory) {
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

fn watched(directory: &Path) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let changes = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM;
    match inotify.add_watch(directory, changes | AddWatchFlags::IN_ONLYDIR) {
        Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(inotify),
        Err(errno) => Err(errno),
    }
}
