// SPDX-License-Identifier: Apache-2.0
//! From rules and mode to profile and verdict.
//!
//! Pure: knows numbers and errnos, and neither tokio nor the kernel.
#![forbid(unsafe_code)]

mod actions;
mod errno;
mod interest;
mod mode;
mod profile;
mod syscall;
mod verdict;

pub use actions::{ActionEntry, Enforce, ResolvedAction, RuleFacts, resolve};
pub use errno::{Errno, UnknownErrno};
pub use interest::{
    BASE, BPF_ATTACHING, Comparison, FAN_REPORT_FID, MOUNTING, PR_SET_MM, RegisterTest, Watched, after_closes,
    before_listening, enforced, hooking, is_base, merged, opening_unseen, posing, unwatchable_types, watchable,
    watched,
};
pub use mode::{Mode, UnknownMode};
pub use profile::{LISTENER_PATH_MAX, Plan, ProfileError, misspelt, patched, unpatched};
pub use syscall::{Arch, Meaning, Syscall, ipc_call, lookup, socket_call};
pub use verdict::Verdict;
