// SPDX-License-Identifier: Apache-2.0
//! The command line of `lanner`: what each subcommand is given, and the exit code it ends with.
//!
//! 0: done. 1: it failed. 2: the command line is wrong. 78: the configuration or the rules are wrong (`EX_CONFIG`).

use std::{
    error::Error,
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{Config, ConfigError, DEFAULT_PATH, Notice},
    diagnostics, enforce,
    guard::{self, AdoptArguments, GuardArguments},
    logs::{self, LogsArguments, LogsError},
    node::service::{self, ServeError},
    ps::{self, PsArguments, PsError},
    supervise::{self, SupervisorArguments},
    validate::{self, ValidateArguments},
};

/// Names the configuration where `--config` does not.
const CONFIG_VARIABLE: &str = "LANNER_CONFIG";

const USAGE: u8 = 2;
const BAD_CONFIGURATION: u8 = 78;

/// Watches containers from inside the call path: Falco's rules, and a call can be denied.
#[derive(Debug, Parser)]
#[command(name = "lanner", version)]
struct CommandLine {
    /// Configuration file, else the one that `LANNER_CONFIG` names, else /etc/lanner/lanner.yaml
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// Set one value over the configuration file's; may be repeated
    #[arg(short = 'o', long = "option", value_name = "KEY=VALUE", global = true)]
    options: Vec<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the alerts of this node to the configured outputs
    Serve,
    /// Print alerts from the event log
    Logs(LogsArguments),
    /// List supervised containers
    Ps(PsArguments),
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
    /// Open files in a container's user namespace (started by the supervisor)
    #[command(hide = true)]
    Open,
    /// Check the configuration and its rules, or the rule files that are given
    Validate(ValidateArguments),
    /// Print the version
    Version,
}

/// How a guard begins.
#[derive(Debug, Args)]
struct GuardCommand {
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

/// Why a subcommand ended early.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Logs(#[from] LogsError),
    #[error(transparent)]
    Ps(#[from] PsError),
    #[error("the rules do not load")]
    Rules,
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Runs the subcommand that the command line names.
pub(crate) fn run() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            // Where the message cannot be printed, the code still says what it is.
            return error.print().map_or_else(|_| ExitCode::from(USAGE), |()| code);
        }
    };
    let command_line = match command_line.run_part() {
        Ok(code) => return code,
        Err(command_line) => command_line,
    };
    match command_line.execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_reader_gone() => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            error.code()
        }
    }
}

impl CommandLine {
    fn execute(self) -> Result<(), CommandError> {
        match &self.command {
            Command::Serve => self.serve(),
            Command::Logs(arguments) => Ok(logs::run(&self.load()?.0, arguments)?),
            Command::Ps(arguments) => Ok(ps::run(&self.load()?.0, arguments)?),
            Command::Guard(_) | Command::Supervise { .. } | Command::Open => Ok(()),
            Command::Validate(arguments) => self.validate(arguments),
            Command::Version => Ok(writeln!(io::stdout().lock(), "lanner {}", env!("CARGO_PKG_VERSION"))?),
        }
    }

    /// Runs a guard or a supervisor, which answer to each other and the shim rather than to a terminal; gives back any
    /// other command.
    fn run_part(self) -> Result<ExitCode, Self> {
        let config = self.config_path();
        match self.command {
            Command::Guard(GuardCommand { directory, runtime_pid: Some(runtime_pid), .. }) => {
                Ok(guard::run(&GuardArguments { directory, config, runtime_pid }))
            }
            Command::Guard(GuardCommand { directory, runtime_pid: None, .. }) => {
                Ok(guard::adopt(AdoptArguments { directory, config }))
            }
            Command::Supervise { directory } => Ok(supervise::run(SupervisorArguments { directory, config })),
            Command::Open => Ok(enforce::serve()),
            command
            @ (Command::Serve | Command::Logs(_) | Command::Ps(_) | Command::Validate(_) | Command::Version) => {
                Err(Self { command, ..self })
            }
        }
    }

    fn serve(&self) -> Result<(), CommandError> {
        let (config, notices) = self.load()?;
        diagnostics::start(config.log_level.0);
        for notice in notices {
            tracing::warn!("{}", notice.in_one_line());
        }
        Ok(service::serve(config, &|| self.load())?)
    }

    /// The rules are reported on standard output, the configuration on standard error.
    fn validate(&self, arguments: &ValidateArguments) -> Result<(), CommandError> {
        let (config, notices) = self.load()?;
        notices.iter().try_for_each(|notice| writeln!(io::stderr().lock(), "{notice}"))?;
        if validate::run(&config, arguments)? { Ok(()) } else { Err(CommandError::Rules) }
    }

    fn load(&self) -> Result<(Config, Vec<Notice>), ConfigError> {
        Config::load(&self.config_path(), &self.options)
    }

    fn config_path(&self) -> PathBuf {
        let from_environment = || std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty());
        let path = self.config.clone().map(OsString::from).or_else(from_environment);
        path.unwrap_or_else(|| DEFAULT_PATH.into()).into()
    }
}

impl CommandError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(BAD_CONFIGURATION),
            // *Falco:* a file that does not load ends `-V` with 1.
            Self::Serve(_) | Self::Logs(_) | Self::Ps(_) | Self::Rules | Self::Output(_) => ExitCode::FAILURE,
        }
    }

    /// Whether output ended because nobody reads on, as in `lanner logs | head`.
    fn is_reader_gone(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

fn print_error(error: &CommandError) {
    let text = diagnostics::chain(error);
    // Without standard error there is nobody to tell.
    writeln!(io::stderr().lock(), "lanner: {text}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn global_options_stand_on_either_side_of_the_subcommand() {
        for words in ["-c /a -o x=1 serve", "serve -c /a -o x=1", "serve --config=/a --option x=1"] {
            let command_line = CommandLine::try_parse_from(std::iter::once("lanner").chain(words.split(' '))).unwrap();
            assert_eq!(
                (command_line.config_path(), command_line.options),
                ("/a".into(), vec!["x=1".to_owned()]),
                "{words}"
            );
        }
    }
}
