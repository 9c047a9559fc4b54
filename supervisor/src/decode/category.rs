// SPDX-License-Identifier: Apache-2.0
//! What `evt.category` says of calls.

/// What a call is about, by Falco's event table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    File,
    Net,
    Ipc,
    Memory,
    Process,
    System,
    Signal,
    User,
    Time,
    Wait,
    Other,
    /// Reads from a descriptor.
    Read,
    /// Writes to a descriptor.
    Write,
    /// Does something else with a descriptor.
    Use,
}

impl Category {
    /// What prints; `None` where the kind of the descriptor decides.
    pub(crate) fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::File => "file",
            Self::Net => "net",
            Self::Ipc => "IPC",
            Self::Memory => "memory",
            Self::Process => "process",
            Self::System => "system",
            Self::Signal => "signal",
            Self::User => "user",
            Self::Time => "time",
            Self::Wait => "wait",
            Self::Other => "other",
            Self::Read | Self::Write | Self::Use => return None,
        })
    }
}
