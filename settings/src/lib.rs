// SPDX-License-Identifier: Apache-2.0
#![forbid(unsafe_code)]
//! The keys of `lanner.yaml` that decide how a container is started. The shim reads nothing else of the file, and where it
//! cannot read these, no container starts; so `lanner validate` reads them in the same way.

use std::{
    env,
    ffi::OsStr,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{self, Path, PathBuf},
};

use nix::fcntl::OFlag;
use policy::Mode;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_saphyr::MergeKeyPolicy;

/// Where the configuration is unless somebody names another file.
pub const DEFAULT_FILE: &str = "/etc/lanner/lanner.yaml";

/// Bytes of a file: it is read at every container start, and one beyond this is something else by mistake.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// The shim's part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where they were read; absolute.
    #[serde(skip)]
    pub file: PathBuf,
    /// The mildest mode of all containers.
    pub mode: Mode,
    /// Low-level runtimes by name or path; the first that exists is used.
    pub runtimes: Vec<PathBuf>,
    /// See ARCHITECTURE.md, "Run directory".
    pub run_dir: PathBuf,
    /// The `lanner` executable, where it stands neither beside the shim nor in PATH.
    pub lanner: Option<PathBuf>,
    /// Further files of the configuration, none of which may have one of these keys.
    config_files: Option<Vec<Entry>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            file: DEFAULT_FILE.into(),
            mode: Mode::Audit,
            runtimes: vec!["runc".into(), "crun".into()],
            run_dir: "/run/lanner".into(),
            lanner: None,
            config_files: None,
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("cannot read the configuration `{}`", file.display())]
    Read {
        /// Which one.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no YAML, or a key has a value of another kind.
    #[error("cannot parse the configuration `{}`", file.display())]
    Parse {
        /// Which one.
        file: PathBuf,
        /// What and where.
        source: Box<serde_saphyr::Error>,
    },
    /// A path depends on where who reads it runs.
    #[error("`{key}` of the configuration `{}` is not an absolute path", file.display())]
    Relative {
        /// The configuration.
        file: PathBuf,
        /// The key with the path.
        key: &'static str,
    },
    /// A key stands in a file that is not read where a container starts.
    #[error("`{key}` must stand in `{}`, which alone is read where a container starts, not in `{}`", file.display(), included.display())]
    Included {
        /// The configuration.
        file: PathBuf,
        /// The file with the key.
        included: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// A value has a variable in it.
    #[error("`{text}` of the configuration `{}` is not replaced where a container starts", file.display())]
    Variable {
        /// The configuration.
        file: PathBuf,
        /// The value.
        text: String,
    },
}

impl SettingsError {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl Settings {
    /// Reads the file that the command line or `LANNER_CONFIG` names, or the default one.
    pub fn load(named: Option<&OsStr>) -> Result<Self, SettingsError> {
        let named = named.map(OsStr::to_owned).or_else(|| env::var_os("LANNER_CONFIG").filter(|name| !name.is_empty()));
        let file = named.unwrap_or_else(|| DEFAULT_FILE.into());
        let file = path::absolute(&file).map_err(|source| SettingsError::Read { file: file.into(), source })?;
        let text = read(&file).map_err(|source| SettingsError::Read { file: file.clone(), source })?;
        let settings = Self::parse(&text, &file)?;
        settings.check_included()?;
        Ok(settings)
    }

    fn parse(text: &str, file: &Path) -> Result<Self, SettingsError> {
        let settings: Option<Self> = parsed(text, file)?;
        let settings = Self { file: file.to_owned(), ..settings.unwrap_or_default() };
        let paths = [("run_dir", Some(&settings.run_dir)), ("lanner", settings.lanner.as_ref())];
        if let Some((key, _)) = paths.into_iter().find(|(_, path)| path.is_some_and(|path| !path.is_absolute())) {
            return Err(SettingsError::Relative { file: file.to_owned(), key });
        }
        let texts = settings.runtimes.iter().chain(&settings.lanner).chain([&settings.run_dir]);
        texts.into_iter().try_for_each(|path| check_literal(path, file))?;
        Ok(settings)
    }

    /// What decides how a container is started must not be overlooked: none of these keys may stand in a file that the
    /// configuration includes, of which only the other processes know how it is merged.
    fn check_included(&self) -> Result<(), SettingsError> {
        let file = &self.file;
        for path in self.config_files.iter().flatten().map(Entry::path) {
            check_literal(path, file)?;
            let included = expanded(path).map_err(|source| SettingsError::Read { file: path.clone(), source });
            for included in included? {
                let text = read(&included).map_err(|source| SettingsError::Read { file: included.clone(), source })?;
                let keys: Option<Keys> = parsed(&text, &included)?;
                if let Some(key) = keys.unwrap_or_default().first() {
                    return Err(SettingsError::Included { file: file.clone(), included, key });
                }
            }
        }
        Ok(())
    }
}

/// The text of a regular file: every command of an engine's would wait with us for whoever writes into a FIFO.
fn read(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    if facts.len() > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    io::read_to_string(file)
}

fn parsed<T: DeserializeOwned>(text: &str, file: &Path) -> Result<T, SettingsError> {
    // The other processes know no merge key.
    let options = serde_saphyr::options! { merge_keys: MergeKeyPolicy::AsOrdinary };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|source| SettingsError::Parse { file: file.to_owned(), source: Box::new(source) })
}

fn check_literal(path: &Path, file: &Path) -> Result<(), SettingsError> {
    let text = path.display().to_string();
    if text.contains("${") { Err(SettingsError::Variable { file: file.to_owned(), text }) } else { Ok(()) }
}

/// The file, or those of the directory; none where there is nothing.
fn expanded(path: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(facts) if !facts.is_dir() => Ok(vec![path.to_owned()]),
        Ok(_) => {
            let files = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
            let is_text = |file: &PathBuf| file.extension().is_some_and(|end| end == "yaml" || end == "yml");
            Ok(files.into_iter().filter(|file| is_text(file) && file.is_file()).collect())
        }
    }
}

/// One of `config_files`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Entry {
    Path(PathBuf),
    WithStrategy { path: PathBuf },
}

impl Entry {
    fn path(&self) -> &PathBuf {
        match self {
            Self::Path(path) | Self::WithStrategy { path } => path,
        }
    }
}

/// The keys of [`Settings`], whatever they say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Keys {
    mode: Option<IgnoredAny>,
    runtimes: Option<IgnoredAny>,
    run_dir: Option<IgnoredAny>,
    lanner: Option<IgnoredAny>,
}

impl Keys {
    fn first(&self) -> Option<&'static str> {
        let Self { mode, runtimes, run_dir, lanner } = self;
        let all = [("mode", mode), ("runtimes", runtimes), ("run_dir", run_dir), ("lanner", lanner)];
        all.into_iter().find(|(_, value)| value.is_some()).map(|(name, _)| name)
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
        for text in [
            "mode: off",
            "mode:",
            "mode: ~",
            "mode: ${MODE}",
            "runtimes: runc: 1",
            "runtimes: crun",
            "runtimes:",
            "- mode",
            "run_dir:",
            "run_dir: run/lanner",
            "run_dir: /run/${X}",
            "run_dir: /run/$${X}",
            "lanner: bin/lanner",
            "mode: audit\n---\nmode: enforce",
            "config_files: [~]",
        ] {
            Settings::parse(text, Path::new(DEFAULT_FILE)).expect_err(text);
        }
    }

    #[test]
    fn no_key_is_merged() {
        check("other: &other {mode: enforce}\n<<: *other\n", &Settings::default());
    }

    #[test]
    fn the_keys_stand_in_the_main_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (file, included) = (folder.path().join("lanner.yaml"), folder.path().join("config.d"));
        fs::create_dir(&included).unwrap();
        fs::write(included.join("more.yaml"), "priority: notice\n").unwrap();
        fs::write(included.join("notes.txt"), "mode: enforce\n").unwrap();
        let load = |text: &str| {
            fs::write(&file, text).unwrap();
            Settings::load(Some(file.as_os_str())).map_err(|error| error.to_string())
        };
        let (whole, missing) = (format!("config_files: [{}]\n", included.display()), "config_files: [/nowhere]\n");
        load(&whole).unwrap();
        load(missing).unwrap();
        load("config_files:\n").unwrap();
        load("lanner: ${BIN}/lanner\n").unwrap_err();
        load("config_files: [\"${DIR}/x.yaml\"]\n").unwrap_err();
        fs::write(included.join("mode.yaml"), "mode: enforce\n").unwrap();
        let expected = format!(
            "`mode` must stand in `{}`, which alone is read where a container starts, not in `{}/mode.yaml`",
            file.display(),
            included.display()
        );
        assert_eq!(load(&whole).unwrap_err(), expected);
        let with_strategy = format!("config_files: [{{path: {}, strategy: override}}]\n", included.display());
        assert_eq!(load(&with_strategy).unwrap_err(), expected);
    }
}
