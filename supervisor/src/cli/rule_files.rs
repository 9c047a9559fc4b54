// SPDX-License-Identifier: Apache-2.0
//! The rule files that a tool works on: those it is given, else those of the configuration.

use std::path::{Path, PathBuf};

use rules::{LoadReport, Loader};

use crate::{
    bounded,
    config::{Config, rules_files},
};

/// There is nothing to load.
#[derive(Debug, thiserror::Error)]
#[error("there is no rule file in {}", listed(.0))]
pub(crate) struct NoRuleFiles(Vec<PathBuf>);

/// The rules do not load; the report stands above.
#[derive(Debug, thiserror::Error)]
#[error("the rules do not load")]
pub(crate) struct UnusableRules;

fn listed(entries: &[PathBuf]) -> String {
    let quoted: Vec<_> = entries.iter().map(|entry| format!("`{}`", entry.display())).collect();
    if quoted.is_empty() { "the configuration".to_owned() } else { quoted.join(", ") }
}

/// Loads the files as a container's start would.
///
/// A directory stands for its rule files. Unlike an entry of the configuration, a file that is named here is read whatever
/// its name is, and one that does not exist is an error of the report.
pub(super) fn load(config: &Config, given: &[PathBuf]) -> Result<Loader, NoRuleFiles> {
    let entries = if given.is_empty() { &config.rules.entries } else { given };
    let files: Vec<PathBuf> = match given {
        [] => rules_files::expand(entries),
        given => given.iter().flat_map(|path| expand(path)).collect(),
    };
    if files.is_empty() {
        return Err(NoRuleFiles(entries.to_owned()));
    }
    let mut loader = Loader::new(config.rules.load_options());
    for path in &files {
        let name = path.display().to_string();
        match bounded::read(path, bounded::MAX_RULES) {
            Ok(content) => loader.add(&name, &content),
            Err(error) => loader.add_unreadable(&name, &error.to_string()),
        }
    }
    Ok(loader)
}

fn expand(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() { rules_files::expand(&[path.to_owned()]) } else { vec![path.to_owned()] }
}

/// The report as text or in Falco's JSON form.
pub(super) fn report_text(report: &LoadReport, json: bool) -> String {
    if json { format!("{}\n", report.to_json()) } else { report.to_string() }
}
