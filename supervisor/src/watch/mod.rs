// SPDX-License-Identifier: Apache-2.0
//! One listener's life: receive, ask the rules, answer.
//!
//! A watch is one thread that blocks in RECV. Between receive and respond nothing waits for anybody else; the one write
//! is the alert. Every notification is answered exactly once, whatever fails.

mod alerting;
mod answer;
mod executing;
mod interrupted;
mod life;
mod opening;
mod waiting;

pub(crate) use life::{Watch, WatchThread};
