// SPDX-License-Identifier: Apache-2.0
//! Podman with its storage in a temporary folder and `lanner-runtime` as its OCI runtime.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{
    Lanner,
    image::{BUSYBOX, busybox_archive},
    text,
};

// Without CAP_SYS_RESOURCE podman's own default, a raised limit, fails.
const LIMITS: [&str; 4] = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

/// A podman of its own; what it runs is removed with it.
#[derive(Debug)]
pub struct Podman {
    storage: TempDir,
    runtime: PathBuf,
}

impl Podman {
    /// Makes the storage and loads the busybox image.
    #[track_caller]
    pub fn new(lanner: &Lanner, runtime: &Path) -> Self {
        let storage =
            tempfile::Builder::new().prefix("lanner-podman-").tempdir().expect("cannot make a storage folder");
        let runtime = wrapper(storage.path(), runtime, &lanner.config());
        let podman = Self { storage, runtime };
        let archive = format!("oci-archive:{}", busybox_archive().display());
        let pulled = podman.command().args(["pull", "--quiet", &archive]).output().expect("cannot run podman");
        assert!(pulled.status.success(), "cannot load the image: {}", pulled.stderr.escape_ascii());
        podman
    }

    /// Starts a container in the background and returns its id.
    #[track_caller]
    pub fn start(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.run(&["--detach", "--name", name], arguments);
        assert!(output.status.success(), "cannot start a container: {}", output.stderr.escape_ascii());
        text(&output.stdout).trim().to_owned()
    }

    /// Runs a container in the foreground.
    pub fn run(&self, options: &[&str], arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(["run", "--network", "none"]).args(LIMITS).args(options).arg(BUSYBOX).args(arguments);
        command.stdin(Stdio::null()).output().expect("cannot run podman")
    }

    /// Calls podman with `arguments`.
    pub fn call(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).stdin(Stdio::null()).output().expect("cannot run podman")
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.env("TMPDIR", self.storage.path());
        command.arg("--root").arg(self.storage.path().join("root"));
        command
            .arg("--runroot")
            .arg(self.storage.path().join("run"))
            .arg("--tmpdir")
            .arg(self.storage.path().join("tmp"));
        command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "file", "--storage-driver", "vfs"]);
        command.arg("--runtime").arg(&self.runtime);
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.call(&["rm", "--all", "--force", "--time", "0"]));
        drop(self.call(&["rmi", "--all", "--force"]));
    }
}

/// A script that calls the runtime with the configuration: conmon hands no environment on.
fn wrapper(folder: &Path, runtime: &Path, config: &Path) -> PathBuf {
    let name = runtime.file_name().expect("a runtime is a file");
    let script = folder.join(name);
    let text = format!("#!/bin/sh\nLANNER_CONFIG='{}' exec '{}' \"$@\"\n", config.display(), runtime.display());
    fs::write(&script, text).expect("cannot write the wrapper");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("cannot make the wrapper executable");
    script
}
