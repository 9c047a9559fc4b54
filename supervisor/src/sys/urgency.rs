// SPDX-License-Identifier: Apache-2.0
//! How soon the calling thread gets a processor.

use std::{io, marker::PhantomData, mem::MaybeUninit};

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

fn set(policy: libc::c_int, parameters: libc::sched_param) -> io::Result<()> {
    // SAFETY: the call reads one structure, which lives across it.
    let set = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
