// SPDX-License-Identifier: Apache-2.0
//! Execs: the new program as it is predicted from the arguments.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
};

use super::{
    check, context, event,
    stopped::{CODE, Stopped, is, leader, shell, write_program},
    text, value,
};

/// Stops a shell at its exec of `command`.
fn exec(command: &str) -> Stopped {
    let mut shell = shell(&format!("kill -STOP $$; {command}"));
    shell.env_clear().env("MARK", "set");
    Stopped::start(shell, is(libc::SYS_execve))
}

#[test]
fn an_exec_describes_the_new_program_and_its_parent() {
    let (context, stopped) = (context(), exec("exec /bin/cat 'a b' '' --x"));
    let event = event(&context, &stopped);
    let own = std::process::id().to_string();
    let own_name = fs::read_to_string("/proc/self/comm").unwrap();
    check(
        &event,
        &[
            ("evt.type", "execve"),
            ("proc.name", "cat"),
            ("proc.exe", "/bin/cat"),
            ("proc.args", "a b  --x"),
            ("proc.args[0]", "a b"),
            ("proc.cmdline", "cat a b  --x"),
            ("proc.exeline", "/bin/cat a b  --x"),
            ("proc.cmdnargs", "3"),
            ("proc.cmdlenargs", "6"),
            ("proc.pid", &stopped.process().to_string()),
            ("proc.ppid", &own),
            ("proc.pname", own_name.trim_end()),
            ("proc.aname[0]", "cat"),
            ("proc.aname[1]", own_name.trim_end()),
            ("evt.arg.comm", "cat"),
            ("evt.arg.filename", "/bin/cat"),
            ("evt.arg.args", "a b..--x."),
            ("proc.is_exe_from_memfd", "false"),
            ("proc.is_exe_writable", "true"),
            ("evt.arg.res", "0"),
        ],
    );
    let exe = fs_canonical::canonical("/bin/cat");
    check(&event, &[("proc.exepath", &exe), ("evt.arg.trusted_exepath", &exe)]);
    assert!(text(&event, "proc.env").unwrap().contains("MARK=set"));
    assert_eq!(text(&event, "fd.name"), None);
}

#[test]
fn the_name_of_a_program_that_was_loaded_does_not_come_from_its_memory() {
    let context = context();
    let mut stopped = exec("exec /bin/cat /dev/null");
    let (event, process) = (event(&context, &stopped), stopped.process());
    assert!(stopped.advance(|_, _, _| true));
    let vector = fs::read(format!("/proc/{process}/auxv")).unwrap();
    let mut entries = vector.chunks(16).map(|entry| entry.split_at(8));
    let (_, address) = entries.find(|(key, _)| **key == libc::AT_EXECFN.to_ne_bytes()).unwrap();
    let address = u64::from_ne_bytes(address.try_into().unwrap());
    let memory = fs::File::options().write(true).open(format!("/proc/{process}/mem")).unwrap();
    memory.write_all_at(b"/bin/dog", address).unwrap();
    event.set_executed(None);
    check(&event, &[("evt.arg.filename", "/bin/dog"), ("proc.name", "cat"), ("proc.cmdline", "cat /dev/null")]);
}

/// A name of a program takes no room from its arguments, before it runs and after.
#[test]
fn a_long_name_does_not_hide_the_arguments() {
    let context = context();
    for length in [10, 4095, 4096, 8185, 20_000] {
        let script = format!("kill -STOP $$; printf -v name %{length}s; exec -a \"${{name// /a}}\" /bin/cat forbidden");
        let mut bash = leader("bash");
        bash.args(["-c", &script]).env_clear();
        let mut stopped = Stopped::start(bash, is(libc::SYS_execve));
        let [before, after] = [0, 1].map(|_| event(&context, &stopped));
        let name = "a".repeat(length.min(4096));
        let expected = [("proc.exe", &*name), ("proc.args", "forbidden"), ("proc.cmdline", "cat forbidden")];
        check(&before, &expected);
        assert!(stopped.advance(|_, _, _| true));
        after.set_executed(None);
        check(&after, &expected);
        assert!(before.exec_arguments() == after.exec_arguments(), "{length}");
    }
}

/// `fs::canonicalize` is disallowed for good reasons that do not hold for a test's own root.
mod fs_canonical {
    pub(super) fn canonical(path: &str) -> String {
        let output = std::process::Command::new("readlink").args(["-f", path]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

#[test]
fn a_script_is_its_interpreter_under_its_own_name() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("a-script-with-a-long-name");
    fs::write(&script, "#!/bin/sh -e\nexit 0\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.to_str().unwrap();
    let (context, stopped) = (context(), exec(&format!("exec {script} one two")));
    let event = event(&context, &stopped);
    check(
        &event,
        &[
            ("proc.name", "a-script-with-a"),
            ("proc.exe", "/bin/sh"),
            ("proc.args", &format!("-e {script} one two")),
            ("proc.cmdline", &format!("a-script-with-a -e {script} one two")),
            ("proc.exepath", &fs_canonical::canonical("/bin/sh")),
            ("evt.arg.filename", script),
        ],
    );
}

#[test]
fn prediction_and_outcome_agree_after_the_exec() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    let outer = directory.path().join("outer");
    fs::write(&inner, "#!/bin/sh -u\nread x\n").unwrap();
    fs::write(&outer, format!("#!{} arg  ument\n", inner.display())).unwrap();
    for file in [&inner, &outer] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let context = context();
    let mut stopped = exec(&format!("exec {} last", outer.display()));
    let fields =
        ["proc.name", "proc.exe", "proc.exepath", "proc.cmdline", "proc.env", "proc.exe_ino", "proc.is_exe_writable"];
    let before: Vec<_> = fields.map(|field| value(&event(&context, &stopped), field)).into();
    // The shell that runs the script opens it; by then the new program is in place.
    let opens_script = |arch, number, arguments: &[u64; 6]| is(libc::SYS_openat)(arch, number, arguments);
    while value(&event(&context, &stopped), "fd.nameraw")
        .is_none_or(|path| path != inner.as_os_str().as_encoded_bytes())
    {
        assert!(stopped.advance(opens_script));
    }
    let after: Vec<_> = fields.map(|field| value(&event(&context, &stopped), field)).into();
    assert_eq!(before, after);
}

#[test]
fn a_multi_call_program_is_named_by_its_first_argument() {
    let (context, stopped) = (context(), exec("exec /proc/self/exe /etc/shadow"));
    let event = event(&context, &stopped);
    let shell = fs_canonical::canonical("/bin/sh");
    check(&event, &[("proc.exepath", &shell), ("evt.arg.filename", "/proc/self/exe"), ("proc.name", "exe")]);
}

#[test]
fn a_program_that_does_not_exist_is_still_named() {
    let (context, stopped) = (context(), exec("cd /etc; exec ./none-such x"));
    let event = event(&context, &stopped);
    check(&event, &[("proc.name", "none-such"), ("proc.exepath", "/etc/none-such"), ("proc.cmdline", "none-such x")]);
}

#[test]
fn a_fifo_for_a_program_does_not_block() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (context, stopped) = (context(), exec(&format!("exec {} x", fifo.display())));
    check(&event(&context, &stopped), &[("proc.name", "fifo"), ("proc.exepath", fifo.to_str().unwrap())]);
}

#[test]
fn an_argv_of_megabytes_is_cut_and_quick() {
    let many = "exec /bin/true $(head -c 1900000 /dev/zero | tr '\\0' 'a' | fold -w 60000)";
    let context = context();
    let mut stopped = exec(many);
    while text(&event(&context, &stopped), "proc.name").as_deref() != Some("true") {
        assert!(stopped.advance(is(libc::SYS_execve)));
    }
    let start = std::time::Instant::now();
    let line = value(&event(&context, &stopped), "proc.cmdline").unwrap();
    assert!(start.elapsed().as_millis() < 50, "{:?}", start.elapsed());
    assert_eq!(line.len(), "true ".len() + 4096);
}

/// i386 code in a 64-bit program: 32-bit pointers, 32-bit registers.
#[test]
fn an_i386_exec_is_read_with_its_pointers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    let data = u32::try_from(CODE).unwrap() + 64;
    // mov ebx, path; mov ecx, argv; xor edx, edx; mov eax, 11; int 0x80; hlt
    let mut code = b"\xbb".to_vec();
    code.extend_from_slice(&data.to_le_bytes());
    code.extend_from_slice(b"\xb9");
    code.extend_from_slice(&(data + 32).to_le_bytes());
    code.extend_from_slice(b"\x31\xd2\xb8\x0b\0\0\0\xcd\x80\xf4");
    code.resize(64, 0);
    code.extend_from_slice(b"/bin/cat\0zero\0one\0");
    code.resize(64 + 32, 0);
    for pointer in [data + 9, data + 14, 0] {
        code.extend_from_slice(&pointer.to_le_bytes());
    }
    // What a 64-bit reader would take for the next pointer.
    code.extend_from_slice(&[0xff; 8]);
    write_program(&path, &code);
    let stopped = Stopped::at(&[path.to_str().unwrap()], |arch, number, _| arch == 0x4000_0003 && number == 11);
    let context = context();
    let event = event(&context, &stopped);
    check(&event, &[("proc.name", "cat"), ("proc.exe", "zero"), ("proc.args", "one"), ("proc.env", "")]);
    // The same memory, as an x32 program would lay it out.
    let (_, _, [path, argv, envp, ..]) = stopped.call();
    let target = crate::target::Target::new(stopped.task(), super::PENDING);
    let registers = [path, argv, envp, 0, 0, 0];
    let call = crate::decode::Call::decode(0xC000_003E, 0x4000_0208, registers, &target).unwrap();
    let event = crate::event::CallEvent::new(&context, call, target, context.clock.tick());
    check(&event, &[("proc.exe", "zero"), ("proc.cmdline", "cat one")]);
}
