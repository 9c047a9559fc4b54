// SPDX-License-Identifier: Apache-2.0
//! The namespaces that files of procfs depend on: `/proc/sys/net` is that of the looking task's network namespace, and
//! `/proc/sysvipc` that of its IPC namespace. A thread of ours that stayed in the host's would open the host's settings
//! for a container.

use std::io;

use nix::sched::{CloneFlags, setns};

use crate::process::Process;

/// Where the calling thread is; `None` until it followed a task.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    network: Option<u64>,
    ipc: Option<u64>,
}

impl Surroundings {
    /// Whether the thread has followed some task.
    pub(super) fn are_foreign(&self) -> bool {
        self.network.is_some() && self.ipc.is_some()
    }

    /// Takes the calling thread, which must have its own capabilities, into the task's namespaces; says whether it was
    /// elsewhere before.
    pub(super) fn follow(&mut self, process: &Process) -> io::Result<bool> {
        let has_moved = [
            enter(process, "ns/net", CloneFlags::CLONE_NEWNET, &mut self.network)?,
            enter(process, "ns/ipc", CloneFlags::CLONE_NEWIPC, &mut self.ipc)?,
        ];
        Ok(has_moved.contains(&true))
    }
}

fn enter(process: &Process, name: &str, kind: CloneFlags, current: &mut Option<u64>) -> io::Result<bool> {
    let gone = || io::Error::from_raw_os_error(libc::ESRCH);
    let there = process.file_facts(name).ok_or_else(gone)?.st_ino;
    if *current == Some(there) {
        return Ok(false);
    }
    // Should the task leave in between, the thread is where it was a moment ago; the next call looks again.
    *current = None;
    setns(process.open_file(name).ok_or_else(gone)?, kind)?;
    *current = Some(there);
    Ok(true)
}
