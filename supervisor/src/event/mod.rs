// SPDX-License-Identifier: Apache-2.0
//! One call as rules see it: the values of all fields, each computed when it is asked for the first time.
#![expect(clippy::wildcard_enum_match_arm, reason = "fields come in groups, of which the last member is what is left")]

mod argument;
mod call;
mod clock;
mod connection;
mod container;
mod context;
mod evt;
mod fd;
mod file;
mod held;
mod image;
mod join;
mod outcome;
mod paths;
mod poll;
mod proc;
mod resolve;
mod subject;
mod user;

pub(crate) use argument::enumerated_text;
pub(crate) use call::{CallEvent, Decision};
pub(crate) use clock::{Clock, Moment};
pub(crate) use context::Context;
pub(crate) use image::ExecSnapshot;

#[cfg(test)]
mod tests;
