// SPDX-License-Identifier: Apache-2.0
//! A guard's second beginning: the old one died, and the supervisor, which holds everything twice, has started us.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::{Path, PathBuf},
    process::ExitCode,
};

use nix::unistd::setsid;

use super::{
    custody::Custody,
    emergency::Emergency,
    keeper::Guard,
    pulse::Pulse,
    remembered::Memory,
    runtime_call::RuntimeCall,
    supervisor_process::{SupervisorCommand, SupervisorProcess},
};
use crate::{
    account::Realm,
    backoff::Backoff,
    config::Config,
    control::{Control, ControlError, ToNewGuard},
    diagnostics,
    event_log::{EventLog, EventLogError},
    executable,
    run_directory::{Plan, RunDirectory, RunDirectoryError},
    slots::SlotsFile,
    sources::{Sources, SourcesError},
    sys::{self, Listener, Pidfd},
    untrapped::Untrapped,
};

/// What the supervisor says on the command line.
#[derive(Debug)]
pub(crate) struct AdoptArguments {
    /// The container's run directory.
    pub(crate) directory: PathBuf,
    /// The configuration file.
    pub(crate) config: PathBuf,
}

/// Why the supervisor's gift cannot be taken.
#[derive(Debug, thiserror::Error)]
enum AdoptError {
    #[error("cannot take over the control socket")]
    ControlSocket(#[source] io::Error),
    #[error("cannot speak with the supervisor")]
    Control(#[from] ControlError),
    #[error("the supervisor stopped in the middle")]
    Incomplete,
    #[error(transparent)]
    Directory(#[from] RunDirectoryError),
    #[error(transparent)]
    Sources(#[from] SourcesError),
    #[error(transparent)]
    EventLog(#[from] EventLogError),
}

/// Runs a guard that takes over; the control socket is our standard input.
pub(crate) fn adopt(arguments: AdoptArguments) -> ExitCode {
    diagnostics::start_as_told();
    // What was ignored stays so in a program that is executed, but not what had a handler.
    if let Err(error) = sys::outlive_signals() {
        tracing::error!(%error, "the guard ends by signals that are sent to all");
    }
    match take_over(arguments) {
        Ok(guard) => {
            tracing::warn!(directory = %guard.directory.path().display(), "a new guard has taken over");
            guard.keep();
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "no new guard");
            ExitCode::FAILURE
        }
    }
}

fn take_over(arguments: AdoptArguments) -> Result<Guard, AdoptError> {
    let control = io::stdin().as_fd().try_clone_to_owned().map(Control::from_descriptor);
    let control = control.map_err(AdoptError::ControlSocket)?;
    if let Err(errno) = setsid() {
        tracing::warn!(%errno, "the guard shares its starter's session");
    }
    let mut custody = Custody::default();
    let mut realm = None;
    let (lock, socket, supervisor, sources, runtime) = loop {
        let Some((message, mut descriptors)) = control.receive::<ToNewGuard>()? else {
            return Err(AdoptError::Incomplete);
        };
        let has_runtime = matches!(message, ToNewGuard::Complete { has_runtime: true, .. });
        let runtime = descriptors.pop_if(|_| has_runtime).map(Pidfd::from_descriptor);
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or(AdoptError::Incomplete);
        match message {
            ToNewGuard::Listener { listener } => {
                custody.adopt(listener, Listener::new(next()?), SlotsFile::from_descriptor(next()?));
            }
            ToNewGuard::Realm(maps) => realm = Some(Realm::new(next()?, maps)),
            ToNewGuard::Complete { next_listener, .. } => {
                custody.skip_to(next_listener);
                let supervisor = |supervisor| Pidfd::from_descriptor(supervisor);
                break (next()?, UnixListener::from(next()?), supervisor(next()?), next().ok(), runtime);
            }
        }
    };
    let AdoptArguments { directory: path, config } = arguments;
    let directory = RunDirectory::new(&path);
    let plan = directory.plan()?;
    let call = runtime.as_ref().and_then(|runtime| call_of(runtime, &plan));
    let settings = settings(&config, sources.as_ref())?;
    let event_log = EventLog::open(&settings.event_log)?;
    let mut emergency = Emergency::new(plan.mode, settings.enforcement.enforce.errno, event_log, plan.id);
    emergency.supervisor_is_ready(custody.taken());
    let log_level = settings.log_level.0;
    let memory = Memory::new(&settings.run_dir, Path::new(executable::OWN), plan.mode);
    Ok(Guard {
        directory,
        socket,
        lock,
        runtime,
        call,
        command: SupervisorCommand { directory: path, config, log_level },
        supervisor: Some(SupervisorProcess::adopt(supervisor, control)),
        connections: Vec::new(),
        custody,
        sources,
        realm,
        backoff: Backoff::default(),
        restart_at: None,
        emergency,
        memory,
        pulse: Pulse::new(),
        log: settings.log,
        untrapped: Untrapped::default(),
    })
}

/// How the low-level runtime was called that has not sent a listener yet; `None` where it has ended since.
fn call_of(runtime: &Pidfd, plan: &Plan) -> Option<RuntimeCall> {
    let process = i32::try_from(runtime.number()?).ok()?;
    RuntimeCall::of(process, plan)
        .inspect_err(|error| tracing::error!(%error, "a container that starts without a listener would not be found"))
        .ok()
}

/// The configuration as the file says, or, if that has become bad, as it was when the rules in force were loaded.
fn settings(path: &Path, sources: Option<&OwnedFd>) -> Result<Config, AdoptError> {
    match (Config::load(path, &[]), sources) {
        (Ok((config, _notices)), _) => Ok(config),
        (Err(_), Some(sources)) => Ok(Sources::from_memfd(sources.as_fd())?.0),
        (Err(error), None) => Err(SourcesError::from(error).into()),
    }
}
