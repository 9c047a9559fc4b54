// SPDX-License-Identifier: Apache-2.0
//! `lanner logs`: alerts from the event log, on standard output.

use std::{
    collections::VecDeque,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use clap::Args;
use tokio::{runtime, time::timeout};

use crate::{
    alert::Alert,
    config::{Config, LineFormat},
    node::{directory_watch::DirectoryWatch, line::LineRenderer, log_reader::LogReader},
};

/// How often the log is looked at although no change was announced.
const FALLBACK: Duration = Duration::from_secs(1);

/// What to print.
#[derive(Debug, Args)]
pub(super) struct LogsArguments {
    /// Go on printing as alerts come
    #[arg(short, long)]
    follow: bool,

    /// Print Falco's JSON form
    #[arg(long)]
    json: bool,

    /// Only alerts of this container, by name or by the beginning of its id
    #[arg(long, value_name = "ID|NAME")]
    container: Option<String>,

    /// Print each alert's id in front of it, for `lanner explain --last ID`
    #[arg(long)]
    ids: bool,

    /// Only the last N of the alerts that are there
    #[arg(short = 'n', long = "lines", value_name = "N")]
    lines: Option<usize>,
}

/// Why no alerts are printed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogsError {
    #[error("cannot read the event log")]
    Read(#[source] io::Error),
    #[error("cannot watch the event log")]
    Watch(#[source] io::Error),
    #[error("cannot write to standard output")]
    Write(#[source] io::Error),
}

/// Prints alerts; ends at the log's end, or with `--follow` when it is stopped or nobody reads on.
pub(super) fn run(config: &Config, arguments: &LogsArguments) -> Result<(), LogsError> {
    let renderer = LineRenderer::new(LineFormat {
        json: arguments.json || config.outputs.format.json,
        ..config.outputs.format.clone()
    });
    let mut printer = Printer { renderer, arguments, reader: LogReader::new(&config.event_log, None) };
    if !arguments.follow {
        return printer.print_present();
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(LogsError::Watch)?;
    runtime.block_on(printer.follow(&config.event_log))
}

struct Printer<'a> {
    renderer: LineRenderer,
    arguments: &'a LogsArguments,
    reader: LogReader,
}

impl Printer<'_> {
    /// Prints what is in the log now.
    fn print_present(&mut self) -> Result<(), LogsError> {
        let Some(most) = self.arguments.lines else { return self.print_new() };
        let mut last = VecDeque::new();
        self.take_new(|line| {
            last.push_back(line);
            if last.len() > most {
                last.pop_front();
            }
            Ok(())
        })?;
        last.iter().try_for_each(|line| print(line))
    }

    async fn follow(&mut self, log: &Path) -> Result<(), LogsError> {
        let mut watch = DirectoryWatch::of(log).map_err(LogsError::Watch)?;
        self.print_present()?;
        loop {
            // After the time, or after a change of any file beside the log: reading nothing costs little.
            if let Ok(changed) = timeout(FALLBACK, watch.changed()).await {
                changed.map_err(LogsError::Watch)?;
            }
            self.print_new()?;
        }
    }

    fn print_new(&mut self) -> Result<(), LogsError> {
        self.take_new(|line| print(&line))
    }

    /// Gives every wanted alert that was not given yet, rendered.
    fn take_new(&mut self, mut take: impl FnMut(String) -> Result<(), LogsError>) -> Result<(), LogsError> {
        loop {
            let lines = self.reader.read().map_err(LogsError::Read)?;
            if lines.is_empty() {
                return Ok(());
            }
            for alert in lines.iter().filter_map(|line| Alert::parse(&line.bytes)).filter(|alert| self.wants(alert)) {
                let line = self.renderer.render(&alert);
                take(if self.arguments.ids { format!("{} {line}", alert.id) } else { line })?;
            }
        }
    }

    fn wants(&self, alert: &Alert) -> bool {
        self.arguments.container.as_ref().is_none_or(|wanted| is_about(alert, wanted))
    }
}

/// Whether the alert is about the container of this name, or of an id that begins so.
fn is_about(alert: &Alert, wanted: &str) -> bool {
    let is_id = alert.container.as_ref().is_some_and(|id| !wanted.is_empty() && id.starts_with(wanted));
    is_id || alert.container_name.as_deref() == Some(wanted)
}

fn print(line: &str) -> Result<(), LogsError> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}").map_err(LogsError::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_named_by_name_or_by_the_beginning_of_its_id() {
        let record = br#"{"time":1,"rule":"R","priority":"Warning","source":"syscall","hostname":"h","message":"m","fields":{},"container":"adaab7654955ffff","container_name":"web"}"#;
        let alert = Alert::parse(record).unwrap();
        for (wanted, expected) in
            [("web", true), ("we", false), ("ada", true), ("adaab7654955ffff", true), ("daa", false), ("", false)]
        {
            assert_eq!(is_about(&alert, wanted), expected, "{wanted}");
        }
    }
}
