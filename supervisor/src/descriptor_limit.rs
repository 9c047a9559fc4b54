// SPDX-License-Identifier: Apache-2.0
//! How many descriptors a process of ours may have: as many as it is let. A supervisor has three for every open that waits,
//! a guard two for every listener, of which each `exec` brings one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a busy container takes, with a thousand opens that wait.
const WANTED: u64 = 65_536;
/// With less, nearly every call would fail that is performed for a container.
const LEAST: u64 = 128;

/// Raises the limit of this process to what it wants, or to the most that it may have; says whether that is enough to perform
/// calls.
pub(crate) fn raise() -> bool {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_soft, hard)| {
        let wanted = hard.max(WANTED);
        // Who may not raise the hard limit (CAP_SYS_RESOURCE) goes up to it.
        setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted)
            .or_else(|_errno| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))
    });
    if let Err(errno) = raised {
        tracing::warn!(%errno, "the limit of open files stays where it is");
    }
    current() >= LEAST
}

/// How many descriptors this process may have.
pub(crate) fn current() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _hard)| soft)
}
