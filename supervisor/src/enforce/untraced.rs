// SPDX-License-Identifier: Apache-2.0
//! Looking at a program whose exec cannot be followed, because a task in the container traces the caller: as soon as the
//! kernel tells that it is loaded ([`ExecSign`]). It runs by then, unless it is held ([`Hold`]).

use std::{
    cell::Cell,
    collections::HashMap,
    os::fd::AsFd as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
    unistd::Pid,
};

use super::{Fate, Hold, HoldError, Holds};
use crate::{
    diagnostics,
    process::{Activity, Process},
    sys::{ExecSign, Pidfd},
};

/// Between two looks whether the call has failed, at first and later: the kernel tells only of one that succeeds, and that
/// a thread waits on is of no importance.
const PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at a program that the kernel sets up: it takes some 0.1 ms, and longer where memory or a file system
/// is slow. The first page that it touches when it runs wakes us, too, unless it may not be looked into.
const SET_UP_PAUSE: Duration = Duration::from_micros(50);
const MAX_SET_UP_PAUSE: Duration = Duration::from_millis(100);
/// How long a look at a program that is set up may take. It takes some 0.1 ms, on a busy machine a few; but the program, which
/// runs meanwhile unless it is held, can hold up whoever reads its memory for as long as it likes: a thread that waits for a
/// page, which a file system of the container's never delivers, keeps the lock that the reader needs (`mmap_lock`).
const LONGEST_LOOK: Duration = Duration::from_secs(1);
/// How long a program that must not run may live for the sake of the texts of its alert.
const LONGEST_TEXTS: Duration = Duration::from_millis(20);
/// How long a program's own exec waits at most until it was looked at itself: as long as that may take, and as much again
/// until it is noticed that it is set up, and it is dead.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many execs of a task in a row may load no program before the next one has to wait, as long as none is longer ago than
/// that: a search for a program tries several folders.
const FREE_ATTEMPTS: u32 = 32;
const MAX_DELAY: Duration = Duration::from_millis(100);
const MEMORY: Duration = Duration::from_secs(1);
/// A thread that waits, and writes one alert at most.
const STACK_BYTES: usize = 128 << 10;

/// How an exec that could not be followed has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    /// The program was judged.
    Judged(Fate),
    /// Nobody can oversee the look at it, and the call has no answer yet.
    Unattended,
    /// There is none: the call failed, or its task died.
    NotExecuted,
    /// There is one, or was, and nobody could look at it.
    Unseen,
    /// There is one that nobody could look at in time, which was told.
    Overdue,
    /// There is one that should have been held, and was not.
    Loose,
}

/// How the call of an exec ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Executed,
    /// It failed, or its task died.
    Failed,
    /// Its task is not held any more.
    Loose,
}

/// What is told of a look at a program before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The program is set up.
    Begun,
    /// It must die.
    Condemned,
}

/// The execs of one listener that cannot be followed.
#[derive(Debug, Default)]
pub(crate) struct UntracedCalls {
    calls: Mutex<Vec<Arc<Call>>>,
    /// By task, of those that were held.
    in_vain: Mutex<HashMap<u32, InVain>>,
}

/// Execs of a task, one after the other, that loaded no program.
#[derive(Debug, Clone, Copy)]
struct InVain {
    count: u32,
    last: Instant,
}

/// One of them.
#[derive(Debug)]
struct Call {
    task: u32,
    /// Its process.
    leader: u32,
    sign: ExecSign,
    /// Whether it is known to have failed.
    has_failed: AtomicBool,
    /// Whether nothing of it is left to look at, or it may go on without.
    is_done: AtomicBool,
}

impl UntracedCalls {
    fn calls(&self) -> MutexGuard<'_, Vec<Arc<Call>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_vain(&self) -> MutexGuard<'_, HashMap<u32, InVain>> {
        self.in_vain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_in_vain(&self, task: u32) {
        let (last, mut in_vain) = (Instant::now(), self.in_vain());
        in_vain.retain(|_, earlier| earlier.last.elapsed() < MEMORY);
        in_vain
            .entry(task)
            .and_modify(|earlier| *earlier = InVain { count: earlier.count + 1, last })
            .or_insert(InVain { count: 1, last });
    }

    /// How long the next exec of a task is to wait: the freezer ends an exec that waits interruptibly (for a lease of the
    /// program's file), which then begins anew, again and again.
    fn delay(&self, task: u32) -> Duration {
        let earlier = self.in_vain().get(&task).copied().filter(|earlier| earlier.last.elapsed() < MEMORY);
        let many = earlier.and_then(|earlier| earlier.count.checked_sub(FREE_ATTEMPTS));
        many.map_or(Duration::ZERO, |many| (PAUSE * (1 << many.min(10))).min(MAX_DELAY))
    }

    /// To be called before another exec goes on: an earlier one of the same task has failed, unless it has loaded the program
    /// that makes the call, which stays for that long to be judged. Says whether the call may go on: not where nobody knows
    /// yet about that program.
    #[must_use]
    pub(crate) fn settle(&self, caller: &Process) -> bool {
        let earlier = self.calls().clone();
        let Some(leader) = (if earlier.is_empty() { None } else { caller.leader() }) else { return true };
        let begun = Instant::now();
        let mut is_settled = true;
        for call in earlier.into_iter().filter(|call| call.leader == leader) {
            if call.sign.is_given() {
                let mut pause = SET_UP_PAUSE;
                while !call.is_done.load(Ordering::Acquire) && begun.elapsed() < PATIENCE {
                    thread::sleep(pause);
                    pause = (pause * 9 / 8).min(PAUSE);
                }
                is_settled &= call.is_done.load(Ordering::Acquire);
            } else if call.task == caller.task() {
                call.has_failed.store(true, Ordering::Release);
            }
        }
        is_settled
    }
}

/// A task in an exec that cannot be followed.
pub(crate) struct Untraced<'a> {
    caller: Process,
    /// Its process: a thread that executes takes the first thread's place, and its own number is gone.
    process: Process,
    reference: Pidfd,
    call: Arc<Call>,
    calls: &'a UntracedCalls,
}

impl<'a> Untraced<'a> {
    /// `None` where the task cannot be looked at. This may wait a while, as the kernel gets ready for such signs.
    pub(crate) fn of(task: u32, calls: &'a UntracedCalls) -> Option<Self> {
        let sign = ExecSign::of(task).inspect_err(|error| {
            tracing::error!(error = diagnostics::chain(error), task, "an exec cannot be waited for");
        });
        let caller = Process::open(task)?;
        let leader = caller.leader()?;
        let reference = Pidfd::open(Pid::from_raw(i32::try_from(leader).ok()?)).ok()?;
        let (process, sign) = (Process::open(leader)?, sign.ok()?);
        let (has_failed, is_done) = Default::default();
        let call = Arc::new(Call { task, leader, sign, has_failed, is_done });
        calls.calls().push(Arc::clone(&call));
        Some(Self { caller, process, reference, call, calls })
    }

    /// Prepares to hold what it executes. It may be made to wait a while first.
    pub(crate) fn prepare_hold<'h>(&self, holds: &'h Holds) -> Result<Hold<'h>, HoldError> {
        thread::sleep(self.calls.delay(self.call.task));
        holds.prepare(&self.caller, self.process.task())
    }

    /// Lets the exec, which is the call `number`, `proceed`, which says whether its task took the answer, and has `judge` look
    /// at the program, however long it takes until that is there: it may wait for a lease, a file system or a processor. A
    /// program that must die is killed. The look itself may not take long, since the program may run: then `overdue`, on another
    /// thread, says what becomes of it. `judge` is told how to say beforehand that the program must die; it does so soon then,
    /// whatever else there is to be read. A program that is held does not run before this has returned.
    pub(crate) fn watch(
        &self,
        hold: Option<&Hold<'_>>,
        (number, proceed): (i64, impl FnOnce() -> bool),
        judge: impl FnOnce(u32, &dyn Fn()) -> Fate,
        overdue: impl FnOnce() -> Fate + Send,
    ) -> Watched {
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            // While the kernel is still at the call, so that the look need not wait for it.
            let overseer = thread::Builder::new().name("overseer".to_owned()).stack_size(STACK_BYTES);
            let overseer = overseer.spawn_scoped(scope, move || self.oversee(&told, overdue));
            let overseer = match overseer {
                Ok(overseer) => overseer,
                Err(error) => {
                    tracing::error!(%error, "the look at a program cannot be overseen");
                    return Watched::Unattended;
                }
            };
            let outcome = if proceed() { self.outcome(number, hold) } else { Outcome::Failed };
            match outcome {
                Outcome::Executed => {}
                Outcome::Failed => {
                    if hold.is_some() {
                        self.calls.note_in_vain(self.call.task);
                    }
                    return Watched::NotExecuted;
                }
                Outcome::Loose => return Watched::Loose,
            }
            self.calls.in_vain().remove(&self.call.task);
            if !self.is_set_up() {
                return Watched::Unseen;
            }
            let watched = self.look(&tell, hold, judge);
            drop(tell);
            let is_overdue = overseer.join().unwrap_or(true);
            if is_overdue { Watched::Overdue } else { watched }
        })
    }

    fn look(
        &self,
        tell: &Sender<Stage>,
        hold: Option<&Hold<'_>>,
        judge: impl FnOnce(u32, &dyn Fn()) -> Fate,
    ) -> Watched {
        let is_condemned = Cell::new(false);
        // Nobody listens any more where it is too late.
        let condemn = || {
            if !is_condemned.replace(true) {
                let _late = tell.send(Stage::Condemned);
            }
        };
        let _heard = tell.send(Stage::Begun);
        let fate = judge(self.process.task(), &condemn);
        if fate == Fate::Dies {
            self.kill();
        }
        // It may have ended meanwhile, or its first thread, whose number was asked.
        if fate == Fate::Lives && self.process.is_set_up() != Some(true) {
            Watched::Unseen
        } else if fate == Fate::Lives && hold.is_some_and(|hold| !hold.holds(&self.process)) {
            Watched::Loose
        } else {
            Watched::Judged(fate)
        }
    }

    /// Waits for the end of a look, which hangs up; says whether that was too late.
    fn oversee(&self, told: &Receiver<Stage>, overdue: impl FnOnce() -> Fate) -> bool {
        if told.recv().is_err() {
            return false;
        }
        let begun = Instant::now();
        let left = || LONGEST_LOOK.saturating_sub(begun.elapsed());
        let mut heard = told.recv_timeout(left());
        if heard == Ok(Stage::Condemned) {
            heard = told.recv_timeout(LONGEST_TEXTS);
            if heard == Err(RecvTimeoutError::Timeout) {
                self.kill();
                heard = told.recv_timeout(left());
            }
        }
        let is_overdue = heard == Err(RecvTimeoutError::Timeout);
        if is_overdue && overdue() == Fate::Lives {
            self.call.is_done.store(true, Ordering::Release);
        }
        is_overdue
    }

    /// Waits for the end of the call.
    fn outcome(&self, number: i64, hold: Option<&Hold<'_>>) -> Outcome {
        let mut pause = PAUSE;
        loop {
            // Looked at before the sign: a call that is over has given it.
            let activity = self.caller.activity();
            let is_held_up = hold.is_some_and(|hold| hold.is_at_rest() || self.caller.is_frozen());
            if self.call.has_failed.load(Ordering::Acquire) {
                return Outcome::Failed;
            }
            if self.call.sign.is_given() {
                return Outcome::Executed;
            }
            // One that is not there any more has hung up.
            if hold.is_some_and(|hold| !hold.holds(&self.caller)) && self.caller.exists() {
                return Outcome::Loose;
            }
            if is_held_up || matches!(activity, Some(Activity::Waiting(wait)) if !wait.is_in(number)) {
                return Outcome::Failed;
            }
            if self.wait(pause, hold).contains(PollFlags::POLLHUP) {
                let executed = self.call.sign.is_given() && !self.call.has_failed.load(Ordering::Acquire);
                return if executed { Outcome::Executed } else { Outcome::Failed };
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Waits until the kernel is done with the new program, whose image, name and file are there before its arguments; says
    /// whether it is there then.
    fn is_set_up(&self) -> bool {
        let mut pause = SET_UP_PAUSE;
        loop {
            match self.process.is_set_up() {
                Some(true) => return true,
                Some(false) => {}
                None => return false,
            }
            // What has hung up wakes nobody any more.
            if self.wait(pause, None).contains(PollFlags::POLLHUP) {
                thread::sleep(pause);
            }
            pause = (pause * 9 / 8).min(MAX_SET_UP_PAUSE);
        }
    }

    /// Waits for the kernel to tell something, not longer than that.
    fn wait(&self, pause: Duration, hold: Option<&Hold<'_>>) -> PollFlags {
        let sign = PollFd::new(self.call.sign.as_fd(), PollFlags::POLLIN);
        let hold = hold.map(|hold| PollFd::new(hold.changes(), PollFlags::POLLPRI));
        let mut wanted: Vec<_> = [sign].into_iter().chain(hold).collect();
        let told = ppoll(&mut wanted, Some(TimeSpec::from_duration(pause)), None);
        if told.is_err() {
            thread::sleep(pause);
        }
        wanted.first().and_then(PollFd::revents).unwrap_or_else(PollFlags::empty)
    }

    /// Kills the process.
    pub(crate) fn kill(&self) {
        if let Err(error) = self.reference.kill()
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            tracing::error!(%error, process = self.process.task(), "a program that must not run cannot be killed");
        }
    }
}

impl Drop for Untraced<'_> {
    fn drop(&mut self) {
        self.call.is_done.store(true, Ordering::Release);
        self.calls.calls().retain(|other| !Arc::ptr_eq(other, &self.call));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        process::{Child, Command, Stdio},
    };

    use super::*;

    /// `execve` of x86-64.
    const EXEC: i64 = 59;

    /// A shell that waits for a line before it goes on with `script`.
    fn waiting(script: &str) -> Child {
        let script = format!("echo; read line; {script}");
        let mut child =
            Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    fn go_on(child: &mut Child) {
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn await_sign(untraced: &Untraced<'_>) {
        while !untraced.call.sign.is_given() {
            thread::sleep(PAUSE);
        }
    }

    /// A shell that has executed another program, of which nobody was told yet.
    fn executing(calls: &UntracedCalls) -> (Child, Untraced<'_>) {
        let mut child = waiting("exec sleep 60");
        let untraced = Untraced::of(child.id(), calls).unwrap();
        go_on(&mut child);
        await_sign(&untraced);
        (child, untraced)
    }

    /// A look that takes no longer than it may.
    fn watch(untraced: &Untraced<'_>, judge: impl FnOnce(u32) -> Fate) -> Watched {
        untraced.watch(None, (EXEC, || true), |process, _condemn| judge(process), || panic!("it is in time"))
    }

    fn settle(calls: &UntracedCalls, child: &Child) -> bool {
        calls.settle(&Process::open(child.id()).unwrap())
    }

    fn await_end(untraced: &Untraced<'_>) {
        while untraced.process.is_set_up().is_some() {
            thread::sleep(PAUSE);
        }
    }

    fn end(mut child: Child) {
        let _may_be_dead = child.kill();
        child.wait().unwrap();
    }

    /// What is seen of a shell's exec by somebody who looks when it is over, or when its process is.
    fn seen_of(script: &str, fate: Fate, ends: bool) -> (Watched, Option<Vec<u8>>) {
        let calls = UntracedCalls::default();
        let mut child = waiting(script);
        let untraced = Untraced::of(child.id(), &calls).unwrap();
        go_on(&mut child);
        let (deadline, process) = (Instant::now() + Duration::from_secs(10), Process::open(child.id()).unwrap());
        let is_over = || if ends { process.is_set_up().is_none() } else { untraced.call.sign.is_given() };
        while !is_over() && Instant::now() < deadline {
            thread::sleep(PAUSE);
        }
        let mut program = None;
        let watched = watch(&untraced, |process| {
            program = Process::open(process).and_then(|process| process.name());
            fate
        });
        end(child);
        (watched, program)
    }

    #[test]
    fn a_program_is_judged_and_one_that_ended_before_is_told_of() {
        assert_eq!(
            seen_of("exec sleep 60", Fate::Lives, false),
            (Watched::Judged(Fate::Lives), Some(b"sleep".to_vec()))
        );
        assert_eq!(seen_of("exec sleep 60", Fate::Dies, false), (Watched::Judged(Fate::Dies), Some(b"sleep".to_vec())));
        assert_eq!(seen_of("exec true", Fate::Lives, true), (Watched::Unseen, None));
        assert_eq!(seen_of("exit", Fate::Lives, true), (Watched::NotExecuted, None));
    }

    #[test]
    fn a_program_that_ends_while_it_is_judged_is_told_of() {
        let calls = UntracedCalls::default();
        let (mut child, untraced) = executing(&calls);
        let watched = watch(&untraced, |_process| {
            child.kill().unwrap();
            await_end(&untraced);
            Fate::Lives
        });
        assert_eq!(watched, Watched::Unseen);
        end(child);
    }

    #[test]
    fn what_a_task_executes_with_a_later_call_is_no_business_of_a_failed_one() {
        let calls = UntracedCalls::default();
        let mut child = waiting("exec sleep 60");
        let failed = Untraced::of(child.id(), &calls).unwrap();
        assert!(settle(&calls, &child));
        let later = Untraced::of(child.id(), &calls).unwrap();
        go_on(&mut child);
        await_sign(&failed);
        assert_eq!(watch(&failed, |_process| panic!("it is another call's")), Watched::NotExecuted);
        assert_eq!(watch(&later, |_process| Fate::Lives), Watched::Judged(Fate::Lives));
        drop((failed, later));
        assert!(calls.calls().is_empty());
        end(child);
    }

    #[test]
    fn execs_that_load_nothing_come_slower_and_slower() {
        let calls = UntracedCalls::default();
        let delays: Vec<_> = (0..64)
            .map(|_| {
                let delay = calls.delay(1);
                calls.note_in_vain(1);
                delay
            })
            .collect();
        let (free, slow) = delays.split_at(usize::try_from(FREE_ATTEMPTS).unwrap());
        assert!(free.iter().all(Duration::is_zero));
        assert!(slow.is_sorted() && slow.first() == Some(&PAUSE) && slow.last() == Some(&MAX_DELAY), "{slow:?}");
        assert_eq!(calls.delay(2), Duration::ZERO);
        calls.in_vain().get_mut(&1).unwrap().last -= MEMORY;
        assert_eq!(calls.delay(1), Duration::ZERO);
        calls.note_in_vain(2);
        assert!(!calls.in_vain().contains_key(&1));
    }

    #[test]
    fn a_program_executes_no_other_one_before_it_was_judged() {
        let calls = UntracedCalls::default();
        let (child, untraced) = executing(&calls);
        let is_judged = AtomicBool::new(false);
        thread::scope(|scope| {
            let settled = scope.spawn(|| {
                assert!(settle(&calls, &child));
                is_judged.load(Ordering::Acquire)
            });
            thread::sleep(PAUSE * 20);
            is_judged.store(true, Ordering::Release);
            assert_eq!(watch(&untraced, |_process| Fate::Lives), Watched::Judged(Fate::Lives));
            drop(untraced);
            assert!(settled.join().unwrap());
        });
        end(child);
    }

    #[test]
    fn a_program_that_holds_a_look_up_dies_in_time_and_executes_no_other_one() {
        let calls = UntracedCalls::default();
        let (child, untraced) = executing(&calls);
        let (begun, mut told) = (Instant::now(), 0);
        let (judge, overdue) = (
            |_process, _condemn: &dyn Fn()| {
                await_end(&untraced);
                assert!(begun.elapsed() >= LONGEST_LOOK);
                assert!(!settle(&calls, &child));
                Fate::Lives
            },
            || {
                told += 1;
                untraced.kill();
                Fate::Dies
            },
        );
        assert_eq!((untraced.watch(None, (EXEC, || true), judge, overdue), told), (Watched::Overdue, 1));
        end(child);
    }

    #[test]
    fn a_program_that_may_run_unseen_goes_on_after_a_while() {
        let calls = UntracedCalls::default();
        let (child, untraced) = executing(&calls);
        let judge = |_process, _condemn: &dyn Fn()| {
            let begun = Instant::now();
            assert!(settle(&calls, &child) && begun.elapsed() < PATIENCE);
            Fate::Lives
        };
        assert_eq!(untraced.watch(None, (EXEC, || true), judge, || Fate::Lives), Watched::Overdue);
        end(child);
    }

    #[test]
    fn a_condemned_program_does_not_wait_for_the_texts_of_its_alert() {
        let calls = UntracedCalls::default();
        let (child, untraced) = executing(&calls);
        let judge = |_process, condemn: &dyn Fn()| {
            condemn();
            condemn();
            let begun = Instant::now();
            await_end(&untraced);
            assert!(begun.elapsed() < LONGEST_LOOK);
            Fate::Dies
        };
        let watched = untraced.watch(None, (EXEC, || true), judge, || panic!("it is in time"));
        assert_eq!(watched, Watched::Judged(Fate::Dies));
        end(child);
    }
}
