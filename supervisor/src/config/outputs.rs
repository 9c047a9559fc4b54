// SPDX-License-Identifier: Apache-2.0
//! Where alerts go and what they look like: Falco's output keys.

use std::{path::PathBuf, str::FromStr, time::Duration};

use super::{section::Section, source::Finding};

/// Falco's `output_timeout` when the key is absent.
const DEFAULT_TIMEOUT_MS: u64 = 2000;

/// The sinks of `lanner serve` and the form of their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputOptions {
    pub(crate) format: LineFormat,
    /// Standard output is a sink.
    pub(crate) stdout: bool,
    pub(crate) file: Option<FileSink>,
    /// The system's log is a sink.
    pub(crate) syslog: bool,
    /// A sink that takes longer over one line is reported.
    pub(crate) timeout: Duration,
}

/// `file_output`, when enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSink {
    pub(crate) path: PathBuf,
    /// The file stays open between alerts.
    pub(crate) keep_open: bool,
}

/// What one alert's line looks like.
#[expect(clippy::struct_excessive_bools, reason = "each is one of Falco's keys")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineFormat {
    /// Times of text lines as ISO 8601 in UTC.
    pub(crate) iso_time: bool,
    /// JSON lines in place of text.
    pub(crate) json: bool,
    /// JSON has the whole text line under `output`.
    pub(crate) include_output: bool,
    /// JSON has the text without time and priority under `message`.
    pub(crate) include_message: bool,
    pub(crate) include_output_fields: bool,
    pub(crate) include_tags: bool,
}

/// How much our own diagnostics say; Falco's eight levels on the five of `tracing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogLevel(pub(crate) tracing::Level);

impl FromStr for LogLevel {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(Self(match text.to_ascii_lowercase().as_str() {
            "emergency" | "alert" | "critical" | "error" => tracing::Level::ERROR,
            "warning" => tracing::Level::WARN,
            "notice" | "info" | "informational" => tracing::Level::INFO,
            "debug" => tracing::Level::DEBUG,
            "trace" => tracing::Level::TRACE,
            _ => return Err(()),
        }))
    }
}

impl LogLevel {
    pub(super) fn read(root: Section<'_>) -> Self {
        let expected = "emergency, alert, critical, error, warning, notice, info, debug or trace";
        for (key, default) in [("log_stderr", true), ("log_syslog", false)] {
            if root.flag(key, default) != default {
                let message = format!("`{key}` has no effect: diagnostics go to standard error and to `log.path`");
                root.findings().notice(root.finding(key, message));
            }
        }
        root.parsed("log_level", expected, Self(tracing::Level::INFO))
    }
}

impl OutputOptions {
    pub(super) fn read(root: Section<'_>) -> Self {
        root.flag("buffered_outputs", false); // either way each line is written at once
        note_missing_services(root);
        Self {
            format: LineFormat::read(root),
            stdout: root.section("stdout_output").flag("enabled", false),
            file: FileSink::read(root.section("file_output")),
            syslog: root.section("syslog_output").flag("enabled", false),
            timeout: Duration::from_millis(root.parsed("output_timeout", "milliseconds", DEFAULT_TIMEOUT_MS)),
        }
    }
}

impl LineFormat {
    fn read(root: Section<'_>) -> Self {
        Self {
            iso_time: root.flag("time_format_iso_8601", false),
            json: root.flag("json_output", false),
            include_output: root.flag("json_include_output_property", true),
            include_message: root.flag("json_include_message_property", false),
            include_output_fields: root.flag("json_include_output_fields_property", true),
            include_tags: root.flag("json_include_tags_property", true),
        }
    }
}

impl FileSink {
    fn read(section: Section<'_>) -> Option<Self> {
        let enabled = section.flag("enabled", false);
        let keep_open = section.flag("keep_alive", false);
        if !enabled {
            return None;
        }
        let path = section.path("filename");
        if path.is_none() && section.get("filename").is_none() {
            section.findings().problem(section.finding("enabled", "`file_output` is enabled without a `filename`"));
        }
        path.map(|path| Self { path, keep_open })
    }
}

/// A sink that somebody relies on must not be missing silently. That is for `lanner serve` to refuse: containers are to be
/// supervised all the same.
pub(super) fn missing_sinks(root: Section<'_>) -> Vec<Finding> {
    let mut missing = Vec::new();
    for key in ["program_output", "http_output"] {
        let section = root.section(key);
        if section.flag("enabled", false) {
            let message = format!("`{key}` is enabled, and not supported yet: `lanner serve` does not start");
            let remedy = "disable it; a program can read the file of `file_output`, or `lanner logs --follow --json`";
            let finding = section.finding("enabled", message).help(remedy);
            root.findings().notice(finding.clone());
            missing.push(finding);
        }
    }
    missing
}

fn note_missing_services(root: Section<'_>) {
    for key in ["webserver", "metrics"] {
        let section = root.section(key);
        if section.flag("enabled", false) {
            let message = format!("`{key}` is enabled, and not supported yet; the alerts do not depend on it");
            root.findings().notice(section.finding("enabled", message));
        }
    }
}

impl Section<'_> {
    /// A finding at the value of `key`.
    pub(super) fn finding(&self, key: &str, message: impl Into<String>) -> Finding {
        match self.get(key) {
            Some(node) => Finding::at(&node.place, message),
            None => Finding::without_place(message),
        }
    }
}
