// SPDX-License-Identifier: Apache-2.0
//! Messages where the engine looks for them: standard error, and the runtime's `--log` file in the runtime's own form.

use std::{
    error::Error,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write as _},
    iter,
    os::unix::{ffi::OsStrExt, net::UnixDatagram},
    path::PathBuf,
    process,
};

use jiff::Timestamp;
use serde_json::json;

use crate::args::Invocation;

const SYSLOG: &str = "/dev/log";
/// Facility daemon (3), severity warning (4), as in RFC 3164.
const DAEMON_WARNING: u8 = 3 * 8 + 4;

/// Where the messages of one command go.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<PathBuf>,
    is_json: bool,
}

impl Log {
    /// The log that the engine asked for.
    pub(crate) fn new(invocation: &Invocation) -> Self {
        let is_json = invocation.log_format.as_ref().is_some_and(|format| format == "json");
        Self { file: invocation.log.as_ref().and_then(log_file), is_json }
    }

    /// Reports why the command fails.
    pub(crate) fn error(&self, error: &(dyn Error + 'static)) {
        self.write("error", &chain(error));
    }

    /// Reports that the container starts without supervision; also to syslog, since engines show the log of a command
    /// only when it fails.
    pub(crate) fn warning(&self, cause: &(dyn Error + 'static)) {
        let message = format!("the container is not supervised: {}", chain(cause));
        self.write("warning", &message);
        syslog(&message);
    }

    fn write(&self, level: &str, message: &str) {
        // Nobody is left to tell about a message that cannot be written, so its failure changes nothing.
        drop(writeln!(io::stderr(), "lanner-runtime: {message}"));
        let Some(file) = &self.file else { return };
        if let Ok(mut file) = File::options().append(true).create(true).open(file) {
            drop(file.write_all(self.line(level, message).as_bytes()));
        }
    }

    fn line(&self, level: &str, message: &str) -> String {
        let time = Timestamp::now();
        if self.is_json {
            format!("{}\n", json!({"level": level, "msg": message, "time": time.to_string()}))
        } else {
            format!("time=\"{time:.0}\" level={level} msg=\"{}\"\n", message.escape_debug())
        }
    }
}

/// crun also takes `file:PATH`, and the names of logs that are not ours to write.
fn log_file(value: &OsString) -> Option<PathBuf> {
    let bytes = value.as_bytes();
    if bytes.starts_with(b"journald:") || bytes.starts_with(b"syslog:") || bytes == b"/dev/stderr" {
        return None;
    }
    let path = bytes.strip_prefix(b"file:").unwrap_or(bytes);
    (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path)))
}

fn syslog(message: &str) {
    let line = format!("<{DAEMON_WARNING}>lanner-runtime[{}]: {message}", process::id());
    if let Ok(socket) = UnixDatagram::unbound() {
        // A full or absent syslog must not hold a container's start up.
        if socket.set_nonblocking(true).is_ok() {
            drop(socket.send_to(line.as_bytes(), SYSLOG));
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(arguments: &[&str]) -> Log {
        Log::new(&Invocation::parse(arguments.iter().map(OsString::from).collect()))
    }

    #[test]
    fn a_json_log_has_the_members_that_containerd_reads() {
        let line = log(&["--log", "x", "--log-format", "json", "create"]).line("error", "a \"b\"");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["level"], &line["msg"]), (&json!("error"), &json!("a \"b\"")));
        line["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    }

    #[test]
    fn a_text_log_has_the_form_of_runc() {
        let line = log(&["--log=x", "create"]).line("warning", "a \"b\"");
        assert!(line.starts_with("time=\"20") && line.ends_with("Z\" level=warning msg=\"a \\\"b\\\"\"\n"), "{line}");
    }

    #[test]
    fn the_other_logs_of_crun_are_not_files() {
        for (value, file) in [("journald:x", None), ("syslog:x", None), ("file:/a", Some("/a")), ("b:c", Some("b:c"))] {
            assert_eq!(log(&["--log", value, "create"]).file, file.map(PathBuf::from));
        }
    }
}
