// SPDX-License-Identifier: Apache-2.0
//! Alerts as lines: Falco's text form and its JSON form, to the byte, with what Lanner did at the end.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use jiff::{Timestamp, tz::TimeZone};
use policy::{Mode, Verdict};
use rules::Action;
use serde::Serialize;
use serde_json::Value;

use crate::{
    alert::{Alert, INTERNAL_SOURCE},
    config::LineFormat,
};

/// Renders alerts; holds the time zone, which is loaded once.
#[derive(Debug, Clone)]
pub(crate) struct LineRenderer {
    format: LineFormat,
    zone: TimeZone,
}

/// Falco's JSON object; it sorts the keys.
#[derive(Serialize)]
struct JsonLine<'a> {
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_fields: Option<BTreeMap<&'a str, Cow<'a, Value>>>,
    priority: &'static str,
    rule: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a [String]>,
    time: String,
}

impl LineRenderer {
    /// Renders in the time zone of the system.
    pub(crate) fn new(format: LineFormat) -> Self {
        Self { format, zone: TimeZone::system() }
    }

    /// The alert as one line, without the newline.
    ///
    /// Control characters of fields were replaced when the fields were read; those of a rule's own text are escaped
    /// here, so that no line can move the reader's cursor or pretend to be two.
    pub(crate) fn render(&self, alert: &Alert) -> String {
        let line = match (self.format.json, alert.source == INTERNAL_SOURCE) {
            (false, false) => self.text(alert),
            (false, true) => format!("{}{}", self.text(alert), internal_fields(alert)),
            (true, false) => self.json(alert),
            (true, true) => internal_json(alert),
        };
        match escape_controls(&line) {
            Cow::Borrowed(_) => line,
            Cow::Owned(escaped) => escaped,
        }
    }

    fn text(&self, alert: &Alert) -> String {
        let time = self.time(alert.time);
        format!("{time}: {} {}{}", alert.priority, alert.message, suffix(alert))
    }

    fn time(&self, nanoseconds: u64) -> String {
        if self.format.iso_time {
            return format!("{}+0000", iso_in_utc(nanoseconds));
        }
        let time = self.zone.to_datetime(timestamp(nanoseconds));
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        format!("{hour:02}:{minute:02}:{second:02}.{:09}", time.subsec_nanosecond())
    }

    fn json(&self, alert: &Alert) -> String {
        let format = &self.format;
        let output = format.include_output.then(|| self.text(alert));
        to_json(&JsonLine {
            hostname: &alert.hostname,
            message: format.include_message.then_some(&alert.message),
            output: output.as_deref(),
            output_fields: format.include_output_fields.then(|| self.output_fields(alert)),
            priority: alert.priority.as_str(),
            rule: &alert.rule,
            source: &alert.source,
            tags: format.include_tags.then_some(&alert.tags),
            time: format!("{}Z", iso_in_utc(alert.time)),
        })
    }

    fn output_fields<'a>(&self, alert: &'a Alert) -> BTreeMap<&'a str, Cow<'a, Value>> {
        let mut fields: BTreeMap<_, _> =
            alert.fields.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value))).collect();
        let added = [
            ("lanner.mode", alert.mode.map(Mode::as_str)),
            ("lanner.action", alert.action.map(Action::as_str)),
            ("lanner.verdict", alert.verdict.map(Verdict::as_str)),
        ];
        for (name, value) in added {
            if let Some(value) = value {
                fields.insert(name, Cow::Owned(value.into()));
            }
        }
        if self.format.iso_time {
            fields.insert("evt.time.iso8601", Cow::Owned(alert.time.into()));
        }
        fields
    }
}

/// *Falco:* internal messages have neither tags nor choices, and their `output` is the bare message.
fn internal_json(alert: &Alert) -> String {
    to_json(&JsonLine {
        hostname: &alert.hostname,
        message: None,
        output: Some(&alert.message),
        output_fields: Some(alert.fields.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value))).collect()),
        priority: alert.priority.as_str(),
        rule: &alert.rule,
        source: &alert.source,
        tags: None,
        time: format!("{}Z", iso_in_utc(alert.time)),
    })
}

fn to_json(line: &JsonLine<'_>) -> String {
    // Strings, numbers and string keys always have a JSON form.
    serde_json::to_string(line).unwrap_or_default()
}

/// ` (key=value key=value)`, values as JSON; the time is at the line's beginning already.
fn internal_fields(alert: &Alert) -> String {
    let fields = alert.fields.iter().filter(|(name, _)| *name != "evt.time");
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
    if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(" ")) }
}

/// What was done, or would have been done in enforce mode by an action that somebody chose.
fn suffix(alert: &Alert) -> Cow<'static, str> {
    match (alert.verdict, alert.mode, alert.action) {
        (Some(Verdict::Deny), ..) => match &alert.errno {
            Some(errno) => format!(" (denied: {errno})").into(),
            None => " (denied)".into(),
        },
        (Some(Verdict::Kill), ..) => " (killed)".into(),
        (_, Some(Mode::Audit), Some(Action::Deny)) if alert.explicit => " (would be denied)".into(),
        (_, Some(Mode::Audit), Some(Action::Kill)) if alert.explicit => " (would be killed)".into(),
        _ => "".into(),
    }
}

fn timestamp(nanoseconds: u64) -> Timestamp {
    // 64 bits of nanoseconds end in the year 2554, well inside the type's range.
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default()
}

fn iso_in_utc(nanoseconds: u64) -> String {
    timestamp(nanoseconds).strftime("%Y-%m-%dT%H:%M:%S.%9f").to_string()
}

/// Writes control characters (C0, DEL, C1) the way JSON does. Inside of JSON only DEL and C1 are left to escape, and
/// those can only stand in strings.
pub(crate) fn escape_controls(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len().saturating_add(8));
    for character in text.chars() {
        match character {
            '\n' => escaped += "\\n",
            '\r' => escaped += "\\r",
            '\t' => escaped += "\\t",
            control if control.is_control() => {
                // Writing into a String does not fail.
                write!(escaped, "\\u{:04x}", u32::from(control)).unwrap_or_default();
            }
            plain => escaped.push(plain),
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: LineFormat = LineFormat {
        iso_time: false,
        json: false,
        include_output: true,
        include_message: false,
        include_output_fields: true,
        include_tags: true,
    };
    const JSON: LineFormat = LineFormat { json: true, ..TEXT };

    const RECORD: &str = r#"{"time":1700000000000000123,"id":"x","rule":"R","priority":"Warning","source":"syscall","tags":["a","b"],"hostname":"h","message":"text k=v","fields":{"evt.time":1700000000000000123,"proc.name":"cat","proc.pid":7,"proc.pname":null},"container":"c"OUTCOME}"#;
    const ALLOWED: &str = r#","mode":"audit","action":"deny","explicit":false,"verdict":"allow""#;

    #[track_caller]
    fn check(format: LineFormat, record: &str, outcome: &str, expected: &str) {
        let alert = Alert::parse(record.replace("OUTCOME", outcome).as_bytes()).unwrap();
        let renderer = LineRenderer { format, zone: TimeZone::get("Europe/Istanbul").unwrap() };
        assert_eq!(renderer.render(&alert), expected);
    }

    #[test]
    fn text_lines_have_falcos_form_and_say_what_was_done() {
        let iso = LineFormat { iso_time: true, ..TEXT };
        check(TEXT, RECORD, ALLOWED, "01:13:20.000000123: Warning text k=v");
        check(iso, RECORD, ALLOWED, "2023-11-14T22:13:20.000000123+0000: Warning text k=v");
        for (outcome, suffix) in [
            (
                r#","mode":"enforce","action":"deny","explicit":true,"verdict":"deny","errno":"EPERM""#,
                " (denied: EPERM)",
            ),
            (r#","mode":"enforce","action":"kill","explicit":false,"verdict":"kill""#, " (killed)"),
            (r#","mode":"enforce","action":"alert","explicit":true,"verdict":"allow""#, ""),
            (r#","mode":"audit","action":"deny","explicit":true,"verdict":"allow""#, " (would be denied)"),
            (r#","mode":"audit","action":"kill","explicit":true,"verdict":"allow""#, " (would be killed)"),
            (r#","mode":"audit","action":"kill","explicit":false,"verdict":"allow""#, ""),
            ("", ""),
        ] {
            check(TEXT, RECORD, outcome, &format!("01:13:20.000000123: Warning text k=v{suffix}"));
        }
    }

    #[test]
    fn json_lines_have_falcos_keys_in_order() {
        check(
            JSON,
            RECORD,
            ALLOWED,
            r#"{"hostname":"h","output":"01:13:20.000000123: Warning text k=v","output_fields":{"evt.time":1700000000000000123,"lanner.action":"deny","lanner.mode":"audit","lanner.verdict":"allow","proc.name":"cat","proc.pid":7,"proc.pname":null},"priority":"Warning","rule":"R","source":"syscall","tags":["a","b"],"time":"2023-11-14T22:13:20.000000123Z"}"#,
        );
        let message_only = LineFormat {
            include_output: false,
            include_message: true,
            include_output_fields: false,
            include_tags: false,
            ..JSON
        };
        check(
            message_only,
            RECORD,
            ALLOWED,
            r#"{"hostname":"h","message":"text k=v","priority":"Warning","rule":"R","source":"syscall","time":"2023-11-14T22:13:20.000000123Z"}"#,
        );
        let iso = LineFormat { iso_time: true, include_output: false, ..JSON };
        let record = RECORD.replace(r#","proc.name":"cat","proc.pid":7,"proc.pname":null"#, "");
        check(
            iso,
            &record,
            "",
            r#"{"hostname":"h","output_fields":{"evt.time":1700000000000000123,"evt.time.iso8601":1700000000000000123},"priority":"Warning","rule":"R","source":"syscall","tags":["a","b"],"time":"2023-11-14T22:13:20.000000123Z"}"#,
        );
    }

    #[test]
    fn internal_messages_have_falcos_own_form() {
        let record = r#"{"time":1700000000000000123,"id":"x","rule":"Lanner internal: rules","priority":"Critical","source":"internal","tags":[],"hostname":"h","message":"not loaded","fields":{"error":"a\nb","evt.time":1700000000000000123,"files":2}}"#;
        check(TEXT, record, "", r#"01:13:20.000000123: Critical not loaded (error="a\nb" files=2)"#);
        check(
            JSON,
            record,
            "",
            r#"{"hostname":"h","output":"not loaded","output_fields":{"error":"a\nb","evt.time":1700000000000000123,"files":2},"priority":"Critical","rule":"Lanner internal: rules","source":"internal","time":"2023-11-14T22:13:20.000000123Z"}"#,
        );
    }

    #[test]
    fn control_characters_never_reach_the_output() {
        let record = RECORD.replace("text k=v", r"a\nb\u001b[2Jc\u009bd\u007fe\u00e9\ufffd");
        check(TEXT, &record, ALLOWED, "01:13:20.000000123: Warning a\\nb\\u001b[2Jc\\u009bd\\u007fe\u{e9}\u{fffd}");
        let message = LineFormat {
            include_output: false,
            include_message: true,
            include_output_fields: false,
            include_tags: false,
            ..JSON
        };
        check(
            message,
            &record,
            ALLOWED,
            "{\"hostname\":\"h\",\"message\":\"a\\nb\\u001b[2Jc\\u009bd\\u007fe\u{e9}\u{fffd}\",\"priority\":\"Warning\",\"rule\":\"R\",\"source\":\"syscall\",\"time\":\"2023-11-14T22:13:20.000000123Z\"}",
        );
    }

    #[test]
    fn the_stock_example_reads_as_in_the_article() {
        let record = r#"{"time":1700000000199588288,"id":"x","rule":"spawned_process_in_test_container","priority":"Warning","source":"syscall","tags":[],"hostname":"h","message":"BIZIM ORNEGIMIZ - 01:13:20.199588288,0,cat,adaab7654955,falco-ornek-konteynir","fields":{"evt.time":1700000000199588288},"container":"adaab7654955","mode":"audit","action":"deny","explicit":false,"verdict":"allow"}"#;
        check(
            TEXT,
            record,
            "",
            "01:13:20.199588288: Warning BIZIM ORNEGIMIZ - 01:13:20.199588288,0,cat,adaab7654955,falco-ornek-konteynir",
        );
    }
}
