// SPDX-License-Identifier: Apache-2.0
//! `lanner-runtime`: an OCI runtime that hands every command on to runc or crun, and has the containers that it starts
//! supervised.
#![forbid(unsafe_code)]

mod args;
mod bundle;
mod conmon;
mod exposure;
mod features;
mod guard;
mod log;
mod run_directory;
mod runtime;
mod start;

use std::{convert::Infallible, env, ffi::OsString, io, path::Path, process::ExitCode};

use policy::{Mode, UnknownMode};
use settings::{Settings, SettingsError};

use crate::{
    args::Invocation,
    log::Log,
    runtime::LocateError,
    start::{Refusal, Start},
};

/// Why the low-level runtime was not executed.
#[derive(Debug, thiserror::Error)]
enum RuntimeError {
    #[error("bad value of --lanner-mode")]
    BadMode(#[source] UnknownMode),
    #[error(transparent)]
    Locate(#[from] LocateError),
    #[error("cannot execute `{path}`")]
    Execute { path: String, source: io::Error },
    #[error("cannot supervise the container")]
    Supervise(#[source] Box<dyn std::error::Error>),
}

fn main() -> ExitCode {
    let mut argv = env::args_os();
    let name = argv.next().unwrap_or_default();
    let invocation = Invocation::parse(argv.collect());
    let log = Log::new(&invocation);
    match run(&name, &invocation, &log) {
        Ok(never) => match never {},
        Err(error) => {
            log.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Becomes the low-level runtime; comes back only with the reason why not.
fn run(name: &OsString, invocation: &Invocation, log: &Log) -> Result<Infallible, RuntimeError> {
    let mode = named_mode(name, invocation)?;
    let settings = Settings::load(invocation.settings.as_deref());
    let runtimes =
        settings.as_ref().map_or_else(|_| Settings::default().runtimes, |settings| settings.runtimes.clone());
    let runtime = runtime::locate(&runtimes)?;
    if invocation.starts_container {
        supervise(mode, invocation, settings, &runtime).or_else(|refusal| match refusal.mode {
            Mode::Enforce => Err(RuntimeError::Supervise(Box::new(refusal.cause))),
            Mode::Audit => {
                log.warning(&refusal.cause);
                Ok(())
            }
        })?;
    }
    let source = runtime::execute(&runtime, &invocation.argv);
    Err(RuntimeError::Execute { path: runtime.display().to_string(), source })
}

/// The mode that whoever configured the engine asks for.
fn named_mode(name: &OsString, invocation: &Invocation) -> Result<Mode, RuntimeError> {
    let is_enforcing = Path::new(name).file_name().is_some_and(|name| name == "lanner-runtime-enforce");
    let mut mode = if is_enforcing { Mode::Enforce } else { Mode::Audit };
    for value in &invocation.modes {
        let parsed = value.to_str().ok_or(UnknownMode).and_then(str::parse);
        mode = mode.tighten(parsed.map_err(RuntimeError::BadMode)?);
    }
    Ok(mode)
}

fn supervise(
    mode: Mode,
    invocation: &Invocation,
    settings: Result<Settings, SettingsError>,
    runtime: &Path,
) -> Result<(), Refusal> {
    // A file that cannot be understood may ask for enforcement; one that does not exist asks for nothing.
    let settings = settings.map_err(|error| {
        let mode = if error.is_missing() { mode } else { Mode::Enforce };
        Refusal { mode, cause: error.into() }
    })?;
    Start { invocation, settings: &settings, runtime, mode: mode.tighten(settings.mode) }.prepare()
}
