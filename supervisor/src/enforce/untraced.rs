// SPDX-License-Identifier: Apache-2.0
//! Looking at an exec that cannot be followed, because a task in the container traces the caller: again and again, until
//! it is over.

use std::{thread, time::Duration};

use nix::unistd::Pid;

use super::Fate;
use crate::{
    process::{Activity, Process},
    sys::{FileFacts, Pidfd, file_facts},
};

/// Pause between two looks at a task that may get its new program at any moment.
const PAUSE: Duration = Duration::from_micros(100);
/// After so many looks an exec is a long one, and after this many a very long one.
const LONG: u64 = 2000;
const VERY_LONG: u64 = 8000;
const LONG_PAUSE: Duration = Duration::from_millis(10);
const VERY_LONG_PAUSE: Duration = Duration::from_millis(100);
/// How many looks may find a program whose arguments are not there yet; a program can also take them away from itself.
const MAX_UNREADY: u32 = 200;

/// A task in an exec that cannot be followed.
pub(crate) struct Untraced {
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
    file: Option<File>,
    /// Changes when somebody renames the file, too.
    name: Option<Vec<u8>>,
}

/// What the kernel itself knows of a program's file: a file system that the container serves may not answer. It can change
/// the number all the same.
#[derive(Debug, PartialEq, Eq)]
struct File {
    device: (u32, u32),
    inode: u64,
    mount: u64,
}

impl Untraced {
    /// `None` where the task cannot be looked at.
    pub(crate) fn of(task: u32) -> Option<Self> {
        let caller = Process::open(task)?;
        let leader = caller.leader()?;
        let reference = Pidfd::open(Pid::from_raw(i32::try_from(leader).ok()?)).ok()?;
        let before = Program::of(&caller)?;
        Some(Self { caller, process: Process::open(leader)?, leader, reference, before })
    }

    /// Has `judge` look at every program that the process shows until the exec, which is the call `number`, is over,
    /// however long it takes: it may wait for a lease, a file system or a processor.
    pub(crate) fn watch(&self, number: i64, judge: impl Fn(u32) -> Fate) -> Fate {
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
                if judge(self.leader) == Fate::Dies {
                    return Fate::Dies;
                }
                is_loaded |= now.file != self.before.file && now.message != self.before.message;
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

    /// Kills the process.
    pub(crate) fn kill(&self) {
        if let Err(error) = self.reference.kill() {
            tracing::error!(%error, process = self.leader, "a program that must not run cannot be killed");
        }
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
        Some(Self { message: process.program_mark()?, file: File::of(process), name: process.link("exe") })
    }
}

impl File {
    fn of(process: &Process) -> Option<Self> {
        let FileFacts { device, inode, mount, .. } = file_facts(process.directory(), c"exe", true).ok()?;
        Some(Self { device, inode, mount })
    }
}
