// SPDX-License-Identifier: Apache-2.0
//! An exec that is allowed: let it go on, look at what the kernel has loaded, and judge again if that is something else.
//!
//! The kernel reads the arguments again and finds the file again after the answer. So the alert that was written before
//! stands for what was judged; where the program that was really loaded matches other rules, or is another one, it gets
//! alerts of its own, and in enforce mode dies before its first instruction if they deny it.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use nix::unistd::Pid;
use policy::{Mode, Verdict};

use super::{
    alerting::{AlertId, Matches},
    answer::{Answerer, Decision, Place},
    crew::Turn,
    delivery::Delivery,
};
use crate::{
    counters::Counter,
    decode::Call,
    enforce::{Fate, Follow, Followed},
    event::{CallEvent, ExecSnapshot, Moment},
    internal_alert::InternalAlert,
    process::{Activity, Process},
    sys::{Notification, Pidfd, Response},
    target::Target,
};

/// Execs of one listener that may be followed at one time. Each keeps a thread; one more fails with EAGAIN, as at the limit
/// of processes.
const MAX_FOLLOWED: usize = 512;

/// What was judged.
struct Judged {
    call: Call,
    moment: Moment,
    /// Who calls.
    caller: Option<Arc<Process>>,
    /// Indices of the rules that matched.
    rules: Vec<usize>,
    /// The program, where a rule matched.
    program: Option<ExecSnapshot>,
}

impl Answerer<'_> {
    /// Lets an exec go on and verifies it; `None` when it was answered.
    pub(super) fn follow_exec(
        &mut self,
        place: Place<'_>,
        event: &CallEvent<'_>,
        decision: Decision,
    ) -> Option<Decision> {
        let followed = &self.delivery().unfinished.followed;
        if followed.fetch_add(1, Ordering::AcqRel) >= MAX_FOLLOWED || !place.turn.may_hand_over() {
            followed.fetch_sub(1, Ordering::AcqRel);
            return Some(self.unfollowed(decision));
        }
        let rules = self.matched().to_vec();
        let program = if rules.is_empty() { None } else { event.exec_snapshot() };
        let (call, moment, caller) = (event.call(), event.moment(), event.shared_caller());
        let judged = Judged { call, moment, caller, rules, program };
        // A signal may have the call notified anew before this thread knows that it was withdrawn.
        self.delivery().remember(place.notification, decision.alerted);
        let (delivery, listener, notification) = (self.delivery(), self.number(), place.notification);
        Verification { turn: place.turn, delivery, listener, notification, decision, judged }.run();
        followed.fetch_sub(1, Ordering::AcqRel);
        None
    }

    /// The answer to an exec that there is no thread for.
    fn unfollowed(&self, decision: Decision) -> Decision {
        match self.shared().mode {
            Mode::Audit => decision,
            Mode::Enforce => Decision { response: Response::Errno(libc::EAGAIN), ..decision },
        }
    }
}

/// One exec on its way.
struct Verification<'a> {
    turn: Turn<'a>,
    delivery: &'a Delivery,
    listener: u32,
    notification: &'a Notification,
    decision: Decision,
    judged: Judged,
}

impl Verification<'_> {
    fn run(&self) {
        let shared = &self.delivery.shared;
        let follow = Follow {
            task: self.notification.target_tid,
            is_wait_killable: shared.is_wait_killable,
            kill_on_exit: shared.mode == Mode::Enforce,
        };
        let pending = || self.delivery.listener.is_pending(self.notification.id);
        let proceed = || self.delivery.proceed(self.notification, self.decision.alerted);
        // After the answer, so that the target does not wait for it.
        let before_wait = || _ = self.turn.hand_over();
        if follow.exec(pending, proceed, before_wait, |process| self.judge(process)) == Followed::Untraceable {
            self.run_untraced();
        }
    }

    /// A task that is traced by somebody else, in the container, cannot be stopped by us before its new program runs; it is
    /// looked at as soon as it has it.
    fn run_untraced(&self) {
        let Some(caller) = Untraced::of(self.notification.target_tid) else {
            let response = match self.delivery.shared.mode {
                Mode::Audit => self.decision.response,
                Mode::Enforce => Response::Errno(libc::EAGAIN),
            };
            let _taken = self.delivery.respond(self.notification, response, self.decision.alerted);
            return;
        };
        // The numbers that it was found by are its own as long as its call waits, which the answer shows.
        if !self.delivery.proceed(self.notification, self.decision.alerted) {
            return;
        }
        let _none_left = self.turn.hand_over();
        if caller.executes(i64::from(self.notification.nr))
            && self.judge(caller.leader) == Fate::Dies
            && let Err(error) = caller.reference.kill()
        {
            tracing::error!(%error, process = caller.leader, "a program that must not run cannot be killed");
        }
    }

    /// Judges what was really loaded into the process, which is stopped or ours to look at.
    fn judge(&self, process: u32) -> Fate {
        let shared = &self.delivery.shared;
        let here: &dyn Fn() -> bool = &|| true;
        let target = Target::new(process, here);
        let event = CallEvent::new(&shared.context, self.judged.call, target, self.judged.moment);
        event.set_executed(self.judged.caller.clone());
        let in_force = shared.in_force.load();
        let id = AlertId {
            container: &shared.context.identity.id,
            listener: self.listener,
            notification: self.notification.id,
            is_verified: false,
        };
        let is_judged =
            || self.judged.program.as_ref().is_some_and(|judged| event.exec_snapshot().as_ref() == Some(judged));
        let Some(matches) = Matches::of(&in_force, &event) else {
            if !self.judged.rules.is_empty() && !is_judged() {
                InternalAlert::exec_replaced(&id.to_string(), &event.executed_program()).write(shared);
            }
            return Fate::Lives;
        };
        if matches.indices() == self.judged.rules && is_judged() {
            return Fate::Lives;
        }
        let verdict = Verdict::of(shared.mode, matches.action());
        let id = AlertId { is_verified: true, ..id };
        let mut lines = Vec::new();
        let written = matches
            .write_lines(shared, &event, id, &mut lines)
            .map_err(|error| error.to_string())
            .and_then(|()| shared.log.append(&lines).map_err(|error| crate::diagnostics::chain(&error)));
        match written {
            Ok(()) => drop(shared.counters.add(Counter::Alerts, matches.count())),
            Err(error) => {
                tracing::error!(%error, "an alert cannot be written");
                shared.counters.add(Counter::Failures, 1);
                return if shared.mode == Mode::Enforce { Fate::Dies } else { Fate::Lives };
            }
        }
        match verdict {
            Verdict::Allow => Fate::Lives,
            Verdict::Deny | Verdict::Kill => {
                shared.counters.add(Counter::Denied, 1);
                Fate::Dies
            }
        }
    }
}

/// Pause between two looks at a task that may get its new program at any moment, and how many of them there are: 200 ms.
const SHORT_PAUSE: Duration = Duration::from_micros(100);
const SHORT_PAUSES: u32 = 2000;
/// Pause after that.
const LONG_PAUSE: Duration = Duration::from_millis(10);
/// How many looks may find a task running, of which nobody knows whether it is still inside its exec: a minute. A task
/// whose processor time is limited may be that slow.
const MAX_RUNNING: u32 = SHORT_PAUSES + 6000;

/// A task in an exec that cannot be followed.
struct Untraced {
    caller: Process,
    /// Its process: a thread that executes takes the first thread's place, and its own number is gone.
    process: Process,
    leader: u32,
    reference: Pidfd,
    before: Vec<u8>,
}

impl Untraced {
    /// `None` where the task cannot be looked at.
    fn of(task: u32) -> Option<Self> {
        let caller = Process::open(task)?;
        let leader = caller.leader()?;
        let reference = Pidfd::open(Pid::from_raw(i32::try_from(leader).ok()?)).ok()?;
        let before = caller.program_mark()?;
        Some(Self { caller, process: Process::open(leader)?, leader, reference, before })
    }

    /// Waits for the end of the exec, which is the call `number`; whether there is another program then.
    fn executes(&self, number: i64) -> bool {
        for look in 0.. {
            if self.program().is_none_or(|now| now != self.before) {
                break;
            }
            match self.caller.activity().or_else(|| self.process.activity()) {
                // It may wait as long as it likes, for a lease or a file system.
                Some(Activity::Call(call)) if call == number => {}
                Some(Activity::Running) if look < MAX_RUNNING => {}
                Some(Activity::Running | Activity::Call(_)) | None => break,
            }
            thread::sleep(if look < SHORT_PAUSES { SHORT_PAUSE } else { LONG_PAUSE });
        }
        self.program().is_some_and(|now| now != self.before)
    }

    fn program(&self) -> Option<Vec<u8>> {
        self.caller.program_mark().or_else(|| self.process.program_mark())
    }
}
