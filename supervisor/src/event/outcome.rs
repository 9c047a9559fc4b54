// SPDX-License-Identifier: Apache-2.0
//! What the call is going to return, as far as that can be told before it.
//!
//! Success is assumed, but where the caller lacks a capability that the call needs, and for programs that are not there or
//! may not be executed. What else a call may fail of (the file of an open, a peer that refuses) is not looked for: that would
//! cost more than the event.

use std::fs;

use nix::errno::Errno;

use super::CallEvent;
use crate::{
    account::host_user,
    decode::{Source, Subject},
};

/// The number that an open is assumed to return: only its sign decides matches, and finding the lowest free number would
/// cost several times the event.
const PREDICTED_DESCRIPTOR: i64 = 3;

const CAP_SETUID: u64 = 1 << 7;
const CAP_NET_RAW: u64 = 1 << 13;
const CAP_SYS_MODULE: u64 = 1 << 16;
const CAP_SYS_CHROOT: u64 = 1 << 18;
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_BPF: u64 = 1 << 39;

/// Faults of user mode only, which anybody may have handled (`UFFD_USER_MODE_ONLY`).
const USER_MODE_ONLY: u32 = 1;
/// The command of bpf(2) that loads a program.
const BPF_PROG_LOAD: u32 = 5;
const NAMESPACES: i32 = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUTS
    | 0x80; // CLONE_NEWTIME

impl CallEvent<'_> {
    /// The result: what is known of it, else what is assumed.
    pub(super) fn result(&self) -> i64 {
        self.known_result().unwrap_or_else(|| self.assumed_result())
    }

    /// Whether the call is known or assumed to fail.
    pub(super) fn is_failed(&self) -> bool {
        self.result() < 0
    }

    /// The user that a setuid makes effective; `None` where the caller may not become that one.
    pub(super) fn user_to_become(&self) -> Option<u32> {
        let (status, wanted) = (self.status()?, host_user(self.thread()?, self.call.word(0))?);
        let may_become =
            status.effective & CAP_SETUID != 0 || [status.users.real, status.users.saved].contains(&wanted);
        may_become.then_some(wanted)
    }

    fn assumed_result(&self) -> i64 {
        let layout = self.call.layout();
        let error = |errno: Errno| -i64::from(errno as i32);
        match (layout.name, layout.sources.first()) {
            _ if layout.subject == Subject::Opened => PREDICTED_DESCRIPTOR,
            ("execve" | "execveat", _) => self.exec_error().map_or(0, error),
            ("init_module" | "finit_module" | "delete_module", _) if setting("kernel/modules_disabled").is_none() => {
                error(Errno::ENOSYS)
            }
            _ if self.lacks_right() => error(Errno::EPERM),
            ("dup2" | "dup3", _) => i64::from(self.call.int(1)),
            (_, Some(Source::NewDescriptor)) => self.lowest_free_descriptor().unwrap_or(PREDICTED_DESCRIPTOR),
            _ => 0,
        }
    }

    /// An interpreter counts as part of its script.
    fn exec_error(&self) -> Option<Errno> {
        match self.program() {
            None => Some(Errno::ENOENT),
            Some(_) if self.may_run() => None,
            Some(_) => Some(Errno::EACCES),
        }
    }

    fn lacks_right(&self) -> bool {
        if self.call.layout().name == "setuid" {
            return self.user_to_become().is_none();
        }
        let needed = self.needed_capabilities();
        needed != 0 && self.status().is_some_and(|status| status.effective & needed == 0)
    }

    /// The capabilities of which the call needs one.
    fn needed_capabilities(&self) -> u64 {
        let (register, int) = (|index| self.call.word(index), |index| self.call.int(index));
        match self.call.layout().name {
            "setns" | "umount2" => CAP_SYS_ADMIN,
            "unshare" if int(0) & NAMESPACES != 0 && int(0) & libc::CLONE_NEWUSER == 0 => CAP_SYS_ADMIN,
            "init_module" | "finit_module" | "delete_module" => CAP_SYS_MODULE,
            "chroot" => CAP_SYS_CHROOT,
            "socket" if int(0) == libc::AF_PACKET => CAP_NET_RAW,
            "userfaultfd" if register(0) & USER_MODE_ONLY == 0 && setting("vm/unprivileged_userfaultfd") == Some(0) => {
                CAP_SYS_PTRACE
            }
            "bpf" if register(0) == BPF_PROG_LOAD && setting("kernel/unprivileged_bpf_disabled") > Some(0) => {
                CAP_BPF | CAP_SYS_ADMIN
            }
            _ => 0,
        }
    }

    fn lowest_free_descriptor(&self) -> Option<i64> {
        let mut taken = self.thread()?.descriptors()?;
        taken.sort_unstable();
        (0..)
            .zip(&taken)
            .find(|(number, taken)| number != *taken)
            .map(|(number, _)| number)
            .or_else(|| i32::try_from(taken.len()).ok())
            .map(i64::from)
    }
}

/// A number of `/proc/sys`; `None` where the kernel has no such setting.
fn setting(name: &str) -> Option<u32> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}
