// SPDX-License-Identifier: Apache-2.0
//! What Falco recorded, and how an alert is compared with it.

use std::{collections::HashMap, fmt::Write as _, fs, path::Path};

use integration::Alert;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{container, exception::Exceptions, parameters::Parameters, witness};

const MASK: &str = "*"; // stands for a parameter's value that differs from run to run
const SHOWN: usize = 10; // events behind the first that differs
const RUNTIME: &str = "runc "; // how the runtime was called is not what this is about; the container's id ends it

/// One recorded event.
#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    /// What the container was doing.
    pub(crate) step: String,
    fields: Map<String, Value>,
}

impl Event {
    pub(crate) fn read(file: &Path) -> Vec<Self> {
        let text = fs::read_to_string(file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Its event type.
    pub(crate) fn kind(&self) -> &str {
        self.fields.get("evt.type").and_then(Value::as_str).unwrap_or_default()
    }

    /// A recorded value in words.
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        let value = self.fields.get(field)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// Every field by name; in place of `evt.args` its parameters, as `evt.args.NAME`.
    fn values(&self, parameters: &Parameters) -> Vec<(String, Value)> {
        values(&self.fields, self.kind(), parameters)
    }

    /// What the alert says otherwise. `witness` is the alert of the same event with the masked numbers as fields.
    pub(crate) fn complaints(
        &self,
        (alert, witness): &(Alert, Alert),
        parameters: &Parameters,
        exceptions: &Exceptions,
    ) -> Vec<String> {
        let ours: HashMap<_, _> = values(&alert.fields, self.kind(), parameters).into_iter().collect();
        let mut complaints = Vec::new();
        for (field, expected) in self.values(parameters) {
            let fault = match ours.get(&field) {
                None => Some("it is missing".to_owned()),
                Some(found) => fault(&field, found, &expected, witness),
            };
            let place = format!("{} {} {field}", self.step, self.kind());
            match (fault, exceptions.find(self, &field)) {
                (Some(fault), None) => complaints.push(format!("{place}: {fault}")),
                (None, Some(exception)) if !exception.may_be_equal => {
                    complaints.push(format!("{place} is equal, although {}", exception.reason));
                }
                (None, _) | (Some(_), Some(_)) => {}
            }
        }
        complaints
    }
}

fn values(fields: &Map<String, Value>, event_type: &str, parameters: &Parameters) -> Vec<(String, Value)> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(text("evt.args"), text("evt.info"), "two names of one field");
    let split = parameters.split(event_type, text("evt.args"));
    let parameters = split.into_iter().map(|(name, value)| (format!("evt.args.{name}"), Value::from(value)));
    let others = fields.iter().filter(|(name, _)| *name != "evt.args" && *name != "evt.info");
    others.map(|(name, value)| (name.clone(), value.clone())).chain(parameters).collect()
}

/// Why a value is not the recorded one.
fn fault(field: &str, found: &Value, expected: &Value, witness: &Alert) -> Option<String> {
    let differ = || format!("{found} instead of {expected}");
    match (found, expected) {
        (Value::String(found), Value::String(expected)) if expected == MASK => {
            witness::parameter_fault(field.strip_prefix("evt.args.")?, found, witness)
        }
        (Value::String(found), Value::String(expected)) if is_runtime(expected) => (!is_runtime(found)).then(differ),
        _ => (found != expected).then(differ),
    }
}

fn is_runtime(command_line: &str) -> bool {
    command_line.starts_with(RUNTIME) && command_line.ends_with(container::ID)
}

/// Both sequences of event types side by side, from shortly before their first difference.
pub(crate) fn sequences(expected: &[Event], found: &[(Alert, Alert)]) -> String {
    let recorded: Vec<_> = expected.iter().map(|event| format!("{} in {}", event.kind(), event.step)).collect();
    let kind = |alert: &Alert| alert.text("evt.type").to_owned();
    let ours: Vec<_> =
        found.iter().map(|(alert, _)| format!("{} by {}", kind(alert), alert.text("proc.cmdline"))).collect();
    let same = expected.iter().zip(found).take_while(|(event, (alert, _))| event.kind() == kind(alert)).count();
    let mut text = format!("{} events instead of {}:\n", ours.len(), recorded.len());
    for index in same.saturating_sub(3)..same + SHOWN {
        let at = |list: &[String]| list.get(index).map_or_else(|| "nothing".to_owned(), String::clone);
        writeln!(text, "{index}: Falco saw {}, Lanner {}", at(&recorded), at(&ours)).unwrap();
    }
    text
}
