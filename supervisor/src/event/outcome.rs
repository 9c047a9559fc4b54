// SPDX-License-Identifier: Apache-2.0
//! What the call is going to return, as far as that can be told before it.
//!
//! Success is assumed, but where the caller surely lacks a capability that the call needs, and for programs that are not there
//! or may not be executed, which are judged again when they were loaded. What else a call may fail of (the file of an open, a
//! peer that refuses) is not looked for: that would cost more than the event.
//!
//! A failure is foretold only where the call cannot succeed, since a rule may be about calls that succeed. A caller's
//! effective capabilities decide where the kernel asks for one in the caller's own user namespace or in the first one. In a
//! namespace below, whoever owns that one has all of them whatever he has himself (`cap_capable` of Linux' `commoncap.c`).
//! It may be asked for there by setns with a user namespace, or with a descriptor of any; by umount, in the namespace that
//! the mounts belong to; by a socket of packets, in the one that the network belongs to; by bpf, in that of a token.

use std::fs;

use nix::errno::Errno;

use super::CallEvent;
use crate::{
    account::{has_numbers, host_user},
    decode::{Source, Subject},
};

/// The number that an open is assumed to return: only its sign decides matches, and finding the lowest free number would
/// cost several times the event.
const PREDICTED_DESCRIPTOR: i64 = 3;

const CAP_SETUID: u64 = 1 << 7;
const CAP_SYS_MODULE: u64 = 1 << 16;
const CAP_SYS_CHROOT: u64 = 1 << 18;
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Faults of user mode only, which anybody may have handled (`UFFD_USER_MODE_ONLY`).
const USER_MODE_ONLY: u32 = 1;
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

    /// The user that a setuid makes effective; `None` where the caller may not become that one, or nobody knows who it is.
    pub(super) fn user_to_become(&self) -> Option<u32> {
        let wanted = host_user(self.thread()?, self.call.word(0))?;
        self.may_become(wanted)?.then_some(wanted)
    }

    fn may_become(&self, wanted: u32) -> Option<bool> {
        let status = self.status()?;
        Some(status.effective & CAP_SETUID != 0 || [status.users.real, status.users.saved].contains(&wanted))
    }

    /// A user namespace gets its numbers once; until then, they may come before the kernel looks at them.
    fn may_not_become(&self) -> bool {
        let Some(thread) = self.thread() else { return false };
        match host_user(thread, self.call.word(0)) {
            Some(wanted) => self.may_become(wanted) == Some(false),
            None => has_numbers(thread),
        }
    }

    fn assumed_result(&self) -> i64 {
        let layout = self.call.layout();
        let error = |errno: Errno| -i64::from(errno as i32);
        match (layout.name, layout.sources.first()) {
            _ if layout.subject == Subject::Opened => PREDICTED_DESCRIPTOR,
            ("execve" | "execveat", _) => self.exec_error().map_or(0, error),
            ("init_module" | "finit_module" | "delete_module", _) if is_without_modules() => error(Errno::ENOSYS),
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
            return self.may_not_become();
        }
        let needed = self.needed_capability();
        needed != 0 && self.status().is_some_and(|status| status.effective & needed == 0)
    }

    /// The capability that the call needs, whatever it is about.
    fn needed_capability(&self) -> u64 {
        let (register, int) = (|index| self.call.word(index), |index| self.call.int(index));
        let is_of_others = |flags: i32| flags & NAMESPACES != 0 && flags & libc::CLONE_NEWUSER == 0;
        match self.call.layout().name {
            "setns" if is_of_others(int(1)) => CAP_SYS_ADMIN,
            "unshare" if is_of_others(int(0)) => CAP_SYS_ADMIN,
            "init_module" | "finit_module" | "delete_module" => CAP_SYS_MODULE,
            "chroot" => CAP_SYS_CHROOT,
            "userfaultfd" if register(0) & USER_MODE_ONLY == 0 && setting("vm/unprivileged_userfaultfd") == Some(0) => {
                CAP_SYS_PTRACE
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

/// Whether the kernel cannot load modules. A setting that cannot be looked for does not say so.
fn is_without_modules() -> bool {
    let exists = |name: &str| fs::exists(format!("/proc/sys/kernel/{name}")).ok();
    (exists("modules_disabled"), exists("osrelease")) == (Some(false), Some(true))
}

/// A number of `/proc/sys`; `None` where the kernel has no such setting.
fn setting(name: &str) -> Option<u32> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}
