// SPDX-License-Identifier: Apache-2.0
//! One thread's means to open files as a target: its root directory, its credentials, and its descriptors of both worlds.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{Arc, OnceLock},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sched::{CloneFlags, unshare},
    sys::{
        stat::{Mode, umask},
        statfs::{CGROUP2_SUPER_MAGIC, fstatfs},
    },
};
use serde::{Deserialize, Serialize};

use super::{
    Upheaval,
    apparmor::Label,
    connecting::{self, Peer},
    credentials::{Credentials, Fixed, Wardrobe},
    devices::DevicePolicy,
    handles::Handles,
    locate::{self, Located, Lookup, is_on_procfs},
    naming::{Naming, Place, Wanted},
    request::{OpenRequest, Start, bits},
    surroundings::{InCgroups, Surroundings, enter_cgroups, go_home},
};
use crate::{
    process::Process,
    sys::{FileFacts, OpenHow, file_facts, open_at, take_root},
};

/// `RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH`: a single name, and nothing else.
const SINGLE_NAME: u64 = libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_BENEATH;
/// Flags that `F_SETFL` changes (fcntl(2)).
const SETTABLE: i32 = libc::O_APPEND | libc::O_ASYNC | libc::O_DIRECT | libc::O_NOATIME | libc::O_NONBLOCK;
/// `/dev/net/tun` (Documentation/admin-guide/devices.txt), which belongs to the network namespace of whoever opens it.
const TUNNEL: (u32, u32) = (10, 200);
/// How often a file that appears or vanishes between looking and opening is looked for again.
pub(crate) const ATTEMPTS: u32 = 16;

/// What came of an open.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The file, for the target.
    File(OwnedFd),
    /// The call fails with this errno.
    Failed(i32),
    /// It would block, or act on a device: to be opened where nobody waits behind it.
    Blocks,
    /// Something else has the name now: look again.
    Changed,
}

/// An open that can be performed: what was found for whom.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) request: OpenRequest,
    pub(crate) credentials: Credentials,
    pub(crate) located: Arc<Located>,
    /// File mode creation mask, where a file may be made.
    pub(crate) mask: u32,
    /// Whose cgroup namespace counts, where the thread is in another one.
    pub(crate) task: Option<u32>,
}

/// What is looked for, and the directory where that starts if it is held.
pub(crate) type Look<'a> = (&'a OpenRequest, Option<BorrowedFd<'a>>);

/// What a look comes to.
#[derive(Debug)]
pub(super) enum Sight {
    Located(Located),
    /// It was to be opened at once, and a lease has to be waited for.
    Leased(Located),
    /// It was opened at once.
    Opened(OwnedFd),
}

impl From<Sight> for Located {
    fn from(sight: Sight) -> Self {
        match sight {
            Sight::Located(located) | Sight::Leased(located) => located,
            Sight::Opened(file) => Self::existing(file).unwrap_or_else(|error| Self::Failed(errno(&error))),
        }
    }
}

/// The means of one thread.
#[derive(Debug)]
pub(crate) struct Opener {
    host_root: OwnedFd,
    /// Our own `/proc/self/fd`, through which a found file is opened.
    own_descriptors: OwnedFd,
    wardrobe: Wardrobe,
    surroundings: Surroundings,
    mounts: Mounts,
    namespace: u64,
}

/// Whose mounts the thread has around it: the kernel keeps the mount points of the caller's namespace from being moved or
/// removed, and those alone.
#[derive(Debug)]
enum Mounts {
    /// Our own ones, the namespace of which this is; the thread can visit the target's and come back.
    Own(OwnedFd),
    /// Some that are not the target's, for good.
    Other,
    /// The target's, for good.
    Target,
}

impl Opener {
    /// Prepares the calling thread, which gets a file system context of its own.
    pub(crate) fn new() -> io::Result<Self> {
        stand_alone()?;
        let (root, own) = host()?;
        let (root, own) = (root.try_clone()?, own.try_clone()?);
        let mounts = Process::own().and_then(|own| own.open_file("ns/mnt")).map_or(Mounts::Other, Mounts::Own);
        let opener = Self::with_descriptors(root, own, Surroundings::default(), Wardrobe::new(Fixed::Nothing)?)?;
        Ok(Self { mounts, ..opener })
    }

    /// Takes the calling thread into the namespaces that files depend on.
    pub(super) fn follow(&mut self, process: &Process) -> io::Result<()> {
        self.surroundings.follow(process).map(drop)
    }

    /// Moves the calling thread to where the process is, under the profile that confines it, for good.
    pub(super) fn confine(&mut self, process: &Process, label: &Label) -> io::Result<()> {
        self.surroundings.follow(process)?;
        self.surroundings.follow_mounts(process, self.host_root.as_fd())?;
        self.mounts = Mounts::Target;
        enter_cgroups(process)?;
        label.put_on()
    }

    /// With the host's root and our own `/proc/self/fd`, for a thread that has a file system context of its own.
    pub(super) fn with_descriptors(
        host_root: OwnedFd,
        own_descriptors: OwnedFd,
        surroundings: Surroundings,
        wardrobe: Wardrobe,
    ) -> io::Result<Self> {
        let namespace = Process::own().and_then(|own| own.namespace("ns/user")).ok_or(io::ErrorKind::NotFound)?;
        let mounts = if surroundings.have_mounts() { Mounts::Target } else { Mounts::Other };
        Ok(Self { host_root, own_descriptors, wardrobe, surroundings, mounts, namespace })
    }

    /// The user namespace that the thread lives in.
    pub(super) fn namespace(&self) -> u64 {
        self.namespace
    }

    /// Takes off the ids of the last target.
    pub(super) fn undress(&mut self) -> io::Result<()> {
        self.wardrobe.undress()
    }

    /// The credentials of the task.
    pub(crate) fn credentials_of(
        &self,
        process: &Process,
        upheaval: &Upheaval,
    ) -> Result<Credentials, super::CredentialsError> {
        Credentials::of(process, self.namespace, upheaval)
    }

    /// Finds the file that a request names for the task, as the task may.
    pub(crate) fn locate(
        &mut self,
        process: &Process,
        credentials: &Credentials,
        look: Look<'_>,
        upheaval: &Upheaval,
    ) -> Located {
        self.look(process, credentials, look, (upheaval, Afterwards::Nothing)).into()
    }

    /// The same; a file that nothing needs to be asked about is opened in the same step.
    pub(super) fn look(
        &mut self,
        process: &Process,
        credentials: &Credentials,
        look: Look<'_>,
        (upheaval, afterwards): (&Upheaval, Afterwards),
    ) -> Sight {
        let sight = self.look_around(process, credentials, look, (upheaval, afterwards));
        sight.unwrap_or_else(|error| Sight::Located(Located::Failed(errno(&error))))
    }

    /// Makes a call on names; what paths start from is held.
    pub(super) fn name(
        &mut self,
        process: &Process,
        credentials: &Credentials,
        (naming, handles, mask): (&Naming, &Handles, u32),
        upheaval: &Upheaval,
    ) -> io::Result<()> {
        let mut places = Vec::with_capacity(naming.names.len());
        for (index, name) in naming.names.iter().enumerate() {
            let name = name.as_ref().map_err(|errno| io::Error::from_raw_os_error(*errno))?;
            if name.path.is_empty() && !naming.deed.takes_empty(index) {
                return Err(io::Error::from_raw_os_error(libc::ENOENT));
            }
            let start = match name.start {
                Start::Root => None,
                start @ (Start::WorkingDirectory | Start::Descriptor(_)) => {
                    Some(handles.start(start).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?)
                }
            };
            let mut handle = |request: &OpenRequest| match self.locate(process, credentials, (request, start), upheaval)
            {
                Located::Existing { file, .. } => Ok(file),
                Located::Failed(errno) => Err(io::Error::from_raw_os_error(errno)),
                Located::Missing { .. } => Err(io::Error::from_raw_os_error(libc::ENOENT)),
            };
            places.push(match (naming.deed.wants(index, name), start) {
                (Wanted::Entry, _) => {
                    let (look, name, is_root) = name.split();
                    Place::Entry { directory: handle(&look)?, name, is_root }
                }
                (Wanted::File { request }, _) => Place::File(handle(&request)?),
                // Before Linux 6.10 the kernel asked everybody for a capability, later those who did not open the file
                // themselves (`path_init` of `namei.c`). Who opened it cannot be seen from here; whose it is can.
                (Wanted::Start, Some(held))
                    if matches!(name.start, Start::Descriptor(_))
                        && file_facts(held, c"", false)?.user != credentials.file_user() =>
                {
                    Place::Start(held.try_clone_to_owned()?)
                }
                (Wanted::Start, Some(held)) => Place::File(held.try_clone_to_owned()?),
                (Wanted::Start, None) => return Err(io::Error::from_raw_os_error(libc::ENOENT)),
            });
        }
        let is_visit = naming.deed.spares_mount_points() && matches!(self.mounts, Mounts::Own(_));
        if is_visit {
            self.surroundings.follow_mounts(process, self.host_root.as_fd())?;
        }
        umask(Mode::from_bits_truncate(mask));
        let worn = self.wardrobe.wear(credentials)?;
        let is_blind = !is_visit && !matches!(self.mounts, Mounts::Target);
        let done = if is_blind && naming.deed.disturbs_mounts(&places) {
            Err(io::Error::from_raw_os_error(libc::EBUSY))
        } else {
            naming.deed.perform(self.own_descriptors.as_fd(), &places)
        };
        drop(worn);
        // A namespace that a task made for itself must be able to go with the task.
        if let Mounts::Own(own) = &self.mounts
            && is_visit
            && !upheaval.is_settled()
        {
            self.surroundings.leave_mounts(own, self.host_root.as_fd());
        }
        done
    }

    /// Connects a socket of the target's.
    pub(super) fn connect(
        &mut self,
        credentials: &Credentials,
        socket: BorrowedFd<'_>,
        peer: &Peer,
        file: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let worn = self.wardrobe.wear(credentials)?;
        let connected = connecting::connect(socket, peer, file);
        drop(worn);
        connected
    }

    /// Looks in the namespaces of the container, and again in the task's own where those count.
    fn look_around(
        &mut self,
        process: &Process,
        credentials: &Credentials,
        look: Look<'_>,
        (upheaval, afterwards): (&Upheaval, Afterwards),
    ) -> io::Result<Sight> {
        if !self.surroundings.are_foreign() {
            self.surroundings.follow(process)?;
        }
        let sight = self.look_from_here(process, credentials, look, (upheaval, afterwards))?;
        let may_differ = match &sight {
            Sight::Located(Located::Existing { file, facts, .. }) => {
                facts.represents == TUNNEL || is_on_procfs(file.as_fd())
            }
            Sight::Located(Located::Missing { .. } | Located::Failed(_)) => true,
            Sight::Leased(_) | Sight::Opened(_) => false,
        };
        if may_differ && self.surroundings.follow(process)? {
            return self.look_from_here(process, credentials, look, (upheaval, afterwards));
        }
        Ok(sight)
    }

    fn look_from_here(
        &mut self,
        process: &Process,
        credentials: &Credentials,
        (request, held): Look<'_>,
        (upheaval, afterwards): (&Upheaval, Afterwards),
    ) -> io::Result<Sight> {
        let gone = || io::Error::from_raw_os_error(libc::ESRCH);
        let root = process.root(upheaval.is_settled()).ok_or_else(gone)?;
        let start = match request.start {
            _ if held.is_some() => None,
            Start::Root => None,
            Start::WorkingDirectory => Some(process.open_link("cwd").ok_or_else(gone)?),
            Start::Descriptor(number) => {
                Some(process.duplicate(number).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?)
            }
        };
        let worn = self.wardrobe.wear(credentials)?;
        let mut lookup = Lookup {
            process,
            credentials,
            worn: &worn,
            request,
            own_descriptors: self.own_descriptors.as_fd(),
            root: root.as_fd(),
            start: held.or_else(|| start.as_ref().map(AsFd::as_fd)).unwrap_or_else(|| root.as_fd()),
            shut: None,
        };
        let (located, is_off_procfs) = if let Some(located) = lookup.without_entering() {
            (located.unwrap_or_else(|error| Located::Failed(errno(&error))), true)
        } else {
            let inside = worn.lay_aside(|| Inside::enter(&self.host_root, root.as_fd()))?;
            lookup.shut = inside.as_ref().err().map(errno);
            let located = lookup.locate();
            worn.lay_aside(|| drop(inside))?;
            (located, false)
        };
        let plain = match &located {
            // On procfs, what was found may count for nothing (see [`Self::look_around`]).
            Located::Existing { file, facts, refusal: None, .. }
                if afterwards == Afterwards::OpenPlain && (is_off_procfs || !is_on_procfs(file.as_fd())) =>
            {
                open_plain(self.own_descriptors.as_fd(), (file.as_fd(), facts), request)?
            }
            Located::Existing { .. } | Located::Missing { .. } | Located::Failed(_) => Plain::NotOpened,
        };
        Ok(match plain {
            Plain::Opened(file) => Sight::Opened(file),
            Plain::Leased => Sight::Leased(located),
            Plain::NotOpened => Sight::Located(located),
        })
    }

    /// Opens what was found.
    ///
    /// With `may_block`, this waits as the target would; otherwise [`Opened::Blocks`] says that it would have to.
    pub(crate) fn open(&mut self, prepared: &Prepared, devices: &DevicePolicy, may_block: bool) -> Opened {
        let Prepared { request, credentials, located, mask, task } = prepared;
        let opened = match &**located {
            Located::Failed(errno) | Located::Existing { refusal: Some(errno), .. } => return Opened::Failed(*errno),
            Located::Existing { facts, .. } if !devices.allows(facts, request) => return Opened::Failed(libc::EPERM),
            Located::Existing { facts, .. } if !may_block && locate::may_wait(facts) => return Opened::Blocks,
            Located::Existing { file, facts, kinship, .. } => {
                let probe_lease = facts.is(libc::S_IFREG) && !may_block;
                if request.has(libc::O_TMPFILE) {
                    umask(Mode::from_bits_truncate(*mask));
                }
                let in_cgroups = match self.follow_cgroups(*task, file.as_fd(), request) {
                    Ok(in_cgroups) => in_cgroups,
                    Err(error) => return Opened::Failed(errno(&error)),
                };
                let reopen = || reopen(self.own_descriptors.as_fd(), file.as_fd(), request, probe_lease);
                let opened = self.wardrobe.wear(credentials).and_then(|worn| worn.as_kin(|| Ok(*kinship), reopen));
                drop(in_cgroups);
                opened
            }
            Located::Missing { parent, name } => {
                umask(Mode::from_bits_truncate(*mask));
                self.create(parent.as_fd(), name, request, credentials)
            }
        };
        match opened {
            Ok(file) => Opened::File(file),
            Err(error) => match (errno(&error), &**located) {
                (libc::EWOULDBLOCK, Located::Existing { .. }) if !request.has(libc::O_NONBLOCK) => Opened::Blocks,
                (libc::EEXIST, Located::Missing { .. }) if !request.has(libc::O_EXCL) => Opened::Changed,
                (errno, _) => Opened::Failed(errno),
            },
        }
    }

    /// Enters the task's cgroup namespace for a file that depends on it.
    fn follow_cgroups(
        &mut self,
        task: Option<u32>,
        file: BorrowedFd<'_>,
        request: &OpenRequest,
    ) -> io::Result<Option<InCgroups>> {
        let Some(task) = task.filter(|_| changes_cgroup(file, request)) else { return Ok(None) };
        let process = Process::open(task).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        self.wardrobe.undress()?;
        InCgroups::enter(&process).map(Some)
    }

    /// Makes the file. It must be a new one: what was judged is that the name was free.
    fn create(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CString,
        request: &OpenRequest,
        credentials: &Credentials,
    ) -> io::Result<OwnedFd> {
        let worn = self.wardrobe.wear(credentials)?;
        // O_EXCL follows no link at the end of a path, so that O_NOFOLLOW, which the file would keep, is not needed.
        let flags = request.how.flags | bits(libc::O_CREAT | libc::O_EXCL | libc::O_NOCTTY);
        let how = OpenHow { flags, mode: request.how.mode, resolve: SINGLE_NAME };
        let made = open_at(parent, name, how);
        drop(worn);
        made
    }
}

/// The host's root directory and our own `/proc/self/fd`, as they were when this was first called.
fn host() -> io::Result<&'static (OwnedFd, OwnedFd)> {
    static HOST: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();
    if HOST.get().is_none() {
        let path = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = (open("/", path, Mode::empty())?, open("/proc/self/fd", path, Mode::empty())?);
        HOST.get_or_init(|| opened);
    }
    HOST.get().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// To be called before any thread looks at the world from inside a container.
pub(crate) fn remember_host() -> io::Result<()> {
    host().map(drop)
}

/// Gives the calling thread a file system context of its own, with the host's root directory. A new thread shares that of
/// the thread that started it, which may be inside a container's root just now, or soon: it would take the container's
/// files for the host's.
pub(crate) fn stand_alone() -> io::Result<()> {
    unshare(CloneFlags::CLONE_FS)?;
    let (root, _) = host()?;
    Ok(take_root(root.as_fd())?)
}

/// What is done with a file as soon as it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Afterwards {
    Nothing,
    /// It is opened where that changes nothing and waits for nobody.
    OpenPlain,
}

/// Whether a file of cgroup2 is opened for writing.
fn changes_cgroup(file: BorrowedFd<'_>, request: &OpenRequest) -> bool {
    request.writes() && fstatfs(file).is_ok_and(|facts| facts.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// What came of opening a file at once.
enum Plain {
    Opened(OwnedFd),
    Leased,
    NotOpened,
}

/// Opens a found file if that makes nothing, cuts nothing, and waits for nobody.
fn open_plain(
    own_descriptors: BorrowedFd<'_>,
    (file, facts): (BorrowedFd<'_>, &FileFacts),
    request: &OpenRequest,
) -> io::Result<Plain> {
    if locate::acts(facts)
        || request.has(libc::O_TRUNC)
        || request.has(libc::O_TMPFILE)
        || changes_cgroup(file, request)
    {
        return Ok(Plain::NotOpened);
    }
    match reopen(own_descriptors, file, request, facts.is(libc::S_IFREG)) {
        Ok(file) => Ok(Plain::Opened(file)),
        Err(error) if errno(&error) == libc::EWOULDBLOCK && !request.has(libc::O_NONBLOCK) => Ok(Plain::Leased),
        // No second attempt: whoever was asked (fanotify(7)) would be asked again.
        Err(error) => Err(error),
    }
}

/// Opens a found file through its descriptor, so that no name is looked up again.
fn reopen(
    own_descriptors: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    request: &OpenRequest,
    probe_lease: bool,
) -> io::Result<OwnedFd> {
    let makes = request.has(libc::O_TMPFILE);
    // Without O_CREAT it means something else: that a nameless file never gets a name, that nobody else has a disk.
    let exclusive = if request.has(libc::O_CREAT) { libc::O_EXCL } else { 0 };
    let dropped = bits(libc::O_CREAT | exclusive | libc::O_NOFOLLOW);
    // A regular file blocks only while somebody holds a lease; the flag has no other effect on it and is taken back.
    let probe = if probe_lease { bits(libc::O_NONBLOCK) } else { 0 };
    let flags = request.how.flags & !dropped | probe | bits(libc::O_NOCTTY);
    let mode = if makes { request.how.mode } else { 0 };
    let opened = open_at(own_descriptors, &descriptor_name(file)?, OpenHow { flags, mode, resolve: 0 })?;
    if probe_lease && !request.has(libc::O_NONBLOCK) {
        // Of the flags that can be set, those that were asked for.
        let kept = i32::try_from(request.how.flags & bits(SETTABLE)).unwrap_or(0);
        fcntl(&opened, FcntlArg::F_SETFL(OFlag::from_bits_retain(kept)))?;
    }
    Ok(opened)
}

/// The calling thread's root directory is another one as long as this lives.
struct Inside<'a>(&'a OwnedFd);

impl<'a> Inside<'a> {
    fn enter(host_root: &'a OwnedFd, root: BorrowedFd<'_>) -> io::Result<Self> {
        // A failure may come when the working directory is another one already.
        let inside = Self(host_root);
        take_root(root)?;
        Ok(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        go_home(self.0.as_fd());
    }
}

/// The name of one of our descriptors in `/proc/self/fd`.
pub(super) fn descriptor_name(file: BorrowedFd<'_>) -> io::Result<CString> {
    CString::new(file.as_raw_fd().to_string()).map_err(io::Error::other)
}

/// The number of a system call's error; EIO for one that has none.
pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
