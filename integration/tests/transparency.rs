// SPDX-License-Identifier: Apache-2.0
//! The shim against the runtime itself: the same command lines, in the same folder, with the same results.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Stdio,
    time::Duration,
};

use integration::{
    Bundle, Engine, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, skipped, text, wait_for,
};
use serde_json::Value;

/// One life of containers, in words. `R` is the state folder, `B` a bundle that sleeps, `P` one that prints and exits
/// with 42, `N` a folder without config.json, `T` scratch. `<` begins what is written to standard input; `stopped`
/// waits for a container's end.
const LINES: &str = "
--version
-v
features
--help
help
help create

frobnicate
--frobnicate
--root
create
create --frobnicate
create one two
--root R list
--root R list --quiet
--root R list --format json
--root=R state missing
--root R --log T/log --log-format json state missing
--log-format json --log T/log --root R kill missing 9
--log=T/log --root=R delete missing
--log T/log --log-format text --debug --root R start missing
--root R delete --force missing
--root R --systemd-cgroup state missing
--systemd-cgroup=true --root R state missing
--rootless=false --root R state missing
--rootless=nonsense --root R state missing
--root R run
--root R run --bundle
--root R create --bundle T/nowhere gone
--root R --log T/log --log-format json create --bundle N empty
--root R create --bundle B --pid-file T/pid create
--root R state create
--root R create --bundle B create
--root R list -q
--root R start create
--root R start create
--root R exec create echo hello
--root R exec create sh -c 'exit 3'
--root R exec create nonsense
--root R exec --cwd /tmp --env A=b create sh -c 'pwd; echo $A; cat' <text for the program
--root R exec --detach --pid-file T/exec-pid create true
--root R exec --process T/process.json create
--root R exec
--root R ps --format json create
--root R ps create -o comm
--root R update --resources - create <{\"pids\":{\"limit\":50}}
--root R update --resources=- create <{\"pids\":{\"limit\":60}}
--root R update --resources - create <nonsense
--root R pause create
--root R state create
--root R resume create
--root R kill create NONSENSE
--root R kill create 0
--root R delete create
--root R events --stats missing
--root R checkpoint missing
--root R restore missing
--root R kill --all create KILL
stopped create
--root R state create
--root R delete create
--root R delete create
--root R run --bundle P run
--root R run -b P --pid-file T/run-pid --no-pivot state
--root R run --bundle P --keep kept
--root R delete kept
--root R run --detach --bundle P --bundle
--root R list --quiet
spec --bundle T/new
spec --frobnicate
";

struct Outcome {
    line: String,
    code: Option<i32>,
    stdout: String,
    stderr: String,
    log: String,
}

impl Outcome {
    /// The first difference of each part.
    fn against(&self, other: &Self) -> Option<String> {
        let codes = [&self.code, &other.code].map(|code| format!("{code:?}"));
        let parts = [
            ("code", codes.each_ref().map(String::as_str)),
            ("stdout", [&self.stdout, &other.stdout]),
            ("stderr", [&self.stderr, &other.stderr]),
            ("log", [&self.log, &other.log]),
        ];
        let differing = parts.into_iter().filter(|(_, [one, two])| one != two);
        let shown = differing.map(|(name, [one, two])| {
            let start = one.bytes().zip(two.bytes()).take_while(|(one, two)| one == two).count().saturating_sub(20);
            let rest = |text: &str| {
                text.bytes().skip(start).take(200).map(|byte| byte.escape_ascii().to_string()).collect::<String>()
            };
            format!("  {name} of the runtime: {}\n  {name} of the shim: {}", rest(one), rest(two))
        });
        let shown: Vec<_> = shown.collect();
        (!shown.is_empty()).then(|| format!("`{}`:\n{}", self.line, shown.join("\n")))
    }
}

/// Two bundles and a folder, at a place that is the same for the runtime and the shim.
struct Stage<'a> {
    folder: &'a Path,
    sleeper: Bundle,
    printer: Bundle,
}

impl<'a> Stage<'a> {
    fn new(folder: &'a Path) -> Self {
        for name in ["state", "empty", "scratch", "scratch/new"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let process = r#"{"terminal": false, "cwd": "/", "args": ["echo", "from a file"], "env": ["PATH=/bin"]}"#;
        fs::write(folder.join("scratch/process.json"), process).unwrap();
        let sleeper = Bundle::new(&["sleep", "1000"]);
        let printer = Bundle::new(&["sh", "-c", "echo out; echo err >&2; exit 42"]);
        Self { folder, sleeper, printer }
    }

    fn play(&self, engine: &Engine) -> Vec<Outcome> {
        let lines = LINES.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n')).unwrap();
        lines.split('\n').filter_map(|line| self.step(engine, line)).collect()
    }

    fn step(&self, engine: &Engine, line: &str) -> Option<Outcome> {
        if let Some(id) = line.strip_prefix("stopped ") {
            self.wait(engine, id);
            return None;
        }
        self.sleeper.write();
        self.printer.write();
        let (words, input) = line.split_once('<').unwrap_or((line, ""));
        let files = ["out", "err", "in", "log"].map(|name| self.folder.join("scratch").join(name));
        let [out, err, input_file, log] = &files;
        File::create(input_file).unwrap().write_all(input.as_bytes()).unwrap();
        fs::write(log, "").unwrap();
        let mut command = engine.bare();
        command
            .args(words_of(words).into_iter().map(|word| self.place(&word)))
            .current_dir(self.folder.join("scratch"));
        // Files, not pipes: a created container keeps its caller's stdio.
        command.stdin(File::open(input_file).unwrap());
        command.stdout(Stdio::from(File::create(out).unwrap())).stderr(Stdio::from(File::create(err).unwrap()));
        let code = command.status().unwrap().code();
        let [stdout, stderr, log] = [out, err, log].map(|file| normal(&text(&fs::read(file).unwrap())));
        Some(Outcome { line: line.to_owned(), code, stdout, stderr, log })
    }

    fn place(&self, word: &str) -> String {
        let folders = [
            ("R", self.folder.join("state")),
            ("B", self.sleeper.path().to_owned()),
            ("P", self.printer.path().to_owned()),
            ("N", self.folder.join("empty")),
            ("T", self.folder.join("scratch")),
        ];
        for (letter, folder) in folders {
            let (flag, value) = word.split_once('=').map_or(("", word), |(flag, value)| (flag, value));
            let below = value.strip_prefix(letter).filter(|rest| rest.is_empty() || rest.starts_with('/'));
            if let Some(rest) = below {
                let equals = if flag.is_empty() { "" } else { "=" };
                return format!("{flag}{equals}{}{rest}", folder.display());
            }
        }
        word.to_owned()
    }

    fn wait(&self, engine: &Engine, id: &str) {
        wait_for("the container's end", Duration::from_secs(20), || {
            let state = engine.bare().arg("--root").arg(self.folder.join("state")).args(["state", id]).output().ok()?;
            let state: Value = serde_json::from_slice(&state.stdout).ok()?;
            (state.get("status")? == "stopped").then_some(())
        });
    }
}

/// Words between blanks; single quotes keep blanks.
fn words_of(line: &str) -> Vec<String> {
    let quoted = line.split('\'').enumerate();
    quoted
        .flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// Without what differs between two runs of the same program: numbers (process ids, times, temporary names), and the
/// annotations, which are the part of a state that `create` adds to.
fn normal(said: &str) -> String {
    let said = serde_json::from_str::<Value>(said)
        .map_or_else(|_| said.to_owned(), |value| without_annotations(value).to_string());
    let mut normal = String::new();
    for sign in said.chars() {
        match sign {
            '0'..='9' if normal.ends_with('#') => {}
            '0'..='9' => normal.push('#'),
            other => normal.push(other),
        }
    }
    normal
}

fn without_annotations(mut value: Value) -> Value {
    if let Some(state) = value.as_object_mut() {
        state.remove("annotations");
    }
    for state in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        state.remove("annotations");
    }
    value
}

#[track_caller]
fn check(runtime: LowLevel) {
    let place = tempfile::Builder::new().prefix("lanner-same-").tempdir().unwrap();
    let folder = place.path().join("stage");
    let lanner = Lanner::new(&Settings::audit("[]").under(runtime));
    let stage = Stage::new(&folder);
    let expected = stage.play(&Engine::direct(runtime, Path::new("unused")));
    fs::remove_dir_all(&folder).unwrap();
    let stage = Stage { sleeper: stage.sleeper, printer: stage.printer, ..Stage::new(&folder) };
    let found = stage.play(&lanner.engine());
    let differences: Vec<_> =
        expected.iter().zip(&found).filter_map(|(expected, found)| expected.against(found)).collect();
    assert!(expected.len() >= 30 && expected.len() == found.len(), "{} lines were run", expected.len());
    assert!(
        differences.is_empty(),
        "{} of {} lines differ:\n{}",
        differences.len(),
        expected.len(),
        differences.join("\n")
    );
    lanner.expect_nothing_left();
}

#[test]
fn the_shim_and_runc_answer_alike() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    check(LowLevel::Runc);
}

#[test]
fn the_shim_and_crun_answer_alike() {
    if skipped(&[Root, Requirement::Lanner, Program("crun")]) {
        return;
    }
    check(LowLevel::Crun);
}
