// SPDX-License-Identifier: Apache-2.0
//! Our own program, to start another process of it.

use std::{env, os::unix::process::CommandExt as _, process::Command};

/// The file that this process executes. Not its path, which after an upgrade names another file or none at all: guard and
/// supervisor speak their version's messages, and one of them must be able to replace the other at any time.
pub(crate) const OWN: &str = "/proc/self/exe";

/// A command for our own program, called as we were.
pub(crate) fn command() -> Command {
    let mut command = Command::new(OWN);
    command.arg0(env::args_os().next().unwrap_or_else(|| "lanner".into()));
    command
}
