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
    delivery::Delivery,
    withdrawn::{Alerted, CallFile, Kind, Title},
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
    sys::{Notification, Response, file_facts},
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

/// What there is for an open.
struct Sought {
    found: Found,
    /// The file that an earlier notification of the call did not get.
    kept: Option<CallFile>,
    /// Whether no rule matches, whatever file it is.
    is_unmatched: bool,
}

impl Found {
    /// Whether it is the file that belongs to this very call.
    fn is(&self, own: &CallFile) -> bool {
        let Self::Place(errand) = self else { return false };
        let Located::Existing { facts, .. } = &*errand.located else { return false };
        file_facts(own.file.as_fd(), c"", false).is_ok_and(|own| own.is_same_file(facts))
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
        self.end_earlier(place);
        let (mut alerted, mut is_leased) = (None, false);
        let was_made = place.slot.progress() == Progress::Begun;
        for _ in 0..ATTEMPTS {
            let context = &self.shared().context;
            let event = CallEvent::new(context, call, target, context.clock.tick());
            let Sought { found, kept, is_unmatched } = self.seek(place, &event, (in_force, was_made));
            let decision = if is_unmatched {
                Some(Decision { alerted, ..Decision::CONTINUE })
            } else {
                make_known(&event, &found, in_force);
                self.decide(place, &event, in_force, alerted)
            };
            let Some(decision) = decision else {
                self.keep_again(place, kept);
                return None;
            };
            alerted = decision.alerted;
            if decision.response != Response::Continue {
                return Some(decision);
            }
            let kept = match kept {
                Some(own) if found.is(&own) => {
                    drop((event, found));
                    self.delivery().call_file(place.notification, own, decision.alerted);
                    return None;
                }
                kept => kept,
            };
            let answer = |response| Some(Decision { response, ..decision });
            match found {
                Found::Gone => {
                    self.keep_again(place, kept);
                    return self.unknown_caller(place);
                }
                Found::File { file, close_on_exec } => {
                    drop((event, kept));
                    let receipt = Receipt { close_on_exec, title: None, alerted: decision.alerted };
                    self.hand_over(place, file, receipt, decision);
                    return None;
                }
                Found::Handle => return answer(Response::Continue),
                Found::Fails(errno) => return answer(Response::Errno(errno)),
                Found::Unable(why) => return Some(self.failure(why)),
                Found::Place(mut errand) => {
                    errand.is_leased |= is_leased && !makes_file(&errand);
                    let title = self.title(place, &event, &errand);
                    // Nothing of the target's is held any more when it goes on.
                    drop((event, kept));
                    match self.open_and_answer(place, *errand, title, decision) {
                        Some(Opened::Changed) => {}
                        Some(Opened::Blocks) => is_leased = true,
                        Some(Opened::Failed(errno)) => return answer(Response::Errno(errno)),
                        Some(Opened::File(_)) | None => return None,
                    }
                }
            }
        }
        Some(self.failure("a file keeps changing while it is opened"))
    }

    /// Copies the arguments, and finds what they name.
    fn seek(&mut self, place: Place<'_>, event: &CallEvent<'_>, (in_force, was_made): (&InForce, bool)) -> Sought {
        let caller = self.shared().context.processes.get(place.notification.target_tid);
        event.defer_file();
        let request = request(event, was_made).and_then(|request| {
            // The copying ended with the question whether the call still waits, so that this is its task.
            event.set_thread(caller);
            hold_start(event, &request).map(|()| request)
        });
        let kept = request.as_ref().ok().and_then(|_copied| self.take_file(place, event));
        let is_unmatched = self.is_unmatched(event, in_force);
        let afterwards = if is_unmatched && kept.is_none() { Afterwards::OpenPlain } else { Afterwards::Nothing };
        let found = request.map_or_else(|found| found, |request| self.find(place, event, request, afterwards));
        Sought { found, kept, is_unmatched }
    }

    /// The file that an earlier notification of the call did not get.
    fn take_file(&self, place: Place<'_>, event: &CallEvent<'_>) -> Option<CallFile> {
        let delivery = self.delivery();
        if !delivery.has_file(place.notification, None) {
            return None;
        }
        let claim = delivery.claim(event);
        if !delivery.has_file(place.notification, Some(claim)) {
            return None;
        }
        // Where a signal has the call notified once more while this thread has the file, that one waits for this one.
        place.slot.mark_begun();
        if delivery.listener.is_pending(place.notification.id) {
            delivery.take_file(place.notification, claim)
        } else {
            None
        }
    }

    /// For a call that was withdrawn once more.
    fn keep_again(&self, place: Place<'_>, kept: Option<CallFile>) {
        if let Some(own) = kept {
            self.delivery().keep_file(place.notification, own);
        }
    }

    /// By what the file will belong to the call, if it will.
    fn title(&self, place: Place<'_>, event: &CallEvent<'_>, errand: &Errand) -> Option<Title> {
        let kind = match &*errand.located {
            Located::Existing { facts, .. } if errand.may_wait() => Kind::Met(*facts),
            Located::Existing { .. } if errand.cuts_file() => Kind::Made,
            Located::Existing { .. } if errand.is_leased => Kind::Leased,
            Located::Missing { .. } => Kind::Made,
            Located::Existing { .. } | Located::Failed(_) => return None,
        };
        let delivery = self.delivery();
        let cuts = errand.request.has(libc::O_TRUNC);
        let cut_at = if cuts { delivery.called_at(place.notification, event) } else { None };
        let title = delivery.title(event, kind, cut_at);
        // Without a place to know by that the call is over, its file could become that of a later call, which means to cut it.
        let is_unbound = title.owner.is_some() && title.cut_at.is_none();
        let is_cut = kind == Kind::Made && errand.cuts_file();
        (!is_cut || !is_unbound).then_some(title)
    }

    fn find(&mut self, place: Place<'_>, event: &CallEvent<'_>, request: OpenRequest, afterwards: Afterwards) -> Found {
        let (Some(process), shared) = (event.caller(), self.shared()) else { return Found::Gone };
        let handles = event.handles();
        let held = handles.as_ref().and_then(|handles| handles.start(request.start));
        place.turn.mind_file(process, held, request.path.to_bytes());
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
            // Of a task that is ending nobody can tell its rights.
            Err(_) if !event.is_pending() => Found::Gone,
            Err(error @ (MeansError::Credentials(_) | MeansError::Confined(_) | MeansError::Namespace(_))) => {
                tracing::error!(error = &error as &dyn Error, "an open cannot be performed");
                Found::Unable("its opens cannot be performed")
            }
        }
    }

    /// Opens and hands over; returns what is left to answer, `None` if nothing is.
    fn open_and_answer(
        &mut self,
        place: Place<'_>,
        errand: Errand,
        title: Option<Title>,
        decision: Decision,
    ) -> Option<Opened> {
        let devices = Arc::clone(&self.shared().devices);
        if !errand.is_leased && (makes_file(&errand) || errand.cuts_file()) {
            // Before, since nobody knows where this process may die, or who receives the call anew, or its task's next one.
            place.slot.mark_begun();
        }
        if !self.delivery().listener.is_pending(place.notification.id) {
            // Another program may have had the caller's number when rights were read.
            self.delivery().remember(place.notification, decision.alerted);
            return None;
        }
        if errand.is_leased {
            return self.open_aside(place, errand, title, decision);
        }
        let result = match self.means() {
            Ok(means) => means.open(&errand, &devices, false),
            Err(error) => {
                tracing::error!(%error, "there are no means to open a file");
                Opened::Failed(libc::EIO)
            }
        };
        match result {
            Opened::File(file) => {
                let receipt = Receipt::new(&errand, title, decision.alerted);
                // Nothing of the target's is held any more when it goes on.
                drop(errand);
                self.hand_over(place, file, receipt, decision);
                None
            }
            Opened::Blocks if errand.may_wait() => self.open_aside(place, errand, title, decision),
            // Somebody has got a lease of it.
            Opened::Blocks | Opened::Failed(_) | Opened::Changed => Some(result),
        }
    }

    fn hand_over(&self, place: Place<'_>, file: OwnedFd, receipt: Receipt, decision: Decision) {
        let decision = Decision { alerted: receipt.alerted, ..decision };
        if receipt.title.is_some() || self.settle(place, decision).is_some() {
            self.delivery().opened(place.notification, file, receipt);
        }
    }

    /// Lets a thread of its own open, so that no other call waits behind this one.
    fn open_aside(
        &mut self,
        place: Place<'_>,
        errand: Errand,
        title: Option<Title>,
        decision: Decision,
    ) -> Option<Opened> {
        let Some(parked) = self.slots().park(place.slot) else { return Some(Opened::Failed(libc::ENFILE)) };
        let (delivery, slots) = (self.delivery().clone(), self.shared_slots());
        let (notification, alerted) = (*place.notification, decision.alerted);
        let receipt = Receipt::new(&errand, title, alerted);
        let (kept, kept_receipt) = (delivery.clone(), receipt.clone());
        let before = before_meeting(&delivery, &errand, notification.id);
        let pending = Arc::clone(&delivery.listener);
        self.start_blocking(Job {
            work: Work::Open(errand),
            restarts: true,
            target_tid: notification.target_tid,
            is_pending: Arc::new(move || pending.is_pending(notification.id)),
            attempted_for: None,
            before,
            answer: Box::new(move |result| match result {
                Ended::File(file) => delivery.opened(&notification, file, receipt),
                Ended::Failed(errno) => delivery.errno(&notification, errno, alerted),
                Ended::Done => delivery.errno(&notification, libc::EIO, alerted),
            }),
            withdrawn: Box::new(move |result| match result {
                Ended::File(file) => kept.keep_opened(&notification, file, kept_receipt),
                Ended::Failed(_) | Ended::Done => kept.remember(&notification, alerted),
            }),
            finished: Box::new(move || {
                if let Some(slot) = slots.slot(parked) {
                    slot.clear();
                }
            }),
        });
        None
    }
}

/// What remains of an open beside its file.
#[derive(Debug, Clone)]
struct Receipt {
    close_on_exec: bool,
    title: Option<Title>,
    /// The alert, where one was written and pays for the call that comes if this one was withdrawn.
    alerted: Option<Alerted>,
}

impl Receipt {
    fn new(errand: &Errand, title: Option<Title>, alerted: Option<Alerted>) -> Self {
        // What has happened, and would happen once more, is no payment in advance.
        let alerted = alerted.filter(|_| title.is_some() || !errand.changes_files());
        Self { close_on_exec: errand.request.has(libc::O_CLOEXEC), title, alerted }
    }
}

impl Delivery {
    /// Hands over what was opened.
    fn opened(&self, notification: &Notification, file: OwnedFd, receipt: Receipt) {
        let Receipt { close_on_exec, title, alerted } = receipt;
        match title {
            Some(title) => {
                self.call_file(notification, CallFile::new(file, close_on_exec, title), alerted);
            }
            None => self.file(notification, file, close_on_exec, alerted),
        }
    }

    /// Keeps what was opened where nobody waits for it.
    fn keep_opened(&self, notification: &Notification, file: OwnedFd, receipt: Receipt) {
        let Receipt { close_on_exec, title, alerted } = receipt;
        self.remember(notification, alerted);
        if let Some(title) = title {
            self.keep_file(notification, CallFile::new(file, close_on_exec, title));
        }
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

/// What an open waits for that may meet somebody at another end: nobody of ours is to be there.
fn before_meeting(delivery: &Delivery, errand: &Errand, id: u64) -> Option<Box<dyn Fn() + Send>> {
    let Located::Existing { facts, .. } = &*errand.located else { return None };
    if !errand.may_wait() {
        return None;
    }
    let (delivery, file) = (delivery.clone(), *facts);
    Some(Box::new(move || {
        let is_pending = || delivery.listener.is_pending(id);
        delivery.unfinished.blocking.end_withdrawn(Some(&file), is_pending);
        delivery.shared.meetings.wait(&file, is_pending);
    }))
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

/// Tells the event which file was found.
fn make_known(event: &CallEvent<'_>, found: &Found, in_force: &InForce) {
    let Found::Place(errand) = found else { return event.end_search(None) };
    event.end_search(Some(Arc::clone(&errand.located)));
    event.find_aliases(&errand.located, in_force.ruleset.named_files());
}

/// Limits of descriptors below which each number is looked at.
const LOW_LIMIT: i64 = 1024;

/// Whether the target can take one more descriptor: the kernel, too, looks before it opens.
fn has_free_descriptor(event: &CallEvent<'_>) -> bool {
    let Some(process) = event.caller() else { return false };
    let (Some(taken), Some(limit)) = (process.descriptor_count(), process.descriptor_limit()) else { return false };
    if i64::try_from(taken).is_ok_and(|taken| taken < limit) {
        return true;
    }
    // Where a low limit was set under open descriptors, there may be a free number below it all the same.
    limit <= LOW_LIMIT && (0..limit).any(|number| !process.has_descriptor(number))
}
