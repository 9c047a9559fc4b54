// SPDX-License-Identifier: Apache-2.0
//! The processes of all threads: who starts them, how many there may be, and which are free.

use std::{
    io,
    process::{Child, Command},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Sender, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Home, NamespaceOpener};
use crate::enforce::stand_alone;

/// Processes of this supervisor at one time, each of which takes a megabyte: 256 for calls that wait (see `blocking`), and
/// one for each thread that a target holds up otherwise. A call that needs one more gets the failure verdict.
const MAX_PROCESSES: usize = 384;
/// Those that are kept for the next call. A container has one user namespace, and few programs make their own.
const MAX_FREE: usize = 8;
/// How long they are kept: their namespaces live as long, and one that lives in all of a task's keeps its mounts, too.
const LINGER: Duration = Duration::from_mins(1);
const RESIDENT_LINGER: Duration = Duration::from_secs(2);

static COUNT: AtomicUsize = AtomicUsize::new(0);
static FREE: Mutex<Vec<Free>> = Mutex::new(Vec::new());
static STARTER: Mutex<Option<Sender<Box<Order>>>> = Mutex::new(None);

/// A process to start, and who waits for it.
type Order = (Command, SyncSender<io::Result<Child>>);

/// A process that nobody needs just now.
struct Free {
    home: Home,
    opener: NamespaceOpener,
    since: Instant,
}

/// Counts one process as long as it lives.
#[derive(Debug)]
pub(super) struct Place(());

impl Place {
    /// `None` where there are too many.
    pub(super) fn take() -> Option<Self> {
        if !has_room() {
            // One that is free may go.
            let oldest = { free().extract_if(..1, |_| true).next() };
            drop(oldest);
        }
        let taken = COUNT.fetch_add(1, Ordering::AcqRel);
        let place = Self(());
        (taken < MAX_PROCESSES).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::AcqRel);
    }
}

fn has_room() -> bool {
    COUNT.load(Ordering::Acquire) < MAX_PROCESSES
}

fn free() -> MutexGuard<'static, Vec<Free>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A free one that lives there and `serves`. One that has died meanwhile is none.
pub(in crate::enforce) fn take_free(home: &Home, serves: impl Fn(&NamespaceOpener) -> bool) -> Option<NamespaceOpener> {
    loop {
        let mut opener = {
            let mut free = free();
            let place = free.iter().rposition(|free| free.home == *home && serves(&free.opener))?;
            free.remove(place).opener
        };
        if opener.lives() {
            return Some(opener);
        }
    }
}

/// Leaves one to whoever needs it next; nobody may be about to interrupt it any more.
pub(in crate::enforce) fn leave(home: Home, opener: NamespaceOpener) {
    let oldest = {
        let mut free = free();
        free.push(Free { home, opener, since: Instant::now() });
        if free.len() > MAX_FREE { free.extract_if(..1, |_| true).next() } else { None }
    };
    // Its end takes its time, for which nobody else is to wait.
    drop(oldest);
}

/// Gives up those that nobody has needed for a while.
pub(crate) fn forget_old() {
    let is_old =
        |free: &mut Free| free.since.elapsed() >= if free.home.is_resident() { RESIDENT_LINGER } else { LINGER };
    let old: Vec<_> = { free().extract_if(.., is_old).collect() };
    drop(old);
}

/// Gets ready to start processes; to be called by the first thread, which looks at the world from nowhere else.
///
/// They end with the thread that has started them (`PR_SET_PDEATHSIG`), and others come and go: so it is one that stays.
pub(crate) fn prepare() -> io::Result<()> {
    let mut starter = starter();
    if starter.is_none() {
        *starter = Some(begin()?);
    }
    Ok(())
}

fn starter() -> MutexGuard<'static, Option<Sender<Box<Order>>>> {
    STARTER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn begin() -> io::Result<Sender<Box<Order>>> {
    let (sender, orders) = mpsc::channel::<Box<Order>>();
    thread::Builder::new().name("start".to_owned()).spawn(move || {
        let alone = stand_alone();
        for order in orders {
            let (mut command, answer) = *order;
            let child = match &alone {
                Ok(()) => command.spawn(),
                Err(error) => Err(io::Error::from(error.kind())),
            };
            // Whoever has asked waits.
            let _taken = answer.send(child);
        }
    })?;
    Ok(sender)
}

/// Starts one.
pub(super) fn start(command: Command) -> io::Result<Child> {
    let (answer, child) = mpsc::sync_channel(1);
    prepare()?;
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let sent = starter().as_ref().map(|starter| starter.send(Box::new((command, answer))));
    sent.ok_or_else(gone)?.map_err(|_unsent| gone())?;
    child.recv().map_err(|_ended| gone())?
}
