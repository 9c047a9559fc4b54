// SPDX-License-Identifier: Apache-2.0
//! In which namespaces such a process lives.

use crate::{enforce::apparmor::Label, process::Process};

/// Where such a process lives. From inside another user namespace, it cannot go to other namespaces that belong to outer users.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Home {
    user: u64,
    network: u64,
    ipc: u64,
    /// The profile of AppArmor's, and the mount namespace in which that names files.
    confined: Option<(Label, u64)>,
    /// Of mounts, host names, control groups and, since Linux 5.6, time.
    resident: Option<([u64; 3], Option<u64>)>,
}

impl Home {
    /// That of a process which lives in every namespace of its tasks but that of processes: whoever gets a handle of it can
    /// go nowhere by that (setns(2)). The other end of a Unix connection gets one of who connected (`SO_PEERPIDFD`).
    pub(in crate::enforce) fn resident(process: &Process, label: Option<Label>) -> Option<Self> {
        let user = process.namespace("ns/user")?;
        let inode = |name| process.namespace(name);
        let resident = Some(([inode("ns/mnt")?, inode("ns/uts")?, inode("ns/cgroup")?], inode("ns/time")));
        Some(Self { resident, ..Self::of(process, user, label)? })
    }

    /// Whether it is one of those.
    pub(in crate::enforce) fn is_resident(&self) -> bool {
        self.resident.is_some()
    }

    /// That of a task of the user namespace `user`, confined by `label`.
    pub(in crate::enforce) fn of(process: &Process, user: u64, label: Option<Label>) -> Option<Self> {
        let confined = match label {
            Some(label) => Some((label, process.namespace("ns/mnt")?)),
            None => None,
        };
        let (network, ipc) = (process.namespace("ns/net")?, process.namespace("ns/ipc")?);
        Some(Self { user, network, ipc, confined, resident: None })
    }

    /// The profile.
    pub(in crate::enforce) fn label(&self) -> Option<&Label> {
        self.confined.as_ref().map(|(label, _)| label)
    }
}
