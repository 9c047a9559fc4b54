// SPDX-License-Identifier: Apache-2.0
//! One listener's life: receive, ask the rules, answer.
//!
//! One thread of a watch blocks in RECV, see [`crew`]. Between receive and respond nothing waits for anybody else; the one
//! write is the alert. Every notification is answered exactly once, whatever fails.

mod alerting;
mod answer;
mod aside;
mod crew;
mod delivery;
mod executing;
mod left;
mod life;
mod messages;
mod opening;
mod performing;
mod served;
mod waiting;
mod withdrawn;

pub(crate) use life::{RunningWatch, Watch};
