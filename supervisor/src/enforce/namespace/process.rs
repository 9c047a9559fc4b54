// SPDX-License-Identifier: Apache-2.0
//! `lanner open`, the process itself: its way into the namespaces, and what it does there.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use nix::{
    sched::{CloneFlags, setns},
    sys::prctl::set_dumpable,
};

use super::{
    has_root,
    message::{FromOpener, Handle, ToOpener},
};
use crate::{
    control::{Control, ControlError},
    diagnostics,
    enforce::{
        Afterwards, DevicePolicy, Handles, OpenRequest, Opened, Opener, Prepared, Upheaval,
        apparmor::Label,
        credentials::{Credentials, Fixed, Person, Wardrobe},
        opener::{Sight, errno},
        surroundings::{Surroundings, enter_cgroups},
    },
    process::Process,
    sys::{Ids, keep_capabilities, prepare_interrupts, set_groups_ids, set_users},
};

/// `lanner open`: joins the namespaces that come first, then serves until the other side is gone.
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
            tracing::error!(%error, "cannot act where the task lives");
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
        Ok((opener, fixed)) => (Server { opener, devices, met: None, upheaval: Upheaval::new(true) }, fixed),
        Err(error) => {
            control.send(&FromOpener::Unable { cause: error.to_string() }, &[]).map_err(told)?;
            return Err(error.to_string());
        }
    };
    control.send(&FromOpener::Entered { fixed }, &[]).map_err(told)?;
    while let Some((message, held)) = control.receive().map_err(told)? {
        let (answer, file) = server.answer(message, held);
        match file {
            None => control.send(&answer, &[]).map_err(told)?,
            Some(file) => hand_over(control, answer, file).map_err(told)?,
        }
    }
    Ok(())
}

/// Answers with a descriptor, and says when it is no longer open here.
fn hand_over(control: &Control, answer: FromOpener, file: OwnedFd) -> Result<(), ControlError> {
    match control.send(&answer, &[file.as_fd()]) {
        Err(ControlError::Socket(error)) if error.source.raw_os_error() == Some(libc::ETOOMANYREFS) => {
            let offered = FromOpener::Offered { number: file.as_raw_fd(), answer: Box::new(answer) };
            control.send(&offered, &[])?;
            // Whatever comes, or nothing, says that it was taken or is not wanted any more.
            control.receive::<ToOpener>()?;
        }
        sent => sent?,
    }
    drop(file);
    control.send(&FromOpener::Closed, &[])
}

/// Goes to where the task lives, with what belongs to the host opened before: into its user namespace as the root there, or as
/// `person` where there is no root; everywhere, if it `is_resident`.
fn join(process: &Process, person: &Person, label: Option<&Label>, is_resident: bool) -> io::Result<(Opener, Fixed)> {
    // From inside, namespaces that belong to outer users could not be entered any more.
    let mut surroundings = Surroundings::default();
    let (descriptors, root) = (File::open("/proc/self/fd")?, File::open("/")?);
    surroundings.follow(process)?;
    surroundings.stay();
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
    /// Nothing is remembered here but what comes with each call.
    upheaval: Upheaval,
}

impl Server {
    fn answer(&mut self, message: ToOpener, held: Vec<OwnedFd>) -> (FromOpener, Option<OwnedFd>) {
        match message {
            ToOpener::Enter { .. } => (FromOpener::Unable { cause: "it has a namespace".to_owned() }, None),
            ToOpener::Taken => (FromOpener::Unable { cause: "nothing was offered".to_owned() }, None),
            ToOpener::Look { task, request, afterwards } => self.look(task, &request, held, afterwards),
            ToOpener::Meet { task } => match self.known(task, None) {
                Ok(known) => {
                    self.met = Some(known);
                    (FromOpener::Done, None)
                }
                Err(answer) => (answer, None),
            },
            ToOpener::Name { naming, starts, mask } => {
                let mut held = held.into_iter();
                let root = held.next();
                let handles = Handles::from_order(starts, held);
                let done = self.met.as_ref().ok_or_else(unmet).and_then(|(process, credentials)| {
                    process.introduce(root, self.opener.namespace());
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
    fn known(&self, task: u32, root: Option<OwnedFd>) -> Result<(Process, Credentials), FromOpener> {
        let process = Process::open(task).ok_or(FromOpener::Failed { errno: libc::ESRCH })?;
        process.introduce(root, self.opener.namespace());
        match self.opener.credentials_of(&process, &self.upheaval) {
            Ok(credentials) => Ok((process, credentials)),
            Err(error) => Err(FromOpener::Unable { cause: diagnostics::chain(&error) }),
        }
    }

    fn look(
        &mut self,
        task: u32,
        request: &OpenRequest,
        held: Vec<OwnedFd>,
        afterwards: Afterwards,
    ) -> (FromOpener, Option<OwnedFd>) {
        let mut held = held.into_iter();
        let (root, start) = (held.next(), held.next());
        let (process, credentials) = match self.known(task, root) {
            Ok(known) => known,
            Err(answer) => return (answer, None),
        };
        let look = (request, start.as_ref().map(AsFd::as_fd));
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
