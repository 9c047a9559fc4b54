// SPDX-License-Identifier: Apache-2.0
//! What a call that is performed for its caller starts from: directories, a socket, the text of a new link. Rules are
//! asked about the very ones that the call is performed with, whatever the caller's threads do to its descriptors, working
//! directory and memory meanwhile.

use std::{cell::OnceCell, sync::Arc};

use nix::sys::stat::{FileStat, fstat};

use super::CallEvent;
use crate::{
    enforce::{Handles, Start},
    process::{Descriptor, Process, Socket},
    target::{PATH_MAX, ReadError, Text},
};

/// Empty for calls that go on by themselves.
#[derive(Default)]
pub(super) struct Held {
    handles: OnceCell<Arc<Handles>>,
    link_text: OnceCell<Result<Text, ReadError>>,
}

impl CallEvent<'_> {
    /// Makes known what the call will be performed with.
    pub(crate) fn hold(&self, handles: Arc<Handles>) {
        self.held.handles.get_or_init(|| handles);
    }

    /// What the call will be performed with.
    pub(crate) fn handles(&self) -> Option<Arc<Handles>> {
        self.held.handles.get().map(Arc::clone)
    }

    /// The text that a symbolic link gets, copied once from the register's address.
    pub(crate) fn hold_text(&self, register: usize) -> Result<&[u8], ReadError> {
        let read = self.held.link_text.get_or_init(|| self.target.path(self.call.register(register)));
        read.as_ref().map(Text::as_bytes).map_err(|error| *error)
    }

    /// The text that was copied.
    pub(super) fn held_text(&self) -> Option<&[u8]> {
        self.held.link_text.get()?.as_ref().ok().map(Text::as_bytes)
    }

    /// The text at a register's address.
    pub(super) fn text_at(&self, register: usize) -> Option<Vec<u8>> {
        match self.held.link_text.get() {
            Some(Ok(text)) => Some(text.as_bytes().to_vec()),
            Some(Err(_)) | None => self.target.text(self.call.register(register), PATH_MAX).ok(),
        }
    }

    /// The held file of a descriptor.
    pub(super) fn held_descriptor(&self, number: i32) -> Option<Descriptor> {
        let handle = self.held.handles.get()?.start(Start::Descriptor(number))?;
        Process::own()?.descriptor(std::os::fd::AsRawFd::as_raw_fd(&handle))
    }

    /// The name of the held directory that paths start from.
    pub(super) fn held_base(&self, start: Start) -> Option<Vec<u8>> {
        // Of our own descriptor the kernel says what it says of the caller's.
        self.thread()?.path_of(self.held.handles.get()?.start(start)?)
    }

    /// What `stat` says of the held file of a descriptor.
    pub(super) fn held_facts(&self, number: i32) -> Option<FileStat> {
        fstat(self.held.handles.get()?.start(Start::Descriptor(number))?).ok()
    }

    /// The held socket.
    pub(super) fn held_socket(&self) -> Option<Socket> {
        Socket::of(self.held.handles.get()?.socket()?.try_clone_to_owned().ok()?)
    }
}
