// SPDX-License-Identifier: Apache-2.0
//! One sink's thread: follows the event log from the sink's own position and delivers each line, however often it takes.
//!
//! The log is the queue. A sink that is slow or dead keeps its place in the log, and delays neither the others nor the
//! containers.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    bell::{Bell, Rung},
    line::LineRenderer,
    log_reader::{Line, LogReader},
    position::Positions,
    sink::Sink,
};
use crate::alert::Alert;

/// How often the log is looked at although nothing was announced: for file systems without inotify.
const FALLBACK: Duration = Duration::from_secs(1);

/// A failed delivery is tried again after this, then after twice as long, ..
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// .. and never more seldom than this, so that a sink that comes back is used soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the threads of all sinks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bell: Bell,
    pub(super) positions: Positions,
    pub(super) renderer: LineRenderer,
}

/// One sink with its place in the log.
pub(super) struct Delivery {
    name: &'static str,
    sink: Box<dyn Sink>,
    reader: LogReader,
    shared: Arc<Shared>,
    /// Since when the sink is busy with one line.
    busy: Arc<Busy>,
    seen: Rung,
    has_failed: bool,
}

/// Since when a sink has been busy with one line.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<Option<Instant>>);

impl Busy {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// How long the sink has been busy with one line.
    pub(super) fn for_how_long(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed())
    }
}

impl Delivery {
    pub(super) fn new(name: &'static str, sink: Box<dyn Sink>, log: &Path, shared: Arc<Shared>) -> Self {
        let reader = LogReader::new(log, shared.positions.get(name));
        let seen = shared.bell.rung();
        Self { name, sink, reader, shared, busy: Arc::default(), seen, has_failed: false }
    }

    pub(super) fn busy(&self) -> Arc<Busy> {
        Arc::clone(&self.busy)
    }

    /// Delivers until told to stop.
    pub(super) fn run(mut self) {
        loop {
            // Looked at before reading: what is announced during the read is found by the next one.
            let rung = self.shared.bell.rung();
            if rung.stop {
                break;
            }
            if rung.reopens != self.seen.reopens {
                self.sink.reopen();
            }
            self.seen = rung;
            match self.reader.read() {
                Ok(lines) if lines.is_empty() => drop(self.shared.bell.wait(self.seen, FALLBACK)),
                Ok(lines) => self.deliver_all(&lines),
                Err(error) => {
                    tracing::warn!(sink = self.name, %error, "cannot read the event log");
                    self.shared.bell.wait_for_stop(LONGEST_PAUSE);
                }
            }
        }
    }

    fn deliver_all(&mut self, lines: &[Line]) {
        for line in lines {
            self.busy.set(Some(Instant::now()));
            if !self.deliver(line) {
                break;
            }
            self.shared.positions.set(self.name, line.after);
        }
        self.busy.set(None);
    }

    /// Delivers one line; false if the sink was told to stop before it took it.
    fn deliver(&mut self, line: &Line) -> bool {
        let Some(alert) = Alert::parse(&line.bytes) else {
            tracing::debug!(sink = self.name, bytes = line.bytes.len(), "skipping a line that is no alert");
            return true;
        };
        let text = self.shared.renderer.render(&alert);
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.sink.deliver(&alert, &text) {
            self.report(&error);
            if self.shared.bell.wait_for_stop(pause) {
                return false;
            }
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        if self.has_failed {
            self.has_failed = false;
            tracing::info!(sink = self.name, "the sink takes alerts again");
        }
        true
    }

    /// Once per failure, not once per attempt.
    fn report(&mut self, error: &io::Error) {
        if !self.has_failed {
            self.has_failed = true;
            tracing::error!(sink = self.name, %error, "cannot deliver alerts; they stay in the event log until it works");
        }
    }
}
