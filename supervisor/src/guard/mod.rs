// SPDX-License-Identifier: Apache-2.0
//! The guard: one small process per container that owns the listener socket and a descriptor of every listener, and
//! keeps a supervisor alive.
//!
//! Why it exists: when the last descriptor of a listener closes, every watched call of the container fails with ENOSYS
//! for ever, and a notification that was received and not answered is never delivered again. The guard holds both the
//! listeners and the memfds that the notifications are received into, so a supervisor may die at any instant.
//!
//! It parses nothing that a container controls: the state documents on its socket come from the low-level runtime, the
//! messages on its control socket from the supervisor.

mod adopt;
mod custody;
mod emergency;
mod handshake;
mod keeper;
mod pulse;
mod remembered;
mod runtime_call;
mod start;
mod supervisor_process;

pub(crate) use adopt::{AdoptArguments, adopt};
pub(crate) use start::{GuardArguments, run};
