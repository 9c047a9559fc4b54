// SPDX-License-Identifier: Apache-2.0
//! Who the container is: constant for its life, from what the shim left in the run directory.

mod docker;
mod identity;
mod image;
mod pod_labels;
mod podman;
mod selinux;
mod spec;

pub(crate) use identity::{Identity, LoadIdentityError, device_rules, short_id};
pub(crate) use pod_labels::listed as listed_labels;
pub(crate) use selinux::enforced_label;
pub(crate) use spec::Mount;

#[cfg(test)]
mod tests;
