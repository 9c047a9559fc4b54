// SPDX-License-Identifier: Apache-2.0
//! Such a process, as its user sees it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{Child, Stdio},
};

use nix::unistd::Pid;

use super::{
    Home, has_root,
    message::{FromOpener, Handle, ToOpener},
    openers::{self, Place},
};
use crate::{
    control::{Control, ControlError},
    enforce::{
        Afterwards, DevicePolicy, Errand, Handles, Located, Naming, Opened, Start, Upheaval,
        connecting::Peer,
        credentials::{Fixed, Person},
        opener::{Look, Sight},
    },
    executable,
    process::Process,
    sys::Pidfd,
};

/// A map has 340 lines at most (`user_namespaces(7)`), of three numbers.
const MAX_MAP_BYTES: usize = 340 * 36;

/// Nobody can open in the namespace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NamespaceError {
    /// The process cannot be started.
    #[error("cannot start the process that lives with the task")]
    Start(#[source] io::Error),
    /// There are as many as there may be.
    #[error("too many processes that live with tasks are busy")]
    TooMany,
    /// What it has opened cannot be taken from it.
    #[error("cannot take a file from the process that lives with the task")]
    Take(#[source] io::Error),
    /// It cannot be spoken with.
    #[error("cannot speak with the process that lives with the task")]
    Control(#[from] ControlError),
    /// It said why.
    #[error("cannot act where the task lives: {0}")]
    Unable(String),
    /// It is gone, or says something else than it was asked.
    #[error("the process that lives with the task is gone")]
    Gone,
}

/// The process that lives with tasks, as its user sees it.
#[derive(Debug)]
pub(crate) struct NamespaceOpener {
    child: Child,
    control: Control,
    /// Whom it was started for, and what of that it cannot change.
    person: Person,
    fixed: Fixed,
    _place: Place,
}

impl NamespaceOpener {
    /// Starts a process that joins the namespaces of `process` that `home` names.
    pub(in crate::enforce) fn start(
        process: &Process,
        home: &Home,
        (devices, upheaval): (&DevicePolicy, &Upheaval),
    ) -> Result<Self, NamespaceError> {
        let place = Place::take().ok_or(NamespaceError::TooMany)?;
        let person = Person::of(process, upheaval).ok_or(NamespaceError::Gone)?;
        let task = process.task();
        let (control, theirs) = Control::pair().map_err(ControlError::from)?;
        let mut command = executable::command();
        command.arg("open").env_clear().stdin(Stdio::from(theirs.into_descriptor())).stdout(Stdio::null());
        let child = openers::start(command).map_err(NamespaceError::Start)?;
        let mut opener = Self { child, control, person: person.clone(), fixed: Fixed::Person, _place: place };
        let (label, is_resident) = (home.label().cloned(), home.is_resident());
        let enter = ToOpener::Enter { label, devices: devices.clone(), task, person, is_resident };
        // Its number may be another task's before the process is there.
        opener.control.send(&enter, &[process.directory()])?;
        match opener.receive()? {
            (FromOpener::Entered { fixed }, _) => {
                opener.fixed = fixed;
                Ok(opener)
            }
            (FromOpener::Unable { cause }, _) => Err(NamespaceError::Unable(cause)),
            _ => Err(NamespaceError::Gone),
        }
    }

    /// Whether it can stand in for a task of its namespace.
    pub(in crate::enforce) fn serves(&self, process: &Process, upheaval: &Upheaval) -> bool {
        let is = |same: fn(&Person, &Person) -> bool| {
            Person::of(process, upheaval).is_some_and(|person| same(&person, &self.person))
        };
        match self.fixed {
            Fixed::Nothing => true,
            Fixed::Groups => is(Person::shares_groups),
            // Maps may have been written since.
            Fixed::Person => !has_root(|map| process.read(map, MAX_MAP_BYTES)) && is(Person::eq),
        }
    }

    /// Whether the process still does.
    pub(in crate::enforce) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The process, for whoever must get it out of a wait.
    pub(in crate::enforce) fn reference(&self) -> Result<Pidfd, NamespaceError> {
        let number = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        Pidfd::open(number).map_err(NamespaceError::Start)
    }

    /// See [`Opener::look`](crate::enforce::Opener::look).
    pub(in crate::enforce) fn look(
        &self,
        process: &Process,
        (request, held): Look<'_>,
        afterwards: Afterwards,
    ) -> Result<Sight, NamespaceError> {
        let failed = |errno| Ok(Sight::Located(Located::Failed(errno)));
        let Some(root) = process.open_link("root") else { return failed(libc::ESRCH) };
        let opened = match (held, request.start) {
            (Some(_), _) | (None, Start::Root) => None,
            (None, Start::WorkingDirectory) => match process.open_link("cwd") {
                None => return failed(libc::ESRCH),
                opened => opened,
            },
            (None, Start::Descriptor(number)) => match process.duplicate(number) {
                None => return failed(libc::EBADF),
                opened => opened,
            },
        };
        let start = held.or_else(|| opened.as_ref().map(AsFd::as_fd));
        let descriptors: Vec<_> = [root.as_fd()].into_iter().chain(start).collect();
        let message = ToOpener::Look { task: process.task(), request: request.clone(), afterwards };
        self.control.send(&message, &descriptors)?;
        match self.receive()? {
            (FromOpener::File, Some(file)) => self.closed().map(|()| Sight::Opened(file)),
            (FromOpener::Found { handle, is_leased }, Some(descriptor)) => {
                let sight = if is_leased { Sight::Leased } else { Sight::Located };
                self.closed().map(|()| sight(handle.with(descriptor)))
            }
            (FromOpener::Failed { errno }, _) => Ok(Sight::Located(Located::Failed(errno))),
            (FromOpener::Unable { cause }, _) => Err(NamespaceError::Unable(cause)),
            _ => Err(NamespaceError::Gone),
        }
    }

    /// See [`Opener::open`](crate::enforce::Opener::open); for the task that was met, or looked for, last.
    pub(in crate::enforce) fn open(&self, errand: &Errand, may_block: bool) -> Result<Opened, NamespaceError> {
        let (handle, descriptor) = match Handle::of(&errand.located) {
            Ok(parts) => parts,
            Err(errno) => return Ok(Opened::Failed(errno)),
        };
        let message = ToOpener::Open { request: errand.request.clone(), handle, may_block, mask: errand.mask };
        self.control.send(&message, &[descriptor])?;
        match self.receive()? {
            (FromOpener::File, Some(file)) => self.closed().map(|()| Opened::File(file)),
            (FromOpener::Failed { errno }, _) => Ok(Opened::Failed(errno)),
            (FromOpener::Blocks, _) => Ok(Opened::Blocks),
            (FromOpener::Changed, _) => Ok(Opened::Changed),
            _ => Err(NamespaceError::Gone),
        }
    }

    /// Waits until what came from there is open here alone: nothing of the target's is held when it goes on.
    fn closed(&self) -> Result<(), NamespaceError> {
        match self.receive()? {
            (FromOpener::Closed, _) => Ok(()),
            _ => Err(NamespaceError::Gone),
        }
    }

    /// Reads the task's credentials for [`Self::name`], [`Self::connect`] and [`Self::open`].
    pub(in crate::enforce) fn meet(&self, task: u32) -> Result<Result<(), i32>, NamespaceError> {
        self.control.send(&ToOpener::Meet { task }, &[])?;
        self.done()
    }

    /// See [`Opener::name`](crate::enforce::Opener::name); for the task that was met last.
    pub(in crate::enforce) fn name(
        &self,
        process: &Process,
        (naming, handles, mask): (&Naming, &Handles, u32),
    ) -> Result<Result<(), i32>, NamespaceError> {
        let Some(root) = process.open_link("root") else { return Ok(Err(libc::ESRCH)) };
        let (starts, mut descriptors) = handles.in_order();
        descriptors.insert(0, root.as_fd());
        self.control.send(&ToOpener::Name { naming: naming.clone(), starts, mask }, &descriptors)?;
        self.done()
    }

    /// See [`Opener::connect`](crate::enforce::Opener::connect); for the task that was met last.
    pub(in crate::enforce) fn connect(
        &self,
        peer: Peer,
        socket: BorrowedFd<'_>,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<Result<(), i32>, NamespaceError> {
        let descriptors: Vec<_> = [socket].into_iter().chain(file).collect();
        self.control.send(&ToOpener::Connect { peer }, &descriptors)?;
        self.done()
    }

    fn done(&self) -> Result<Result<(), i32>, NamespaceError> {
        match self.receive()?.0 {
            FromOpener::Done => Ok(Ok(())),
            FromOpener::Failed { errno } => Ok(Err(errno)),
            FromOpener::Unable { cause } => Err(NamespaceError::Unable(cause)),
            FromOpener::Entered { .. }
            | FromOpener::Found { .. }
            | FromOpener::Offered { .. }
            | FromOpener::File
            | FromOpener::Closed
            | FromOpener::Blocks
            | FromOpener::Changed => Err(NamespaceError::Gone),
        }
    }

    fn receive(&self) -> Result<(FromOpener, Option<OwnedFd>), NamespaceError> {
        let (message, descriptors) = self.control.receive()?.ok_or(NamespaceError::Gone)?;
        let FromOpener::Offered { number, answer } = message else {
            return Ok((message, descriptors.into_iter().next()));
        };
        let taken = self.reference()?.descriptor(number).map_err(NamespaceError::Take)?;
        self.control.send(&ToOpener::Taken, &[])?;
        Ok((*answer, Some(taken)))
    }
}

impl Drop for NamespaceOpener {
    fn drop(&mut self) {
        // It ends by itself when the socket closes, unless it waits inside an open.
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::error!(%error, "the process that lives with a task is left behind");
        }
    }
}
