// SPDX-License-Identifier: Apache-2.0
//! An open in enforce mode: find the file, judge it, open it, hand it over. Where no rule asks which file it is, the call
//! is judged first, and the file is opened in the step that finds it.

use std::{
    error::Error,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use policy::Mode;

use super::{
    answer::{Answerer, Decision, Place},
    withdrawn::MadeFile,
};
use crate::{
    decode::Call,
    enforce::{
        ATTEMPTS, Afterwards, Ended, Errand, Finding, Handles, Job, Located, MeansError, OpenRequest, Opened,
        RequestError, Start, Work,
    },
    event::CallEvent,
    in_force::InForce,
    internal_alert::InternalAlert,
    slots::{Landlock, Progress},
    sys::{Response, file_facts},
    target::Target,
};

/// What was found for an open, before it is judged.
enum Found {
    /// A file or a free name.
    Place(Box<Errand>),
    /// A file that is open by now.
    File { file: OwnedFd, close_on_exec: bool },
    /// The call will fail with this errno.
    Fails(i32),
    /// The call makes a handle, through which nothing can be read, written or executed; the kernel does not let it be
    /// handed over, and whatever is opened through it later is judged then. That it is a handle stands in a register.
    Handle,
    /// Nobody waits any more.
    Gone,
    /// Nothing can be done for this target.
    Unable(&'static str),
}

impl Found {
    /// Whether it is the file that was made for this very call.
    fn is(&self, made: &MadeFile) -> bool {
        let Self::Place(errand) = self else { return false };
        let Located::Existing { facts, .. } = &*errand.located else { return false };
        file_facts(made.file.as_fd(), c"", false).is_ok_and(|own| own.is_same_file(facts))
    }
}

impl Answerer<'_> {
    /// Whether this call is opened for the target rather than by it.
    pub(super) fn performs(&self, in_force: &InForce, call: &Call, tid: u32) -> bool {
        call.is_open() && in_force.performs_opens(self.shared().mode) && !self.leaves_opens(tid)
    }

    /// Whether opens are left to the kernel: a task that may be in a Landlock domain would get out of it by an open that
    /// another one makes. Enforce mode lets no task enter one.
    fn leaves_opens(&self, tid: u32) -> bool {
        if self.shared().mode == Mode::Enforce {
            return false;
        }
        let landlock = self.slots().landlock();
        if landlock == Landlock::Entered && self.slots().set_landlock_said() {
            InternalAlert::landlock(tid).write(self.shared());
        }
        landlock != Landlock::None
    }

    /// Judges an open and performs it; `None` when it was answered or nobody waits.
    pub(super) fn perform_open(
        &mut self,
        place: Place<'_>,
        (call, target): (Call, Target<'_>),
        in_force: &InForce,
    ) -> Option<Decision> {
        let mut alerted = None;
        let was_made = place.slot.progress() == Progress::Begun;
        for _ in 0..ATTEMPTS {
            let context = &self.shared().context;
            let caller = context.processes.get(target.tid());
            let event = CallEvent::new(context, call, target, context.clock.tick());
            event.defer_file();
            let request = request(&event, was_made).and_then(|request| {
                // The copying ended with the question whether the call still waits, so that this is its task.
                event.set_thread(caller);
                hold_start(&event, &request).map(|()| request)
            });
            let claim = || self.delivery().claim(&event);
            let kept = request.as_ref().ok().and_then(|_copied| self.delivery().take_file(place.notification, claim));
            let is_unmatched = self.is_unmatched(&event, in_force);
            let afterwards = if is_unmatched && kept.is_none() { Afterwards::OpenPlain } else { Afterwards::Nothing };
            let found = request.map_or_else(|found| found, |request| self.find(&event, request, afterwards));
            let decision = if is_unmatched {
                Some(Decision { alerted, ..Decision::CONTINUE })
            } else {
                self.make_known(&event, &found, in_force);
                self.decide(place, &event, in_force, alerted)
            };
            let Some(decision) = decision else { return self.keep_again(place, kept) };
            alerted = decision.alerted;
            if decision.response != Response::Continue {
                return Some(decision);
            }
            if let Some(made) = kept.filter(|made| found.is(made)) {
                drop((event, found));
                self.delivery().made_file(place.notification, made, decision.alerted);
                return None;
            }
            let answer = |response| Some(Decision { response, ..decision });
            match found {
                Found::Gone => return self.unknown_caller(place),
                Found::File { file, close_on_exec } => {
                    drop(event);
                    self.hand_over(place, (file, close_on_exec), decision);
                    return None;
                }
                Found::Handle => return answer(Response::Continue),
                Found::Fails(errno) => return answer(Response::Errno(errno)),
                Found::Unable(why) => return Some(self.failure(why)),
                Found::Place(errand) => {
                    let making = makes_file(&errand).then(|| self.delivery().claim(&event));
                    // Nothing of the target's is held any more when it goes on.
                    drop(event);
                    match self.open_and_answer(place, *errand, making, decision) {
                        Some(Opened::Changed) => {}
                        Some(Opened::Failed(errno)) => return answer(Response::Errno(errno)),
                        Some(Opened::File(_) | Opened::Blocks) | None => return None,
                    }
                }
            }
        }
        Some(self.failure("a file keeps changing while it is opened"))
    }

    /// For a call that was withdrawn once more.
    fn keep_again(&self, place: Place<'_>, kept: Option<MadeFile>) -> Option<Decision> {
        if let Some(made) = kept {
            self.delivery().keep_file(place.notification, made);
        }
        None
    }

    /// Tells the event which file was found.
    fn make_known(&self, event: &CallEvent<'_>, found: &Found, in_force: &InForce) {
        let Found::Place(errand) = found else { return event.end_search(None) };
        event.end_search(Some(Arc::clone(&errand.located)));
        if let Some(root) = self.shared().context.root() {
            event.set_aliases(errand.located.aliases(root, in_force.ruleset.named_files()));
        }
    }

    fn find(&mut self, event: &CallEvent<'_>, request: OpenRequest, afterwards: Afterwards) -> Found {
        let (Some(process), shared) = (event.caller(), self.shared()) else { return Found::Gone };
        let handles = event.handles();
        let held = handles.as_ref().and_then(|handles| handles.start(request.start));
        let found = match self.means() {
            Ok(means) => means.locate(process, (request, held, afterwards), &shared.devices, &shared.upheaval),
            Err(error) => {
                tracing::error!(%error, "this thread cannot open for a target");
                return Found::Unable("opens cannot be performed");
            }
        };
        match found {
            Ok(Finding::Opened(file, request)) => Found::File { file, close_on_exec: request.has(libc::O_CLOEXEC) },
            Ok(Finding::Errand(errand))
                if (errand.changes_files() || errand.may_wait()) && !has_free_descriptor(event) =>
            {
                Found::Fails(libc::EMFILE)
            }
            Ok(Finding::Errand(errand)) => Found::Place(Box::new(errand)),
            Err(MeansError::Gone) => Found::Gone,
            Err(error @ (MeansError::Credentials(_) | MeansError::Confined(_) | MeansError::Namespace(_))) => {
                tracing::error!(error = &error as &dyn Error, "an open cannot be performed");
                Found::Unable("its opens cannot be performed")
            }
        }
    }

    /// Opens and hands over; returns what is left to answer, `None` if nothing is. An open that makes a file comes with
    /// what tells it from others.
    fn open_and_answer(
        &mut self,
        place: Place<'_>,
        errand: Errand,
        making: Option<u64>,
        decision: Decision,
    ) -> Option<Opened> {
        let devices = Arc::clone(&self.shared().devices);
        if !self.delivery().listener.is_pending(place.notification.id) {
            // Another program may have had the caller's number when rights were read.
            self.delivery().remember(place.notification, decision.alerted);
            return None;
        }
        if errand.is_leased {
            return self.open_aside(place, errand, decision);
        }
        if making.is_some() {
            // Before, since nobody knows where this process may die.
            place.slot.mark_begun();
        }
        let result = self.means().ok()?.open(&errand, &devices, false);
        match result {
            Opened::File(file) => {
                // What has happened is no payment in advance for the call that comes if this one was withdrawn.
                let alerted = decision.alerted.filter(|_| !errand.changes_files());
                let close_on_exec = errand.request.has(libc::O_CLOEXEC);
                if let Some(claim) = making {
                    let made = MadeFile { file, close_on_exec, claim };
                    self.delivery().made_file(place.notification, made, decision.alerted);
                    return None;
                }
                self.hand_over(place, (file, close_on_exec), Decision { alerted, ..decision });
                None
            }
            Opened::Blocks => self.open_aside(place, errand, decision),
            Opened::Failed(_) | Opened::Changed => Some(result),
        }
    }

    fn hand_over(&self, place: Place<'_>, (file, close_on_exec): (OwnedFd, bool), decision: Decision) {
        if self.settle(place, decision).is_some() {
            self.delivery().file(place.notification, file, close_on_exec, decision.alerted);
        }
    }

    /// Lets a thread of its own open, so that no other call waits behind this one.
    fn open_aside(&mut self, place: Place<'_>, errand: Errand, decision: Decision) -> Option<Opened> {
        let Some(parked) = self.slots().park(place.slot) else { return Some(Opened::Failed(libc::ENFILE)) };
        let (delivery, slots) = (self.delivery().clone(), self.shared_slots());
        let (notification, alerted) = (*place.notification, decision.alerted);
        let close_on_exec = errand.request.has(libc::O_CLOEXEC);
        let pending = Arc::clone(&delivery.listener);
        self.start_blocking(Job {
            work: Work::Open(errand),
            restarts: true,
            target_tid: notification.target_tid,
            is_pending: Arc::new(move || pending.is_pending(notification.id)),
            // What a withdrawn open finds is closed again.
            attempted_for: None,
            answer: Box::new(move |result| match result {
                Ended::File(file) => delivery.file(&notification, file, close_on_exec, alerted),
                Ended::Failed(errno) => delivery.errno(&notification, errno, alerted),
                Ended::Done => delivery.errno(&notification, libc::EIO, alerted),
            }),
            withdrawn: Box::new(drop),
            finished: Box::new(move || {
                if let Some(slot) = slots.slot(parked) {
                    slot.clear();
                }
            }),
        });
        None
    }
}

/// The copy of the call's arguments; what the call comes to where that is known by them.
fn request(event: &CallEvent<'_>, was_made: bool) -> Result<OpenRequest, Found> {
    let mut request = event.open_request().map_err(|error| match error {
        RequestError::Errno(errno) => Found::Fails(errno),
        RequestError::Gone => Found::Gone,
    })?;
    if request.is_handle() {
        // The flags of openat2 lie in memory, which the kernel would read again and find an open in; programs take the
        // error for that of a kernel without the call, and use the older one.
        return Err(if event.call().has_open_how() { Found::Fails(libc::ENOSYS) } else { Found::Handle });
    }
    if was_made {
        request.forget_exclusive();
    }
    Ok(request)
}

/// Whether the file will be new.
fn makes_file(errand: &Errand) -> bool {
    matches!(*errand.located, Located::Missing { .. })
}

/// Holds what a relative path starts from: judged and opened is what lies below that very directory. Fails where the task
/// has no such directory, or we have no descriptor for it.
fn hold_start(event: &CallEvent<'_>, OpenRequest { start, path, .. }: &OpenRequest) -> Result<(), Found> {
    let start = *start;
    if let (Start::WorkingDirectory | Start::Descriptor(_), Some(caller)) = (start, event.caller()) {
        let handles = Handles::take(caller, [start]);
        let is_missing = handles.start(start).is_none() && !path.is_empty();
        event.hold(Arc::new(handles));
        if is_missing {
            return Err(Found::Fails(libc::EBADF));
        }
    }
    Ok(())
}

/// Whether the target can take one more descriptor: the kernel, too, looks before it opens.
fn has_free_descriptor(event: &CallEvent<'_>) -> bool {
    let Some(process) = event.caller() else { return false };
    let (Some(taken), Some(limit)) = (process.descriptors(), process.descriptor_limit()) else { return false };
    i64::try_from(taken.len()).is_ok_and(|taken| taken < limit)
}
