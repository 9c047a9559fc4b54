// SPDX-License-Identifier: Apache-2.0
//! The threads of all enabled sinks, started and stopped together.

use std::{
    fs::File,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nix::fcntl::{Flock, FlockArg};
use tokio::task::JoinHandle;

use super::{
    bell::Bell,
    delivery::{Busy, Delivery, Shared},
    line::LineRenderer,
    position::{Positions, stored_beside},
    sink::{AppendedFile, SYSLOG_SOCKET, Sink, Stdout, Syslog},
};
use crate::config::OutputOptions;

/// A sink's thread reads, renders and writes; it recurses nowhere.
const STACK_BYTES: usize = 512 << 10;

/// How long a stop waits for sinks that are inside of a write.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Positions are written no more often than this.
const STORE_INTERVAL: Duration = Duration::from_millis(100);

/// How often a stop looks whether the threads have ended.
const STOP_INTERVAL: Duration = Duration::from_millis(10);

/// The running sinks.
pub(super) struct Outputs {
    shared: Arc<Shared>,
    threads: Vec<Thread>,
    /// Stores the positions while the sinks run.
    store: JoinHandle<()>,
    timeout: Duration,
    /// Nobody else brings the same alerts to sinks meanwhile.
    lock: Option<Flock<File>>,
}

struct Thread {
    name: &'static str,
    handle: thread::JoinHandle<()>,
    busy: Arc<Busy>,
    is_reported: bool,
}

impl Outputs {
    /// Starts a thread for each enabled sink, where it stopped last time. Needs to be called on a tokio runtime. Fails with
    /// `EWOULDBLOCK` where another process does that for the same log.
    pub(super) fn start(options: &OutputOptions, log: &Path) -> io::Result<Self> {
        let lock = Some(lock(log)?);
        let sinks = sinks(options);
        let names: Vec<&str> = sinks.iter().map(|(name, _)| *name).collect();
        let shared = Arc::new(Shared {
            bell: Bell::default(),
            positions: Positions::load(log, &names),
            renderer: LineRenderer::new(options.format.clone()),
        });
        let store = tokio::spawn(keep_stored(Arc::clone(&shared)));
        let mut outputs = Self { shared, threads: Vec::new(), store, timeout: options.timeout, lock };
        for (name, sink) in sinks {
            outputs.spawn(Delivery::new(name, sink, log, Arc::clone(&outputs.shared)), name)?;
        }
        Ok(outputs)
    }

    fn spawn(&mut self, delivery: Delivery, name: &'static str) -> io::Result<()> {
        let busy = delivery.busy();
        let builder = thread::Builder::new().name(format!("sink-{name}")).stack_size(STACK_BYTES);
        let handle = builder.spawn(move || delivery.run())?;
        self.threads.push(Thread { name, handle, busy, is_reported: false });
        Ok(())
    }

    pub(super) fn bell(&self) -> &Bell {
        &self.shared.bell
    }

    /// Reports sinks that take longer over one line than `output_timeout`; once each time.
    pub(super) fn report_slow(&mut self) {
        for thread in &mut self.threads {
            let busy = thread.busy.for_how_long().filter(|busy| *busy > self.timeout);
            match busy {
                Some(busy) if !thread.is_reported => {
                    tracing::warn!(
                        sink = thread.name,
                        milliseconds = busy.as_millis(),
                        "a sink is slow; the others go on"
                    );
                }
                Some(_) | None => {}
            }
            thread.is_reported = busy.is_some();
        }
    }

    /// Lets every sink finish its line, and stores the positions. A sink that does not return keeps its old position.
    pub(super) async fn stop(&mut self) {
        self.shared.bell.stop();
        let deadline = Instant::now().checked_add(STOP_TIMEOUT);
        while self.threads.iter().any(|thread| !thread.handle.is_finished()) {
            if deadline.is_none_or(|deadline| Instant::now() > deadline) {
                break;
            }
            tokio::time::sleep(STOP_INTERVAL).await;
        }
        for thread in self.threads.iter().filter(|thread| !thread.handle.is_finished()) {
            tracing::warn!(
                sink = thread.name,
                "the sink did not take its line in time; it gets it again at the next start"
            );
        }
        self.store.abort();
        store(&self.shared.positions);
        self.lock = None;
    }
}

/// The file stays: one that is removed could be locked by two.
fn lock(log: &Path) -> io::Result<Flock<File>> {
    let mut path = stored_beside(log).into_os_string();
    path.push(".lock");
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_file, errno)| errno.into())
}

async fn keep_stored(shared: Arc<Shared>) {
    loop {
        shared.positions.changed().await;
        tokio::time::sleep(STORE_INTERVAL).await;
        store(&shared.positions);
    }
}

/// Stores the positions; a failure is reported and tried again with the next change.
fn store(positions: &Positions) {
    if let Err(error) = positions.store() {
        tracing::error!(%error, "cannot store the positions in the event log; alerts may come twice after a restart");
    }
}

fn sinks(options: &OutputOptions) -> Vec<(&'static str, Box<dyn Sink>)> {
    let mut sinks: Vec<(&'static str, Box<dyn Sink>)> = Vec::new();
    if options.stdout {
        sinks.push(("stdout", Box::new(Stdout)));
    }
    if let Some(file) = &options.file {
        sinks.push(("file", Box::new(AppendedFile::new(file.clone()))));
    }
    if options.syslog {
        sinks.push(("syslog", Box::new(Syslog::new(SYSLOG_SOCKET))));
    }
    sinks
}
