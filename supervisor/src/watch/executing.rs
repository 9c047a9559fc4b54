// SPDX-License-Identifier: Apache-2.0
//! An exec that is allowed: let it go on, look at what the kernel has loaded, and judge again if that is something else.
//!
//! The kernel reads the arguments again and finds the file again after the answer. So the alert that was written before
//! stands for what was judged; where the program that was really loaded matches other rules, or is another one, it gets
//! alerts of its own, and in enforce mode dies before its first instruction if they deny it.

use std::{
    cell::Cell,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use nix::sys::stat::fstat;
use policy::{Mode, Verdict};
use rules::EventType;

use super::{
    alerting::{AlertId, Matches},
    answer::{Answerer, Decision, Place},
    crew::Turn,
    delivery::Delivery,
    left::Left,
};
use crate::{
    config::TracedExecs,
    counters::Counter,
    decode::Call,
    diagnostics,
    enforce::{Exec, Fate, Follow, Followed, Hold, HoldError, Located, RESTART, Untraced, Watched},
    event::{CallEvent, ExecSnapshot, Moment},
    in_force::InForce,
    internal_alert::InternalAlert,
    process::{Process, is_marked, loaded_beside, unseen},
    shared::Shared,
    sys::{Notification, Response, Together, Urgency},
    target::Target,
    wake_ups,
};

/// The event that a file's opening by the kernel counts as.
static OPEN: LazyLock<Option<EventType>> = LazyLock::new(|| EventType::from_name("open"));

/// Execs of one listener that may be followed at one time. Each keeps a thread; one more fails with EAGAIN, as at the limit
/// of processes.
const MAX_FOLLOWED: usize = 512;

/// What was judged.
#[derive(Debug)]
struct Judged {
    call: Call,
    moment: Moment,
    /// Who calls, if a rule asked for that.
    caller: Option<Arc<Process>>,
    /// The rules that it was judged by, and that the loaded program is: one event sees one version of them.
    in_force: Arc<InForce>,
    /// Indices of those that matched.
    rules: Vec<usize>,
    /// The program, where a rule matched.
    program: Option<ExecSnapshot>,
}

/// What lets an exec go on.
#[derive(Debug)]
pub(super) struct Allowance {
    judged: Judged,
    pub(super) decision: Decision,
    pub(super) since: Instant,
}

impl Allowance {
    /// The rules that it is by.
    pub(super) fn in_force(&self) -> &Arc<InForce> {
        &self.judged.in_force
    }
}

/// How far an exec was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It has its answer.
    Answered,
    /// Nobody can follow it, and this is to be the answer.
    Refused(Response),
    /// It was withdrawn before the answer.
    Withdrawn,
}

impl Answerer<'_> {
    /// Judges an exec, lets it go on if it may and verifies it; `None` when it was answered or nobody waits.
    pub(super) fn judge_exec(
        &mut self,
        place: Place<'_>,
        (call, target): (Call, Target<'_>),
        in_force: &Arc<InForce>,
    ) -> Option<Decision> {
        let (delivery, context) = (self.delivery(), &self.shared().context);
        let event = CallEvent::new(context, call, target, context.clock.tick());
        // Before it is judged: later its task may be elsewhere.
        let claim = delivery.claim_to_exec(place.notification, &event);
        let kept = claim.and_then(|claim| delivery.take_exec(place.notification, claim, in_force));
        let decided = match &kept {
            Some(kept) => Some(kept.decision),
            None => self.decide(place, &event, in_force, None),
        };
        let Some(decision) = decided else {
            delivery.note_exec(place.notification);
            return None;
        };
        self.release_program(&event);
        if decision.response != Response::Continue || !in_force.verifies_execs(self.shared().mode) {
            return Some(decision);
        }
        let allowance = kept.unwrap_or_else(|| self.allowance(&event, decision, in_force));
        drop(event);
        match self.follow_exec(place, &allowance) {
            Step::Answered => None,
            Step::Refused(response) => {
                Some(Decision { response, is_denied: response != Response::Continue, ..decision })
            }
            Step::Withdrawn => {
                delivery.keep_exec(place.notification, claim, allowance);
                None
            }
        }
    }

    /// What was decided about an exec, with what it takes to tell whether that is what happened.
    fn allowance(&self, event: &CallEvent<'_>, decision: Decision, in_force: &Arc<InForce>) -> Box<Allowance> {
        let rules = self.matched().to_vec();
        let program = if rules.is_empty() { None } else { event.exec_snapshot() };
        let (call, moment, caller) = (event.call(), event.moment(), event.shared_caller());
        let judged = Judged { call, moment, caller, in_force: Arc::clone(in_force), rules, program };
        Box::new(Allowance { judged, decision, since: Instant::now() })
    }

    /// Closes what the exec is about and we have open, which cannot be executed as long as somebody may write to it. A file that
    /// waits for an open to be made anew stays where it is another one: any program of the container may run meanwhile.
    fn release_program(&self, event: &CallEvent<'_>) {
        let Delivery { shared, unfinished, .. } = self.delivery();
        shared.handing_over.wait();
        if unfinished.has_regular_files() {
            // Of a program that is not there, or that nobody can find, nothing is known to be open.
            let executed = event.executed_files().unwrap_or_default();
            unfinished.forget_regular_files(|file| executed.iter().any(|program| program.is_same_file(file)));
        }
    }

    /// Lets an exec go on that is allowed, and verifies it.
    fn follow_exec(&mut self, place: Place<'_>, allowance: &Allowance) -> Step {
        let Allowance { judged, decision, .. } = allowance;
        let (delivery, task) = (self.delivery(), place.notification.target_tid);
        let counted = Counted::new(&delivery.unfinished.followed);
        if counted.others >= MAX_FOLLOWED || !place.turn.may_hand_over() {
            InternalAlert::exec_unverified(task, self.shared().mode).write(self.shared());
            return Step::Refused(unverified(self.shared().mode));
        }
        // A signal may have the call notified anew before this thread knows that it was withdrawn.
        delivery.remember(place.notification, decision.alerted);
        // The exec may take for ever.
        self.leave_means();
        let (listener, notification, turn) = (self.number(), place.notification, place.turn);
        let (is_overlooked, is_answered) = (Cell::new(false), Cell::new(false));
        let waits = delivery.has_waited(notification);
        // Asking for it takes time, and nearly never is any exec left to wait.
        let is_asked_for = waits || !delivery.unfinished.left.is_empty();
        let process = if is_asked_for { Process::open(task).and_then(|caller| caller.leader()) } else { None };
        process.inspect(|process| delivery.unfinished.left.outdate(*process));
        let verification = Verification {
            turn,
            delivery,
            listener,
            notification,
            decision,
            judged,
            process,
            waits,
            is_overlooked,
            is_answered,
        };
        verification.run(counted.others > 0);
        if verification.is_answered.get() { Step::Answered } else { Step::Withdrawn }
    }
}

/// One of the execs that are followed.
struct Counted<'a> {
    count: &'a AtomicUsize,
    /// How many others there were when it began.
    others: usize,
}

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        Self { count, others: count.fetch_add(1, Ordering::AcqRel) }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The name of a file without the mark of a removed one, as far as the process can tell.
fn unmarked(process: u32, name: Vec<u8>, file: &OwnedFd) -> Vec<u8> {
    let Some(process) = Process::open(process) else { return name };
    let facts = fstat(file).ok();
    process.unmarked(name, facts.as_ref())
}

/// The answer to an exec that nobody can follow.
fn unverified(mode: Mode) -> Response {
    match mode {
        Mode::Audit => Response::Continue,
        Mode::Enforce => Response::Errno(libc::EAGAIN),
    }
}

/// What becomes of a process about which nothing can be said.
fn unknown(shared: &Shared) -> Fate {
    shared.counters.add(Counter::Failures, 1);
    if shared.mode == Mode::Enforce { Fate::Dies } else { Fate::Lives }
}

impl Exec for Verification<'_> {
    fn is_pending(&self) -> bool {
        self.delivery.listener.is_pending(self.notification.id)
    }

    fn before_wait(&self) {
        self.turn.hand_over();
    }

    fn proceed(&self) -> bool {
        self.note(Left::Waiting);
        self.answer(Response::Continue)
    }

    fn judge(&self, process: u32) -> Fate {
        self.judge_loaded_program(process, &|| ())
    }

    fn note_restart(&self) {
        self.delivery.note_interrupted_exec(self.notification);
    }

    fn is_outdated(&self) -> bool {
        // New rules judge it once more.
        let Delivery { shared, unfinished, .. } = self.delivery;
        !Arc::ptr_eq(&shared.in_force.load(), &self.judged.in_force)
            || self.process.and_then(|process| unfinished.left.get(process, self.notification)) != Some(Left::Waiting)
    }

    fn note_interrupt(&self) {
        self.note(Left::Interrupted);
    }

    fn makes_way(&self) -> bool {
        // The interrupt is held back until this call is answered, and waits for the task then: it makes the call anew.
        let Delivery { shared, unfinished, .. } = self.delivery;
        let holds_back = |process| unfinished.left.holds_back_interrupt(process, self.notification);
        let is_held_back = shared.is_wait_killable && self.process.is_some_and(holds_back);
        if is_held_back {
            self.is_answered.set(true);
            // Its alert is paid in advance already.
            self.delivery.transmit(self.notification, Response::Errno(RESTART));
        }
        is_held_back
    }
}

/// One exec on its way.
struct Verification<'a> {
    turn: Turn<'a>,
    delivery: &'a Delivery,
    listener: u32,
    notification: &'a Notification,
    decision: &'a Decision,
    judged: &'a Judged,
    /// Its process, where an exec is left to wait, or this one is to be.
    process: Option<u32>,
    /// Whether it waits for something that an interrupt ends.
    waits: bool,
    /// Whether something of the program stayed unseen that its judgement depends on.
    is_overlooked: Cell<bool>,
    /// Whether its task took the answer.
    is_answered: Cell<bool>,
}

impl Verification<'_> {
    /// Notes what becomes of it where it is left to wait.
    fn note(&self, left: Left) {
        if let Some(process) = self.process.filter(|_| self.waits) {
            self.delivery.unfinished.left.set(process, self.notification, left);
        }
    }

    /// `is_beside_others`: whether other execs are being followed.
    fn run(&self, is_beside_others: bool) {
        let shared = &self.delivery.shared;
        if is_beside_others {
            // One of them may be a thread of the same process, and where that is held up in the middle of its exec, the
            // kernel has everybody wait who wants to trace this one (`cred_guard_mutex`).
            self.turn.hand_over();
            let settle = |caller: Arc<Process>| self.delivery.unfinished.untraced.settle(&caller);
            let is_settled = self.caller().is_some_and(settle);
            if !is_settled && shared.mode == Mode::Enforce {
                // What it runs was not judged, and would be gone.
                return self.refuse();
            }
        }
        let follow = Follow {
            task: self.notification.target_tid,
            number: i64::from(self.notification.nr),
            is_wait_killable: shared.is_wait_killable,
            kill_on_exit: shared.mode == Mode::Enforce,
            waits: self.waits,
        };
        shared.wake_ups.add(wake_ups::OF_EXEC);
        if follow.exec(self) == Followed::Untraceable {
            self.run_untraced();
        }
        if let Some(process) = self.process.filter(|_| self.waits) {
            self.delivery.unfinished.left.end(process, self.notification);
        }
    }

    /// Who calls, whether or not a rule asked for that.
    fn caller(&self) -> Option<Arc<Process>> {
        let processes = &self.delivery.shared.context.processes;
        let fetch = || processes.get(self.notification.target_tid).filter(|_| self.is_pending());
        self.judged.caller.clone().or_else(fetch)
    }

    /// Says whether the task took the answer.
    fn answer(&self, response: Response) -> bool {
        let is_taken = self.delivery.answer_paid(self.notification, response, self.decision.alerted);
        self.is_answered.set(is_taken);
        is_taken
    }

    /// Answers an exec that nobody can follow.
    fn refuse(&self) {
        let shared = &self.delivery.shared;
        if self.answer(unverified(shared.mode)) {
            InternalAlert::exec_unverified(self.notification.target_tid, shared.mode).write(shared);
        }
    }

    /// A task that is traced by somebody else, in the container, cannot be stopped by us before its new program runs: the
    /// kernel holds it there, or it is looked at as soon as it has it, or fails, as the configuration says.
    fn run_untraced(&self) {
        self.turn.hand_over();
        let (task, shared) = (self.notification.target_tid, &self.delivery.shared);
        let wanted = self.judged.in_force.traced_execs(shared.mode);
        match (wanted, shared.holds.check()) {
            (TracedExecs::Deny, _) => return self.deny_traced("`enforce.traced_execs` is `deny`"),
            (TracedExecs::Hold, Err(error)) => return self.deny_unheld(&error),
            (TracedExecs::Hold, Ok(())) | (TracedExecs::Allow, _) => {}
        }
        let Some(caller) = Untraced::of(task, &self.delivery.unfinished.untraced) else { return self.refuse() };
        let hold = (wanted == TracedExecs::Hold).then(|| caller.prepare_hold(&shared.holds)).transpose();
        let hold = match hold {
            Ok(hold) => hold,
            Err(error) => return self.deny_unheld(&error),
        };
        let proceed = || self.let_go(hold.as_ref());
        let give_up = |why| {
            let fate = unknown(shared);
            if fate == Fate::Dies {
                caller.kill();
            }
            InternalAlert::exec_unseen(task, why).write(shared);
            fate
        };
        let judge = |process, condemn: &dyn Fn()| self.judge_loaded_program(process, condemn);
        let overdue = || give_up("withheld its memory from whoever looked at it");
        // The numbers that it was found by are its own as long as its call waits, which the answer shows.
        match caller.watch(hold.as_ref(), (i64::from(self.notification.nr), proceed), judge, overdue) {
            Watched::Unattended => self.refuse(),
            Watched::Unseen => {
                give_up("had ended before it was looked at");
            }
            Watched::Loose => {
                give_up("was not held, since something moved it to another control group, or let that one go on");
            }
            Watched::Judged(_) | Watched::NotExecuted | Watched::Overdue => {}
        }
    }

    fn deny_unheld(&self, error: &HoldError) {
        self.deny_traced(&format!("it cannot be held until it was looked at: {}", diagnostics::chain(error)));
    }

    /// Fails an exec that would load a program which nobody stops.
    fn deny_traced(&self, why: &str) {
        let shared = &self.delivery.shared;
        if self.answer(Response::Errno(self.judged.in_force.errno.number())) {
            InternalAlert::traced_exec_denied(self.notification.target_tid, why).write(shared);
            shared.counters.add(Counter::Denied, 1);
        }
    }

    /// Lets a traced exec go on; says whether its task took the answer.
    fn let_go(&self, hold: Option<&Hold<'_>>) -> bool {
        let Some(hold) = hold else { return self.answer(Response::Continue) };
        let freeze = || {
            let frozen = hold.freeze();
            frozen.inspect_err(|error| tracing::error!(%error, "a process cannot be frozen")).is_ok()
        };
        // Without the kernel's protection the freezer ends the wait for the answer, unless that comes before the task has got a
        // processor. Where it does not, nothing has happened: the call is made anew, and a tracer sees that (-512). So the task
        // is kept on the processor of this thread, which nobody takes away.
        let is_raced = !self.delivery.shared.is_wait_killable;
        let told = |error: &io::Error| tracing::warn!(%error, "a held exec may have to be made anew often");
        let together = is_raced.then(|| Together::bring(self.notification.target_tid).inspect_err(told).ok());
        let urgency = is_raced.then(|| Urgency::take().inspect_err(told).ok());
        let is_frozen = freeze();
        let is_taken = is_frozen && self.answer(Response::Continue);
        drop(together);
        drop(urgency);
        if !is_frozen {
            self.refuse();
        }
        is_taken
    }

    /// Judges what was really loaded into the process, which is stopped or ours to look at; calls `condemn` as soon as it is
    /// known that it must die.
    fn judge_loaded_program(&self, process: u32, condemn: &dyn Fn()) -> Fate {
        let here: &dyn Fn() -> bool = &|| true;
        let target = Target::new(process, here);
        let event = CallEvent::new(&self.delivery.shared.context, self.judged.call, target, self.judged.moment);
        event.set_executed(self.handle_of(process));
        let fate = match self.judge_program(&event, condemn) {
            Fate::Lives => self.judge_opened(process, &event, condemn),
            Fate::Dies => Fate::Dies,
        };
        if fate == Fate::Lives && self.is_overlooked.get() {
            let fate = unknown(&self.delivery.shared);
            InternalAlert::program_unseen(process, self.delivery.shared.mode).write(&self.delivery.shared);
            return fate;
        }
        fate
    }

    /// Looks at something of the program that its judgement depends on.
    fn look<T>(&self, at: impl FnOnce() -> T) -> T {
        let before = unseen();
        let seen = at();
        if unseen() != before {
            self.is_overlooked.set(true);
        }
        seen
    }

    /// The caller's handle, if it is this process.
    fn handle_of(&self, process: u32) -> Option<Arc<Process>> {
        self.judged.caller.clone().filter(|caller| caller.task() == process)
    }

    /// The kernel has opened a program's interpreter without a call, and runs it in the program's place, or has opened the
    /// program for an interpreter that it was told to run (`binfmt_misc`): where opens are performed, these are judged as one
    /// of them.
    fn judge_opened(&self, process: u32, event: &CallEvent<'_>, condemn: &dyn Fn()) -> Fate {
        if !self.judged.in_force.performs_opens(self.delivery.shared.mode) {
            return Fate::Lives;
        }
        let judge = |file, name: &[u8]| self.judge_loaded(process, file, name, condemn);
        let opened = self.look(|| {
            let opened = loaded_beside(process)?.into_iter().chain(event.file_for_program()?);
            let located = opened.map(|(file, name)| {
                let name = if is_marked(&name) { unmarked(process, name, &file) } else { name };
                Ok::<_, io::Error>((Located::existing(file)?, name))
            });
            located.collect::<Result<Vec<_>, _>>()
        });
        let judged =
            opened.map(|opened| opened.into_iter().fold(Fate::Lives, |fate, (file, name)| fate.or(judge(file, &name))));
        judged.unwrap_or_else(|error| {
            tracing::error!(%error, process, "the interpreter of a program cannot be looked at");
            unknown(&self.delivery.shared)
        })
    }

    fn judge_loaded(&self, process: u32, file: Located, name: &[u8], condemn: &dyn Fn()) -> Fate {
        let (shared, in_force) = (&self.delivery.shared, &self.judged.in_force);
        let here: &dyn Fn() -> bool = &|| true;
        let Some(call) = OPEN.map(Call::of_type) else { return unknown(shared) };
        let event = CallEvent::new(&shared.context, call, Target::new(process, here), self.judged.moment);
        event.set_thread(self.handle_of(process));
        event.find_aliases(&file, in_force.ruleset.named_files());
        event.set_opened(Arc::new(file), name);
        self.look(|| Matches::of(in_force, &event))
            .map_or(Fate::Lives, |matches| self.conclude(&event, &matches, condemn))
    }

    /// The alert of the call, as it was judged.
    fn alert_id(&self) -> AlertId<'_> {
        AlertId {
            container: &self.delivery.shared.context.identity.id,
            listener: self.listener,
            notification: self.decision.alerted.map_or(self.notification.id, |alerted| alerted.notification),
            is_verified: false,
        }
    }

    fn judge_program(&self, event: &CallEvent<'_>, condemn: &dyn Fn()) -> Fate {
        let (shared, in_force) = (&self.delivery.shared, &self.judged.in_force);
        let is_judged = || {
            let (judged, loaded) = (self.judged.program.as_ref(), event.exec_snapshot());
            // Of a program that has ended meanwhile nothing can be told: then it counts as unseen.
            let has_ended = || event.caller().is_none_or(|process| process.is_set_up() != Some(true));
            judged
                .zip(loaded.as_ref())
                .is_some_and(|(judged, loaded)| judged == loaded || judged.agrees_with(loaded) && has_ended())
        };
        let Some(matches) = self.look(|| Matches::of(in_force, event)) else {
            if !self.judged.rules.is_empty() && !is_judged() {
                InternalAlert::exec_replaced(&self.alert_id().to_string(), &event.executed_program()).write(shared);
            }
            return Fate::Lives;
        };
        if matches.indices() == self.judged.rules && is_judged() {
            return Fate::Lives;
        }
        self.conclude(event, &matches, condemn)
    }

    /// Writes the alerts of what was loaded, and does what they ask for.
    fn conclude(&self, event: &CallEvent<'_>, matches: &Matches<'_>, condemn: &dyn Fn()) -> Fate {
        let shared = &self.delivery.shared;
        let verdict = Verdict::of(shared.mode, matches.action());
        if verdict != Verdict::Allow {
            condemn();
        }
        let id = AlertId { is_verified: true, ..self.alert_id() };
        let mut lines = Vec::new();
        let written = matches
            .write_lines(shared, event, id, &mut lines)
            .map_err(|error| error.to_string())
            .and_then(|()| shared.log.append(&lines).map_err(|error| diagnostics::chain(&error)));
        match written {
            Ok(()) => drop(shared.counters.add(Counter::Alerts, matches.count())),
            Err(error) => {
                if shared.told_lost_alert.admits() {
                    tracing::error!(%error, "an alert cannot be written");
                }
                return unknown(shared);
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
