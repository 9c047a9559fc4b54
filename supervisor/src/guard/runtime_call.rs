// SPDX-License-Identifier: Apache-2.0
//! The engine's call that starts the container, asked again about the container for the case that no listener comes.
//!
//! A runtime that installs no filter (a wrapper that takes the profile out, a profile that it reads otherwise than we do)
//! succeeds like any other, and only its own state tells so. Where that state lies depends on the options before the
//! command, on the working directory and on `XDG_RUNTIME_DIR`, so the same program is called with the same ones: the
//! shim, which hands `state` and `kill` on like every command that starts nothing.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    time::{ClockId, clock_gettime},
    unistd::{Pid, SysconfVar, sysconf},
};
use serde::Deserialize;

use crate::{process::Process, run_directory::Plan, sys::Pidfd};

/// First look at a container whose runtime is still at work: a start takes a tenth of this, and then nobody looks.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// Longest pause between looks: so long may a container run without its filter behind a hook that takes minutes. A look
/// takes some 20 ms.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long the runtime may take for an answer while a listener could still come, which waits meanwhile.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
/// The same when none can come any more.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a killed process may take to end.
const DEATH_PATIENCE: Duration = Duration::from_secs(5);
/// Longest state document, which holds the container's annotations.
const MAX_STATE_BYTES: usize = 1 << 20;
/// Where rootless runtimes keep their state.
const RUNTIME_FOLDER: &str = "XDG_RUNTIME_DIR";

/// How the engine called the shim, and which container was meant.
#[derive(Debug)]
pub(super) struct RuntimeCall {
    /// The shim's executable, held open: an upgrade may unlink it.
    program: File,
    /// What may stand before the command: an option's value can be called like a command, and then there are several.
    options: Vec<Vec<OsString>>,
    folder: PathBuf,
    runtime_folder: Option<OsString>,
    id: String,
    bundle: PathBuf,
    /// When the call began, in clock ticks since boot.
    began: u64,
    due: Instant,
    pause: Duration,
}

/// Whether the runtime is still at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is: what it has created may have no filter yet, what runs has got all it will get.
    AtWork,
    /// It has ended: what it has created stays as it is.
    Ended,
}

/// The members of a state document that decide something here (OCI runtime spec, runtime.md, "State").
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct State {
    id: String,
    status: String,
    #[serde(default)]
    pid: i32,
    #[serde(default)]
    bundle: PathBuf,
}

impl RuntimeCall {
    /// Reads the call of a shim that waits for us.
    pub(super) fn of(shim: i32, plan: &Plan) -> io::Result<Self> {
        let process = format!("/proc/{shim}");
        let read = |name: &str| fs::read(format!("{process}/{name}"));
        let unknown = || io::Error::other(format!("`{process}` is no process"));
        let task = u32::try_from(shim).map_err(io::Error::other)?;
        let began = Process::open(task).and_then(|process| process.stat()).ok_or_else(unknown)?.started;
        let environment = read("environ")?;
        let value = |variable: &[u8]| variable.strip_prefix(RUNTIME_FOLDER.as_bytes())?.strip_prefix(b"=").map(word);
        Ok(Self {
            program: File::open(format!("{process}/exe"))?,
            options: options(&read("cmdline")?),
            folder: fs::read_link(format!("{process}/cwd"))?,
            runtime_folder: environment.split(|byte| *byte == 0).find_map(value),
            id: plan.id.clone(),
            bundle: plan.bundle.clone(),
            began,
            due: Instant::now() + FIRST_LOOK,
            pause: FIRST_LOOK,
        })
    }

    /// When to look at the container next while the runtime is at work.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Notes that somebody looks now.
    pub(super) fn postpone(&mut self) {
        self.due = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The first process of the container, if the runtime says that there is one and this call has started it.
    pub(super) fn container(&self, stage: Stage) -> Option<Pidfd> {
        let patience = if stage == Stage::AtWork { SHORT_PATIENCE } else { PATIENCE };
        let latest = ticks_since_boot();
        let alive = || self.state(patience).filter(|state| is_alive(&state.status, stage));
        let found = alive()?;
        let process = Pidfd::open(Pid::from_raw(found.pid)).ok()?;
        // The runtime looks after its processes' numbers: if it still names this one, the descriptor is of it.
        if alive()?.pid != found.pid || !is_same_folder(&found.bundle, &self.bundle) {
            return None;
        }
        // A start that fails because the name is taken must not be the end of whoever has it, nor of one that comes next.
        let started = Process::open(u32::try_from(found.pid).ok()?)?.stat()?.started;
        (self.began..=latest).contains(&started).then_some(process)
    }

    /// Kills the container; says why it may be alive all the same.
    pub(super) fn kill(&self, process: &Pidfd) -> io::Result<()> {
        process.kill()?;
        // Where it shares its pid namespace, its children outlive it. Runtimes that do not know the flag refuse.
        drop(self.ask(&["kill", "--all"], &["KILL"], PATIENCE));
        let mut ended = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(DEATH_PATIENCE).unwrap_or(PollTimeout::MAX);
        match poll(&mut ended, patience) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn state(&self, patience: Duration) -> Option<State> {
        let answers = self.ask(&["state"], &[], patience);
        answers.iter().find_map(|answer| parse(answer, &self.id))
    }

    /// Gives a command about the container to the runtime; whatever it prints, for each way to read the engine's call.
    fn ask(&self, command: &[&str], operands: &[&str], patience: Duration) -> Vec<Vec<u8>> {
        let answer = |options: &Vec<OsString>| match self.call(options, command, operands, patience) {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::error!(%error, ?command, "the low-level runtime cannot be asked");
                None
            }
        };
        self.options.iter().filter_map(answer).collect()
    }

    fn call(
        &self,
        options: &[OsString],
        command: &[&str],
        operands: &[&str],
        patience: Duration,
    ) -> io::Result<Vec<u8>> {
        let mut child = Command::new(format!("/proc/self/fd/{}", self.program.as_raw_fd()))
            .args(options)
            .args(command)
            .arg(&self.id)
            .args(operands)
            .current_dir(&self.folder)
            .envs(self.runtime_folder.iter().map(|folder| (RUNTIME_FOLDER, folder)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let deadline = Instant::now() + patience;
        let answer = child.stdout.take().map_or_else(|| Ok(Vec::new()), |pipe| read_to_end(pipe, deadline));
        if answer.is_err() {
            child.kill()?;
        }
        child.wait()?;
        answer
    }
}

fn word(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

/// What stands before the command that starts a container, for each word that may be this command.
fn options(cmdline: &[u8]) -> Vec<Vec<OsString>> {
    let words: Vec<_> = cmdline.split(|byte| *byte == 0).skip(1).collect();
    let is_start = |place: &usize| words.get(*place).is_some_and(|word| STARTS.contains(word));
    let before = |place: usize| words.iter().take(place).map(|bytes| word(bytes)).collect();
    (0..words.len()).filter(is_start).map(before).collect()
}

/// The commands for which the shim starts a guard.
const STARTS: [&[u8]; 2] = [b"create", b"run"];

fn parse(document: &[u8], id: &str) -> Option<State> {
    serde_json::from_slice::<State>(document).ok().filter(|state| state.id == id)
}

/// Whether a container of this status is beyond the point where its listener comes.
fn is_alive(status: &str, stage: Stage) -> bool {
    match status {
        "running" | "paused" => true,
        "created" => stage == Stage::Ended,
        _ => false,
    }
}

/// Runtimes may name the bundle by another path than engines do, or not at all.
fn is_same_folder(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|folder| (folder.dev(), folder.ino()));
    match (identity(one), identity(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other || one.as_os_str().is_empty(),
    }
}

/// Rounded up, in the unit of a process' start time.
fn ticks_since_boot() -> u64 {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or(100);
    let Ok(now) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return u64::MAX };
    let now = Duration::from(now);
    now.as_secs() * ticks + u64::from(now.subsec_nanos()) * ticks / 1_000_000_000 + 1
}

fn read_to_end(mut pipe: ChildStdout, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let length = pipe.read(&mut piece)?;
        if length == 0 {
            return Ok(text);
        }
        text.extend(piece.iter().take(length));
        if text.len() > MAX_STATE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_the_command_is_kept() {
        let cases: [(&[u8], &[&[&str]]); 4] = [
            (b"lanner-runtime\0--root\0/run/x\0create\0--bundle\0/b\0c1\0", &[&["--root", "/run/x"]]),
            (b"shim\0run\0c1\0", &[&[]]),
            (b"shim\0--root\0run\0create\0c1\0", &[&["--root"], &["--root", "run"]]),
            (b"shim\0state\0c1\0", &[]),
        ];
        for (cmdline, expected) in cases {
            assert_eq!(options(cmdline), expected, "{}", cmdline.escape_ascii());
        }
    }

    #[test]
    fn a_container_without_filter_is_one_that_will_get_none() {
        for (status, at_work, ended) in [
            ("creating", false, false),
            ("created", false, true),
            ("running", true, true),
            ("paused", true, true),
            ("stopped", false, false),
        ] {
            assert_eq!((is_alive(status, Stage::AtWork), is_alive(status, Stage::Ended)), (at_work, ended), "{status}");
        }
    }

    #[test]
    fn only_the_state_of_the_container_itself_counts() {
        let document = br#"{"ociVersion":"1.0.2","id":"c1","pid":7,"status":"running","bundle":"/b","annotations":{}}"#;
        let state = parse(document, "c1").unwrap();
        assert_eq!((state.status.as_str(), state.pid, state.bundle.as_path()), ("running", 7, Path::new("/b")));
        assert_eq!(parse(document, "c2"), None);
        assert_eq!(parse(b"ID  PID  STATUS\n", "c1"), None);
    }
}
