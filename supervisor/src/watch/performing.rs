// SPDX-License-Identifier: Apache-2.0
//! A call on names, or a connect, in enforce mode: copy its arguments, judge them, make the call with them, answer.

use std::{
    error::Error,
    ffi::CString,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use policy::Mode;

use super::{
    answer::{Answerer, Decision, Place},
    delivery::Delivery,
    withdrawn::{Alerted, KeptResult},
};
use crate::{
    decode::{Call, RawAddress},
    enforce::{
        Client, Contact, Deed, Destination, Ended, Handles, Job, Lasting, MeansError, Name, Naming, RESTART,
        RequestError, Standing, Start, Work, forgive_connect,
    },
    event::CallEvent,
    in_force::InForce,
    process::Process,
    slots::Progress,
    sys::{Notification, Response},
    target::Target,
};

/// What a call comes to; the errno where it fails.
type Outcome = Result<(), i32>;

/// The private copy of a call.
enum Copied {
    Naming(Naming),
    Connect(Destination),
    /// The call fails with this errno whatever the rules say.
    Fails(i32),
    /// Nobody waits any more.
    Gone,
}

/// What is left to do after a call was looked at.
enum Step {
    Done(Outcome),
    /// The connect may wait.
    Waits(Box<Wait>),
    Gone,
    Unable,
}

/// A connect that may wait.
struct Wait {
    client: Client,
    contact: Contact,
    /// Whether it may have been made before.
    has_begun: bool,
    /// See [`Job::attempted_for`].
    attempted_for: Option<Box<dyn Fn() -> bool + Send>>,
}

/// A call's result on its way to the target.
#[derive(Clone, Copy)]
struct Receipt {
    /// To the result, of the next notification.
    claim: u64,
    /// Where its caller's stack ends, where that may be asked for.
    called_at: Option<u64>,
    /// What the next notification makes of it.
    lasts: Lasting,
    /// The alert, where one was written for this notification.
    alerted: Option<Alerted>,
}

impl Answerer<'_> {
    /// Whether this call is made for the target rather than by it: where a rule could deny it, and what it names lies in
    /// memory.
    pub(super) fn performs_call(&self, in_force: &InForce, call: &Call) -> bool {
        self.shared().mode == Mode::Enforce && in_force.may_deny(call.event_type()) && is_performed(call)
    }

    /// Judges a call and makes it; `None` when it was answered or nobody waits.
    pub(super) fn perform_call(
        &mut self,
        place: Place<'_>,
        (call, target): (Call, Target<'_>),
        in_force: &InForce,
    ) -> Option<Decision> {
        self.end_earlier(place);
        let event = CallEvent::new(&self.shared().context, call, target, self.shared().context.clock.tick());
        let copied = copy(&event);
        let progress = place.slot.progress();
        let earlier = self.earlier_result(place, &event);
        let Some(decision) = self.decide(place, &event, in_force, None) else {
            self.keep_result_again(place, &event, earlier);
            return None;
        };
        if decision.response != Response::Continue {
            return Some(decision);
        }
        let lasts = copied.lasts();
        let claim = self.delivery().claim(&event);
        let called_at = match &earlier {
            Some(kept) => kept.called_at,
            None if lasts == Lasting::Nothing => None,
            None => self.delivery().called_at(place.notification, &event),
        };
        let receipt = Receipt { claim, called_at, lasts, alerted: decision.alerted };
        if let Some(kept) = earlier {
            drop(event);
            self.deliver(place, kept.response, receipt);
            return None;
        }
        let step = match (copied, progress) {
            (_, Progress::Done(errno)) => Step::Done(if errno == 0 { Ok(()) } else { Err(errno) }),
            (Copied::Gone, _) => Step::Gone,
            (Copied::Fails(errno), _) => Step::Done(Err(errno)),
            (Copied::Naming(naming), progress) => self.name(place, &event, &naming, progress),
            (Copied::Connect(destination), progress) => self.connect(place, &event, destination, progress),
        };
        // Nothing of the target's is held any more when it goes on.
        drop(event);
        match step {
            Step::Done(outcome) => self.deliver(place, response(outcome), receipt),
            Step::Waits(wait) => self.connect_aside(place, *wait, receipt),
            Step::Gone => return self.unknown_caller(place),
            Step::Unable => return Some(self.failure("its calls cannot be performed")),
        }
        None
    }

    /// What an earlier notification of this call came to, where that counts for this one; its alert then does, too.
    fn earlier_result(&mut self, place: Place<'_>, event: &CallEvent<'_>) -> Option<KeptResult> {
        let delivery = self.delivery();
        if !delivery.has_result(place.notification) {
            return None;
        }
        // Where a signal has the call notified once more while this thread has the result, that one waits for this one.
        place.slot.mark_begun();
        if !delivery.listener.is_pending(place.notification.id) {
            return None;
        }
        let kept = delivery.take_result(place.notification, event)?;
        self.delivery().remember(place.notification, kept.alerted);
        Some(kept)
    }

    /// For a call that was withdrawn once more, whose alert is remembered by now.
    fn keep_result_again(&self, place: Place<'_>, event: &CallEvent<'_>, kept: Option<KeptResult>) {
        if let Some(kept) = kept {
            let claim = self.delivery().claim(event);
            self.delivery().keep_result(place.notification, claim, KeptResult { alerted: None, ..kept });
        }
    }

    /// Makes a call on names.
    fn name(&mut self, place: Place<'_>, event: &CallEvent<'_>, naming: &Naming, progress: Progress) -> Step {
        let has_begun = progress == Progress::Begun;
        if has_begun && naming.deed.is_undone_by_itself() {
            return Step::Done(Err(libc::EINTR));
        }
        let (Some(process), Some(handles)) = (event.caller(), event.handles()) else { return Step::Gone };
        let shared = self.shared();
        let client = match self.client(process, event) {
            Ok(client) => client,
            Err(step) => return step,
        };
        for name in naming.names.iter().flatten() {
            place.turn.mind_file(process, handles.start(name.start), name.path.to_bytes());
        }
        // Before it is asked: who receives its task's next call then waits for this thread.
        place.slot.mark_begun();
        if !event.is_pending() {
            return Step::Gone;
        }
        let named = self.means().map(|means| means.name(&client, process, (naming, &handles), &shared.upheaval));
        match named {
            Ok(Ok(outcome)) => {
                let outcome = if has_begun { naming.deed.forgive(outcome) } else { outcome };
                place.slot.mark_done(outcome.err().unwrap_or(0));
                Step::Done(outcome)
            }
            Ok(Err(error)) => unable(&error, event),
            Err(_) => Step::Unable,
        }
    }

    /// Connects, or finds what to connect to where that may wait.
    fn connect(
        &mut self,
        place: Place<'_>,
        event: &CallEvent<'_>,
        destination: Destination,
        progress: Progress,
    ) -> Step {
        let (Some(process), Some(handles)) = (event.caller(), event.handles()) else { return Step::Gone };
        let shared = self.shared();
        let client = match self.client(process, event) {
            Ok(client) => client.residing(destination.residence()),
            Err(step) => return step,
        };
        let found =
            self.means().map(|means| means.approach(&client, process, (destination, handles), &shared.upheaval));
        let contact = match found {
            Ok(Ok(contact)) => contact,
            Ok(Err(error)) => return unable(&error, event),
            Err(_) => return Step::Unable,
        };
        let may_wait = contact.may_wait();
        let attempted_for = (may_wait && !shared.is_wait_killable).then(|| is_unchanged(process));
        let has_begun = progress == Progress::Begun;
        place.slot.mark_begun();
        if !event.is_pending() {
            return Step::Gone;
        }
        if may_wait {
            return Step::Waits(Box::new(Wait { client, contact, has_begun, attempted_for }));
        }
        match self.means().map(|means| means.connect(&client, &contact)) {
            Ok(outcome) => {
                let outcome = if has_begun { forgive_connect(outcome) } else { outcome };
                place.slot.mark_done(outcome.err().unwrap_or(0));
                Step::Done(outcome)
            }
            Err(_) => Step::Unable,
        }
    }

    fn client(&mut self, process: &Arc<Process>, event: &CallEvent<'_>) -> Result<Client, Step> {
        let shared = self.shared();
        match self.means().map(|means| means.meet(process, &shared.devices, &shared.upheaval)) {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(unable(&error, event)),
            Err(error) => {
                tracing::error!(%error, "this thread cannot act for a target");
                Err(Step::Unable)
            }
        }
    }

    /// Answers with a result that exists once.
    fn deliver(&mut self, place: Place<'_>, result: Response, receipt: Receipt) {
        self.delivery().result(place.notification, result, receipt);
    }

    /// Lets a thread of its own connect, so that no other call waits behind this one.
    fn connect_aside(&mut self, place: Place<'_>, wait: Wait, receipt: Receipt) {
        let Wait { client, contact, has_begun, attempted_for } = wait;
        let Some(parked) = self.slots().park(place.slot) else {
            return self.deliver(place, Response::Errno(libc::ENFILE), receipt);
        };
        let (delivery, slots) = (self.delivery().clone(), self.shared_slots());
        let (kept, done) = (delivery.clone(), Arc::clone(&slots));
        let notification = *place.notification;
        let pending = Arc::clone(&delivery.listener);
        let restarts = contact.restarts();
        let settled = move |ended| {
            let outcome = match ended {
                Ended::Done => Ok(()),
                Ended::Failed(errno) => Err(errno),
                Ended::File(_) => Err(libc::EIO),
            };
            if has_begun { forgive_connect(outcome) } else { outcome }
        };
        self.start_blocking(Job {
            work: Work::Connect(client, contact),
            restarts,
            target_tid: notification.target_tid,
            is_pending: Arc::new(move || pending.is_pending(notification.id)),
            attempted_for,
            before: None,
            answer: Box::new(move |ended| {
                let outcome = settled(ended);
                if let Some(slot) = done.slot(parked) {
                    slot.mark_done(outcome.err().unwrap_or(0));
                }
                delivery.result(&notification, response(outcome), receipt);
            }),
            withdrawn: Box::new(move |ended| match settled(ended) {
                // Given up, or not attempted; the call goes on waiting when it is made anew.
                Err(libc::EINTR | libc::ENFILE) => kept.remember(&notification, receipt.alerted),
                outcome => kept.keep(&notification, response(outcome), receipt),
            }),
            finished: Box::new(move || {
                if let Some(slot) = slots.slot(parked) {
                    slot.clear();
                }
            }),
        });
    }
}

impl Delivery {
    /// Answers with the result of a call that was made; it is kept for the call's next notification if nobody takes it.
    fn result(&self, notification: &Notification, result: Response, receipt: Receipt) {
        if result == Response::Errno(RESTART) {
            self.respond(notification, result, receipt.alerted);
        } else if !self.is_awaited(notification) {
            self.keep(notification, result, receipt);
        } else if !receipt.keeps(result) {
            self.respond(notification, result, receipt.alerted);
        } else if !self.respond(notification, result, None) {
            self.keep(notification, result, receipt);
        }
    }

    /// Keeps what a withdrawn call came to, with its alert; where it is to be made anew, the alert alone.
    fn keep(&self, notification: &Notification, result: Response, receipt: Receipt) {
        let Receipt { claim, called_at, alerted, .. } = receipt;
        if receipt.keeps(result) {
            self.keep_result(notification, claim, KeptResult { response: result, alerted, called_at });
        } else {
            self.remember(notification, alerted);
        }
    }
}

impl Receipt {
    /// Whether the result counts for the call's next notification.
    fn keeps(self, result: Response) -> bool {
        match self.lasts {
            Lasting::Nothing => false,
            Lasting::Success => result == Response::Value(0),
            Lasting::Result => true,
        }
    }
}

impl Copied {
    fn lasts(&self) -> Lasting {
        match self {
            Self::Naming(naming) => naming.deed.lasts(),
            Self::Connect(_) => Lasting::Result,
            Self::Fails(_) | Self::Gone => Lasting::Nothing,
        }
    }
}

/// What says later whether a task still is who it is now.
fn is_unchanged(process: &Arc<Process>) -> Box<dyn Fn() -> bool + Send> {
    let (process, standing) = (Arc::clone(process), Standing::of(process));
    Box::new(move || standing.is_some() && Standing::of(&process) == standing)
}

/// Whether the call is of those that are made here.
fn is_performed(call: &Call) -> bool {
    call.layout().name == "connect" || Deed::of(call, |_register| Ok(CString::default())).is_some()
}

/// Copies the call's arguments, and holds what they start from.
fn copy(event: &CallEvent<'_>) -> Copied {
    let copied = if event.call().layout().name == "connect" { copy_connect(event) } else { copy_naming(event) };
    copied.unwrap_or_else(|error| match error {
        RequestError::Errno(errno) => Copied::Fails(errno),
        RequestError::Gone => Copied::Gone,
    })
}

fn copy_naming(event: &CallEvent<'_>) -> Result<Copied, RequestError> {
    let call = event.call();
    let mut is_gone = false;
    let mut copied = |read: Result<&[u8], crate::target::ReadError>| match read.map_err(RequestError::from) {
        Ok(bytes) => CString::new(bytes).map_err(|_nul| libc::EFAULT),
        Err(RequestError::Errno(errno)) => Err(errno),
        Err(RequestError::Gone) => {
            is_gone = true;
            Err(libc::EINTR)
        }
    };
    let deed = Deed::of(&call, |register| {
        let text = copied(event.hold_text(register))?;
        if text.is_empty() { Err(libc::ENOENT) } else { Ok(text) }
    });
    let names: Vec<_> = call
        .paths()
        .enumerate()
        .map(|(index, (directory, _))| {
            let path = copied(event.read_path(index))?;
            let start = directory.map_or(libc::AT_FDCWD, |register| call.int(register));
            Name::new(path.to_bytes(), start).ok_or(libc::EFAULT)
        })
        .collect();
    let process = event.caller().filter(|_| !is_gone).ok_or(RequestError::Gone)?;
    let starts = names.iter().filter_map(|name| Some(name.as_ref().ok()?.start));
    event.hold(Arc::new(Handles::take(process, starts)));
    let deed = deed.ok_or(RequestError::Gone)?.map_err(RequestError::Errno)?;
    Ok(Copied::Naming(Naming { deed, names }))
}

/// The kernel looks at the descriptor, then at the address.
fn copy_connect(event: &CallEvent<'_>) -> Result<Copied, RequestError> {
    let call = event.call();
    let process = event.caller().ok_or(RequestError::Gone)?;
    let socket = process.duplicate(call.int(0)).filter(|file| !is_path(file));
    let socket = socket.ok_or(RequestError::Errno(libc::EBADF))?;
    let address = match event.raw_address() {
        None if call.word(2) == 0 => None,
        None => return Err(RequestError::Errno(libc::EFAULT)),
        Some(Err(crate::target::ReadError::TooLong)) => return Err(RequestError::Errno(libc::EINVAL)),
        Some(address) => Some(address?),
    };
    let destination = Destination::new(address.as_ref(), socket.as_fd()).map_err(RequestError::Errno)?;
    let start = address.as_ref().and_then(RawAddress::path).map_or(Start::Root, Destination::start);
    event.hold(Arc::new(Handles::take(process, [start]).with_socket(socket)));
    Ok(Copied::Connect(destination))
}

/// Whether a descriptor is a handle, which calls on sockets do not take.
fn is_path(file: &OwnedFd) -> bool {
    let flags = fcntl(file, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    flags.is_ok_and(|flags| flags.contains(OFlag::O_PATH))
}

fn response(outcome: Outcome) -> Response {
    outcome.map_or_else(Response::Errno, |()| Response::Value(0))
}

fn unable(error: &MeansError, event: &CallEvent<'_>) -> Step {
    match error {
        MeansError::Gone => Step::Gone,
        // Of a task that is ending nobody can tell its rights.
        _ if !event.is_pending() => Step::Gone,
        MeansError::Credentials(_) | MeansError::Confined(_) | MeansError::Namespace(_) => {
            tracing::error!(error = error as &dyn Error, "a call cannot be performed");
            Step::Unable
        }
    }
}
