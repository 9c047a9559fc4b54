// SPDX-License-Identifier: Apache-2.0
//! Our own log, ours to operators: through `tracing` to standard error. Alerts never go this way.

use std::{
    collections::HashMap,
    error::Error,
    fmt::{self, Write as _},
    io,
    path::Path,
    process::Command,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use nix::{sys::stat::fstat, unistd::dup2_stderr};
use tracing::{Event, Level, Subscriber, callsite::Identifier, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::{
    container::short_id,
    event_log::{has_moved, open_for_appending},
};

/// Names the level for a child that has not read the configuration yet.
const LEVEL_VARIABLE: &str = "LANNER_LOG_LEVEL";
/// Names the container that a child works for.
const CONTAINER_VARIABLE: &str = "LANNER_LOG_CONTAINER";

/// What each line ends with, as all containers of a node share a log.
static CONTAINER: OnceLock<String> = OnceLock::new();

/// Warnings and errors of one place in the source that are written in one second: what a container can bring about with
/// every call would fill a disk.
const MAX_LINES: u32 = 10;

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
        .map_event_format(|format| Paced { format, places: Mutex::default() })
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

/// Leaves out what comes too often from one place, and says how much it was.
struct Paced<F> {
    format: F,
    places: Mutex<HashMap<Identifier, Pace>>,
}

#[derive(Default)]
struct Pace {
    second: u64,
    /// Lines of this second.
    lines: u32,
    left_out: u64,
}

impl Pace {
    /// Whether one more line is written in this second, and how many were left out before it.
    fn admit(&mut self, second: u64) -> Option<u64> {
        if self.second != second {
            *self = Self { second, lines: 0, left_out: self.left_out };
        }
        if self.lines >= MAX_LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl<F> Paced<F> {
    fn admit(&self, event: &Event<'_>) -> Option<u64> {
        if *event.metadata().level() > Level::WARN {
            return Some(0);
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(event.metadata().callsite()).or_default().admit(second())
    }
}

impl<S, N, F> FormatEvent<S, N> for Paced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // Of what is left out nothing is written.
        let Some(left_out) = self.admit(event) else { return Ok(()) };
        if left_out > 0 {
            writeln!(writer, "{left_out} lines like the next one were left out")?;
        }
        let Some(container) = CONTAINER.get() else { return self.format.format_event(context, writer, event) };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{} container={container}", line.trim_end_matches('\n'))
    }
}

fn second() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Lets one message of a kind through per second: what happens to every call would fill a disk.
#[derive(Debug, Default)]
pub(crate) struct Throttle(AtomicU64);

impl Throttle {
    /// Whether this one is let through.
    pub(crate) fn admits(&self) -> bool {
        let now = second();
        self.0.swap(now, Ordering::Relaxed) != now
    }
}

/// Ends each line of this process with the container that it works for, by the beginning of its id.
pub(crate) fn name_container(id: &str) {
    // It works for one.
    let _named_already = CONTAINER.set(short_id(id));
}

/// Tells a child, and those that come after it, how to log.
pub(crate) fn pass_on(child: &mut Command, level: Level) {
    child.env(LEVEL_VARIABLE, level.as_str());
    if let Some(container) = CONTAINER.get() {
        child.env(CONTAINER_VARIABLE, container);
    }
}

/// Starts logging at the level, and for the container, that our starter named.
pub(crate) fn start_as_told() {
    if let Ok(container) = std::env::var(CONTAINER_VARIABLE) {
        name_container(&container);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_often_is_counted_and_told_of_in_the_next_second() {
        let mut pace = Pace::default();
        let mut admitted = |second| (0..MAX_LINES + 5).filter_map(|_| pace.admit(second)).collect::<Vec<_>>();
        let all: Vec<_> = (0..MAX_LINES).map(|_| 0).collect();
        assert_eq!(admitted(7), all);
        let mut next = admitted(8);
        assert_eq!(next.len(), all.len());
        assert_eq!(next.remove(0), 5);
        assert!(next.iter().all(|left_out| *left_out == 0));
    }
}
