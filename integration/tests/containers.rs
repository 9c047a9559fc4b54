// SPDX-License-Identifier: Apache-2.0
//! All kinds of containers: each runs, is watched, ends cleanly and leaves nothing behind.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use integration::{
    Bundle, Container, Containerd, Lanner, LowLevel, NEVER, Pod,
    Requirement::{self, Program, Root},
    Settings, skipped, text, wait_for,
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);
// With a path, as busybox' shell does not execute what it has built in.
const SERVICE: [&str; 3] = ["sh", "-c", "echo up; while true; do /bin/id; sleep 0.2; done"];
const RULE: &str = "
- rule: id was called
  desc: The program id was executed.
  condition: evt.type = execve and proc.name = id
  output: '%user.uid %proc.name %container.name'
  priority: NOTICE
";

/// Runs the container that `shape` makes and sees it watched, under the user it should have.
#[track_caller]
fn check(shape: impl Fn(Bundle) -> Bundle, user: i64) {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program(runtime.name())]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::audit(RULE).under(runtime));
        let container = Container::start(&lanner.engine(), shape(Bundle::new(&SERVICE).named("service")));
        let alert = wait_for("an alert", PATIENCE, || lanner.alerts_of("id was called").into_iter().next());
        assert_eq!((alert.number("user.uid"), alert.text("container.name")), (user, "service"), "{alert:?}");
        assert_eq!(alert.container.as_deref(), Some(container.id()));
        wait_for("output", PATIENCE, || container.output().contains(&format!("uid={user}")).then_some(()));
        let seen = lanner.alerts_of("id was called").len();
        assert!(container.exec(&["id"]).status.success());
        wait_for("more alerts", PATIENCE, || (lanner.alerts_of("id was called").len() > seen).then_some(()));
        container.end();
        lanner.expect_nothing_left();
    }
}

/// With `WAIT_KILLABLE_RECV`, which crun asks for, the kernel holds even the freezer back while a call waits.
#[test]
fn a_container_can_be_paused_while_its_opens_wait() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program(runtime.name())]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(NEVER).under(runtime));
        let script = "mkfifo /tmp/fifo; { read line </tmp/fifo; echo got $line; } & echo up; wait";
        let container = Container::start(&lanner.engine(), Bundle::new(&["sh", "-c", script]));
        wait_for("the open", PATIENCE, || container.output().contains("up").then_some(()));
        container.pause(PATIENCE);
        container.resume();
        assert!(container.exec(&["sh", "-c", "echo word >/tmp/fifo"]).status.success());
        wait_for("the other end", PATIENCE, || container.output().contains("got word").then_some(()));
        container.delete();
        lanner.expect_nothing_left();
    }
}

#[test]
fn with_no_new_privileges() {
    check(|bundle| bundle.set("/process/noNewPrivileges", json!(true)), 0);
}

#[test]
fn without_no_new_privileges() {
    check(|bundle| bundle.set("/process/noNewPrivileges", json!(false)), 0);
}

#[test]
fn as_user_1000() {
    check(|bundle| bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 })), 1000);
}

#[test]
fn as_user_1000_who_may_gain_privileges() {
    let user = json!({ "uid": 1000, "gid": 1000, "additionalGids": [4, 27] });
    check(|bundle| bundle.set("/process/noNewPrivileges", json!(false)).set("/process/user", user.clone()), 1000);
}

#[test]
fn privileged() {
    let all = json!([
        "CAP_SYS_ADMIN",
        "CAP_SYS_PTRACE",
        "CAP_NET_ADMIN",
        "CAP_DAC_OVERRIDE",
        "CAP_SETUID",
        "CAP_KILL",
        "CAP_MKNOD"
    ]);
    let privileged = |bundle: Bundle| {
        let sets = ["bounding", "effective", "permitted", "inheritable"];
        let open = ["maskedPaths", "readonlyPaths"]
            .iter()
            .fold(bundle, |bundle, list| bundle.set(&format!("/linux/{list}"), json!([])));
        let open = open.set("/linux/resources", json!({ "devices": [{ "allow": true, "access": "rwm" }] }));
        let open = open.set("/process/noNewPrivileges", json!(false));
        sets.iter().fold(open, |bundle, set| bundle.set(&format!("/process/capabilities/{set}"), all.clone()))
    };
    check(privileged, 0);
}

#[test]
fn with_a_profile_that_denies_by_default() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95 }],
    });
    check(|bundle| bundle.profile(profile.clone()), 0);
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULE));
    let bundle = Bundle::new(&["mkdir", "/tmp/new"]).profile(profile);
    let output = Container::run(&lanner.engine(), &bundle);
    assert!(
        text(&output.stderr).contains("not supported"),
        "the container's own profile is weakened: {}",
        text(&output.stderr)
    );
}

#[test]
fn with_a_terminal() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("script")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULE));
    let bundle = Bundle::new(&["sh", "-c", "tty; /bin/id; exit 5"]).set("/process/terminal", json!(true));
    bundle.write();
    let mut runtime = lanner.engine().command();
    runtime.arg("run").arg("--bundle").arg(bundle.path()).arg("terminal");
    let words: Vec<_> =
        [runtime.get_program()].into_iter().chain(runtime.get_args()).map(|word| word.to_str().unwrap()).collect();
    // script(1) gives the runtime a terminal, which the runtime gives to the container.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    let output = script.env("LANNER_CONFIG", lanner.config()).stdin(Stdio::null()).output().unwrap();
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{printed}");
    assert!(printed.contains("/dev/pts/0") && printed.contains("uid=0"), "{printed}");
    assert_eq!(lanner.alerts_of("id was called").len(), 1);
    lanner.expect_nothing_left();
}

#[test]
fn with_an_init_that_ignores_signals() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULE));
    let deaf = Bundle::new(&["sh", "-c", "trap '' TERM INT HUP QUIT; while true; do /bin/id; sleep 0.2; done"]);
    let container = Container::start(&lanner.engine(), deaf);
    wait_for("an alert", PATIENCE, || lanner.alerts_of("id was called").into_iter().next());
    container.kill("TERM");
    let seen = lanner.alerts_of("id was called").len();
    wait_for("more alerts", PATIENCE, || (lanner.alerts_of("id was called").len() > seen + 1).then_some(()));
    assert_eq!(container.status().as_deref(), Some("running"));
    container.end();
    lanner.expect_nothing_left();
}

#[test]
fn that_are_created_and_never_started() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULE));
    let container = Container::create(&lanner.engine(), Bundle::new(&SERVICE));
    assert_eq!(container.status().as_deref(), Some("created"));
    assert!(lanner.alerts().is_empty(), "the runtime's own preparations were reported: {:?}", lanner.alerts().first());
    container.end();
    lanner.expect_nothing_left();
}

#[test]
fn whose_program_does_not_exist() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULE));
    let output = Container::run(&lanner.engine(), &Bundle::new(&["/nonsense"]));
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("no such file or directory"), "{}", text(&output.stderr));
    lanner.expect_nothing_left();
}

#[test]
fn of_kubernetes() {
    let needs =
        [Root, Requirement::Lanner, Program("runc"), Program("containerd"), Program("umoci"), Program("skopeo")];
    if skipped(&needs) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULE));
    let containerd = Containerd::start(&lanner);
    let mut cri = containerd.cri();
    let base =
        Pod { handler: "lanner", name: "service", command: SERVICE.map(str::to_owned).to_vec(), ..Pod::default() };
    let pods = [
        (0, Pod { runtime_default: true, ..base.clone() }),
        (0, Pod { privileged: true, ..base.clone() }),
        (1000, Pod { user: Some(1000), no_new_privileges: true, runtime_default: true, ..base.clone() }),
        (1000, Pod { user: Some(1000), ..base }),
    ];
    for (user, pod) in pods {
        let running = cri.run(&pod).unwrap_or_else(|status| panic!("{pod:?}: {status}\n{}", containerd.log()));
        let ours = || {
            lanner
                .alerts_of("id was called")
                .into_iter()
                .find(|alert| alert.container.as_ref() == Some(&running.container))
        };
        let alert = wait_for("an alert", PATIENCE, ours);
        assert_eq!((alert.number("user.uid"), alert.text("container.name")), (user, "service"), "{pod:?}");
        let exec = cri.exec(&running, &["id", "-u"]).unwrap();
        assert_eq!((exec.code, text(&exec.stdout)), (0, format!("{user}\n")));
        cri.remove(&running).unwrap();
        lanner.expect_nothing_left();
    }
}
