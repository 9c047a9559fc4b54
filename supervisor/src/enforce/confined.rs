// SPDX-License-Identifier: Apache-2.0
//! Calls for tasks that AppArmor confines, by a thread that is confined like them.
//!
//! The module sees a file by its path in the mount namespace of whoever opens it, and there is no way back from a profile.
//! So a thread moves to the task's namespaces, puts the profile on, and stays there.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread,
};

use super::{Opener, apparmor::Label};
use crate::process::Process;

/// Stack of such a thread: it makes system calls and little else.
const STACK_BYTES: usize = 128 << 10;

/// Where a thread lives that is confined like a task: a profile, and namespaces by their inodes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Quarters {
    label: Label,
    mounts: u64,
    network: u64,
    ipc: u64,
    cgroups: u64,
}

/// Nobody can act under a profile.
#[derive(Debug, thiserror::Error)]
#[error("cannot act under the AppArmor profile `{label}`")]
pub(crate) struct ConfinedError {
    label: Label,
    source: io::Error,
}

impl Quarters {
    /// Those of a task with this label; `None` when the task is gone.
    pub(super) fn of(process: &Process, label: Label) -> Option<Self> {
        let (mounts, cgroups) = (process.namespace("ns/mnt")?, process.namespace("ns/cgroup")?);
        Some(Self { label, mounts, network: process.namespace("ns/net")?, ipc: process.namespace("ns/ipc")?, cgroups })
    }

    /// The profile.
    pub(super) fn label(&self) -> &Label {
        &self.label
    }

    pub(super) fn error(&self, source: io::Error) -> ConfinedError {
        ConfinedError { label: self.label.clone(), source }
    }
}

/// What such a thread is to do.
type Work = Box<dyn FnOnce(&mut Opener) + Send>;

/// A thread that is confined.
#[derive(Debug)]
pub(super) struct Confined(Sender<Work>);

impl Confined {
    /// Starts a thread that is confined like `process`, which waits. The calling thread must wear its own ids.
    pub(super) fn start(process: Arc<Process>, quarters: &Quarters) -> Result<Self, ConfinedError> {
        let (work, for_thread) = mpsc::channel::<Work>();
        let (begun, has_begun) = mpsc::channel();
        let label = quarters.label.clone();
        let live = move || {
            let opener = Opener::new().and_then(|mut opener| opener.confine(&process, &label).map(|()| opener));
            drop(process);
            let mut opener = match opener {
                Ok(opener) => opener,
                Err(error) => return drop(begun.send(Err(error))),
            };
            if begun.send(Ok(())).is_ok() {
                for work in for_thread {
                    work(&mut opener);
                }
            }
        };
        let thread = thread::Builder::new().name("confined".to_owned()).stack_size(STACK_BYTES).spawn(live);
        let started = thread.and_then(|_detached| has_begun.recv().map_err(io::Error::other)?);
        started.map(|()| Self(work)).map_err(|source| quarters.error(source))
    }

    /// Has the thread do something, and waits for it; `None` if it cannot.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Opener) -> T + Send + 'static) -> Option<T> {
        let (done, result) = mpsc::sync_channel(1);
        self.0.send(Box::new(move |opener| drop(done.send(work(opener))))).ok()?;
        result.recv().ok()
    }
}
