// SPDX-License-Identifier: Apache-2.0
//! The command line of `lanner`: what each subcommand is given, and the exit code it ends with.
//!
//! 0: done. 1: it failed. 2: the command line is wrong. 78: the configuration is wrong (`EX_CONFIG`).

mod error;
mod events;
mod explain;
mod fields;
mod logs;
mod part;
mod ps;
mod rule_files;
mod rules;
mod serve;
mod text;
mod validate;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use settings::{DEFAULT_FILE, Settings, SettingsError};

use self::rules::RulesArguments;
use error::CommandError;
use events::EventsArguments;
use explain::ExplainArguments;
use fields::FieldsArguments;
use logs::LogsArguments;
use part::Part;
use ps::PsArguments;
use serve::ServeArguments;
use validate::ValidateArguments;

use crate::config::{Config, ConfigError, Notice};

/// Names the configuration where `--config` does not.
const CONFIG_VARIABLE: &str = "LANNER_CONFIG";

const USAGE: u8 = 2;

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
    Serve(ServeArguments),
    /// Print alerts from the event log
    Logs(LogsArguments),
    /// List supervised containers
    Ps(PsArguments),
    /// Check the configuration and its rules, or the rule files that are given
    Validate(ValidateArguments),
    /// Describe the loaded rules
    Rules(RulesArguments),
    /// List the fields that conditions and outputs may use
    Fields(FieldsArguments),
    /// List the event types that conditions may name
    Events(EventsArguments),
    /// Show why a rule matches an event or does not
    Explain(ExplainArguments),
    /// Print the version
    Version,
    #[command(flatten)]
    Part(Part),
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
    command_line.execute().unwrap_or_else(|error| error.report())
}

impl CommandLine {
    fn execute(&self) -> Result<ExitCode, CommandError> {
        match &self.command {
            Command::Serve(arguments) => serve::run(&self.config_path(), &self.options, arguments)?,
            Command::Logs(arguments) => logs::run(&self.load()?.0, arguments)?,
            Command::Ps(arguments) => ps::run(&self.load()?.0, arguments)?,
            Command::Validate(arguments) => {
                let (config, notices) = self.load_for_tool()?;
                self.check_start()?;
                validate::run(&config, &notices, arguments)?;
            }
            Command::Rules(arguments) => rules::run(&self.load_for_tool()?.0, arguments)?,
            Command::Fields(arguments) => fields::run(arguments)?,
            Command::Events(arguments) => events::run(arguments)?,
            Command::Explain(arguments) => explain::run(&self.load_for_tool()?.0, arguments)?,
            Command::Version => writeln!(io::stdout().lock(), "lanner {}", env!("CARGO_PKG_VERSION"))?,
            Command::Part(part) => return Ok(part.run(&self.config_path())),
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Whether containers start with the configuration, if there is one.
    fn check_start(&self) -> Result<(), SettingsError> {
        let named = self.named_config();
        if named.is_some() || Path::new(DEFAULT_FILE).exists() {
            drop(Settings::load(Some(self.config_path().as_os_str()))?);
        }
        Ok(())
    }

    fn load(&self) -> Result<(Config, Vec<Notice>), ConfigError> {
        Config::load(&self.config_path(), &self.options)
    }

    /// The configuration for tools that also serve where Lanner is not installed: without a configuration its defaults,
    /// unless one is asked for by name.
    fn load_for_tool(&self) -> Result<(Config, Vec<Notice>), ConfigError> {
        if self.named_config().is_none() && !PathBuf::from(DEFAULT_FILE).exists() {
            return Config::defaults(&self.options);
        }
        self.load()
    }

    fn config_path(&self) -> PathBuf {
        self.named_config().unwrap_or_else(|| DEFAULT_FILE.into())
    }

    fn named_config(&self) -> Option<PathBuf> {
        let from_environment = || std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty());
        self.config.clone().map(OsString::from).or_else(from_environment).map(PathBuf::from)
    }
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
    fn every_tool_and_flag_is_in_the_manual() {
        let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tools.md")).unwrap();
        let command = CommandLine::command();
        for tool in command.get_subcommands().filter(|tool| !tool.is_hide_set() && tool.get_name() != "version") {
            assert!(manual.contains(&format!("`lanner {}", tool.get_name())), "{}", tool.get_name());
            for flag in command.get_arguments().chain(tool.get_arguments()).filter_map(clap::Arg::get_long) {
                assert!(manual.contains(&format!("--{flag}")), "--{flag} of {}", tool.get_name());
            }
        }
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
