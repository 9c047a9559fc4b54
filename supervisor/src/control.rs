// SPDX-License-Identifier: Apache-2.0
//! What guard and supervisor tell each other: JSON messages with descriptors over a `SOCK_SEQPACKET` socket pair.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, socketpair},
};
use policy::Watched;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::sys::{self, SyscallError};

/// Largest message: an error text, not a payload.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// How long the other side may take to read what fills the socket, of which some 280 messages with two descriptors each do.
const PATIENCE: Duration = Duration::from_secs(2);

/// One end of the socket pair.
#[derive(Debug)]
pub(crate) struct Control(OwnedFd);

/// The maps of a user namespace, as `/proc/PID/uid_map` and `gid_map` show them to the host (`user_namespaces(7)`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Maps {
    pub(crate) users: String,
    pub(crate) groups: String,
}

/// Guard to supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum ToSupervisor {
    /// Always the first message. Comes with the guard's lock and socket, which a supervisor keeps for the case that the
    /// guard dies, and with the texts that were in force under a predecessor, if there was one.
    Begin {
        /// Whether the last descriptor is the process of the low-level runtime, from which no listener has come yet.
        has_runtime: bool,
    },
    /// Where the container's numbers and names mean something, as a predecessor found it; comes with the root directory.
    Realm(Maps),
    /// Watch a listener; comes with two descriptors: the listener and its slots.
    Watch {
        /// Number of the listener within its container, never used twice.
        listener: u32,
    },
    /// Every task of this listener is gone.
    Gone {
        /// The number it was given.
        listener: u32,
    },
    /// The container is gone: leave.
    Finish,
}

/// Supervisor to a new guard, after the old one died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum ToNewGuard {
    /// A listener; comes with the listener and its slots.
    Listener {
        /// The number it was given.
        listener: u32,
    },
    /// See [`ToSupervisor::Realm`].
    Realm(Maps),
    /// The last message; comes with the old guard's lock and socket, the supervisor's process, and the texts in force, if
    /// there are any.
    Complete {
        /// The number that the next listener gets.
        next_listener: u32,
        /// See [`ToSupervisor::Begin`].
        has_runtime: bool,
    },
}

/// Supervisor to guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum ToGuard {
    /// Rules and log are in place.
    Ready {
        /// Which version of the texts; 0 where none are in force.
        fingerprint: u64,
        /// The calls they need beyond the base set.
        watched: Vec<Watched>,
    },
    /// New rules are in force; comes with their texts, for the next supervisor.
    InForce,
    /// See [`ToSupervisor::Realm`]; for the next supervisor.
    Realm(Maps),
    /// The container must not start under this supervisor.
    Failed {
        /// The cause, in words for the person who must fix it.
        message: String,
    },
}

/// A message could not be exchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] SyscallError),
    /// The other side does not speak this version's messages.
    #[error("cannot understand a control message")]
    Message(#[source] serde_json::Error),
}

impl Control {
    /// A connected pair.
    pub(crate) fn pair() -> Result<(Self, Self), SyscallError> {
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .map(|(ours, theirs)| (Self(ours), Self(theirs)))
            .map_err(|errno| SyscallError::from_errno("socketpair", errno))
    }

    /// Takes a descriptor that was inherited.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Gives the descriptor up, to become a child's standard input.
    pub(crate) fn into_descriptor(self) -> OwnedFd {
        self.0
    }

    /// Sends one message; fails where the other side does not read any more.
    pub(crate) fn send(&self, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> Result<(), ControlError> {
        let bytes = serde_json::to_vec(message).map_err(ControlError::Message)?;
        Ok(sys::send_with_descriptors(self.0.as_fd(), &bytes, descriptors, PATIENCE)?)
    }

    /// Waits for one message; `None` when the other side is gone.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>, ControlError> {
        let mut buffer = vec![0; MAX_MESSAGE_BYTES];
        let (length, descriptors) = loop {
            match sys::receive_with_descriptors(self.0.as_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(message) => break message,
                // The other side is gone with messages of ours unread. What it has sent before is still to be read.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                Err(errno) => return Err(SyscallError { call: "recvmsg", source: io::Error::from(errno) }.into()),
            }
        };
        match buffer.get(..length) {
            None | Some([]) => Ok(None),
            Some(bytes) => {
                let message = serde_json::from_slice(bytes).map_err(ControlError::Message)?;
                Ok(Some((message, descriptors)))
            }
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_messages_than_fit_wait_for_a_reader_and_not_for_ever() {
        const MANY: u32 = 1000;
        let (guard, supervisor) = Control::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let send = |listener| guard.send(&ToSupervisor::Watch { listener }, &[file.as_fd(), file.as_fd()]);
        std::thread::scope(|scope| {
            let read = || (0..MANY).all(|_| supervisor.receive::<ToSupervisor>().unwrap().is_some());
            let reader = scope.spawn(read);
            (0..MANY).for_each(|listener| send(listener).unwrap());
            assert!(reader.join().unwrap());
        });
        (0..MANY).try_for_each(send).expect_err("nobody reads");
        // What was sent before the other side has gone is there, although something of ours was not read.
        supervisor.send(&ToGuard::InForce, &[]).unwrap();
        drop(supervisor);
        assert!(matches!(guard.receive::<ToGuard>().unwrap(), Some((ToGuard::InForce, _))));
        assert!(guard.receive::<ToGuard>().unwrap().is_none());
    }

    #[test]
    fn a_message_arrives_with_its_descriptors_and_a_closed_end_reads_as_none() {
        let (guard, supervisor) = Control::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        guard.send(&ToSupervisor::Watch { listener: 3 }, &[file.as_fd(), file.as_fd()]).unwrap();
        let (message, descriptors) = supervisor.receive::<ToSupervisor>().unwrap().unwrap();
        assert_eq!(message, ToSupervisor::Watch { listener: 3 });
        assert_eq!(descriptors.len(), 2);
        drop(guard);
        assert!(supervisor.receive::<ToSupervisor>().unwrap().is_none());
    }
}
