// SPDX-License-Identifier: Apache-2.0
//! Acts for tasks by a process that lives in their namespaces: opens, and whatever else, for those of another user namespace,
//! and connects for all whose other end gets a handle of who connected.
//!
//! Capabilities count in their own user namespace, and a process with several threads cannot change its own. So a small
//! process, `lanner open`, joins the namespace and performs there what [`Opener`] performs here. It has our descriptors
//! of the host's `/proc` and root, and nothing of the container can see it.

use std::{
    ffi::CString,
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    process::{Child, ExitCode, Stdio},
    sync::Arc,
};

use nix::{
    sched::{CloneFlags, setns},
    sys::prctl::set_dumpable,
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use super::{
    Afterwards, DevicePolicy, Errand, Handles, Located, Naming, OpenRequest, Opened, Opener, Prepared, Start, Upheaval,
    apparmor::Label,
    connecting::Peer,
    credentials::{Credentials, Fixed, Person, Wardrobe},
    opener::{Look, Sight, errno},
    surroundings::{Surroundings, enter_cgroups},
};
use crate::{
    control::{Control, ControlError},
    diagnostics, executable,
    process::Process,
    sys::{FileFacts, Ids, Pidfd, keep_capabilities, prepare_interrupts, set_groups_ids, set_users},
};

/// A map has 340 lines at most (`user_namespaces(7)`), of three numbers.
const MAX_MAP_BYTES: usize = 340 * 36;

/// To the process in the namespace.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ToOpener {
    /// Comes with the directory of a task's in the host's `/proc`; always the first message.
    Enter {
        /// The profile that confines its tasks.
        label: Option<Label>,
        /// What the container may open.
        devices: DevicePolicy,
        /// The task, in the host's numbering.
        task: u32,
        /// Who that is on the host.
        person: Person,
        /// See [`Home::resident`].
        is_resident: bool,
    },
    /// Find a file for a task; comes with the directory where to start, if that is held.
    Look {
        /// In the host's numbering.
        task: u32,
        /// What it asks for.
        request: OpenRequest,
        /// Whether it is opened in the same step.
        afterwards: Afterwards,
    },
    /// Read a task's credentials, for a call that is made with them if the task still waits for it then.
    Meet {
        /// In the host's numbering.
        task: u32,
    },
    /// Make a call on names for the task that was met last; comes with what their paths start from.
    Name {
        /// What it asks for.
        naming: Naming,
        /// What the descriptors are.
        starts: Vec<Start>,
        /// The task's file mode creation mask.
        mask: u32,
    },
    /// Connect for the task that was met last; comes with its socket, and with the file of the socket to connect to.
    Connect {
        /// Where to.
        peer: Peer,
    },
    /// Open what was found for the task that was met, or looked for, last; comes with the handle.
    Open {
        /// What the task asks for.
        request: OpenRequest,
        /// What the handle is of.
        handle: Handle,
        /// Whether to wait as the task would.
        may_block: bool,
        /// The task's file mode creation mask.
        mask: u32,
    },
}

/// From the process in the namespace.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FromOpener {
    /// Ready, or the answer to nothing else.
    Entered {
        /// What of the person that it came with all tasks that it serves must share.
        fixed: Fixed,
    },
    /// Comes with a handle.
    Found {
        handle: Handle,
        /// Whether a lease has to be waited for.
        is_leased: bool,
    },
    /// Comes with the file.
    File,
    /// Our own descriptor of what came last is closed.
    Closed,
    /// The call was made.
    Done,
    /// The call fails.
    Failed { errno: i32 },
    /// The open would wait.
    Blocks,
    /// The name has changed its meaning.
    Changed,
    /// The task's credentials could not be taken on.
    Unable { cause: String },
}

/// What a handle on its way is of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Handle {
    /// A file.
    File { facts: FileFacts, refusal: Option<i32> },
    /// The directory of a free name.
    Directory { name: CString },
}

impl Handle {
    /// Takes what was found apart; the errno where nothing was.
    fn of(located: &Located) -> Result<(Self, BorrowedFd<'_>), i32> {
        match located {
            Located::Existing { file, facts, refusal } => {
                Ok((Self::File { facts: *facts, refusal: *refusal }, file.as_fd()))
            }
            Located::Missing { parent, name } => Ok((Self::Directory { name: name.clone() }, parent.as_fd())),
            Located::Failed(errno) => Err(*errno),
        }
    }

    /// Puts it together again.
    fn with(self, descriptor: OwnedFd) -> Located {
        match self {
            Self::File { facts, refusal } => Located::Existing { file: descriptor, facts, refusal },
            Self::Directory { name } => Located::Missing { parent: descriptor, name },
        }
    }
}

/// Nobody can open in the namespace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NamespaceError {
    /// The process cannot be started.
    #[error("cannot start the process that opens in another user namespace")]
    Start(#[source] io::Error),
    /// It cannot be spoken with.
    #[error("cannot speak with the process that opens in another user namespace")]
    Control(#[from] ControlError),
    /// It said why.
    #[error("cannot open in another user namespace: {0}")]
    Unable(String),
    /// It is gone, or says something else than it was asked.
    #[error("the process that opens in another user namespace is gone")]
    Gone,
}

/// The process in a user namespace, as its user sees it.
#[derive(Debug)]
pub(crate) struct NamespaceOpener {
    child: Child,
    control: Control,
    /// Whom it was started for, and what of that it cannot change.
    person: Person,
    fixed: Fixed,
}

impl NamespaceOpener {
    /// Starts a process that joins the user namespace of `process`. The calling thread must wear its own ids.
    pub(super) fn start(
        process: &Process,
        home: &Home,
        (devices, upheaval): (&DevicePolicy, &Upheaval),
    ) -> Result<Self, NamespaceError> {
        let person = Person::of(process, upheaval).ok_or(NamespaceError::Gone)?;
        let task = process.task();
        let (control, theirs) = Control::pair().map_err(ControlError::from)?;
        let child = executable::command()
            .arg("open")
            .env_clear()
            .stdin(Stdio::from(theirs.into_descriptor()))
            .stdout(Stdio::null())
            .spawn()
            .map_err(NamespaceError::Start)?;
        let mut opener = Self { child, control, person: person.clone(), fixed: Fixed::Person };
        let (label, is_resident) = (home.label().cloned(), home.is_resident());
        let enter = ToOpener::Enter { label, devices: devices.clone(), task, person, is_resident };
        // Its number may be another task's before the process is there.
        opener.control.send(&enter, &[process.directory()])?;
        match opener.receive()? {
            (FromOpener::Entered { fixed }, _) => {
                opener.fixed = fixed;
                Ok(opener)
            }
            (FromOpener::Unable { cause }, _) => Err(NamespaceError::Unable(cause)),
            _ => Err(NamespaceError::Gone),
        }
    }

    /// Whether it can stand in for a task of its namespace.
    pub(super) fn serves(&self, process: &Process, upheaval: &Upheaval) -> bool {
        let is = |same: fn(&Person, &Person) -> bool| {
            Person::of(process, upheaval).is_some_and(|person| same(&person, &self.person))
        };
        match self.fixed {
            Fixed::Nothing => true,
            Fixed::Groups => is(Person::shares_groups),
            // Maps may have been written since.
            Fixed::Person => !has_root(|map| process.read(map, MAX_MAP_BYTES)) && is(Person::eq),
        }
    }

    /// Whether the process still does.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The process, for whoever must get it out of a wait.
    pub(super) fn reference(&self) -> Result<Pidfd, NamespaceError> {
        let number = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        Pidfd::open(number).map_err(NamespaceError::Start)
    }

    /// See [`Opener::look`].
    pub(super) fn look(
        &self,
        task: u32,
        (request, start): Look<'_>,
        afterwards: Afterwards,
    ) -> Result<Sight, NamespaceError> {
        self.control.send(&ToOpener::Look { task, request: request.clone(), afterwards }, start.as_slice())?;
        match self.receive()? {
            (FromOpener::File, Some(file)) => self.closed().map(|()| Sight::Opened(file)),
            (FromOpener::Found { handle, is_leased }, Some(descriptor)) => {
                let sight = if is_leased { Sight::Leased } else { Sight::Located };
                self.closed().map(|()| sight(handle.with(descriptor)))
            }
            (FromOpener::Failed { errno }, _) => Ok(Sight::Located(Located::Failed(errno))),
            (FromOpener::Unable { cause }, _) => Err(NamespaceError::Unable(cause)),
            _ => Err(NamespaceError::Gone),
        }
    }

    /// See [`Opener::open`]; for the task that was met, or looked for, last.
    pub(super) fn open(&self, errand: &Errand, may_block: bool) -> Result<Opened, NamespaceError> {
        let (handle, descriptor) = match Handle::of(&errand.located) {
            Ok(parts) => parts,
            Err(errno) => return Ok(Opened::Failed(errno)),
        };
        let message = ToOpener::Open { request: errand.request.clone(), handle, may_block, mask: errand.mask };
        self.control.send(&message, &[descriptor])?;
        match self.receive()? {
            (FromOpener::File, Some(file)) => self.closed().map(|()| Opened::File(file)),
            (FromOpener::Failed { errno }, _) => Ok(Opened::Failed(errno)),
            (FromOpener::Blocks, _) => Ok(Opened::Blocks),
            (FromOpener::Changed, _) => Ok(Opened::Changed),
            _ => Err(NamespaceError::Gone),
        }
    }

    /// Waits until what came from there is open here alone: nothing of the target's is held when it goes on.
    fn closed(&self) -> Result<(), NamespaceError> {
        match self.receive()? {
            (FromOpener::Closed, _) => Ok(()),
            _ => Err(NamespaceError::Gone),
        }
    }

    /// Reads the task's credentials for [`Self::name`], [`Self::connect`] and [`Self::open`].
    pub(super) fn meet(&self, task: u32) -> Result<Result<(), i32>, NamespaceError> {
        self.control.send(&ToOpener::Meet { task }, &[])?;
        self.done()
    }

    /// See [`Opener::name`]; for the task that was met last.
    pub(super) fn name(
        &self,
        naming: &Naming,
        handles: &Handles,
        mask: u32,
    ) -> Result<Result<(), i32>, NamespaceError> {
        let (starts, descriptors) = handles.in_order();
        self.control.send(&ToOpener::Name { naming: naming.clone(), starts, mask }, &descriptors)?;
        self.done()
    }

    /// See [`Opener::connect`]; for the task that was met last.
    pub(super) fn connect(
        &self,
        peer: Peer,
        socket: BorrowedFd<'_>,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<Result<(), i32>, NamespaceError> {
        let descriptors: Vec<_> = [socket].into_iter().chain(file).collect();
        self.control.send(&ToOpener::Connect { peer }, &descriptors)?;
        self.done()
    }

    fn done(&self) -> Result<Result<(), i32>, NamespaceError> {
        match self.receive()?.0 {
            FromOpener::Done => Ok(Ok(())),
            FromOpener::Failed { errno } => Ok(Err(errno)),
            FromOpener::Unable { cause } => Err(NamespaceError::Unable(cause)),
            FromOpener::Entered { .. }
            | FromOpener::Found { .. }
            | FromOpener::File
            | FromOpener::Closed
            | FromOpener::Blocks
            | FromOpener::Changed => Err(NamespaceError::Gone),
        }
    }

    fn receive(&self) -> Result<(FromOpener, Option<OwnedFd>), NamespaceError> {
        let (message, descriptors) = self.control.receive()?.ok_or(NamespaceError::Gone)?;
        Ok((message, descriptors.into_iter().next()))
    }
}

impl Drop for NamespaceOpener {
    fn drop(&mut self) {
        // It ends by itself when the socket closes, unless it waits inside an open.
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::error!(%error, "the process that opens in another user namespace is left behind");
        }
    }
}

/// Where such a process lives. From inside another user namespace, it cannot go to other namespaces that belong to outer users.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Home {
    user: u64,
    network: u64,
    ipc: u64,
    /// The profile of AppArmor's, and the mount namespace in which that names files.
    confined: Option<(Label, u64)>,
    /// Of mounts and of host names.
    resident: Option<[u64; 2]>,
}

impl Home {
    /// That of a process which lives in every namespace of its tasks but that of processes: whoever gets a handle of it can
    /// go nowhere by that (setns(2)). The other end of a Unix connection gets one of who connected (`SO_PEERPIDFD`).
    pub(super) fn resident(process: &Process, label: Option<Label>) -> Option<Self> {
        let user = process.namespace("ns/user")?;
        let resident = Some([process.namespace("ns/mnt")?, process.namespace("ns/uts")?]);
        Some(Self { resident, ..Self::of(process, user, label)? })
    }

    /// Whether it is one of those.
    pub(super) fn is_resident(&self) -> bool {
        self.resident.is_some()
    }

    /// That of a task of the user namespace `user`, confined by `label`.
    pub(super) fn of(process: &Process, user: u64, label: Option<Label>) -> Option<Self> {
        let confined = match label {
            Some(label) => Some((label, process.namespace("ns/mnt")?)),
            None => None,
        };
        let (network, ipc) = (process.namespace("ns/net")?, process.namespace("ns/ipc")?);
        Some(Self { user, network, ipc, confined, resident: None })
    }

    /// The profile.
    pub(super) fn label(&self) -> Option<&Label> {
        self.confined.as_ref().map(|(label, _)| label)
    }
}

/// `lanner open`: joins the user namespace that comes first, then serves until the other side is gone.
pub(crate) fn serve() -> ExitCode {
    diagnostics::start_as_told();
    if let Err(error) = prepare_interrupts() {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot be interrupted");
        return ExitCode::FAILURE;
    }
    // Its user namespace may belong to a container, whose programs may have all rights over what lives in it.
    if let Err(errno) = set_dumpable(false) {
        tracing::error!(%errno, "cannot hide from other processes");
        return ExitCode::FAILURE;
    }
    let control = io::stdin().as_fd().try_clone_to_owned().map(Control::from_descriptor);
    match control.map_err(|error| error.to_string()).and_then(|control| serve_on(&control)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "cannot open in another user namespace");
            ExitCode::FAILURE
        }
    }
}

fn serve_on(control: &Control) -> Result<(), String> {
    let told = |error: ControlError| diagnostics::chain(&error);
    let Some((ToOpener::Enter { label, devices, task, person, is_resident }, descriptors)) =
        control.receive().map_err(told)?
    else {
        return Err("the first message is another one".to_owned());
    };
    let directory = descriptors.into_iter().next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
    let joined = directory.and_then(|directory| {
        let process = Process::at(task, directory);
        join(&process, &person, label.as_ref(), is_resident)
    });
    let (mut server, fixed) = match joined {
        Ok((opener, fixed)) => (Server { opener, devices, met: None, upheaval: Upheaval::new(false) }, fixed),
        Err(error) => {
            control.send(&FromOpener::Unable { cause: error.to_string() }, &[]).map_err(told)?;
            return Err(error.to_string());
        }
    };
    control.send(&FromOpener::Entered { fixed }, &[]).map_err(told)?;
    while let Some((message, held)) = control.receive().map_err(told)? {
        let (answer, file) = server.answer(message, held);
        let descriptors: Vec<_> = file.iter().map(AsFd::as_fd).collect();
        control.send(&answer, &descriptors).map_err(told)?;
        if let Some(file) = file {
            drop(file);
            control.send(&FromOpener::Closed, &[]).map_err(told)?;
        }
    }
    Ok(())
}

/// Goes to where the task lives, with what belongs to the host opened before: into its user namespace as the root there, or as
/// `person` where there is no root; everywhere, if it `is_resident`.
fn join(process: &Process, person: &Person, label: Option<&Label>, is_resident: bool) -> io::Result<(Opener, Fixed)> {
    // From inside, namespaces that belong to outer users could not be entered any more.
    let mut surroundings = Surroundings::default();
    let (descriptors, root) = (File::open("/proc/self/fd")?, File::open("/")?);
    surroundings.follow(process)?;
    enter_cgroups(process)?;
    if is_resident {
        surroundings.settle(process, root.as_fd())?;
    } else if label.is_some() {
        // AppArmor goes by the paths there.
        surroundings.follow_mounts(process, root.as_fd())?;
    }
    let gone = || io::Error::from_raw_os_error(libc::ESRCH);
    let is_ours = Process::own().and_then(|own| own.namespace("ns/user")) == process.namespace("ns/user");
    let fixed = if is_ours {
        Fixed::Nothing
    } else {
        // Who has no name in the namespace can be taken on before it is joined, and not any more afterwards.
        keep_capabilities().map_err(|error| error.source)?;
        person.outfit().put_on(None, Fixed::Nothing)?;
        setns(process.open_file("ns/user").ok_or_else(gone)?, CloneFlags::CLONE_NEWUSER)?;
        let read = |name: &str| fs::read(Path::new("/proc/self").join(name)).ok();
        match read("setgroups") {
            _ if !has_root(read) => Fixed::Person,
            Some(setting) if setting.starts_with(b"deny") => Fixed::Groups,
            _ => Fixed::Nothing,
        }
    };
    if fixed != Fixed::Person {
        set_groups_ids(Ids::default())?;
        set_users(Ids::default())?;
    }
    label.map_or(Ok(()), Label::put_on)?;
    let opener = Opener::with_descriptors(root.into(), descriptors.into(), surroundings, Wardrobe::of_helper(fixed)?)?;
    Ok((opener, fixed))
}

/// Whether a user namespace has a user and a group 0 (`user_namespaces(7)`: first id inside, first outside, count). It has
/// none before its maps are written, and where they are for somebody else.
fn has_root(read: impl Fn(&str) -> Option<Vec<u8>>) -> bool {
    ["uid_map", "gid_map"].into_iter().all(|map| read(map).is_some_and(|content| maps_zero(&content)))
}

fn maps_zero(map: &[u8]) -> bool {
    let lines = map.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()))
        .any(|first| first == b"0")
}

/// The answer to a call that was made, or failed.
fn outcome(done: io::Result<()>) -> FromOpener {
    done.map_or_else(|error| FromOpener::Failed { errno: errno(&error) }, |()| FromOpener::Done)
}

/// Nobody was met whose rights a call could be made with.
fn unmet() -> io::Error {
    io::Error::from_raw_os_error(libc::ESRCH)
}

struct Server {
    opener: Opener,
    devices: DevicePolicy,
    /// Who was met, or looked for, last.
    met: Option<(Process, Credentials)>,
    /// Nothing is remembered here.
    upheaval: Upheaval,
}

impl Server {
    fn answer(&mut self, message: ToOpener, held: Vec<OwnedFd>) -> (FromOpener, Option<OwnedFd>) {
        match message {
            ToOpener::Enter { .. } => (FromOpener::Unable { cause: "it has a namespace".to_owned() }, None),
            ToOpener::Look { task, request, afterwards } => self.look(task, &request, held.first(), afterwards),
            ToOpener::Meet { task } => match self.known(task) {
                Ok(known) => {
                    self.met = Some(known);
                    (FromOpener::Done, None)
                }
                Err(answer) => (answer, None),
            },
            ToOpener::Name { naming, starts, mask } => {
                let handles = Handles::from_order(starts, held);
                let done = self.met.as_ref().ok_or_else(unmet).and_then(|(process, credentials)| {
                    self.opener.name(process, credentials, (&naming, &handles, mask), &self.upheaval)
                });
                (outcome(done), None)
            }
            ToOpener::Connect { peer } => {
                let done = self.met.as_ref().ok_or_else(unmet).and_then(|(_, credentials)| {
                    let mut held = held.iter().map(AsFd::as_fd);
                    let socket = held.next().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
                    self.opener.connect(credentials, socket, &peer, held.next())
                });
                (outcome(done), None)
            }
            ToOpener::Open { request, handle, may_block, mask } => {
                let failed = |errno| (FromOpener::Failed { errno }, None);
                let Some(descriptor) = held.into_iter().next() else { return failed(libc::EBADF) };
                let Some((_, credentials)) = &self.met else { return failed(errno(&unmet())) };
                let (located, credentials) = (Arc::new(handle.with(descriptor)), credentials.clone());
                let prepared = Prepared { request, credentials, located, mask, task: None };
                match self.opener.open(&prepared, &self.devices, may_block) {
                    Opened::File(file) => (FromOpener::File, Some(file)),
                    Opened::Failed(errno) => failed(errno),
                    Opened::Blocks => (FromOpener::Blocks, None),
                    Opened::Changed => (FromOpener::Changed, None),
                }
            }
        }
    }

    /// The task and its credentials now, or what to answer.
    fn known(&self, task: u32) -> Result<(Process, Credentials), FromOpener> {
        let process = Process::open(task).ok_or(FromOpener::Failed { errno: libc::ESRCH })?;
        match self.opener.credentials_of(&process, &self.upheaval) {
            Ok(credentials) => Ok((process, credentials)),
            Err(error) => Err(FromOpener::Unable { cause: diagnostics::chain(&error) }),
        }
    }

    fn look(
        &mut self,
        task: u32,
        request: &OpenRequest,
        start: Option<&OwnedFd>,
        afterwards: Afterwards,
    ) -> (FromOpener, Option<OwnedFd>) {
        let (process, credentials) = match self.known(task) {
            Ok(known) => known,
            Err(answer) => return (answer, None),
        };
        let look = (request, start.map(AsFd::as_fd));
        let sight = self.opener.look(&process, &credentials, look, (&self.upheaval, afterwards));
        self.met = Some((process, credentials));
        let (located, is_leased) = match sight {
            Sight::Opened(file) => return (FromOpener::File, Some(file)),
            Sight::Leased(located) => (located, true),
            Sight::Located(located) => (located, false),
        };
        let found = Handle::of(&located).and_then(|(handle, descriptor)| {
            let descriptor = descriptor.try_clone_to_owned().map_err(|error| errno(&error))?;
            Ok((FromOpener::Found { handle, is_leased }, Some(descriptor)))
        });
        found.unwrap_or_else(|errno| (FromOpener::Failed { errno }, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_a_root_if_both_maps_name_it() {
        let both = |users: &'static str, groups: &'static str| {
            has_root(|map| Some(if map == "uid_map" { users } else { groups }.as_bytes().to_owned()))
        };
        let (whole, single) = ("         0     100000      65536\n", "         0       1000          1\n");
        assert!(both(whole, single));
        assert!(both("      1000       1000          1\n         0     100000       1000\n", whole));
        assert!(!both(whole, ""));
        assert!(!both("", ""));
        assert!(!both("      1000       1000          1\n", whole));
        assert!(!both("       100          0          1\n", whole));
        assert!(!has_root(|_map| None));
    }
}
