// SPDX-License-Identifier: Apache-2.0
//! Container images made on the spot, without a registry: busybox, and the pause program of pod sandboxes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bundle::{assets, busybox},
    workload,
};

/// The name under which the test image is imported.
pub(crate) const BUSYBOX: &str = "docker.io/library/busybox:latest";
/// The name of the pod sandboxes' image.
pub(crate) const PAUSE: &str = "registry.k8s.io/pause:3.10";

/// An OCI archive of the busybox image.
pub(crate) fn busybox_archive() -> PathBuf {
    archive("busybox", BUSYBOX, "sh", busybox)
}

/// An OCI archive of the pause image.
pub(crate) fn pause_archive() -> PathBuf {
    archive("pause", PAUSE, "/pause", |root| {
        fs::create_dir_all(root).expect("cannot make a root filesystem");
        fs::copy(workload("pause"), root.join("pause")).expect("cannot copy the pause program");
    })
}

/// Made once per target folder; built beside and renamed, so that tests may race for it.
fn archive(name: &str, reference: &str, command: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let place = assets().join(name).with_extension("tar");
    if place.exists() {
        return place;
    }
    let scratch = tempfile::tempdir_in(assets()).expect("cannot make a folder for an image");
    let root = scratch.path().join("root");
    fill(&root);
    let layout = scratch.path().join("oci");
    let image = format!("{}:{name}", layout.display());
    run(Command::new("umoci").arg("init").arg("--layout").arg(&layout));
    run(Command::new("umoci").args(["new", "--image", &image]));
    run(Command::new("umoci").args(["insert", "--image", &image]).arg(&root).arg("/"));
    run(Command::new("umoci").args(["config", "--image", &image, "--config.cmd", command]));
    run(Command::new("umoci").args([
        "config",
        "--image",
        &image,
        "--config.env",
        "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
    ]));
    let made = scratch.path().join("image.tar");
    let target = format!("oci-archive:{}:{reference}", made.display());
    run(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", &format!("oci:{image}"), &target]));
    fs::rename(made, &place).expect("cannot put an image in place");
    place
}

#[track_caller]
pub(crate) fn run(command: &mut Command) {
    let output = command.output().expect("cannot start a program");
    assert!(output.status.success(), "{command:?} failed: {}", output.stderr.escape_ascii());
}
