// SPDX-License-Identifier: Apache-2.0
//! What `fd.*` and the parameters say of descriptors that calls use and make.

use super::{
    calling, context,
    stopped::{Stopped, is, shell},
    text,
};

/// Fields of one call of a process whose standard input is /dev/null; none where the field is absent.
type Case<'a> = (&'a str, [u64; 2], &'a [(&'a str, Option<&'a str>)]);

const AT_FDCWD: u64 = 0xffff_ff9c;

#[test]
fn descriptors_are_described_as_falco_describes_them() {
    let stopped = Stopped::start(shell("exec 0</dev/null 9>&-; kill -STOP $$; exec 1>&0"), is(libc::SYS_dup2));
    let context = context();
    let unknown = [
        ("fd.name", Some("")),
        ("fd.nameraw", Some("")),
        ("fd.typechar", Some("o")),
        ("fd.directory", Some("/")),
        ("fd.type", None),
        ("fd.l4proto", None),
        ("fd.connected", None),
    ];
    let cases: &[Case<'_>] = &[
        ("unlinkat", [AT_FDCWD, 0], &unknown),
        ("unlinkat", [AT_FDCWD, 0], &[("fd.num", Some("-100"))]),
        ("mkdirat", [0, 0], &[("fd.num", Some("0")), ("fd.name", Some("/dev/null"))]),
        ("renameat", [0, 0], &[("fd.num", None)]),
        (
            "dup2",
            [0, 9],
            &[
                ("fd.num", Some("9")),
                ("fd.name", Some("/dev/null")),
                ("fd.l4proto", Some("<NA>")),
                ("fd.is_server", Some("false")),
                ("evt.args", Some("res=9(<f>/dev/null) oldfd=0(<f>/dev/null) newfd=9(<f>/dev/null)")),
            ],
        ),
        (
            "socket",
            [2, 1],
            &[
                ("fd.type", Some("ipv4")),
                ("fd.name", Some("")),
                ("fd.directory", None),
                ("fd.l4proto", Some("<NA>")),
                ("fd.connected", Some("false")),
                ("evt.arg.fd", Some("<4>")),
            ],
        ),
        ("socket", [10, 3], &[("fd.typechar", Some("6")), ("fd.l4proto", Some("raw")), ("evt.arg.fd", Some("<6r>"))]),
        ("socket", [17, 3], &[("fd.type", Some("<NA>")), ("fd.l4proto", Some("<NA>")), ("evt.arg.fd", Some("<o>"))]),
        ("ptrace", [16, 7], &[("evt.args", Some("res=0 addr=0 data=0 request=11(PTRACE_ATTACH) pid=7"))]),
    ];
    for (call, arguments, expected) in cases {
        let event = calling(&context, &stopped, call, *arguments);
        for (field, expected) in *expected {
            assert_eq!(text(&event, field).as_deref(), *expected, "{call} {field}");
        }
    }
}

#[test]
fn a_namespace_is_a_file() {
    let stopped = Stopped::start(shell("exec 0</proc/self/ns/uts; kill -STOP $$; exec 1>&0"), is(libc::SYS_dup2));
    let context = context();
    let event = calling(&context, &stopped, "setns", [0, 0]);
    assert_eq!(text(&event, "fd.type").as_deref(), Some("file"));
    assert!(text(&event, "fd.name").unwrap().starts_with("uts:["));
}
