// SPDX-License-Identifier: Apache-2.0
//! Results that can be told before the call, and what they make of other fields.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{
    calling, check, context, event,
    stopped::{Stopped, is, leader, shell},
    text,
};

const SCRIPT: &str = "kill -STOP $$; exec 0</dev/null";

fn root() -> Stopped {
    Stopped::start(shell(SCRIPT), is(libc::SYS_openat))
}

/// A process of a user without rights, `nobody`.
fn nobody() -> Stopped {
    let mut command = leader("setpriv");
    command.args(["--reuid=65534", "--clear-groups", "--inh-caps=-all", "/bin/sh", "-c", SCRIPT]);
    Stopped::start(command, is(libc::SYS_openat))
}

#[test]
fn a_setuid_shows_the_user_it_makes() {
    let nobodys_number = 65534;
    let (context, root, nobody) = (context(), root(), nobody());
    check(
        &calling(&context, &root, "setuid", [nobodys_number, 0]),
        &[("user.uid", "65534"), ("user.name", "nobody"), ("evt.arg.uid", "nobody"), ("evt.res", "SUCCESS")],
    );
    check(
        &calling(&context, &nobody, "setuid", [0, 0]),
        &[("user.uid", "65534"), ("user.name", "nobody"), ("evt.arg.uid", "root"), ("evt.res", "EPERM")],
    );
    check(&calling(&context, &nobody, "setuid", [nobodys_number, 0]), &[("user.uid", "65534"), ("evt.res", "SUCCESS")]);
}

#[test]
fn calls_without_the_capability_they_need_fail() {
    let (context, nobody) = (context(), nobody());
    let bits = |flags: i32| u64::from(flags.cast_unsigned());
    for (call, arguments, expected) in [
        ("setns", [0, bits(libc::CLONE_NEWNET)], "EPERM"),
        ("unshare", [bits(libc::CLONE_NEWNS), 0], "EPERM"),
        ("unshare", [bits(libc::CLONE_NEWUSER | libc::CLONE_NEWNS), 0], "SUCCESS"),
        ("unshare", [bits(libc::CLONE_FILES), 0], "SUCCESS"),
        ("chroot", [0, 0], "EPERM"),
        ("socket", [2, 3], "SUCCESS"),
        ("userfaultfd", [1, 0], "SUCCESS"),
        ("bpf", [0, 0], "SUCCESS"),
        ("mkdir", [0, 0], "SUCCESS"),
    ] {
        let event = calling(&context, &nobody, call, arguments);
        assert_eq!(text(&event, "evt.res").as_deref(), Some(expected), "{call} {arguments:?}");
    }
    let event = calling(&context, &nobody, "init_module", [0, 0]);
    let without_modules = !fs::exists("/proc/sys/kernel/modules_disabled").unwrap();
    check(&event, &[("evt.res", if without_modules { "ENOSYS" } else { "EPERM" })]);
}

/// Whoever owns a namespace has every capability in it.
#[test]
fn calls_that_may_be_about_namespaces_of_ones_own_do_not_fail() {
    let (context, nobody) = (context(), nobody());
    let bits = |flags: i32| u64::from(flags.cast_unsigned());
    for (call, arguments) in [
        ("setns", [0, 0]),
        ("setns", [0, bits(libc::CLONE_NEWUSER)]),
        ("setns", [0, bits(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)]),
        ("umount2", [0, 0]),
        ("socket", [17, 3]),
        ("socket", [2, 10]),
        ("bpf", [5, 0]),
    ] {
        let event = calling(&context, &nobody, call, arguments);
        assert_eq!(text(&event, "evt.failed").as_deref(), Some("false"), "{call} {arguments:?}");
    }
}

/// The numbers may come before the kernel looks at them.
#[test]
fn a_setuid_without_numbers_may_succeed() {
    let context = context();
    for (options, user, expected) in [("-U", 0, "false"), ("-Ur", 0, "false"), ("-Ur", 5, "true")] {
        let mut command = leader("setpriv");
        command.args(["--reuid=65534", "--clear-groups", "unshare", options, "/bin/sh", "-c", SCRIPT]);
        let stopped = Stopped::start(command, is(libc::SYS_openat));
        let event = calling(&context, &stopped, "setuid", [user, 0]);
        assert_eq!(text(&event, "evt.failed").as_deref(), Some(expected), "{options} {user}");
    }
}

#[test]
fn programs_that_cannot_be_executed_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    fs::write(&script, "#!/no/interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let context = context();
    for (program, expected) in [
        ("/bin/true", "SUCCESS"),
        ("/no/program", "ENOENT"),
        ("/etc/passwd", "EACCES"),
        ("/etc", "EACCES"),
        (script.to_str().unwrap(), "ENOENT"),
    ] {
        let stopped = Stopped::at(&[program], is(libc::SYS_execve));
        assert_eq!(text(&event(&context, &stopped), "evt.res").as_deref(), Some(expected), "{program}");
    }
}
