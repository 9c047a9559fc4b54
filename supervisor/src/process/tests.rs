// SPDX-License-Identifier: Apache-2.0
//! Handles follow the task, not its number.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{Ancestors, Kind, Process, ProcessTable, table::Parent, unseen};

/// A process that has loaded all it needs and waits for input: one that was only started is seen while the kernel still sets
/// up its stack.
pub(crate) fn settled() -> Child {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    child
}

fn start(program: &str, argument: &str) -> Child {
    Command::new(program).arg(argument).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_reused_number_is_another_process() {
    const LAST: &str = "/proc/sys/kernel/ns_last_pid";
    let table = ProcessTable::default();
    // Other processes of the machine take numbers too, so that we may come too late.
    for _ in 0..200 {
        let first = start("sleep", "60");
        let number = first.id();
        let handle = table.get(number).unwrap();
        let stat = handle.stat();
        assert!(stat.is_some() && handle.exists());
        end(first);
        assert_eq!((handle.exists(), handle.stat(), handle.name()), (false, None, None));
        assert!(table.get(number).is_none());
        if fs::write(LAST, (number - 1).to_string()).is_err() {
            println!("skipped: needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE to write {LAST}");
            return;
        }
        let second = start("cat", "-");
        let is_reused = second.id() == number;
        if is_reused {
            assert!(!handle.exists(), "the old handle leads to the new process");
            assert_eq!((handle.status(), handle.arguments()), (None, None));
            let fresh = table.get(number).unwrap();
            // The child is visible a moment before its arguments are in place.
            let deadline = Instant::now() + Duration::from_secs(10);
            while fresh.arguments().unwrap().len() == 0 && Instant::now() < deadline {}
            assert_eq!(fresh.arguments().unwrap().get(0), Some(b"cat".as_slice()));
        }
        end(second);
        if is_reused {
            return;
        }
    }
    println!("skipped: the number was never free for us");
}

/// What is left of its process, or a reference to that, does not stand for it.
#[test]
fn a_thread_that_ended_does_not_exist_though_its_process_does() {
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        tell.send(nix::unistd::gettid()).unwrap();
        ended.recv().unwrap_err();
    });
    let number = told.recv().unwrap().as_raw().unsigned_abs();
    let [asked, late] = [(); 2].map(|()| Process::open(number).unwrap());
    assert!(asked.ids().is_some() && asked.leader().is_some() && late.leader().is_some());
    assert!(asked.exists() && late.exists());
    drop(end);
    thread.join().unwrap();
    let patience = Instant::now() + Duration::from_secs(10);
    while late.name().is_some() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
    for gone in [asked, late] {
        assert!(gone.duplicate(0).is_none() || gone.leader() == Some(std::process::id()));
        assert_eq!((gone.exists(), gone.ids()), (false, None));
    }
}

#[test]
fn a_handle_of_a_parent_is_that_of_the_real_parent() {
    let table = ProcessTable::default();
    let child = start("sleep", "60");
    let process = table.get(child.id()).unwrap();
    assert!(matches!(table.parent(&process), Parent::Process(parent) if parent.task() == std::process::id()));
    let ancestors = Ancestors::default();
    assert_eq!(
        ancestors.of(&process, &table).last().unwrap().stat().unwrap().parent,
        0,
        "the chain ends at the first process"
    );
    end(child);
    assert!(matches!(table.parent(&process), Parent::OfNobody));
}

#[test]
fn the_table_forgets_the_oldest() {
    let table = ProcessTable::default();
    let children: Vec<Child> = (0..140).map(|_| start("sleep", "60")).collect();
    let handles: Vec<_> = children.iter().map(|child| table.get(child.id()).unwrap()).collect();
    let again: Vec<_> = children.iter().rev().take(100).map(|child| table.get(child.id()).unwrap()).collect();
    assert!(std::sync::Arc::ptr_eq(&handles[139], &again[0]), "a recent handle is kept");
    children.into_iter().for_each(end);
}

#[test]
fn descriptors_have_types() {
    use std::os::fd::AsRawFd;
    let directory = fs::File::open("/etc").unwrap();
    let (reader, _writer) = std::io::pipe().unwrap();
    let memory = nix::sys::memfd::memfd_create(c"payload", nix::sys::memfd::MFdFlags::empty()).unwrap();
    let event = nix::sys::eventfd::EventFd::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
    let own = Process::open(std::process::id()).unwrap();
    let kind = |file: &dyn AsRawFd| own.descriptor(file.as_raw_fd()).unwrap().kind;
    assert_eq!(kind(&directory), Kind::Directory);
    assert_eq!(kind(&reader), Kind::Pipe);
    assert_eq!(kind(&memory), Kind::Memory);
    assert_eq!(kind(&std::os::fd::AsFd::as_fd(&event)), Kind::Event);
    assert_eq!(kind(&listener), Kind::Ipv4);
    assert_eq!(kind(&near), Kind::Unix);
    assert_eq!(own.descriptor(directory.as_raw_fd()).unwrap().name, b"/etc");
}

#[test]
fn descriptors_are_counted_as_listed() {
    let child = settled();
    let process = Process::open(child.id()).unwrap();
    assert_eq!(process.descriptor_count(), process.descriptors().map(|all| all.len()));
    end(child);
}

/// A file system that a container serves may pose as procfs, and have a FIFO or a device under each name.
#[test]
fn of_a_directory_that_is_shown_by_others_only_plain_files_are_read() {
    let directory = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&directory.path().join("status"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(directory.path().join("comm"), "posing\n").unwrap();
    let path = nix::fcntl::OFlag::O_PATH;
    let opened = nix::fcntl::open(directory.path(), path, nix::sys::stat::Mode::empty()).unwrap();
    let process = Process::of_directory(opened);
    let (said, is_said) = std::sync::mpsc::channel();
    std::thread::spawn(move || said.send((process.status().is_none(), process.name())).unwrap());
    let seen = is_said.recv_timeout(Duration::from_secs(5)).expect("it waits for the other end of the FIFO");
    assert_eq!(seen, (true, Some(b"posing".to_vec())));
}

/// They stand before most of a task's status, and are as many as it likes.
#[test]
fn many_groups_hide_nothing() {
    let groups = vec!["4294967294"; 3000].join(",");
    let script = "exec setpriv --groups \"$0\" cat";
    let child = Command::new("sh").args(["-c", script, &groups]).stdin(Stdio::piped()).spawn().unwrap();
    let is_ready = || Process::open(child.id()).and_then(|process| process.name()).is_some_and(|name| name == b"cat");
    let patience = Instant::now() + Duration::from_secs(10);
    while !is_ready() {
        assert!(Instant::now() < patience, "the program does not start");
    }
    let status = Process::open(child.id()).unwrap().status().unwrap();
    assert_eq!((status.process, status.groups.len()), (child.id(), 3000));
    end(child);
}

/// A shell that starts another one, as often as its first parameter says; the last one prints its number and waits.
const NESTED: &str = r#"if [ "$1" = 0 ]; then echo $$; read line; else sh -c "$0" "$0" $(($1 - 1)); fi; true"#;

#[test]
fn ancestors_are_followed_as_far_as_they_are_asked_for() {
    let mut command = Command::new("sh");
    command.args(["-c", NESTED, NESTED, "260"]);
    let mut outermost = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(outermost.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let table = ProcessTable::default();
    let innermost = table.get(line.trim().parse().unwrap()).unwrap();
    let ancestors = Ancestors::default();
    let before = unseen();
    for place in [1, 0, 255] {
        assert_eq!(ancestors.of(&innermost, &table).nth(place).unwrap().name().unwrap(), b"sh", "{place}");
        assert_eq!(unseen() - before, 0, "{place}");
    }
    assert_eq!((ancestors.of(&innermost, &table).count(), unseen() - before), (256, 1));
    drop(outermost.stdin.take());
    outermost.wait().unwrap();
}

/// Starts a shell that starts another one, which starts a program and ends with the first line of the input.
const GENERATIONS: &str = "sh -c 'sleep 60 <&- >&- & echo $!; read line'; read line";

/// What becomes of a line of which the first `known` were asked for when the parent ends: the line's end is found, and the
/// parent is another one.
#[track_caller]
fn check_broken_line(known: usize) {
    let mut command = Command::new("sh");
    let mut outer = command.args(["-c", GENERATIONS]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut number = String::new();
    BufReader::new(outer.stdout.take().unwrap()).read_line(&mut number).unwrap();
    let table = ProcessTable::default();
    let process = table.get(number.trim().parse().unwrap()).unwrap();
    let (ancestors, before) = (Ancestors::default(), unseen());
    let parent = ancestors.of(&process, &table).take(known).collect::<Vec<_>>().swap_remove(0);
    outer.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    while parent.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let names = ancestors.ask(|| {
        let line = ancestors.of(&process, &table);
        Some(line.filter_map(|ancestor| ancestors.told_by(&ancestor, Process::name)).count())
    });
    assert!(names.is_some_and(|names| names > 0));
    let line: Vec<_> = ancestors.of(&process, &table).collect();
    assert_ne!(line[0].task(), parent.task());
    assert_eq!(line.last().unwrap().stat().unwrap().parent, 0);
    assert_eq!(unseen() - before, 0);
    assert_eq!(ancestors.ask(|| ancestors.told_by(&parent, Process::name)), None);
    assert_eq!(unseen() - before, 1);
    kill(Pid::from_raw(process.task().try_into().unwrap()), Signal::SIGKILL).unwrap();
    drop(outer.stdin.take());
    outer.wait().unwrap();
}

#[test]
fn a_question_to_somebody_who_has_ended_is_asked_anew() {
    check_broken_line(1);
    check_broken_line(2);
    check_broken_line(usize::MAX);
}
