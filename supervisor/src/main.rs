// SPDX-License-Identifier: Apache-2.0
//! `lanner`: watches containers, answers their calls, and brings the alerts where they are read.

mod cli;
mod config;

mod backoff;
mod guard;
mod guard_estate;
mod handing_over;

mod beginning;
mod enforce;
mod in_force;
mod interest;
mod reload;
mod shared;
mod sources;
mod supervise;
mod untrapped;
mod wake_ups;
mod watch;

mod account;
mod container;
mod decode;
mod event;
mod names;
mod plain_file;
mod process;
mod target;

mod alert;
mod event_log;
mod internal_alert;

mod bounded;
mod control;
mod counters;
mod descriptor_limit;
mod diagnostics;
mod executable;
mod run_directory;
mod slots;
mod sys;
mod unix_time;

mod node;
mod recorded_event;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Executed through a link in /proc we would be called `exe` by ps and the like.
    let _still_called_so = nix::sys::prctl::set_name(c"lanner");
    cli::run()
}
