// SPDX-License-Identifier: Apache-2.0
//! A containerd of its own, with the runtime handlers `lanner`, `lanner-enforce` and `runc`.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    mount::{MntFlags, umount2},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    Cri, Lanner,
    image::{PAUSE, busybox_archive, pause_archive, run},
    wait_for,
};

const START: Duration = Duration::from_mins(1); // one to two seconds on an idle machine

/// A running containerd; it ends with its value.
#[derive(Debug)]
pub struct Containerd {
    folder: TempDir,
    process: Child,
}

impl Containerd {
    /// Starts containerd and loads the images.
    #[track_caller]
    pub fn start(lanner: &Lanner) -> Self {
        let folder = tempfile::Builder::new().prefix("lanner-ctd-").tempdir().expect("cannot make containerd's folder");
        let config = folder.path().join("config.toml");
        fs::write(&config, configuration(folder.path(), lanner)).expect("cannot write containerd's configuration");
        let log = fs::File::create(folder.path().join("log")).expect("cannot make containerd's log");
        let mut command = Command::new("containerd");
        command.arg("--config").arg(&config).env("LANNER_CONFIG", lanner.config()).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("cannot duplicate the log")).stderr(log);
        let process = command.spawn().expect("cannot start containerd");
        let containerd = Self { folder, process };
        wait_for("containerd", START, || containerd.ctr().arg("version").output().ok()?.status.success().then_some(()));
        for archive in [busybox_archive(), pause_archive()] {
            run(containerd.ctr().args(["--namespace", "k8s.io", "images", "import"]).arg(archive));
        }
        containerd
    }

    /// A client of its CRI service.
    pub fn cri(&self) -> Cri {
        Cri::connect(&self.socket(), self.folder.path())
    }

    /// What containerd logged.
    pub fn log(&self) -> String {
        crate::text(&fs::read(self.folder.path().join("log")).unwrap_or_default())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("containerd.sock")
    }

    fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.socket());
        command
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // A test that failed leaves its pods, whose containerd shims would outlive containerd.
        if let Err(status) = self.cri().remove_all() {
            eprintln!("cannot remove the pods: {status}");
        }
        let pid = i32::try_from(self.process.id()).map(Pid::from_raw);
        let asked = pid.is_ok_and(|pid| kill(pid, Signal::SIGTERM).is_ok());
        if !asked || self.process.wait().is_err() {
            eprintln!("containerd was gone before its end");
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
        for place in places.filter(|place| place.starts_with(self.folder.path())) {
            // What a failed test left; a mount inside another may have gone with that.
            if let Err(cause) = umount2(place, MntFlags::MNT_DETACH) {
                eprintln!("cannot unmount `{}`: {cause}", place.display());
            }
        }
    }
}

fn configuration(folder: &Path, lanner: &Lanner) -> String {
    let folder = folder.display();
    let handler = |name: &str, binary: &Path| {
        let table = format!(r#"plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}"#);
        format!(
            "[{table}]\nruntime_type = \"io.containerd.runc.v2\"\npod_annotations = [\"lanner.dev/*\"]\n\
             container_annotations = [\"lanner.dev/*\"]\n[{table}.options]\nBinaryName = \"{}\"\n",
            binary.display()
        )
    };
    let audit = handler("lanner", &lanner.shim_as("lanner-runtime"));
    let enforce = handler("lanner-enforce", &lanner.shim_as("lanner-runtime-enforce"));
    let plain = handler("runc", Path::new("runc"));
    format!(
        r#"version = 2
root = "{folder}/root"
state = "{folder}/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{folder}/cni-bin"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
default_runtime_name = "runc"
{plain}{audit}{enforce}"#
    )
}
