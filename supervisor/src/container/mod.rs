// SPDX-License-Identifier: Apache-2.0
//! Who the container is: constant for its life, from what the shim left in the run directory.

mod confinement;
mod docker;
mod identity;
mod image;
mod pod_labels;
mod spec;

pub(crate) use confinement::Confinement;
pub(crate) use identity::{Identity, LoadIdentityError, device_rules};
pub(crate) use pod_labels::listed as listed_labels;
pub(crate) use spec::Mount;

#[cfg(test)]
mod tests;
