// SPDX-License-Identifier: Apache-2.0
//! The threads of one watch. One of them, which has the lead, receives; the others answer a call that takes long, or stand
//! by.
//!
//! No call may wait for what another one waits for. A thread that is going to wait for its target hands the lead over
//! before, and stands by when it comes back. A target can also hold a thread up where that does not expect it: by argument
//! memory that a task of the container's provides when it likes (userfaultfd, FUSE), or by a file system that does not
//! answer. Then the lead is taken from it after [`HELD_UP`], and for a while after that a thread hands over before it
//! reads memory that is not there, or looks for a file that a program serves. What its task calls meanwhile, after a signal,
//! waits for the one who is at it already ([`super::aside`]).

use std::{
    cell::Cell,
    collections::{HashMap, HashSet, VecDeque},
    fs::File,
    io,
    os::{fd::BorrowedFd, unix::fs::FileExt as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant, SystemTime},
};

use nix::unistd::{SysconfVar, sysconf};

use super::{
    alerting::AlertId,
    answer::{Answerer, Origin},
    delivery::Delivery,
    life::Watch,
    served::Served,
};
use crate::{
    enforce::{forget_old_openers, stand_alone},
    event_log::Position,
    process::Process,
    shared::Shared,
    slots::{Progress, Slot, Slots},
    sys::{Notification, ReceiveError},
};

/// Stack of a thread: decoding and rules use little of it, and a container may have many watches.
const STACK_BYTES: usize = 256 << 10;
/// Pause after a failure to receive that may repeat itself.
const FAILURE_PAUSE: Duration = Duration::from_millis(10);
/// How long a call may hold up its thread before another one receives in its place.
const HELD_UP: Duration = Duration::from_millis(20);
/// Threads that stand by; one more ends when it has nothing to do.
const MAX_STANDING_BY: usize = 4;

/// The threads of one watch, and what they share.
#[derive(Debug)]
pub(super) struct Crew {
    watch: Watch,
    delivery: Delivery,
    lead: Lead,
    served: Served,
    members: Mutex<Members>,
    /// Slots of what a predecessor received and did not answer, with what they hold.
    left: Mutex<VecDeque<(usize, Notification)>>,
    logged: Mutex<Logged>,
}

/// Alerts that a predecessor may have written for what it did not answer.
#[derive(Debug)]
enum Logged {
    /// Those of these notifications, behind where the log ended then; nobody has looked yet. All are looked for at once,
    /// since the log may be long.
    Unknown(Vec<(u64, Position)>),
    /// How many there are by their ids.
    Known(HashMap<String, usize>),
}

/// Who has the lead, and since when that thread is busy.
#[derive(Debug)]
struct Lead {
    started: Instant,
    /// Number of the thread that has it; changed by whoever holds [`Crew::members`].
    member: AtomicUsize,
    /// Nanoseconds after the start, plus one; 0 while it waits for a notification.
    busy_since: AtomicU64,
    /// The slot of what it is busy with.
    slot: AtomicUsize,
    /// Whether a call has held up a thread lately.
    is_wary: AtomicBool,
    /// Whether calls were received since while a thread that handed over looked for a file.
    was_of_use: AtomicBool,
    /// Whether all is over; changed by whoever holds [`Crew::members`].
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct Members {
    threads: Vec<JoinHandle<()>>,
    /// Numbers of those that wait for the lead.
    standing_by: Vec<(usize, Thread)>,
    /// How many there ever were.
    count: usize,
}

/// A thread of the crew, answering one notification.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    crew: &'a Arc<Crew>,
    member: usize,
    task: u32,
    /// Whether it handed over to look for a file.
    looks: &'a Cell<bool>,
}

impl Turn<'_> {
    /// To be called before the target's memory at `address` is read: where that may be a long time coming, another thread
    /// receives meanwhile.
    pub(super) fn mind(&self, address: u64) {
        let lead = &self.crew.lead;
        if lead.is_wary.load(Ordering::Relaxed) && lead.is_with(self.member) && !is_resident(self.task, address) {
            self.step_aside();
        }
    }

    /// To be called before a file is looked for by a path of the target's, from `start` where that is relative: where a program
    /// of the container's may have to answer, whose own calls are to be answered, another thread receives meanwhile.
    pub(super) fn mind_file(&self, process: &Process, start: Option<BorrowedFd<'_>>, path: &[u8]) {
        let Crew { lead, served, .. } = &**self.crew;
        let is_wary = lead.is_wary.load(Ordering::Relaxed) && lead.is_with(self.member);
        if is_wary && served.may_hold_up(process, start, path) {
            self.looks.set(true);
            self.step_aside();
        }
    }

    /// Lets another thread receive, because this one is going to wait before its target has its answer.
    pub(super) fn step_aside(&self) {
        let _none_left = self.crew.pass_on(self.member);
    }

    /// How many alerts of this call, which a predecessor was writing when it died, stand in the log; counts for one time.
    pub(super) fn take_logged(&self, id: AlertId<'_>) -> io::Result<usize> {
        let mut logged = self.crew.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Logged::Unknown(marks) = &*logged {
            let name = |notification: u64| AlertId { notification, ..id }.to_string();
            let marks = marks.iter().map(|(notification, mark)| (name(*notification), *mark)).collect();
            *logged = Logged::Known(self.crew.delivery.shared.log.count(&marks)?);
        }
        let Logged::Known(counts) = &mut *logged else { return Ok(0) };
        Ok(counts.remove(&id.to_string()).unwrap_or(0))
    }

    /// Waits for a thread that makes an earlier notification of this call, or of its task; says whether the call still waits
    /// for its answer.
    fn wait_for_earlier(&self, notification: &Notification) -> bool {
        let Crew { delivery, watch, .. } = &**self.crew;
        let aside = &delivery.unfinished.aside;
        let is_made = |slot| watch.slots.slot(slot).is_some_and(|slot| slot.progress() != Progress::None);
        if !aside.has(notification, is_made) || !self.crew.pass_on(self.member) {
            return true;
        }
        let is_pending = || watch.listener.is_pending(notification.id);
        aside.wait(self.member, notification, is_made, is_pending);
        is_pending()
    }

    /// Makes sure that there is another thread to receive; says whether there is.
    pub(super) fn may_hand_over(&self) -> bool {
        self.crew.has_next(self.member)
    }

    /// Lets another thread receive, because this one is going to wait for its target, which has its answer or gets it now.
    /// Nothing is made for such a call that its next notification would have to find.
    pub(super) fn hand_over(&self) {
        self.step_aside();
        self.crew.delivery.unfinished.aside.end(self.member);
    }
}

impl Lead {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn is_with(&self, member: usize) -> bool {
        self.member.load(Ordering::Acquire) == member && !self.is_over.load(Ordering::Acquire)
    }

    /// Runs `work` as the work that its holder is busy with, about what a slot holds; says whether the lead was kept.
    fn during(&self, slot: usize, work: impl FnOnce()) -> bool {
        let since = self.now();
        self.slot.store(slot, Ordering::Relaxed);
        self.busy_since.store(since, Ordering::Release);
        work();
        // Where the lead was passed on meanwhile, the time is somebody else's.
        self.busy_since.compare_exchange(since, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Crew {
    /// Starts the first thread, which has the lead.
    pub(super) fn start(watch: Watch, shared: Arc<Shared>) -> io::Result<Arc<Self>> {
        let lead = Lead {
            started: Instant::now(),
            member: AtomicUsize::new(0),
            busy_since: AtomicU64::new(0),
            slot: AtomicUsize::new(Slots::OF_SUPERVISOR),
            is_wary: AtomicBool::new(false),
            was_of_use: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        };
        let mut seen = HashSet::new();
        let left: Vec<_> = watch.slots.iter().filter_map(|slot| Some((slot.index(), slot.notification()?))).collect();
        // A predecessor that died while it parked a call has left it in two slots, of which the later one has the marks.
        let left = left.into_iter().rev();
        let (left, doubled): (Vec<_>, Vec<_>) = left.partition(|(_, notification)| seen.insert(notification.id));
        doubled.into_iter().filter_map(|(index, _)| watch.slots.slot(index)).for_each(|slot| slot.clear());
        let mark = |(index, call): &(usize, Notification)| Some((call.id, watch.slots.slot(*index)?.log_mark()?));
        let logged = Mutex::new(Logged::Unknown(left.iter().filter_map(mark).collect()));
        let delivery = Delivery::new(Arc::clone(&watch.listener), shared);
        let (members, left, served) = (Mutex::default(), Mutex::new(left.into()), Served::default());
        let crew = Arc::new(Self { watch, delivery, lead, served, members, left, logged });
        crew.enlist(&mut crew.members())?;
        Ok(crew)
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one more thread, and returns its number.
    fn enlist(self: &Arc<Self>, members: &mut Members) -> io::Result<usize> {
        let member = members.count;
        let slot = match member {
            0 => Some(Slots::OF_SUPERVISOR),
            _ => self.watch.slots.reserve(),
        };
        let slot = slot.ok_or_else(|| io::Error::other("every slot is taken"))?;
        let crew = Arc::clone(self);
        let thread = thread::Builder::new()
            .name(format!("watch-{}", self.watch.number))
            .stack_size(STACK_BYTES)
            .spawn(move || crew.serve(member, slot))
            .inspect_err(|_| self.watch.slots.release(slot))?;
        members.count += 1;
        members.threads.retain(|thread| !thread.is_finished());
        members.threads.push(thread);
        Ok(member)
    }

    /// Gives the lead to another thread if it is with `member`; says whether another one has it now. A container that holds
    /// up as many threads as there are slots has to wait for what it has brought about itself.
    fn pass_on(self: &Arc<Self>, member: usize) -> bool {
        self.pass_on_from(member, self.lead.busy_since.load(Ordering::Acquire))
    }

    /// The same, if the thread has been busy with one call since then.
    fn pass_on_from(self: &Arc<Self>, member: usize, since: u64) -> bool {
        let mut members = self.members();
        if !self.lead.is_with(member) {
            return true;
        }
        let (number, standing_by) = match members.standing_by.pop() {
            Some((number, thread)) => (number, Some(thread)),
            None => match self.enlist(&mut members) {
                Ok(number) => (number, None),
                Err(error) => {
                    tracing::error!(%error, "there is no other thread to receive");
                    return false;
                }
            },
        };
        if self.lead.busy_since.compare_exchange(since, 0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            // It is done with that call, and goes on receiving.
            members.standing_by.extend(standing_by.map(|thread| (number, thread)));
            return false;
        }
        let slot = self.lead.slot.load(Ordering::Relaxed);
        if let Some(call) = self.watch.slots.slot(slot).and_then(|slot| slot.notification()) {
            self.delivery.unfinished.aside.add(member, slot, &call);
        }
        self.lead.member.store(number, Ordering::Release);
        // A new one sees it as soon as it begins.
        standing_by.inspect(Thread::unpark);
        true
    }

    /// Whether another thread than `member` has the lead or can take it; starts one where there is none.
    fn has_next(self: &Arc<Self>, member: usize) -> bool {
        let mut members = self.members();
        if !members.standing_by.is_empty() || !self.lead.is_with(member) {
            return true;
        }
        match self.enlist(&mut members) {
            Ok(_stands_by) => true,
            Err(error) => {
                tracing::error!(%error, "there is no other thread to receive");
                false
            }
        }
    }

    /// Gives up what was kept for calls that nobody has made anew, or made at all.
    pub(super) fn forget_old(&self) {
        self.delivery.unfinished.forget_old();
        forget_old_openers();
    }

    /// Takes the lead from a thread that has been busy for too long; says whether there was one, or one that would have been
    /// had it not handed over.
    pub(super) fn relieve(self: &Arc<Self>) -> bool {
        self.watch.slots.count_look();
        let member = self.lead.member.load(Ordering::Acquire);
        let since = self.lead.busy_since.load(Ordering::Acquire);
        let is_held_up = since != 0 && u128::from(self.lead.now().saturating_sub(since)) > HELD_UP.as_nanos();
        if is_held_up {
            self.served.forget();
            let _none_left = self.pass_on_from(member, since);
        }
        self.lead.was_of_use.swap(false, Ordering::Relaxed) || is_held_up
    }

    /// Whether threads are to expect that targets hold them up.
    pub(super) fn set_wary(&self, is_wary: bool) {
        if self.lead.is_wary.swap(is_wary, Ordering::Relaxed) && !is_wary {
            self.served.forget();
        }
    }

    /// The listener's number within its container.
    pub(super) fn number(&self) -> u32 {
        self.watch.number
    }

    /// Lets every thread end that does not wait in RECV, or for its target.
    pub(super) fn dissolve(&self) {
        let mut members = self.members();
        self.lead.is_over.store(true, Ordering::Release);
        members.standing_by.drain(..).for_each(|(_, thread)| thread.unpark());
    }

    /// All threads that have not ended.
    pub(super) fn threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.members().threads)
    }

    /// Whether the threads have ended by themselves.
    pub(super) fn has_ended(&self) -> bool {
        self.members().threads.iter().all(JoinHandle::is_finished)
    }

    /// A thread's life.
    fn serve(self: &Arc<Self>, member: usize, slot: usize) {
        let Watch { number, listener, slots } = &self.watch;
        if let Err(error) = stand_alone() {
            // Whoever opens for a target makes sure of it again, and fails the call.
            tracing::error!(listener = number, %error, "a watch thread has no file system context of its own");
        }
        let synchronous = listener.wake_synchronously();
        tracing::debug!(listener = number, synchronous, member, "a watch thread begins");
        let mut answerer = Answerer::new(&self.delivery, *number, slots);
        answerer.note_init();
        if let Some(slot) = slots.slot(slot) {
            while self.receive_all(&mut answerer, slot, member) && self.stand_by(member) {}
        }
        slots.release(slot);
        tracing::debug!(listener = number, member, "a watch thread ends");
    }

    /// Receives and answers as long as the lead is with this thread; `false` when there will never be another notification.
    fn receive_all(self: &Arc<Self>, answerer: &mut Answerer<'_>, slot: Slot<'_>, member: usize) -> bool {
        self.adopt_left(answerer, member);
        while self.lead.is_with(member) {
            if !self.receive_one(answerer, slot, member) {
                self.dissolve();
                return false;
            }
        }
        true
    }

    /// Receives and answers one notification; `false` when there will never be another.
    fn receive_one(self: &Arc<Self>, answerer: &mut Answerer<'_>, slot: Slot<'_>, member: usize) -> bool {
        let Watch { number, listener, .. } = &self.watch;
        match listener.receive(slot.cells()) {
            Ok(notification) => {
                self.answer(answerer, (slot, &notification), Origin::Received, member);
                return true;
            }
            // Everyday: the target died or was interrupted while we woke up. From Linux 6.11 on it is also what a
            // listener without tasks says for ever.
            Err(ReceiveError::Vanished) => {}
            Err(ReceiveError::Interrupted) => return true,
            Err(ReceiveError::Refused(error)) => {
                tracing::error!(listener = number, %error, "cannot receive a notification");
                thread::sleep(FAILURE_PAUSE);
            }
        }
        slot.clear();
        !listener.has_hung_up()
    }

    /// Waits for the lead; `false` if this thread is not needed any more.
    fn stand_by(&self, member: usize) -> bool {
        let mut members = self.members();
        if self.lead.is_with(member) {
            return true;
        }
        if self.lead.is_over.load(Ordering::Acquire) || members.standing_by.len() >= MAX_STANDING_BY {
            return false;
        }
        members.standing_by.push((member, thread::current()));
        drop(members);
        while !self.lead.is_over.load(Ordering::Acquire) {
            if self.lead.is_with(member) {
                return true;
            }
            thread::park();
        }
        false
    }

    /// Answers what a predecessor received and left unanswered, as long as the lead is with this thread.
    fn adopt_left(self: &Arc<Self>, answerer: &mut Answerer<'_>, member: usize) {
        let next = || self.left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let listener = &self.watch.listener;
        while self.lead.is_with(member)
            && let Some((index, notification)) = next()
        {
            let Some(slot) = self.watch.slots.slot(index) else { continue };
            if listener.is_pending(notification.id) {
                let attempts = slot.count_attempt(SystemTime::now());
                self.answer(answerer, (slot, &notification), Origin::Adopted { attempts }, member);
            } else {
                // A guard that has answered calls meanwhile may have received another one into its own.
                slot.clear_of(notification.id);
            }
        }
    }

    /// Answers what a slot holds, and frees it.
    fn answer(
        self: &Arc<Self>,
        answerer: &mut Answerer<'_>,
        (slot, notification): (Slot<'_>, &Notification),
        origin: Origin,
        member: usize,
    ) {
        self.watch.slots.count_taken();
        let (taken, looks) = (self.watch.slots.taken(), Cell::new(false));
        let turn = Turn { crew: self, member, task: notification.target_tid, looks: &looks };
        let has_kept_lead = self.lead.during(slot.index(), || {
            if turn.wait_for_earlier(notification) {
                answerer.answer(slot, notification, origin, turn);
            }
        });
        answerer.leave_means();
        // A call that waits aside has another slot by now, and this one may be somebody else's.
        slot.clear_of(notification.id);
        if !has_kept_lead {
            // Whoever took the lead may be about to tell that this call is unfinished.
            let members = self.members();
            self.delivery.unfinished.aside.end(member);
            drop(members);
        }
        if looks.get() && self.watch.slots.taken() != taken {
            self.lead.was_of_use.store(true, Ordering::Relaxed);
        }
        self.delivery.shared.context.processes.sweep();
    }
}

/// Whether a page of the task's memory is there, or on a disk; no if nobody knows.
fn is_resident(task: u32, address: u64) -> bool {
    // Documentation/admin-guide/mm/pagemap.rst: eight bytes for each page, bit 63 for one in memory, 62 for one in swap.
    const THERE: u64 = 0b11 << 62;
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok()).unwrap_or(4096);
    let mut entry = [0; 8];
    let read =
        File::open(format!("/proc/{task}/pagemap")).and_then(|map| map.read_exact_at(&mut entry, address / size * 8));
    read.is_ok() && u64::from_ne_bytes(entry) & THERE != 0
}
