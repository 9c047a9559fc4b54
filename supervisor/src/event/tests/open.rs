// SPDX-License-Identifier: Apache-2.0
//! Opens: paths, flags, and what cannot be read.

use std::{fs, os::unix::ffi::OsStrExt};

use super::{
    check, context, event,
    stopped::{CODE, Stopped, is, shell, write_program},
    text, value,
};
use crate::event::tests::PENDING;

/// Stops `cat FILE` at the open of a path that ends so.
fn cat(path: &str) -> Stopped {
    let mut stopped = Stopped::at(&["cat", path], is(libc::SYS_openat));
    let context = context();
    while value(&event(&context, &stopped), "fd.nameraw").as_deref() != Some(path.as_bytes()) {
        assert!(stopped.advance(is(libc::SYS_openat)));
    }
    stopped
}

#[test]
fn an_open_is_described_by_its_arguments() {
    let (context, stopped) = (context(), cat("/etc/../etc//passwd"));
    let event = event(&context, &stopped);
    check(
        &event,
        &[
            ("evt.type", "openat"),
            ("evt.abspath", "/etc/passwd"),
            ("evt.abspath[dst]", "/etc/passwd"),
            ("evt.num", "1"),
            ("evt.is_open_read", "true"),
            ("evt.is_open_write", "false"),
            ("evt.is_open_create", "false"),
            ("evt.res", "SUCCESS"),
            ("evt.arg.flags", "O_RDONLY"),
            ("evt.arg.dirfd", "AT_FDCWD"),
            ("evt.arg.name", "/etc/../etc//passwd"),
            ("evt.arg.mode", "0"),
            ("fd.name", "/etc/passwd"),
            ("fd.nameraw", "/etc/../etc//passwd"),
            ("fd.directory", "/etc"),
            ("fd.filename", "passwd"),
            ("fd.typechar", "f"),
            ("fd.type", "file"),
            ("fs.path.name", "/etc/passwd"),
            ("proc.name", "cat"),
            ("proc.exe", "cat"),
            ("proc.cmdline", "cat /etc/../etc//passwd"),
            ("proc.env[MARK]", "set"),
            ("user.uid", "0"),
            ("user.name", "root"),
            ("container.name", "test"),
        ],
    );
    assert!(text(&event, "evt.arg[1]").is_some_and(|dirfd| dirfd == "AT_FDCWD"));
    let inode = fs::metadata("/etc/passwd").map(|facts| std::os::unix::fs::MetadataExt::ino(&facts)).unwrap();
    check(&event, &[("fd.ino", &inode.to_string())]);
    event.set_result(-13);
    check(&event, &[("evt.res", "EACCES"), ("fd.num", "-1"), ("evt.failed", "true"), ("fd.name", "/etc/passwd")]);
    assert_eq!(text(&event, "fd.filename"), None);
}

/// What is said of a file before it was looked for decides nothing: whoever asked is told.
#[test]
fn a_file_that_is_looked_for_later_is_missed_by_those_who_ask_before() {
    let (context, stopped) = (context(), cat("/etc/passwd"));
    let inode = fs::metadata("/etc/passwd").map(|facts| std::os::unix::fs::MetadataExt::ino(&facts)).unwrap();
    for field in ["fd.realpath", "fd.ino", "fd.dev", "fd.is_upper_layer", "evt.arg.flags"] {
        let event = event(&context, &stopped);
        event.defer_file();
        check(&event, &[("fd.name", "/etc/passwd"), ("evt.is_open_read", "true"), ("evt.arg.mode", "0")]);
        assert!(!event.is_file_missed(), "before {field} was asked for");
        let _means_nothing = text(&event, field);
        assert!(event.is_file_missed(), "{field}");
        event.end_search(None);
        assert!(!event.is_file_missed());
        check(&event, &[("fd.realpath", "/etc/passwd"), ("fd.ino", &inode.to_string())]);
    }
}

#[test]
fn a_relative_path_starts_at_the_working_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (context, mut shell) = (context(), shell("kill -STOP $$; exec cat ./a/../b"));
    shell.current_dir(directory.path());
    let stopped = Stopped::start(shell, |arch, number, arguments| {
        is(libc::SYS_openat)(arch, number, arguments) && arguments[0] & 0xffff_ffff == 0xffff_ff9c
    });
    let mut stopped = stopped;
    while value(&event(&context, &stopped), "fd.nameraw").as_deref() != Some(b"./a/../b") {
        assert!(stopped.advance(is(libc::SYS_openat)));
    }
    let event = event(&context, &stopped);
    let here = directory.path().to_str().unwrap();
    check(
        &event,
        &[
            ("fd.name", &format!("{here}/b")),
            ("evt.arg.name", &format!("{here}/b")),
            ("proc.cwd", &format!("{here}/")),
            ("fd.directory", here),
        ],
    );
}

#[test]
fn odd_bytes_stay_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let name = [directory.path().as_os_str().as_bytes(), b"/odd \n\x1b[31m\xff name"].concat();
    let path = std::ffi::OsStr::from_bytes(&name);
    fs::write(path, b"x").unwrap();
    let (context, mut shell) = (context(), shell("kill -STOP $$; exec cat \"$1\""));
    shell.arg("sh").arg(path);
    let mut stopped = Stopped::start(shell, is(libc::SYS_openat));
    while value(&event(&context, &stopped), "fd.nameraw").as_deref() != Some(&name) {
        assert!(stopped.advance(is(libc::SYS_openat)));
    }
    let event = event(&context, &stopped);
    assert_eq!(value(&event, "fd.name").unwrap(), name);
    assert!(value(&event, "proc.cmdline").unwrap().ends_with(b"\xff name"));
}

/// A program that calls openat with the given path pointer.
fn open_with(pointer: u64, data: &[u8]) -> Stopped {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    // mov edi, AT_FDCWD; mov rsi, pointer; xor edx, edx; mov eax, 257; syscall; hlt
    let mut code = b"\xbf\x9c\xff\xff\xff\x48\xbe".to_vec();
    code.extend_from_slice(&pointer.to_le_bytes());
    code.extend_from_slice(b"\x31\xd2\xb8\x01\x01\0\0\x0f\x05\xf4");
    code.resize(32, 0);
    code.extend_from_slice(data);
    write_program(&path, &code);
    Stopped::at(&[path.to_str().unwrap()], |arch, number, arguments| {
        is(libc::SYS_openat)(arch, number, arguments) && arguments[1] == pointer
    })
}

#[test]
fn an_unreadable_path_is_absent_and_the_rest_is_there() {
    let (context, stopped) = (context(), open_with(0xdead_0000, b""));
    let event = event(&context, &stopped);
    assert_eq!(text(&event, "fd.name"), None);
    assert_eq!(text(&event, "evt.arg.name"), None);
    check(&event, &[("evt.type", "openat"), ("proc.name", "program"), ("evt.is_open_read", "true")]);
}

#[test]
fn a_path_of_the_kernels_limit_is_read_and_a_longer_one_is_not() {
    let longest: Vec<u8> = std::iter::repeat_n(*b"/x", 2048).flatten().take(4095).collect();
    let context = context();
    let stopped = open_with(CODE + 32, &[&longest, b"\0".as_slice()].concat());
    assert_eq!(value(&event(&context, &stopped), "fd.nameraw").unwrap(), longest);
    let stopped = open_with(CODE + 32, &[&longest, b"x\0".as_slice()].concat());
    assert_eq!(value(&event(&context, &stopped), "fd.nameraw"), None);
}

#[test]
fn a_path_at_the_end_of_mapped_memory_is_read() {
    // The program's page ends at 0x11000, and nothing is mapped behind it.
    let context = context();
    let data_start = usize::try_from(0x11000 - (CODE + 32) - 7).unwrap();
    let data = [vec![0; data_start], b"/etc/x\0".to_vec()].concat();
    let stopped = open_with(0x11000 - 7, &data);
    check(&event(&context, &stopped), &[("fd.name", "/etc/x")]);
    let stopped = open_with(0x11000 - 6, &[vec![0; data_start + 1], b"/etc/x".to_vec()].concat());
    assert_eq!(value(&event(&context, &stopped), "fd.name"), None);
}

#[test]
fn nothing_is_said_of_a_call_that_has_ended() {
    let (context, stopped) = (context(), cat("/etc/passwd"));
    let (arch, number, arguments) = stopped.call();
    let ended: &dyn Fn() -> bool = &|| false;
    let target = crate::target::Target::new(stopped.task(), ended);
    let call = crate::decode::Call::decode(arch, number, arguments, &target).unwrap();
    let event = crate::event::CallEvent::new(&context, call, target, context.clock.tick());
    for field in ["fd.name", "proc.name", "proc.cmdline", "user.uid", "proc.pname", "fd.ino"] {
        assert_eq!(value(&event, field), None, "{field}");
    }
    assert!(PENDING());
}
