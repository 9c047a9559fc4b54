// SPDX-License-Identifier: Apache-2.0
//! Following one exec to the moment between the kernel's loading of the image and the image's first instruction.
//!
//! The caller is seized for the length of its exec (`PTRACE_SEIZE`, `PTRACE_O_TRACEEXEC`) and interrupted, so that it
//! stops in any case: inside a successful exec (`PTRACE_EVENT_EXEC`), or behind a failed one (`PTRACE_EVENT_STOP`). At the
//! first stop everything about the new program is final and nobody else's to change: it has its memory to itself.
//!
//! A thread traces one task at a time. A thread that held one tracee and seized another one of the same process, of which
//! a third is inside an exec, would wait for ever (the kernel's `cred_guard_mutex`).

use std::{fs, io, path::Path, thread, time::Duration};

use nix::{
    errno::Errno,
    sys::{ptrace, signal::Signal},
    unistd::Pid,
};

use crate::sys::{Stop, next_stop, resume};

/// `PTRACE_EVENT_STOP` of linux/ptrace.h; libc has no name for it.
const EVENT_STOP: i32 = 128;

/// Pause before a task that another thread of ours traces is tried again.
const PAUSE: Duration = Duration::from_micros(50);

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
    /// Whether the program must not run on when we die while it is stopped.
    pub(crate) kill_on_exit: bool,
}

impl Follow {
    /// Lets the call go on with `proceed`, which answers its notification and says whether that was taken, and hands the
    /// process of the new program to `judge` before it runs. `is_pending` says whether the call still waits for its answer;
    /// `before_wait` is called before anything is waited for, perhaps more than once.
    ///
    /// As little as can be is done between the answer and the wait: the kernel wakes the target on our CPU, and moves a task
    /// that executes to another one if somebody else wants to run there (`sched_exec`), which takes longer than all that we do.
    pub(crate) fn exec(
        self,
        is_pending: impl Fn() -> bool,
        before_wait: impl Fn(),
        proceed: impl FnOnce() -> bool,
        judge: impl FnOnce(u32) -> Fate,
    ) -> Followed {
        let task = Pid::from_raw(i32::try_from(self.task).unwrap_or(i32::MAX));
        let mut options = ptrace::Options::PTRACE_O_TRACEEXEC;
        options.set(ptrace::Options::PTRACE_O_EXITKILL, self.kill_on_exit);
        let mut refusals = 0;
        loop {
            // To let go of a task again it must be stopped, which would withdraw the notification that came instead.
            if !is_pending() {
                return Followed::NotExecuted;
            }
            match ptrace::seize(task, options) {
                Ok(()) => break,
                Err(Errno::ESRCH) => return Followed::NotExecuted,
                Err(_errno) => match Tracer::of(self.task) {
                    // The call was interrupted, and whoever followed it then is about to let go of its task.
                    Tracer::Ours => {
                        before_wait();
                        thread::sleep(PAUSE);
                    }
                    // It was let go of just now, unless the kernel has another reason to refuse.
                    Tracer::Nobody if refusals < MAX_REFUSALS => refusals += 1,
                    Tracer::Nobody | Tracer::Another => return Followed::Untraceable,
                },
            }
        }
        before_wait();
        // An interrupt before the answer would withdraw the notification, and where the kernel holds signals back, it could still
        // do so while the answer is on its way: before Linux 6.17, whose fix stable kernels have, too, a task that is woken by
        // a signal and finds its answer there does not take it (`should_sleep_killable` of its `seccomp.c`).
        let _taken = proceed();
        interrupt(task);
        wait_for_stop(task, judge)
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

/// A task that is gone needs no interrupt: the wait tells.
fn interrupt(task: Pid) {
    if let Err(errno) = ptrace::interrupt(task) {
        tracing::debug!(%errno, %task, "a task cannot be interrupted");
    }
}

/// Waits for the task that this thread has seized, and leaves no tracee behind. It may change its number: a thread that
/// executes becomes its process' leader.
///
/// Between an exec that failed and our interrupt the task runs, and children that it makes then with `CLONE_PTRACE` (clone(2))
/// are handed its tracer. They stop before they run.
fn wait_for_stop(seized: Pid, judge: impl FnOnce(u32) -> Fate) -> Followed {
    let followed = wait_for_exec(seized, judge);
    loop {
        match next_stop(None) {
            Ok(Stop::Event(child, _) | Stop::Signal(child, _) | Stop::Ended(child)) => release(child, None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_none_left) => return followed,
        }
    }
}

fn wait_for_exec(seized: Pid, judge: impl FnOnce(u32) -> Fate) -> Followed {
    loop {
        // A signal that arrived before our interrupt showed is the task's business.
        let (task, signal) = match next_stop(None) {
            Ok(Stop::Event(process, libc::PTRACE_EVENT_EXEC)) => {
                return finish(process, judge(process.as_raw().unsigned_abs()));
            }
            Ok(Stop::Event(task, EVENT_STOP)) => {
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
        io::{BufRead, BufReader, Read, Write},
        process::{Child, Command, Stdio},
    };

    use super::*;

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
        let mut seen = None;
        // Not by `exec`, whose interrupt would stop a shell that waits for its line at once.
        let how = Follow { task: child.id(), kill_on_exit: false };
        let task = Pid::from_raw(i32::try_from(how.task).unwrap());
        ptrace::seize(task, ptrace::Options::PTRACE_O_TRACEEXEC).unwrap();
        input.write_all(b"go\n").unwrap();
        let followed = wait_for_stop(task, |process| {
            seen = fs::read_link(format!("/proc/{process}/exe")).ok();
            fate
        });
        (followed, seen)
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
        let mut input = child.stdin.take().unwrap();
        let (seized, is_seized) = std::sync::mpsc::channel();
        let other = thread::spawn(move || {
            ptrace::seize(task, ptrace::Options::empty()).unwrap();
            seized.send(()).unwrap();
            thread::sleep(Duration::from_millis(50));
            interrupt(task);
            wait_for_stop(task, |_| Fate::Lives)
        });
        is_seized.recv().unwrap();
        let how = Follow { task: child.id(), kill_on_exit: false };
        let followed = how.exec(|| true, || (), || input.write_all(b"go\n").is_ok(), |_| Fate::Lives);
        assert_ne!(followed, Followed::Untraceable);
        assert_eq!(other.join().unwrap(), Followed::NotExecuted);
        assert!(child.wait().unwrap().success());
        let withdrawn = how.exec(|| false, || (), || panic!("it has no call to answer"), |_| Fate::Lives);
        assert_eq!(withdrawn, Followed::NotExecuted);
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
            let followed = wait_for_stop(task, |_| {
                nix::sys::signal::kill(task, Signal::SIGKILL).unwrap();
                while fs::read_to_string(format!("/proc/{task}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
                    thread::sleep(PAUSE);
                }
                Fate::Lives
            });
            let _in_time = is_done.recv_timeout(Duration::from_secs(5));
            followed
        });
        let begin = std::time::Instant::now();
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
        assert_eq!(wait_for_stop(task, |_| Fate::Lives), Followed::Executed);
        assert_eq!(io::read_to_string(child.stdout.take().unwrap()).unwrap(), "told\n");
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn a_task_that_is_gone_is_not_followed() {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let gone = Follow { task: child.id(), kill_on_exit: false };
        assert_eq!(gone.exec(|| true, || (), || true, |_| Fate::Lives), Followed::NotExecuted);
    }
}
