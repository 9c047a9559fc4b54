// SPDX-License-Identifier: Apache-2.0
//! A bounded table of [`Process`] handles by task number.

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Process;
use crate::descriptor_limit;

/// Handles kept at once, with up to five descriptors each: no more than take a quarter of what this process may have. Where
/// more tasks than these call in turns, each call opens its own anew.
const CAPACITY: RangeInclusive<u64> = 8..=512;
const DESCRIPTORS_EACH: u64 = 5;
/// A parent that exits while we look is replaced by the next one; a process whose parents keep dying is given up.
const ATTEMPTS: usize = 3;
/// Generations that are followed upwards; real trees end after a dozen.
const MAX_ANCESTORS: usize = 64;

/// Handles of the tasks that were asked for last.
#[derive(Debug)]
pub(crate) struct ProcessTable {
    capacity: usize,
    slots: Mutex<Slots>,
}

impl Default for ProcessTable {
    fn default() -> Self {
        let wanted = descriptor_limit::current() / 4 / DESCRIPTORS_EACH;
        let capacity = wanted.clamp(*CAPACITY.start(), *CAPACITY.end());
        Self { capacity: usize::try_from(capacity).unwrap_or(usize::MAX), slots: Mutex::default() }
    }
}

#[derive(Debug, Default)]
struct Slots {
    clock: u64,
    by_task: HashMap<u32, (u64, Arc<Process>)>,
    /// Handles that had to go: closing what belonged to a dead task takes longer than opening what belongs to the next.
    gone: Vec<Arc<Process>>,
}

impl ProcessTable {
    /// The task that has the number `task` now; `None` where there is none.
    ///
    /// A caller that means a certain task checks afterwards that this one still exists: while a call is pending, the
    /// number of its task cannot be given to another one.
    pub(crate) fn get(&self, task: u32) -> Option<Arc<Process>> {
        let known = self.touch(task);
        if let Some(process) = known.filter(|process| process.exists()) {
            return Some(process);
        }
        let process = Arc::new(Process::open(task)?);
        self.keep(task, &process);
        Some(process)
    }

    /// The process that `child` has as parent.
    ///
    /// The parent's number is read again after its handle is open: a parent that died in between has left its child to
    /// another one before its number could be reused.
    pub(crate) fn parent(&self, child: &Process) -> Option<Arc<Process>> {
        for _ in 0..ATTEMPTS {
            let number = child.stat()?.parent;
            let parent = (number != 0).then(|| self.get(number)).flatten();
            if child.stat()?.parent == number {
                return parent;
            }
        }
        None
    }

    /// Parent, grandparent and so on up to the first process of the host.
    pub(crate) fn ancestors(&self, process: &Process) -> Vec<Arc<Process>> {
        let first = self.parent(process);
        std::iter::successors(first, |child| self.parent(child)).take(MAX_ANCESTORS).collect()
    }

    fn touch(&self, task: u32) -> Option<Arc<Process>> {
        let mut slots = self.lock();
        slots.clock += 1;
        let now = slots.clock;
        let (used, process) = slots.by_task.get_mut(&task)?;
        *used = now;
        Some(Arc::clone(process))
    }

    fn keep(&self, task: u32, process: &Arc<Process>) {
        let mut slots = self.lock();
        if slots.by_task.len() >= self.capacity {
            let oldest = slots.by_task.iter().min_by_key(|(_, (used, _))| *used).map(|(task, _)| *task);
            let gone = oldest.and_then(|task| slots.by_task.remove(&task));
            slots.gone.extend(gone.map(|(_, process)| process));
        }
        let now = slots.clock;
        let replaced = slots.by_task.insert(task, (now, Arc::clone(process)));
        slots.gone.extend(replaced.map(|(_, process)| process));
    }

    /// Closes the handles that had to go; to be called after each call, when its task goes on.
    pub(crate) fn sweep(&self) {
        let gone = std::mem::take(&mut self.lock().gone);
        drop(gone);
    }

    /// A panic aborts the process, so that nobody can see a poisoned table.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
