// SPDX-License-Identifier: Apache-2.0
//! What a supervisor keeps for the case that its guard dies, and how it starts a new one with it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    process::{Child, Stdio},
};

use crate::{
    account::Realm,
    control::{Control, ControlError, ToNewGuard},
    executable,
    slots::SlotsFile,
    sys::{Listener, Pidfd, SyscallError},
};

/// The guard's lock and socket, and what was in force.
#[derive(Debug)]
pub(crate) struct GuardEstate {
    /// Says that the container is supervised, for as long as anybody holds it.
    lock: OwnedFd,
    /// The listener socket.
    socket: OwnedFd,
    /// The texts in force.
    sources: Option<OwnedFd>,
    /// The process of the low-level runtime, from which no listener had come when we began.
    runtime: Option<OwnedFd>,
    /// The number that the next listener gets.
    next_listener: u32,
    /// A guard that this supervisor has started, to be collected when it ends.
    guard: Option<Child>,
}

/// No new guard can be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewGuardError {
    /// The process cannot be made.
    #[error("cannot start a guard")]
    Spawn(#[from] io::Error),
    /// A system call on its behalf failed.
    #[error(transparent)]
    Syscall(#[from] SyscallError),
    /// It does not listen.
    #[error("cannot speak with the new guard")]
    Control(#[from] ControlError),
}

impl GuardEstate {
    /// Takes the descriptors that come with the guard's first message; `None` where one is missing.
    pub(crate) fn new(mut descriptors: Vec<OwnedFd>, has_runtime: bool) -> Option<Self> {
        let runtime = if has_runtime { Some(descriptors.pop()?) } else { None };
        let mut descriptors = descriptors.into_iter();
        let (lock, socket) = (descriptors.next()?, descriptors.next()?);
        Some(Self { lock, socket, sources: descriptors.next(), runtime, next_listener: 0, guard: None })
    }

    /// Notes that a listener has come, whose number is not given again.
    pub(crate) fn note_listener(&mut self, number: u32) {
        self.runtime = None;
        self.next_listener = self.next_listener.max(number.saturating_add(1));
    }

    /// The texts that were in force under a predecessor.
    pub(crate) fn sources(&self) -> Option<BorrowedFd<'_>> {
        self.sources.as_ref().map(AsFd::as_fd)
    }

    /// Replaces the texts in force.
    pub(crate) fn set_sources(&mut self, sources: OwnedFd) {
        self.sources = Some(sources);
    }

    /// Starts a guard and hands it everything; returns the socket to speak with it.
    pub(crate) fn start_guard<'l>(
        &mut self,
        directory: &Path,
        config: &Path,
        listeners: impl Iterator<Item = (u32, &'l Listener, &'l SlotsFile)>,
        realm: Option<&Realm>,
    ) -> Result<Control, NewGuardError> {
        if let Some(mut dead) = self.guard.take() {
            dead.wait()?;
        }
        let (control, theirs) = Control::pair()?;
        let guard = executable::command()
            .arg("--config")
            .arg(config)
            .args(["guard", "--adopt", "--directory"])
            .arg(directory)
            .stdin(Stdio::from(theirs.into_descriptor()))
            .stdout(Stdio::null())
            .spawn()?;
        self.guard = Some(guard);
        for (number, listener, slots) in listeners {
            control.send(&ToNewGuard::Listener { listener: number }, &[listener.as_fd(), slots.as_fd()])?;
        }
        if let Some(realm) = realm {
            control.send(&ToNewGuard::Realm(realm.maps().clone()), &[realm.root()])?;
        }
        // By its number the guard could take another process for us: whoever inherits it when we die meanwhile.
        let own = Pidfd::own()?;
        let mut last = vec![self.lock.as_fd(), self.socket.as_fd(), own.as_fd()];
        last.extend(self.sources());
        last.extend(self.runtime.as_ref().map(AsFd::as_fd));
        let (next_listener, has_runtime) = (self.next_listener, self.runtime.is_some());
        control.send(&ToNewGuard::Complete { next_listener, has_runtime }, &last)?;
        Ok(control)
    }
}
