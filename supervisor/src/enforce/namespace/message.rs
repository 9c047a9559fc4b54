// SPDX-License-Identifier: Apache-2.0
//! What is said to such a process, and by it.

use std::{
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use serde::{Deserialize, Serialize};

use crate::{
    enforce::{
        Afterwards, DevicePolicy, Located, Naming, OpenRequest, Start,
        apparmor::Label,
        connecting::Peer,
        credentials::{Fixed, Kinship, Person},
    },
    sys::FileFacts,
};

/// To the process in the namespace.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ToOpener {
    /// Comes with the directory of a task's in the host's `/proc`; always the first message.
    Enter {
        /// The profile that confines its tasks.
        label: Option<Label>,
        /// What the container may open.
        devices: DevicePolicy,
        /// The task, in the host's numbering.
        task: u32,
        /// Who that is on the host.
        person: Person,
        /// See [`Home::resident`](super::Home::resident).
        is_resident: bool,
    },
    /// Find a file for a task; comes with its root directory, and with the directory where to start, if the path says so. They
    /// are opened by who may: a task can keep its own from the root of its user namespace (`PR_SET_DUMPABLE`, prctl(2)).
    Look {
        /// In the host's numbering.
        task: u32,
        /// What it asks for.
        request: OpenRequest,
        /// Whether it is opened in the same step.
        afterwards: Afterwards,
    },
    /// Read a task's credentials, for a call that is made with them if the task still waits for it then.
    Meet {
        /// In the host's numbering.
        task: u32,
    },
    /// Make a call on names for the task that was met last; comes with its root directory and what their paths start from.
    Name {
        /// What it asks for.
        naming: Naming,
        /// What the descriptors are.
        starts: Vec<Start>,
        /// The task's file mode creation mask.
        mask: u32,
    },
    /// Connect for the task that was met last; comes with its socket, and with the file of the socket to connect to.
    Connect {
        /// Where to.
        peer: Peer,
    },
    /// The answer to [`FromOpener::Offered`]: the descriptor was taken.
    Taken,
    /// Open what was found for the task that was met, or looked for, last; comes with the handle.
    Open {
        /// What the task asks for.
        request: OpenRequest,
        /// What the handle is of.
        handle: Handle,
        /// Whether to wait as the task would.
        may_block: bool,
        /// The task's file mode creation mask.
        mask: u32,
    },
}

/// From the process in the namespace.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FromOpener {
    /// Ready, or the answer to nothing else.
    Entered {
        /// What of the person that it came with all tasks that it serves must share.
        fixed: Fixed,
    },
    /// Comes with a handle.
    Found {
        handle: Handle,
        /// Whether a lease has to be waited for.
        is_leased: bool,
    },
    /// Comes with the file.
    File,
    /// The answer, whose descriptor does not come with it, but stays here under a number until it is taken: a user may have so
    /// many descriptors in messages at one time, and others of this user's may have used that up (`ETOOMANYREFS`, unix(7)).
    Offered { number: i32, answer: Box<FromOpener> },
    /// Our own descriptor of what came last is closed.
    Closed,
    /// The call was made.
    Done,
    /// The call fails.
    Failed { errno: i32 },
    /// The open would wait.
    Blocks,
    /// The name has changed its meaning.
    Changed,
    /// The task's credentials could not be taken on.
    Unable { cause: String },
}

/// What a handle on its way is of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Handle {
    /// A file.
    File { facts: FileFacts, refusal: Option<i32>, kinship: Kinship },
    /// The directory of a free name.
    Directory { name: CString },
}

impl Handle {
    /// Takes what was found apart; the errno where nothing was.
    pub(super) fn of(located: &Located) -> Result<(Self, BorrowedFd<'_>), i32> {
        match located {
            Located::Existing { file, facts, refusal, kinship } => {
                Ok((Self::File { facts: *facts, refusal: *refusal, kinship: *kinship }, file.as_fd()))
            }
            Located::Missing { parent, name } => Ok((Self::Directory { name: name.clone() }, parent.as_fd())),
            Located::Failed(errno) => Err(*errno),
        }
    }

    /// Puts it together again.
    pub(super) fn with(self, descriptor: OwnedFd) -> Located {
        match self {
            Self::File { facts, refusal, kinship } => Located::Existing { file: descriptor, facts, refusal, kinship },
            Self::Directory { name } => Located::Missing { parent: descriptor, name },
        }
    }
}
