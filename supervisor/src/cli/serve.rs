// SPDX-License-Identifier: Apache-2.0
//! `lanner serve`: the node service, or with `--dry-run` everything up to the point where it would begin.

use std::{
    io::{self, Write},
    path::Path,
};

use clap::Args;

use super::{
    error::CommandError,
    rule_files::{self, UnusableRules},
};
use settings::Settings;

use crate::{
    config::{Config, Notice, OutputOptions},
    diagnostics,
    in_force::InForce,
    node::service,
};

/// How to serve.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Check configuration and rules, say what would be done, and end
    #[arg(long)]
    dry_run: bool,
}

/// Serves until it is told to stop, as the file at `path` with the `key=value` options over it says.
pub(super) fn run(path: &Path, options: &[String], arguments: &ServeArguments) -> Result<(), CommandError> {
    let (config, notices) = Config::load(path, options)?;
    config.check_sinks()?;
    let settings = Settings::load(Some(path.as_os_str()));
    if arguments.dry_run {
        drop(settings?);
        return rehearse(&config, &notices);
    }
    diagnostics::start(config.log_level.0);
    for notice in notices {
        tracing::warn!("{}", notice.in_one_line());
    }
    if let Err(error) = settings {
        tracing::error!("no container starts: {}", diagnostics::chain(&error));
    }
    Ok(service::serve(config, path, options)?)
}

/// *Falco:* a dry run loads everything and opens no output; what would stop a start ends it with an error.
fn rehearse(config: &Config, notices: &[Notice]) -> Result<(), CommandError> {
    let mut problems = io::stderr().lock();
    notices.iter().try_for_each(|notice| writeln!(problems, "{notice}"))?;
    let load = rule_files::load(config, &[])?.finish();
    if !load.report.is_ok() || load.report.has_warnings() {
        write!(problems, "{}", load.report)?;
    }
    let rules = load.ruleset.ok_or(UnusableRules)?;
    InForce::idle_actions(config, &rules).iter().try_for_each(|idle| writeln!(problems, "{idle}"))?;
    let enabled = rules.rules().iter().filter(|rule| rule.is_enabled()).count();
    let sinks = match sinks(&config.outputs) {
        sinks if sinks.is_empty() => "no output".to_owned(),
        sinks => sinks.join(", "),
    };
    Ok(writeln!(io::stdout().lock(), "dry run: enabled rules: {enabled}; alerts would go to: {sinks}")?)
}

fn sinks(outputs: &OutputOptions) -> Vec<String> {
    let file = outputs.file.as_ref().map(|file| format!("`{}`", file.path.display()));
    let named = |enabled: bool, name: &str| enabled.then(|| name.to_owned());
    [named(outputs.stdout, "standard output"), file, named(outputs.syslog, "syslog")].into_iter().flatten().collect()
}
