// SPDX-License-Identifier: Apache-2.0
//! Facts of processes, read from `/proc` when asked.
//!
//! No *value* outlives an event: a process may execute, rename itself or change its user between two calls, and a second
//! thread may open a file while the first one is still inside `execve`. What is kept are open descriptors of `/proc/PID` and
//! of the files in it, which saves most of the cost: the kernel binds them to the task, not to its number, so that reads
//! fail with ESRCH once the task is gone, whoever got its number meanwhile.

mod activity;
mod auxiliary;
mod capability;
mod cgroup;
mod descriptor;
mod handle;
mod hidden_memory;
mod interpreter;
mod layer;
mod long_path;
mod mount;
mod socket;
mod stat;
mod status;
mod table;
mod unseen;

pub(crate) use activity::{Activity, Wait};
pub(crate) use auxiliary::Auxiliary;
pub(crate) use capability::names as capability_names;
pub(crate) use cgroup::{Cgroup, HOLD, without_holds};
pub(crate) use descriptor::{Descriptor, Kind, has_lost_name, is_marked, kernel_path};
pub(crate) use handle::{MAX_FIRST_ARGUMENT, Process, auxiliary_of, name_of, read_system_setting, state_of};
pub(crate) use hidden_memory::read_hidden;
pub(crate) use interpreter::{linked_file, loaded_beside};
pub(crate) use layer::{Layer, layer};
pub(crate) use mount::{cgroup2_mounts, mount_root};
pub(crate) use socket::{End, Socket};
pub(crate) use stat::Stat;
pub(crate) use status::Status;
pub(crate) use table::{Ancestors, ProcessTable};
pub(crate) use unseen::{found, overlook, unseen};

#[cfg(test)]
pub(crate) mod tests;
