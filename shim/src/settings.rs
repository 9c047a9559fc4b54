// SPDX-License-Identifier: Apache-2.0
//! The keys of `lanner.yaml` that the shim needs; the guard checks the file in full.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    path::{self, Path, PathBuf},
};

use policy::Mode;
use serde::Deserialize;

const DEFAULT_FILE: &str = "/etc/lanner/lanner.yaml";

/// The shim's part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Where they were read; absolute.
    #[serde(skip)]
    pub(crate) file: PathBuf,
    /// The mildest mode of all containers.
    pub(crate) mode: Mode,
    /// Low-level runtimes by name or path; the first that exists is used.
    pub(crate) runtimes: Vec<PathBuf>,
    /// See ARCHITECTURE.md, "Run directory".
    pub(crate) run_dir: PathBuf,
    /// The `lanner` executable, where it stands neither beside the shim nor in PATH.
    pub(crate) lanner: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            file: DEFAULT_FILE.into(),
            mode: Mode::Audit,
            runtimes: vec!["runc".into(), "crun".into()],
            run_dir: "/run/lanner".into(),
            lanner: None,
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("cannot read the configuration `{}`", file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("cannot parse the configuration `{}`", file.display())]
    Parse { file: PathBuf, source: Box<serde_saphyr::Error> },
    #[error("`run_dir` of the configuration `{}` is not an absolute path", file.display())]
    RelativeRunDir { file: PathBuf },
}

impl SettingsError {
    /// Whether there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl Settings {
    /// Reads the file that the command line or `LANNER_CONFIG` names, or the default one.
    pub(crate) fn load(named: Option<&OsStr>) -> Result<Self, SettingsError> {
        let named = named.map(OsStr::to_owned).or_else(|| env::var_os("LANNER_CONFIG"));
        let file = named.unwrap_or_else(|| DEFAULT_FILE.into());
        let file = path::absolute(&file).map_err(|source| SettingsError::Read { file: file.into(), source })?;
        let text = fs::read_to_string(&file).map_err(|source| SettingsError::Read { file: file.clone(), source })?;
        Self::parse(&text, &file)
    }

    fn parse(text: &str, file: &Path) -> Result<Self, SettingsError> {
        let settings: Option<Self> = serde_saphyr::from_str(text)
            .map_err(|source| SettingsError::Parse { file: file.to_owned(), source: Box::new(source) })?;
        let settings = Self { file: file.to_owned(), ..settings.unwrap_or_default() };
        if !settings.run_dir.is_absolute() {
            return Err(SettingsError::RelativeRunDir { file: file.to_owned() });
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &Settings) {
        assert_eq!(Settings::parse(text, Path::new(DEFAULT_FILE)).unwrap(), *expected);
    }

    #[test]
    fn keys_of_the_other_processes_are_passed_over() {
        let settings = Settings { mode: Mode::Enforce, runtimes: vec!["/opt/crun".into()], ..Settings::default() };
        check("mode: enforce\nruntimes: [/opt/crun]\nrules_files: [a.yaml]\nenforce: {errno: EACCES}\n", &settings);
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        check("", &Settings::default());
        check("# nothing\n", &Settings::default());
        check("{}", &Settings::default());
    }

    #[test]
    fn a_value_that_is_not_understood_is_no_default() {
        for text in ["mode: off", "runtimes: runc: 1", "- mode", "run_dir: run/lanner"] {
            Settings::parse(text, Path::new(DEFAULT_FILE)).expect_err(text);
        }
    }
}
