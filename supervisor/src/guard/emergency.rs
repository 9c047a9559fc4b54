// SPDX-License-Identifier: Apache-2.0
//! What a guard does while no supervisor can be had: the container's calls get the mode's failure verdict.
//!
//! Calls wait while a supervisor is replaced, which takes milliseconds. If none becomes ready for longer than
//! [`PATIENCE`], something is wrong with the node, and a container must not stand still for ever because of it: in audit
//! mode its calls pass, in enforce mode they fail, and the event log says from when to when and how many.

use std::time::{Duration, Instant};

use policy::{Errno, Meaning, Mode};

use crate::{
    event_log::EventLog,
    internal_alert::{About, InternalAlert},
    slots::{Phase, Slot, Slots, SlotsFile},
    sys::{Listener, Notification, Response, SendError},
};

/// How long calls wait for a supervisor before they get the failure verdict.
const PATIENCE: Duration = Duration::from_secs(5);
/// Calls answered in one go before the guard looks at its other descriptors again.
const BATCH: usize = 64;

/// The time without a supervisor.
#[derive(Debug)]
pub(super) struct Emergency {
    mode: Mode,
    errno: Errno,
    log: EventLog,
    container: String,
    /// Since when no supervisor is ready.
    since: Option<Instant>,
    /// The last time that one became so.
    relief: Option<Relief>,
    /// Calls that got the failure verdict; `None` before the emergency begins.
    answered: Option<u64>,
}

/// A supervisor has become ready.
#[derive(Debug, Clone, Copy)]
struct Relief {
    /// When.
    at: Instant,
    /// Since when none had been.
    since: Option<Instant>,
    /// How many calls had been taken up by then.
    taken: u64,
}

impl Emergency {
    /// Begins with no supervisor ready.
    pub(super) fn new(mode: Mode, errno: Errno, log: EventLog, container: String) -> Self {
        Self { mode, errno, log, container, since: Some(Instant::now()), relief: None, answered: None }
    }

    /// The container's mode.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// A supervisor is ready: everything is as it should be again. `taken` calls were taken up by now.
    pub(super) fn supervisor_is_ready(&mut self, taken: u64) {
        self.relief = Some(Relief { at: Instant::now(), since: self.since.take(), taken });
        if let Some(calls) = self.answered.take() {
            self.raise(&InternalAlert::supervised_again(calls));
        }
    }

    /// The supervisor has died; `taken` calls were taken up by now. One that was ready for a short time and has taken up none
    /// has helped nobody: the time without one goes on.
    pub(super) fn supervisor_is_lost(&mut self, taken: u64) {
        let useless = self.relief.take().filter(|relief| taken <= relief.taken && relief.at.elapsed() < PATIENCE);
        let before = useless.and_then(|relief| relief.since);
        self.since.get_or_insert_with(|| before.unwrap_or_else(Instant::now));
    }

    /// Whether a supervisor is ready.
    pub(super) fn has_supervisor(&self) -> bool {
        self.since.is_none()
    }

    /// Whether calls are to be answered here and now.
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= PATIENCE)
    }

    /// When it begins, unless a supervisor becomes ready or it has begun already.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + PATIENCE).filter(|due| *due > Instant::now())
    }

    /// Whether calls are to be answered here, and none was yet.
    pub(super) fn is_beginning(&self) -> bool {
        self.is_on() && self.answered.is_none()
    }

    /// Answers what the last supervisor had received of a listener, if there is something: the kernel shows it no longer as
    /// something to receive.
    pub(super) fn answer_received(&mut self, listener: &Listener, slots: &SlotsFile) {
        let has_received = |slots: Slots| slots.iter().any(|slot| slot.notification().is_some());
        if slots.map().is_ok_and(has_received) {
            self.answer(listener, slots);
        }
    }

    /// Answers what waits on a listener: first what the last supervisor had received, then what comes. Does nothing where
    /// a supervisor has become ready since the guard saw calls waiting: they are that one's now, slots and all.
    pub(super) fn answer(&mut self, listener: &Listener, slots: &SlotsFile) {
        if !self.is_on() {
            return;
        }
        if self.answered.is_none() {
            self.answered = Some(0);
            self.raise(&InternalAlert::not_supervised(self.mode));
        }
        let slots = match slots.map() {
            Ok(slots) => slots,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "waiting calls cannot be answered");
                return;
            }
        };
        slots
            .iter()
            .filter(|slot| slot.notification().is_some())
            .for_each(|slot| self.answer_one(listener, &slots, slot));
        // Not the first slot: a supervisor that becomes ready meanwhile receives into that one.
        let Some(slot) = slots.of_guard() else { return };
        for _ in 0..BATCH {
            if !listener.has_notification() {
                return;
            }
            // Failing to receive is everyday: the target died or was interrupted.
            if listener.receive(slot.cells()).is_ok() {
                self.answer_one(listener, &slots, slot);
            }
            slot.clear();
        }
    }

    fn answer_one(&mut self, listener: &Listener, slots: &Slots, slot: Slot<'_>) {
        let Some(notification) = slot.notification() else { return };
        let response = match self.mode {
            Mode::Audit => {
                note_passed(slots, &notification);
                Response::Continue
            }
            Mode::Enforce => Response::Errno(self.errno.number()),
        };
        match listener.send(notification.id, response) {
            Ok(()) => self.answered = self.answered.map(|calls| calls + 1),
            Err(SendError::Gone) => {}
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "a call is left without an answer"),
        }
        slot.clear();
    }

    /// Follows a rotation of the event log, of which nobody has told the guard.
    pub(super) fn follow_log(&self) {
        if let Err(error) = self.log.reopen_if_moved() {
            tracing::error!(error = &error as &dyn std::error::Error, "an alert goes to where the event log was");
        }
    }

    /// Writes an alert about the container, and says the same in our own log.
    pub(super) fn raise(&self, alert: &InternalAlert) {
        let hostname = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        let about = About { hostname: &hostname, container: &self.container, name: None };
        tracing::error!("{}", alert.message());
        self.follow_log();
        alert.append(&self.log, about);
    }
}

/// Notes what a supervisor goes by, and nobody will tell it: that the listener's first program is executed, before which
/// all calls are the low-level runtime's, or that a task enters a Landlock domain.
fn note_passed(slots: &Slots, notification: &Notification) {
    let Some(Meaning::Call(call)) = policy::lookup(notification.arch, notification.nr) else { return };
    match call.name {
        "execve" | "execveat" if slots.phase() == Phase::Preparing => slots.set_started(notification.target_tid),
        "landlock_restrict_self" => slots.set_landlock_entered(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::atomic::Ordering};

    use super::*;
    use crate::slots::Landlock;

    fn emergency(mode: Mode) -> (tempfile::TempDir, Emergency) {
        let folder = tempfile::tempdir().unwrap();
        let log = EventLog::open(&folder.path().join("events.jsonl")).unwrap();
        (folder, Emergency::new(mode, Errno::default(), log, "c1".to_owned()))
    }

    #[test]
    fn a_supervisor_that_dies_as_soon_as_it_is_ready_ends_no_emergency() {
        let (_folder, mut emergency) = emergency(Mode::Enforce);
        emergency.since = Instant::now().checked_sub(PATIENCE);
        emergency.supervisor_is_ready(5);
        assert!(!emergency.is_on());
        emergency.supervisor_is_lost(5);
        assert!(emergency.is_on(), "nothing was done for long");
        emergency.supervisor_is_ready(5);
        emergency.supervisor_is_lost(6);
        assert!(!emergency.is_on(), "something was done just now");
        emergency.since = Instant::now().checked_sub(PATIENCE);
        emergency.supervisor_is_ready(5);
        emergency.relief =
            emergency.relief.and_then(|relief| Some(Relief { at: relief.at.checked_sub(PATIENCE)?, ..relief }));
        emergency.supervisor_is_lost(5);
        assert!(!emergency.is_on(), "it could have been asked for long");
    }

    #[test]
    fn a_supervisor_learns_that_the_first_program_was_executed_without_it() {
        let (_folder, mut emergency) = emergency(Mode::Audit);
        let (listener, file) = (Listener::new(File::open("/dev/null").unwrap().into()), SlotsFile::create().unwrap());
        let slots = file.map().unwrap();
        let mut pass = |name: &str, task: u64| {
            let number = policy::Syscall::named(name).unwrap().number(policy::Arch::X86_64).unwrap();
            let slot = slots.slot(0).unwrap();
            // id; task and flags; number and architecture (AUDIT_ARCH_X86_64)
            let cells = [1, task, u64::from(number.unsigned_abs()) | 0xc000_003e << 32];
            slot.cells().iter().zip(cells).for_each(|(cell, value)| cell.store(value, Ordering::Release));
            emergency.answer_one(&listener, &slots, slot);
            (slots.phase(), slots.landlock())
        };
        assert_eq!(pass("openat", 7), (Phase::Preparing, Landlock::None));
        assert_eq!(pass("execve", 7), (Phase::Started { task: 7 }, Landlock::None));
        assert_eq!(pass("execve", 8), (Phase::Started { task: 7 }, Landlock::None));
        assert_eq!(pass("landlock_restrict_self", 8), (Phase::Started { task: 7 }, Landlock::Entered));
    }

    #[test]
    fn calls_are_left_to_a_supervisor_that_has_become_ready() {
        let (folder, mut emergency) = emergency(Mode::Enforce);
        emergency.since = Instant::now().checked_sub(PATIENCE);
        assert!(emergency.is_on());

        // Nothing can be sent on it, but a slot that was answered is free all the same.
        let listener = Listener::new(File::open("/dev/null").unwrap().into());
        let file = SlotsFile::create().unwrap();
        let slots = file.map().unwrap();
        let slot = slots.slot(0).unwrap();
        slot.cells()[0].store(7, Ordering::Release);
        emergency.supervisor_is_ready(5);
        emergency.answer(&listener, &file);
        assert!(slot.notification().is_some(), "a supervisor's slot was cleared under it");
        assert_eq!(std::fs::read(folder.path().join("events.jsonl")).unwrap(), b"");

        emergency.since = Instant::now().checked_sub(PATIENCE);
        emergency.answer(&listener, &file);
        assert!(slot.notification().is_none());
    }
}
