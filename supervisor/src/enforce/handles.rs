// SPDX-License-Identifier: Apache-2.0
//! What a call names by number, held from the moment it is looked at to the moment it is performed: the target can put
//! another file under the number, or go to another directory, but not exchange what we hold.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::stat::fstat;

use super::request::Start;
use crate::process::Process;

/// Directories, files and a socket of the target.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    starts: Vec<(Start, OwnedFd)>,
    socket: Option<OwnedFd>,
}

impl Handles {
    /// Takes what paths start from; what the target does not have is missing.
    pub(crate) fn take(process: &Process, starts: impl IntoIterator<Item = Start>) -> Self {
        let mut handles = Self::default();
        for start in starts {
            let handle = match start {
                Start::Root => continue,
                _ if handles.start(start).is_some() => continue,
                Start::WorkingDirectory => process.open_link("cwd"),
                Start::Descriptor(number) => process.duplicate(number),
            };
            handles.starts.extend(handle.map(|handle| (start, handle)));
        }
        handles
    }

    /// Those that came from another process in the order of [`Self::in_order`].
    pub(super) fn from_order(starts: Vec<Start>, handles: impl IntoIterator<Item = OwnedFd>) -> Self {
        Self { starts: starts.into_iter().zip(handles).collect(), socket: None }
    }

    /// What paths start from, and the handles.
    pub(super) fn in_order(&self) -> (Vec<Start>, Vec<BorrowedFd<'_>>) {
        self.starts.iter().map(|(start, handle)| (*start, handle.as_fd())).unzip()
    }

    /// With a socket.
    pub(crate) fn with_socket(self, socket: OwnedFd) -> Self {
        Self { socket: Some(socket), ..self }
    }

    /// What a path starts from.
    pub(crate) fn start(&self, start: Start) -> Option<BorrowedFd<'_>> {
        self.starts.iter().find(|(held, _)| *held == start).map(|(_, handle)| handle.as_fd())
    }

    /// Which files all these are: device and inode.
    pub(crate) fn identities(&self) -> Vec<Option<(u64, u64)>> {
        let all = self.starts.iter().map(|(_, handle)| handle).chain(&self.socket);
        all.map(|handle| fstat(handle).ok().map(|facts| (facts.st_dev, facts.st_ino))).collect()
    }

    /// The socket.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }
}
