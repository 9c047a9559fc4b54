// SPDX-License-Identifier: Apache-2.0
//! Which names stand for an address: the fields `fd.sip.name` and the like.
//!
//! *Falco* resolves no address: the names that rules compare these fields with are resolved, and an event's address has
//! those names of which it is one of the addresses. There it happens when a name is compared for the first time, and the
//! event waits; here a thread of its own resolves all names of the rules in force from the time on at which they are, and
//! events see what is known. The thread exists if a rule has ever asked for it.

mod lookup;
mod resolver;
mod table;

pub(crate) use resolver::NameResolver;
pub(crate) use table::NameTable;

#[cfg(test)]
mod tests;
