// SPDX-License-Identifier: Apache-2.0
//! Every key of the configuration: which ones do something, which ones of Falco's cannot, and which are misspelt.

use rules::did_you_mean;

use super::{
    section::Findings,
    source::{Finding, Place},
    tree::{Content, Node},
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
const REMOVED: &str = "Falco 0.44 removed it";

/// The keys, in the order of the documentation. A key that only holds other keys is not listed itself, and what stands below
/// a listed key without parts is not looked at. `[]` stands for the elements of a list.
pub(super) const KEYS: &[(&str, Standing)] = &[
    ("mode", Used),
    ("runtimes", Used),
    ("lanner", Used),
    ("run_dir", Used),
    ("event_log.path", Used),
    ("log.path", Used),
    ("enforce.default_action", Used),
    ("enforce.errno", Used),
    ("enforce.traced_execs", Used),
    ("verify", Used),
    ("limit_cpu_latency", Used),
    ("actions", Used),
    ("config_files", Used),
    ("watch_config_files", Used),
    ("rules_files", Used),
    ("rules_file", Used),
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
    ("grpc", NotApplicable(REMOVED)),
    ("grpc_output", NotApplicable(REMOVED)),
];

/// What some of the keys hold, by what comes before the last dot; the key itself says what becomes of all of it.
pub(super) const PARTS: &[(&str, &[&str])] = &[
    ("config_files[]", &["path", "strategy"]),
    ("append_output[].match", &["rule", "source", "tags"]),
    ("append_output[]", &["extra_output", "extra_fields", "suggested_output"]),
    ("program_output", &["enabled", "program", "keep_alive"]),
    (
        "http_output",
        &[
            "enabled",
            "url",
            "user_agent",
            "insecure",
            "ca_cert",
            "ca_bundle",
            "ca_path",
            "mtls",
            "client_cert",
            "client_key",
            "echo",
            "compress_uploads",
            "keep_alive",
            "max_consecutive_timeouts",
        ],
    ),
    (
        "webserver",
        &[
            "enabled",
            "threadiness",
            "listen_port",
            "listen_address",
            "k8s_healthz_endpoint",
            "prometheus_metrics_enabled",
            "ssl_enabled",
            "ssl_certificate",
        ],
    ),
    (
        "metrics",
        &[
            "enabled",
            "interval",
            "output_rule",
            "output_file",
            "rules_counters_enabled",
            "resource_utilization_enabled",
            "state_counters_enabled",
            "kernel_event_counters_enabled",
            "kernel_event_counters_per_cpu_enabled",
            "libbpf_stats_enabled",
            "plugins_metrics_enabled",
            "kernel_iter_event_counters_enabled",
            "jemalloc_stats_enabled",
            "convert_memory_to_mb",
            "include_empty_values",
        ],
    ),
    ("outputs_queue", &["capacity"]),
    ("engine", &["kind"]),
    ("engine.kmod", &["buf_size_preset", "drop_failed_exit"]),
    ("engine.modern_ebpf", &["cpus_for_each_buffer", "buf_size_preset", "drop_failed_exit", "disable_iterators"]),
    ("engine.replay", &["capture_file"]),
    ("base_syscalls", &["custom_set", "repair", "all"]),
    ("syscall_event_drops", &["threshold", "actions", "rate", "max_burst", "simulate_drops"]),
    ("syscall_event_timeouts", &["max_consecutives"]),
    (
        "falco_libs",
        &[
            "thread_table_size",
            "thread_table_auto_purging_interval_s",
            "thread_table_auto_purging_thread_timeout_s",
            "snaplen",
        ],
    ),
    ("libs_logger", &["enabled", "severity"]),
    ("plugins[]", &["name", "library_path", "init_config", "open_params"]),
    ("capture", &["enabled", "path_prefix", "mode", "default_duration", "max_file_size_mb"]),
];

/// Records a notice for each key below `root` that is unknown or does nothing.
pub(super) fn check(root: &Node, findings: &Findings) {
    check_entries("", root, findings);
}

fn check_entries(parent: &str, node: &Node, findings: &Findings) {
    for entry in node.entries() {
        let path = if parent.is_empty() { entry.key.clone() } else { format!("{parent}.{}", entry.key) };
        let has_parts = has_parts(&path);
        match standing(&path) {
            Some(NotApplicable(reason)) => {
                findings.notice(Finding::at(&entry.key_place, format!("`{path}` has no effect: {reason}")));
            }
            Some(Used) => {}
            None if has_parts || is_part(&path) => {}
            None => unknown(&path, &entry.key_place, findings),
        }
        if has_parts {
            check_value(&path, &entry.value, findings);
        }
    }
}

fn check_value(path: &str, value: &Node, findings: &Findings) {
    match &value.content {
        Content::List(items) => {
            let path = format!("{path}[]");
            for item in items {
                check_entries(&path, item, findings);
            }
        }
        Content::Map(_) => check_entries(path, value, findings),
        Content::Null | Content::Scalar(_) => {}
    }
}

fn unknown(path: &str, place: &Place, findings: &Findings) {
    let finding = Finding::at(place, format!("`{path}` is not a key of the configuration, and is ignored"));
    findings.notice(match suggestion(path) {
        Some(help) => finding.help(help),
        None => finding,
    });
}

fn standing(path: &str) -> Option<Standing> {
    KEYS.iter().find(|(key, _)| *key == path).map(|(_, standing)| *standing)
}

fn is_part(path: &str) -> bool {
    paths_of_parts().any(|part| part == path)
}

fn paths_of_parts() -> impl Iterator<Item = String> {
    PARTS.iter().flat_map(|(parent, parts)| parts.iter().map(move |part| format!("{parent}.{part}")))
}

/// Every path that means something.
pub(super) fn paths() -> Vec<String> {
    KEYS.iter().map(|(key, _)| (*key).to_owned()).chain(paths_of_parts()).collect()
}

/// Whether keys are listed below this one.
fn has_parts(path: &str) -> bool {
    paths().iter().any(|key| key.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '['])))
}

/// The key nearest to a misspelt one.
fn suggestion(path: &str) -> Option<String> {
    let paths = paths();
    let parents = paths.iter().flat_map(|key| key.match_indices('.').filter_map(|(dot, _)| key.get(..dot)));
    did_you_mean(path, paths.iter().map(String::as_str).chain(parents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_keys_get_a_suggestion_and_strange_ones_none() {
        for (key, expected) in [
            ("jsn_output", Some("json_output")),
            ("append_output[].extra_ouput", Some("append_output[].extra_output")),
            ("engine.modern_bpf", Some("engine.modern_ebpf")),
            ("rule_files", Some("rules_files")),
            ("stdout_output.enable", Some("stdout_output.enabled")),
            ("enforced", Some("enforce")),
            ("modes", Some("mode")),
            ("colour_of_the_sky", None),
            ("x", None),
        ] {
            let expected = expected.map(|key: &str| format!("did you mean `{key}`?"));
            assert_eq!(suggestion(key), expected, "{key}");
        }
    }
}
