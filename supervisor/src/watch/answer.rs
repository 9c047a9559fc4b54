// SPDX-License-Identifier: Apache-2.0
//! From a notification to its answer: who asks, what the rules say, what is written, what is sent.

use std::{
    error::Error,
    io,
    sync::{Arc, LazyLock},
    time::Instant,
};

use nix::unistd::Pid;
use policy::{Mode, Verdict};
use rules::{Argument, Event, EventType, Field, ProcField, Value};

use super::{
    alerting::{AlertId, Matches},
    crew::Turn,
    delivery::Delivery,
    messages::strictest,
    withdrawn::Alerted,
};
use crate::{
    counters::Counter,
    decode::{Call, Undecodable},
    diagnostics,
    enforce::{Job, Means},
    event::CallEvent,
    in_force::InForce,
    internal_alert::InternalAlert,
    process::{Process, unseen},
    shared::Shared,
    slots::{Phase, Slot, Slots},
    sys::{Notification, Pidfd, Response},
    target::Target,
};

/// Supervisors that may die on one notification before it is answered by the failure verdict: whatever kills them, the
/// container must not wait for ever.
const MAX_ATTEMPTS: u64 = 3;
/// Why a call fails of which a rule asks what nobody could see: it might have matched.
const UNSEEN: &str = "what a rule asks for could not be seen";

/// What sets a ring up through which files are opened unseen; watched only where it is not denied.
static IO_URING_SETUP: LazyLock<Option<EventType>> = LazyLock::new(|| EventType::from_name("io_uring_setup"));

/// What puts a task into a Landlock domain; watched in audit mode.
static LANDLOCK_RESTRICT_SELF: LazyLock<Option<EventType>> =
    LazyLock::new(|| EventType::from_name("landlock_restrict_self"));

/// Where a notification comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// From the kernel, just now.
    Received,
    /// From the slot of a supervisor that died on it; `attempts` have done so by now.
    Adopted {
        /// At least one.
        attempts: u64,
    },
}

/// Answers the notifications of one listener, on one thread.
#[derive(Debug)]
pub(super) struct Answerer<'a> {
    delivery: &'a Delivery,
    number: u32,
    slots: &'a Arc<Slots>,
    /// The means to open for targets, once they are needed.
    means: Option<Means>,
    /// How much had stayed unseen for this thread before the call.
    unseen: u64,
    /// Whether a path that a condition of the last call asked for could not be read.
    has_missed_path: bool,
    /// Places of the rules that the last call matched.
    matched: Vec<usize>,
    /// Re-used for the lines of one call's alerts.
    lines: Vec<u8>,
}

/// A notification, where it lies, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) slot: Slot<'a>,
    pub(super) notification: &'a Notification,
    /// The turn of this thread that it is answered in.
    pub(super) turn: Turn<'a>,
    origin: Origin,
}

/// What is decided about one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    pub(super) response: Response,
    /// Whether the call would have been made without us.
    pub(super) is_denied: bool,
    /// The process that ends before the answer is sent.
    pub(super) kill: Option<u32>,
    /// The alert that was written for this notification, or paid for it in advance.
    pub(super) alerted: Option<Alerted>,
}

impl Decision {
    pub(super) const CONTINUE: Self =
        Self { response: Response::Continue, is_denied: false, kill: None, alerted: None };

    /// The same, but that the call is not made.
    pub(super) fn denied(self, errno: i32) -> Self {
        Self { response: Response::Errno(errno), is_denied: true, ..self }
    }
}

impl<'a> Answerer<'a> {
    /// For listener `number` of the container.
    pub(super) fn new(delivery: &'a Delivery, number: u32, slots: &'a Arc<Slots>) -> Self {
        Self {
            delivery,
            number,
            slots,
            means: None,
            unseen: 0,
            has_missed_path: false,
            matched: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// The listener's number within its container.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Places of the rules that the last call matched.
    pub(super) fn matched(&self) -> &[usize] {
        &self.matched
    }

    pub(super) fn shared(&self) -> &'a Shared {
        &self.delivery.shared
    }

    pub(super) fn slots(&self) -> &'a Slots {
        self.slots
    }

    pub(super) fn shared_slots(&self) -> Arc<Slots> {
        Arc::clone(self.slots)
    }

    pub(super) fn means(&mut self) -> io::Result<&mut Means> {
        Means::ready(&mut self.means)
    }

    /// Leaves to other threads what this one needs for no call.
    pub(super) fn leave_means(&mut self) {
        self.means.iter_mut().for_each(Means::leave);
    }

    pub(super) fn start_blocking(&self, job: Job) {
        self.delivery.unfinished.blocking.start(job, Arc::clone(&self.shared().devices));
    }

    /// Makes sure that what the container's tasks have closed is closed here, too, as far as the call could tell: a file that
    /// nobody got has no lock.
    fn close_files(&self, place: Place<'_>, call: &Call) {
        let Delivery { listener, shared, unfinished } = self.delivery;
        shared.handing_over.wait();
        if call.is_mounting() {
            unfinished.blocking.end_withdrawn(None, || listener.is_pending(place.notification.id));
            unfinished.forget_files_of(place.notification.target_tid);
        }
    }

    /// Has nobody held from now on, because of a call that mounts something: control groups to write to, for all that anybody can
    /// know of it, as its arguments may change until the kernel reads them. Says whether it may go on.
    fn expose_holds(&self, place: Place<'_>, call: &Call) -> bool {
        let (shared, notification, turn) = (self.shared(), place.notification, place.turn);
        let (task, name) = (notification.target_tid, call.type_name());
        let was_exposed = shared.holds.is_exposed();
        let may_wait = || {
            let may_wait = turn.may_hand_over();
            if may_wait {
                turn.step_aside();
            }
            may_wait
        };
        let is_pending = || self.delivery.listener.is_pending(notification.id);
        let exposed = shared.holds.expose(may_wait, is_pending);
        if !was_exposed && shared.holds.is_exposed() {
            tracing::info!(task, call = name, "execs of traced tasks fail from now on: it may mount cgroup v2");
        }
        for process in exposed.iter().flat_map(|exposure| &exposure.killed) {
            let why = "was killed, since its exec did not end, and its container may be able to let it go";
            InternalAlert::exec_unseen(*process, why).write(shared);
        }
        let why = match exposed {
            Ok(exposure) if exposure.is_over => return true,
            Ok(_) => "it could let go a program that is held".to_owned(),
            Err(error) => diagnostics::chain(&error),
        };
        if is_pending() && shared.told_failure.admits() {
            InternalAlert::mount_refused(task, name, &why).write(shared);
        }
        false
    }

    /// Ends what an earlier notification of the same task left waiting. What came of it, and what its alert paid for, is kept
    /// then for this one.
    pub(super) fn end_earlier(&self, place: Place<'_>) {
        let Notification { id, target_tid, .. } = *place.notification;
        let is_pending = || self.delivery.listener.is_pending(id);
        self.delivery.unfinished.blocking.end_for(target_tid, is_pending, || place.turn.step_aside());
    }

    /// What answers need, also on other threads.
    pub(super) fn delivery(&self) -> &'a Delivery {
        self.delivery
    }

    /// The first program of a container's first listener is executed by the container's first process.
    pub(super) fn note_init(&self) {
        if let (0, Phase::Started { task }) = (self.number, self.slots.phase()) {
            self.shared().context.set_init(task);
        }
    }

    /// Decides and answers. Returning without an answer means that nobody waits for one any more, or another thread will
    /// answer.
    pub(super) fn answer(&mut self, slot: Slot<'_>, notification: &Notification, origin: Origin, turn: Turn<'_>) {
        self.unseen = unseen();
        let listener = &self.delivery.listener;
        let caution = |address| turn.mind(address);
        let still_pending = || listener.is_pending(notification.id);
        let target = Target::new(notification.target_tid, &still_pending).with_caution(&caution);
        let Notification { arch, nr, args, .. } = *notification;
        let call = match Call::decode(arch, nr, args, &target) {
            Ok(call) => call,
            Err(Undecodable::NoSuchCall) => return self.send(notification, Decision::CONTINUE),
            Err(Undecodable::Unknown) => {
                let decision = self.failure("the call is in no table");
                return self.send(notification, decision);
            }
        };
        if !self.shared().is_wait_killable {
            self.delivery.unfinished.leave_earlier(notification, still_pending);
        }
        if self.slots.phase() == Phase::Preparing {
            // The low-level runtime's init opens files and then blocks in the open of its exec FIFO: not the container's
            // doing, unless one of its tasks has it do so, as who has CAP_SYS_PTRACE can. Its first exec is the entrypoint.
            if call.is_exec() {
                self.slots.set_started(notification.target_tid);
                self.note_init();
            } else if !is_traced(notification.target_tid) {
                return self.send(notification, Decision::CONTINUE);
            }
        }
        // Whatever is decided, in audit mode it happens.
        if self.shared().mode == Mode::Audit && Some(call.event_type()) == *LANDLOCK_RESTRICT_SELF {
            self.slots.set_landlock_entered();
        }
        let decision = match origin {
            Origin::Adopted { attempts } if attempts >= MAX_ATTEMPTS => {
                Some(self.failure("several supervisors died on this call"))
            }
            Origin::Received | Origin::Adopted { .. } => {
                self.judge(Place { slot, notification, turn, origin }, call, target)
            }
        };
        if let Some(decision) = decision {
            self.send(notification, decision);
        }
    }

    /// Asks the rules; `None` when nobody waits for an answer any more.
    fn judge(&mut self, place: Place<'_>, call: Call, target: Target<'_>) -> Option<Decision> {
        let shared = self.shared();
        shared.counters.add(Counter::Events, 1);
        if Some(call.event_type()) == *IO_URING_SETUP {
            InternalAlert::io_uring(target.tid()).write(shared);
        }
        if shared.mode == Mode::Enforce {
            shared.upheaval.note(&call, target.tid());
        }
        let in_force = shared.in_force.load();
        if self.performs(&in_force, &call, target.tid()) {
            return self.perform_open(place, (call, target), &in_force);
        }
        if self.performs_call(&in_force, &call) {
            return self.perform_call(place, (call, target), &in_force);
        }
        if call.is_exec() {
            return self.judge_exec(place, (call, target), &in_force);
        }
        let event = strictest(&shared.context, &in_force, call, target);
        let decision = self.decide(place, &event, &in_force, None)?;
        if decision.response == Response::Continue && self.has_missed_path {
            let failed = self.failure(UNSEEN);
            return Some(Decision { alerted: decision.alerted, ..failed });
        }
        if decision.response == Response::Continue
            && let Some(dodge) = call.dodge()
            && (!dodge.is_opening() || in_force.performs_opens(shared.mode))
        {
            InternalAlert::dodge(target.tid(), dodge, shared.mode).write(shared);
            return Some(if shared.mode == Mode::Enforce { decision.denied(libc::EPERM) } else { decision });
        }
        if decision.response == Response::Continue
            && call.is_mounting()
            && shared.mode == Mode::Enforce
            && !self.expose_holds(place, &call)
        {
            return Some(decision.denied(libc::EBUSY));
        }
        // After the wait for who is held, in which files may come open.
        if call.needs_closed_files() {
            self.close_files(place, &call);
        }
        Some(decision)
    }

    /// Whether no rule matches an open, whatever file it is of.
    pub(super) fn is_unmatched(&mut self, event: &CallEvent<'_>, in_force: &InForce) -> bool {
        self.matched.clear();
        Matches::of(in_force, event).is_none() && !event.is_file_missed() && !self.is_unseen()
    }

    /// Whether something stayed unseen of what the call is about.
    fn is_unseen(&self) -> bool {
        unseen() != self.unseen
    }

    /// Asks the rules about one event and writes what they alert; `alerted` is the alert that this notification has already.
    pub(super) fn decide(
        &mut self,
        place: Place<'_>,
        event: &CallEvent<'_>,
        in_force: &InForce,
        alerted: Option<Alerted>,
    ) -> Option<Decision> {
        let shared = self.shared();
        self.matched.clear();
        let matches = Matches::of(in_force, event);
        // What an alert is composed of decides nothing.
        let is_unseen = self.is_unseen();
        self.has_missed_path = event.has_missed_path();
        let Some(mut matches) = matches else {
            let decision = Decision { alerted, ..Decision::CONTINUE };
            return Some(if is_unseen { self.failure(UNSEEN) } else { decision });
        };
        self.matched.extend(matches.indices());
        let alerted = match self.alert(place, event, &mut matches, alerted) {
            Ok(Some(alerted)) => Some(alerted),
            Ok(None) => return None,
            Err(error) => {
                if shared.told_lost_alert.admits() {
                    tracing::error!(error = &*error, "an alert cannot be written");
                }
                return Some(self.failure("its alert cannot be written"));
            }
        };
        if is_unseen && Verdict::of(shared.mode, matches.action()) == Verdict::Allow {
            let failed = self.failure(UNSEEN);
            return Some(Decision { alerted, ..failed });
        }
        let (decision, errno) = (Decision { alerted, ..Decision::CONTINUE }, matches.errno().number());
        Some(match Verdict::of(shared.mode, matches.action()) {
            Verdict::Allow => decision,
            Verdict::Deny => decision.denied(errno),
            Verdict::Kill => Decision { kill: process_of(event), ..decision.denied(errno) },
        })
    }

    /// Makes sure that the alerts of a call stand in the log, and says which; `None` if the call was withdrawn before: it is
    /// notified anew if it happens.
    fn alert(
        &mut self,
        Place { slot, notification, turn, origin }: Place<'_>,
        event: &CallEvent<'_>,
        matches: &mut Matches<'_>,
        alerted: Option<Alerted>,
    ) -> Result<Option<Alerted>, Box<dyn Error>> {
        let shared = self.shared();
        let id = AlertId {
            container: &shared.context.identity.id,
            listener: self.number,
            notification: notification.id,
            is_verified: false,
        };
        let now = Instant::now();
        let words = matches.words(event);
        let paid = || self.delivery.unfinished.interrupted().take(notification, words, now);
        if let Some(earlier) = alerted.filter(|alerted| alerted.words == words).or_else(paid) {
            return Ok(Some(earlier));
        }
        let alert = Alerted { words, notification: notification.id };
        // An earlier attempt at the same call had other words.
        if alerted.is_some() {
            slot.forget_logged();
        } else if let Origin::Adopted { .. } = origin {
            let logged =
                if slot.log_mark().is_some() { turn.take_logged(id)? } else { usize::try_from(slot.logged())? };
            matches.forget_first(logged);
        }
        self.lines.clear();
        matches.write_lines(shared, event, id, &mut self.lines)?;
        if self.lines.is_empty() {
            return Ok(Some(alert));
        }
        // Asked when everything was read: a target that left meanwhile left facts absent, or another task's in their place.
        if !self.delivery.listener.is_pending(notification.id) {
            return Ok(None);
        }
        slot.mark_log(shared.log.end()?);
        shared.log.append(&self.lines)?;
        slot.mark_logged(matches.count());
        shared.counters.add(Counter::Alerts, matches.count());
        Ok(Some(alert))
    }

    /// The answer to a call about which nothing can be decided or recorded: audit lets it pass, enforce fails it.
    pub(super) fn failure(&self, why: &'static str) -> Decision {
        let shared = self.shared();
        let calls = shared.counters.add(Counter::Failures, 1);
        let alert = InternalAlert::not_judged(why, calls, shared.mode);
        if shared.told_failure.admits() {
            tracing::error!(why, "a call gets the failure verdict");
            alert.write(shared);
        } else {
            alert.write_later(shared);
        }
        match shared.mode {
            Mode::Audit => Decision::CONTINUE,
            Mode::Enforce => Decision::CONTINUE.denied(shared.in_force.load().errno.number()),
        }
    }

    /// The answer to a call whose caller cannot be looked at: none where it is gone, and the failure verdict where it waits.
    pub(super) fn unknown_caller(&self, place: Place<'_>) -> Option<Decision> {
        let is_pending = self.delivery.listener.is_pending(place.notification.id);
        is_pending.then(|| self.failure("its caller cannot be looked at"))
    }

    fn send(&mut self, notification: &Notification, decision: Decision) {
        if let Some(process) = decision.kill {
            self.kill(notification, process);
        }
        let is_taken = if self.waits(notification, decision) {
            self.delivery.respond(notification, decision.response, decision.alerted)
        } else {
            self.delivery.remember(notification, decision.alerted);
            false
        };
        // One that was withdrawn comes once more.
        if decision.is_denied && (is_taken || decision.kill.is_some()) {
            self.shared().counters.add(Counter::Denied, 1);
        }
    }

    /// Whether the target takes an answer now; without an alert it makes no difference.
    fn waits(&self, notification: &Notification, decision: Decision) -> bool {
        decision.alerted.is_none() || self.delivery.is_awaited(notification)
    }

    /// Makes sure that the target takes what it is going to get; `None` if it has left.
    pub(super) fn settle(&self, place: Place<'_>, decision: Decision) -> Option<()> {
        if self.waits(place.notification, decision) {
            return Some(());
        }
        self.delivery.remember(place.notification, decision.alerted);
        None
    }

    /// Ends the process that made the call. The notification is checked after the descriptor is open, so that the
    /// number cannot have been given to another process.
    fn kill(&self, notification: &Notification, process: u32) {
        let pid = Pid::from_raw(i32::try_from(process).unwrap_or(i32::MAX));
        let killed = match Pidfd::open(pid) {
            Ok(pidfd) if self.delivery.listener.is_pending(notification.id) => pidfd.kill(),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = killed {
            tracing::error!(%error, process, "a process that a rule ends cannot be killed; its call is denied");
        }
    }
}

/// Whether somebody traces the task. One about which nobody can tell may be traced.
fn is_traced(task: u32) -> bool {
    Process::open(task).and_then(|process| process.status()).is_none_or(|status| status.tracer != 0)
}

/// The process that made the call, in our pid namespace.
fn process_of(event: &CallEvent<'_>) -> Option<u32> {
    let Some(Value::Int(number)) = event.value(Field::Proc(ProcField::Pid), &Argument::Unused) else { return None };
    u32::try_from(number).ok()
}
