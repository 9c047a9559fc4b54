// SPDX-License-Identifier: Apache-2.0
//! `lanner serve`: one loop that wakes the sinks, stores their positions, and answers signals.

use std::{
    ffi::{OsStr, OsString},
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{directory_watch::DirectoryWatch, outputs::Outputs};
use crate::{
    config::{Config, ConfigError, Notice},
    diagnostics::chain,
};

/// Changes of configuration files that come together are one change, as with Falco.
const RELOAD_PAUSE: Duration = Duration::from_millis(100);

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

/// Reads the configuration again.
pub(crate) type Reload<'a> = &'a dyn Fn() -> Result<(Config, Vec<Notice>), ConfigError>;

/// Brings alerts to the sinks until SIGTERM or SIGINT.
pub(crate) fn serve(config: Config, reload: Reload<'_>) -> Result<(), ServeError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ServeError::new("start the node service"))?;
    runtime.block_on(async { Service::start(config)?.run(reload).await })
}

struct Service {
    config: Config,
    outputs: Outputs,
    log_watch: DirectoryWatch,
    config_watch: DirectoryWatch,
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
    fn start(config: Config) -> Result<Self, ServeError> {
        let (log_watch, outputs) = start_outputs(&config)?;
        let config_watch = watch_config(&config)?;
        Ok(Self { config, outputs, log_watch, config_watch, last_failure: None })
    }

    async fn run(mut self, reload: Reload<'_>) -> Result<(), ServeError> {
        let mut signals = Signals::new().map_err(ServeError::new("handle signals"))?;
        let mut check = interval(CHECK_INTERVAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tracing::info!(event_log = %self.config.event_log.display(), "following the event log");
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                _ = signals.reopen.recv() => self.outputs.bell().announce_reopen(),
                _ = signals.reload.recv() => self.reload(reload).await?,
                names = self.log_watch.changed() => self.wake(&names.map_err(ServeError::new("watch the event log"))?),
                names = self.config_watch.changed(), if self.config.watch_config_files => {
                    if may_be_configuration(&names.map_err(ServeError::new("watch the configuration"))?) {
                        sleep(RELOAD_PAUSE).await;
                        self.reload(reload).await?;
                    }
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
    async fn reload(&mut self, reload: Reload<'_>) -> Result<(), ServeError> {
        let config = match reload() {
            Ok((config, _)) => config,
            Err(error) => {
                self.report_failure(chain(&error));
                return Ok(());
            }
        };
        self.last_failure = None;
        self.config_watch
            .renew(places(&config).iter().map(PathBuf::as_path))
            .map_err(ServeError::new("watch the configuration"))?;
        if config.outputs != self.config.outputs || config.event_log != self.config.event_log {
            // The old sinks stop first: two that write to one place would mix lines and positions.
            self.outputs.stop().await;
            (self.log_watch, self.outputs) = start_outputs(&config)?;
            tracing::info!("the sinks follow the new configuration");
        }
        self.config = config;
        Ok(())
    }

    fn report_failure(&mut self, failure: String) {
        if self.last_failure.as_ref() != Some(&failure) {
            tracing::error!(error = %failure, "the new configuration does not load, the old one stays in force");
            self.last_failure = Some(failure);
        }
    }
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
    let outputs = Outputs::start(&config.outputs, log);
    Ok((watch, outputs.map_err(ServeError::new(format!("follow `{}`", log.display())))?))
}

fn watch_log(log: &Path) -> Result<DirectoryWatch, ServeError> {
    DirectoryWatch::new(log.parent()).map_err(ServeError::new(format!("watch the directory of `{}`", log.display())))
}

fn watch_config(config: &Config) -> Result<DirectoryWatch, ServeError> {
    DirectoryWatch::new(places(config).iter().map(PathBuf::as_path)).map_err(ServeError::new("watch the configuration"))
}

/// Where the configuration lies, or will. Of these the folders are watched.
fn places(config: &Config) -> Vec<PathBuf> {
    let beside = config.files.iter().filter_map(|file| file.path().parent()).map(parent_or_here);
    beside.chain(config.included.iter().cloned()).collect()
}

/// Whether a changed name can be one of the configuration's, or of a `ConfigMap`'s (`..data`): our own log, say, may be
/// written in the same directory, and must not cause what it reports.
fn may_be_configuration(names: &[OsString]) -> bool {
    let is_file = |name: &[u8]| name.ends_with(b".yaml") || name.ends_with(b".yml") || name.starts_with(b"..");
    names.is_empty() || names.iter().any(|name| is_file(name.as_encoded_bytes()))
}

/// The parent of a bare file name is empty, and means the working directory.
fn parent_or_here(parent: &Path) -> PathBuf {
    if parent.as_os_str() == OsStr::new("") { PathBuf::from(".") } else { parent.to_owned() }
}

fn make_directory(log: &Path) -> io::Result<()> {
    let Some(directory) = log.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o750).create(directory)
}
