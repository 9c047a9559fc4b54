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
    shared::Shared,
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
            return Some(Decision { response: self.shared().unverified(place.notification.target_tid), ..decision });
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
}

impl Shared {
    /// The answer to an exec that nobody can follow.
    fn unverified(&self, task: u32) -> Response {
        InternalAlert::exec_unverified(task, self.mode).write(self);
        match self.mode {
            Mode::Audit => Response::Continue,
            Mode::Enforce => Response::Errno(libc::EAGAIN),
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
            let response = self.delivery.shared.unverified(self.notification.target_tid);
            let _taken = self.delivery.respond(self.notification, response, self.decision.alerted);
            return;
        };
        // The numbers that it was found by are its own as long as its call waits, which the answer shows.
        if !self.delivery.proceed(self.notification, self.decision.alerted) {
            return;
        }
        let _none_left = self.turn.hand_over();
        let judge = || self.judge(caller.leader);
        if caller.watch(i64::from(self.notification.nr), judge) == Fate::Dies
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

/// Pause between two looks at a task that may get its new program at any moment.
const PAUSE: Duration = Duration::from_micros(100);
/// After so many looks an exec is a long one, and after this many a very long one.
const LONG: u64 = 2000;
const VERY_LONG: u64 = 8000;
/// How many looks may find a program whose arguments are not there yet; a program can also take them away from itself.
const MAX_UNREADY: u32 = 200;
const LONG_PAUSE: Duration = Duration::from_millis(10);
const VERY_LONG_PAUSE: Duration = Duration::from_millis(100);

/// A task in an exec that cannot be followed.
struct Untraced {
    caller: Process,
    /// Its process: a thread that executes takes the first thread's place, and its own number is gone.
    process: Process,
    leader: u32,
    reference: Pidfd,
    before: Program,
}

/// What two programs that a process runs differ in. A task can write the message over (`PR_SET_MM`, prctl(2)) without an
/// exec; the file it cannot change so easily.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    message: Vec<u8>,
    file: Option<(u64, u64)>,
}

impl Untraced {
    /// `None` where the task cannot be looked at.
    fn of(task: u32) -> Option<Self> {
        let caller = Process::open(task)?;
        let leader = caller.leader()?;
        let reference = Pidfd::open(Pid::from_raw(i32::try_from(leader).ok()?)).ok()?;
        let before = Program::of(&caller)?;
        Some(Self { caller, process: Process::open(leader)?, leader, reference, before })
    }

    /// Has every program judged that shows until the exec, which is the call `number`, is over, however long it takes: it
    /// may wait for a lease, a file system or a processor.
    fn watch(&self, number: i64, judge: impl Fn() -> Fate) -> Fate {
        let (mut last, mut is_loaded, mut unready) = (None, false, 0);
        for look in 0_u64.. {
            let activity = self.caller.activity().or_else(|| self.process.activity());
            // Looked at after the activity: a call that is over has brought its program along.
            let Some(now) = self.program() else { break };
            if now != self.before && last.as_ref() != Some(&now) {
                if unready < MAX_UNREADY && !self.has_arguments(&now) {
                    unready += 1;
                    thread::sleep(PAUSE);
                    continue;
                }
                if judge() == Fate::Dies {
                    return Fate::Dies;
                }
                is_loaded |= now.file != self.before.file;
                last = Some(now);
            }
            let is_over = match activity {
                Some(Activity::Call(call)) => call != number,
                // Inside the exec or behind it, nobody knows; the same program once more may be no exec at all.
                Some(Activity::Running) => is_loaded || (last.is_some() && look > LONG),
                // Where nobody may look (`kernel.yama.ptrace_scope` 3), nobody can hold it up as a tracer either.
                None => is_loaded || look > LONG,
            };
            if is_over {
                break;
            }
            thread::sleep(match look {
                0..LONG => PAUSE,
                LONG..VERY_LONG => LONG_PAUSE,
                VERY_LONG.. => VERY_LONG_PAUSE,
            });
        }
        Fate::Lives
    }

    /// Whether the kernel is done with the new program: its image, name and file are there before its arguments.
    fn has_arguments(&self, program: &Program) -> bool {
        let given = self.caller.arguments().or_else(|| self.process.arguments());
        !program.message.is_empty() && given.is_some_and(|given| given.len() > 0)
    }

    fn program(&self) -> Option<Program> {
        Program::of(&self.caller).or_else(|| Program::of(&self.process))
    }
}

impl Program {
    fn of(process: &Process) -> Option<Self> {
        let facts = process.file_facts("exe");
        Some(Self { message: process.program_mark()?, file: facts.map(|facts| (facts.st_dev, facts.st_ino)) })
    }
}
