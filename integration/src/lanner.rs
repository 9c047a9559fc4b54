// SPDX-License-Identifier: Apache-2.0
//! One installation of Lanner in a temporary folder: configuration, rules, run directory, event log.

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{Alert, Engine, LowLevel, wait::poll};

const REMEMBERED: [&str; 2] = [".features.json", ".interest.json"]; // facts about runtimes and rules, for all containers
const CLEAN_UP: Duration = Duration::from_secs(20); // a guard notices its container's end within a second, on a busy box later

const GRACE: Duration = Duration::from_secs(5); // for a test that did not ask whether all is clean

/// What a test chooses of the configuration.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// `audit` or `enforce`.
    pub mode: &'static str,
    /// The low-level runtime.
    pub runtime: LowLevel,
    /// Content of the local rules file.
    pub rules: String,
    /// Further configuration, YAML.
    pub extra: String,
}

impl Settings {
    /// Audit mode under runc with `rules`.
    pub fn audit(rules: &str) -> Self {
        Self { mode: "audit", runtime: LowLevel::Runc, rules: rules.to_owned(), extra: String::new() }
    }

    /// Enforce mode under runc with `rules`.
    pub fn enforce(rules: &str) -> Self {
        Self { mode: "enforce", ..Self::audit(rules) }
    }

    /// The same with another low-level runtime.
    #[must_use]
    pub fn under(mut self, runtime: LowLevel) -> Self {
        self.runtime = runtime;
        self
    }

    /// The same with further configuration.
    #[must_use]
    pub fn with(mut self, extra: &str) -> Self {
        self.extra.push_str(extra);
        self
    }
}

/// The installation; what it started ends with it.
#[derive(Debug)]
pub struct Lanner {
    folder: TempDir,
    /// Holds the run directory: in memory, as /run is.
    memory: TempDir,
    runtime: LowLevel,
}

impl Lanner {
    /// Writes the configuration.
    pub fn new(settings: &Settings) -> Self {
        let folder = tempfile::Builder::new().prefix("lanner-").tempdir().expect("cannot make a folder for Lanner");
        let in_memory = Path::new("/dev/shm");
        let place = if in_memory.is_dir() { in_memory.to_owned() } else { env::temp_dir() };
        let memory = tempfile::Builder::new().prefix("lanner-").tempdir_in(place).expect("cannot make a run folder");
        let lanner = Self { folder, memory, runtime: settings.runtime };
        lanner.write_rules(&settings.rules);
        fs::write(lanner.config(), lanner.configuration(settings)).expect("cannot write the configuration");
        lanner
    }

    fn configuration(&self, settings: &Settings) -> String {
        let mut text = String::new();
        let runtimes = settings.runtime.name();
        writeln!(text, "mode: {}\nruntimes: [{runtimes}]", settings.mode).expect("text grows");
        writeln!(text, "run_dir: {}", self.run_dir().display()).expect("text grows");
        writeln!(text, "event_log: {{path: {}}}", self.event_log().display()).expect("text grows");
        writeln!(text, "rules_files: [{}]", self.rules().display()).expect("text grows");
        text + &settings.extra
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("lanner.yaml")
    }

    /// Replaces one line of the configuration, the one that begins with `key`.
    pub fn reconfigure(&self, key: &str, line: &str) {
        let text = fs::read_to_string(self.config()).expect("cannot read the configuration");
        let kept = text.lines().map(|old| if old.starts_with(key) { line } else { old });
        let changed: String = kept.flat_map(|line| [line, "\n"]).collect();
        fs::write(self.config(), changed).expect("cannot write the configuration");
    }

    /// The local rules file.
    pub fn rules(&self) -> PathBuf {
        self.folder.path().join("lanner_rules.local.yaml")
    }

    /// The run directory.
    pub fn run_dir(&self) -> PathBuf {
        self.memory.path().join("run")
    }

    /// The event log.
    pub fn event_log(&self) -> PathBuf {
        self.folder.path().join("events.jsonl")
    }

    /// A folder for whatever else the test needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the local rules file as an editor does: a new file renamed over the old one.
    pub fn write_rules(&self, text: &str) {
        let beside = self.folder.path().join("lanner_rules.local.yaml~");
        fs::write(&beside, text).expect("cannot write the rules");
        fs::rename(beside, self.rules()).expect("cannot put the rules in place");
    }

    /// The runtime through `lanner-runtime`.
    pub fn engine(&self) -> Engine {
        self.engine_as("lanner-runtime")
    }

    /// The runtime through `lanner-runtime` called by another name, on which the mode may depend.
    pub fn engine_as(&self, name: &str) -> Engine {
        let shim = self.shim_as(name);
        Engine::new(shim, self.runtime, &self.folder.path().join("state")).env("LANNER_CONFIG", self.config())
    }

    /// Path of `lanner-runtime` under another name.
    pub fn shim_as(&self, name: &str) -> PathBuf {
        let shim = binary("lanner-runtime").expect("`lanner-runtime` is not built");
        if name == "lanner-runtime" {
            return shim;
        }
        let link = self.folder.path().join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(shim, &link).expect("cannot link the shim");
        }
        link
    }

    /// All alerts logged so far; a line that is no alert fails the test.
    #[track_caller]
    pub fn alerts(&self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.each_alert(|alert| alerts.push(alert));
        alerts
    }

    /// Passes all alerts logged so far to `visit`, for a log too large to be held; a line that is no alert fails the test.
    #[track_caller]
    pub fn each_alert(&self, mut visit: impl FnMut(Alert)) {
        let Ok(file) = File::open(self.event_log()) else { return };
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).expect("cannot read the event log") > 0 && line.ends_with(b"\n") {
            visit(Alert::parse(&line).unwrap_or_else(|cause| panic!("{cause}: {}", line.escape_ascii())));
            line.clear();
        }
    }

    /// The alerts of one rule.
    #[track_caller]
    pub fn alerts_of(&self, rule: &str) -> Vec<Alert> {
        let mut alerts = self.alerts();
        alerts.retain(|alert| alert.rule == rule);
        alerts
    }

    /// Runs `lanner` with this configuration.
    pub fn call(&self, arguments: &[&str]) -> Output {
        let mut command = self.lanner();
        command.args(arguments).output().expect("cannot run `lanner`")
    }

    /// A command for `lanner` with this configuration.
    pub fn lanner(&self) -> Command {
        let mut command = Command::new(binary("lanner").expect("`lanner` is not built"));
        command.env("LANNER_CONFIG", self.config());
        command
    }

    /// What `lanner logs` prints, by line.
    pub fn logs(&self) -> Vec<String> {
        let output = self.call(&["logs"]);
        assert!(output.status.success(), "`lanner logs` failed: {}", output.stderr.escape_ascii());
        String::from_utf8(output.stdout).expect("`lanner logs` prints text").lines().map(str::to_owned).collect()
    }

    /// Process ids of this installation's supervisors.
    pub fn supervisors(&self) -> Vec<Pid> {
        self.processes("supervise")
    }

    /// Process ids of this installation's guards.
    pub fn guards(&self) -> Vec<Pid> {
        self.processes("guard")
    }

    /// What ended containers left behind: processes, and entries of the run directory.
    pub fn leftovers(&self) -> Vec<String> {
        let guards = self.guards().into_iter().map(|pid| format!("guard {pid}"));
        let supervisors = self.supervisors().into_iter().map(|pid| format!("supervisor {pid}"));
        let entries = fs::read_dir(self.run_dir()).into_iter().flatten().flatten();
        let is_left = |entry: &fs::DirEntry| !REMEMBERED.iter().any(|name| entry.file_name() == *name);
        let files = entries.filter(is_left).map(|entry| entry.path().display().to_string());
        guards.chain(supervisors).chain(files).collect()
    }

    /// Waits until nothing is left of the ended containers.
    #[track_caller]
    pub fn expect_nothing_left(&self) {
        let clean = poll(CLEAN_UP, || self.leftovers().is_empty().then_some(()));
        assert!(clean.is_some(), "left behind: {:?}", self.leftovers());
    }

    /// Processes of `lanner` with this subcommand and a directory of this installation.
    fn processes(&self, subcommand: &str) -> Vec<Pid> {
        let folder = self.folder.path().as_os_str().as_bytes();
        let ours = |pid: &Pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|byte| *byte == 0).collect();
            let lanner = words.first().is_some_and(|program| program.ends_with(b"/lanner"));
            lanner && words.contains(&subcommand.as_bytes()) && words.iter().any(|word| word.starts_with(folder))
        };
        process_ids().filter(ours).collect()
    }
}

impl Drop for Lanner {
    fn drop(&mut self) {
        // In a test that succeeds the last container's guard may be about to leave.
        if !thread::panicking() && poll(GRACE, || self.leftovers().is_empty().then_some(())).is_some() {
            return;
        }
        // Guard and supervisor replace each other, so killing them takes more than one look.
        let ended = poll(CLEAN_UP, || {
            let left: Vec<_> = self.guards().into_iter().chain(self.supervisors()).collect();
            for &pid in &left {
                if kill(pid, Signal::SIGKILL).is_ok() {
                    eprintln!("ended process {pid}, which a container left behind");
                }
            }
            left.is_empty().then_some(())
        });
        if ended.is_none() {
            eprintln!("left behind: {}", self.leftovers().join(", "));
        }
    }
}

fn process_ids() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw)
}

/// A binary of the workspace: in `LANNER_BIN_DIR`, beside the running executable, or one folder up.
pub fn binary(name: &str) -> Option<PathBuf> {
    let executable = env::current_exe().ok()?;
    let beside = executable.ancestors().skip(1).take(2).map(Path::to_owned);
    let folders = env::var_os("LANNER_BIN_DIR").map(PathBuf::from).into_iter().chain(beside);
    folders.map(|folder| folder.join(name)).find(|file| file.exists())
}
