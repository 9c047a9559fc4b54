// SPDX-License-Identifier: Apache-2.0
//! Our own log, ours to operators: through `tracing` to standard error. Alerts never go this way.

use std::{
    error::Error,
    fmt::Write as _,
    io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use nix::{sys::stat::fstat, unistd::dup2_stderr};
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::EnvFilter;

use crate::event_log::{has_moved, open_for_appending};

/// Names the level for a child that has not read the configuration yet.
pub(crate) const LEVEL_VARIABLE: &str = "LANNER_LOG_LEVEL";

/// Starts logging to standard error at `level`, unless `RUST_LOG` says otherwise.
pub(crate) fn start(level: Level) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::from_level(level).into()).from_env_lossy();
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        // It would be told on standard error, which is where this could not be written; that panics.
        .log_internal_errors(false)
        .try_init();
    // A second start in one process changes nothing, and nothing is lost.
    drop(started);
}

/// Follows a rotation of the log at `path`, which standard error is: if the path no longer names that file, standard error
/// becomes the one it names now, or a new one.
pub(crate) fn follow(path: &Path) -> io::Result<()> {
    let open = fstat(io::stderr())?;
    if has_moved(path, (open.st_dev, open.st_ino))? {
        dup2_stderr(open_for_appending(path)?)?;
    }
    Ok(())
}

/// Lets one message of a kind through per second: what happens to every call would fill a disk.
#[derive(Debug, Default)]
pub(crate) struct Throttle(AtomicU64);

impl Throttle {
    /// Whether this one is let through.
    pub(crate) fn admits(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.0.swap(now, Ordering::Relaxed) != now
    }
}

/// Starts logging at the level that our starter named.
pub(crate) fn start_as_told() {
    let told = std::env::var(LEVEL_VARIABLE).ok().and_then(|level| level.parse().ok());
    start(told.unwrap_or(Level::INFO));
}

/// An error with its causes, `a: b: c`.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        if write!(text, ": {error}").is_err() {
            break;
        }
        cause = error.source();
    }
    text
}
