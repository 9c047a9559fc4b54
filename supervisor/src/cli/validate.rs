// SPDX-License-Identifier: Apache-2.0
//! `lanner validate`: loads rule files as a container's start would, and prints what loading found.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use rules::Load;

use super::{
    error::CommandError,
    rule_files::{self, UnusableRules},
};
use crate::{
    config::{Config, Notice},
    in_force::InForce,
};

/// What to check.
#[derive(Debug, Args)]
pub(super) struct ValidateArguments {
    /// Rule files and directories of them, loaded in this order; those of the configuration if none is given
    files: Vec<PathBuf>,

    /// Print Falco's JSON form
    #[arg(long)]
    json: bool,
}

/// Prints the load report, as JSON with `--json` or `json_output`.
///
/// *Falco:* the report goes to standard output (`-V`), whatever it says. What there is to say of the configuration goes to
/// standard error.
pub(super) fn run(config: &Config, notices: &[Notice], arguments: &ValidateArguments) -> Result<(), CommandError> {
    notices.iter().try_for_each(|notice| writeln!(io::stderr().lock(), "{notice}"))?;
    let Load { ruleset, report } = rule_files::load(config, &arguments.files)?.finish();
    if let Some(ruleset) = ruleset.filter(|_| arguments.files.is_empty()) {
        let idle = InForce::idle_actions(config, &ruleset);
        idle.iter().try_for_each(|idle| writeln!(io::stderr().lock(), "{idle}"))?;
    }
    let text = rule_files::report_text(&report, arguments.json || config.outputs.format.json);
    io::stdout().lock().write_all(text.as_bytes())?;
    if report.is_ok() { Ok(()) } else { Err(UnusableRules.into()) }
}
