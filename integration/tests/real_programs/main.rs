// SPDX-License-Identifier: Apache-2.0
//! Real programs, on the host's own root filesystem, print and exit under enforcement as they do without, where a deny
//! rule on an unrelated path sends every open and exec through enforcement. Each program's script prints what does not
//! depend on time, and the errors of what it does wrong on purpose.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    reason = "an integration test is a test module"
)]

use std::fs;

use integration::{
    Bundle, Container, Engine, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, UNRELATED, skipped, text,
};
use serde_json::json;

/// What engines give to containers by default.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

const LIMIT: &str = "100"; // seconds; a script takes a few

/// Before the program's script: what must succeed without Lanner and fail with it.
const PROLOGUE: &str = "cat /unrelated/file\n/unrelated/program && echo executed\necho BEGIN\n";

/// A container on the host's root filesystem, and a network namespace with a loopback interface only.
fn bundle(script: &str) -> Bundle {
    let bundle = Bundle::new(&["timeout", "--kill-after=1", LIMIT, "bash", "/script"]).over_host();
    fs::create_dir(bundle.inside("/unrelated")).unwrap();
    fs::write(bundle.inside("/unrelated/file"), "read\n").unwrap();
    fs::copy("/usr/bin/true", bundle.inside("/unrelated/program")).unwrap();
    fs::write(bundle.inside("/script"), format!("{PROLOGUE}{script}")).unwrap();
    bundle
        .set("/process/noNewPrivileges", json!(false))
        .set(
            "/process/capabilities",
            json!({"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES}),
        )
        .set("/process/env", json!(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root"]))
}

/// What the script printed on standard output, its exit code, and for a failing test what went to standard error.
#[track_caller]
fn run(engine: &Engine, script: &str, enforced: bool) -> (String, Option<i32>, String) {
    let output = Container::run(engine, &bundle(script));
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    let (before, printed) = said.split_once("BEGIN\n").unwrap_or_else(|| panic!("did not begin: {said}{errors}"));
    assert_eq!(before, if enforced { "" } else { "read\nexecuted\n" }, "{errors}");
    (printed.to_owned(), output.status.code(), errors)
}

#[track_caller]
fn check(script: &str, programs: &[&'static str]) {
    check_under(LowLevel::Runc, script, programs);
}

#[track_caller]
fn check_under(runtime: LowLevel, script: &str, programs: &[&'static str]) {
    let needs = [Root, Requirement::Lanner, Program(runtime.name())];
    let needs: Vec<_> = needs.into_iter().chain(programs.iter().copied().map(Program)).collect();
    if skipped(&needs) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let (native, native_code, native_errors) = run(&Engine::direct(runtime, scratch.path()), script, false);
    let lanner = Lanner::new(&Settings::enforce(UNRELATED).under(runtime));
    let (enforced, code, errors) = run(&lanner.engine(), script, true);
    assert_eq!((&enforced, code), (&native, native_code), "natively: {native_errors}\nenforced: {errors}");
    assert!(native.lines().count() > 3, "natively: {native}{native_errors}");
    assert_eq!(lanner.alerts_of("unrelated exec").len(), 1); // the shell then opens the program too
    lanner.expect_nothing_left();
}

#[test]
fn apt_get_install() {
    check(include_str!("apt.sh"), &["apt-get", "dpkg-deb"]);
}

#[test]
fn git_clone() {
    check(include_str!("git.sh"), &["git"]);
}

#[test]
fn make_with_two_jobs() {
    check(include_str!("make.sh"), &["make", "gcc"]);
}

#[test]
fn python() {
    check(include_str!("python.sh"), &["python3"]);
}

#[test]
fn perl() {
    check(include_str!("perl.sh"), &["perl"]);
}

#[test]
fn postgresql() {
    check(include_str!("postgres.sh"), &["pgbench", "setpriv"]);
}

#[test]
fn debuggers() {
    // What they start is held, with and without `WAIT_KILLABLE_RECV`.
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        check_under(runtime, include_str!("debuggers.sh"), &["strace", "gdb", "python3"]);
    }
}

#[test]
fn nginx() {
    check(include_str!("nginx.sh"), &["nginx"]);
}

#[test]
fn redis() {
    check(include_str!("redis.sh"), &["redis-server", "redis-cli"]);
}

#[test]
fn tar_of_a_big_tree() {
    check(include_str!("tar.sh"), &["tar", "gzip"]);
}

#[test]
fn sqlite() {
    check(include_str!("sqlite.sh"), &["sqlite3"]);
}
