// SPDX-License-Identifier: Apache-2.0
//! A bounded table of [`Process`] handles by task number.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Process, unseen::overlook};
use crate::descriptor_limit;

/// Handles kept at once, with up to six descriptors each: no more than take a quarter of what this process may have.
const CAPACITY: RangeInclusive<u64> = 8..=128;
const DESCRIPTORS_EACH: u64 = 6;
/// A parent that exits while we look is replaced by the next one; a process whose parents keep dying is given up.
const ATTEMPTS: usize = 3;
/// Generations that are followed upwards, each with a descriptor; real trees end after a dozen.
const MAX_ANCESTORS: usize = 256;

/// Parent, grandparent and so on of one process, each looked for when somebody asks for it.
///
/// Any of them may end meanwhile, which leaves the next one to another parent. A question that somebody was asked who had ended
/// has no answer, and is asked anew ([`Self::ask`]).
#[derive(Debug, Default)]
pub(crate) struct Ancestors {
    line: RefCell<Vec<Arc<Process>>>,
    /// Whether the line has come to the first process of the host.
    is_whole: Cell<bool>,
    /// Whether somebody was asked who had ended.
    is_broken: Cell<bool>,
}

impl Ancestors {
    /// What a question to the line comes to. Where its members keep ending, it stays unseen.
    pub(crate) fn ask<T>(&self, question: impl Fn() -> Option<T>) -> Option<T> {
        for _ in 0..ATTEMPTS {
            let answer = question();
            if !self.is_broken.replace(false) {
                return answer;
            }
            self.line.borrow_mut().clear();
            self.is_whole.set(false);
        }
        overlook();
        None
    }

    /// What `read` tells of one of the line.
    pub(crate) fn told_by<T>(&self, process: &Process, read: impl FnOnce(&Process) -> Option<T>) -> Option<T> {
        let told = read(process);
        if told.is_none() && !process.exists() {
            self.is_broken.set(true);
        }
        told
    }

    /// The line of `process`, up to the first process of the host. Of a longer line the eldest stay unseen.
    pub(crate) fn of<'a>(
        &'a self,
        process: &'a Process,
        table: &'a ProcessTable,
    ) -> impl Iterator<Item = Arc<Process>> + 'a {
        (0..).map_while(move |place| self.get(place, process, table))
    }

    fn get(&self, place: usize, process: &Process, table: &ProcessTable) -> Option<Arc<Process>> {
        let mut line = self.line.borrow_mut();
        while line.len() <= place && !self.is_whole.get() {
            if line.len() == MAX_ANCESTORS {
                overlook();
                return None;
            }
            let child = line.last();
            match table.parent(child.map_or(process, |child| child)) {
                Parent::Process(parent) => line.push(parent),
                Parent::None => self.is_whole.set(true),
                Parent::Unseen => return None,
                Parent::OfNobody => {
                    // The process itself is there for as long as its call waits.
                    if child.is_some() {
                        self.is_broken.set(true);
                    }
                    return None;
                }
            }
        }
        line.get(place).map(Arc::clone)
    }
}

/// Whom a process has as parent.
#[derive(Debug)]
pub(crate) enum Parent {
    Process(Arc<Process>),
    /// It is the first one of the host.
    None,
    /// Another one, each time, which was noted as unseen.
    Unseen,
    /// It has ended.
    OfNobody,
}

/// Handles of tasks that were asked for.
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
    by_task: HashMap<u32, Arc<Process>>,
    /// What chance decides by.
    chance: u64,
    /// Handles that had to go: closing what belonged to a dead task takes longer than opening what belongs to the next.
    gone: Vec<Arc<Process>>,
}

impl Slots {
    /// A number below `end`: the upper bits of a linear congruential generator, with the numbers of Knuth's MMIX.
    fn draw(&mut self, end: usize) -> usize {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.chance >> 33).unwrap_or(0) % end.max(1)
    }
}

impl ProcessTable {
    /// The task that has the number `task` now; `None` where there is none.
    ///
    /// A caller that means a certain task checks afterwards that this one still exists: while a call is pending, the
    /// number of its task cannot be given to another one.
    pub(crate) fn get(&self, task: u32) -> Option<Arc<Process>> {
        let known = self.lock().by_task.get(&task).map(Arc::clone);
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
    pub(crate) fn parent(&self, child: &Process) -> Parent {
        let number_of = |child: &Process| child.stat().map(|stat| stat.parent);
        for _ in 0..ATTEMPTS {
            let number = match number_of(child) {
                None => return Parent::OfNobody,
                Some(0) => return Parent::None,
                Some(number) => number,
            };
            let parent = self.get(number);
            match (number_of(child), parent) {
                (None, _) => return Parent::OfNobody,
                (Some(after), Some(parent)) if after == number => return Parent::Process(parent),
                (Some(_), _) => {}
            }
        }
        overlook();
        Parent::Unseen
    }

    /// Where there are too many, chance decides which one goes: where more tasks call in turns than are kept, the one whose
    /// call is the longest ago is the next to call.
    fn keep(&self, task: u32, process: &Arc<Process>) {
        let mut slots = self.lock();
        if slots.by_task.len() >= self.capacity {
            let place = slots.draw(self.capacity);
            let unlucky = slots.by_task.keys().nth(place).copied();
            let gone = unlucky.and_then(|task| slots.by_task.remove(&task));
            slots.gone.extend(gone);
        }
        let replaced = slots.by_task.insert(task, Arc::clone(process));
        slots.gone.extend(replaced);
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
