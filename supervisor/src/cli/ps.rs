// SPDX-License-Identifier: Apache-2.0
//! `lanner ps`: the supervised containers of this node, from their run directories.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use policy::Mode;
use serde::{Serialize, Serializer};

use crate::{
    config::Config,
    container::{Identity, LoadIdentityError},
    counters::Counter,
    node::line::escape_controls,
    run_directory::{RunDirectory, RunDirectoryError},
};

const HEADINGS: [&str; 8] = ["CONTAINER ID", "NAME", "POD", "IMAGE", "MODE", "EVENTS", "ALERTS", "SINCE"];

/// How to print.
#[derive(Debug, Args)]
pub(super) struct PsArguments {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Why the containers cannot be listed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PsError {
    #[error("cannot list the run directory `{}`", path.display())]
    List { path: PathBuf, source: io::Error },
    #[error("cannot write to standard output")]
    Write(#[source] io::Error),
}

/// Why one container is left out.
#[derive(Debug, thiserror::Error)]
enum ContainerError {
    #[error(transparent)]
    Directory(#[from] RunDirectoryError),
    #[error(transparent)]
    Identity(#[from] LoadIdentityError),
    #[error("cannot read `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// One supervised container.
#[derive(Debug, Serialize)]
struct Container {
    id: String,
    name: String,
    pod: String,
    namespace: String,
    image: String,
    mode: Mode,
    events: u64,
    alerts: u64,
    denied: u64,
    /// When its first listener came; none before that.
    #[serde(serialize_with = "rfc3339")]
    since: Option<Timestamp>,
}

/// Prints the containers, longest supervised first. One whose files cannot be read is named and left out.
pub(super) fn run(config: &Config, arguments: &PsArguments) -> Result<(), PsError> {
    let mut containers = list(&config.run_dir)?;
    containers.sort_by(|one, other| (one.since, &one.id).cmp(&(other.since, &other.id)));
    let text = if arguments.json { json(&containers) } else { table(&containers, &TimeZone::system()) };
    io::stdout().lock().write_all(text.as_bytes()).map_err(PsError::Write)
}

fn list(run_dir: &Path) -> Result<Vec<Container>, PsError> {
    let failed = |source| PsError::List { path: run_dir.to_owned(), source };
    let entries = match fs::read_dir(run_dir) {
        Ok(entries) => entries,
        // Nothing was supervised since the machine started.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut containers = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        match Container::load(&path) {
            Ok(container) => containers.extend(container),
            // A container that ended while it was read is no container any more.
            Err(_) if !path.exists() => {}
            Err(error) => warn(&path, &error),
        }
    }
    Ok(containers)
}

fn warn(path: &Path, error: &ContainerError) {
    let cause = crate::diagnostics::chain(error);
    // Without standard error there is nobody to tell.
    writeln!(io::stderr().lock(), "lanner: leaving out `{}`: {cause}", path.display()).unwrap_or_default();
}

impl Container {
    /// Reads a run directory; none if its guard is gone or not ready yet.
    fn load(path: &Path) -> Result<Option<Self>, ContainerError> {
        let directory = RunDirectory::new(path);
        if !is_supervised(&directory)? {
            return Ok(None);
        }
        let mode = directory.plan()?.mode;
        let identity = Identity::load(path)?;
        let counters = read_counters(&directory.counters())?;
        let count = |counter: Counter| counters.get(counter as usize).copied().unwrap_or_default();
        let since = Some(count(Counter::Since)).filter(|since| *since > 0);
        Ok(Some(Self {
            id: identity.full_id,
            name: identity.name,
            pod: identity.pod.name,
            namespace: identity.pod.namespace,
            image: identity.image.reference,
            mode,
            events: count(Counter::Events),
            alerts: count(Counter::Alerts),
            denied: count(Counter::Denied),
            since: since.and_then(|since| Timestamp::from_nanosecond(i128::from(since)).ok()),
        }))
    }
}

/// Whether a guard holds the lock. A guard takes the lock before it makes the socket; looking at the lock earlier could
/// take it away from a guard that is just starting.
fn is_supervised(directory: &RunDirectory) -> Result<bool, ContainerError> {
    if !directory.listener().exists() {
        return Ok(false);
    }
    let path = directory.path().join("lock");
    let failed = |source| ContainerError::File { path: path.clone(), source };
    match File::open(&path).map_err(failed)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn read_counters(path: &Path) -> Result<Vec<u64>, ContainerError> {
    let bytes = fs::read(path).map_err(|source| ContainerError::File { path: path.to_owned(), source })?;
    Ok(bytes.as_chunks().0.iter().map(|cell| u64::from_le_bytes(*cell)).collect())
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn rfc3339<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(serializer)
}

fn json(containers: &[Container]) -> String {
    // Strings and numbers always have a JSON form.
    let mut text = serde_json::to_string(containers).unwrap_or_default();
    text.push('\n');
    text
}

fn table(containers: &[Container], zone: &TimeZone) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(containers.iter().map(|container| container.cells(zone)));
    let widths: Vec<usize> = (0..HEADINGS.len()).map(|column| width(&rows, column)).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn width(rows: &[[String; 8]], column: usize) -> usize {
    rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{}\n", cells.join("   ").trim_end())
}

impl Container {
    fn cells(&self, zone: &TimeZone) -> [String; 8] {
        let id: String = self.id.chars().take(12).collect();
        let since = self.since.map(|since| zone.to_datetime(since).strftime("%Y-%m-%d %H:%M:%S").to_string());
        [
            shown(&id),
            shown(&self.name),
            shown(&self.pod),
            shown(&self.image),
            self.mode.to_string(),
            self.events.to_string(),
            self.alerts.to_string(),
            shown(&since.unwrap_or_default()),
        ]
    }
}

/// Names come from annotations, which whoever made the container chose.
fn shown(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { escape_controls(text).into_owned() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A run directory as the shim and the guard leave it; the returned values keep it supervised.
    fn supervised(run_dir: &Path, id: &str, since: u64) -> (std::os::fd::OwnedFd, UnixListener) {
        let path = run_dir.join(id);
        fs::create_dir_all(&path).unwrap();
        let plan = format!(
            r#"{{"id":"{id}","mode":"audit","bundle":"/b","runtime":"/runc","name":null,"started":1,"wait_killable":false,"exposed":false}}"#
        );
        fs::write(path.join("plan.json"), plan).unwrap();
        let annotations = r#"{"io.kubernetes.cri.container-name":"web\u001b[2J","io.kubernetes.cri.sandbox-name":"pod-1","io.kubernetes.cri.sandbox-namespace":"default","io.kubernetes.cri.sandbox-id":"s","io.kubernetes.cri.container-type":"container","io.kubernetes.cri.image-name":"docker.io/library/busybox:1"}"#;
        fs::write(path.join("spec.json"), format!(r#"{{"ociVersion":"1.0.2","annotations":{annotations}}}"#)).unwrap();
        let counters = [7_u64, 3, 1, 0, 1, since];
        let mut page: Vec<u8> = counters.iter().flat_map(|counter| counter.to_le_bytes()).collect();
        page.resize(4096, 0);
        fs::write(path.join("counters"), page).unwrap();
        let directory = RunDirectory::new(&path);
        (directory.lock().unwrap(), UnixListener::bind(directory.listener()).unwrap())
    }

    #[test]
    fn supervised_containers_are_listed_and_stale_directories_are_not() {
        let scratch = tempfile::tempdir().unwrap();
        let _first = supervised(scratch.path(), "adaab7654955ffff", 1_700_000_000_000_000_000);
        drop(supervised(scratch.path(), "stale", 1));
        let containers = list(scratch.path()).unwrap();
        let expected = "\
CONTAINER ID   NAME           POD     IMAGE                         MODE    EVENTS   ALERTS   SINCE
adaab7654955   web\\u001b[2J   pod-1   docker.io/library/busybox:1   audit   7        3        2023-11-14 22:13:20
";
        assert_eq!(table(&containers, &TimeZone::UTC), expected);
        let expected = concat!(
            r#"[{"id":"adaab7654955ffff","name":"web\u001b[2J","pod":"pod-1","namespace":"default","#,
            r#""image":"docker.io/library/busybox:1","mode":"audit","events":7,"alerts":3,"denied":1,"#,
            r#""since":"2023-11-14T22:13:20Z"}]"#,
            "\n"
        );
        assert_eq!(json(&containers), expected);
    }

    #[test]
    fn no_run_directory_means_no_containers() {
        let containers = list("/nonexistent/lanner".as_ref()).unwrap();
        assert_eq!(json(&containers), "[]\n");
    }
}
