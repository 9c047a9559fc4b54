// SPDX-License-Identifier: Apache-2.0
//! Facts of processes: ids, relatives, credentials, accounts, streams.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::time::ClockId;

use super::{
    check, context, event,
    stopped::{Stopped, is, leader, shell},
    text,
};

fn stopped_shell(script: &str) -> Stopped {
    Stopped::start(shell(&format!("kill -STOP $$; {script}")), is(libc::SYS_openat))
}

#[test]
fn ids_and_numbers_are_the_kernels() {
    let (context, stopped) = (context(), stopped_shell("exec 0</dev/null; read x </etc/passwd"));
    let event = event(&context, &stopped);
    let pid = stopped.process().to_string();
    check(
        &event,
        &[
            ("proc.pid", &pid),
            ("proc.vpid", &pid),
            ("thread.tid", &pid),
            ("thread.ismain", "true"),
            ("proc.nthreads", "1"),
            ("proc.nchilds", "0"),
            ("proc.tty", "0"),
            ("proc.is_pgid_leader", "true"),
            ("proc.pgid.name", "sh"),
            ("user.uid", "0"),
            ("group.gid", "0"),
            ("user.homedir", "/root"),
            ("user.loginuid", "-1"),
            ("user.loginname", "<NA>"),
            ("proc.aname[1]", fs::read_to_string("/proc/self/comm").unwrap().trim_end()),
            ("proc.ppid", &std::process::id().to_string()),
            ("container.id", "0123456789ab"),
            ("proc.name", "sh"),
        ],
    );
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap().0;
    check(&event, &[("proc.fdlimit", &limit.to_string())]);
    let age: i64 = text(&event, "proc.duration").unwrap().parse().unwrap();
    assert!((0..60_000_000_000).contains(&age), "{age}");
    let size: u64 = text(&event, "proc.vmrss").unwrap().parse().unwrap();
    assert!(size > 0);
    assert!(text(&event, "proc.aname").unwrap().split(',').count() > 1);
    assert!(text(&event, "thread.cgroups").is_some());
    assert!(text(&event, "thread.cap_effective").unwrap().starts_with("CAP_CHOWN"));
}

#[test]
fn another_user_has_its_own_name_and_no_rights() {
    let mut command = leader("setpriv");
    let script = "kill -STOP $$; exec /bin/true";
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "/bin/sh", "-c", script]);
    let stopped = Stopped::start(command, is(libc::SYS_execve));
    let context = context();
    let event = event(&context, &stopped);
    check(
        &event,
        &[
            ("user.uid", "65534"),
            ("user.name", "nobody"),
            ("group.name", "nogroup"),
            ("thread.cap_effective", ""),
            ("proc.is_exe_writable", "false"),
            ("evt.arg.flags", "0"),
            ("evt.arg.uid", "nobody"),
        ],
    );
}

#[test]
fn a_set_user_id_program_will_run_as_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let program = program_of(directory.path(), 0, 0o4755);
    let mut command = leader("setpriv");
    let script = format!("kill -STOP $$; exec {}", program.display());
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c", &script]);
    let stopped = Stopped::start(command, is(libc::SYS_execve));
    let context = context();
    check(&event(&context, &stopped), &[("user.uid", "0"), ("user.name", "root")]);
    // Afterwards it counts what the kernel made of it.
    let loaded = event(&context, &stopped);
    loaded.set_executed(None);
    check(&loaded, &[("user.uid", "65534"), ("user.name", "nobody"), ("thread.cap_effective", "")]);
}

/// A shell of `nobody` in a user namespace of its own, before it executes `program`.
fn in_own_namespace(options: &str, program: &Path) -> Stopped {
    let mut command = leader("setpriv");
    let script = format!("kill -STOP $$; exec {}", program.display());
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare", options, "/bin/sh", "-c", &script]);
    Stopped::start(command, is(libc::SYS_execve))
}

#[test]
fn capabilities_of_ones_own_namespace_count_for_its_own_files() {
    let context = context();
    for options in ["-U", "-Ur"] {
        let stopped = in_own_namespace(options, Path::new("/bin/true"));
        check(&event(&context, &stopped), &[("proc.is_exe_writable", "false"), ("evt.arg.flags", "0")]);
    }
    let folder = tempfile::tempdir().unwrap();
    let program = program_of(folder.path(), 65534, 0o555);
    check(&event(&context, &in_own_namespace("-Ur", &program)), &[("proc.is_exe_writable", "true")]);
}

#[test]
fn root_is_who_the_namespace_says() {
    let (context, folder) = (context(), tempfile::tempdir().unwrap());
    let stopped = in_own_namespace("-Ur", Path::new("/bin/true"));
    let effective = text(&event(&context, &stopped), "thread.cap_effective").unwrap();
    assert!(effective.contains("CAP_SYS_ADMIN"), "{effective}");
    // Who has no number there gives nothing.
    let program = program_of(folder.path(), 0, 0o4755);
    for options in ["-U", "-Ur"] {
        check(&event(&context, &in_own_namespace(options, &program)), &[("user.uid", "65534")]);
    }
    let stopped = in_own_namespace("-U", &program);
    check(&event(&context, &stopped), &[("thread.cap_effective", "")]);
}

/// A program of this user and group.
fn program_of(folder: &Path, owner: u32, mode: u32) -> PathBuf {
    let program = folder.join("program");
    fs::copy("/bin/true", &program).unwrap();
    chown(&program, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(mode)).unwrap();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn a_new_name_is_seen_in_the_next_event() {
    let context = context();
    let script = "echo first >/dev/null; printf renamed >/proc/self/comm; echo x >/dev/null";
    let mut stopped = stopped_shell(script);
    let mut names = Vec::new();
    loop {
        let event = event(&context, &stopped);
        if text(&event, "fd.name").as_deref() == Some("/dev/null") {
            names.push(text(&event, "proc.name").unwrap());
        }
        if !stopped.advance(is(libc::SYS_openat)) {
            break;
        }
    }
    assert_eq!(names, ["sh", "renamed"]);
}

#[test]
fn after_an_exec_nothing_of_the_old_program_is_left() {
    let context = context();
    let mut stopped = stopped_shell("read x </etc/passwd; exec cat /etc/hostname");
    check(&event(&context, &stopped), &[("proc.name", "sh")]);
    while text(&event(&context, &stopped), "fd.name").as_deref() != Some("/etc/hostname") {
        assert!(stopped.advance(is(libc::SYS_openat)));
    }
    check(&event(&context, &stopped), &[("proc.name", "cat"), ("proc.cmdline", "cat /etc/hostname")]);
}

#[test]
fn a_child_has_the_shell_as_parent() {
    let context = context();
    let mut stopped = stopped_shell("cat /etc/hostname; true");
    while text(&event(&context, &stopped), "fd.name").as_deref() != Some("/etc/hostname") {
        assert!(stopped.advance(is(libc::SYS_openat)));
    }
    let event = event(&context, &stopped);
    check(
        &event,
        &[
            ("proc.name", "cat"),
            ("proc.pname", "sh"),
            ("proc.ppid", &stopped.process().to_string()),
            ("proc.pexe", "/bin/sh"),
            ("proc.aname[1]", "sh"),
            ("proc.vpgid.name", "sh"),
        ],
    );
    assert!(text(&event, "proc.pcmdline").unwrap().starts_with("sh -c kill -STOP $$; cat"));
}

#[test]
fn standard_streams_have_types_and_names() {
    let (context, stopped) = (context(), stopped_shell("exec 3>/dev/null"));
    let event = event(&context, &stopped);
    assert!(text(&event, "proc.stdin.type").is_some());
    let count: u64 = text(&event, "proc.fdopencount").unwrap().parse().unwrap();
    assert!(count >= 3, "{count}");
}

#[test]
fn a_thread_belongs_to_its_process() {
    let context = context();
    let path = b"/etc/passwd\0";
    let pointer = u64::try_from(path.as_ptr().addr()).unwrap();
    let inside = || {
        let tid = u32::try_from(nix::unistd::gettid().as_raw()).unwrap();
        let target = crate::target::Target::new(tid, super::PENDING);
        let registers = [u64::MAX - 99, pointer, 0, 0, 0, 0];
        let call = crate::decode::Call::decode(0xC000_003E, 257, registers, &target).unwrap();
        let event = crate::event::CallEvent::new(&context, call, target, context.clock.tick());
        let pid = std::process::id();
        check(
            &event,
            &[
                ("fd.name", "/etc/passwd"),
                ("evt.arg.dirfd", "AT_FDCWD"),
                ("thread.tid", &tid.to_string()),
                ("proc.pid", &pid.to_string()),
                ("thread.ismain", "false"),
                ("thread.vmsize", "0"),
                ("proc.name", fs::read_to_string("/proc/self/comm").unwrap().trim_end()),
            ],
        );
        assert!(text(&event, "proc.nthreads").unwrap().parse::<u32>().unwrap() > 1);
    };
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("other-name".to_owned());
        builder.spawn_scoped(scope, inside).unwrap().join().unwrap();
    });
}

/// A thread that executes becomes its process's first thread; no handle of the others survives.
#[test]
fn a_threads_exec_is_that_of_its_process() {
    let program = "import os, signal, threading\n\
                   os.kill(os.getpid(), signal.SIGSTOP)\n\
                   t = threading.Thread(target=lambda: os.execv('/bin/cat', ['cat', '/etc/hostname']))\n\
                   t.start(); t.join()";
    let mut command = leader("python3");
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: needs python3 for a program with threads");
        return;
    }
    command.args(["-c", program]);
    let context = context();
    let mut stopped = Stopped::start(command, is(libc::SYS_execve));
    let tid = stopped.task();
    assert_ne!(tid, stopped.process());
    check(&event(&context, &stopped), &[("proc.name", "cat"), ("proc.pid", &stopped.process().to_string())]);
    while text(&event(&context, &stopped), "fd.name").as_deref() != Some("/etc/hostname") {
        assert!(stopped.advance(is(libc::SYS_openat)));
    }
    assert_eq!(stopped.task(), stopped.process());
    let pid = stopped.process().to_string();
    check(
        &event(&context, &stopped),
        &[("proc.name", "cat"), ("proc.cmdline", "cat /etc/hostname"), ("proc.pid", &pid), ("thread.ismain", "true")],
    );
    assert!(context.processes.get(tid).is_none(), "the thread's own number is free");
}

/// Everything that can be known at entry is known, but for what the event or the machine does not have.
#[test]
fn every_field_that_is_knowable_has_a_value() {
    use rules::{ArgumentRule, Availability, Field};
    #[rustfmt::skip]
    const NOT_HERE: &[&str] = &[
        // Events with data, addresses or two paths.
        "evt.buffer", "evt.buflen", "evt.io_dir", "fdlist.nums", "fd.ip", "fd.sip", "fd.rip", "fd.port", "fd.sport", "fd.rport",
        "fd.proto", "fd.sproto", "fd.rproto", "fd.net", "fd.snet", "fd.rnet", "fd.sockfamily", "fs.path.source",
        "fs.path.sourceraw", "fs.path.target", "fs.path.targetraw",
        // A container that nobody described, outside a pod.
        "container.image", "container.image.id", "container.image.repository", "container.image.tag", "container.image.digest",
        "container.type", "k8s.pod.name", "k8s.ns.name", "k8s.pod.id", "k8s.pod.uid", "k8s.pod.sandbox_id",
        "k8s.pod.full_sandbox_id", "k8s.pod.labels",
        // Set by a decision.
        "lanner.mode", "lanner.action", "lanner.verdict",
    ];
    let (context, stopped) = (context(), stopped_shell("read x </etc/passwd"));
    let event = event(&context, &stopped);
    let knowable = |row: &&rules::Description| {
        matches!(row.availability, Availability::Entry | Availability::Container)
            && matches!(row.argument, ArgumentRule::Unused | ArgumentRule::Optional)
    };
    let absent: Vec<&str> = Field::all()
        .iter()
        .filter(knowable)
        .map(|row| row.name)
        .filter(|name| super::value(&event, name).is_none() != NOT_HERE.contains(name))
        .collect();
    assert_eq!(absent, [""; 0], "absent, or listed as absent and present");
}

#[test]
fn only_the_kernels_mark_of_removed_programs_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let context = context();
    let start = |name: &str| {
        let path = directory.path().join(name).to_str().unwrap().to_owned();
        fs::copy("/bin/cat", &path).unwrap();
        (Stopped::at(&[&path, "/etc/hostname"], is(libc::SYS_openat)), path)
    };
    let (stopped, path) = start("disguised (deleted)");
    let mut stopped = stopped;
    while text(&event(&context, &stopped), "proc.name").as_deref() == Some("sh") {
        assert!(stopped.advance(is(libc::SYS_openat)));
    }
    check(&event(&context, &stopped), &[("proc.exepath", &path)]);
    let (stopped, path) = start("removed");
    let mut stopped = stopped;
    while text(&event(&context, &stopped), "proc.name").as_deref() == Some("sh") {
        assert!(stopped.advance(is(libc::SYS_openat)));
    }
    fs::remove_file(&path).unwrap();
    check(&event(&context, &stopped), &[("proc.exepath", &path)]);
}

#[test]
fn layers_of_an_overlay_are_told_apart() {
    let (image, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    check_layers(image.path(), scratch.path(), "");
}

/// There a file's device is not the overlay's.
#[test]
fn layers_on_different_file_systems_are_told_apart() {
    let (image, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    check_layers(image.path(), scratch.path(), "");
}

/// There a file's number is not the one of its layer.
#[test]
fn layers_with_numbers_of_their_file_systems_are_told_apart() {
    let (image, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    check_layers(image.path(), scratch.path(), "xino=on,");
}

/// There the upper layer is younger than what the lower one has.
#[test]
fn layers_that_nobody_sees_are_told_apart_by_age() {
    check_layers_by_age("lowerdir=lower,");
}

/// An engine may take the mount of a layer away when the overlay stands, and leave an empty folder.
#[test]
fn layers_whose_mounts_are_gone_are_told_apart_by_age() {
    check_layers_by_age("lowerdir=hidden,");
}

#[track_caller]
fn check_layers_by_age(options: &str) {
    let (image, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    if !make_image(image.path()) {
        return;
    }
    let changed = fs::metadata(image.path().join("lower/bin/old")).unwrap().ctime();
    let deadline = Instant::now() + Duration::from_secs(5);
    while ClockId::CLOCK_REALTIME_COARSE.now().unwrap().tv_sec() <= changed {
        assert!(Instant::now() < deadline, "the clock stands still");
        thread::sleep(Duration::from_millis(20));
    }
    if fs::create_dir(scratch.path().join("probe"))
        .and_then(|()| fs::metadata(scratch.path().join("probe"))?.created())
        .is_err()
    {
        println!("skipped: the kernel does not tell when a folder was made");
        return;
    }
    check_layers(image.path(), scratch.path(), options);
}

fn make_image(folder: &Path) -> bool {
    for name in ["lower/bin", "merged", "hidden"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    let is_made =
        folder.join("lower/bin/old").exists() || fs::copy("/bin/busybox", folder.join("lower/bin/old")).is_ok();
    if !is_made {
        println!("skipped: needs a static busybox");
    }
    is_made
}

/// `options` begin those of the overlay; a relative name of the lower layer starts at its folder.
#[track_caller]
fn check_layers(lower: &Path, upper: &Path, options: &str) {
    let at = |directory: &Path, name: &str| directory.join(name).to_str().unwrap().to_owned();
    if !make_image(lower) {
        return;
    }
    for directory in [at(upper, "upper/bin"), at(upper, "work")] {
        fs::create_dir_all(directory).unwrap();
    }
    fs::copy("/bin/busybox", at(upper, "upper/bin/new")).unwrap();
    let [image, layer, work] = [at(lower, "lower"), at(upper, "upper"), at(upper, "work")];
    let named = if options.contains("lowerdir=") { String::new() } else { format!("lowerdir={image},") };
    let options = format!("{options}{named}upperdir={layer},workdir={work}");
    for (program, expected) in [
        ("old", ["false", "true", "EXE_WRITABLE|EXE_LOWER_LAYER"]),
        ("new", ["true", "false", "EXE_WRITABLE|EXE_UPPER_LAYER"]),
    ] {
        let mut command = leader("unshare");
        let script = format!(
            "cd {1} && mount --bind lower hidden && mount -t overlay overlay -o {options} {0} && umount -l hidden && kill -STOP $$; exec chroot {0} /bin/{program} true",
            at(lower, "merged"),
            lower.display()
        );
        command.args(["-m", "/bin/sh", "-c", &script]);
        let context = context();
        let mut stopped = Stopped::start(command, is(libc::SYS_execve));
        while text(&event(&context, &stopped), "proc.name").as_deref() != Some(program) {
            assert!(stopped.advance(is(libc::SYS_execve)), "no overlay?");
        }
        let fields = ["proc.is_exe_upper_layer", "proc.is_exe_lower_layer", "evt.arg.flags"];
        check(
            &event(&context, &stopped),
            &[(fields[0], expected[0]), (fields[1], expected[1]), (fields[2], expected[2])],
        );
    }
    fs::copy("/bin/busybox", at(lower, "lower/bin/busybox")).unwrap();
    // Where the table of mounts does not show the overlay, what runs from it is new.
    let mut command = leader("unshare");
    let merged = at(lower, "merged");
    let script = format!(
        "cd {merged}/.. && mount --bind lower hidden && mount -t overlay overlay -o {options} {merged} && cd {merged} && kill -STOP $$; umount -l {merged}; exec ./bin/busybox mkdir /no/folder"
    );
    command.args(["-m", "/bin/sh", "-c", &script]);
    let context = context();
    let mut stopped = Stopped::start(command, is(libc::SYS_execve));
    while text(&event(&context, &stopped), "proc.name").as_deref() != Some("busybox") {
        assert!(stopped.advance(is(libc::SYS_execve)), "no overlay?");
    }
    assert!(stopped.advance(is(libc::SYS_mkdir)));
    check(&event(&context, &stopped), &[("proc.is_exe_upper_layer", "true"), ("proc.is_exe_lower_layer", "false")]);
}
