// SPDX-License-Identifier: Apache-2.0
//! A container of a low-level runtime, deleted when its value goes.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use nix::pty::openpty;
use serde_json::Value;

use crate::{Bundle, Engine, bundle::unique_id, wait_for};

const PATIENCE: Duration = Duration::from_secs(30); // a container's start takes a tenth of a second, on a busy box seconds

/// A container that was created and started.
#[derive(Debug)]
pub struct Container {
    engine: Engine,
    id: String,
    bundle: Bundle,
}

impl Container {
    /// Creates and starts a container whose output goes to a file (see [`Self::output`]).
    #[track_caller]
    pub fn start(engine: &Engine, bundle: Bundle) -> Self {
        let container = Self::create(engine, bundle);
        container.expect_success(&container.call("start", &[]), "start");
        container
    }

    /// Creates a container without starting it.
    #[track_caller]
    pub fn create(engine: &Engine, bundle: Bundle) -> Self {
        bundle.write();
        let container = Self { engine: engine.clone(), id: unique_id(), bundle };
        let output = File::create(container.bundle.path().join("output")).expect("cannot make the output file");
        let status = container
            .engine
            .command()
            .arg("create")
            .arg("--bundle")
            .arg(container.bundle.path())
            .arg(&container.id)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("cannot duplicate the output file"))
            .stderr(output)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "cannot create a container: {}", container.output());
        container
    }

    /// Runs a container to its end and returns what it printed.
    pub fn run(engine: &Engine, bundle: &Bundle) -> Output {
        Self::run_as(engine, bundle, &unique_id())
    }

    /// The same with an id that no other test uses.
    pub fn run_as(engine: &Engine, bundle: &Bundle, id: &str) -> Output {
        bundle.write();
        let mut command = engine.command();
        command.arg("run").arg("--bundle").arg(bundle.path()).arg(id).stdin(Stdio::null());
        command.output().expect("cannot call the runtime")
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the container printed so far, both streams, without bytes that are no text.
    pub fn output(&self) -> String {
        text(&fs::read(self.bundle.path().join("output")).unwrap_or_default())
    }

    /// Where the host has a file of the container's root.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.bundle.inside(path)
    }

    /// Runs a program in the container.
    pub fn exec(&self, arguments: &[&str]) -> Output {
        let mut command = self.engine.command();
        command.arg("exec").arg(&self.id).args(arguments).stdin(Stdio::null());
        command.output().expect("cannot call the runtime")
    }

    /// Starts a program in the container, whose output goes nowhere; the runtime that has started it ends at once.
    #[track_caller]
    pub fn exec_detached(&self, arguments: &[&str]) {
        let mut command = self.engine.command();
        command.args(["exec", "--detach"]).arg(&self.id).args(arguments);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "cannot exec {arguments:?}");
    }

    /// Runs a program in the container with a terminal, and returns whether it succeeded.
    pub fn exec_in_terminal(&self, arguments: &[&str]) -> bool {
        let terminal = openpty(None, None).expect("cannot open a terminal");
        let end = || terminal.slave.try_clone().expect("cannot duplicate a terminal");
        let mut command = self.engine.command();
        command.args(["exec", "--tty"]).arg(&self.id).args(arguments);
        let status = command.stdin(end()).stdout(end()).stderr(end()).status();
        status.expect("cannot call the runtime").success()
    }

    /// Sends a signal to the container's first process.
    #[track_caller]
    pub fn kill(&self, signal: &str) {
        self.expect_success(&self.call("kill", &[signal]), "kill");
    }

    /// Stops all its tasks where they are; over when they have stopped.
    #[track_caller]
    pub fn pause(&self, patience: Duration) {
        self.expect_success(&self.call("pause", &[]), "pause");
        wait_for("the tasks' stop", patience, || self.is_frozen()?.then_some(()));
    }

    /// Whether the freezer of its control group, of whichever version, has all tasks.
    fn is_frozen(&self) -> Option<bool> {
        let state: Value = serde_json::from_slice(&self.call("state", &[]).stdout).ok()?;
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", state.get("pid")?)).ok()?;
        let says = |path: String, word: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(word));
        Some(groups.lines().any(|line| match line.splitn(3, ':').collect::<Vec<_>>().as_slice() {
            [_, "freezer", path] => says(format!("/sys/fs/cgroup/freezer{path}/freezer.state"), "FROZEN"),
            [_, "", path] => says(format!("/sys/fs/cgroup{path}/cgroup.events"), "frozen 1"),
            _ => false,
        }))
    }

    /// Lets them go on.
    #[track_caller]
    pub fn resume(&self) {
        self.expect_success(&self.call("resume", &[]), "resume");
    }

    /// What the runtime says about the container: `created`, `running`, `stopped`, or nothing where it knows it not.
    pub fn status(&self) -> Option<String> {
        let state: Value = serde_json::from_slice(&self.call("state", &[]).stdout).ok()?;
        state.get("status")?.as_str().map(str::to_owned)
    }

    /// Waits until the container's first process is gone.
    #[track_caller]
    pub fn wait(&self, patience: Duration) {
        wait_for("the container's end", patience, || (self.status()? == "stopped").then_some(()));
    }

    /// Deletes the container; the test fails where the runtime cannot.
    #[track_caller]
    pub fn delete(self) {
        self.wait(PATIENCE);
        self.expect_success(&self.call("delete", &[]), "delete");
    }

    /// Kills and deletes the container.
    #[track_caller]
    pub fn end(self) {
        self.kill("KILL");
        self.delete();
    }

    /// The bundle the container was made of.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    fn call(&self, subcommand: &str, arguments: &[&str]) -> Output {
        let mut command: Command = self.engine.command();
        command.arg(subcommand).arg(&self.id).args(arguments).stdin(Stdio::null());
        command.output().expect("cannot call the runtime")
    }

    #[track_caller]
    fn expect_success(&self, output: &Output, what: &str) {
        let said = output.stderr.escape_ascii();
        assert!(output.status.success(), "cannot {what}: {said}; the container printed: {}", self.output());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let forced = self.engine.command().args(["delete", "--force"]).arg(&self.id).output();
        drop(forced); // deleted already in the good case
    }
}

/// The bytes that are text.
pub fn text(bytes: &[u8]) -> String {
    bytes.utf8_chunks().map(|chunk| chunk.valid()).collect()
}
