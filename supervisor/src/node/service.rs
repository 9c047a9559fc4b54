// SPDX-License-Identifier: Apache-2.0
//! `lanner serve`: one loop that wakes the sinks, stores their positions, and answers signals.

use std::{ffi::OsString, fs::DirBuilder, io, os::unix::fs::DirBuilderExt, path::Path, time::Duration};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{config_watch::ConfigWatch, directory_watch::DirectoryWatch, outputs::Outputs};
use crate::{config::Config, diagnostics::chain, reload::SETTLE};

/// How often slow sinks are looked for.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempt}")]
pub(crate) struct ServeError {
    attempt: String,
    source: io::Error,
}

impl ServeError {
    fn new(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { attempt: attempt.into(), source }
    }
}

/// Brings alerts to the sinks until SIGTERM or SIGINT, as the file at `path` with the `key=value` options over it says;
/// `config` is what it said when this process began.
pub(crate) fn serve(config: Config, path: &Path, options: &[String]) -> Result<(), ServeError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ServeError::new("start the node service"))?;
    runtime.block_on(async { Service::start(config, ConfigWatch::new(path, options))?.run().await })
}

struct Service {
    config: Config,
    outputs: Outputs,
    log_watch: DirectoryWatch,
    config_watch: ConfigWatch,
    /// What the last failed reload said, so that one broken edit is reported once.
    last_failure: Option<String>,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reopen: Signal,
    reload: Signal,
}

impl Service {
    /// Starts with what the configuration says by now, and where that does not load with `config`.
    fn start(config: Config, mut config_watch: ConfigWatch) -> Result<Self, ServeError> {
        let (config, last_failure) = match config_watch.read() {
            Ok((config, _notices)) => (config, None),
            Err(error) => (config, Some(report_failure(chain(&error)))),
        };
        let (log_watch, outputs) = start_outputs(&config)?;
        Ok(Self { config, outputs, log_watch, config_watch, last_failure })
    }

    async fn run(mut self) -> Result<(), ServeError> {
        let mut signals = Signals::new().map_err(ServeError::new("handle signals"))?;
        let mut check = interval(CHECK_INTERVAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tracing::info!(event_log = %self.config.event_log.display(), "following the event log");
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                _ = signals.reopen.recv() => self.outputs.bell().announce_reopen(),
                _ = signals.reload.recv() => self.reload().await?,
                names = self.log_watch.changed() => self.wake(&names.map_err(ServeError::new("watch the event log"))?),
                changed = self.config_watch.changed(), if self.config.watch_config_files => {
                    changed.map_err(ServeError::new("watch the configuration"))?;
                    sleep(SETTLE).await;
                    self.reload().await?;
                }
                _ = check.tick() => self.outputs.report_slow(),
            }
        }
        tracing::info!("stopping");
        self.outputs.stop().await;
        Ok(())
    }

    /// Wakes the sinks unless only other files changed: the positions are stored in the same directory.
    fn wake(&self, names: &[OsString]) {
        let log = self.config.event_log.file_name();
        if names.is_empty() || names.iter().any(|name| Some(name.as_os_str()) == log) {
            self.outputs.bell().announce_lines();
        }
    }

    /// Takes a changed configuration over; one that does not load leaves the old one in force.
    async fn reload(&mut self) -> Result<(), ServeError> {
        let config = match self.config_watch.read() {
            Ok((config, _notices)) => config,
            Err(error) => {
                let failure = chain(&error);
                if self.last_failure.as_ref() != Some(&failure) {
                    self.last_failure = Some(report_failure(failure));
                }
                return Ok(());
            }
        };
        self.last_failure = None;
        if config.outputs != self.config.outputs || config.event_log != self.config.event_log {
            // The old sinks stop first: two that write to one place would mix lines and positions.
            self.outputs.stop().await;
            (self.log_watch, self.outputs) = start_outputs(&config)?;
            tracing::info!("the sinks follow the new configuration");
        }
        self.config = config;
        Ok(())
    }
}

fn report_failure(failure: String) -> String {
    tracing::error!(error = %failure, "the new configuration does not load, the old one stays in force");
    failure
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reopen: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
        })
    }
}

fn start_outputs(config: &Config) -> Result<(DirectoryWatch, Outputs), ServeError> {
    let log = &config.event_log;
    make_directory(log).map_err(ServeError::new(format!("make the directory of `{}`", log.display())))?;
    // Watched before the sinks read, so that no line comes between the two.
    let watch = watch_log(log)?;
    let outputs = Outputs::start(&config.outputs, log).map_err(|source| {
        let is_taken = source.kind() == io::ErrorKind::WouldBlock;
        let what = if is_taken { "bring alerts to their outputs, which another process does, from" } else { "follow" };
        ServeError::new(format!("{what} `{}`", log.display()))(source)
    });
    Ok((watch, outputs?))
}

fn watch_log(log: &Path) -> Result<DirectoryWatch, ServeError> {
    DirectoryWatch::of(log).map_err(ServeError::new(format!("watch the directory of `{}`", log.display())))
}

fn make_directory(log: &Path) -> io::Result<()> {
    let Some(directory) = log.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o750).create(directory)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_before_the_configuration_is_watched_is_no_less_a_change() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("lanner.yaml");
        let text = format!("event_log: {{path: {}}}\n", scratch.path().join("events.jsonl").display());
        fs::write(&path, &text).unwrap();
        let (config, _notices) = Config::load(&path, &[]).unwrap();
        fs::write(&path, format!("{text}json_output: true\n")).unwrap();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let start = |config| runtime.block_on(async { Service::start(config, ConfigWatch::new(&path, &[])).unwrap() });
        let Service { config, mut outputs, .. } = start(config);
        assert!(config.outputs.format.json, "what was read before it was watched is in force");
        let mut second = runtime.block_on(async { Outputs::start(&config.outputs, &config.event_log) });
        assert!(second.as_mut().err().is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock));
        runtime.block_on(outputs.stop());
        fs::write(&path, "{").unwrap();
        let service = start(config);
        assert!(service.config.outputs.format.json && service.last_failure.is_some());
    }
}
