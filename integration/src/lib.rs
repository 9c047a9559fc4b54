// SPDX-License-Identifier: Apache-2.0
//! The harness of the end-to-end tests: real bundles, runtimes and engines, with Lanner between them.
//!
//! Everything a test starts lives in its own temporary folder and ends with the value that owns it, so tests run beside
//! each other; nothing is waited for with a sleep, only with a condition and a deadline. A test begins by naming what it
//! needs ([`skipped`]) and is over, with a printed reason, where that is missing.
#![expect(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a harness fails its test by panicking")]

mod alert;
mod bundle;
mod container;
mod containerd;
mod cri;
mod engine;
mod hanging;
mod image;
mod initramfs;
mod kernel;
mod lanner;
mod listener;
mod machine;
mod overlay;
mod podman;
mod requirement;
mod rules_text;
mod tally;
mod unprivileged;
mod wait;
mod workload;

pub use self::{
    alert::Alert,
    bundle::{Bundle, target},
    container::{Container, text},
    containerd::Containerd,
    cri::{Cri, Exec, Pod, Running},
    engine::{Engine, LowLevel},
    hanging::HangingMount,
    kernel::Kernel,
    lanner::{Lanner, Settings, binary},
    listener::Listener,
    machine::{Machine, Outcome},
    podman::Podman,
    requirement::{Requirement, falco_files, skipped},
    rules_text::{FIRST_SCENARIO, NEVER, PROBES, UNRELATED},
    tally::Tally,
    wait::wait_for,
    workload::{bare_workload, dynamic_workload, foreign_workload, workload},
};
