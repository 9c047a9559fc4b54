// SPDX-License-Identifier: Apache-2.0
//! How one thread opens for whatever task: itself, through a thread that is confined like the task, or through a process in
//! the task's namespaces.

use std::{
    collections::HashMap,
    error::Error,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use super::{
    Contact, CredentialsError, Destination, DevicePolicy, Handles, Located, Naming, OpenRequest, Opened, Opener,
    Prepared, Upheaval,
    apparmor::Label,
    confined::{Confined, ConfinedError, Quarters},
    credentials::Credentials,
    locate::may_wait,
    namespace::{Home, NamespaceError, NamespaceOpener, openers},
    opener::{Afterwards, Look, Sight, errno},
};
use crate::{process::Process, sys::Pidfd};

/// Profiles that a thread has another one in at one time.
const MAX_CONFINED: usize = 8;

/// An open that can be performed.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub(crate) request: OpenRequest,
    pub(crate) located: Arc<Located>,
    /// Whether it is known that somebody's lease has to be waited for.
    pub(crate) is_leased: bool,
    /// File mode creation mask, where a file may be made.
    pub(crate) mask: u32,
    way: Way,
    task: u32,
}

impl Errand {
    /// Whether performing it changes something that a failure afterwards would not undo.
    pub(crate) fn changes_files(&self) -> bool {
        match &*self.located {
            Located::Missing { .. } => true,
            // Of no other file does the kernel cut anything off (`do_open` of its `namei.c`).
            Located::Existing { facts, .. } => {
                self.request.has(libc::O_TMPFILE) || self.request.has(libc::O_TRUNC) && facts.is(libc::S_IFREG)
            }
            Located::Failed(_) => false,
        }
    }

    /// Whether it cuts off what a file holds.
    pub(crate) fn cuts_file(&self) -> bool {
        matches!(&*self.located, Located::Existing { refusal: None, .. })
            && self.request.has(libc::O_TRUNC)
            && self.changes_files()
    }

    /// Whether a process performs it that lives with the task.
    pub(super) fn needs_process(&self) -> bool {
        matches!(self.way, Way::Namespace(_))
    }

    /// Whether it may wait for somebody else.
    pub(crate) fn may_wait(&self) -> bool {
        matches!(&*self.located, Located::Existing { facts, .. } if may_wait(facts))
    }
}

/// What an open comes to before it is judged, or after.
#[derive(Debug)]
pub(crate) enum Finding {
    /// It is to be performed.
    Errand(Errand),
    /// It was.
    Opened(OwnedFd, OpenRequest),
}

/// Who performs it.
#[derive(Debug, Clone)]
enum Way {
    /// The thread itself, with these credentials.
    Own(Credentials),
    /// A thread that lives there, with these credentials.
    Confined(Credentials, Arc<Quarters>),
    /// The process that lives there.
    Namespace(Home),
}

/// Where whoever performs a call may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Residence {
    Any,
    /// With the task: somebody in the container gets a handle of the process.
    Inside,
}

/// Whom a call is performed for.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    way: Way,
    task: u32,
    residence: Residence,
}

impl Client {
    /// The same, performed by somebody who lives there.
    pub(crate) fn residing(self, residence: Residence) -> Self {
        Self { residence, ..self }
    }

    pub(super) fn is_inside(&self) -> bool {
        self.residence == Residence::Inside
    }

    /// Whether a process performs it that lives with the task.
    pub(super) fn needs_process(&self) -> bool {
        self.is_inside() || matches!(self.way, Way::Namespace(_))
    }
}

/// Why nothing was looked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeansError {
    /// The task is gone.
    #[error("the task is gone")]
    Gone,
    /// Its credentials cannot be taken on.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Nobody can be confined like it.
    #[error(transparent)]
    Confined(#[from] ConfinedError),
    /// There is nobody in its namespaces.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
}

/// One thread's means.
#[derive(Debug)]
pub(crate) struct Means {
    own: Opener,
    /// Where the calling thread lives itself, if that is not the host.
    own_quarters: Option<Arc<Quarters>>,
    confined: HashMap<Arc<Quarters>, Confined>,
    /// For the call that is being made.
    inside: HashMap<Home, NamespaceOpener>,
}

impl Means {
    /// Prepares the calling thread.
    fn new() -> io::Result<Self> {
        Ok(Self { own: Opener::new()?, own_quarters: None, confined: HashMap::new(), inside: HashMap::new() })
    }

    /// The calling thread's, prepared when they are first needed.
    pub(crate) fn ready(slot: &mut Option<Self>) -> io::Result<&mut Self> {
        if slot.is_none() {
            *slot = Some(Self::new()?);
        }
        slot.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Leaves to other threads what was needed for a call that is over, or that is waited for without it.
    pub(crate) fn leave(&mut self) {
        self.inside.drain().for_each(|(home, opener)| openers::leave(home, opener));
    }

    /// Whether the calling thread lives with its targets for good, so that it cannot serve others.
    pub(super) fn is_bound(&self) -> bool {
        self.own_quarters.is_some()
    }

    /// Finds what the request names for the task, and opens it where that is to be done at once and can be.
    pub(crate) fn locate(
        &mut self,
        process: &Arc<Process>,
        (request, held, afterwards): (OpenRequest, Option<BorrowedFd<'_>>, Afterwards),
        devices: &DevicePolicy,
        upheaval: &Upheaval,
    ) -> Result<Finding, MeansError> {
        let Client { way, task, .. } = self.client(process, devices, upheaval)?;
        let (located, is_leased) = match self.look(&way, process, (&request, held), (upheaval, afterwards))? {
            Sight::Opened(file) => return Ok(Finding::Opened(file, request)),
            Sight::Leased(located) => (located, true),
            Sight::Located(located) => (located, false),
        };
        let may_make = matches!(located, Located::Missing { .. }) || request.has(libc::O_TMPFILE);
        // Where the task is gone, nobody will see the file's mode.
        let mask = if may_make { process.status().map_or(0o077, |status| status.mask) } else { 0 };
        Ok(Finding::Errand(Errand { request, located: Arc::new(located), is_leased, mask, way, task }))
    }

    fn look(
        &mut self,
        way: &Way,
        process: &Arc<Process>,
        (request, held): Look<'_>,
        (upheaval, afterwards): (&Upheaval, Afterwards),
    ) -> Result<Sight, MeansError> {
        match way {
            Way::Own(credentials) => Ok(self.own.look(process, credentials, (request, held), (upheaval, afterwards))),
            Way::Confined(credentials, quarters) => {
                let (process, credentials, request) = (Arc::clone(process), credentials.clone(), request.clone());
                let (held, told) = (owned(held)?, upheaval.snapshot());
                self.confined(quarters, move |opener| {
                    let look = (&request, held.as_ref().map(AsFd::as_fd));
                    opener.look(&process, &credentials, look, (&told, afterwards))
                })
            }
            Way::Namespace(home) => self.ask(home, |opener| opener.look(process, (request, held), afterwards)),
        }
    }

    /// Asks the process in a task's namespaces, which ends if it cannot answer.
    fn ask<T>(
        &mut self,
        home: &Home,
        question: impl FnOnce(&NamespaceOpener) -> Result<T, NamespaceError>,
    ) -> Result<T, MeansError> {
        let opener = self.inside.get(home).ok_or(MeansError::Gone)?;
        let answer = question(opener);
        Ok(answer.inspect_err(|_| drop(self.inside.remove(home)))?)
    }

    /// Whom the task's calls are performed for, and how.
    fn client(
        &mut self,
        process: &Arc<Process>,
        devices: &DevicePolicy,
        upheaval: &Upheaval,
    ) -> Result<Client, MeansError> {
        let label = Label::of(process).map_err(|_gone| MeansError::Gone)?;
        let way = match (self.own.credentials_of(process, upheaval), label) {
            (Ok(credentials), None) => Way::Own(credentials),
            (Ok(credentials), Some(label)) => {
                if upheaval.is_settled() {
                    // Kept with the task, so that the profile does not have to allow it.
                    let _kept = process.root(true);
                }
                let quarters = Arc::new(Quarters::of(process, label).ok_or(MeansError::Gone)?);
                self.have_confined(process, &quarters)?;
                Way::Confined(credentials, quarters)
            }
            (Err(CredentialsError::ForeignNamespace(namespace)), label) => {
                let home = Home::of(process, namespace, label).ok_or(MeansError::Gone)?;
                self.inside(&home, process, devices, upheaval)?;
                Way::Namespace(home)
            }
            (Err(CredentialsError::Unreadable), _) => return Err(MeansError::Gone),
            (Err(error @ CredentialsError::Refused(_)), _) => return Err(error.into()),
        };
        Ok(Client { way, task: process.task(), residence: Residence::Any })
    }

    /// [`Self::client`], for [`Self::name`] and [`Self::connect`]. Who asks must see that the call still waits before it
    /// goes on: the rights that were read may be those of a program that has taken over the task's number.
    pub(crate) fn meet(
        &mut self,
        process: &Arc<Process>,
        devices: &DevicePolicy,
        upheaval: &Upheaval,
    ) -> Result<Client, MeansError> {
        let client = self.client(process, devices, upheaval)?;
        self.meet_inside(&client)?;
        Ok(client)
    }

    /// Has the process in the task's namespaces read the rights, where there is one.
    fn meet_inside(&mut self, client: &Client) -> Result<(), MeansError> {
        let Way::Namespace(home) = &client.way else { return Ok(()) };
        self.ask(home, |opener| opener.meet(client.task))?.map_err(|_errno| MeansError::Gone)
    }

    /// Makes a call on names; `Err` inside is the errno that it fails with.
    pub(crate) fn name(
        &mut self,
        client: &Client,
        process: &Arc<Process>,
        (naming, handles): (&Naming, &Arc<Handles>),
        upheaval: &Upheaval,
    ) -> Result<Result<(), i32>, MeansError> {
        // Where the task is gone, nobody will see the file's mode.
        let status = if naming.deed.makes_file() { process.status() } else { None };
        let mask = status.map_or(0o077, |status| status.mask);
        match &client.way {
            Way::Own(credentials) => {
                let done = self.own.name(process, credentials, (naming, handles, mask), upheaval);
                Ok(done.map_err(|error| errno(&error)))
            }
            Way::Confined(credentials, quarters) => {
                let (process, credentials, naming) = (Arc::clone(process), credentials.clone(), naming.clone());
                let (handles, told) = (Arc::clone(handles), upheaval.snapshot());
                let done = self.confined(quarters, move |opener| {
                    opener.name(&process, &credentials, (&naming, &handles, mask), &told)
                });
                Ok(done?.map_err(|error| errno(&error)))
            }
            Way::Namespace(namespace) => self.ask(namespace, |opener| opener.name(process, (naming, handles, mask))),
        }
    }

    /// Finds what is to be connected to.
    pub(crate) fn approach(
        &mut self,
        client: &Client,
        process: &Arc<Process>,
        (destination, handles): (Destination, Arc<Handles>),
        upheaval: &Upheaval,
    ) -> Result<Contact, MeansError> {
        let file = match destination.look() {
            None => None,
            Some(look) => {
                let start = handles.start(look.start);
                let sight = self.look(&client.way, process, (&look, start), (upheaval, Afterwards::Nothing))?;
                Some(Arc::new(sight.into()))
            }
        };
        Ok(destination.contact(handles, file))
    }

    /// Connects; this may wait as the target would.
    pub(crate) fn connect(&mut self, client: &Client, contact: &Contact) -> Result<(), i32> {
        if let Some(errno) = contact.failure() {
            return Err(errno);
        }
        let socket = contact.handles.socket().ok_or(libc::EBADF)?;
        let (peer, file) = (contact.peer(), contact.handle());
        match &client.way {
            Way::Own(credentials) => self.own.connect(credentials, socket, &peer, file).map_err(|error| errno(&error)),
            Way::Confined(credentials, quarters) => {
                let (credentials, contact) = (credentials.clone(), contact.clone());
                let connected = self.confined(quarters, move |opener| {
                    let socket = contact.handles.socket().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
                    opener.connect(&credentials, socket, &contact.peer(), contact.handle())
                });
                connected.map_err(|_ended| libc::EIO)?.map_err(|error| errno(&error))
            }
            Way::Namespace(home) => {
                let answer = self.ask(home, |opener| opener.connect(peer, socket, file));
                // It may have ended right after.
                answer.unwrap_or_else(|error| if contact.is_made() { Ok(()) } else { Err(broken(&error)) })
            }
        }
    }

    /// Gets ready to serve a client of another thread; says which process does it, if another one does. See [`Self::meet`].
    pub(super) fn welcome(&mut self, client: &mut Client, devices: &DevicePolicy) -> Result<Option<Pidfd>, MeansError> {
        let process = Process::open(client.task).ok_or(MeansError::Gone)?;
        if client.is_inside() {
            let label = Label::of(&process).map_err(|_gone| MeansError::Gone)?;
            let home = Home::resident(&process, label).ok_or(MeansError::Gone)?;
            client.way = Way::Namespace(home);
        }
        let helper = self.be_ready(&client.way, &process, devices)?;
        self.meet_inside(client)?;
        Ok(helper)
    }

    /// Gets ready to go a way that another thread found; says which process goes it.
    fn be_ready(&mut self, way: &Way, process: &Process, devices: &DevicePolicy) -> Result<Option<Pidfd>, MeansError> {
        match way {
            Way::Own(_) => {
                self.own.follow(process).map_err(CredentialsError::from)?;
                Ok(None)
            }
            // Whoever waits is interrupted by its thread, which so has to be this one.
            Way::Confined(_, quarters) => {
                // Its number may be another task's by now.
                if Quarters::of(process, quarters.label().clone()).as_ref() != Some(&**quarters) {
                    return Err(MeansError::Gone);
                }
                self.own_quarters = Some(Arc::clone(quarters));
                self.own.confine(process, quarters.label()).map_err(|error| quarters.error(error))?;
                Ok(None)
            }
            // Asked anew, as this thread is not told of changes.
            Way::Namespace(home) => Ok(Some(self.inside(home, process, devices, &Upheaval::new(false))?.reference()?)),
        }
    }

    /// Opens what was found by the last [`Self::locate`], after which the call was seen to wait: see [`Self::meet`].
    pub(crate) fn open(&mut self, errand: &Errand, devices: &Arc<DevicePolicy>, may_block: bool) -> Opened {
        let prepared = |credentials: &Credentials, task| Prepared {
            request: errand.request.clone(),
            credentials: credentials.clone(),
            located: Arc::clone(&errand.located),
            mask: errand.mask,
            task,
        };
        match &errand.way {
            Way::Own(credentials) => self.own.open(&prepared(credentials, Some(errand.task)), devices, may_block),
            Way::Confined(credentials, quarters) => {
                let (prepared, devices) = (prepared(credentials, None), Arc::clone(devices));
                let opened = self.confined(quarters, move |opener| opener.open(&prepared, &devices, may_block));
                opened.unwrap_or(Opened::Failed(libc::EIO))
            }
            Way::Namespace(namespace) => {
                let opened = self.ask(namespace, |opener| opener.open(errand, may_block));
                opened.unwrap_or_else(|error| Opened::Failed(broken(&error)))
            }
        }
    }

    /// [`Self::welcome`] for an errand.
    pub(super) fn take_over(&mut self, errand: &Errand, devices: &DevicePolicy) -> Result<Option<Pidfd>, MeansError> {
        let Errand { way, task, .. } = errand;
        self.welcome(&mut Client { way: way.clone(), task: *task, residence: Residence::Any }, devices)
    }

    /// Makes sure that there is a thread in these quarters.
    fn have_confined(&mut self, process: &Arc<Process>, quarters: &Arc<Quarters>) -> Result<(), MeansError> {
        if !self.confined.contains_key(quarters) {
            if self.confined.len() >= MAX_CONFINED {
                self.confined.clear();
            }
            self.own.undress().map_err(CredentialsError::from)?;
            self.confined.insert(Arc::clone(quarters), Confined::start(Arc::clone(process), quarters)?);
        }
        Ok(())
    }

    /// Has something done in these quarters, by this thread if it lives there.
    fn confined<T: Send + 'static>(
        &mut self,
        quarters: &Arc<Quarters>,
        work: impl FnOnce(&mut Opener) -> T + Send + 'static,
    ) -> Result<T, MeansError> {
        if self.own_quarters.as_ref() == Some(quarters) {
            return Ok(work(&mut self.own));
        }
        let done = self.confined.get(quarters).and_then(|thread| thread.run(work));
        done.ok_or_else(|| {
            self.confined.remove(quarters);
            quarters.error(io::ErrorKind::BrokenPipe.into()).into()
        })
    }

    fn inside(
        &mut self,
        home: &Home,
        process: &Process,
        devices: &DevicePolicy,
        upheaval: &Upheaval,
    ) -> Result<&NamespaceOpener, MeansError> {
        // What nobody waits for may have died long ago.
        if self.inside.get_mut(home).is_some_and(|opener| !opener.lives() || !opener.serves(process, upheaval)) {
            self.inside.remove(home);
        }
        if !self.inside.contains_key(home) {
            let opener = match openers::take_free(home, |opener| opener.serves(process, upheaval)) {
                Some(opener) => opener,
                None => NamespaceOpener::start(process, home, (devices, upheaval))?,
            };
            self.inside.insert(home.clone(), opener);
        }
        self.inside.get(home).ok_or(MeansError::Gone)
    }
}

/// The errno of a call that was left to a process which has not answered.
fn broken(error: &MeansError) -> i32 {
    tracing::error!(error = error as &dyn Error, "a call that was made where its task lives has no result");
    libc::EIO
}

/// A copy of a descriptor, for another thread.
fn owned(descriptor: Option<BorrowedFd<'_>>) -> Result<Option<OwnedFd>, MeansError> {
    let copied = descriptor.map(|descriptor| descriptor.try_clone_to_owned()).transpose();
    Ok(copied.map_err(CredentialsError::from)?)
}
