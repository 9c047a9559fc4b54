// SPDX-License-Identifier: Apache-2.0
//! `bench`: what Lanner's modes cost, against no supervision and against the bare loop, in one interleaved run.
//!
//! All run the same static program in the same kind of runc container. `native` has no listener; `bare` is served by
//! `bare-loop`, with the same profile as Lanner's base set, and `stopped` too, with a stop in each exec; `audit` runs under
//! `lanner-runtime` with thirty rules on opens, none of which match; `enforce` has the same rules and one on execs, all of
//! which would deny, so that opens are performed for the program and execs are verified. Samples take turns, medians are
//! compared, so that a noisy machine disturbs all alike. `sleeping` is as `enforce`, but idle CPUs sleep as deeply as the
//! machine lets them (`limit_cpu_latency: false`), and the figures contain what it takes to wake them.
//! Prints a table and writes `target/bench.json`; with `--check` it fails where a limit is missed.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench reports to its reader and stops at the first fault"
)]

use std::{
    env,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use integration::{
    Bundle, Container, Engine, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, binary, skipped, target, text, wait_for, workload,
};
use serde_json::{Map, Value, json};

const ROUNDS: usize = 9; // odd, so that the median is a sample
/// Before each start. A start soon after another one finds the lock on control groups warm and saves a wait for RCU, so that
/// native starts, which follow each other sooner, would look shorter than they are alone.
const PAUSE: Duration = Duration::from_millis(100);
const OPENS: &str = "100000";
const EXECS: &str = "2000";
const OPEN_LIMIT: f64 = 1.5; // of the bare loop's time
const START_LIMIT: f64 = 1.25; // of runc's own time
const ENFORCED_OPEN_LIMIT: f64 = 3.0; // of the bare loop's time
const ENFORCED_EXEC_LIMIT: f64 = 1.25; // of the native time
const WATCHED: [&str; 6] = ["execve", "execveat", "open", "openat", "openat2", "creat"]; // Lanner's base set

fn main() -> ExitCode {
    if skipped(&[Root, Program("runc"), Program("gcc"), Requirement::Lanner]) {
        return ExitCode::FAILURE;
    }
    let rounds = env::var("LANNER_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let setting = Setting::new();
    let mut results = Map::new();
    results.insert("open".to_owned(), setting.calls("open", OPENS, rounds));
    results.insert("exec".to_owned(), setting.calls("exec", EXECS, rounds));
    results.insert("start".to_owned(), setting.starts(rounds * 5));
    let results = Value::Object(results);
    print!("{}", table(&results));
    let place = target().join("bench.json");
    fs::write(&place, format!("{results:#}\n")).expect("cannot write the figures");
    println!("written to {}", place.display());
    let missed = missed(&results);
    for limit in &missed {
        println!("missed: {limit}");
    }
    let strict = env::args().any(|argument| argument == "--check");
    if strict && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Who serves a container's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Native,
    Bare,
    /// As `Bare`, with a stop in each exec.
    Stopped,
    Audit,
    Enforce,
    /// As `Enforce`, with idle CPUs left asleep.
    Sleeping,
}

/// The ways to run a container.
struct Setting {
    auditing: Lanner,
    enforcing: Lanner,
    sleeping: Lanner,
    native: Engine,
}

impl Setting {
    fn new() -> Self {
        let rules = format!("{}{EXEC_RULE}", thirty_rules());
        let auditing = Lanner::new(&Settings::audit(&thirty_rules()));
        let enforcing = Lanner::new(&Settings::enforce(&rules));
        let sleeping = Lanner::new(&Settings::enforce(&rules).with("limit_cpu_latency: false\n"));
        let native = Engine::direct(LowLevel::Runc, &auditing.folder().join("native"));
        Self { auditing, enforcing, sleeping, native }
    }

    /// Medians of a timed call.
    fn calls(&self, call: &str, count: &str, rounds: usize) -> Value {
        let mut samples = Samples::default();
        for round in 0..rounds {
            let mut kinds = vec![Kind::Native, Kind::Bare, Kind::Audit, Kind::Enforce, Kind::Sleeping];
            kinds.extend((call == "exec").then_some(Kind::Stopped));
            let turn = round % kinds.len();
            kinds.rotate_left(turn); // so that nobody always runs after the same neighbour
            for kind in kinds {
                samples.add(kind, self.timed(kind, call, count));
            }
        }
        let alerts = [&self.auditing, &self.enforcing, &self.sleeping].map(Lanner::alerts).concat();
        assert!(alerts.is_empty(), "a rule that should not match did: {:?}", alerts.first());
        samples.report()
    }

    /// Medians of a container's whole life: `run` of a program that does nothing.
    fn starts(&self, rounds: usize) -> Value {
        let mut samples = Samples::default();
        for round in 0..rounds {
            let mut kinds = [Kind::Native, Kind::Audit];
            kinds.rotate_left(round % 2);
            for kind in kinds {
                let bundle = bundle(&["/bin/nothing"]);
                thread::sleep(PAUSE);
                let start = Instant::now();
                let output = Container::run(&self.engine(kind), &bundle);
                let life = start.elapsed();
                assert!(output.status.success(), "{}", text(&output.stderr));
                samples.add(kind, life.as_secs_f64() * 1e9);
            }
        }
        samples.report()
    }

    fn timed(&self, kind: Kind, call: &str, count: &str) -> f64 {
        let bundle = bundle(&["/bin/timed", call, count]);
        let (bundle, server) = match kind {
            Kind::Bare | Kind::Stopped => {
                let socket = bundle.path().join("listener");
                let server = serve(&socket, kind == Kind::Stopped);
                (bundle.profile(profile(&socket)), Some(server))
            }
            Kind::Native | Kind::Audit | Kind::Enforce | Kind::Sleeping => (bundle, None),
        };
        let output = Container::run(&self.engine(kind), &bundle);
        assert!(output.status.success(), "{kind:?}: {}{}", text(&output.stdout), text(&output.stderr));
        if let Some(mut server) = server {
            server.wait().expect("cannot wait for the bare loop");
        }
        text(&output.stdout).trim().parse().expect("the workload prints a number")
    }

    fn engine(&self, kind: Kind) -> Engine {
        match kind {
            Kind::Native | Kind::Bare | Kind::Stopped => self.native.clone(),
            Kind::Audit => self.auditing.engine(),
            Kind::Enforce => self.enforcing.engine(),
            Kind::Sleeping => self.sleeping.engine(),
        }
    }
}

fn bundle(arguments: &[&str]) -> Bundle {
    Bundle::new(arguments).file(&workload("timed"), "/bin/timed").file(&workload("nothing"), "/bin/nothing")
}

fn serve(socket: &Path, stops: bool) -> Child {
    let program = binary("bare-loop").unwrap_or_else(|| panic!("`bare-loop` is not built"));
    let mut command = Command::new(program);
    command.arg(socket).args(stops.then_some("stop"));
    let child = command.stdin(Stdio::null()).spawn().expect("cannot start the bare loop");
    wait_for("the bare loop's socket", Duration::from_secs(10), || socket.exists().then_some(()));
    child
}

fn profile(socket: &Path) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "listenerPath": socket,
        "syscalls": [{ "names": WATCHED, "action": "SCMP_ACT_NOTIFY" }],
    })
}

/// A rule that makes execs worth verifying.
const EXEC_RULE: &str = "- rule: bench exec\n  desc: matches nothing\n  condition: evt.type = execve and proc.name = never\n  \
                         output: matched %proc.name\n  priority: NOTICE\n";

/// Thirty rules as rule writers write them: names, prefixes, lists, parts, with and without a look at the process.
fn thirty_rules() -> String {
    let conditions = [
        "fd.name startswith /never/NN",
        "fd.name in (/never/NN/a, /never/NN/b, /never/NN/c)",
        "fd.name contains never-NN and proc.name = neverNN",
        "fd.directory = /never/NN and evt.is_open_read = true",
        "evt.is_open_write = true and fd.name startswith /etc and not proc.name in (neverNN)",
        "fd.filename = neverNN and container.id != host",
    ];
    let mut rules = String::new();
    for (number, condition) in (0..30).zip(conditions.iter().cycle()) {
        let condition = condition.replace("NN", &format!("{number:02}"));
        writeln!(
            rules,
            "- rule: bench {number}\n  desc: matches nothing\n  condition: evt.type in (open, openat, openat2) and \
             {condition}\n  output: matched %fd.name\n  priority: NOTICE"
        )
        .expect("text grows");
    }
    rules
}

#[derive(Default)]
struct Samples {
    native: Vec<f64>,
    bare: Vec<f64>,
    stopped: Vec<f64>,
    audit: Vec<f64>,
    enforce: Vec<f64>,
    sleeping: Vec<f64>,
}

impl Samples {
    fn add(&mut self, kind: Kind, nanoseconds: f64) {
        match kind {
            Kind::Native => self.native.push(nanoseconds),
            Kind::Bare => self.bare.push(nanoseconds),
            Kind::Stopped => self.stopped.push(nanoseconds),
            Kind::Audit => self.audit.push(nanoseconds),
            Kind::Enforce => self.enforce.push(nanoseconds),
            Kind::Sleeping => self.sleeping.push(nanoseconds),
        }
    }

    fn report(mut self) -> Value {
        let (native, audit) = (median(&mut self.native), median(&mut self.audit));
        let mut report = Map::new();
        let mut note = |name: &str, figure: f64| report.insert(name.to_owned(), json!(figure));
        note("native_ns", native.round());
        note("audit_ns", audit.round());
        note("audit_over_native", ratio(audit, native));
        if !self.bare.is_empty() {
            let (bare, enforce) = (median(&mut self.bare), median(&mut self.enforce));
            let sleeping = median(&mut self.sleeping);
            note("bare_ns", bare.round());
            note("audit_over_bare", ratio(audit, bare));
            note("enforce_ns", enforce.round());
            note("enforce_over_bare", ratio(enforce, bare));
            note("enforce_over_native", ratio(enforce, native));
            note("sleeping_ns", sleeping.round());
            note("sleeping_over_bare", ratio(sleeping, bare));
            note("sleeping_over_native", ratio(sleeping, native));
        }
        if !self.stopped.is_empty() {
            let stopped = median(&mut self.stopped);
            note("stopped_ns", stopped.round());
            note("stopped_over_native", ratio(stopped, native));
        }
        Value::Object(report)
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().expect("each kind was measured")
}

fn ratio(one: f64, other: f64) -> f64 {
    (one / other * 1000.0).round() / 1000.0
}

fn missed(results: &Value) -> Vec<String> {
    let limits = [
        ("open", "audit_over_bare", OPEN_LIMIT),
        ("start", "audit_over_native", START_LIMIT),
        ("open", "enforce_over_bare", ENFORCED_OPEN_LIMIT),
        ("exec", "enforce_over_native", ENFORCED_EXEC_LIMIT),
    ];
    let over = limits.iter().filter(|(what, name, limit)| number(results, what, name) > *limit);
    over.map(|(what, name, limit)| format!("{what} {name} is {} (limit {limit})", number(results, what, name)))
        .collect()
}

fn number(results: &Value, what: &str, name: &str) -> f64 {
    results.get(what).and_then(|result| result.get(name)).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

fn table(results: &Value) -> String {
    const COLUMNS: [(&str, &str); 13] = [
        ("native ns", "native_ns"),
        ("bare ns", "bare_ns"),
        ("stopped ns", "stopped_ns"),
        ("audit ns", "audit_ns"),
        ("enforce ns", "enforce_ns"),
        ("sleeping ns", "sleeping_ns"),
        ("audit/bare", "audit_over_bare"),
        ("audit/native", "audit_over_native"),
        ("enforce/bare", "enforce_over_bare"),
        ("enforce/native", "enforce_over_native"),
        ("sleeping/bare", "sleeping_over_bare"),
        ("sleeping/native", "sleeping_over_native"),
        ("stopped/native", "stopped_over_native"),
    ];
    let mut table = format!("{:<10}", "");
    for (title, _) in COLUMNS {
        write!(table, "{title:>17}").expect("text grows");
    }
    for what in ["open", "exec", "start"] {
        write!(table, "\n{what:<10}").expect("text grows");
        for (_, name) in COLUMNS {
            let figure = Some(number(results, what, name)).filter(|number| number.is_finite());
            let figure = figure.map_or_else(|| "-".to_owned(), |number| number.to_string());
            write!(table, "{figure:>17}").expect("text grows");
        }
    }
    table + "\n"
}
