// SPDX-License-Identifier: Apache-2.0
//! The listeners a guard holds, each with the page its notifications are received into.

use std::os::fd::{AsFd, BorrowedFd};

use crate::{
    control::{Control, ControlError, ToSupervisor},
    slots::{Slot, SlotsFile},
    sys::{Listener, SyscallError},
};

/// One listener in custody.
#[derive(Debug)]
struct Held {
    number: u32,
    listener: Listener,
    slots: SlotsFile,
}

/// What changes on a listener as long as the supervisor does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signs {
    /// How many calls were taken up.
    pub(super) taken: u64,
    /// How often the main thread looked, which lets another thread receive where the container holds one up. It does not as
    /// long as it waits for a file system that has the rules; who has received and answers shows that all is well.
    pub(super) looks: u64,
}

/// All listeners of one container.
#[derive(Debug, Default)]
pub(super) struct Custody {
    held: Vec<Held>,
    /// Also the number that the next listener gets, so that none is used twice.
    taken: u32,
}

impl Custody {
    /// Takes a listener; returns its number.
    pub(super) fn take(&mut self, listener: Listener) -> Result<u32, SyscallError> {
        let slots = SlotsFile::create()?;
        let number = self.taken;
        self.taken = self.taken.saturating_add(1);
        self.held.push(Held { number, listener, slots });
        Ok(number)
    }

    /// Takes over a listener that another guard held, with its number and its page.
    pub(super) fn adopt(&mut self, number: u32, listener: Listener, slots: SlotsFile) {
        self.taken = self.taken.max(number.saturating_add(1));
        self.held.push(Held { number, listener, slots });
    }

    /// Makes sure that no number below `next` is given again.
    pub(super) fn skip_to(&mut self, next: u32) {
        self.taken = self.taken.max(next);
    }

    /// Gives up a listener whose tasks are all gone.
    pub(super) fn release(&mut self, number: u32) {
        self.held.retain(|held| held.number != number);
    }

    /// Whether any listener was ever taken.
    pub(super) fn was_used(&self) -> bool {
        self.taken > 0
    }

    /// Whether none is held now.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Number and descriptor of each listener.
    pub(super) fn listeners(&self) -> impl Iterator<Item = (u32, BorrowedFd<'_>)> {
        self.held.iter().map(|held| (held.number, held.listener.as_fd()))
    }

    /// Number of each listener.
    pub(super) fn numbers(&self) -> Vec<u32> {
        self.held.iter().map(|held| held.number).collect()
    }

    /// How many calls of all listeners supervisors took up.
    pub(super) fn taken(&self) -> u64 {
        self.held.iter().filter_map(|held| held.slots.map().ok()).map(|slots| slots.taken()).sum()
    }

    /// Number and signs of life of each listener on which a call waits for the supervisor.
    pub(super) fn waiting(&self) -> Vec<(u32, Signs)> {
        self.held.iter().filter_map(|held| Some((held.number, held.signs()?))).collect()
    }

    /// Does something with listener `number` and its page.
    pub(super) fn with(&self, number: u32, act: impl FnMut(&Listener, &SlotsFile)) {
        let mut act = act;
        self.held.iter().filter(|held| held.number == number).for_each(|held| act(&held.listener, &held.slots));
    }

    /// Hands listener `number` to a supervisor.
    pub(super) fn hand_over(&self, number: u32, control: &Control) -> Result<(), ControlError> {
        self.held.iter().filter(|held| held.number == number).try_for_each(|held| held.hand_over(control))
    }

    /// Hands everything to a new supervisor.
    pub(super) fn hand_over_all(&self, control: &Control) -> Result<(), ControlError> {
        self.held.iter().try_for_each(|held| held.hand_over(control))
    }
}

impl Held {
    /// What shows that a supervisor lives, where a call waits for it, or it is at one. A page that cannot be mapped shows nothing.
    fn signs(&self) -> Option<Signs> {
        let slots = self.slots.map().ok()?;
        // Also of an exec that was let go on and is followed: its program may be stopped. Not of what was set aside.
        let is_taken = |slot: Slot<'_>| !slot.is_of_waiting() && slot.notification().is_some();
        let waits = self.listener.has_notification() || slots.iter().any(is_taken);
        waits.then(|| Signs { taken: slots.taken(), looks: slots.looks() })
    }

    fn hand_over(&self, control: &Control) -> Result<(), ControlError> {
        let message = ToSupervisor::Watch { listener: self.number };
        control.send(&message, &[self.listener.as_fd(), self.slots.as_fd()])
    }
}
