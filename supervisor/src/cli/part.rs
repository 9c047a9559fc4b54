// SPDX-License-Identifier: Apache-2.0
//! The subcommands that are no tools for people: the guard, the supervisor and the opener of one container.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};

use crate::{
    enforce,
    guard::{self, AdoptArguments, GuardArguments},
    supervise::{self, SupervisorArguments},
};

#[derive(Debug, Subcommand)]
pub(super) enum Part {
    /// Own a container's listeners (started by the shim)
    #[command(hide = true)]
    Guard(GuardCommand),
    /// Answer a container's calls (started by the guard)
    #[command(hide = true)]
    Supervise {
        /// The container's run directory
        #[arg(long)]
        directory: PathBuf,
    },
    /// Act for tasks where they live (started by the supervisor)
    #[command(hide = true)]
    Open,
}

/// How a guard begins.
#[derive(Debug, Args)]
pub(super) struct GuardCommand {
    /// The container's run directory
    #[arg(long)]
    directory: PathBuf,
    /// Pid of the shim, which becomes the low-level runtime
    #[arg(long, required_unless_present = "adopt", conflicts_with = "adopt")]
    runtime_pid: Option<i32>,
    /// Take over from a guard that died; standard input is the supervisor's socket
    #[arg(long)]
    adopt: bool,
}

impl Part {
    /// Runs a part, which answers to the others and the shim rather than to a terminal.
    pub(super) fn run(&self, config: &Path) -> ExitCode {
        let config = config.to_owned();
        match self {
            Self::Guard(GuardCommand { directory, runtime_pid, .. }) => {
                let directory = directory.clone();
                match *runtime_pid {
                    Some(runtime_pid) => guard::run(&GuardArguments { directory, config, runtime_pid }),
                    None => guard::adopt(AdoptArguments { directory, config }),
                }
            }
            Self::Supervise { directory } => {
                supervise::run(SupervisorArguments { directory: directory.clone(), config })
            }
            Self::Open => enforce::serve(),
        }
    }
}
