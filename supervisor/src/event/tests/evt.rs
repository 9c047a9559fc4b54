// SPDX-License-Identifier: Apache-2.0
//! What `evt.*` says of the kind of a call.

use super::{
    calling, context,
    stopped::{Stopped, is, shell},
    text,
};

#[test]
fn calls_that_move_data_or_wait_are_told_apart() {
    let stopped = Stopped::start(shell("exec 0</dev/null; kill -STOP $$; exec 1>&0"), is(libc::SYS_dup2));
    let context = context();
    let cases = [
        ("read", ["true", "true", "false", "false", "read"]),
        ("recvfrom", ["true", "true", "false", "false", "read"]),
        ("pwritev", ["true", "false", "true", "false", "write"]),
        ("sendmsg", ["true", "false", "true", "false", "write"]),
        ("sendfile", ["false", "false", "false", "false", ""]),
        ("ppoll", ["false", "false", "false", "true", ""]),
        ("openat", ["false", "false", "false", "false", ""]),
    ];
    for (call, expected) in cases {
        let event = calling(&context, &stopped, call, [0, 0]);
        let fields = ["evt.is_io", "evt.is_io_read", "evt.is_io_write", "evt.is_wait", "evt.io_dir"];
        let seen = fields.map(|field| text(&event, field).unwrap_or_default());
        assert_eq!(seen, expected, "{call}");
        assert_eq!(text(&event, "evt.is_syslog").as_deref(), Some("false"), "{call}");
    }
}

#[test]
fn a_write_to_the_system_log_is_one_by_its_sockets_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("dev")).unwrap();
    let log = folder.path().join("dev/log");
    std::fs::write(&log, "").unwrap();
    let script = format!("exec 0<{}; kill -STOP $$; exec 1>&0", log.display());
    let stopped = Stopped::start(shell(&script), is(libc::SYS_dup2));
    let context = context();
    for (call, expected) in [("send", "true"), ("recv", "false")] {
        let event = calling(&context, &stopped, call, [0, 0]);
        assert_eq!(text(&event, "evt.is_syslog").as_deref(), Some(expected), "{call}");
    }
}

#[test]
fn an_event_is_around_times_near_its_own() {
    let stopped = Stopped::start(shell("kill -STOP $$; exec 1>&0"), is(libc::SYS_dup2));
    let context = context();
    let event = calling(&context, &stopped, "dup2", [0, 1]);
    let time = event.moment().time;
    let at = |time: u64| text(&event, &format!("evt.around[{time}]")).unwrap();
    for (distance, expected) in [(0, "0"), (1, "1"), (1_000_000, "1"), (1_000_001, "2"), (3_600_000_000_000, "3600000")]
    {
        assert_eq!(
            (at(time - distance), at(time + distance)),
            (expected.to_owned(), expected.to_owned()),
            "{distance}"
        );
    }
}

#[test]
fn the_cpu_is_that_of_the_caller() {
    let taskset = |cpu: &str| {
        let mut command = std::process::Command::new("taskset");
        command.args(["-c", cpu, "/bin/sh", "-c", "kill -STOP $$; exec 1>&0"]);
        Stopped::start(command, is(libc::SYS_dup2))
    };
    let second = std::process::Command::new("taskset").args(["-c", "1", "true"]).output();
    if !second.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs taskset and two CPUs");
        return;
    }
    let context = context();
    for cpu in ["0", "1"] {
        let stopped = taskset(cpu);
        assert_eq!(text(&calling(&context, &stopped, "dup2", [0, 1]), "evt.cpu").as_deref(), Some(cpu));
    }
}
