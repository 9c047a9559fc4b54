// SPDX-License-Identifier: Apache-2.0
//! Receiving a listener from the low-level runtime (OCI runtime spec, config-linux.md, "The Container Process State").
//!
//! One JSON document per connection, the descriptors with its first byte. runc sends it in one message and leaves the
//! connection open until it ends; crun connects early, prints the document over several lines, and closes an unused
//! connection without a byte. So nothing here waits for the end of a connection, and an empty one is no error.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, getsockopt, sockopt::PeerCredentials},
    unistd::geteuid,
};
use serde::Deserialize;

use crate::sys::{self, Listener, SyscallError};

/// Largest state document: annotations may be long, but not without end.
const MAX_STATE_BYTES: usize = 1 << 20;
/// Piece in which it is read.
const READ_BYTES: usize = 16 << 10;
/// The name that the OCI spec gives to the listener among the descriptors.
const LISTENER_NAME: &str = "seccompFd";

/// A connection on which a listener may arrive.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// What a connection has come to.
#[derive(Debug)]
pub(super) enum Progress {
    /// The document is not complete yet.
    Waiting,
    /// A listener has arrived.
    Listener(Listener),
    /// The other side closed without sending anything.
    Closed,
}

/// A connection that brought no listener.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] SyscallError),
    /// Somebody else than root or us.
    #[error("the listener socket was used by uid {0}")]
    Stranger(u32),
    /// The document is longer than any runtime's.
    #[error("the container process state is longer than {MAX_STATE_BYTES} bytes")]
    TooLong,
    /// The connection ended inside the document, or it is none.
    #[error("cannot read the container process state")]
    NotState(#[source] serde_json::Error),
    /// The names and the descriptors do not fit.
    #[error("the container process state names {named} descriptors, and {received} came")]
    Descriptors {
        /// Entries of `fds`.
        named: usize,
        /// Descriptors received.
        received: usize,
    },
    /// No descriptor is a listener.
    #[error("the container process state names no `{LISTENER_NAME}`")]
    NoListener,
}

/// The part of `ContainerProcessState` that decides something here.
#[derive(Debug, Deserialize)]
struct ProcessState {
    fds: Vec<String>,
}

impl Connection {
    /// Takes an accepted connection of root or our own user.
    pub(super) fn new(stream: UnixStream) -> Result<Self, HandshakeError> {
        let peer = getsockopt(&stream, PeerCredentials)
            .map_err(|errno| SyscallError::from_errno("getsockopt(SO_PEERCRED)", errno))?;
        if peer.uid() != 0 && peer.uid() != geteuid().as_raw() {
            return Err(HandshakeError::Stranger(peer.uid()));
        }
        Ok(Self { stream, received: Vec::new(), descriptors: Vec::new() })
    }

    /// Reads what is there; call it when the connection is readable.
    pub(super) fn advance(&mut self) -> Result<Progress, HandshakeError> {
        let mut buffer = [0; READ_BYTES];
        loop {
            let (length, descriptors) =
                match sys::receive_with_descriptors(self.stream.as_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                    Ok(message) => message,
                    Err(Errno::EAGAIN) => return Ok(Progress::Waiting),
                    Err(Errno::EINTR) => continue,
                    Err(errno) => {
                        return Err(SyscallError { call: "recvmsg", source: io::Error::from(errno) }.into());
                    }
                };
            self.descriptors.extend(descriptors);
            let Some(piece) = buffer.get(..length).filter(|piece| !piece.is_empty()) else { return self.ended() };
            if self.received.len() + piece.len() > MAX_STATE_BYTES {
                return Err(HandshakeError::TooLong);
            }
            self.received.extend_from_slice(piece);
            match serde_json::from_slice::<ProcessState>(&self.received) {
                Ok(state) => return self.take_listener(&state).map(Progress::Listener),
                Err(error) if error.is_eof() => {}
                Err(error) => return Err(HandshakeError::NotState(error)),
            }
        }
    }

    fn ended(&self) -> Result<Progress, HandshakeError> {
        match serde_json::from_slice::<ProcessState>(&self.received) {
            Err(error) if !self.received.is_empty() => Err(HandshakeError::NotState(error)),
            _ => Ok(Progress::Closed),
        }
    }

    /// Picks the listener; the other descriptors are closed with the connection.
    fn take_listener(&mut self, state: &ProcessState) -> Result<Listener, HandshakeError> {
        let received = self.descriptors.len();
        if state.fds.len() != received {
            return Err(HandshakeError::Descriptors { named: state.fds.len(), received });
        }
        let place = state.fds.iter().position(|name| name == LISTENER_NAME).ok_or(HandshakeError::NoListener)?;
        Ok(Listener::new(self.descriptors.swap_remove(place)))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write, net::Shutdown, time::Duration};

    use super::*;

    const STATE: &str = r#"{"ociVersion":"1.0.2-dev","fds":["seccompFd"],"pid":7,"metadata":"m","state":{"id":"a"}}"#;

    fn connection() -> (UnixStream, Connection) {
        let (theirs, ours) = UnixStream::pair().unwrap();
        (theirs, Connection::new(ours).unwrap())
    }

    fn send(stream: &UnixStream, text: &str, descriptors: usize) {
        let file = File::open("/dev/null").unwrap();
        let descriptors: Vec<_> = (0..descriptors).map(|_| file.as_fd()).collect();
        sys::send_with_descriptors(stream.as_fd(), text.as_bytes(), &descriptors, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_state_in_one_message_brings_the_listener_while_the_connection_stays_open() {
        let (theirs, mut connection) = connection();
        send(&theirs, STATE, 1);
        assert!(matches!(connection.advance().unwrap(), Progress::Listener(_)));
        drop(theirs);
    }

    #[test]
    fn a_state_in_pieces_is_put_together() {
        let (mut theirs, mut connection) = connection();
        assert!(matches!(connection.advance().unwrap(), Progress::Waiting));
        let (first, second) = STATE.split_at(20);
        send(&theirs, first, 1);
        assert!(matches!(connection.advance().unwrap(), Progress::Waiting));
        theirs.write_all(second.as_bytes()).unwrap();
        assert!(matches!(connection.advance().unwrap(), Progress::Listener(_)));
    }

    #[test]
    fn an_empty_connection_is_no_error() {
        let (theirs, mut connection) = connection();
        theirs.shutdown(Shutdown::Both).unwrap();
        assert!(matches!(connection.advance().unwrap(), Progress::Closed));
    }

    #[test]
    fn bad_states_are_refused_by_name() {
        for (text, descriptors, expected) in [
            (STATE, 0, "names 1 descriptors, and 0 came"),
            (STATE, 2, "names 1 descriptors, and 2 came"),
            (r#"{"fds":["pidFd"]}"#, 1, "names no `seccompFd`"),
            (r#"{"fds":"seccompFd"}"#, 1, "cannot read the container process state"),
            ("rubbish", 0, "cannot read the container process state"),
        ] {
            let (theirs, mut connection) = connection();
            send(&theirs, text, descriptors);
            let error = connection.advance().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_connection_that_ends_inside_the_state_is_an_error() {
        let (theirs, mut connection) = connection();
        send(&theirs, "{\"fds\":", 1);
        drop(theirs);
        connection.advance().unwrap_err();
    }
}
