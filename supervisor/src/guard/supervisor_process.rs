// SPDX-License-Identifier: Apache-2.0
//! The supervisor as its guard sees it: a child process that may die at any time and is replaced.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::Pid,
};
use policy::Watched;
use tracing::Level;

use crate::{
    backoff::Backoff,
    control::{Control, ControlError, ToGuard, ToSupervisor},
    diagnostics, executable,
    process::Process,
    sys::{Pidfd, SyscallError},
};

/// How long the threads of a supervisor may take to end that was killed, or whose first one is gone.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// How to start a supervisor.
#[derive(Debug, Clone)]
pub(super) struct SupervisorCommand {
    /// The container's run directory.
    pub(super) directory: PathBuf,
    /// The configuration file.
    pub(super) config: PathBuf,
    /// How much it says, also before it has read the configuration.
    pub(super) log_level: Level,
}

/// A running supervisor.
#[derive(Debug)]
pub(super) struct SupervisorProcess {
    /// `None` where it is older than this guard, and somebody else's child.
    child: Option<Child>,
    /// To look at it; `None` where it ended before we could.
    process: Option<Process>,
    pidfd: Pidfd,
    control: Control,
    started: Instant,
}

/// How a supervisor is that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing keeps it from its work, as far as the kernel knows.
    Able,
    /// It was sent SIGSTOP.
    Stopped,
    /// It was killed, and one of its threads cannot end: a file system's server that has read a request of it and does not
    /// answer holds it up for ever (`request_wait_answer` of the kernel's `fuse/dev.c`). The process does not end then
    /// either, nor are its descriptors closed, but its first thread is gone.
    Hollow,
}

/// A supervisor cannot be started, or does not want to run.
#[derive(Debug, thiserror::Error)]
pub(super) enum SupervisorError {
    /// The process cannot be made.
    #[error("cannot start a supervisor")]
    Spawn(#[source] io::Error),
    /// A system call on its behalf failed.
    #[error(transparent)]
    Syscall(#[from] SyscallError),
    /// The control socket failed.
    #[error("cannot speak with the supervisor")]
    Control(#[from] ControlError),
    /// It said why the container must not start.
    #[error("{0}")]
    Refused(String),
    /// It ended before it was ready.
    #[error("the supervisor ended before it was ready")]
    Ended,
    /// It is not ready yet.
    #[error("the supervisor was not ready within {} seconds", .0.as_secs())]
    TooSlow(Duration),
}

impl SupervisorCommand {
    /// Starts a supervisor whose standard input is the control socket; its log goes where ours goes. `estate` is what
    /// comes with the message, which is [`ToSupervisor::Begin`].
    pub(super) fn start(
        &self,
        begin: &ToSupervisor,
        estate: &[BorrowedFd<'_>],
    ) -> Result<SupervisorProcess, SupervisorError> {
        let (control, theirs) = Control::pair()?;
        let mut command = executable::command();
        diagnostics::pass_on(&mut command, self.log_level);
        let mut child = command
            .arg("--config")
            .arg(&self.config)
            .arg("supervise")
            .arg("--directory")
            .arg(&self.directory)
            .stdin(Stdio::from(theirs.into_descriptor()))
            .stdout(Stdio::null())
            .spawn()
            .map_err(SupervisorError::Spawn)?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let opened = Pidfd::open(pid).map_err(SupervisorError::Spawn);
        match opened.and_then(|pidfd| control.send(begin, estate).map(|()| pidfd).map_err(SupervisorError::Control)) {
            Ok(pidfd) => {
                let process = Process::open(child.id());
                Ok(SupervisorProcess { child: Some(child), process, pidfd, control, started: Instant::now() })
            }
            Err(error) => {
                // One that lived on would take us for dead.
                if let Err(error) = child.kill().and_then(|()| child.wait()) {
                    tracing::error!(%error, "a supervisor that cannot begin cannot be killed");
                }
                Err(error)
            }
        }
    }
}

impl SupervisorProcess {
    /// The socket to speak with it.
    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    /// Waits until it says that it is ready, and with it which texts are in force and the calls they need.
    pub(super) fn wait_until_ready(&self, patience: Duration) -> Result<(u64, Vec<Watched>), SupervisorError> {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let mut wanted = [PollFd::new(self.control.as_fd(), PollFlags::POLLIN)];
        match poll(&mut wanted, timeout) {
            Ok(0) => return Err(SupervisorError::TooSlow(patience)),
            Ok(_) => {}
            Err(errno) => return Err(SyscallError::from_errno("poll", errno).into()),
        }
        match self.control.receive()? {
            Some((ToGuard::Ready { fingerprint, watched }, _)) => Ok((fingerprint, watched)),
            Some((ToGuard::Failed { message }, _)) => Err(SupervisorError::Refused(message)),
            Some((ToGuard::InForce | ToGuard::Realm(_), _)) | None => Err(SupervisorError::Ended),
        }
    }

    /// The supervisor that has started this guard.
    pub(super) fn adopt(pidfd: Pidfd, control: Control) -> Self {
        let process = pidfd.number().and_then(Process::open);
        Self { child: None, process, pidfd, control, started: Instant::now() }
    }

    /// Whether a message of it is to be read, or the end of its messages.
    pub(super) fn has_spoken(&self) -> bool {
        is_readable(self.control.as_fd(), Duration::ZERO)
    }

    /// What the kernel says of it.
    pub(super) fn condition(&self) -> Condition {
        match self.process.as_ref().and_then(Process::stat).map(|stat| stat.state) {
            Some(b'Z') => Condition::Hollow,
            Some(b'T') => Condition::Stopped,
            _ => Condition::Able,
        }
    }

    /// Lets it go on after it was stopped.
    pub(super) fn resume(&self) {
        match self.pidfd.resume() {
            Ok(()) => {
                tracing::error!("somebody has stopped the supervisor, and its container's calls wait: it goes on");
            }
            Err(error) => tracing::error!(%error, "the supervisor is stopped, and cannot be told to go on"),
        }
    }

    /// Kills one that does not do its work.
    pub(super) fn kill(&self) {
        if let Err(error) = self.pidfd.kill() {
            tracing::error!(%error, "a supervisor that does not do its work cannot be killed");
        }
    }

    /// Collects the process after it has ended, was killed or found [hollow](Condition::Hollow); how long it lived decides
    /// about the next one's delay.
    pub(super) fn bury(mut self, backoff: &mut Backoff) -> Duration {
        let delay = backoff.next(self.started.elapsed());
        self.ends_within(END_PATIENCE);
        match self.collect() {
            Ok(status) => tracing::warn!(?status, ?delay, "the supervisor ended and is replaced"),
            Err(error) => tracing::error!(%error, "the supervisor cannot be waited for"),
        }
        delay
    }

    /// Gives the process `patience` to leave by itself, then kills it.
    pub(super) fn finish(mut self, patience: Duration) -> io::Result<()> {
        if !self.ends_within(patience) {
            tracing::warn!("the supervisor did not leave by itself and is killed");
            self.pidfd.kill()?;
            self.ends_within(END_PATIENCE);
        }
        self.collect().map(drop)
    }

    fn ends_within(&self, patience: Duration) -> bool {
        is_readable(self.pidfd.as_fd(), patience)
    }

    /// What it ended with; `None` for one that cannot end, which is left to whoever adopts our children, or somebody else's child.
    fn collect(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_none() {
            tracing::error!(pid = child.id(), "a thread of the supervisor that ended waits for a file system for ever");
        }
        Ok(status)
    }
}

/// Whether something can be read within that time; no where nobody can tell.
fn is_readable(descriptor: BorrowedFd<'_>, patience: Duration) -> bool {
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], timeout).unwrap_or(0) != 0
}

impl AsFd for SupervisorProcess {
    /// Readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
