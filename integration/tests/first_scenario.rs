// SPDX-License-Identifier: Apache-2.0
//! The first scenario of the design: a container that reads /etc/shadow, under every engine, in both modes.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    reason = "an integration test is a test module"
)]

use std::time::Duration;

use integration::{
    Bundle, Container, Containerd, FIRST_SCENARIO, Lanner, LowLevel, Pod, Podman,
    Requirement::{self, Program, Root},
    Settings, skipped, text, wait_for,
};

const NAME: &str = "falco-ornek-konteynir";
const RULE: &str = "spawned_process_in_test_container";
const COMMAND: [&str; 3] = ["sh", "-c", "while true; do cat /etc/shadow; sleep 5; done"];
const PATIENCE: Duration = Duration::from_secs(20);
const STAMP: usize = "08:33:10.199588288".len();

/// What engines tell of an image.
const FROM_IMAGE: &str = "
- rule: from image
  desc: A program was executed in a container of an image.
  condition: evt.type = execve and proc.name = uname and container.image.repository endswith busybox
  output: from %container.image.repository %container.image.tag %container.image.id
  priority: WARNING
";

/// The rule for enforcement: denied from its entrypoint on, the container could not even start.
fn cat_only() -> String {
    FIRST_SCENARIO.replace("evt.type = execve", "evt.type = execve and proc.name = cat")
}

/// Waits for the alert about `program` and compares its printed line to the character, time aside.
#[track_caller]
fn expect_line(lanner: &Lanner, program: &str, container: &str, suffix: &str) {
    let short: String = container.chars().take(12).collect();
    wait_for("the alert", PATIENCE, || {
        lanner.alerts_of(RULE).into_iter().find(|alert| alert.text("proc.name") == program)
    });
    let lines = lanner.logs();
    let wanted = format!(",{program},");
    let line = lines.iter().find(|line| line.contains(&wanted)).unwrap_or_else(|| panic!("no such line: {lines:#?}"));
    let (stamp, _) = line.split_at_checked(STAMP).unwrap();
    let digits: String = stamp.chars().map(|sign| if sign.is_ascii_digit() { '0' } else { sign }).collect();
    assert_eq!(digits, "00:00:00.000000000");
    let expected = format!("TIME: Warning BIZIM ORNEGIMIZ - TIME,0,{program},{short},{NAME}{suffix}");
    assert_eq!(line.replace(stamp, "TIME"), expected);
}

/// What an alert holds is enough to say why its rule matched: its type follows from the rule, the name is in the output.
#[track_caller]
fn expect_explanation(lanner: &Lanner) {
    let output = lanner.call(&["explain", "--last"]);
    let expected = format!(
        "{RULE}: matches\n true     and\n true       container.name = {NAME}   <- container.name is {NAME}\n true       evt.type = execve   <- evt.type is execve\n"
    );
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
}

#[track_caller]
fn check_low_level(runtime: LowLevel) {
    let lanner = Lanner::new(&Settings::audit(FIRST_SCENARIO).under(runtime));
    let container = Container::start(&lanner.engine(), Bundle::new(&COMMAND).named(NAME));
    expect_line(&lanner, "cat", container.id(), "");
    wait_for("the file's content", PATIENCE, || container.output().contains("root:*:").then_some(()));
    assert!(container.exec(&["id"]).status.success());
    expect_line(&lanner, "id", container.id(), "");
    container.end();
    lanner.expect_nothing_left();
    expect_explanation(&lanner);

    let lanner = Lanner::new(&Settings::enforce(&cat_only()).under(runtime));
    let container = Container::start(&lanner.engine(), Bundle::new(&COMMAND).named(NAME));
    expect_line(&lanner, "cat", container.id(), " (denied: EPERM)");
    let refused = || container.output().contains("Operation not permitted").then_some(());
    wait_for("the shell's complaint", PATIENCE, refused);
    assert!(!container.output().contains("root:*:"), "the denied program ran");
    container.end();
    lanner.expect_nothing_left();
}

#[test]
fn under_runc() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    check_low_level(LowLevel::Runc);
}

#[test]
fn under_crun() {
    if skipped(&[Root, Requirement::Lanner, Program("crun")]) {
        return;
    }
    check_low_level(LowLevel::Crun);
}

#[test]
fn under_podman() {
    let needs = [Root, Requirement::Lanner, Program("runc"), Program("podman"), Program("umoci"), Program("skopeo")];
    if skipped(&needs) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(&[FROM_IMAGE, FIRST_SCENARIO].concat()));
    let podman = Podman::new(&lanner, &lanner.shim_as("lanner-runtime"));
    let container = podman.start(NAME, &COMMAND);
    expect_line(&lanner, "cat", &container, "");
    assert!(podman.call(&["exec", NAME, "id"]).status.success());
    expect_line(&lanner, "id", &container, "");
    assert!(podman.call(&["exec", NAME, "uname"]).status.success());
    let of_image = &lanner.alerts_of("from image")[0];
    assert_eq!(of_image.text("container.image.repository"), "docker.io/library/busybox");
    assert_eq!((of_image.text("container.image.tag"), of_image.text("container.image.id").len()), ("latest", 64));
    assert!(podman.call(&["rm", "--force", "--time", "0", NAME]).status.success());
    lanner.expect_nothing_left();
}

#[test]
fn under_podman_enforced() {
    let needs = [Root, Requirement::Lanner, Program("runc"), Program("podman"), Program("umoci"), Program("skopeo")];
    if skipped(&needs) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(&cat_only()));
    let podman = Podman::new(&lanner, &lanner.shim_as("lanner-runtime-enforce"));
    let output = podman.run(&["--rm", "--name", NAME], &["sh", "-c", "cat /etc/shadow; echo code $?"]);
    assert_eq!(text(&output.stdout), "code 126\n", "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("Operation not permitted"), "{}", text(&output.stderr));
    // The shell tries each folder of its search path.
    let alerts = lanner.alerts_of(RULE);
    assert!(!alerts.is_empty() && alerts.iter().all(|alert| alert.verdict.as_deref() == Some("deny")), "{alerts:#?}");
    lanner.expect_nothing_left();
}

const ROOTLESS: &str = "
- rule: from image
  desc: A program was executed in a container.
  condition: evt.type = execve and proc.name = cat
  output: executed as %user.name in %container.name from %container.image.repository
  priority: WARNING
  action: alert
- rule: secret
  desc: A file was opened that none may open.
  condition: evt.type in (open, openat) and fd.realpath = /etc/shadow
  output: opened %fd.realpath
  priority: WARNING
";

#[test]
fn under_rootless_podman() {
    let programs = ["crun", "podman", "newuidmap", "umoci", "skopeo"].map(Program);
    if skipped(&[&[Root, Requirement::Lanner], &programs[..]].concat()) {
        return;
    }
    for (mode, outcome) in [("audit", "opened\n"), ("enforce", "refused\n")] {
        let lanner = Lanner::new(&Settings::audit(ROOTLESS).under(LowLevel::Crun));
        // The user may not write to the default one.
        let log = lanner.folder().join("lanner.log");
        lanner.reconfigure("mode", &format!("mode: {mode}\nlog: {{path: {}}}", log.display()));
        let podman = Podman::rootless(&lanner);
        let command = "cat /etc/shadow > /dev/null 2>&1 && echo opened || echo refused";
        let output = podman.run(&["--rm", "--name", NAME], &["sh", "-c", command]);
        assert_eq!(text(&output.stdout), outcome, "{}", text(&output.stderr));
        let executed = &lanner.alerts_of("from image")[0];
        let expected = format!("executed as root in {NAME} from docker.io/library/busybox");
        assert_eq!((executed.message.as_str(), lanner.alerts_of("secret").len()), (expected.as_str(), 1));
        lanner.expect_nothing_left();
    }
}

#[test]
fn under_containerd() {
    let needs =
        [Root, Requirement::Lanner, Program("runc"), Program("containerd"), Program("umoci"), Program("skopeo")];
    if skipped(&needs) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(FIRST_SCENARIO));
    let containerd = Containerd::start(&lanner);
    let mut cri = containerd.cri();
    let pod = Pod { handler: "lanner", name: NAME, command: COMMAND.map(str::to_owned).to_vec(), ..Pod::default() };
    let running = cri.run(&pod).unwrap_or_else(|status| panic!("{status}\n{}", containerd.log()));
    expect_line(&lanner, "cat", &running.container, "");
    wait_for("the file's content", PATIENCE, || running.output().contains("root:*:").then_some(()));
    assert_eq!(cri.exec(&running, &["id"]).unwrap().code, 0);
    expect_line(&lanner, "id", &running.container, "");
    cri.remove(&running).unwrap();
    lanner.expect_nothing_left();

    lanner.write_rules(&cat_only());
    let running = cri.run(&Pod { handler: "lanner-enforce", ..pod }).unwrap();
    let denied =
        || lanner.alerts_of(RULE).into_iter().find(|alert| alert.container.as_deref() == Some(&running.container));
    let alert = wait_for("the denial", PATIENCE, denied);
    assert_eq!((alert.verdict.as_deref(), alert.errno.as_deref()), (Some("deny"), Some("EPERM")));
    wait_for("the shell's complaint", PATIENCE, || running.output().contains("Operation not permitted").then_some(()));
    cri.remove(&running).unwrap();
    lanner.expect_nothing_left();
}
