// SPDX-License-Identifier: Apache-2.0
//! The namespaces that files of procfs and cgroup2, and mount points, depend on: `/proc/sys/net` is that of the looking task's
//! network namespace, and `/proc/sysvipc` that of its IPC namespace. A thread of ours that stayed in the host's would open
//! the host's settings for a container.

use std::{
    fs::File,
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use nix::sched::{CloneFlags, setns, unshare};

use crate::{process::Process, sys::take_root};

/// Where the calling thread is; `None` until it followed a task.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    network: Option<u64>,
    ipc: Option<u64>,
    mounts: Option<u64>,
    /// The thread serves only tasks that live where it does.
    are_final: bool,
}

impl Surroundings {
    /// Whether the thread has followed some task.
    pub(super) fn are_foreign(&self) -> bool {
        self.network.is_some() && self.ipc.is_some()
    }

    /// Whether its mounts are some task's.
    pub(super) fn have_mounts(&self) -> bool {
        self.mounts.is_some()
    }

    /// Takes the calling thread, which must have its own capabilities, into the task's namespaces; says whether it was
    /// elsewhere before.
    pub(super) fn follow(&mut self, process: &Process) -> io::Result<bool> {
        if self.are_final {
            return Ok(false);
        }
        let has_moved = [
            enter(process, "ns/net", CloneFlags::CLONE_NEWNET, &mut self.network)?,
            enter(process, "ns/ipc", CloneFlags::CLONE_NEWIPC, &mut self.ipc)?,
        ];
        Ok(has_moved.contains(&true))
    }

    /// From now on the thread stays.
    pub(super) fn stay(&mut self) {
        self.are_final = true;
    }

    /// Takes the calling thread, the only one of its process, into those of the task's namespaces that no file depends on,
    /// and that of its mounts. Those of time are newer than the others (Linux 5.6, and an option of the kernel's).
    pub(super) fn settle(&mut self, process: &Process, root: BorrowedFd<'_>) -> io::Result<()> {
        enter(process, "ns/uts", CloneFlags::CLONE_NEWUTS, &mut None)?;
        if process.namespace("ns/time").is_some() {
            enter(process, "ns/time", CloneFlags::from_bits_retain(libc::CLONE_NEWTIME), &mut None)?;
        }
        self.follow_mounts(process, root)
    }

    /// Takes the calling thread into the task's mount namespace, and back to `root`, its own root directory: whether a
    /// name is a mount point, which must not be moved or removed, the kernel says by the caller's namespace.
    pub(super) fn follow_mounts(&mut self, process: &Process, root: BorrowedFd<'_>) -> io::Result<()> {
        // A thread that this one started has the same file system context until it takes one of its own.
        unshare(CloneFlags::CLONE_FS)?;
        let entered = enter(process, "ns/mnt", CloneFlags::CLONE_NEWNS, &mut self.mounts);
        if !matches!(entered, Ok(false)) {
            go_home(root);
        }
        entered.map(drop)
    }

    /// Takes the calling thread back into its own mount namespace.
    pub(super) fn leave_mounts(&mut self, own: &OwnedFd, root: BorrowedFd<'_>) {
        self.mounts = None;
        match unshare(CloneFlags::CLONE_FS).and_then(|()| setns(own, CloneFlags::CLONE_NEWNS)) {
            Ok(()) => go_home(root),
            Err(error) => tracing::error!(%error, "a thread stays in the mount namespace of a task"),
        }
    }
}

/// The calling thread is in a task's cgroup namespace as long as this lives.
///
/// What a file of cgroup2 may change is decided by the namespace of whoever opened it: a delegated group's own limits can be
/// set from outside only (`cgroup_file_write` of the kernel's `cgroup.c`, since Linux 5.17). The supervisor stays in the host's
/// else, where the names of groups are whole.
pub(super) struct InCgroups(File);

impl InCgroups {
    /// Enters it with the thread's own capabilities.
    pub(super) fn enter(process: &Process) -> io::Result<Self> {
        let own = File::open("/proc/thread-self/ns/cgroup")?;
        enter_cgroups(process)?;
        Ok(Self(own))
    }
}

impl Drop for InCgroups {
    fn drop(&mut self) {
        if setns(&self.0, CloneFlags::CLONE_NEWCGROUP).is_err() {
            tracing::error!("the host's cgroup namespace is lost");
            std::process::abort();
        }
    }
}

/// Takes the calling thread into the task's cgroup namespace.
pub(super) fn enter_cgroups(process: &Process) -> io::Result<()> {
    enter(process, "ns/cgroup", CloneFlags::CLONE_NEWCGROUP, &mut None).map(drop)
}

/// Gives the calling thread the host's root directory back. A supervisor that does not find back would read the container's
/// files for the host's.
pub(super) fn go_home(root: BorrowedFd<'_>) {
    if take_root(root).is_err() {
        tracing::error!("the host's root directory is lost");
        std::process::abort();
    }
}

fn enter(process: &Process, name: &str, kind: CloneFlags, current: &mut Option<u64>) -> io::Result<bool> {
    let gone = || io::Error::from_raw_os_error(libc::ESRCH);
    let there = process.namespace(name).ok_or_else(gone)?;
    if *current == Some(there) {
        return Ok(false);
    }
    setns(process.open_file(name).ok_or_else(gone)?, kind)?;
    *current = Some(there);
    Ok(true)
}
