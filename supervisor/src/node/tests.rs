// SPDX-License-Identifier: Apache-2.0
//! Following an event log while it is rotated, torn, truncated and removed, with restarts in between: nothing is lost.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    bell::Bell,
    delivery::{Delivery, Shared},
    line::LineRenderer,
    log_reader::LogReader,
    outputs::Outputs,
    position::{Position, Positions},
    sink::{AppendedFile, Sink},
};
use crate::{
    alert::Alert,
    config::{FileSink, LineFormat, OutputOptions},
};

/// Far longer than anything here takes, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

const FORMAT: LineFormat = LineFormat {
    iso_time: false,
    json: false,
    include_output: true,
    include_message: false,
    include_output_fields: true,
    include_tags: true,
};

/// An event log in a scratch directory, with a writer that numbers its alerts.
struct Log {
    scratch: tempfile::TempDir,
    next: usize,
}

impl Log {
    fn new() -> Self {
        Self { scratch: tempfile::tempdir().unwrap(), next: 0 }
    }

    fn path(&self) -> PathBuf {
        self.scratch.path().join("events.jsonl")
    }

    fn record(&mut self) -> String {
        self.next += 1;
        let number = self.next;
        format!(
            r#"{{"time":{},"id":"{number}","rule":"R","priority":"Notice","source":"syscall","tags":[],"hostname":"h","message":"{number}","fields":{{}}}}"#,
            1_700_000_000_000_000_000_u64 + u64::try_from(number).unwrap()
        )
    }

    fn append_to(path: &Path, text: &str) {
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let record = self.record();
            Self::append_to(&self.path(), &format!("{record}\n"));
        }
    }

    /// A record whose writer is killed after `bytes`.
    fn tear(&mut self, bytes: usize) {
        let record = self.record();
        self.next -= 1;
        Self::append_to(&self.path(), record.get(..bytes).unwrap_or_default());
    }

    fn rotate(&self, to: &str) {
        fs::rename(self.path(), self.scratch.path().join(to)).unwrap();
    }

    fn reader(&self, position: Option<Position>) -> LogReader {
        LogReader::new(&self.path(), position).with_grace(Duration::ZERO)
    }
}

/// Reads everything there is; gives the messages of the alerts and the position behind them.
fn drain(reader: &mut LogReader, position: &mut Option<Position>) -> Vec<usize> {
    let mut numbers = Vec::new();
    loop {
        let lines = reader.read().unwrap();
        if lines.is_empty() {
            return numbers;
        }
        for line in lines {
            numbers.extend(Alert::parse(&line.bytes).map(|alert| alert.message.parse::<usize>().unwrap()));
            *position = Some(line.after);
        }
    }
}

/// What happens to the log between two reads.
#[derive(Debug, Clone, Copy)]
enum Step {
    Write(usize),
    Tear(usize),
    Rotate(&'static str),
    CopyAndTruncate,
    Remove,
    Read,
    Restart,
}

use Step::{CopyAndTruncate, Read, Remove, Restart, Rotate, Tear, Write as Append};

/// Runs the steps and expects each alert once, in order.
#[track_caller]
fn check(steps: &[Step]) {
    let mut log = Log::new();
    let mut position = None;
    let mut reader = log.reader(None);
    let mut seen = Vec::new();
    for step in steps {
        match *step {
            Append(count) => log.write(count),
            Tear(bytes) => log.tear(bytes),
            Rotate(name) => log.rotate(name),
            CopyAndTruncate => {
                fs::copy(log.path(), log.scratch.path().join("events.jsonl.1")).unwrap();
                OpenOptions::new().write(true).truncate(true).open(log.path()).unwrap();
            }
            Remove => fs::remove_file(log.path()).unwrap(),
            Read => seen.extend(drain(&mut reader, &mut position)),
            Restart => reader = log.reader(position),
        }
        // Times of modification must differ where real rotations are hours apart.
        std::thread::sleep(Duration::from_millis(12));
    }
    seen.extend(drain(&mut reader, &mut position));
    assert_eq!(seen, (1..=log.next).collect::<Vec<_>>(), "{steps:?}");
}

#[test]
fn each_alert_is_read_once_and_in_order_whatever_happens_to_the_file() {
    check(&[Append(3)]);
    check(&[Read, Append(3), Read, Append(2), Restart, Read, Append(1)]);
    check(&[Append(3), Read, Rotate("events.jsonl.1"), Append(2), Read]);
    check(&[Append(3), Read, Append(2), Rotate("events.jsonl.1"), Restart, Append(2), Read]);
    check(&[
        Append(1),
        Read,
        Append(1),
        Rotate("events.jsonl-1"),
        Append(2),
        Rotate("events.jsonl-2"),
        Restart,
        Append(2),
        Read,
    ]);
    check(&[
        Append(1),
        Read,
        Append(1),
        Rotate("events.jsonl-1"),
        Append(2),
        Rotate("events.jsonl-2"),
        Append(2),
        Read,
    ]);
    check(&[Append(3), Read, Remove, Read, Append(2), Read]);
    check(&[Append(3), Read, Remove, Restart, Read, Append(2), Read]);
    check(&[Append(3), Read, Append(2), CopyAndTruncate, Append(1), Read]);
    check(&[Append(3), Read, Append(2), CopyAndTruncate, Append(9), Read]);
    check(&[Append(3), Read, Append(2), CopyAndTruncate, Append(9), Restart, Read]);
    check(&[Append(3), Read, CopyAndTruncate, Read, Append(2), Restart, Append(1), Read]);
    check(&[Append(2), Tear(40), Append(2), Read, Tear(9), Read, Append(1), Tear(1), Restart, Append(1)]);
    check(&[Append(2), Read, Tear(40), Rotate("events.jsonl.1"), Append(2), Read]);
}

#[test]
fn many_alerts_span_the_pieces_that_are_read_at_once() {
    check(&[Append(2000), Read, Append(500), Restart, Read]);
}

#[test]
fn something_endless_that_is_no_alert_is_skipped() {
    let mut log = Log::new();
    log.write(1);
    Log::append_to(&log.path(), &"x".repeat(9 << 20));
    Log::append_to(&log.path(), "\n");
    log.write(1);
    let mut position = None;
    let mut reader = log.reader(None);
    assert_eq!(drain(&mut reader, &mut position), [1, 2]);
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn numbers_in(path: &Path) -> Vec<usize> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

/// A sink that takes nothing until it is let go.
struct Stuck {
    is_stuck: Arc<std::sync::atomic::AtomicBool>,
    file: AppendedFile,
}

impl Sink for Stuck {
    fn deliver(&mut self, alert: &Alert, line: &str) -> std::io::Result<()> {
        if self.is_stuck.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        self.file.deliver(alert, line)
    }
}

#[test]
fn a_dead_sink_delays_no_other_and_gets_everything_when_it_is_back() {
    let mut log = Log::new();
    let at = |name: &str| log.scratch.path().join(name);
    let (quick, slow) = (at("quick"), at("slow"));
    let shared = Arc::new(Shared {
        bell: Bell::default(),
        positions: Positions::load(&log.path(), &["quick", "slow"]),
        renderer: LineRenderer::new(FORMAT),
    });
    let file = |path: &Path| AppendedFile::new(FileSink { path: path.to_owned(), keep_open: true });
    let is_stuck = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let stuck = Stuck { is_stuck: Arc::clone(&is_stuck), file: file(&slow) };
    let sinks: [(&'static str, Box<dyn Sink>); 2] = [("quick", Box::new(file(&quick))), ("slow", Box::new(stuck))];
    let threads = sinks.map(|(name, sink)| {
        let delivery = Delivery::new(name, sink, &log.path(), Arc::clone(&shared));
        std::thread::spawn(move || delivery.run())
    });
    log.write(300);
    shared.bell.announce_lines();
    wait_for("the sink that works", || numbers_in(&quick).len() == 300);
    assert_eq!(numbers_in(&slow), Vec::<usize>::new());
    is_stuck.store(false, std::sync::atomic::Ordering::SeqCst);
    wait_for("the sink that works again", || numbers_in(&slow).len() == 300);
    shared.bell.stop();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(numbers_in(&slow), (1..=300).collect::<Vec<_>>());
}

/// Starts the outputs, lets `during` happen, and stops them, as a restart of the service does.
fn run_outputs(log: &Path, file: &Path, during: impl FnOnce()) {
    let options = OutputOptions {
        format: FORMAT,
        stdout: false,
        file: Some(FileSink { path: file.to_owned(), keep_open: false }),
        syslog: false,
        timeout: Duration::from_secs(2),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut outputs = Outputs::start(&options, log).unwrap();
        during();
        outputs.stop().await;
    });
}

#[test]
fn a_stopped_service_goes_on_where_it_stopped() {
    let mut log = Log::new();
    let (path, file) = (log.path(), log.scratch.path().join("alerts"));
    log.write(50);
    run_outputs(&path, &file, || wait_for("the first alerts", || numbers_in(&file).len() == 50));
    log.write(50);
    log.tear(30);
    log.rotate("events.jsonl.1");
    log.write(50);
    // The old file gets its last alerts at once; the new one follows when late writers had their time.
    run_outputs(&path, &file, || wait_for("the alerts of the old file", || numbers_in(&file).len() == 100));
    run_outputs(&path, &file, || wait_for("the alerts of the new file", || numbers_in(&file).len() == 150));
    assert_eq!(numbers_in(&file), (1..=150).collect::<Vec<_>>());
}
