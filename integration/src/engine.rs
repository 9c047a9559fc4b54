// SPDX-License-Identifier: Apache-2.0
//! How a low-level runtime is called: directly, or through `lanner-runtime`.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use crate::requirement::find;

/// The low-level runtimes under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LowLevel {
    /// `runc`.
    Runc,
    /// `crun`, in a mount namespace without a hybrid cgroup2 mount, which it refuses.
    Crun,
}

impl LowLevel {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }
}

/// One way to call a runtime.
#[derive(Debug, Clone)]
pub struct Engine {
    wrapper: Vec<OsString>,
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    state: PathBuf,
}

impl Engine {
    /// The low-level runtime itself, called by its path as the shim calls it, keeping its state in `state`.
    pub fn direct(low_level: LowLevel, state: &Path) -> Self {
        let program = find(low_level.name()).unwrap_or_else(|| PathBuf::from(low_level.name()));
        Self::new(program, low_level, state)
    }

    pub(crate) fn new(program: PathBuf, low_level: LowLevel, state: &Path) -> Self {
        let engine = Self { wrapper: Vec::new(), program, environment: Vec::new(), state: state.to_owned() };
        match low_level {
            LowLevel::Runc => engine,
            LowLevel::Crun => engine.wrapped(&WITHOUT_UNIFIED),
        }
    }

    /// Adds an environment variable to every call.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Puts a command in front of every call.
    #[must_use]
    pub fn wrapped(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(OsString::from).chain(self.wrapper).collect();
        self
    }

    /// A call without any argument.
    pub fn bare(&self) -> Command {
        let mut words = self.wrapper.iter().map(OsString::as_os_str).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A call with the state folder as its only global flag.
    pub fn command(&self) -> Command {
        let mut command = self.bare();
        command.arg("--root").arg(&self.state);
        command
    }
}

/// A mount namespace of its own, where the cgroup2 hierarchy of a hybrid host is not mounted where crun looks for it.
const WITHOUT_UNIFIED: [&str; 6] =
    ["unshare", "-m", "sh", "-c", r#"mount --move /sys/fs/cgroup/unified /mnt 2>/dev/null; exec "$@""#, "sh"];
