// SPDX-License-Identifier: Apache-2.0
//! The harness itself, without Lanner: what fails here is the machine's or the harness' fault.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::{path::Path, time::Duration};

use integration::{
    Bundle, Container, Containerd, Engine, Lanner, LowLevel, Pod, Podman,
    Requirement::{Lanner as Binaries, Program, Root},
    Settings, bare_workload, dynamic_workload, skipped, text, wait_for, workload,
};

const WORKLOADS: [&str; 28] = [
    "pause",
    "nothing",
    "loop",
    "storm",
    "threads",
    "churn",
    "foreign",
    "odd",
    "serving",
    "timed",
    "banned",
    "harmless",
    "landlocked",
    "attack_alias",
    "attack_descriptor",
    "attack_exec",
    "attack_flip",
    "attack_handle",
    "attack_image",
    "attack_link",
    "attack_name",
    "attack_peer",
    "attack_ring",
    "attack_self",
    "attack_served",
    "attack_stall",
    "attack_supervisor",
    "attack_takeover",
];

#[track_caller]
fn check_low_level(runtime: LowLevel) {
    let scratch = tempfile::tempdir().unwrap();
    let engine = Engine::direct(runtime, scratch.path());
    let output = Container::run(&engine, &Bundle::new(&["sh", "-c", "echo to stdout; exit 7"]));
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(7), "to stdout\n"));

    let container = Container::start(&engine, Bundle::new(&["sh", "-c", "echo up; exec sleep 1000"]));
    wait_for("the first line", Duration::from_secs(10), || container.output().contains("up").then_some(()));
    assert_eq!(text(&container.exec(&["cat", "/etc/hostname"]).stdout), "bundle\n");
    container.end();
}

#[test]
fn runc_runs_bundles() {
    if skipped(&[Root, Program("runc")]) {
        return;
    }
    check_low_level(LowLevel::Runc);
}

#[test]
fn crun_runs_bundles() {
    if skipped(&[Root, Program("crun")]) {
        return;
    }
    check_low_level(LowLevel::Crun);
}

#[test]
fn workloads_compile() {
    if skipped(&[Program("gcc")]) {
        return;
    }
    for name in WORKLOADS {
        assert!(workload(name).exists());
    }
    assert!(dynamic_workload("loaded").exists());
    assert!(bare_workload("withholding").exists());
}

#[test]
fn podman_runs_containers() {
    if skipped(&[Root, Program("podman"), Program("umoci"), Program("skopeo"), Program("gcc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit("[]"));
    let podman = Podman::new(&lanner, Path::new("/usr/sbin/runc"));
    let output = podman.run(&["--rm"], &["sh", "-c", "echo hello; exit 3"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(3), "hello\n"), "{}", text(&output.stderr));
}

#[test]
fn containerd_runs_pods() {
    if skipped(&[Root, Binaries, Program("containerd"), Program("umoci"), Program("skopeo"), Program("gcc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit("[]"));
    let containerd = Containerd::start(&lanner);
    let mut cri = containerd.cri();
    let command = ["sh", "-c", "echo up; exec sleep 1000"].map(str::to_owned).to_vec();
    let pod = Pod { handler: "runc", name: "plain", command, ..Pod::default() };
    let running = cri.run(&pod).unwrap();
    wait_for("the first line", Duration::from_secs(10), || running.output().contains("up").then_some(()));
    let exec = cri.exec(&running, &["cat", "/etc/hostname"]).unwrap();
    assert_eq!(exec.code, 0, "{}", text(&exec.stderr));
    cri.remove(&running).unwrap();
}
