// SPDX-License-Identifier: Apache-2.0
//! Following one exec to the moment between the kernel's loading of the image and the image's first instruction.
//!
//! The caller is seized for the length of its exec (`PTRACE_SEIZE`, `PTRACE_O_TRACEEXEC`) and interrupted, so that it
//! stops in any case: inside a successful exec (`PTRACE_EVENT_EXEC`), or behind a failed one (`PTRACE_EVENT_STOP`). At the
//! first stop everything about the new program is final and nobody else's to change: it has its memory to itself.
//!
//! An exec may wait in the kernel for what an interrupt ends, such as a lease of the program's file; it is made anew then, as it
//! is after a signal without a handler. The second time it gets no interrupt as long as it waits.
//!
//! A thread traces one task at a time. A thread that held one tracee and seized another one of the same process, of which
//! a third is inside an exec, would wait for ever (the kernel's `cred_guard_mutex`).

use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{ptrace, signal::Signal},
    unistd::Pid,
};

use crate::{
    process::{Activity, Process},
    sys::{Stop, makes_anew, next_stop, reported_stop, resume},
};

/// `PTRACE_EVENT_STOP` of linux/ptrace.h; libc has no name for it.
const EVENT_STOP: i32 = 128;

/// Pause before a task that another thread of ours traces is tried again.
const PAUSE: Duration = Duration::from_micros(50);

/// Between two looks at an exec that may wait for something, at first and later; in between a sixteenth of the time that it
/// has waited.
const WAIT_PAUSE: Duration = Duration::from_millis(1);
const MAX_WAIT_PAUSE: Duration = Duration::from_millis(100);
/// How long such a task may run before it counts as one whose call has failed.
const LONGEST_RUN: Duration = Duration::from_millis(20);

/// How often a task that nobody traces may be refused to us before it counts as one that cannot be traced.
const MAX_REFUSALS: u32 = 100;

/// What shall become of a new program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs.
    Lives,
    /// It is killed before its first instruction.
    Dies,
}

impl Fate {
    /// What becomes of it after two judgements.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == Self::Dies { self } else { other }
    }
}

/// How an exec ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// The program was loaded and judged.
    Executed,
    /// The call failed, was withdrawn, or its task died.
    NotExecuted,
    /// Somebody else traces the task, so that nobody can follow; the call was not answered.
    Untraceable,
}

/// How to follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Follow {
    /// The task that calls exec, in our pid namespace.
    pub(crate) task: u32,
    /// The number of the call.
    pub(crate) number: i64,
    /// Whether signals, and so an interrupt, wait until the call is answered.
    pub(crate) is_wait_killable: bool,
    /// Whether the task must die with us while it is followed.
    pub(crate) kill_on_exit: bool,
    /// Whether the call was interrupted by us before ([`Exec::note_restart`]).
    pub(crate) waits: bool,
}

/// A call that is followed.
pub(crate) trait Exec {
    /// Whether it still waits for its answer.
    fn is_pending(&self) -> bool;
    /// To be called before anything is waited for, perhaps more than once.
    fn before_wait(&self);
    /// Answers it so that it goes on, and says whether that was taken.
    fn proceed(&self) -> bool;
    /// Says what becomes of the process that has the new program.
    fn judge(&self, process: u32) -> Fate;
    /// The call seems to be made anew, because we have interrupted it.
    fn note_restart(&self);
    /// Whether its task has made another exec since.
    fn is_outdated(&self) -> bool;
    /// Its task was interrupted after the answer.
    fn note_interrupt(&self);
    /// Another thread of ours still follows an earlier exec of the task. Says whether the call was answered so that it is made anew
    /// when that one is over.
    fn makes_way(&self) -> bool;
}

impl Follow {
    /// Lets the call go on, and judges the new program before it runs.
    ///
    /// As little as can be is done between the answer and the wait: the kernel wakes the target on our CPU, and moves a task
    /// that executes to another one if somebody else wants to run there (`sched_exec`), which takes longer than all that we do.
    pub(crate) fn exec(self, exec: &impl Exec) -> Followed {
        let task = Pid::from_raw(i32::try_from(self.task).unwrap_or(i32::MAX));
        let mut options = ptrace::Options::PTRACE_O_TRACEEXEC;
        options.set(ptrace::Options::PTRACE_O_EXITKILL, self.kill_on_exit);
        let mut refusals = 0;
        loop {
            // To let go of a task again it must be stopped, which would withdraw the notification that came instead.
            if !exec.is_pending() {
                return Followed::NotExecuted;
            }
            match ptrace::seize(task, options) {
                Ok(()) => break,
                Err(Errno::ESRCH) => return Followed::NotExecuted,
                Err(_errno) => match Tracer::of(self.task) {
                    // The call was interrupted, and whoever followed it then is about to let go of its task.
                    Tracer::Ours => {
                        exec.before_wait();
                        if exec.makes_way() {
                            return Followed::NotExecuted;
                        }
                        thread::sleep(PAUSE);
                    }
                    // It was let go of just now, unless the kernel has another reason to refuse.
                    Tracer::Nobody if refusals < MAX_REFUSALS => refusals += 1,
                    Tracer::Nobody | Tracer::Another => return Followed::Untraceable,
                },
            }
        }
        exec.before_wait();
        // Without the kernel's protection an interrupt would withdraw the notification, so that it comes after the answer. With it,
        // one that came after could be held back by the task's next call, which waits for us.
        if self.is_wait_killable && !self.waits {
            interrupt(task);
            let _taken = exec.proceed();
            return wait_for_stop(task, None, self.number, exec);
        }
        let _taken = exec.proceed();
        let first = if self.waits { self.wait_out(exec) } else { None };
        if interrupt(task) {
            exec.note_interrupt();
        }
        wait_for_stop(task, first, self.number, exec)
    }

    /// Lets the call wait in the kernel; returns what its task reports meanwhile, or nothing when it does not wait any more.
    fn wait_out(self, exec: &impl Exec) -> Option<Stop> {
        let process = Process::open(self.task)?;
        let (begun, mut runs_since) = (Instant::now(), None);
        loop {
            if let Some(stop) = reported_stop().ok()? {
                return Some(stop);
            }
            let runs = match process.activity()? {
                Activity::Waiting(wait) if wait.is_in(self.number) => None,
                Activity::Waiting(_) => return None,
                Activity::Running => runs_since.or_else(|| Some(Instant::now())),
            };
            if exec.is_outdated() || runs.is_some_and(|since| since.elapsed() >= LONGEST_RUN) {
                return None;
            }
            runs_since = runs;
            thread::sleep((begun.elapsed() / 16).clamp(WAIT_PAUSE, MAX_WAIT_PAUSE));
        }
    }
}

/// Who traces a task.
enum Tracer {
    Nobody,
    /// A thread of this process.
    Ours,
    Another,
}

impl Tracer {
    fn of(task: u32) -> Self {
        let tracer = Self::number(task);
        let is_thread = |tracer: &str| Path::new("/proc/self/task").join(tracer).exists();
        match tracer.as_deref() {
            Some("0") => Self::Nobody,
            Some(tracer) if is_thread(tracer) => Self::Ours,
            // A thread of ours that let go of it, and ended, before we looked for the thread.
            Some(_) if Self::number(task) != tracer => Self::Nobody,
            Some(_) | None => Self::Another,
        }
    }

    fn number(task: u32) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{task}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("TracerPid:")).map(|number| number.trim().to_owned())
    }
}

/// Says whether it was. A task that is gone needs no interrupt: the wait tells.
fn interrupt(task: Pid) -> bool {
    let interrupted = ptrace::interrupt(task);
    if let Err(errno) = interrupted {
        tracing::debug!(%errno, %task, "a task cannot be interrupted");
    }
    interrupted.is_ok()
}

/// Waits for the task that this thread has seized, and leaves no tracee behind. It may change its number: a thread that
/// executes becomes its process' leader.
///
/// Between an exec that failed and our interrupt the task runs, and children that it makes then with `CLONE_PTRACE` (clone(2))
/// are handed its tracer. They stop before they run.
fn wait_for_stop(seized: Pid, first: Option<Stop>, number: i64, exec: &impl Exec) -> Followed {
    let followed = wait_for_exec(seized, first, number, exec);
    loop {
        match next_stop(None) {
            Ok(Stop::Event(child, _) | Stop::Signal(child, _) | Stop::Ended(child)) => release(child, None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_none_left) => return followed,
        }
    }
}

fn wait_for_exec(seized: Pid, mut first: Option<Stop>, number: i64, exec: &impl Exec) -> Followed {
    loop {
        // A signal that arrived before our interrupt showed is the task's business.
        let (task, signal) = match first.take().map_or_else(|| next_stop(None), Ok) {
            Ok(Stop::Event(process, libc::PTRACE_EVENT_EXEC)) => {
                return finish(process, exec.judge(process.as_raw().unsigned_abs()));
            }
            Ok(Stop::Event(task, EVENT_STOP)) => {
                if task == seized && makes_anew(task, number) {
                    exec.note_restart();
                }
                release(task, None);
                if task == seized {
                    return Followed::NotExecuted;
                }
                continue;
            }
            Ok(Stop::Event(task, _)) => (task, 0),
            Ok(Stop::Signal(task, signal)) => (task, signal),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(Stop::Ended(task)) if task != seized => continue,
            // Or a thread that had become the leader before it ended: then there is nobody left to wait for.
            Ok(Stop::Ended(_)) | Err(_) => return Followed::NotExecuted,
        };
        if let Err(error) = resume(task, signal) {
            tracing::debug!(%error, %task, "a stopped task is gone");
        }
    }
}

fn finish(process: Pid, fate: Fate) -> Followed {
    match fate {
        Fate::Lives => release(process, None),
        Fate::Dies => {
            release(process, Some(Signal::SIGKILL));
        }
    }
    Followed::Executed
}

/// Lets a stopped tracee go. One that is to die must be killed before it is let go: a signal given with the release could
/// be lost to it.
fn release(task: Pid, kill: Option<Signal>) {
    let let_go = match kill {
        Some(signal) => nix::sys::signal::kill(task, signal).inspect_err(|errno| {
            tracing::error!(%errno, %task, "a program that must not run cannot be killed");
        }),
        None => ptrace::detach(task, None).inspect_err(|errno| tracing::debug!(%errno, %task, "a tracee is gone")),
    };
    // Of one that was killed, by us or while it was stopped, the real parent learns only when its tracer has.
    if kill.is_some() || let_go.is_err() {
        while let Ok(Stop::Event(..) | Stop::Signal(..)) = next_stop(Some(task)) {}
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        io::{BufRead, BufReader, Read, Write},
        process::{Child, Command, Stdio},
    };

    use super::*;

    /// `execve` of x86-64.
    const EXECVE: i64 = 59;

    /// A call whose parts are told by a test.
    struct Told<P, J> {
        is_pending: bool,
        proceed: P,
        judge: J,
    }

    impl<P: Fn() -> bool, J: Fn(u32) -> Fate> Exec for Told<P, J> {
        fn is_pending(&self) -> bool {
            self.is_pending
        }
        fn before_wait(&self) {}
        fn proceed(&self) -> bool {
            (self.proceed)()
        }
        fn judge(&self, process: u32) -> Fate {
            (self.judge)(process)
        }
        fn note_restart(&self) {}
        fn is_outdated(&self) -> bool {
            false
        }
        fn note_interrupt(&self) {}
        fn makes_way(&self) -> bool {
            false
        }
    }

    fn wait_for_program(task: Pid, judge: impl Fn(u32) -> Fate) -> Followed {
        wait_for_stop(task, None, EXECVE, &Told { is_pending: true, proceed: || true, judge })
    }

    fn how(task: u32) -> Follow {
        Follow { task, number: EXECVE, is_wait_killable: false, kill_on_exit: false, waits: false }
    }

    /// A shell that waits for a line before it executes `command`.
    fn waiting(command: &str) -> Child {
        started(&format!("echo ready; read line; exec {command}"))
    }

    /// A shell that has said it is ready.
    fn started(script: &str) -> Child {
        let mut child =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // A byte at a time: what comes after this line is somebody else's.
        let mut byte = [0];
        while byte != *b"\n" {
            child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        }
        child
    }

    fn follow(child: &mut Child, fate: Fate) -> (Followed, Option<std::path::PathBuf>) {
        let mut input = child.stdin.take().unwrap();
        let seen = RefCell::new(None);
        // Not by `exec`, whose interrupt would stop a shell that waits for its line at once.
        let task = Pid::from_raw(i32::try_from(child.id()).unwrap());
        ptrace::seize(task, ptrace::Options::PTRACE_O_TRACEEXEC).unwrap();
        input.write_all(b"go\n").unwrap();
        let followed = wait_for_program(task, |process| {
            seen.replace(fs::read_link(format!("/proc/{process}/exe")).ok());
            fate
        });
        (followed, seen.into_inner())
    }

    #[test]
    fn a_new_program_is_seen_before_it_runs_and_may_be_stopped_from_running() {
        // One tracer at a time, and children of the same thread: all in one test.
        let mut lives = waiting("cat /dev/null");
        let (followed, seen) = follow(&mut lives, Fate::Lives);
        assert_eq!(followed, Followed::Executed);
        assert!(seen.unwrap().ends_with("cat"));
        assert!(lives.wait().unwrap().success());

        let mut dies = waiting("sleep 60");
        let (followed, seen) = follow(&mut dies, Fate::Dies);
        assert_eq!(followed, Followed::Executed);
        assert!(seen.unwrap().ends_with("sleep"));
        assert!(dies.wait().is_ok_and(|status| !status.success()) || dies.try_wait().is_err());
    }

    #[test]
    fn a_task_that_another_thread_of_ours_follows_is_waited_for() {
        let mut child = waiting("true");
        let task = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let (seized, is_seized) = std::sync::mpsc::channel();
        let other = thread::spawn(move || {
            ptrace::seize(task, ptrace::Options::empty()).unwrap();
            seized.send(()).unwrap();
            thread::sleep(Duration::from_millis(50));
            interrupt(task);
            wait_for_program(task, |_| Fate::Lives)
        });
        is_seized.recv().unwrap();
        let proceed = || child.stdin.as_ref().is_some_and(|mut input| input.write_all(b"go\n").is_ok());
        let call = Told { is_pending: true, proceed, judge: |_| Fate::Lives };
        let followed = how(child.id()).exec(&call);
        assert_ne!(followed, Followed::Untraceable);
        assert_eq!(other.join().unwrap(), Followed::NotExecuted);
        assert!(child.wait().unwrap().success());
        let withdrawn =
            Told { is_pending: false, proceed: || panic!("it has no call to answer"), judge: |_| Fate::Lives };
        assert_eq!(how(child.id()).exec(&withdrawn), Followed::NotExecuted);
    }

    #[test]
    fn a_program_that_is_killed_while_it_is_judged_is_left_to_its_parent() {
        // Its parent is another process: ours could wait for it in any case.
        let mut parent = started("echo ready; sh -c 'echo $$; read line; exec sleep 60'; echo ended");
        let mut reports = BufReader::new(parent.stdout.take().unwrap()).lines();
        let task = Pid::from_raw(reports.next().unwrap().unwrap().parse().unwrap());
        let mut input = parent.stdin.take().unwrap();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        // The thread lives on, as those of a watch do: the end of a tracer would let go of everything.
        let tracer = thread::spawn(move || {
            ptrace::seize(task, ptrace::Options::PTRACE_O_TRACEEXEC).unwrap();
            input.write_all(b"go\n").unwrap();
            let followed = wait_for_program(task, |_| {
                nix::sys::signal::kill(task, Signal::SIGKILL).unwrap();
                while fs::read_to_string(format!("/proc/{task}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
                    thread::sleep(PAUSE);
                }
                Fate::Lives
            });
            let _in_time = is_done.recv_timeout(Duration::from_secs(5));
            followed
        });
        let begin = Instant::now();
        assert_eq!(reports.next().unwrap().unwrap(), "ended");
        assert!(begin.elapsed() < Duration::from_secs(4), "its parent waited for the end of its tracer");
        done.send(()).unwrap();
        assert_eq!(tracer.join().unwrap(), Followed::Executed);
        assert!(parent.wait().unwrap().success());
    }

    #[test]
    fn a_real_time_signal_before_the_exec_reaches_the_task() {
        let signal = libc::SIGRTMIN() + 3;
        let mut child = started(&format!("trap 'echo told' {signal}; echo ready; read line; exec cat /dev/null"));
        let task = Pid::from_raw(i32::try_from(child.id()).unwrap());
        ptrace::seize(task, ptrace::Options::PTRACE_O_TRACEEXEC).unwrap();
        assert!(Command::new("sh").args(["-c", &format!("kill -{signal} {task}")]).status().unwrap().success());
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        assert_eq!(wait_for_program(task, |_| Fate::Lives), Followed::Executed);
        assert_eq!(io::read_to_string(child.stdout.take().unwrap()).unwrap(), "told\n");
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn a_task_that_is_gone_is_not_followed() {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let gone = Told { is_pending: true, proceed: || true, judge: |_| Fate::Lives };
        assert_eq!(how(child.id()).exec(&gone), Followed::NotExecuted);
    }
}
