// SPDX-License-Identifier: Apache-2.0
//! The supervisor's main thread: take listeners from the guard, reload rules, leave with the container.

use std::{
    collections::HashMap,
    error::Error,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    account::Realm,
    backoff::Backoff,
    beginning::{Beginning, StartError, check_label, load_files},
    control::{Control, ToGuard, ToSupervisor},
    counters::Counter,
    diagnostics,
    guard_estate::GuardEstate,
    in_force::InForce,
    interest,
    internal_alert::InternalAlert,
    names::NameResolver,
    reload::{ChangeWatcher, SETTLE, Sign},
    run_directory::RunDirectory,
    shared::Shared,
    slots::SlotsFile,
    sources::Sources,
    sys::{self, Listener, SyscallError},
    unix_time::unix_time,
    untrapped::Untrapped,
    watch::{RunningWatch, Watch},
};

/// How often ended watches are collected while nothing else happens.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How often it is looked whether the container's first program has begun.
const REALM_LOOK: Duration = Duration::from_millis(100);
/// How often it is looked whether a reload has ended.
const RELOAD_LOOK: Duration = Duration::from_millis(20);
/// How long the threads of a listener that is gone get to end, all listeners together: one that is inside a file system
/// that does not answer stays there, and nobody may wait for it.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// What the guard says on the command line.
#[derive(Debug, Clone)]
pub(crate) struct SupervisorArguments {
    /// The container's run directory.
    pub(crate) directory: PathBuf,
    /// The configuration file.
    pub(crate) config: PathBuf,
}

/// The main thread's state.
#[derive(Debug)]
struct Supervisor {
    arguments: SupervisorArguments,
    control: Control,
    estate: GuardEstate,
    guard_backoff: Backoff,
    /// When the guard was started, if we have done it; else when we were.
    guard_since: Instant,
    /// When the next guard is due, while there is none.
    guard_due: Option<Instant>,
    shared: Arc<Shared>,
    watched: HashMap<u32, Watched>,
    names: NameResolver,
    changes: ChangeWatcher,
    /// Our own log.
    log: PathBuf,
    /// Whether the guard knows what the container's first program had.
    realm_is_told: bool,
    reload_at: Option<Instant>,
    /// Loads what the files say now: that may take a second, or wait for their file system, and listeners may not wait.
    reloading: Option<JoinHandle<Result<(Sources, InForce), String>>>,
    /// When to try again what could not be written.
    unwritten_due: Instant,
    /// What the last failed reload said, so that one broken edit raises one alert.
    last_failure: Option<String>,
    untrapped: Untrapped,
    /// When to look after the watches again.
    round: Duration,
}

/// A listener with its watch, and second descriptors of both for a new guard.
#[derive(Debug)]
struct Watched {
    watch: RunningWatch,
    listener: Listener,
    slots: SlotsFile,
}

/// Runs a supervisor until its container is gone.
pub(crate) fn run(arguments: SupervisorArguments) -> ExitCode {
    diagnostics::start_as_told();
    // The control socket is our standard input.
    let control = io::stdin().as_fd().try_clone_to_owned().map(Control::from_descriptor);
    let started = control.map_err(StartError::ControlSocket).and_then(|control| Supervisor::start(control, arguments));
    match started {
        Ok(supervisor) => supervisor.supervise(),
        Err(error) => {
            tracing::error!(error = diagnostics::chain(&error), "the supervisor cannot run");
            ExitCode::FAILURE
        }
    }
}

impl Supervisor {
    /// Puts everything in place and tells the guard how that went.
    fn start(control: Control, arguments: SupervisorArguments) -> Result<Self, StartError> {
        let mut estate = match control.receive()? {
            Some((ToSupervisor::Begin { has_runtime }, descriptors)) => {
                GuardEstate::new(descriptors, has_runtime).ok_or(StartError::NoBegin)?
            }
            _ => return Err(StartError::NoBegin),
        };
        let beginning = match Beginning::prepare(&arguments.directory, &arguments.config, estate.sources()) {
            Ok(beginning) => beginning,
            Err(error) => {
                let message = diagnostics::chain(&error);
                control.send(&ToGuard::Failed { message }, &[])?;
                return Err(error);
            }
        };
        let Beginning { shared, changes, sources, watched, failure, log } = beginning;
        follow(&log);
        let fingerprint = shared.in_force.load().fingerprint;
        control.send(&ToGuard::Ready { fingerprint, watched }, &[])?;
        sys::give_memory_back();
        if let Some(sources) = sources {
            keep_sources(&control, &mut estate, &sources);
        }
        let shared = Arc::new(shared);
        let mut names = NameResolver::new(Arc::clone(&shared.context.names));
        names.want(shared.in_force.load().ruleset.named_addresses());
        let watched = HashMap::new();
        Ok(Self {
            arguments,
            control,
            estate,
            guard_backoff: Backoff::default(),
            guard_since: Instant::now(),
            guard_due: None,
            shared,
            watched,
            names,
            changes,
            log,
            realm_is_told: false,
            reload_at: None,
            reloading: None,
            last_failure: failure,
            untrapped: Untrapped::default(),
            round: HOUSEKEEPING,
            unwritten_due: Instant::now() + HOUSEKEEPING,
        })
    }

    fn supervise(mut self) -> ExitCode {
        loop {
            let (message, changed) = match self.wait() {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(error = &error as &dyn Error, "the supervisor cannot wait");
                    return ExitCode::FAILURE;
                }
            };
            if changed {
                self.note_changes();
            }
            if self.reloading.as_ref().is_some_and(JoinHandle::is_finished) {
                self.end_reload();
            }
            if self.reloading.is_none() && self.reload_at.is_some_and(|due| due <= Instant::now()) {
                self.reload_at = None;
                self.begin_reload();
            }
            self.tell_realm();
            if message && !self.read_message() {
                return self.finish();
            }
            if self.guard_due.is_some_and(|due| due <= Instant::now()) {
                self.replace_guard();
            }
            if self.shared.wake_ups.are_many() {
                self.shared.wake_ups.keep_cpus_awake();
            }
            self.watched.retain(|_, watched| !watched.watch.has_ended());
            let looks = self.watched.values_mut().map(|watched| watched.watch.relieve());
            self.round = looks.min().unwrap_or(HOUSEKEEPING);
            if self.unwritten_due <= Instant::now() {
                self.unwritten_due = Instant::now() + HOUSEKEEPING;
                InternalAlert::write_again(&self.shared);
                self.shared.holds.tidy();
            }
        }
    }

    /// Gives the guard what the first program had when it began, for the next supervisor: it may be elsewhere by then.
    fn tell_realm(&mut self) {
        let Some(realm) = self.shared.context.realm().filter(|_| !self.realm_is_told && self.guard_due.is_none())
        else {
            return;
        };
        if let Err(error) = self.control.send(&ToGuard::Realm(realm.maps().clone()), &[realm.root()]) {
            tracing::error!(error = &error as &dyn Error, "the guard cannot be told of the container's root");
        }
        // A guard that takes over is told when it begins.
        self.realm_is_told = true;
    }

    fn note_changes(&mut self) {
        let changes = self.changes.drain();
        if changes.texts && self.reload_at.is_none() {
            self.reload_at = Some(Instant::now() + SETTLE);
        }
        if changes.log
            && let Err(error) = self.shared.log.reopen_if_moved()
        {
            tracing::error!(error = &error as &dyn Error, "the event log was moved and cannot be opened anew");
        }
        if changes.log {
            follow(&self.log);
        }
    }

    /// Waits for a message, a change of files, or the next thing to do; says which of the first two happened.
    fn wait(&self) -> Result<(bool, bool), SyscallError> {
        // A dead guard's socket would end every wait at once.
        let control = self.guard_due.is_none().then(|| self.control.as_fd());
        let (files, look) = match self.changes.sign() {
            Sign::Readable(descriptor) => (Some(descriptor), None),
            Sign::Due(due) => (None, Some(due)),
        };
        let descriptors = control.into_iter().chain(files).chain([self.shared.wake_ups.as_fd()]);
        let mut wanted: Vec<_> = descriptors.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)).collect();
        // Rounded up, so that a deadline has passed when the wait ends.
        let until = |due: Instant| due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        // Until the container's first program is there, which nobody tells this thread.
        let realm = (!self.realm_is_told && !self.watched.is_empty()).then(|| Instant::now() + REALM_LOOK);
        let reload = match &self.reloading {
            Some(_) => Some(Instant::now() + RELOAD_LOOK),
            None => self.reload_at,
        };
        let dues = [reload, self.guard_due, look, realm];
        let patience = dues.into_iter().flatten().map(until).chain([self.round]).min().unwrap_or(self.round);
        match poll(&mut wanted, PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX)) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok((false, false)),
            Err(errno) => return Err(SyscallError::from_errno("poll", errno)),
        }
        let mut ready = wanted.iter().map(|entry| entry.any().unwrap_or(true));
        let message = control.is_some() && ready.next().unwrap_or(false);
        let changed = files.is_some() && ready.next().unwrap_or(false);
        Ok((message, changed || look.is_some_and(|due| due <= Instant::now())))
    }

    /// Does what the guard says; `false` when this supervisor is to leave.
    fn read_message(&mut self) -> bool {
        match self.control.receive() {
            Ok(Some((ToSupervisor::Watch { listener }, descriptors))) => self.begin_watch(listener, descriptors),
            Ok(Some((ToSupervisor::Realm(maps), descriptors))) => {
                if let Some(root) = descriptors.into_iter().next() {
                    self.shared.context.set_realm(Realm::new(root, maps));
                    self.realm_is_told = true;
                }
            }
            Ok(Some((ToSupervisor::Gone { listener }, _))) => {
                if let Some(watched) = self.watched.remove(&listener) {
                    watched.watch.stop(Instant::now() + STOP_PATIENCE);
                }
            }
            Ok(Some((ToSupervisor::Finish, _))) => return false,
            Ok(Some((ToSupervisor::Begin { .. }, _))) => tracing::error!("the guard begins twice"),
            Ok(None) => self.bury_guard(),
            // It may have brought a listener.
            Err(error) => die(&format!("a message of the guard's is lost: {}", diagnostics::chain(&error))),
        }
        true
    }

    /// A guard that ends at once would be started hundreds of times a second.
    fn bury_guard(&mut self) {
        let pause = self.guard_backoff.next(self.guard_since.elapsed());
        tracing::error!(?pause, "the guard is dead and is replaced");
        self.guard_due = Some(Instant::now() + pause);
    }

    /// Starts another guard with everything the dead one held.
    fn replace_guard(&mut self) {
        let listeners = self.watched.iter().map(|(number, watched)| (*number, &watched.listener, &watched.slots));
        let SupervisorArguments { directory, config } = &self.arguments;
        let started = self.estate.start_guard(directory, config, listeners, self.shared.context.realm());
        self.guard_since = Instant::now();
        self.guard_due = None;
        match started {
            Ok(control) => self.control = control,
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, "no new guard can be started");
                self.bury_guard();
            }
        }
    }

    fn begin_watch(&mut self, number: u32, descriptors: Vec<OwnedFd>) {
        let mut descriptors = descriptors.into_iter();
        let (Some(listener), Some(slots)) = (descriptors.next(), descriptors.next()) else {
            die(&format!("listener {number} came without its descriptors"));
        };
        self.estate.note_listener(number);
        self.shared.counters.set_once(Counter::Since, unix_time());
        match self.watch(number, Listener::new(listener), SlotsFile::from_descriptor(slots)) {
            Ok(watched) => drop(self.watched.insert(number, watched)),
            Err(error) => die(&format!("the watch of listener {number} cannot begin: {error}")),
        }
    }

    fn watch(&self, number: u32, listener: Listener, slots: SlotsFile) -> io::Result<Watched> {
        let mapped = slots.map().map_err(io::Error::other)?;
        let watch = Watch { number, listener: Arc::new(listener.try_clone()?), slots: Arc::new(mapped) };
        Ok(Watched { watch: watch.start(Arc::clone(&self.shared))?, listener, slots })
    }

    /// Compiles what the files say now beside what is in force.
    fn begin_reload(&mut self) {
        // Before they are read.
        self.changes.cover_file(&self.arguments.config, &[]);
        let SupervisorArguments { directory, config } = self.arguments.clone();
        let mode = self.shared.mode;
        let load = move || {
            let loaded = load_files(&config).and_then(|(_, sources, in_force)| {
                check_label(&in_force, mode, &directory).map(|()| (sources, in_force))
            });
            loaded.map_err(|error| diagnostics::chain(&error))
        };
        match thread::Builder::new().name("reload".to_owned()).spawn(load) {
            Ok(reloading) => self.reloading = Some(reloading),
            Err(error) => {
                tracing::error!(%error, "the rules cannot be loaded anew for now");
                self.reload_at = Some(Instant::now() + HOUSEKEEPING);
            }
        }
    }

    /// Swaps what is in force if the files have loaded.
    fn end_reload(&mut self) {
        let Some(reloading) = self.reloading.take() else { return };
        let loaded = reloading.join().unwrap_or_else(|_panic| Err("the loading of the files has panicked".to_owned()));
        match loaded {
            Ok((sources, in_force)) => {
                self.last_failure = None;
                if in_force.fingerprint != self.shared.in_force.load().fingerprint {
                    tracing::info!(rules = in_force.ruleset.rules().len(), "new rules are in force");
                    self.name_untrapped(&in_force);
                    self.names.want(in_force.ruleset.named_addresses());
                    self.shared.in_force.store(Arc::new(in_force));
                    keep_sources(&self.control, &mut self.estate, &sources);
                }
                sys::give_memory_back();
            }
            Err(message) => self.reload_failed(message),
        }
    }

    /// Says which calls the new rules need and this container's profile does not notify.
    fn name_untrapped(&mut self, in_force: &InForce) {
        let needed = interest::of_all(in_force, self.shared.mode);
        if let Some(alert) = self.untrapped.alert(&needed, &RunDirectory::new(&self.arguments.directory)) {
            alert.write(&self.shared);
        }
    }

    fn reload_failed(&mut self, message: String) {
        if self.last_failure.as_ref() == Some(&message) {
            return;
        }
        tracing::error!(%message, "the rules in force stay");
        InternalAlert::reload_failed(&message).write(&self.shared);
        self.last_failure = Some(message);
    }

    /// Lets the watches end; the guard says this when all listeners have hung up.
    fn finish(self) -> ExitCode {
        let deadline = Instant::now() + STOP_PATIENCE;
        self.watched.into_values().for_each(|watched| watched.watch.stop(deadline));
        ExitCode::SUCCESS
    }
}

/// Writes to our own log under its name, and not to a file that was it.
fn follow(log: &Path) {
    if let Err(error) = diagnostics::follow(log) {
        tracing::error!(%error, log = %log.display(), "our own log was moved and cannot be opened anew");
    }
}

/// Ends a supervisor that cannot begin a watch. That hands every listener to the next one; going on would leave calls
/// waiting for ever.
fn die(error: &str) -> ! {
    tracing::error!(error, "the supervisor makes way for another one");
    std::process::abort();
}

/// Lets the guard, and a new guard, keep the texts in force.
fn keep_sources(control: &Control, estate: &mut GuardEstate, sources: &Sources) {
    let memfd = match sources.to_memfd() {
        Ok(memfd) => memfd,
        Err(error) => {
            tracing::error!(%error, "a successor will not know the rules in force if the files become bad");
            return;
        }
    };
    let descriptors: [BorrowedFd<'_>; 1] = [memfd.as_fd()];
    if let Err(error) = control.send(&ToGuard::InForce, &descriptors) {
        tracing::error!(error = &error as &dyn Error, "the guard is gone");
    }
    estate.set_sources(memfd);
}
