// SPDX-License-Identifier: Apache-2.0
//! Starts the guard and waits until its socket listens; ARCHITECTURE.md, "Shim and guard", is the contract.

use std::{
    env,
    ffi::OsString,
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{self, Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use policy::Watched;
use serde::Deserialize;

use settings::Settings;

use crate::runtime;

/// Loading the stock rules takes milliseconds, and longer where many containers start at once; kubelet gives a container two
/// minutes.
const DEADLINE: Duration = Duration::from_secs(50);

/// The ready line names calls at most; more is not a guard talking.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// The guard's answer when it listens.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Ready {
    /// Whether the kernel knows the flag that [`crate::features`] asks the runtime for.
    pub(crate) wait_killable: bool,
    /// The calls that the rules need beyond the base set.
    pub(crate) watched: Vec<Watched>,
}

/// Why there is no guard.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuardError {
    #[error("cannot find the executable `{}`", name.display())]
    NotFound { name: PathBuf },
    #[error("cannot start `{}`", path.display())]
    Start { path: PathBuf, source: io::Error },
    #[error("the guard does not start: {cause}")]
    Refused { cause: String },
    #[error("the guard ended without an answer")]
    Silent,
    #[error("the guard did not answer within {} seconds", DEADLINE.as_secs())]
    Late,
    #[error("cannot read the guard's answer")]
    Read(#[source] io::Error),
    #[error("cannot parse the guard's answer")]
    Parse(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    ready: bool,
    error: Option<String>,
    #[serde(flatten)]
    facts: Ready,
}

/// A guard that has answered and is on its way into the background.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    pipe: ChildStdout,
    deadline: Instant,
}

/// Starts the guard of the container whose run directory is `directory`.
pub(crate) fn start(directory: &Path, settings: &Settings) -> Result<(Ready, Started), GuardError> {
    let path = executable(settings)?;
    let mut child = Command::new(&path)
        .args(["guard".as_ref(), "--directory".as_ref(), directory.as_os_str()])
        .args(["--config".as_ref(), settings.file.as_os_str()])
        .args(["--runtime-pid".to_owned(), process::id().to_string()])
        .env_clear()
        .envs(environment())
        // Neither the engine's terminal nor the bundle's mount may be kept by a process that outlives the command.
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| GuardError::Start { path, source })?;
    let deadline = Instant::now() + DEADLINE;
    let answer = match child.stdout.take() {
        Some(mut pipe) => read_line(&mut pipe, deadline).and_then(|line| Ok((parse(&line)?, pipe))),
        None => Err(GuardError::Silent),
    };
    match answer {
        Ok((ready, pipe)) => Ok((ready, Started { child, pipe, deadline })),
        Err(error) => {
            give_up(&mut child);
            Err(error)
        }
    }
}

impl Started {
    /// Waits until the guard is in the background, so that the low-level runtime inherits no child from us.
    pub(crate) fn settle(mut self) -> Result<(), GuardError> {
        let last = match read_line(&mut self.pipe, self.deadline) {
            Ok(last) => last,
            Err(error) => {
                give_up(&mut self.child);
                return Err(error);
            }
        };
        let status = self.child.wait().map_err(GuardError::Read)?;
        if status.success() { Ok(()) } else { Err(parse(&last).err().unwrap_or(GuardError::Silent)) }
    }
}

/// Stops a child that will not serve.
fn give_up(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

/// Configured, beside the shim, or in PATH.
fn executable(settings: &Settings) -> Result<PathBuf, GuardError> {
    if let Some(path) = &settings.lanner {
        return runtime::find(path).ok_or_else(|| GuardError::NotFound { name: path.clone() });
    }
    let beside = env::current_exe().ok().and_then(|own| runtime::find(&own.with_file_name("lanner")));
    let name = Path::new("lanner");
    beside.or_else(|| runtime::find(name)).ok_or_else(|| GuardError::NotFound { name: name.to_owned() })
}

/// What of the engine's environment is meant for Lanner; the rest may hold its secrets.
fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, _)| {
        ["PATH", "TZ", "RUST_LOG"].iter().any(|kept| name == kept) || name.as_bytes().starts_with(b"LANNER_")
    })
}

fn parse(line: &[u8]) -> Result<Ready, GuardError> {
    if line.is_empty() {
        return Err(GuardError::Silent);
    }
    let answer: Answer = serde_json::from_slice(line).map_err(GuardError::Parse)?;
    match answer.error {
        Some(cause) => Err(GuardError::Refused { cause }),
        None if answer.ready => Ok(answer.facts),
        None => Err(GuardError::Refused { cause: "it is not ready".to_owned() }),
    }
}

/// One line, or what came until the other end closed.
fn read_line(pipe: &mut ChildStdout, deadline: Instant) -> Result<Vec<u8>, GuardError> {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    while !line.contains(&b'\n') && line.len() < MAX_LINE_BYTES {
        wait_readable(pipe, deadline)?;
        let count = pipe.read(&mut chunk).map_err(GuardError::Read)?;
        if count == 0 {
            break;
        }
        line.extend(chunk.iter().take(count));
    }
    Ok(line.split(|byte| *byte == b'\n').next().unwrap_or_default().to_owned())
}

fn wait_readable(pipe: &ChildStdout, deadline: Instant) -> Result<(), GuardError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(GuardError::Late),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(GuardError::Read(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_one_json_line() {
        assert_eq!(parse(br#"{"ready": true}"#).unwrap(), Ready::default());
        let facts = Ready { wait_killable: true, watched: vec![Watched::always("connect")] };
        let line = br#"{"ready":true,"wait_killable":true,"watched":[{"name":"connect"}],"x":1}"#;
        assert_eq!(parse(line).unwrap(), facts);
        let refused = parse(br#"{"error": "cannot load `a.yaml`"}"#).unwrap_err();
        assert_eq!(refused.to_string(), "the guard does not start: cannot load `a.yaml`");
        assert!(matches!(parse(b""), Err(GuardError::Silent)));
        assert!(matches!(parse(b"{}"), Err(GuardError::Refused { .. })));
        assert!(matches!(parse(b"ready"), Err(GuardError::Parse(_))));
    }

    #[test]
    fn a_guard_that_says_nothing_is_not_waited_for_longer_than_agreed() {
        let spawn = |script| Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut silent = spawn("exec sleep 60");
        let late = read_line(silent.stdout.as_mut().unwrap(), Instant::now() + Duration::from_millis(50));
        assert!(matches!(late, Err(GuardError::Late)));
        silent.kill().unwrap();
        silent.wait().unwrap();
        let mut talking = spawn("printf '{\"re'; sleep 0.05; printf 'ady\":true}\\nmore'");
        let line = read_line(talking.stdout.as_mut().unwrap(), Instant::now() + DEADLINE).unwrap();
        assert_eq!(line, b"{\"ready\":true}");
        talking.wait().unwrap();
    }
}
