// SPDX-License-Identifier: Apache-2.0
//! Why a subcommand ended early, and the exit code that says so.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use super::{
    explain::ExplainError,
    logs::LogsError,
    ps::PsError,
    rule_files::{NoRuleFiles, UnusableRules},
    rules::UnknownRule,
};
use settings::SettingsError;

use crate::{config::ConfigError, diagnostics, node::service::ServeError};

const BAD_CONFIGURATION: u8 = 78;

/// Why a subcommand ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] SettingsError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Logs(#[from] LogsError),
    #[error(transparent)]
    Ps(#[from] PsError),
    #[error(transparent)]
    NoRuleFiles(#[from] NoRuleFiles),
    #[error(transparent)]
    Rules(#[from] UnusableRules),
    #[error(transparent)]
    UnknownRule(#[from] UnknownRule),
    #[error(transparent)]
    Explain(#[from] ExplainError),
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// Tells standard error, unless nobody reads what the subcommand prints, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        if self.is_reader_gone() {
            return ExitCode::SUCCESS;
        }
        // Without standard error there is nobody to tell.
        writeln!(io::stderr().lock(), "lanner: {}", diagnostics::chain(self)).unwrap_or_default();
        match self {
            Self::Config(_) | Self::Start(_) => ExitCode::from(BAD_CONFIGURATION),
            // *Falco:* a file that does not load ends `-V` with 1.
            Self::Serve(_)
            | Self::Logs(_)
            | Self::Ps(_)
            | Self::NoRuleFiles(_)
            | Self::Rules(_)
            | Self::UnknownRule(_)
            | Self::Explain(_)
            | Self::Output(_) => ExitCode::FAILURE,
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
