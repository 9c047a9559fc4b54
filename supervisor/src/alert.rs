// SPDX-License-Identifier: Apache-2.0
//! One line of the event log: [`AlertRecord`] writes it, [`Alert`] is what a reader gets back.
//!
//! The members and their order are the contract in `ARCHITECTURE.md`, "Event log".

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use policy::{Mode, Verdict};
use rules::{Action, Priority};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The source of messages about Lanner itself, as in Falco.
pub(crate) const INTERNAL_SOURCE: &str = "internal";

/// An alert on its way into the event log; borrows everything, so that nothing is copied while a call waits.
#[derive(Serialize)]
pub(crate) struct AlertRecord<'a, F> {
    /// Unix time in ns.
    pub(crate) time: u64,
    /// What the notification is recognised by, should a successor handle it again.
    #[serde(serialize_with = "as_text")]
    pub(crate) id: &'a dyn fmt::Display,
    pub(crate) rule: &'a str,
    #[serde(serialize_with = "as_text")]
    pub(crate) priority: Priority,
    pub(crate) source: &'a str,
    /// Sorted.
    pub(crate) tags: &'a [String],
    pub(crate) hostname: &'a str,
    /// The rendered output, without time and priority.
    pub(crate) message: &'a str,
    /// An object: every plain field of the output, sorted, and `evt.time`.
    pub(crate) fields: F,
    /// The full id; none for a message about the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<&'a str>,
    /// The engine's name of it, where somebody knew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container_name: Option<&'a str>,
    /// None for messages about Lanner itself, which are about no call.
    #[serde(flatten)]
    pub(crate) outcome: Option<Outcome<'a>>,
}

/// What became of the call.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Outcome<'a> {
    pub(crate) mode: Mode,
    /// The strictest that all matching rules ask for.
    #[serde(serialize_with = "as_text")]
    pub(crate) action: Action,
    /// The action was assigned by the rule or the configuration, not by default.
    pub(crate) explicit: bool,
    #[serde(serialize_with = "verdict_as_text")]
    pub(crate) verdict: Verdict,
    /// The name of the errno, for a denied call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) errno: Option<&'a str>,
}

impl<F: Serialize> AlertRecord<'_, F> {
    /// Appends the line, newline included, to `buffer`.
    pub(crate) fn write_line(&self, buffer: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(&mut *buffer, self)?;
        buffer.push(b'\n');
        Ok(())
    }
}

impl<F> fmt::Debug for AlertRecord<'_, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AlertRecord({} of `{}`)", self.id, self.rule)
    }
}

/// An alert read back from the event log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Alert {
    pub(crate) time: u64,
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) rule: String,
    #[serde(deserialize_with = "from_text")]
    pub(crate) priority: Priority,
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) hostname: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, serde_json::Value>,
    pub(crate) container: Option<String>,
    pub(crate) container_name: Option<String>,
    pub(crate) mode: Option<Mode>,
    #[serde(default, deserialize_with = "optional_from_text")]
    pub(crate) action: Option<Action>,
    #[serde(default)]
    pub(crate) explicit: bool,
    #[serde(default, deserialize_with = "optional_verdict")]
    pub(crate) verdict: Option<Verdict>,
    pub(crate) errno: Option<String>,
}

impl Alert {
    /// Reads one line of the event log.
    ///
    /// A supervisor that was killed inside its write leaves a torn line, and the next record follows on it; so what
    /// does not parse is tried again from the last place where a record begins. Inside a record that text cannot
    /// stand, because quotes in strings are escaped.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        Self::parse_record(line).map(|(alert, _)| alert)
    }

    /// The same, with the text of the record itself.
    pub(crate) fn parse_record(line: &[u8]) -> Option<(Self, &[u8])> {
        let whole = |record| serde_json::from_slice(record).ok().map(|alert| (alert, record));
        whole(line).or_else(|| {
            let start = memchr::memmem::rfind(line, br#"{"time":"#)?;
            whole(line.get(start..)?)
        })
    }
}

fn as_text<T: fmt::Display + ?Sized, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn verdict_as_text<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(verdict.as_str())
}

fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn optional_from_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = Option::<Cow<'_, str>>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}

fn optional_verdict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Verdict>, D::Error> {
    let Some(text) = Option::<Cow<'_, str>>::deserialize(deserializer)? else { return Ok(None) };
    let known = [Verdict::Allow, Verdict::Deny, Verdict::Kill];
    let verdict = known.into_iter().find(|verdict| verdict.as_str() == text);
    verdict.map(Some).ok_or_else(|| de::Error::custom("not a verdict: allow, deny or kill"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record<'a>(tags: &'a [String], outcome: Option<Outcome<'a>>) -> AlertRecord<'a, serde_json::Value> {
        AlertRecord {
            time: 1_700_000_000_000_000_001,
            id: &"adaab7654955-1-7f",
            rule: "R",
            priority: Priority::Informational,
            source: "syscall",
            tags,
            hostname: "node1",
            message: "cat \"x\"",
            fields: json!({"evt.time": 1_700_000_000_000_000_001_u64, "proc.name": "cat", "proc.pname": null}),
            container: Some("adaab7654955ffff"),
            container_name: Some("web"),
            outcome,
        }
    }

    #[test]
    fn a_record_has_the_members_of_the_contract_in_their_order() {
        let tags = ["a".to_owned(), "b".to_owned()];
        let outcome = Outcome {
            mode: Mode::Enforce,
            action: Action::Deny,
            explicit: true,
            verdict: Verdict::Deny,
            errno: Some("EPERM"),
        };
        let mut line = Vec::new();
        record(&tags, Some(outcome)).write_line(&mut line).unwrap();
        let expected = concat!(
            r#"{"time":1700000000000000001,"id":"adaab7654955-1-7f","rule":"R","priority":"Informational","source":"syscall","#,
            r#""tags":["a","b"],"hostname":"node1","message":"cat \"x\"","fields":{"evt.time":1700000000000000001,"#,
            r#""proc.name":"cat","proc.pname":null},"container":"adaab7654955ffff","container_name":"web","mode":"enforce","action":"deny","#,
            r#""explicit":true,"verdict":"deny","errno":"EPERM"}"#,
            "\n"
        );
        assert_eq!(std::str::from_utf8(&line), Ok(expected));
        let alert = Alert::parse(&line).unwrap();
        assert_eq!(
            (alert.verdict, alert.action, alert.errno.as_deref()),
            (Some(Verdict::Deny), Some(Action::Deny), Some("EPERM"))
        );
        assert_eq!(alert.priority, Priority::Informational);
    }

    #[test]
    fn a_message_about_lanner_has_no_outcome() {
        let mut line = Vec::new();
        AlertRecord { container: None, container_name: None, ..record(&[], None) }.write_line(&mut line).unwrap();
        let text = std::str::from_utf8(&line).unwrap();
        assert!(text.ends_with("\"proc.pname\":null}}\n"), "{text}");
        let alert = Alert::parse(&line).unwrap();
        assert_eq!((alert.container, alert.mode, alert.verdict), (None, None, None));
    }

    #[test]
    fn a_record_behind_a_torn_one_is_read_and_rubbish_is_not() {
        let mut line = Vec::new();
        record(&[], None).write_line(&mut line).unwrap();
        let whole = Alert::parse(&line).unwrap();
        for cut in [1, 8, 9, 60, line.len() - 2] {
            let torn = [&line[..cut], &line].concat();
            assert_eq!(Alert::parse_record(&torn), Some((whole.clone(), &*line)), "cut at {cut}");
            assert_eq!(Alert::parse(&line[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Alert::parse(b"\0\0\0\0"), None);
    }
}
