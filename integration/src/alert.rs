// SPDX-License-Identifier: Apache-2.0
//! One line of the event log, as a reader outside Lanner sees it.

use serde::Deserialize;
use serde_json::{Map, Value};

const START: &[u8] = br#"{"time":"#; // text inside a record has its quotes escaped, so this is no part of it

/// An alert.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// Unix time in nanoseconds.
    pub time: u64,
    /// Identity of the notification, or of the internal message.
    pub id: String,
    /// Name of the rule that matched.
    pub rule: String,
    /// Falco's spelling, capitalised.
    pub priority: String,
    /// `syscall`, or `internal` for messages about Lanner itself.
    pub source: String,
    /// The rendered output.
    pub message: String,
    /// The fields that the output names.
    #[serde(default)]
    pub fields: Map<String, Value>,
    /// Full container id.
    pub container: Option<String>,
    /// What was done with the call.
    pub verdict: Option<String>,
    /// What the rule or the configuration asked for.
    pub action: Option<String>,
    /// The errno the call got, by name, where it was denied.
    pub errno: Option<String>,
}

impl Alert {
    /// Reads a line. A supervisor that was killed inside a write leaves a part of a line before the next one; as every
    /// reader must, this then takes what begins with the last record's first member.
    pub(crate) fn parse(line: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(line).or_else(|cause| {
            let last =
                line.windows(START.len()).rposition(|window| window == START).and_then(|start| line.get(start..));
            last.map_or(Err(cause), serde_json::from_slice)
        })
    }

    /// A text field; empty where the alert lacks it or it is not text.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A numeric field; `-1` where the alert lacks it or it is no number.
    pub fn number(&self, field: &str) -> i64 {
        self.fields.get(field).and_then(Value::as_i64).unwrap_or(-1)
    }
}
