// SPDX-License-Identifier: Apache-2.0
//! One task through open descriptors of its `/proc` directory.

use std::{
    collections::HashSet,
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    dir::Dir,
    fcntl::{AT_FDCWD, OFlag, openat, readlinkat},
    sys::{
        stat::{Mode, fstat},
        uio::pread,
    },
    unistd::read,
};

use super::{
    Activity, Auxiliary, Cgroup, Stat, Status, Wait,
    cgroup::without_holds,
    stat::number,
    unseen::{named, opened, overlook},
};
use crate::{
    sys::{Ids, OpenHow, Pidfd, file_facts, open_at},
    target::Strings,
};

/// Bytes of `cmdline` and `environ` that are read: what Falco keeps of each, plus the program's name before it.
const MAX_STRINGS: usize = MAX_FIRST_ARGUMENT + 4096;
/// Bytes that are kept of a program's name before its arguments, as Falco keeps them.
pub(crate) const MAX_FIRST_ARGUMENT: usize = 4096;
/// Bytes of one argument with its terminator that the kernel hands over to a program (`MAX_ARG_STRLEN`).
const MAX_ARGUMENT: usize = 32 * 4096;
/// `stat` needs some 300 bytes.
const MAX_STAT: usize = 1024;
/// Of `cgroup` and `limits`.
const MAX_FILE: usize = 16 * 1024;
/// `status` needs 1500 bytes, and eleven for each of up to 65,536 supplementary groups (`NGROUPS_MAX`), which stand before
/// most of the rest.
const MAX_STATUS: usize = 1 << 20;
/// Some 20 entries of 16 bytes.
const MAX_AUXILIARY: usize = 1024;
/// Bytes of `/proc/PID/syscall`: a number and eight more of 18 digits.
const MAX_ACTIVITY: usize = 256;
/// How long it is looked at a task that is about to wait, or has been woken and goes on: on a busy machine either takes until
/// it has had a processor, and in a control group that has used up its time, until the next period (100 ms).
const WAIT_PATIENCE: Duration = Duration::from_millis(200);
/// Between two looks, at first and later.
const WAIT_PAUSE: Duration = Duration::from_micros(50);
const MAX_WAIT_PAUSE: Duration = Duration::from_millis(2);
/// Living threads that are asked for their process's program; one of them knows it unless it ends just now.
const MAX_THREADS: usize = 16;
/// Threads among which one is looked for that is not ending.
const MAX_LISTED: usize = 4096;
/// The kernel's limit of a task's name, `TASK_COMM_LEN`, with a line feed instead of the terminator.
const MAX_NAME: usize = 16;
/// How often a process is asked for its program whose threads are ending, and how long is waited in between: all of them take a
/// moment.
const ATTEMPTS: u32 = 20;
const ENDING_PAUSE: Duration = Duration::from_micros(100);
/// How often in a row all of them must be seen to be ending.
const ENDINGS: u32 = 3;

/// The host's `/proc`, opened before any thread looks at the world from inside a container.
pub(super) fn proc_root() -> Option<BorrowedFd<'static>> {
    static ROOT: OnceLock<OwnedFd> = OnceLock::new();
    if ROOT.get().is_none() {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(AT_FDCWD, "/proc", flags, Mode::empty()).ok()?;
        ROOT.get_or_init(|| root);
    }
    ROOT.get().map(AsFd::as_fd)
}

/// The kernel's name of a task (`comm`) whose number is its own as long as we look, as a tracee's is: for one look only, half
/// of what it takes through a [`Process`].
pub(crate) fn name_of(task: u32) -> Option<Vec<u8>> {
    let mut buffer = [0; MAX_NAME];
    look(task, "comm", &mut buffer).filter(|name| !name.is_empty()).map(name_in)
}

/// What a task does, as a letter (`proc_pid_stat(5)`, `state`).
pub(crate) fn state_of(task: u32) -> Option<u8> {
    let mut buffer = [0; MAX_STAT];
    let stat = look(task, "stat", &mut buffer)?;
    // The name, in parentheses, may hold anything.
    stat.get(memchr::memrchr(b')', stat)? + 2).copied()
}

/// What the kernel told the program that such a task was given (getauxval(3)).
pub(crate) fn auxiliary_of(task: u32) -> Option<Auxiliary> {
    let mut buffer = [0; MAX_AUXILIARY];
    look(task, "auxv", &mut buffer).map(Auxiliary::parse)
}

/// The beginning of a file in such a task's directory.
fn look<'a>(task: u32, name: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let file = opened(openat(proc_root()?, format!("{task}/{name}").as_str(), flags, Mode::empty()))?;
    let length = read(file, buffer).ok()?;
    buffer.get(..length)
}

/// Opens what the procfs itself has under `name`: who may mount can lay something else over it, in a procfs that we see as
/// they do.
fn open_unmounted(directory: BorrowedFd<'_>, name: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
    let resolve = libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_SYMLINKS;
    let how = OpenHow { flags: u64::from(flags.cast_unsigned()), mode: 0, resolve };
    open_at(directory, &CString::new(name)?, how)
}

fn open_directory(procfs: BorrowedFd<'_>, task: u32) -> io::Result<OwnedFd> {
    open_unmounted(procfs, &task.to_string(), libc::O_PATH | libc::O_DIRECTORY)
}

/// [`open_unmounted`] in a procfs that a container may have mounted, which can also be a file system of its own that says it was one
/// (9p passes on whatever type its server tells): opening a FIFO or a device there would wait, or act, as us.
fn open_plain_unmounted(directory: BorrowedFd<'_>, name: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
    let handle = open_unmounted(directory, name, libc::O_PATH)?;
    if flags & libc::O_PATH != 0 {
        return Ok(handle);
    }
    if !file_facts(handle.as_fd(), c"", false)?.is(libc::S_IFREG) {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    let own = proc_root().ok_or(io::ErrorKind::NotFound)?;
    let again = CString::new(format!("self/fd/{}", handle.as_raw_fd()))?;
    open_at(own, &again, OpenHow { flags: u64::from(flags.cast_unsigned()), mode: 0, resolve: 0 })
}

/// The name in a `comm` file. Only the last byte is the file's own; a name may hold line feeds.
fn name_in(line: &[u8]) -> Vec<u8> {
    line.strip_suffix(b"\n").unwrap_or(line).to_vec()
}

/// A setting of the host, such as `fs/protected_symlinks`.
pub(crate) fn read_system_setting(name: &str) -> Option<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let file = openat(proc_root()?, format!("sys/{name}").as_str(), flags, Mode::empty()).ok()?;
    let mut buffer = [0; 64];
    let length = read(&file, &mut buffer).ok()?;
    String::from_utf8(buffer.get(..length)?.to_vec()).ok()
}

/// A task's root directory.
#[derive(Debug)]
pub(crate) enum Root<'a> {
    /// Opened for one call.
    Own(OwnedFd),
    /// Kept with the task.
    Kept(&'a OwnedFd),
}

impl AsFd for Root<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(root) => root.as_fd(),
            Self::Kept(root) => root.as_fd(),
        }
    }
}

/// A task. All values are read anew; those that never change are remembered.
#[derive(Debug)]
pub(crate) struct Process {
    task: u32,
    directory: OwnedFd,
    /// Whether that is in the host's procfs, and not in one as a container sees it.
    is_ours: bool,
    name: OnceLock<OwnedFd>,
    stat: OnceLock<OwnedFd>,
    status: OnceLock<OwnedFd>,
    leader: OnceLock<u32>,
    reference: OnceLock<Pidfd>,
    root: OnceLock<OwnedFd>,
    user_namespace: OnceLock<u64>,
    /// Supplementary groups, with the generation that they were read in.
    groups: Mutex<Option<(u64, Arc<[u32]>)>>,
}

impl Process {
    /// The task with this number in our pid namespace; any thread's number will do.
    pub(crate) fn open(task: u32) -> Option<Self> {
        let directory = opened(open_directory(proc_root()?, task))?;
        Some(Self::with_directory(task, directory, true))
    }

    /// This process.
    pub(crate) fn own() -> Option<Self> {
        Self::open(std::process::id())
    }

    /// The task whose directory in the host's procfs this is, by its number in our pid namespace.
    pub(crate) fn at(task: u32, directory: OwnedFd) -> Self {
        Self::with_directory(task, directory, true)
    }

    /// The task that has this number in the procfs, as a container sees it, whose root is `directory`.
    pub(crate) fn open_in(directory: BorrowedFd<'_>, task: u32) -> Option<Self> {
        let directory = opened(open_directory(directory, task))?;
        Some(Self::with_directory(task, directory, false))
    }

    /// The task whose directory, of whatever procfs, this is; it has no number.
    pub(crate) fn of_directory(directory: OwnedFd) -> Self {
        Self::with_directory(0, directory, false)
    }

    fn with_directory(task: u32, directory: OwnedFd, is_ours: bool) -> Self {
        Self {
            task,
            directory,
            is_ours,
            name: OnceLock::new(),
            stat: OnceLock::new(),
            status: OnceLock::new(),
            leader: OnceLock::new(),
            reference: OnceLock::new(),
            root: OnceLock::new(),
            user_namespace: OnceLock::new(),
            groups: Mutex::new(None),
        }
    }

    /// The number it was opened by, in our pid namespace.
    pub(crate) fn task(&self) -> u32 {
        self.task
    }

    /// Its directory in `/proc`.
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// What tells the task from a later one with the same number: the inode of its directory.
    pub(crate) fn identity(&self) -> Option<u64> {
        fstat(&self.directory).ok().map(|facts| facts.st_ino)
    }

    /// Whether the task is alive or a zombie; false for ever once its number is free.
    pub(crate) fn exists(&self) -> bool {
        // The first way takes a fraction of the second's time, but not every kernel has it.
        self.reference.get().is_some_and(|task| task.ids().is_ok()) || self.name().is_some()
    }

    /// The kernel's name of the task (`comm`).
    pub(crate) fn name(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; MAX_NAME];
        let length = self.reread(&self.name, "comm", &mut buffer)?;
        Some(name_in(buffer.get(..length)?))
    }

    /// Parentage, terminal, faults.
    pub(crate) fn stat(&self) -> Option<Stat> {
        let mut buffer = [0; MAX_STAT];
        let length = self.reread(&self.stat, "stat", &mut buffer)?;
        Stat::parse(buffer.get(..length)?)
    }

    /// Credentials, namespaces, memory.
    pub(crate) fn status(&self) -> Option<Status> {
        let mut buffer = [0; 4096];
        let length = self.reread(&self.status, "status", &mut buffer)?;
        if length < buffer.len() {
            return Status::parse(buffer.get(..length)?);
        }
        Status::parse(&self.read("status", MAX_STATUS)?)
    }

    /// The process that the task is a thread of; never changes while the directory's task lives, since a thread that
    /// executes takes over the leader's directory and loses its own.
    pub(crate) fn leader(&self) -> Option<u32> {
        if let Some(known) = self.leader.get() {
            return Some(*known);
        }
        let leader = self.status()?.process;
        Some(*self.leader.get_or_init(|| leader))
    }

    /// A second descriptor of the open file behind the task's descriptor `number`: what is asked or done through it
    /// concerns the very file that the task has.
    pub(crate) fn duplicate(&self, number: i32) -> Option<OwnedFd> {
        match self.reference() {
            Some(task) => opened(task.descriptor(number)),
            // Before Linux 6.9 threads have no reference; their descriptors are mostly the process's.
            None => opened(opened(Pidfd::of_task(self.leader()?))?.descriptor(number)),
        }
    }

    /// A reference to this very task, not to its process.
    fn reference(&self) -> Option<&Pidfd> {
        if self.reference.get().is_none() {
            let task = opened(Pidfd::of_task(self.task))?;
            // The task of the directory is still there, so that the number was its own.
            self.name()?;
            self.reference.get_or_init(|| task);
        }
        self.reference.get()
    }

    /// User and group ids as they are now; the first kernel that tells them at once is 6.13, on older ones it takes ten
    /// times as long.
    pub(crate) fn ids(&self) -> Option<(Ids, Ids)> {
        match self.reference().map(Pidfd::ids) {
            Some(Ok(ids)) => Some(ids),
            Some(Err(_)) | None => self.status().map(|status| (status.users, status.group_ids)),
        }
    }

    /// Supplementary groups; remembered while `generation` stays the same.
    pub(crate) fn supplementary_groups(&self, generation: Option<u64>) -> Option<Arc<[u32]>> {
        let mut known = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, generation) {
            (Some((read, groups)), Some(generation)) if *read == generation => return Some(Arc::clone(groups)),
            _ => {}
        }
        let groups: Arc<[u32]> = self.status()?.groups.into();
        *known = generation.map(|generation| (generation, Arc::clone(&groups)));
        Some(groups)
    }

    /// The root directory; remembered where `settled` says that no task of the container ever changes it.
    pub(crate) fn root(&self, settled: bool) -> Option<Root<'_>> {
        if !settled {
            return self.open_link("root").map(Root::Own);
        }
        if self.root.get().is_none() {
            let root = self.open_link("root")?;
            self.root.get_or_init(|| root);
        }
        self.root.get().map(Root::Kept)
    }

    /// Makes known what only somebody with more rights could learn: the root directory, and the user namespace's inode.
    pub(crate) fn introduce(&self, root: Option<OwnedFd>, user_namespace: u64) {
        if let Some(root) = root {
            self.root.get_or_init(|| root);
        }
        self.user_namespace.get_or_init(|| user_namespace);
    }

    /// The inode of the user namespace; remembered like [`Self::root`].
    pub(crate) fn user_namespace(&self, settled: bool) -> Option<u64> {
        if !settled {
            return self.namespace("ns/user");
        }
        if self.user_namespace.get().is_none() {
            let namespace = self.namespace("ns/user")?;
            self.user_namespace.get_or_init(|| namespace);
        }
        self.user_namespace.get().copied()
    }

    /// The inode of one of its namespaces, such as `ns/net`.
    pub(crate) fn namespace(&self, name: &str) -> Option<u64> {
        self.file_facts(name).map(|facts| facts.st_ino)
    }

    /// `argv` as the process shows it now; empty for a zombie or kernel thread.
    pub(crate) fn arguments(&self) -> Option<Strings> {
        let content = self.read("cmdline", MAX_STRINGS)?;
        let is_whole = content.len() < MAX_STRINGS || first_text(&content).len() < MAX_FIRST_ARGUMENT;
        let content = if is_whole { content } else { self.read("cmdline", MAX_ARGUMENT + MAX_STRINGS)? };
        Some(cut_arguments(&content))
    }

    /// The environment the program was started with, as the process shows it now.
    pub(crate) fn environment(&self) -> Option<Strings> {
        self.read("environ", MAX_STRINGS).map(|content| Strings::from_terminated(&content))
    }

    /// What `read` tells of the program that the process runs. Where its first thread has ended, the kernel says nothing of it
    /// there (`get_task_mm`, `get_task_exe_file`), but in the directories of the other threads; where all of these are ending,
    /// too, it has ended. Of threads that come and go while they are looked at the program stays unseen.
    pub(crate) fn of_program<T>(
        &self,
        read: impl Fn(&Self) -> Option<T>,
        says_nothing: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let (mut told, mut endings) = (None, 0);
        // Another thread may take the first one's place meanwhile, as one that executes does.
        for _ in 0..ATTEMPTS {
            told = read(self);
            let is_told = told.as_ref().is_some_and(|told| !says_nothing(told));
            if is_told || !self.stat().is_some_and(|stat| stat.is_ending && stat.threads > 1) {
                return told;
            }
            let Some(listed) = self.threads() else {
                if self.exists() {
                    break;
                }
                return told;
            };
            let running = listed.iter().filter_map(|task| self.thread(*task)).filter(|thread| !thread.is_ending());
            let mut asked = 0;
            let mut answers = running.take(MAX_THREADS).inspect(|_| asked += 1).map(|thread| read(&thread));
            if let Some(by_others) = answers.find_map(|told| told.filter(|told| !says_nothing(told))) {
                return Some(by_others);
            }
            drop(answers);
            // Nobody is there who was not, and who is there makes no other one. A list ends where the thread ends that it has come to
            // (`next_tid` of the kernel's `fs/proc/base.c`), so that one alone proves nothing.
            let is_all = |left: &HashSet<u32>| {
                let count = self.stat().map(|stat| stat.threads);
                left.is_subset(&listed) && count == u64::try_from(left.len()).ok()
            };
            endings = if asked == 0 && self.threads().as_ref().is_some_and(is_all) { endings + 1 } else { 0 };
            if endings == ENDINGS {
                return told;
            }
            thread::sleep(ENDING_PAUSE);
        }
        // One of them runs it.
        overlook();
        told
    }

    /// Whether a thread is about to end, or has: without memory, it may be.
    fn is_ending(&self) -> bool {
        self.stat().is_none_or(|stat| stat.is_ending)
    }

    /// The numbers of the process's threads; `None` where nobody can tell, or there are too many.
    fn threads(&self) -> Option<HashSet<u32>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let listed = opened(Dir::openat(self.directory(), "task", flags, Mode::empty()))?;
        let entries = listed.into_iter().map_while(Result::ok);
        let tasks: HashSet<u32> = entries.filter_map(|entry| number(entry.file_name().to_bytes())).collect();
        (tasks.len() <= MAX_LISTED).then_some(tasks)
    }

    /// One of its threads.
    fn thread(&self, task: u32) -> Option<Self> {
        let directory = open_unmounted(self.directory(), &format!("task/{task}"), libc::O_PATH | libc::O_DIRECTORY);
        Some(Self::with_directory(task, opened(directory)?, self.is_ours))
    }

    /// Where a magic link of the directory leads: `exe`, `cwd`, `root`, `fd/3`, `ns/pid`.
    pub(crate) fn link(&self, name: &str) -> Option<Vec<u8>> {
        named(readlinkat(self.directory(), name)).map(OsStringExt::into_vec)
    }

    /// A path as the task's own root sees it: after chroot(2) the kernel names files from the mount namespace's root.
    /// `None` for one outside the root.
    pub(crate) fn below_root(&self, path: &[u8]) -> Option<Vec<u8>> {
        let root = self.link("root")?;
        let inside = if root == b"/" { Some(path) } else { path.strip_prefix(root.as_slice()) };
        inside.filter(|inside| inside.is_empty() || inside.starts_with(b"/")).map(<[u8]>::to_vec)
    }

    /// Control groups. One that holds the task for a moment is not told of.
    pub(crate) fn cgroups(&self) -> Option<Vec<Cgroup>> {
        let mut groups = self.all_cgroups()?;
        for group in groups.iter_mut().filter(|group| group.is_unified()) {
            group.path = without_holds(&group.path).to_vec();
        }
        Some(groups)
    }

    fn all_cgroups(&self) -> Option<Vec<Cgroup>> {
        self.read("cgroup", MAX_FILE).map(|content| Cgroup::parse(&content))
    }

    /// Its group of cgroup v2, from the root that our namespace shows.
    pub(crate) fn unified_group(&self) -> Option<Vec<u8>> {
        self.all_cgroups()?.into_iter().find(Cgroup::is_unified).map(|group| group.path)
    }

    /// Whether a frozen control group keeps the task from its program, at the end of its call: it waits in a function of the
    /// kernel then that no call uses (`wchan` of proc(5)).
    pub(crate) fn is_frozen(&self) -> bool {
        let function = self.read("wchan", MAX_ACTIVITY).unwrap_or_default();
        // The one is part of the other, or not, as the kernel's compiler likes.
        function == b"do_freezer_trap" || function == b"get_signal"
    }

    /// What differs between any two programs that the task runs one after the other: the kernel's message to the program,
    /// with its random addresses. `None` where it runs none any more; empty while the kernel sets one up, when its
    /// arguments cannot be read yet either.
    pub(crate) fn program_mark(&self) -> Option<Vec<u8>> {
        let vector = self.read("auxv", MAX_AUXILIARY).filter(|vector| !vector.is_empty())?;
        let is_written = vector.iter().take(8).any(|byte| *byte != 0);
        Some(if is_written { vector } else { Vec::new() })
    }

    /// Whether the kernel is done with the program that the task runs, the last of which is where its environment ends
    /// (`env_end` of `proc_pid_stat(5)`); `None` where it runs none any more.
    pub(crate) fn is_set_up(&self) -> Option<bool> {
        let content = self.read("stat", MAX_STAT)?;
        let stat = Stat::parse(&content).filter(|stat| !stat.has_ended())?;
        // Of a program that is only just there, the kernel knows where its stack begins.
        let end: u64 = number(content.trim_ascii_end().rsplit(|byte| *byte == b' ').nth(1)?)?;
        Some(stat.stack != 0 && end != 0)
    }

    /// What the task is doing (`/proc/PID/syscall`, proc(5)). Of a task that executes a program the kernel says nothing before
    /// it has closed the old one's descriptors (`exec_update_lock`), for which a file system may let it wait: nobody is to
    /// ask who holds a lock that other calls need.
    pub(crate) fn activity(&self) -> Option<Activity> {
        let text = self.read("syscall", MAX_ACTIVITY)?;
        Activity::parse(std::str::from_utf8(&text).ok()?)
    }

    /// What the task waits in; `None` of one that runs.
    pub(crate) fn wait(&self) -> Option<Wait> {
        self.activity()?.wait()
    }

    /// The same of a task that is about to wait, and leaves its processor in a moment, as long as it is `wanted`.
    pub(crate) fn settled_wait(&self, wanted: impl Fn() -> bool) -> Option<Wait> {
        let (begun, mut pause) = (Instant::now(), WAIT_PAUSE);
        loop {
            match self.activity()? {
                Activity::Waiting(wait) => return Some(wait),
                Activity::Running if !wanted() || begun.elapsed() >= WAIT_PATIENCE => return None,
                Activity::Running => thread::sleep(pause),
            }
            pause = (pause * 9 / 8).min(MAX_WAIT_PAUSE);
        }
    }

    /// What the kernel told the program that was executed (getauxval(3)).
    pub(crate) fn auxiliary(&self) -> Option<Auxiliary> {
        self.read("auxv", MAX_AUXILIARY).map(|vector| Auxiliary::parse(&vector))
    }

    /// The audit login user; `None` where the kernel has none, `u32::MAX` where none is set.
    pub(crate) fn login_user(&self) -> Option<u32> {
        number(&self.read("loginuid", 64)?)
    }

    /// The soft limit of open descriptors.
    pub(crate) fn descriptor_limit(&self) -> Option<i64> {
        let limits = self.read("limits", MAX_FILE)?;
        let line = limits.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"Max open files"))?;
        let soft = line.split(|byte: &u8| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).nth(3)?;
        if soft == b"unlimited" { Some(i64::MAX) } else { number(soft) }
    }

    /// A file of the directory, cut after `limit` bytes.
    pub(crate) fn read(&self, name: &str, limit: usize) -> Option<Vec<u8>> {
        let file = opened(self.open_own(name, libc::O_RDONLY))?;
        let mut content = vec![0; limit];
        let mut length = 0;
        while let Some(rest) = content.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match read(&file, rest).ok()? {
                0 => break,
                more => length += more,
            }
        }
        content.truncate(length);
        Some(content)
    }

    /// Opens a file that the directory has by itself: not what is mounted over it (EXDEV), nor a link (ELOOP).
    pub(crate) fn open_own(&self, name: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
        let open = if self.is_ours { open_unmounted } else { open_plain_unmounted };
        open(self.directory(), name, flags)
    }

    /// Opens a file of the directory for reading, also one behind a magic link.
    pub(crate) fn open_file(&self, name: &str) -> Option<OwnedFd> {
        opened(openat(self.directory(), name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()))
    }

    /// A small file from its start, through a descriptor that is opened once: the kernel makes the content anew for each
    /// read at position 0.
    fn reread(&self, slot: &OnceLock<OwnedFd>, name: &str, buffer: &mut [u8]) -> Option<usize> {
        if slot.get().is_none() {
            // Only a success is kept: we may be out of descriptors now and not the next time.
            let file = opened(self.open_own(name, libc::O_RDONLY))?;
            slot.get_or_init(|| file);
        }
        let file = slot.get()?;
        pread(file, buffer, 0).ok().filter(|length| *length > 0)
    }
}

/// The texts of a program's arguments, the first one cut at its limit, and all at theirs.
fn cut_arguments(content: &[u8]) -> Strings {
    let first = first_text(content);
    let kept = first.get(..MAX_FIRST_ARGUMENT).unwrap_or(first);
    let rest = content.get(first.len()..).unwrap_or_default();
    let rest = rest.get(..MAX_STRINGS - kept.len()).unwrap_or(rest);
    Strings::from_terminated(&[kept, rest].concat())
}

fn first_text(content: &[u8]) -> &[u8] {
    content.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_takes_no_room_from_the_arguments() {
        for length in [0, 10, 4095, 4096, 4097, 8191, 8192, 20_000] {
            let first = vec![b'a'; length];
            let strings = cut_arguments(&[&first, b"\0x\0".as_slice(), &[b'y'; 9000], b"\0"].concat());
            let expected = length.min(4096);
            assert_eq!(strings.get(0), Some(&first[..expected]), "{length}");
            assert_eq!(strings.get(1), Some(b"x".as_slice()), "{length}");
            assert_eq!(strings.get(2).map(<[u8]>::len), Some(8192 - expected - 3), "{length}");
        }
        assert_eq!(cut_arguments(b"").len(), 0);
        assert_eq!(cut_arguments(&[b'a'; 9000]).total(), 4096);
    }
}
