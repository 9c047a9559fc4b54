// SPDX-License-Identifier: Apache-2.0
//! The command lines of engines, as measured, and the traps between Go's flags and argp.

use std::os::unix::ffi::OsStringExt;

use super::*;

fn parse(line: &str) -> Invocation {
    Invocation::parse(line.split_whitespace().map(OsString::from).collect())
}

/// `bundle id` for a command that starts a container, `-` for any other.
#[track_caller]
fn check(line: &str, expected: &str) {
    let invocation = parse(line);
    let text = |value: &Option<OsString>| value.as_ref().map_or("cwd", |value| value.to_str().unwrap()).to_owned();
    let start = || format!("{} {}", text(&invocation.bundle), text(&invocation.id));
    assert_eq!(if invocation.starts_container { start() } else { "-".to_owned() }, expected, "{line}");
    let argv: Vec<_> = line.split_whitespace().map(OsString::from).collect();
    assert_eq!(invocation.argv, argv, "arguments must stay as they came");
}

#[test]
fn containerd_and_docker() {
    let global = "--root /run/containerd/runc/k8s.io --log /b/log.json --log-format json";
    let of = |command: &str| format!("{global} {command}");
    check(&of("create --bundle /b --pid-file /b/init.pid c1"), "/b c1");
    check(&of("create --bundle /b --pid-file /b/init.pid --console-socket /s --no-pivot --no-new-keyring c1"), "/b c1");
    check(&of("--debug --systemd-cgroup --rootless=true create --bundle /b --preserve-fds 2 c1"), "/b c1");
    check(&of("run --bundle /b --pidfd-socket /s --keep -d c1"), "/b c1");
    check(&of("restore --image-path /i --work-path /w --manage-cgroups-mode soft --bundle /b c1"), "/b c1");
    assert!(parse(&of("restore --bundle /b c1")).restores && !parse(&of("create --bundle /b restore")).restores);
    for command in [
        "start c1",
        "exec --process /tmp/runc-process1 --console-socket /s --detach --pid-file /b/e.pid c1",
        "kill --all c1 9",
        "delete --force c1",
        "update --resources - c1",
        "update --resources=- c1",
        "ps --format json c1",
        "state c1",
        "list --format=json",
        "events --interval=5s c1",
        "checkpoint --image-path /i --leave-running c1",
    ] {
        check(&of(command), "-");
    }
    let invocation = parse(&of("create c1"));
    assert_eq!((invocation.log, invocation.log_format), (Some("/b/log.json".into()), Some("json".into())));
}

#[test]
fn conmon_podman_and_crio() {
    check("create --bundle /u --pid-file /u/pidfile c1", "/u c1");
    check("--root=/r create --bundle /u --pid-file /u/pidfile c1", "/u c1");
    check("--systemd-cgroup --root=/r create --bundle /u --pid-file /u/pidfile c1", "/u c1");
    check("--cgroup-manager disabled --log-format=json --log journald:c1 run -b /u c1", "/u c1");
    check("--root=/r exec --pid-file /f --process /p --detach --tty --console-socket /s c1", "-");
    check("--log-level debug --root=/r create --bundle /u c1", "/u c1");
    check("--log-level=error run -b /u c1", "/u c1");
    check("--log-l warning create c1", "cwd c1");
    check("features", "-");
    check("--version", "-");
    check("", "-");
}

#[test]
fn a_value_or_a_name_is_never_taken_for_the_command() {
    check("--root create start c1", "-");
    check("--log create --log-format run kill create", "-");
    check("--root=create state run", "-");
    check("start create", "-");
    check("delete --force run", "-");
    check("create create", "cwd create");
    check("--log run create --pid-file create -b run restore", "run restore");
    check("create --bundle --help c1", "--help c1");
    check("--criu /usr/sbin/criu --rootless true run c1", "cwd c1");
}

/// A later version's option with a value must not take a container out of supervision.
#[test]
fn the_value_of_an_unknown_option_is_not_the_command() {
    check("--frobnicate value create --bundle /b c1", "/b c1");
    check("--frobnicate value --root /r --debug run c1", "cwd c1");
    check("--frobnicate create c1", "cwd c1");
    check("-frobnicate value -x value create c1", "cwd c1");
    check("--frobnicate=value create c1", "cwd c1");
    check("--frobnicate state create", "-");
    check("--frobnicate=value frobnicate create c1", "-");
    check("--frobnicate value more create c1", "-");
    check("--debug frobnicate create c1", "-");
    check("frobnicate create c1", "-");
}

#[test]
fn both_option_syntaxes_are_understood() {
    check("create --bundle=/b c1", "/b c1");
    check("create -b /b c1", "/b c1");
    check("create -b=/b c1", "/b c1");
    check("create -bundle /b c1", "/b c1");
    check("-root /r -debug create -bundle=/b c1", "/b c1");
    check("create -b/b c1", "/b c1");
    check("run -db /b c1", "/b c1");
    check("run -d c1", "cwd c1");
    check("run -detach c1", "cwd c1");
    check("create --bun /b c1", "/b c1");
    check("--cgroup-m systemd create c1", "cwd c1");
    check("create c1 --bundle /b", "/b c1");
    check("create --bundle /a --bundle /b c1", "/b c1");
    check("create --bundle /b -- c1", "/b c1");
    check("-- create -- -c1", "cwd -c1");
    check("create --bundle= c1", " c1");
    assert_eq!(parse("run -f /c.json c1").config, Some("/c.json".into()));
    assert_eq!(parse("run --config=/c.json c1").config, Some("/c.json".into()));
}

#[test]
fn a_question_or_an_incomplete_command_starts_nothing() {
    for line in ["create", "create --bundle", "create --bundle /b", "create --help c1", "run -h", "--help create c1"] {
        check(line, "-");
    }
}

#[test]
fn our_own_flags_are_taken_out_wherever_the_engine_puts_them() {
    for (line, modes, argv) in [
        ("--lanner-mode enforce --root /r create c1", vec!["enforce"], "--root /r create c1"),
        ("--root /r --lanner-mode=audit create c1", vec!["audit"], "--root /r create c1"),
        ("--lanner-mode=audit --lanner-mode x kill c1", vec!["audit", "x"], "kill c1"),
        ("--lanner-mode", vec![""], ""),
        ("--root /r --lanner-config /c.yaml create c1", vec![], "--root /r create c1"),
        ("exec c1 prog --lanner-mode enforce", vec![], "exec c1 prog --lanner-mode enforce"),
    ] {
        let invocation = parse(line);
        assert_eq!(invocation.modes, modes, "{line}");
        assert_eq!(invocation.argv, argv.split_whitespace().collect::<Vec<_>>(), "{line}");
    }
    assert_eq!(parse("--lanner-config=/c.yaml kill c1").settings, Some("/c.yaml".into()));
}

#[test]
fn bytes_that_are_not_text_stay_as_they_are() {
    let raw = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let argv = vec![raw(b"--root=\xff"), raw(b"create"), raw(b"-b"), raw(b"/\xfe"), raw(b"c\xfd")];
    let invocation = Invocation::parse(argv.clone());
    assert_eq!(invocation.argv, argv);
    assert_eq!((invocation.bundle, invocation.id), (Some(raw(b"/\xfe")), Some(raw(b"c\xfd"))));
}
