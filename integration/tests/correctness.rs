// SPDX-License-Identifier: Apache-2.0
//! Exactly one alert per matching call, with the right process, under loads that break careless supervisors.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    reason = "an integration test is a test module"
)]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use integration::{
    Alert, Bundle, Container, Lanner, LowLevel, NEVER, PROBES,
    Requirement::{self, Program, Root},
    Settings, Tally, skipped, text, wait_for, workload,
};
use serde_json::{Value, json};

const NEEDS: [Requirement; 4] = [Root, Requirement::Lanner, Program("runc"), Program("gcc")];

/// Runs a workload in a container and returns the numbers it printed last.
#[track_caller]
fn run(lanner: &Lanner, arguments: &[&str]) -> Vec<usize> {
    let output = Container::run(&lanner.engine(), &bundle(arguments));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}: {stdout}{stderr}", output.status);
    stdout.lines().last().unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect()
}

/// A bundle with the workload that is its first argument, and the program that does nothing.
fn bundle(arguments: &[&str]) -> Bundle {
    let name = arguments.first().unwrap().trim_start_matches("/bin/");
    Bundle::new(arguments).file(&workload(name), &format!("/bin/{name}")).file(&workload("nothing"), "/bin/nothing")
}

fn names(alerts: &[Alert], field: &str) -> Tally {
    alerts.iter().map(|alert| alert.text(field)).collect()
}

fn numbers(alerts: &[Alert], field: &str) -> BTreeSet<i64> {
    alerts.iter().map(|alert| alert.number(field)).collect()
}

/// Fails unless every alert carries the same text.
#[track_caller]
fn expect_all(alerts: &[Alert], field: &str, expected: &str) {
    let other = alerts.iter().find(|alert| alert.text(field) != expected);
    assert!(other.is_none(), "{field} is not `{expected}`: {other:?}");
}

/// Opens 30,000 different paths under a 1 kHz timer; returns how many opens a signal interrupted, how many signals there
/// were, and how many alerts came twice. None may be missing, and every one must name the right process.
#[track_caller]
fn storm(runtime: LowLevel, restarting: bool) -> (usize, usize, usize) {
    let lanner = Lanner::new(&Settings::audit(PROBES).under(runtime));
    let restart = if restarting { "1" } else { "0" };
    let printed = run(&lanner, &["/bin/storm", "30000", restart]);
    let [30_000, interrupted, 0, signals @ 20..=usize::MAX] = *printed else {
        panic!("calls, interrupted, failed, signals: {printed:?}")
    };
    let alerts = lanner.alerts_of("opened");
    let expected = (0..30_000).map(|call| format!("/probe/{call}")).collect();
    let twice = names(&alerts, "fd.name").expect_at_least("opens", &expected);
    expect_all(&alerts, "proc.name", "storm");
    expect_all(&alerts, "proc.cmdline", &format!("storm 30000 {restart}"));
    assert_eq!((numbers(&alerts, "proc.pid").len(), numbers(&alerts, "proc.vpid")), (1, BTreeSet::from([1])));
    (interrupted, signals, twice)
}

/// crun asks the kernel to hold signals back while a received call waits, so nothing is notified twice.
#[test]
fn signal_storms_under_crun_are_exact() {
    if skipped(&[Root, Requirement::Lanner, Program("crun"), Program("gcc")]) {
        return;
    }
    for restarting in [true, false] {
        let (interrupted, _, twice) = storm(LowLevel::Crun, restarting);
        assert_eq!(twice, 0, "calls were reported twice, {interrupted} were interrupted");
    }
}

/// runc before 1.5 cannot ask for that. The kernel then notifies an interrupted call anew, and a few times even where it
/// had accepted the answer, which nobody can tell from a second call: see the README on signals.
#[test]
fn signal_storms_under_runc_lose_nothing_and_double_little() {
    if skipped(&NEEDS) {
        return;
    }
    let (_, signals, twice) = storm(LowLevel::Runc, true);
    assert!(twice * 100 <= signals, "{twice} calls were reported twice, {signals} signals came");
    let (interrupted, signals, twice) = storm(LowLevel::Runc, false);
    // A call that a signal ended and its repetition are two calls of the program, of which the first may have been seen.
    assert!(twice <= interrupted + signals / 100, "{twice} calls were reported twice, {interrupted} were interrupted");
}

const MET: &str = "
- rule: met
  desc: The FIFO is opened for reading.
  condition: evt.type in (open, openat) and evt.is_open_read = true and fd.name = /tmp/fifo
  output: opened %fd.name
  priority: NOTICE
  action: alert
";

/// An open that waits for a FIFO's other end starts anew with each signal, and is one call all the same.
#[test]
fn an_open_that_waits_among_signals_is_one_call() {
    const ROUNDS: usize = 20;
    if skipped(&[NEEDS[0], NEEDS[1], Program("runc"), Program("crun"), Program("gcc")]) {
        return;
    }
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        let lanner = Lanner::new(&Settings::enforce(&[NEVER, MET].concat()).under(runtime));
        let printed = run(&lanner, &["/bin/meet", &ROUNDS.to_string()]);
        let [ROUNDS, 0, signals @ ROUNDS..=usize::MAX] = *printed else {
            panic!("rounds, failed, signals: {printed:?}")
        };
        let alerts = lanner.alerts_of("met").len();
        assert_eq!(alerts, ROUNDS, "{} among {signals} signals", runtime.name());
    }
}

const LAYERED: &str = "
- rule: seen
  desc: A file was opened.
  condition: evt.type in (open, openat) and fd.name startswith /layered
  output: opened %fd.name
  priority: NOTICE
  action: alert
- rule: refused
  desc: A file was opened that nobody may open.
  condition: evt.type in (open, openat) and fd.name = /layered/refused
  output: refused %fd.name
  priority: NOTICE
  action: deny
- rule: also seen
  desc: A file was opened, once more.
  condition: evt.type in (open, openat) and fd.name startswith /layered
  output: opened %fd.name
  priority: NOTICE
  action: alert
";

/// Of several matching rules the first alerts, and the one that denies; what fails by itself is no denial.
#[test]
fn a_denial_is_told_by_the_rule_that_denies_and_counted_once() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(LAYERED));
    let script = "for file in missing refused allowed; do cat /layered/$file; done; sleep 1000";
    let bundle = Bundle::new(&["sh", "-c", script]);
    fs::create_dir(bundle.inside("/layered")).unwrap();
    fs::write(bundle.inside("/layered/allowed"), "done\n").unwrap();
    let container = Container::start(&lanner.engine(), bundle);
    wait_for("the script", Duration::from_secs(30), || container.output().contains("done").then_some(()));
    let told: Vec<_> = lanner.alerts().iter().map(|alert| format!("{}: {}", alert.rule, alert.message)).collect();
    let [missing, refused, allowed] = ["missing", "refused", "allowed"].map(|name| format!("/layered/{name}"));
    let expected =
        [&missing, &refused, &allowed].map(|name| format!("seen: opened {name}")).into_iter().collect::<Vec<_>>();
    assert_eq!(told, [&expected[..2], &[format!("refused: refused {refused}")], &expected[2..]].concat());
    let listed: Value = serde_json::from_slice(&lanner.call(&["ps", "--json"]).stdout).unwrap();
    assert_eq!(listed[0]["denied"], 1, "{listed}");
    container.end();
    lanner.expect_nothing_left();
}

/// A file system that is taken away in the end.
struct Mounted(PathBuf);

impl Mounted {
    fn new(arguments: &[&str], target: &Path) -> Self {
        let status = Command::new("mount").args(arguments).arg(target).status();
        assert!(status.is_ok_and(|status| status.success()), "cannot mount {}", target.display());
        Self(target.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _may_be_gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// What a full disk keeps from being told is told when there is room, although nothing happens by then.
#[test]
fn calls_that_failed_on_a_full_disk_are_told_of_later() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(LAYERED));
    let folder = tempfile::tempdir().unwrap();
    let _disk = Mounted::new(&["-t", "tmpfs", "-o", "size=64k", "none"], folder.path());
    let (log, filler) = (folder.path().join("log"), folder.path().join("filler"));
    for file in [&log, &lanner.event_log()] {
        fs::write(file, "").unwrap();
    }
    let _log = Mounted::new(&["--bind", log.to_str().unwrap()], &lanner.event_log());
    let script =
        "until [ -e /tmp/go ]; do cat /layered/allowed || echo failed; done 2>/dev/null; echo over; sleep 1000";
    let bundle = Bundle::new(&["sh", "-c", script]);
    fs::create_dir(bundle.inside("/layered")).unwrap();
    fs::write(bundle.inside("/layered/allowed"), "").unwrap();
    let container = Container::start(&lanner.engine(), bundle);
    // Whatever does not fit in is left out.
    let _full = fs::write(&filler, vec![0; 64 << 10]);
    let printed = |word: &str| container.output().contains(word).then_some(());
    wait_for("a call that fails", Duration::from_secs(30), || printed("failed"));
    fs::write(container.inside("/tmp/go"), "").unwrap();
    wait_for("the end of the calls", Duration::from_secs(30), || printed("over"));
    let told = || lanner.alerts_of("Lanner internal: call not judged").len();
    assert_eq!(told(), 0, "the disk is not full");
    fs::remove_file(&filler).unwrap();
    wait_for("an alert of it", Duration::from_secs(30), || (told() == 1).then_some(()));
    let failed = container.output().lines().filter(|line| *line == "failed").count();
    let message = &lanner.alerts_of("Lanner internal: call not judged")[0].message;
    assert!(message.contains(&format!(", the {failed}. of this container")), "{failed} failed: {message}");
    container.end();
    lanner.expect_nothing_left();
}

const TRIED: &str = "
- rule: tried
  desc: A text was executed.
  condition: evt.type = execve and proc.exepath = /public/text
  output: executed %proc.exepath
  priority: NOTICE
  action: alert
";

/// The same call fails again and again: none of its alerts pays for the next one, which the interrupt of the one before may
/// meet.
#[test]
fn each_of_many_execs_that_fail_has_its_alert() {
    const CALLS: usize = 3000;
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program(runtime.name()), Program("gcc")]) {
            continue;
        }
        for settings in [Settings::enforce(TRIED), Settings::audit(TRIED)] {
            let lanner = Lanner::new(&settings.under(runtime));
            let bundle = bundle(&["/bin/failing", &CALLS.to_string()]).text("/public/text", "no program\n");
            fs::set_permissions(bundle.inside("/public/text"), fs::Permissions::from_mode(0o755)).unwrap();
            let output = Container::run(&lanner.engine(), &bundle);
            assert_eq!(text(&output.stdout), format!("{CALLS}\n"), "{}", text(&output.stderr));
            assert_eq!(lanner.alerts_of("tried").len(), CALLS, "{}", runtime.name());
        }
    }
}

#[test]
fn sixty_four_threads_at_once() {
    if skipped(&NEEDS) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(PROBES));
    let printed = run(&lanner, &["/bin/threads", "64", "10"]);
    assert_eq!(printed, [1, 640, 704, 0], "process, opens, executions, failed");
    let calls = || (0..64).flat_map(|thread| (0..10).map(move |call| format!("{thread}-{call}")));
    let opened = lanner.alerts_of("opened");
    names(&opened, "fd.name").expect("opens", &calls().map(|call| format!("/probe/{call}")).collect());
    expect_all(&opened, "proc.name", "threads");
    assert_eq!(numbers(&opened, "proc.vpid"), BTreeSet::from([1]), "a thread was taken for a process");
    let executed = lanner.alerts_of("executed");
    let replaced = (0..64).map(|thread| format!("nothing thread-{thread}"));
    let expected = calls().map(|call| format!("nothing {call}")).chain(replaced).collect();
    names(&executed, "proc.cmdline").expect("executions", &expected);
    expect_all(&executed, "proc.exepath", "/bin/nothing");
    assert_eq!(numbers(&executed, "proc.vpid").len(), executed.len(), "two programs share a process");
}

#[test]
fn ten_thousand_processes_with_one_reused_pid() {
    if skipped(&NEEDS) {
        return;
    }
    let rules = PROBES.replace("proc.name = nothing", "proc.exepath startswith /bin/w");
    let lanner = Lanner::new(&Settings::audit(&rules));
    let program = workload("churn");
    let bundle =
        (0..7).fold(bundle(&["/bin/churn", "10000"]), |bundle, index| bundle.file(&program, &format!("/bin/w{index}")));
    // Lanner and the container share a namespace of process ids, so that what is reused is reused for Lanner too.
    let bundle = bundle.edit(|spec| {
        let namespaces = spec.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
        namespaces.unwrap().retain(|namespace| namespace.get("type") != Some(&json!("pid")));
    });
    let capabilities = json!(["CAP_SYS_ADMIN", "CAP_KILL"]);
    let bundle = ["bounding", "effective", "permitted"]
        .iter()
        .fold(bundle.set("/linux/readonlyPaths", json!([])), |bundle, set| {
            bundle.set(&format!("/process/capabilities/{set}"), capabilities.clone())
        });
    let engine = lanner.engine().wrapped(&["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    let output = Container::run(&engine, &bundle);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let numbers: Vec<usize> = stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(
        matches!(numbers.as_slice(), [10_000, 9_000..=usize::MAX, 0]),
        "processes, reused, failed: {stdout}{stderr}"
    );

    let seen: Tally = lanner.alerts_of("opened").iter().map(described).collect();
    seen.expect("opens", &(0..10_000).map(|index| format!("/probe/{index} {}", identity(index))).collect());
    let executed: Tally = lanner.alerts_of("executed").iter().map(|alert| described(alert).trim().to_owned()).collect();
    executed.expect("executions", &(0..10_000).step_by(2).map(identity).collect());
}

fn described(alert: &Alert) -> String {
    format!("{} {} ({})", alert.text("fd.name"), alert.text("proc.name"), alert.text("proc.cmdline"))
}

/// Name and command line of the process that did step `index` of `churn`.
fn identity(index: usize) -> String {
    match index % 2 {
        0 => format!("w{0} (w{0} {index})", index % 7),
        _ => "churn (churn 10000)".to_owned(),
    }
}

#[test]
fn calls_of_other_architectures() {
    if skipped(&NEEDS) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(PROBES));
    let output = Container::run(&lanner.engine(), &bundle(&["/bin/foreign", "20"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let opened = lanner.alerts_of("opened");
    let calls = ["i386", "x32"].into_iter().flat_map(|kind| (0..20).map(move |call| format!("/probe/{kind}-{call}")));
    names(&opened, "fd.name").expect("opens", &calls.collect());
    expect_all(&opened, "proc.name", "foreign");
    let by_open = opened.iter().filter(|alert| alert.text("evt.type") == "open").count();
    assert_eq!(by_open, 10, "int 0x80 number 5 is open");
    let executed = lanner.alerts_of("executed");
    names(&executed, "proc.cmdline").expect("executions", &["nothing i386", "nothing x32"].into_iter().collect());
}

#[test]
fn odd_paths_and_long_arguments() {
    if skipped(&NEEDS) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(PROBES));
    run(&lanner, &["/bin/odd"]);
    let odd: [&[u8]; 8] = [
        b"/probe/new\nline",
        b"/probe/escape\x1b[31mred\x1b[0m",
        b"/probe/invalid\xff\xfeutf8",
        b"/probe/quote\"back\\slash",
        b"/probe/%evt.time *%proc.name",
        b"/probe/tab\tbell\x07",
        b"/probe/{\"time\":1}",
        "/probe/\u{1f600}".as_bytes(),
    ];
    let longest: String = "/probe/".chars().chain((7..4095).map(|at| if at % 200 == 0 { '/' } else { 'x' })).collect();
    let opened: Tally =
        lanner.alerts_of("opened").iter().map(|alert| shown(alert.text("fd.name").as_bytes())).collect();
    opened.expect("opens", &odd.iter().map(|path| shown(path)).chain([longest]).collect());

    let executed = lanner.alerts_of("executed");
    let (long, short): (Vec<_>, Vec<_>) =
        executed.into_iter().partition(|alert| alert.text("proc.cmdline").starts_with("nothing megabytes yyy"));
    assert_eq!(long.len(), 1);
    let short: Tally = short.iter().map(|alert| shown(alert.text("proc.cmdline").as_bytes())).collect();
    short.expect("executions", &odd.iter().map(|path| format!("nothing {}", shown(path))).collect());

    let lines = lanner.logs();
    assert_eq!(lines.len(), lanner.alerts().len(), "an alert takes one line");
    let raw = lines.iter().find(|line| line.chars().any(char::is_control));
    assert!(raw.is_none(), "a control character reaches the terminal: {raw:?}");
}

/// As Falco shows text: control characters and what is no UTF-8 replaced.
fn shown(bytes: &[u8]) -> String {
    let replaced = |sign: char| if sign.is_control() { char::REPLACEMENT_CHARACTER } else { sign };
    let chunks = bytes.utf8_chunks().flat_map(|chunk| {
        let invalid = std::iter::repeat_n(char::REPLACEMENT_CHARACTER, chunk.invalid().len());
        chunk.valid().chars().map(replaced).chain(invalid)
    });
    chunks.collect()
}
