// SPDX-License-Identifier: Apache-2.0
//! `lanner validate`: loads rule files as a container's start would, and prints what loading found.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use rules::Loader;

use crate::config::{Config, rules_files};

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct ValidateArguments {
    /// Rule files, loaded in this order; those of the configuration if none is given
    files: Vec<PathBuf>,
}

/// Prints the load report, Falco's JSON form with `json_output`; says whether everything loads.
///
/// *Falco:* the report goes to standard output (`-V`), whatever it says.
pub(crate) fn run(config: &Config, arguments: &ValidateArguments) -> io::Result<bool> {
    let files = match &*arguments.files {
        [] => rules_files::expand(&config.rules.entries),
        files => files.to_vec(),
    };
    let mut loader = Loader::new(config.rules.load_options());
    for path in &files {
        let name = path.display().to_string();
        match fs::read(path) {
            Ok(content) => loader.add(&name, &content),
            Err(error) => loader.add_unreadable(&name, &error.to_string()),
        }
    }
    let report = loader.finish().report;
    let mut out = io::stdout().lock();
    if config.outputs.format.json {
        writeln!(out, "{}", report.to_json())?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(report.is_ok())
}
