// SPDX-License-Identifier: Apache-2.0
//! Fields `thread.*`.

use nix::sys::{
    stat::FileStat,
    statvfs::{FsFlags, fstatvfs},
};
use rules::{Argument, ThreadField, Value};

use super::{CallEvent, owned};
use crate::{
    account::{host_user, numbers_group, numbers_user},
    event::file,
    process::capability_names,
};

impl CallEvent<'_> {
    /// The value of a field of the calling thread.
    pub(in crate::event) fn thread_field(&self, field: ThreadField, argument: &Argument) -> Option<Value<'_>> {
        use ThreadField as T;
        match field {
            T::CapPermitted => Some(owned(capability_names(self.capabilities()?.permitted))),
            T::CapInheritable => Some(owned(capability_names(self.capabilities()?.inheritable))),
            T::CapEffective => Some(owned(capability_names(self.capabilities()?.effective))),
            T::Pfmajor => Some(Value::Uint(self.stat()?.major_faults)),
            T::Pfminor => Some(Value::Uint(self.stat()?.minor_faults)),
            T::Tid => Some(Value::Int(i64::from(self.target.tid()))),
            T::Ismain => Some(Value::Bool(self.is_main()?)),
            T::Vtid => Some(Value::Int(i64::from(self.status()?.own_thread))),
            T::Cgroups => self.cgroups().map(owned),
            T::Cgroup => self.cgroup(argument),
            // *Falco:* memory is shown for the first thread only.
            T::Vmsize => self
                .status()
                .zip(self.is_main())
                .map(|(status, is_main)| Value::Uint(if is_main { status.memory.size } else { 0 })),
            T::Vmrss => self
                .status()
                .zip(self.is_main())
                .map(|(status, is_main)| Value::Uint(if is_main { status.memory.resident } else { 0 })),
            T::Nametid | T::Exectime | T::Totexectime | T::Cpu | T::CpuUser | T::CpuSystem | T::VmsizeB | T::VmrssB => {
                None
            }
        }
    }

    /// The capabilities that fields show: those after an exec on exec events.
    pub(in crate::event) fn capabilities(&self) -> Option<Capabilities> {
        let status = self.status()?;
        let now =
            Capabilities { inheritable: status.inheritable, permitted: status.permitted, effective: status.effective };
        if !self.will_execute() {
            return Some(now);
        }
        // See capabilities(7), "Transformation of capabilities during execve"; file capabilities are not looked at.
        // Root is the one of the task's own user namespace.
        let (user, root) = (self.effective_user()?, host_user(self.thread()?, 0));
        let is_root = |user: u32| Some(user) == root;
        let of_root = status.inheritable | status.bounding;
        let permitted = if is_root(user) || is_root(status.users.real) { of_root } else { status.ambient };
        let effective = if is_root(user) { permitted } else { status.ambient };
        Some(Capabilities { permitted, effective, ..now })
    }

    /// The effective user that fields show: that after the call, of those that change it.
    pub(in crate::event) fn effective_user(&self) -> Option<u32> {
        let status = self.status()?;
        if self.call.layout().name == "setuid" {
            return Some(self.user_to_become().unwrap_or(status.user));
        }
        let given = || {
            let facts = self.program_facts()?;
            file::set_user(facts).filter(|_| !status.has_no_new_privileges && self.heeds_owner(facts))
        };
        let given = if self.will_execute() { given() } else { None };
        Some(given.unwrap_or(status.user))
    }

    /// Whether the kernel heeds that a program is set-user-id (`bprm_fill_uid`): not on some mounts, and not where the owner
    /// has no number in the task's user namespace.
    fn heeds_owner(&self, facts: &FileStat) -> bool {
        let mount = self.program_descriptor().and_then(|file| fstatvfs(file).ok());
        let is_ignored = mount.is_some_and(|mount| mount.flags().contains(FsFlags::ST_NOSUID));
        let has_numbers = |thread| numbers_user(thread, facts.st_uid) && numbers_group(thread, facts.st_gid);
        !is_ignored && self.thread().is_some_and(|thread| has_numbers(thread))
    }

    /// `controller=path` for each controller.
    pub(in crate::event) fn cgroups(&self) -> Option<Vec<u8>> {
        let groups = self.thread()?.cgroups()?;
        let pairs =
            groups.iter().flat_map(|group| group.names().into_iter().map(|name| [name, b"=", &group.path].concat()));
        Some(pairs.collect::<Vec<_>>().join(b" ".as_slice()))
    }

    fn cgroup(&self, argument: &Argument) -> Option<Value<'_>> {
        let Argument::Key(name) = argument else { return None };
        let groups = self.thread()?.cgroups()?;
        let group = groups.into_iter().find(|group| group.names().contains(&name.as_bytes()))?;
        Some(owned(group.path))
    }

    fn is_main(&self) -> Option<bool> {
        Some(self.thread()?.leader()? == self.target.tid())
    }
}

/// Sets of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::event) struct Capabilities {
    pub(in crate::event) inheritable: u64,
    pub(in crate::event) permitted: u64,
    pub(in crate::event) effective: u64,
}
