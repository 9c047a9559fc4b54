// SPDX-License-Identifier: Apache-2.0
//! Podman with its storage in a temporary folder and `lanner-runtime` as its OCI runtime.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    Lanner, binary,
    image::{BUSYBOX, busybox_archive},
    text,
    unprivileged::Unprivileged,
};

// Without CAP_SYS_RESOURCE podman's own default, a raised limit, fails.
const LIMITS: [&str; 4] = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

/// A podman of its own; what it runs is removed with it.
#[derive(Debug)]
pub struct Podman {
    storage: TempDir,
    runtime: PathBuf,
    /// Whose it is, if not root's.
    user: Option<Unprivileged>,
}

impl Podman {
    /// Makes the storage and loads the busybox image.
    #[track_caller]
    pub fn new(lanner: &Lanner, runtime: &Path) -> Self {
        let storage = storage();
        let name = runtime.file_name().and_then(OsStr::to_str).expect("a runtime is a file");
        let runtime = wrapper(storage.path(), name, runtime, &lanner.config());
        let podman = Self { storage, runtime, user: None };
        podman.load(&busybox_archive());
        podman
    }

    /// The podman of a user who is not root, to whom what `lanner` has is given, and who has no control groups.
    #[track_caller]
    pub fn rootless(lanner: &Lanner) -> Self {
        let storage = storage();
        let place = |name: &str| storage.path().join(name);
        for name in ["lanner", "lanner-runtime"] {
            fs::copy(binary(name).expect("Lanner is not built"), place(name)).expect("cannot copy Lanner");
        }
        let archive = place("busybox.tar");
        fs::copy(busybox_archive(), &archive).expect("cannot copy the image");
        // Of other names, podman 4.3 believes that they need control groups.
        let runtime = wrapper(storage.path(), "crun", &place("lanner-runtime"), &lanner.config());
        let run = lanner.run_dir();
        let run = run.parent().expect("the run directory lies in a folder");
        let user = Some(Unprivileged::new(storage.path(), &[lanner.folder(), run]));
        let podman = Self { storage, runtime, user };
        podman.load(&archive);
        podman
    }

    #[track_caller]
    fn load(&self, archive: &Path) {
        let archive = format!("oci-archive:{}", archive.display());
        let pulled = self.command().args(["pull", "--quiet", &archive]).output().expect("cannot run podman");
        assert!(pulled.status.success(), "cannot load the image: {}", pulled.stderr.escape_ascii());
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
        command.args(["run", "--network", "none"]).args(LIMITS);
        if self.user.is_some() {
            command.args(["--cgroups", "disabled"]);
        }
        command.args(options).arg(BUSYBOX).args(arguments);
        command.stdin(Stdio::null()).output().expect("cannot run podman")
    }

    /// Calls podman with `arguments`.
    pub fn call(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).stdin(Stdio::null()).output().expect("cannot run podman")
    }

    fn command(&self) -> Command {
        let mut command = self.user.as_ref().map_or_else(|| Command::new("podman"), |user| user.command("podman"));
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
        // The process that keeps a user's namespaces.
        let keeper = fs::read_to_string(self.storage.path().join("tmp/pause.pid")).ok();
        if let Some(keeper) = keeper.and_then(|number| number.trim().parse().ok()) {
            let _may_have_ended = kill(Pid::from_raw(keeper), Signal::SIGKILL);
        }
    }
}

fn storage() -> TempDir {
    tempfile::Builder::new().prefix("lanner-podman-").tempdir().expect("cannot make a storage folder")
}

/// A script that calls the runtime with the configuration: conmon hands no environment on.
fn wrapper(folder: &Path, name: &str, runtime: &Path, config: &Path) -> PathBuf {
    let script = folder.join("bin").join(name);
    fs::create_dir(folder.join("bin")).expect("cannot make a folder");
    let text = format!("#!/bin/sh\nLANNER_CONFIG='{}' exec '{}' \"$@\"\n", config.display(), runtime.display());
    fs::write(&script, text).expect("cannot write the wrapper");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("cannot make the wrapper executable");
    script
}
