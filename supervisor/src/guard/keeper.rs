// SPDX-License-Identifier: Apache-2.0
//! The guard's life: accept listeners, hand them to the supervisor, replace it when it dies, leave with the container.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::PathBuf,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use policy::Mode;

use super::{
    custody::Custody,
    emergency::Emergency,
    handshake::{Connection, Progress},
    pulse::Pulse,
    remembered::Memory,
    runtime_call::{RuntimeCall, Stage},
    supervisor_process::{Condition, SupervisorCommand, SupervisorError, SupervisorProcess},
};
use crate::{
    account::Realm,
    backoff::Backoff,
    control::{ControlError, ToGuard, ToSupervisor},
    descriptor_limit, diagnostics,
    internal_alert::InternalAlert,
    run_directory::RunDirectory,
    sys::{Listener, Pidfd, SyscallError},
    untrapped::Untrapped,
};

/// Connections that may wait for their state document at one time; runtimes make one per `create` or `exec`.
const MAX_CONNECTIONS: usize = 256;
/// How long a supervisor may take to leave when the container is gone.
const FINISH_PATIENCE: Duration = Duration::from_secs(2);
/// Pause after a failure of accept(2) that will not go away by itself, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything a guard owns.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) directory: RunDirectory,
    pub(super) socket: UnixListener,
    /// Held for our whole life: says that the directory is in use.
    pub(super) lock: OwnedFd,
    /// The low-level runtime that creates the container; `None` once it has ended.
    pub(super) runtime: Option<Pidfd>,
    /// How it was called; `None` once a listener has come, or the container was found without one.
    pub(super) call: Option<RuntimeCall>,
    pub(super) command: SupervisorCommand,
    pub(super) supervisor: Option<SupervisorProcess>,
    pub(super) connections: Vec<Connection>,
    pub(super) custody: Custody,
    /// The texts in force, for the next supervisor.
    pub(super) sources: Option<OwnedFd>,
    /// What the container's first program had, for the next supervisor.
    pub(super) realm: Option<Realm>,
    pub(super) backoff: Backoff,
    /// When the next supervisor is due, while there is none.
    pub(super) restart_at: Option<Instant>,
    pub(super) emergency: Emergency,
    pub(super) memory: Memory,
    pub(super) pulse: Pulse,
    /// Our own log.
    pub(super) log: PathBuf,
    pub(super) untrapped: Untrapped,
}

/// What a wait has found.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one per descriptor that was waited for, independent of each other")]
struct Ready {
    socket: bool,
    supervisor_ended: bool,
    message: bool,
    runtime_ended: bool,
    /// Places of readable connections, ascending.
    connections: Vec<usize>,
    /// Numbers of listeners whose tasks are all gone.
    gone: Vec<u32>,
    /// Numbers of listeners on which calls wait; looked for in an emergency only.
    asking: Vec<u32>,
}

impl Guard {
    /// Runs until the container is gone, then removes every trace.
    pub(super) fn keep(mut self) {
        let _suffices = descriptor_limit::raise();
        while !self.container_is_gone() {
            match self.wait() {
                Ok(ready) => self.act(&ready),
                Err(error) => {
                    tracing::error!(%error, "the guard cannot wait for its descriptors");
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
        // A runtime that has ended without sending a listener has failed, or has started a container that has none.
        self.look_for_container(Stage::Ended);
        self.leave();
    }

    /// The container is gone when every listener has hung up. Before the first one came, it is gone when the runtime
    /// that was to create it has ended.
    fn container_is_gone(&self) -> bool {
        let waiting = !self.connections.is_empty();
        self.custody.is_empty() && !waiting && (self.custody.was_used() || self.runtime.is_none())
    }

    fn wait(&self) -> Result<Ready, SyscallError> {
        let read = PollFlags::POLLIN;
        // Asking for nothing still reports POLLHUP, and lets notifications pass without waking us.
        let calls = if self.emergency.is_on() { read } else { PollFlags::empty() };
        let mut wanted = vec![PollFd::new(self.socket.as_fd(), read)];
        wanted.extend(self.supervisor.iter().map(|supervisor| PollFd::new(supervisor.as_fd(), read)));
        wanted.extend(self.supervisor.iter().map(|supervisor| PollFd::new(supervisor.control().as_fd(), read)));
        wanted.extend(self.runtime.iter().map(|runtime| PollFd::new(runtime.as_fd(), read)));
        wanted.extend(self.connections.iter().map(|connection| PollFd::new(connection.as_fd(), read)));
        wanted.extend(self.custody.listeners().map(|(_, listener)| PollFd::new(listener, calls)));

        match poll(&mut wanted, self.timeout()) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Ready::default()),
            Err(errno) => return Err(SyscallError::from_errno("poll", errno)),
        }
        let mut answers = wanted.iter().map(|entry| entry.revents().unwrap_or(PollFlags::POLLERR));
        let mut next = || answers.next().is_some_and(|events| !events.is_empty());
        let mut ready = Ready {
            socket: next(),
            supervisor_ended: self.supervisor.is_some() && next(),
            message: self.supervisor.is_some() && next(),
            runtime_ended: self.runtime.is_some() && next(),
            connections: (0..self.connections.len()).filter(|_| next()).collect(),
            ..Ready::default()
        };
        for ((number, _), events) in self.custody.listeners().zip(answers) {
            if events.contains(PollFlags::POLLHUP) {
                ready.gone.push(number);
            } else if events.contains(PollFlags::POLLIN) {
                ready.asking.push(number);
            }
        }
        Ok(ready)
    }

    fn timeout(&self) -> PollTimeout {
        let look = self.call.as_ref().map(RuntimeCall::due);
        let dues = self.restart_at.into_iter().chain(self.emergency.due()).chain(look);
        let due = dues.fold(self.pulse.due(), Instant::min);
        // Rounded up, so that the deadline has passed when the wait ends.
        let wait = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
    }

    fn act(&mut self, ready: &Ready) {
        if ready.message {
            let _is_open = self.read_message();
        }
        if ready.supervisor_ended {
            self.bury_supervisor();
        }
        if self.pulse.take_due() {
            self.feel_pulse();
            self.follow_logs();
        }
        // Connections come before the runtime's end: a runtime sends the listener before it leaves.
        if ready.socket {
            self.accept();
        }
        for place in ready.connections.iter().rev() {
            self.advance(*place);
        }
        for number in &ready.gone {
            self.release(*number);
        }
        for number in &ready.asking {
            self.custody.with(*number, |listener, slots| self.emergency.answer(listener, slots));
        }
        if self.emergency.is_beginning() {
            for number in self.custody.numbers() {
                self.custody.with(number, |listener, slots| self.emergency.answer_received(listener, slots));
            }
        }
        if ready.runtime_ended {
            self.runtime_ended();
        }
        if self.restart_at.is_some_and(|due| due <= Instant::now()) {
            self.start_supervisor();
        }
        if let Some(call) = self.call.as_mut().filter(|call| call.due() <= Instant::now()) {
            call.postpone();
            // A runtime that has connected is about to send a listener.
            if self.runtime.is_some() && self.connections.is_empty() {
                self.look_for_container(Stage::AtWork);
            }
        }
    }

    /// Looks whether a container runs whose listener has not come and will not: it is killed in enforce mode.
    fn look_for_container(&mut self, stage: Stage) {
        let Some(call) = &self.call else { return };
        let Some(process) = call.container(stage) else { return };
        let fate = match self.emergency.mode() {
            Mode::Audit => "it runs without supervision",
            Mode::Enforce => match call.kill(&process) {
                Ok(()) => "it was killed, because it would run without supervision",
                Err(error) => {
                    tracing::error!(%error, "a container that is not supervised cannot be killed");
                    "it runs without supervision, and cannot be killed"
                }
            },
        };
        self.call = None;
        self.emergency.raise(&InternalAlert::no_listener(fate));
    }

    /// Reads one message; `false` where there will be no other.
    fn read_message(&mut self) -> bool {
        let Some(supervisor) = &self.supervisor else { return false };
        match supervisor.control().receive::<ToGuard>() {
            Ok(Some((ToGuard::InForce, descriptors))) => self.sources = descriptors.into_iter().next(),
            Ok(Some((ToGuard::Realm(maps), descriptors))) => {
                self.realm = descriptors.into_iter().next().map(|root| Realm::new(root, maps));
            }
            Ok(Some((ToGuard::Failed { message }, _))) => tracing::error!(%message, "the supervisor cannot run"),
            Ok(Some((ToGuard::Ready { fingerprint, watched }, _))) => {
                self.memory.remember(fingerprint, &watched);
                // The profile may have been made before this was known.
                if let Some(alert) = self.untrapped.alert(&watched, &self.directory) {
                    self.emergency.raise(&alert);
                }
                self.hand_over();
            }
            // A closed socket shows as the process' end too.
            Ok(None) => return false,
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the supervisor's message is lost"),
        }
        true
    }

    /// Gives a supervisor that is ready everything to watch. Not before: until then calls may be answered here.
    fn hand_over(&mut self) {
        let Some(supervisor) = &self.supervisor else { return };
        let realm = self.realm.as_ref().map_or(Ok(()), |realm| {
            supervisor.control().send(&ToSupervisor::Realm(realm.maps().clone()), &[realm.root()])
        });
        if let Err(error) = realm.and_then(|()| self.custody.hand_over_all(supervisor.control())) {
            self.give_up(&error);
            return;
        }
        self.emergency.supervisor_is_ready(self.custody.taken());
    }

    /// Ends a supervisor that does not take what it is given; the next one gets everything.
    fn give_up(&mut self, error: &ControlError) {
        tracing::error!(error = error as &dyn std::error::Error, "the supervisor cannot be given a listener");
        if let Some(supervisor) = &self.supervisor {
            supervisor.kill();
        }
        self.bury_supervisor();
    }

    /// Looks whether the supervisor does its work, of whose failure nobody tells.
    fn feel_pulse(&mut self) {
        let Some(supervisor) = &self.supervisor else { return };
        match supervisor.condition() {
            Condition::Able => {}
            Condition::Stopped => supervisor.resume(),
            Condition::Hollow => return self.bury_supervisor(),
        }
        // One that is not ready has a time limit already.
        if self.emergency.has_supervisor() && self.pulse.is_missing(&self.custody) {
            tracing::error!("the supervisor takes up no calls although some wait");
            supervisor.kill();
            self.bury_supervisor();
        }
    }

    /// Leaves files that were rotated away: their space is free only when nobody has them open.
    fn follow_logs(&self) {
        self.emergency.follow_log();
        if let Err(error) = diagnostics::follow(&self.log) {
            tracing::error!(%error, log = %self.log.display(), "our own log was moved and cannot be opened anew");
        }
    }

    fn bury_supervisor(&mut self) {
        // What it has said still counts.
        while self.supervisor.as_ref().is_some_and(SupervisorProcess::has_spoken) && self.read_message() {}
        if let Some(supervisor) = self.supervisor.take() {
            self.emergency.supervisor_is_lost(self.custody.taken());
            self.restart_at = Some(Instant::now() + supervisor.bury(&mut self.backoff));
        }
    }

    /// What a supervisor needs to outlive us.
    fn estate(&self) -> Vec<BorrowedFd<'_>> {
        let mut estate = vec![self.lock.as_fd(), self.socket.as_fd()];
        estate.extend(self.sources.as_ref().map(AsFd::as_fd));
        estate.extend(self.runtime_at_work().map(AsFd::as_fd));
        estate
    }

    /// The low-level runtime, until a listener has come from it.
    fn runtime_at_work(&self) -> Option<&Pidfd> {
        self.runtime.as_ref().filter(|_| !self.custody.was_used())
    }

    /// Starts a supervisor process.
    pub(super) fn new_supervisor(&self) -> Result<SupervisorProcess, SupervisorError> {
        let begin = ToSupervisor::Begin { has_runtime: self.runtime_at_work().is_some() };
        self.command.start(&begin, &self.estate())
    }

    fn start_supervisor(&mut self) {
        match self.new_supervisor() {
            Ok(supervisor) => {
                self.supervisor = Some(supervisor);
                self.pulse.reset();
                self.restart_at = None;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no supervisor can be started");
                self.restart_at = Some(Instant::now() + Duration::from_secs(1));
            }
        }
    }

    fn accept(&mut self) {
        loop {
            let stream = match self.socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection on the listener socket");
                    std::thread::sleep(ACCEPT_PAUSE);
                    return;
                }
            };
            if self.connections.len() >= MAX_CONNECTIONS {
                tracing::error!(limit = MAX_CONNECTIONS, "too many connections wait on the listener socket");
                return;
            }
            match Connection::new(stream) {
                Ok(connection) => {
                    self.connections.push(connection);
                    self.advance(self.connections.len() - 1);
                }
                Err(error) => tracing::error!(%error, "a connection to the listener socket was refused"),
            }
        }
    }

    fn advance(&mut self, place: usize) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        match connection.advance() {
            Ok(Progress::Waiting) => return,
            Ok(Progress::Listener(listener)) => self.take(listener),
            Ok(Progress::Closed) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a handshake failed");
            }
        }
        drop(self.connections.swap_remove(place));
    }

    fn take(&mut self, listener: Listener) {
        let number = match self.custody.take(listener) {
            Ok(number) => {
                self.call = None;
                number
            }
            Err(error) => {
                // Without slots a supervisor cannot be replaced safely; dropping the listener ends the process that uses
                // it with ENOSYS at its first call, which is loud and closed.
                tracing::error!(error = &error as &dyn std::error::Error, "a listener cannot be kept");
                return;
            }
        };
        // One that is not ready gets all at once when it is.
        let Some(supervisor) = self.supervisor.as_ref().filter(|_| self.emergency.has_supervisor()) else { return };
        if let Err(error) = self.custody.hand_over(number, supervisor.control()) {
            self.give_up(&error);
        }
    }

    fn release(&mut self, number: u32) {
        self.custody.release(number);
        let Some(supervisor) = &self.supervisor else { return };
        if let Err(error) = supervisor.control().send(&ToSupervisor::Gone { listener: number }, &[]) {
            tracing::debug!(error = &error as &dyn std::error::Error, number, "the supervisor is gone too");
        }
    }

    fn runtime_ended(&mut self) {
        // It may have connected after this round's wait.
        self.accept();
        self.runtime = None;
    }

    fn leave(mut self) {
        if let Some(supervisor) = self.supervisor.take() {
            if let Err(error) = supervisor.control().send(&ToSupervisor::Finish, &[]) {
                tracing::debug!(error = &error as &dyn std::error::Error, "the supervisor has left already");
            }
            if let Err(error) = supervisor.finish(FINISH_PATIENCE) {
                tracing::error!(%error, "the supervisor cannot be waited for");
            }
        }
        if let Err(error) = self.directory.remove_with(self.lock.as_fd()) {
            tracing::error!(error = &error as &dyn std::error::Error, "the run directory is left behind");
        }
        if let Err(error) = self.directory.remove_stale_siblings() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a run directory that nobody uses is left behind"
            );
        }
        drop(self.lock);
        tracing::info!(directory = %self.directory.path().display(), "the container is gone");
    }
}
