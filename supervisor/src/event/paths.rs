// SPDX-License-Identifier: Apache-2.0
//! The path arguments of a call: as given, and as absolute names.

use std::{borrow::Cow, cell::OnceCell};

use super::{CallEvent, join::join};
use crate::{
    decode::Source,
    enforce::Start,
    process::Process,
    target::{ReadError, Text},
};

/// Names of a call's first and second path.
#[derive(Default)]
pub(super) struct Paths {
    slots: [Slot; 2],
}

#[derive(Default)]
struct Slot {
    raw: OnceCell<Result<Text, ReadError>>,
    absolute: OnceCell<Option<Name>>,
}

/// An absolute name.
#[expect(clippy::large_enum_variant, reason = "the large variant is the one that saves an allocation")]
enum Name {
    /// The path as given.
    AsGiven,
    /// Joined with a directory, or rid of dots.
    Joined(Text),
}

impl CallEvent<'_> {
    /// The path argument `index` as the target gave it; `None` where there is none or it is unreadable.
    pub(super) fn raw_path(&self, index: usize) -> Option<&[u8]> {
        self.read_path(index).ok()
    }

    /// The same with the reason why it is unreadable.
    pub(crate) fn read_path(&self, index: usize) -> Result<&[u8], ReadError> {
        let (_, register) = self.call.paths().nth(index).ok_or(ReadError::Fault)?;
        let slot = self.paths.slots.get(index).ok_or(ReadError::Fault)?;
        let read = slot.raw.get_or_init(|| self.target.path(self.call.register(register)));
        read.as_ref().map(Text::as_bytes).map_err(|error| *error)
    }

    /// Whether somebody asked for a path that could not be read, as the kernel may read it all the same: also secret memory
    /// (`memfd_secret(2)`), and what another thread has mapped by then.
    pub(crate) fn has_missed_path(&self) -> bool {
        let is_missed = |slot: &Slot| matches!(slot.raw.get(), Some(Err(ReadError::Fault | ReadError::Refused(_))));
        self.paths.slots.iter().any(is_missed)
    }

    /// Makes known the path argument of a call that no memory holds.
    pub(super) fn set_path(&self, path: &[u8]) {
        if let Some(slot) = self.paths.slots.first() {
            slot.raw.get_or_init(|| Ok(Text::copy(path)));
        }
    }

    /// The absolute name of the path argument `index`.
    pub(super) fn path(&self, index: usize) -> Option<&[u8]> {
        let raw = self.raw_path(index)?;
        let slot = self.paths.slots.get(index)?;
        match slot.absolute.get_or_init(|| self.absolute(index, raw)) {
            Some(Name::Joined(name)) => Some(name.as_bytes()),
            Some(Name::AsGiven) => Some(raw),
            None => None,
        }
    }

    fn absolute(&self, index: usize, raw: &[u8]) -> Option<Name> {
        let base = if raw.starts_with(b"/") {
            Vec::new()
        } else {
            let (directory, _) = self.call.paths().nth(index)?;
            self.base(directory)?
        };
        match join(&base, raw) {
            Cow::Borrowed(_) => Some(Name::AsGiven),
            Cow::Owned(name) => Some(Name::Joined(Text::copy(&name))),
        }
    }

    /// The directory that relative paths start from: the descriptor in a register, or the working directory.
    pub(super) fn base(&self, directory: Option<usize>) -> Option<Vec<u8>> {
        let descriptor = directory.map_or(libc::AT_FDCWD, |register| self.call.int(register));
        if let Some(held) = self.held_base(Start::of_descriptor(descriptor)) {
            return Some(held);
        }
        let thread = self.thread()?;
        if descriptor == libc::AT_FDCWD {
            working_directory(thread)
        } else {
            thread.descriptor(descriptor).map(|file| file.name)
        }
    }

    /// The parameter index of each path, for `evt.arg`.
    pub(super) fn path_index(&self, parameter: usize) -> Option<usize> {
        let sources = self.call.layout().sources;
        let is_path = |source: &&Source| matches!(source, Source::Path(..));
        sources.get(parameter).filter(is_path)?;
        Some(sources.iter().take(parameter).filter(is_path).count())
    }
}

/// A process's working directory, without trailing slash unless it is the root.
pub(super) fn working_directory(process: &Process) -> Option<Vec<u8>> {
    process.path_behind("cwd")
}
