// SPDX-License-Identifier: Apache-2.0
//! Every unsafe block of the workspace: the system calls for which no safe wrapper exists.
//!
//! Wrappers take borrowed descriptors and return owned ones, turn expected errnos into types, and convert -1 once.
#![expect(unsafe_code, reason = "this module is the one place where raw system calls are made")]

mod credentials;
mod descriptors;
mod exec_sign;
mod file;
mod mapping;
mod process;
mod procmap;
mod seccomp;
mod socket;
mod tracee;
mod urgency;

use std::io;

pub(crate) use credentials::{
    Capabilities, Ids, keep_capabilities, set_groups_ids, set_supplementary_groups, set_users,
};
pub(crate) use descriptors::{close_inherited, leave_descriptors, receive_with_descriptors, send_with_descriptors};
pub(crate) use exec_sign::ExecSign;
pub(crate) use file::{FileFacts, OpenHow, file_facts, is_never_followed, look_below, open_at, take_root};
pub(crate) use mapping::Mapping;
pub(crate) use process::{
    Background, Pidfd, accept_interrupts, give_memory_back, go_into_background, interrupt_thread, is_leader,
    leave_keyring, outlive_signals, prepare_interrupts, refuse_interrupts,
};
pub(crate) use procmap::{FileMapping, is_accessible, next_file_mapping};
pub(crate) use seccomp::{
    InjectError, Listener, NOTIFICATION_CELLS, Notification, ReceiveError, Response, SendError, check_structure_sizes,
    supports_wait_killable,
};
pub(crate) use socket::{connect, socket_protocol};
pub(crate) use tracee::{Stop, makes_anew, next_stop, reported_stop, resume};
pub(crate) use urgency::{Together, Urgency};

/// A system call failed in a way that nobody decides on.
#[derive(Debug, thiserror::Error)]
#[error("{call} failed")]
pub(crate) struct SyscallError {
    /// The call's name as in its man page.
    pub(crate) call: &'static str,
    /// What the kernel said.
    #[source]
    pub(crate) source: io::Error,
}

impl SyscallError {
    /// The failure that `errno` holds now.
    fn last(call: &'static str) -> Self {
        Self { call, source: io::Error::last_os_error() }
    }

    /// A failure that nix reported.
    pub(crate) fn from_errno(call: &'static str, errno: nix::Error) -> Self {
        Self { call, source: errno.into() }
    }
}
