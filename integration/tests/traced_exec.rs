// SPDX-License-Identifier: Apache-2.0
//! A program that is executed by a task which somebody in the container traces: nobody else can stop it before its first
//! instruction, so that the kernel holds it by a frozen control group until it was judged.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]
#![expect(clippy::expect_used, reason = "test code: a failed preparation ends the test")]

use std::{fs, path::PathBuf, thread, time::Duration};

use integration::{
    Alert, Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Fuse, Program, Root},
    Settings, bare_workload, skipped, text, wait_for, workload,
};
use nix::sys::signal::{Signal, kill};
use serde_json::json;

const RULES: &str = r"
- rule: banned
  desc: A program below /banned was executed.
  condition: evt.type in (execve, execveat) and proc.exepath startswith /banned
  output: executed %proc.exepath
  priority: NOTICE
  action: deny

- rule: banned argument
  desc: A program was given an argument that none may have.
  condition: evt.type in (execve, execveat) and proc.args contains --banned
  output: executed %proc.cmdline
  priority: NOTICE
  action: deny
";
const UNVERIFIED: &str = "Lanner internal: exec not verified";

#[test]
fn what_a_traced_task_executes_behind_our_back_dies() {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES));
    for task in ["leader", "thread", "orphan", "leased"] {
        let output = Container::run(&lanner.engine(), &bundle(&["/bin/traced", task], ["pause", "pause"]));
        assert_eq!(text(&output.stdout), "killed\n", "{task}: {}", text(&output.stderr));
    }
}

#[test]
fn a_traced_exec_fails_where_the_configuration_says_so() {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc")]) {
        return;
    }
    // What nobody traces runs, and so does a tracer.
    let bundle = Bundle::new(&["sh", "-c", "exec traced once"]).file(&workload("traced"), "/bin/traced");
    let (allow, deny) = ("enforce: {traced_execs: allow}\n", "enforce: {traced_execs: deny, errno: EACCES}\n");
    for (settings, outcome, alerts) in [("", "ran", 0), (allow, "ran", 0), (deny, "EACCES", 1)] {
        let lanner = Lanner::new(&Settings::enforce(RULES).with(settings));
        let output = Container::run(&lanner.engine(), &bundle);
        assert_eq!(text(&output.stdout), format!("{outcome}\n"), "{}", text(&output.stderr));
        // An allowed one may have ended before it was looked at, which the same rule tells in other words.
        let is_denial = |alert: &&Alert| alert.message.contains("`enforce.traced_execs` is `deny`");
        assert_eq!(lanner.alerts_of(UNVERIFIED).iter().filter(is_denial).count(), alerts, "{outcome}");
        lanner.expect_nothing_left();
    }
}

#[test]
fn a_traced_exec_that_fails_goes_on() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
        let bundle = Bundle::new(&["timeout", "10", "traced", "failing"]).file(&workload("traced"), "/bin/traced");
        let output = Container::run(&lanner.engine(), &bundle);
        assert_eq!(text(&output.stdout), "ENOENT\n".repeat(6), "{runtime:?}: {}", text(&output.stderr));
        lanner.expect_nothing_left();
    }
}

/// The bundle's program, which says what a traced exec comes to, around `between`.
fn twice(between: &str) -> Bundle {
    let command = format!("traced once; {between}; traced once");
    Bundle::new(&["sh", "-c", &command]).file(&workload("traced"), "/bin/traced")
}

#[test]
fn a_traced_exec_fails_where_its_container_could_let_it_go() {
    let (exposed, mounts) = ("may be able to write to control groups", "umount /nowhere 2> /dev/null");
    let admin = json!(["CAP_SYS_ADMIN"]);
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())]) {
            continue;
        }
        for (bundle, outcomes) in [
            (twice("true"), ["ran", "ran"]),
            (twice(mounts), ["ran", "EPERM"]),
            (twice("true").set("/process/capabilities/bounding", admin.clone()), ["EPERM", "EPERM"]),
        ] {
            let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
            let output = Container::run(&lanner.engine(), &bundle);
            let said = text(&output.stdout);
            assert_eq!(said.lines().collect::<Vec<_>>(), outcomes, "{runtime:?}: {}", text(&output.stderr));
            let told = lanner.alerts_of(UNVERIFIED).iter().filter(|alert| alert.message.ends_with(exposed)).count();
            assert_eq!(told, outcomes.iter().filter(|outcome| **outcome != "ran").count(), "{runtime:?}");
            lanner.expect_nothing_left();
        }
        // Nothing is held in audit mode.
        let lanner = Lanner::new(&Settings::audit(RULES).under(runtime));
        let output = Container::run(&lanner.engine(), &twice(mounts));
        assert_eq!(text(&output.stdout), "ran\nran\n", "{runtime:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_successor_holds_nobody_either_where_something_was_mounted() {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES));
    let bundle = Bundle::new(&["sleep", "1000"]).file(&workload("traced"), "/bin/traced");
    let container = Container::start(&lanner.engine(), bundle);
    let said = |command: &[&str]| text(&container.exec(command).stdout).trim().to_owned();
    assert_eq!(said(&["traced", "once"]), "ran");
    container.exec(&["umount", "/nowhere"]);
    for supervisor in lanner.supervisors() {
        kill(supervisor, Signal::SIGKILL).expect("cannot kill the supervisor");
    }
    assert_eq!(said(&["traced", "once"]), "EPERM");
    container.end();
    lanner.expect_nothing_left();
}

/// How often a container is paused, at some moment of an exec.
const PAUSES: u64 = 20;

/// Not under crun, which asks the first version's freezer once: a task that stops for its tracer in that moment stays unfrozen.
#[test]
fn traced_execs_go_on_after_a_pause() {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES));
    let bundle = Bundle::new(&["sh", "-c", "while :; do traced once >> /tmp/outcomes; done"]);
    let container = Container::start(&lanner.engine(), bundle.file(&workload("traced"), "/bin/traced"));
    let file = container.inside("/tmp/outcomes");
    let outcomes = || fs::read_to_string(&file).unwrap_or_default();
    let await_another = || {
        let before = outcomes().len();
        wait_for("an exec", Duration::from_secs(10), || (outcomes().len() > before).then_some(()));
    };
    for number in 0..PAUSES {
        await_another();
        thread::sleep(Duration::from_millis(number));
        container.pause(Duration::from_secs(10));
        thread::sleep(Duration::from_millis(20));
        container.resume();
    }
    await_another();
    let said = outcomes();
    container.end();
    assert_eq!(said.lines().find(|outcome| *outcome != "ran"), None);
    assert_eq!(lanner.alerts().len(), 0);
    lanner.expect_nothing_left();
}

/// Where cgroup v2 is beside the first version, it can be missing.
#[test]
fn a_traced_exec_that_cannot_be_held_fails() {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc"), Requirement::HybridCgroups]) {
        return;
    }
    let bundle = Bundle::new(&["sh", "-c", "traced once"]).file(&workload("traced"), "/bin/traced");
    for (settings, outcome, alerts) in [("", "EPERM", 1), ("enforce: {traced_execs: allow}\n", "ran", 0)] {
        let lanner = Lanner::new(&Settings::enforce(RULES).with(settings));
        let without = r#"umount /sys/fs/cgroup/unified && exec "$@""#;
        let engine = lanner.engine().wrapped(&["unshare", "-m", "sh", "-c", without, "sh"]);
        let output = Container::run(&engine, &bundle);
        assert_eq!(text(&output.stdout), format!("{outcome}\n"), "{}", text(&output.stderr));
        let is_denial = |alert: &&Alert| {
            alert.message.ends_with("cannot be held until it was looked at: cgroup v2 is not mounted to be written to")
        };
        assert_eq!(lanner.alerts_of(UNVERIFIED).iter().filter(is_denial).count(), alerts, "{outcome}");
        lanner.expect_nothing_left();
    }
}

/// A container with two programs, one of which must not run.
fn bundle(command: &[&str; 2], programs: [&str; 2]) -> Bundle {
    of_programs(command, programs.map(workload))
}

fn of_programs(command: &[&str; 2], [public, banned]: [PathBuf; 2]) -> Bundle {
    let bundle = Bundle::new(command).file(&workload(command[0].trim_start_matches("/bin/")), command[0]);
    for folder in ["/public", "/banned"] {
        fs::create_dir(bundle.inside(folder)).expect("cannot make a folder");
    }
    bundle.file(&public, "/public/program").file(&banned, "/banned/program")
}

#[test]
fn a_program_that_looks_like_the_one_before_is_judged() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
        let output = Container::run(&lanner.engine(), &bundle(&["/bin/retraced", "same"], ["nothing", "nothing"]));
        assert_eq!(text(&output.stdout), "killed\n", "{runtime:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_program_that_ends_at_once_after_a_long_exec_is_not_missed() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
        let bundle = bundle(&["/bin/retraced", "held"], ["nothing", "banned"]);
        let mut ran = 0;
        // Which of the programs are loaded is a race; each that was and must not has its alert.
        let alerts = (0..5).find_map(|_| {
            ran += text(&Container::run(&lanner.engine(), &bundle).stdout).lines().count();
            let seen = |alert: &&Alert| alert.rule == UNVERIFIED || alert.id.ends_with("-v");
            Some(lanner.alerts().iter().filter(seen).count()).filter(|alerts| *alerts > 0 || ran > 0)
        });
        assert!(alerts.is_some_and(|alerts| alerts >= ran), "{runtime:?}: {alerts:?} alerts, {ran} ran");
    }
}

/// Programs that hold up whoever looks at their memory (`workloads/withholding.c`); which of them do so before anybody has
/// looked is a race.
#[track_caller]
fn check_withheld(kind: &str, programs: [fn() -> PathBuf; 2]) {
    if skipped(&[Root, Requirement::Lanner, Program("gcc"), Program("runc"), Fuse]) {
        return;
    }
    // What the alerts say is there, too.
    let settings = Settings::enforce(&RULES.replace("%proc.exepath", "%proc.cmdline"));
    // It mounts a file system, after which nothing would be held.
    let lanner = Lanner::new(&settings.with("enforce: {traced_execs: allow}\n"));
    let device = json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]);
    let bundle = of_programs(&["/bin/withheld", kind], programs.map(|program| program()))
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .set("/linux/devices", device)
        .set("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}]));
    let output = Container::run(&lanner.engine(), &bundle);
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && !said.contains("lives"), "{}: {said}{errors}", output.status);
    let alerts = lanner.alerts();
    let alerts = alerts.iter().filter(|alert| alert.rule == UNVERIFIED || alert.id.ends_with("-v")).count();
    assert!(alerts > 0 && alerts >= said.lines().count(), "{alerts} alerts: {said}");
    lanner.expect_nothing_left();
}

#[test]
fn a_program_that_nobody_can_look_at_dies() {
    check_withheld("argument", [|| bare_workload("withholding"), || workload("pause")]);
}

#[test]
fn a_denied_program_from_which_nobody_can_read_what_its_alert_says_dies() {
    check_withheld("path", [|| workload("nothing"), || bare_workload("withholding")]);
}
