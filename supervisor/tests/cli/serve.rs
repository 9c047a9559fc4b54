// SPDX-License-Identifier: Apache-2.0
//! `lanner serve` as it is run: alerts of the event log come out, and a changed configuration applies.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::Scratch;

/// Far longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = "run_dir: $DIR/run\nevent_log: {path: $DIR/log/events.jsonl}\nlog: {path: $DIR/log/lanner.log}\n\
                      stdout_output: {enabled: true}\nconfig_files: [config.d]\n";

/// A service whose standard output comes line by line.
struct Service {
    scratch: Scratch,
    child: Child,
    lines: Receiver<String>,
}

impl Service {
    /// Starts `lanner serve` at the end of the command `before`.
    fn start(before: &[&str]) -> Self {
        let scratch = Scratch::new(&[("lanner.yaml", CONFIG), ("config.d/a.yaml", ""), ("log/events.jsonl", "")]);
        let serve = [env!("CARGO_BIN_EXE_lanner"), "serve"];
        let mut words = before.iter().chain(&serve);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .current_dir(scratch.path("."))
            .env("LANNER_CONFIG", "lanner.yaml")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(scratch.path("stderr")).unwrap())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { scratch, child, lines }
    }

    /// The line that comes out for an alert that is logged now.
    fn line_of(&self, message: &str) -> String {
        let alert = format!(
            r#"{{"time":1700000000000000000,"id":"{message}","rule":"R","priority":"Notice","source":"syscall","tags":[],"hostname":"h","message":"{message}","fields":{{}}}}"#
        );
        let mut log = OpenOptions::new().append(true).open(self.scratch.path("log/events.jsonl")).unwrap();
        writeln!(log, "{alert}").unwrap();
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits until it has said `words` of itself.
    fn wait_for(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(words) {
            assert!(Instant::now() < deadline, "it does not say `{words}`: {}", self.said());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has said of itself so far.
    fn said(&self) -> String {
        fs::read_to_string(self.scratch.path("stderr")).unwrap()
    }

    /// Ends it, and returns what it said of itself.
    fn stop(mut self) -> String {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.said()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has ended unless the test has failed.
        let _ended = self.child.kill();
    }
}

/// What is logged comes out, in the form that the configuration asks for at the time.
fn check(before: &[&str]) -> String {
    let service = Service::start(before);
    assert!(service.line_of("first").ends_with(": Notice first"));
    assert!(service.line_of("second").ends_with(": Notice second"));
    fs::write(service.scratch.path("config.d/b.yaml"), "json_output: true\n").unwrap();
    service.wait_for("the sinks follow the new configuration");
    assert!(service.line_of("third").starts_with('{'));
    fs::write(service.scratch.path("config.d/b.yaml"), "json_output: {\n").unwrap();
    service.wait_for("the old one stays in force");
    assert!(service.line_of("fourth").starts_with('{'), "a configuration that does not load is in force");
    service.stop()
}

#[test]
fn alerts_come_out_as_the_configuration_says() {
    let said = check(&[]);
    assert!(!said.contains("inotify"), "{said}");
}

#[test]
fn where_the_kernel_has_no_watches_left_changes_are_looked_for() {
    // In a user namespace of its own a process may have as few instances as it likes.
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
    let said = check(&["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]);
    let count = said.matches("no more inotify watches").count();
    assert_eq!(count, 3, "of the log, of the configuration, and of the log for the sinks that changed: {said}");
}
