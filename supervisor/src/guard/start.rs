// SPDX-License-Identifier: Apache-2.0
//! The guard's first moments: check everything, go into the background, and tell the shim that the socket listens.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::{
            fs::{OpenOptionsExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use nix::unistd::{Pid, dup2_stderr, dup2_stdout};
use policy::{LISTENER_PATH_MAX, Mode, Watched};
use serde::Serialize;

use super::{
    custody::Custody,
    emergency::Emergency,
    keeper::Guard,
    pulse::Pulse,
    remembered::Memory,
    runtime_call::RuntimeCall,
    supervisor_process::{SupervisorCommand, SupervisorError},
};
use crate::{
    backoff::Backoff,
    config::{Config, ConfigError},
    diagnostics,
    event_log::{EventLog, EventLogError, open_for_appending},
    executable,
    run_directory::{RunDirectory, RunDirectoryError},
    sources::Sources,
    sys::{self, Background, Pidfd, SyscallError},
    untrapped::Untrapped,
};

/// How long an audited container waits for a supervisor that loads its rules. Where many start at once it takes its time.
const AUDIT_PATIENCE: Duration = Duration::from_secs(8);
/// The same for one that must not start without; the shim waits a little longer.
const ENFORCE_PATIENCE: Duration = Duration::from_secs(40);

/// What the shim says on the command line.
#[derive(Debug)]
pub(crate) struct GuardArguments {
    /// The container's run directory, with the plan in it.
    pub(crate) directory: PathBuf,
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// The shim's pid, which becomes the low-level runtime's.
    pub(crate) runtime_pid: i32,
}

/// Why a guard cannot take a container.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot use the configuration")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Directory(#[from] RunDirectoryError),
    #[error(transparent)]
    Syscall(#[from] SyscallError),
    #[error("cannot open our own log `{path}`")]
    Log { path: PathBuf, source: io::Error },
    #[error(
        "the listener socket's path `{path}` has {length} bytes, and a Unix socket's may have {LISTENER_PATH_MAX}: choose a shorter `run_dir`"
    )]
    SocketPath { path: PathBuf, length: usize },
    #[error("cannot listen on `{path}`")]
    Socket { path: PathBuf, source: io::Error },
    #[error("the low-level runtime (pid {pid}) cannot be watched")]
    Runtime { pid: i32, source: io::Error },
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    EventLog(#[from] EventLogError),
}

/// The one line that the shim reads.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer {
    Ready { ready: bool, wait_killable: bool, watched: Vec<Watched> },
    Error { error: String },
}

/// Runs a guard; returns in the process that the shim started, and in the background when the container is gone.
pub(crate) fn run(arguments: &GuardArguments) -> ExitCode {
    let prepared = sys::close_inherited().map_err(StartError::from).and_then(|()| prepare(arguments));
    let Prepared { guard, fingerprint, known } = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return refuse(&error),
    };
    // What is known can be said at once: the shim need not wait for our way into the background.
    let is_ready = known.is_some();
    if let Some(Err(error)) = known.map(|watched| ready(&guard, watched)) {
        return refuse(&error);
    }
    if let Err(error) = sys::outlive_signals().and_then(|()| sys::leave_keyring()) {
        return refuse(&error.into());
    }
    match sys::go_into_background() {
        // The child holds the lock and the socket; nothing here may undo them, and nothing does: leaving drops only
        // this process' descriptors.
        Ok(Background::Parent) => return ExitCode::SUCCESS,
        Ok(Background::Child) => {}
        Err(error) => return refuse(&error.into()),
    }
    let begun =
        if is_ready { Ok(Guard { restart_at: Some(Instant::now()), ..guard }) } else { begin(guard, fingerprint) };
    let guard = match begun {
        Ok(guard) => guard,
        Err(error) => return refuse(&error),
    };
    close_pipe();
    guard.keep();
    ExitCode::SUCCESS
}

/// A guard before its supervisor.
struct Prepared {
    guard: Guard,
    /// Which version of the texts there is; `None` where they cannot be read.
    fingerprint: Option<u64>,
    /// The calls that these need, where somebody has said it.
    known: Option<Vec<Watched>>,
}

/// Checks everything that a guard needs, and looks up which calls these rules need if another container's supervisor has
/// said so already.
///
/// An enforced container must not start before its rules are known to load. An audited one may, if its rules are known: its
/// calls wait for the supervisor, which starts and loads its rules while the low-level runtime is at work.
fn prepare(arguments: &GuardArguments) -> Result<Prepared, StartError> {
    // Rules that cannot be read are the supervisor's to report.
    let (config, fingerprint) = match Sources::read(&arguments.config) {
        Ok((config, sources)) => (config, Some(sources.fingerprint())),
        Err(_) => (Config::load(&arguments.config, &[])?.0, None),
    };
    let log = open_log(&config.log)?;
    let directory = RunDirectory::new(&arguments.directory);
    let plan = directory.plan()?;
    let event_log = EventLog::open(&config.event_log)?;
    let lock = directory.lock()?;
    let not_watched = |source| StartError::Runtime { pid: arguments.runtime_pid, source };
    let runtime = Pidfd::open(Pid::from_raw(arguments.runtime_pid)).map_err(not_watched)?;
    let call = RuntimeCall::of(arguments.runtime_pid, &plan).map_err(not_watched)?;
    let socket = listen(&directory.listener())?;
    make_counters(&directory)?;
    let command = SupervisorCommand {
        directory: arguments.directory.clone(),
        config: arguments.config.clone(),
        log_level: config.log_level.0,
    };
    dup2_stderr(log.as_fd()).map_err(|errno| SyscallError::from_errno("dup2", errno))?;
    diagnostics::name_container(&plan.id);
    diagnostics::start(config.log_level.0);
    let memory = Memory::new(&config.run_dir, Path::new(executable::OWN), plan.mode);
    let known = fingerprint.filter(|_| plan.mode == Mode::Audit).and_then(|fingerprint| memory.recall(fingerprint));
    let guard = Guard {
        directory,
        socket,
        lock,
        runtime: Some(runtime),
        call: Some(call),
        command,
        supervisor: None,
        connections: Vec::new(),
        custody: Custody::default(),
        sources: None,
        realm: None,
        backoff: Backoff::default(),
        restart_at: None,
        emergency: Emergency::new(plan.mode, config.enforcement.enforce.errno, event_log, plan.id),
        memory,
        pulse: Pulse::new(),
        log: config.log,
        untrapped: Untrapped::default(),
    };
    Ok(Prepared { guard, fingerprint, known })
}

/// Starts the first supervisor and lets the shim go on, which must know the calls that the rules need.
fn begin(mut guard: Guard, fingerprint: Option<u64>) -> Result<Guard, StartError> {
    let is_audit = guard.emergency.mode() == Mode::Audit;
    let supervisor = guard.new_supervisor()?;
    match supervisor.wait_until_ready(if is_audit { AUDIT_PATIENCE } else { ENFORCE_PATIENCE }) {
        Ok((fingerprint, watched)) => {
            guard.memory.remember(fingerprint, &watched);
            guard.emergency.supervisor_is_ready(guard.custody.taken());
            guard.supervisor = Some(supervisor);
            ready(&guard, watched)?;
        }
        Err(error @ SupervisorError::TooSlow(_)) if is_audit => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the container starts before its supervisor is ready"
            );
            // By now another container's may have said it.
            ready(&guard, fingerprint.and_then(|fingerprint| guard.memory.recall(fingerprint)).unwrap_or_default())?;
            guard.supervisor = Some(supervisor);
        }
        Err(error) => {
            if let Err(error) = supervisor.finish(Duration::ZERO) {
                tracing::error!(%error, "the supervisor cannot be waited for");
            }
            if !is_audit {
                return Err(error.into());
            }
            tracing::error!(error = &error as &dyn std::error::Error, "the container starts without a supervisor");
            ready(&guard, Vec::new())?;
            guard.restart_at = Some(Instant::now());
        }
    }
    Ok(guard)
}

/// Notes which calls are trapped, and tells the shim.
fn ready(guard: &Guard, watched: Vec<Watched>) -> Result<(), StartError> {
    guard.directory.set_trapped(&watched)?;
    answer(&Answer::Ready { ready: true, wait_killable: sys::supports_wait_killable(), watched });
    Ok(())
}

fn refuse(error: &StartError) -> ExitCode {
    answer(&Answer::Error { error: diagnostics::chain(error) });
    ExitCode::FAILURE
}

/// Writes the shim's line.
fn answer(answer: &Answer) {
    let written = serde_json::to_string(answer)
        .map_err(io::Error::other)
        .and_then(|line| io::stdout().lock().write_all(format!("{line}\n").as_bytes()));
    if let Err(error) = written {
        tracing::error!(%error, "the shim is gone before its answer");
    }
}

/// Tells the shim that we are in the background.
fn close_pipe() {
    let closed = File::open("/dev/null").and_then(|null| dup2_stdout(null).map_err(io::Error::from));
    if let Err(error) = closed {
        tracing::error!(%error, "the shim's pipe stays open");
    }
}

fn open_log(path: &Path) -> Result<File, StartError> {
    open_for_appending(path).map_err(|source| StartError::Log { path: path.to_owned(), source })
}

fn listen(path: &Path) -> Result<UnixListener, StartError> {
    let length = path.as_os_str().len();
    if length > LISTENER_PATH_MAX {
        return Err(StartError::SocketPath { path: path.to_owned(), length });
    }
    let failed = |source| StartError::Socket { path: path.to_owned(), source };
    let socket = UnixListener::bind(path).map_err(failed)?;
    // A rootless runtime of another user has no business here; the directory says so too.
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket)
}

fn make_counters(directory: &RunDirectory) -> Result<(), StartError> {
    let path = directory.counters();
    let failed = |source| StartError::Directory(RunDirectoryError::File { path: path.clone(), source });
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
    file.set_len(crate::counters::Counters::FILE_BYTES).map_err(failed)
}
