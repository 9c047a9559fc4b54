// SPDX-License-Identifier: Apache-2.0
//! How many descriptors a process of ours may have: as many as it is let. A supervisor has three for every open that waits,
//! a guard two for every listener, of which each `exec` brings one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit of this process to the most that it may have.
pub(crate) fn raise() {
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    if let Err(errno) = limits.and_then(|(_soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard)) {
        tracing::warn!(%errno, "the limit of open files stays where it is");
    }
}
