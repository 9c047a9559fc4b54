// SPDX-License-Identifier: Apache-2.0
//! Our own log, ours to operators: through `tracing` to standard error. Alerts never go this way.

use std::{error::Error, fmt::Write as _, io};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::EnvFilter;

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
