// SPDX-License-Identifier: Apache-2.0
//! The node service, `lanner serve`: brings the alerts of the event log to the sinks.
//!
//! Each sink has a thread of its own, which follows the log from its own [`position`](position::Position). There is no
//! queue to overflow: what a sink has not taken is in the log.

mod bell;
mod config_watch;
mod delivery;
pub(crate) mod directory_watch;
pub(crate) mod line;
pub(crate) mod log_reader;
mod outputs;
mod position;
mod rotation;
pub(crate) mod service;
mod sink;
#[cfg(test)]
mod tests;
