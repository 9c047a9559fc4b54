// SPDX-License-Identifier: Apache-2.0
//! How soon the calling thread gets a processor.

use std::{io, marker::PhantomData, mem::MaybeUninit};

use nix::{
    errno::Errno,
    sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};

/// The calling thread, to which this belongs, runs before everything that is not in real time (`SCHED_FIFO` of sched(7)).
#[derive(Debug)]
pub(crate) struct Urgency {
    policy: libc::c_int,
    parameters: libc::sched_param,
    thread: PhantomData<*const ()>,
}

impl Urgency {
    /// Takes `CAP_SYS_NICE`, and where the kernel shares real time out among control groups, some of it (EPERM).
    pub(crate) fn take() -> io::Result<Self> {
        const CALLER: libc::pid_t = 0;
        // SAFETY: the call takes a number.
        let policy = unsafe { libc::sched_getscheduler(CALLER) };
        // SAFETY: all members are integers, for which zero is a value.
        let mut parameters: libc::sched_param = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the call writes one structure, which lives across it.
        let known = unsafe { libc::sched_getparam(CALLER, &raw mut parameters) };
        if policy < 0 || known < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut urgent = parameters;
        urgent.sched_priority = 1;
        set(libc::SCHED_FIFO, urgent)?;
        Ok(Self { policy, parameters, thread: PhantomData })
    }
}

impl Drop for Urgency {
    fn drop(&mut self) {
        if let Err(error) = set(self.policy, self.parameters) {
            tracing::error!(%error, "a thread goes on in real time");
        }
    }
}

/// A task and the calling thread, to which this belongs, have one processor between them.
#[derive(Debug)]
pub(crate) struct Together {
    task: Pid,
    processors: CpuSet,
    own: CpuSet,
    thread: PhantomData<*const ()>,
}

impl Together {
    /// On a processor that the task may use.
    pub(crate) fn bring(task: u32) -> io::Result<Self> {
        let (task, caller) = (Pid::from_raw(i32::try_from(task).map_err(io::Error::other)?), Pid::from_raw(0));
        let (processors, own, here) = (sched_getaffinity(task)?, sched_getaffinity(caller)?, sched_getcpu()?);
        let may_use = |processor: &usize| processors.is_set(*processor).unwrap_or_default();
        let processor = [here].into_iter().chain(0..CpuSet::count()).find(may_use).ok_or(Errno::ESRCH)?;
        let mut one = CpuSet::new();
        one.set(processor)?;
        let together = Self { task, processors: chosen(task, processors)?, own, thread: PhantomData };
        sched_setaffinity(caller, &one)?;
        sched_setaffinity(task, &one)?;
        Ok(together)
    }
}

/// What a task that may use `processors` has chosen of those that its control group gives it. Of nothing chosen it is all that
/// there may ever be: the kernel takes a set for a choice, which later lets the task use no more of a larger group
/// (`user_cpus_ptr`, Linux 6.2).
fn chosen(task: Pid, processors: CpuSet) -> io::Result<CpuSet> {
    let mut all = CpuSet::new();
    (0..CpuSet::count()).try_for_each(|processor| all.set(processor))?;
    sched_setaffinity(task, &all)?;
    Ok(if sched_getaffinity(task)? == processors { all } else { processors })
}

impl Drop for Together {
    fn drop(&mut self) {
        // The task may have ended.
        for (task, processors) in [(self.task, &self.processors), (Pid::from_raw(0), &self.own)] {
            if let Err(error) = sched_setaffinity(task, processors) {
                tracing::debug!(%error, %task, "a task keeps to one processor");
            }
        }
    }
}

fn set(policy: libc::c_int, parameters: libc::sched_param) -> io::Result<()> {
    // SAFETY: the call reads one structure, which lives across it.
    let set = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_comes_to_a_processor_and_has_all_again() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let task = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let processors = |task| {
            let set = sched_getaffinity(task).unwrap();
            (0..CpuSet::count()).filter(|processor| set.is_set(*processor).unwrap()).collect::<Vec<_>>()
        };
        let mut one = CpuSet::new();
        one.set(processors(task)[0]).unwrap();
        for choice in [sched_getaffinity(task).unwrap(), one] {
            sched_setaffinity(task, &choice).unwrap();
            let before = [task, Pid::from_raw(0)].map(processors);
            let together = Together::bring(child.id()).unwrap();
            let [of_task, own] = [task, Pid::from_raw(0)].map(processors);
            assert!(of_task.len() == 1 && of_task == own);
            drop(together);
            assert_eq!([task, Pid::from_raw(0)].map(processors), before);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        Together::bring(child.id()).unwrap_err();
    }

    #[test]
    fn it_ends_with_its_owner() {
        let policy = || {
            // SAFETY: the call takes a number.
            unsafe { libc::sched_getscheduler(0) }
        };
        let before = policy();
        match Urgency::take() {
            Ok(urgency) => {
                assert_eq!(policy(), libc::SCHED_FIFO);
                drop(urgency);
            }
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        }
        assert_eq!(policy(), before);
    }
}
