// SPDX-License-Identifier: Apache-2.0
//! The configuration file: Falco's keys with Falco's meaning, and Lanner's own beside them.
//!
//! Stage one ([`layers`], [`tree`]) merges files, environment and options into a tree that mirrors the text. Stage two,
//! here and in the files of the groups, turns the tree into a [`Config`] of validated values. Keys that Lanner does not
//! know or cannot honour are notices, not errors, so that a `falco.yaml` loads unchanged.

mod enforcement;
mod environment;
mod files;
mod key;
mod layers;
mod load_options;
mod outputs;
mod overrides;
pub(crate) mod rules_files;
mod rules_options;
mod section;
mod source;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

pub(crate) use enforcement::{Enforcement, TracedExecs, Verify};
pub(crate) use files::TextFile;
pub(crate) use outputs::{FileSink, LineFormat, LogLevel, OutputOptions};
pub(crate) use rules_options::{RuleMatching, RulesOptions};
pub(crate) use source::{Finding, Notice};

use policy::Mode;

use files::Files;
use section::{Findings, Section};

/// The validated configuration of a node.
#[derive(Debug)]
pub(crate) struct Config {
    /// What enforce mode does with a match.
    pub(crate) enforcement: Enforcement,
    /// Holds one directory per supervised container.
    pub(crate) run_dir: PathBuf,
    /// The file that every alert enters before its call proceeds.
    pub(crate) event_log: PathBuf,
    /// Diagnostics of the guards and supervisors, which have no terminal of their own.
    pub(crate) log: PathBuf,
    /// How much our own diagnostics say.
    pub(crate) log_level: LogLevel,
    /// Which rules are loaded, and how.
    pub(crate) rules: RulesOptions,
    /// Where `lanner serve` brings the alerts, and in which form.
    pub(crate) outputs: OutputOptions,
    /// Sinks that are enabled, and that there are not yet.
    missing_sinks: Vec<Notice>,
    /// Whether idle CPUs are kept from sleeping deeply while a container makes many calls that need others.
    pub(crate) limit_cpu_latency: bool,
    /// Whether changed configuration and rule files apply without being asked to.
    pub(crate) watch_config_files: bool,
    /// The configuration files that were read, main file first.
    pub(crate) files: Vec<TextFile>,
    /// What `config_files` names, files and folders of them, existing or not.
    pub(crate) included: Vec<PathBuf>,
}

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read configuration `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// One or more places that are wrong.
    #[error("{}", Listed(.0))]
    Content(Vec<Finding>),
}

/// Findings below each other.
struct Listed<'a>(&'a [Finding]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, finding)| {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{finding}")
        })
    }
}

impl Config {
    /// Reads the file at `path`, the files it includes, and the `key=value` options over them.
    pub(crate) fn load(path: &Path, options: &[String]) -> Result<(Self, Vec<Notice>), ConfigError> {
        Self::load_with(Some(path), Files::Disk, options, &|name| std::env::var(name).ok())
    }

    /// What `files`, the ones of an earlier load, say together.
    pub(crate) fn load_kept(files: &[TextFile]) -> Result<(Self, Vec<Notice>), ConfigError> {
        let main = files.first().map(TextFile::path);
        Self::load_with(main, Files::Kept(files), &[], &|name| std::env::var(name).ok())
    }

    /// Fails where a sink is enabled that there is not.
    pub(crate) fn check_sinks(&self) -> Result<(), ConfigError> {
        let missing = &self.missing_sinks;
        if missing.is_empty() { Ok(()) } else { Err(ConfigError::Content(missing.clone())) }
    }

    /// What the `config_files` of the file at `path` names, also where a configuration of these does not load.
    pub(crate) fn included_by(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
        layers::entries(path, &|name| std::env::var(name).ok())
    }

    /// The configuration of an empty file, with the `key=value` options over it.
    pub(crate) fn defaults(options: &[String]) -> Result<(Self, Vec<Notice>), ConfigError> {
        Self::load_with(None, Files::Disk, options, &|name| std::env::var(name).ok())
    }

    fn load_with(
        path: Option<&Path>,
        files: Files<'_>,
        options: &[String],
        lookup: environment::Lookup<'_>,
    ) -> Result<(Self, Vec<Notice>), ConfigError> {
        let findings = Findings::default();
        let layers = layers::read(path, files, options, lookup, &findings)?;
        key::check(&layers.root, &findings);
        let root = Section::new(Some(&layers.root), "", &findings);
        check_shim_keys(root);
        let config = Self {
            enforcement: Enforcement::read(root),
            run_dir: root.path("run_dir").unwrap_or_else(|| "/run/lanner".into()),
            event_log: root.section("event_log").path("path").unwrap_or_else(|| "/var/log/lanner/events.jsonl".into()),
            log: root.section("log").path("path").unwrap_or_else(|| "/var/log/lanner/lanner.log".into()),
            log_level: LogLevel::read(root),
            rules: RulesOptions::read(root),
            outputs: OutputOptions::read(root),
            missing_sinks: outputs::missing_sinks(root),
            limit_cpu_latency: root.flag("limit_cpu_latency", true),
            watch_config_files: root.flag("watch_config_files", true),
            files: layers.files,
            included: layers.entries,
        };
        let (problems, notices) = findings.into_parts();
        if problems.is_empty() { Ok((config, notices)) } else { Err(ConfigError::Content(problems)) }
    }
}

/// The keys that only the shim acts on: their mistakes are shown with those of the others.
fn check_shim_keys(root: Section<'_>) {
    let _mode: Mode = root.parsed("mode", "audit or enforce", Mode::Audit);
    drop(root.texts("runtimes"));
    drop(root.path("lanner"));
}
