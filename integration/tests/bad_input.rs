// SPDX-License-Identifier: Apache-2.0
//! Bad input: one clear error that names the cause; audit mode lets the container run, enforce mode does not.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Output, Stdio},
    time::Duration,
};

use integration::{
    Bundle, Lanner,
    Requirement::{self, Program, Root},
    Settings, binary, skipped, text, wait_for,
};
use serde_json::{Value, json};

const RULES: &str = "
- rule: nothing
  desc: matches nothing
  condition: evt.type = open and fd.name = /never
  output: never
  priority: DEBUG
";

/// What becomes of the container in audit mode.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Audit {
    /// It runs, unwatched.
    Runs,
    /// There is nothing that could run it, or enforcement may have been meant.
    Fails,
}

/// What a run left: its output, and the messages of its `--log` file.
struct Outcome {
    output: Output,
    log: Vec<String>,
}

fn run(lanner: &Lanner, shim: &str, bundle: &Bundle) -> Outcome {
    let log = lanner.folder().join("log.json");
    drop(fs::remove_file(&log));
    let mut command = lanner.engine_as(shim).command();
    command
        .arg("--log")
        .arg(&log)
        .args(["--log-format", "json", "run", "--bundle"])
        .arg(bundle.path())
        .arg("bad-input");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let lines = fs::read_to_string(&log).unwrap_or_default();
    let message = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line.get("msg").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    Outcome { output, log: lines.lines().map(message).collect() }
}

/// Spoils a good setting with `spoil` and expects `words` in the one message, in both modes.
#[track_caller]
fn check(audit: Audit, words: &[&str], spoil: impl Fn(&Lanner, Bundle) -> Bundle) {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    for (shim, runs) in [("lanner-runtime", audit == Audit::Runs), ("lanner-runtime-enforce", false)] {
        let lanner = Lanner::new(&Settings::audit(RULES));
        let bundle = Bundle::new(&["echo", "ran"]);
        let bundle = spoil(&lanner, bundle);
        if bundle.path().join("rootfs").exists() {
            bundle.write();
        }
        let Outcome { output, log } = run(&lanner, shim, &bundle);
        let stderr = text(&output.stderr);
        let told = format!("{shim}: {}, stderr: {stderr}, log: {log:#?}", output.status);
        assert_eq!((output.status.success(), text(&output.stdout).contains("ran")), (runs, runs), "{told}");
        let naming = |message: &&String| words.iter().all(|word| message.contains(word));
        assert_eq!(log.iter().filter(naming).count(), 1, "one message names {words:?}: {told}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{told}");
        lanner.expect_nothing_left();
    }
}

#[test]
fn a_configuration_file_that_does_not_exist() {
    check(Audit::Runs, &["lanner.yaml", "No such file"], |lanner, bundle| {
        fs::remove_file(lanner.config()).unwrap();
        bundle
    });
}

#[test]
fn a_configuration_that_is_not_yaml() {
    check(Audit::Fails, &["lanner.yaml"], |lanner, bundle| {
        fs::write(lanner.config(), "mode: [audit\n").unwrap();
        bundle
    });
}

/// Rules are the one input that may be mended while the container runs: audit mode starts it watched, without rules, and
/// says so in the event log; enforce mode does not start it.
#[track_caller]
fn check_rules(words: &[&str], spoil: impl Fn(&Lanner)) {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let naming = |message: &str| words.iter().all(|word| message.contains(word));
    for (shim, runs) in [("lanner-runtime", true), ("lanner-runtime-enforce", false)] {
        let lanner = Lanner::new(&Settings::audit(RULES));
        spoil(&lanner);
        let bundle = Bundle::new(&["echo", "ran"]);
        bundle.write();
        let Outcome { output, log } = run(&lanner, shim, &bundle);
        let told = format!("{shim}: {}, stderr: {}, log: {log:#?}", output.status, text(&output.stderr));
        assert_eq!((output.status.success(), text(&output.stdout).contains("ran")), (runs, runs), "{told}");
        lanner.expect_nothing_left();
        let logged: Vec<_> = lanner.alerts().into_iter().map(|alert| alert.message).collect();
        let messages = if runs { &logged } else { &log };
        assert_eq!(
            messages.iter().filter(|message| naming(message)).count(),
            1,
            "one message names {words:?}: {told} {logged:#?}"
        );
        lanner.expect_nothing_left();
    }
}

#[test]
fn rules_that_cannot_be_read() {
    check_rules(&["lanner_rules.local.yaml", "Input/output error"], |lanner| {
        // A file that not even root can read; one that is missing is skipped, as Falco does, where others have rules.
        fs::remove_file(lanner.rules()).unwrap();
        symlink("/proc/self/mem", lanner.rules()).unwrap();
    });
}

#[test]
fn rules_that_do_not_load() {
    let broken = RULES.replace("fd.name", "nonsense.field");
    check_rules(&["lanner_rules.local.yaml:4:", "nonsense.field"], |lanner| lanner.write_rules(&broken));
}

#[test]
fn rules_that_are_missing() {
    check_rules(&["no rule is enabled", "lanner_rules.local.yaml", "does not exist"], |lanner| {
        fs::remove_file(lanner.rules()).unwrap();
    });
}

#[test]
fn rules_that_are_empty_or_disabled() {
    for text in ["", "[]\n", &RULES.replace("priority:", "enabled: false\n  priority:")] {
        check_rules(&["no rule is enabled", "lanner_rules.local.yaml"], |lanner| lanner.write_rules(text));
    }
}

#[test]
fn a_run_directory_whose_socket_path_is_too_long() {
    check(Audit::Runs, &["listener", "107"], |lanner, bundle| {
        let long = lanner.folder().join("long/".repeat(20));
        lanner.reconfigure("run_dir:", &format!("run_dir: {}", long.display()));
        bundle
    });
}

#[test]
fn an_event_log_that_cannot_be_written() {
    check(Audit::Runs, &["events.jsonl"], |lanner, bundle| {
        lanner.reconfigure("event_log:", "event_log: {path: /proc/events.jsonl}");
        bundle
    });
}

#[test]
fn a_low_level_runtime_that_does_not_exist() {
    check(Audit::Fails, &["/nonexistent/runc"], |lanner, bundle| {
        lanner.reconfigure("runtimes:", "runtimes: [/nonexistent/runc]");
        bundle
    });
}

#[test]
fn a_bundle_without_config_json() {
    check(Audit::Fails, &["config.json"], |_, bundle| {
        fs::remove_dir_all(bundle.path().join("rootfs")).unwrap();
        bundle
    });
}

/// An audited container starts without supervision, and nothing of an earlier start keeps it from that.
#[test]
fn a_bundle_of_an_earlier_start_where_supervision_is_gone() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULES));
    let bundle = Bundle::new(&["echo", "ran"]);
    bundle.write();
    assert!(run(&lanner, "lanner-runtime", &bundle).output.status.success());
    lanner.expect_nothing_left();
    lanner.reconfigure("mode:", "mode: audit\nlanner: /nonexistent");
    let Outcome { output, log } = run(&lanner, "lanner-runtime", &bundle);
    let told = format!("{}, stderr: {}, log: {log:#?}", output.status, text(&output.stderr));
    assert!(output.status.success() && text(&output.stdout).contains("ran"), "{told}");
    lanner.expect_nothing_left();
}

#[test]
fn a_profile_with_a_listener_of_its_own() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    for (shim, runs) in [("lanner-runtime", true), ("lanner-runtime-enforce", false)] {
        let lanner = Lanner::new(&Settings::audit(RULES));
        let socket = lanner.folder().join("foreign");
        let mut agent = Command::new(binary("bare-loop").unwrap()).arg(&socket).stdin(Stdio::null()).spawn().unwrap();
        wait_for("the foreign agent", Duration::from_secs(10), || socket.exists().then_some(()));
        let bundle = Bundle::new(&["echo", "ran"]).profile(json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": socket,
            "syscalls": [{ "names": ["execve"], "action": "SCMP_ACT_NOTIFY" }],
        }));
        bundle.write();
        let Outcome { output, log } = run(&lanner, shim, &bundle);
        agent.kill().unwrap();
        agent.wait().unwrap();
        let told = format!("{shim}: {}, stderr: {}, log: {log:#?}", output.status, text(&output.stderr));
        assert_eq!((output.status.success(), text(&output.stdout).contains("ran")), (runs, runs), "{told}");
        let foreign = socket.display().to_string();
        assert_eq!(log.iter().filter(|message| message.contains(&foreign)).count(), 1, "{told}");
        lanner.expect_nothing_left();
    }
}
