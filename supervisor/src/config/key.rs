// SPDX-License-Identifier: Apache-2.0
//! Every key of the configuration: which ones do something, which ones of Falco's cannot, and which are misspelt.

use super::{
    section::Findings,
    source::{Finding, Place},
    tree::Node,
};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does what `docs/configuration.md` says.
    Used,
    /// It is about Falco's drivers, plugins or captures; the reason it has no meaning here.
    NotApplicable(&'static str),
}

use Standing::{NotApplicable, Used};

const DRIVER: &str = "Lanner has no kernel driver";
const LIBRARY: &str = "Lanner does not use Falco's libraries";
const PLUGIN: &str = "container and pod facts are built in, and plugins are not loaded";
const NO_DROPS: &str = "Lanner does not drop events";

/// The keys, in the order of the documentation; a key with members below it is not listed itself.
pub(super) const KEYS: &[(&str, Standing)] = &[
    ("mode", Used),
    ("runtimes", Used),
    ("lanner", Used),
    ("run_dir", Used),
    ("event_log.path", Used),
    ("log.path", Used),
    ("enforce.default_action", Used),
    ("enforce.errno", Used),
    ("verify", Used),
    ("actions", Used),
    ("config_files", Used),
    ("watch_config_files", Used),
    ("rules_files", Used),
    ("rules", Used),
    ("priority", Used),
    ("rule_matching", Used),
    ("append_output", Used),
    ("static_fields", Used),
    ("buffer_format_base64", Used),
    ("time_format_iso_8601", Used),
    ("json_output", Used),
    ("json_include_output_property", Used),
    ("json_include_message_property", Used),
    ("json_include_output_fields_property", Used),
    ("json_include_tags_property", Used),
    ("buffered_outputs", Used),
    ("output_timeout", Used),
    ("stdout_output.enabled", Used),
    ("file_output.enabled", Used),
    ("file_output.filename", Used),
    ("file_output.keep_alive", Used),
    ("syslog_output.enabled", Used),
    ("program_output", Used),
    ("http_output", Used),
    ("webserver", Used),
    ("metrics", Used),
    ("log_stderr", Used),
    ("log_syslog", Used),
    ("log_level", Used),
    ("outputs_queue", NotApplicable("the event log is the queue, and it loses nothing")),
    ("engine", NotApplicable(DRIVER)),
    ("base_syscalls", NotApplicable("the loaded rules decide which system calls are watched")),
    ("syscall_event_drops", NotApplicable(NO_DROPS)),
    ("syscall_event_timeouts", NotApplicable(NO_DROPS)),
    ("falco_libs", NotApplicable(LIBRARY)),
    ("libs_logger", NotApplicable(LIBRARY)),
    ("load_plugins", NotApplicable(PLUGIN)),
    ("plugins", NotApplicable(PLUGIN)),
    ("plugins_hostinfo", NotApplicable(PLUGIN)),
    ("capture", NotApplicable("Lanner does not write captures")),
    ("grpc", NotApplicable("Falco 0.44 removed it")),
    ("grpc_output", NotApplicable("Falco 0.44 removed it")),
];

/// Records a notice for each key below `root` that is unknown or does nothing.
pub(super) fn check(root: &Node, findings: &Findings) {
    for entry in root.entries() {
        match lookup(&entry.key) {
            Known::Leaf(Used) => {}
            Known::Leaf(NotApplicable(reason)) => {
                let message = format!("`{}` has no effect: {reason}", entry.key);
                findings.notice(Finding::at(&entry.key_place, message));
            }
            Known::Parent => check_members(&entry.key, &entry.value, findings),
            Known::Nothing => unknown(&entry.key, &entry.key_place, findings),
        }
    }
}

fn check_members(parent: &str, node: &Node, findings: &Findings) {
    for entry in node.entries() {
        let path = format!("{parent}.{}", entry.key);
        if lookup(&path) == Known::Nothing {
            unknown(&path, &entry.key_place, findings);
        }
    }
}

fn unknown(path: &str, place: &Place, findings: &Findings) {
    let finding = Finding::at(place, format!("`{path}` is not a key of the configuration, and is ignored"));
    findings.notice(match suggestion(path) {
        Some(key) => finding.help(format!("did you mean `{key}`?")),
        None => finding,
    });
}

#[derive(Debug, PartialEq, Eq)]
enum Known {
    Leaf(Standing),
    Parent,
    Nothing,
}

fn lookup(path: &str) -> Known {
    if let Some((_, standing)) = KEYS.iter().find(|(key, _)| *key == path) {
        return Known::Leaf(*standing);
    }
    let is_parent = KEYS.iter().any(|(key, _)| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
    if is_parent { Known::Parent } else { Known::Nothing }
}

/// The key nearest to a misspelt one, unless it is farther away than a slip of the finger or two.
fn suggestion(path: &str) -> Option<&'static str> {
    let parents = KEYS.iter().filter_map(|(key, _)| key.split_once('.').map(|(parent, _)| parent));
    let (distance, key) = KEYS
        .iter()
        .map(|(key, _)| *key)
        .chain(parents)
        .map(|key| (distance(path, key), key))
        .min_by_key(|found| found.0)?;
    (distance <= path.len().div_ceil(4).min(4)).then_some(key)
}

/// How many letters must be put in, left out or changed (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(to.bytes()) {
            let cost = diagonal.saturating_add(usize::from(a != b));
            diagonal = *cell;
            left = cost.min(diagonal.saturating_add(1)).min(left.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_keys_get_a_suggestion_and_strange_ones_none() {
        for (key, expected) in [
            ("jsn_output", Some("json_output")),
            ("rule_files", Some("rules_files")),
            ("stdout_output.enable", Some("stdout_output.enabled")),
            ("enforced", Some("enforce")),
            ("modes", Some("mode")),
            ("colour_of_the_sky", None),
            ("x", None),
        ] {
            assert_eq!(suggestion(key), expected, "{key}");
        }
    }
}
