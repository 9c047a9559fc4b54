// SPDX-License-Identifier: Apache-2.0
//! The supervisor as its guard sees it: a child process that may die at any time and is replaced.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    process::{Child, Stdio},
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
    sys::{Pidfd, SyscallError},
};

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
    pidfd: Pidfd,
    control: Control,
    started: Instant,
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
    /// comes with [`ToSupervisor::Begin`].
    pub(super) fn start(&self, estate: &[BorrowedFd<'_>]) -> Result<SupervisorProcess, SupervisorError> {
        let (control, theirs) = Control::pair()?;
        let child = executable::command()
            .arg("--config")
            .arg(&self.config)
            .arg("supervise")
            .arg("--directory")
            .arg(&self.directory)
            .env(diagnostics::LEVEL_VARIABLE, self.log_level.as_str())
            .stdin(Stdio::from(theirs.into_descriptor()))
            .stdout(Stdio::null())
            .spawn()
            .map_err(SupervisorError::Spawn)?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let pidfd = Pidfd::open(pid).map_err(SupervisorError::Spawn)?;
        control.send(&ToSupervisor::Begin, estate)?;
        Ok(SupervisorProcess { child: Some(child), pidfd, control, started: Instant::now() })
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
            Some((ToGuard::InForce, _)) | None => Err(SupervisorError::Ended),
        }
    }

    /// The supervisor that has started this guard.
    pub(super) fn adopt(pidfd: Pidfd, control: Control) -> Self {
        Self { child: None, pidfd, control, started: Instant::now() }
    }

    /// Collects the process after it has ended; how long it lived decides about the next one's delay.
    pub(super) fn bury(mut self, backoff: &mut Backoff) -> Duration {
        let delay = backoff.next(self.started.elapsed());
        match self.child.as_mut().map(Child::wait).transpose() {
            Ok(status) => tracing::warn!(?status, ?delay, "the supervisor ended and is replaced"),
            Err(error) => tracing::error!(%error, "the supervisor cannot be waited for"),
        }
        delay
    }

    /// Gives the process `patience` to leave by itself, then kills it.
    pub(super) fn finish(mut self, patience: Duration) -> io::Result<()> {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let mut ended = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ended, timeout).unwrap_or(0) == 0 {
            tracing::warn!("the supervisor did not leave by itself and is killed");
            self.pidfd.kill()?;
        }
        self.child.as_mut().map_or(Ok(()), |child| child.wait().map(drop))
    }
}

impl AsFd for SupervisorProcess {
    /// Readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
