// SPDX-License-Identifier: Apache-2.0
//! The tools of the command line, run as they are run: what they print where, and how they end.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::tests_outside_test_module,
    reason = "test code"
)]

mod support;

mod describe;
mod explain;
mod logs;
mod serve;
mod validate;
