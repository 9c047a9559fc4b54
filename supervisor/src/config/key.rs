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
    /// One of Falco's keys inside of another key, which says what becomes of all of them.
    Part,
}

use Standing::{NotApplicable, Part, Used};

const DRIVER: &str = "Lanner has no kernel driver";
const LIBRARY: &str = "Lanner does not use Falco's libraries";
const PLUGIN: &str = "container and pod facts are built in, and plugins are not loaded";
const NO_DROPS: &str = "Lanner does not drop events";
const REMOVED: &str = "Falco 0.44 removed it";

/// The keys, in the order of the documentation; `[]` stands for the elements of a list. A key that only holds other keys is
/// not listed itself, and what stands below a listed key without parts is not looked at.
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
    ("config_files[].path", Part),
    ("config_files[].strategy", Part),
    ("watch_config_files", Used),
    ("rules_files", Used),
    ("rules_file", Used),
    ("rules", Used),
    ("priority", Used),
    ("rule_matching", Used),
    ("append_output", Used),
    ("append_output[].match.rule", Part),
    ("append_output[].match.source", Part),
    ("append_output[].match.tags", Part),
    ("append_output[].extra_output", Part),
    ("append_output[].extra_fields", Part),
    ("append_output[].suggested_output", Part),
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
    ("program_output.enabled", Part),
    ("program_output.program", Part),
    ("program_output.keep_alive", Part),
    ("http_output", Used),
    ("http_output.enabled", Part),
    ("http_output.url", Part),
    ("http_output.user_agent", Part),
    ("http_output.insecure", Part),
    ("http_output.ca_cert", Part),
    ("http_output.ca_bundle", Part),
    ("http_output.ca_path", Part),
    ("http_output.mtls", Part),
    ("http_output.client_cert", Part),
    ("http_output.client_key", Part),
    ("http_output.echo", Part),
    ("http_output.compress_uploads", Part),
    ("http_output.keep_alive", Part),
    ("http_output.max_consecutive_timeouts", Part),
    ("webserver", Used),
    ("webserver.enabled", Part),
    ("webserver.threadiness", Part),
    ("webserver.listen_port", Part),
    ("webserver.listen_address", Part),
    ("webserver.k8s_healthz_endpoint", Part),
    ("webserver.prometheus_metrics_enabled", Part),
    ("webserver.ssl_enabled", Part),
    ("webserver.ssl_certificate", Part),
    ("metrics", Used),
    ("metrics.enabled", Part),
    ("metrics.interval", Part),
    ("metrics.output_rule", Part),
    ("metrics.output_file", Part),
    ("metrics.rules_counters_enabled", Part),
    ("metrics.resource_utilization_enabled", Part),
    ("metrics.state_counters_enabled", Part),
    ("metrics.kernel_event_counters_enabled", Part),
    ("metrics.kernel_event_counters_per_cpu_enabled", Part),
    ("metrics.libbpf_stats_enabled", Part),
    ("metrics.plugins_metrics_enabled", Part),
    ("metrics.kernel_iter_event_counters_enabled", Part),
    ("metrics.jemalloc_stats_enabled", Part),
    ("metrics.convert_memory_to_mb", Part),
    ("metrics.include_empty_values", Part),
    ("log_stderr", Used),
    ("log_syslog", Used),
    ("log_level", Used),
    ("outputs_queue", NotApplicable("the event log is the queue, and it loses nothing")),
    ("outputs_queue.capacity", Part),
    ("engine", NotApplicable(DRIVER)),
    ("engine.kind", Part),
    ("engine.kmod.buf_size_preset", Part),
    ("engine.kmod.drop_failed_exit", Part),
    ("engine.modern_ebpf.cpus_for_each_buffer", Part),
    ("engine.modern_ebpf.buf_size_preset", Part),
    ("engine.modern_ebpf.drop_failed_exit", Part),
    ("engine.modern_ebpf.disable_iterators", Part),
    ("engine.replay.capture_file", Part),
    ("base_syscalls", NotApplicable("the loaded rules decide which system calls are watched")),
    ("base_syscalls.custom_set", Part),
    ("base_syscalls.repair", Part),
    ("base_syscalls.all", Part),
    ("syscall_event_drops", NotApplicable(NO_DROPS)),
    ("syscall_event_drops.threshold", Part),
    ("syscall_event_drops.actions", Part),
    ("syscall_event_drops.rate", Part),
    ("syscall_event_drops.max_burst", Part),
    ("syscall_event_drops.simulate_drops", Part),
    ("syscall_event_timeouts", NotApplicable(NO_DROPS)),
    ("syscall_event_timeouts.max_consecutives", Part),
    ("falco_libs", NotApplicable(LIBRARY)),
    ("falco_libs.thread_table_size", Part),
    ("falco_libs.thread_table_auto_purging_interval_s", Part),
    ("falco_libs.thread_table_auto_purging_thread_timeout_s", Part),
    ("falco_libs.snaplen", Part),
    ("libs_logger", NotApplicable(LIBRARY)),
    ("libs_logger.enabled", Part),
    ("libs_logger.severity", Part),
    ("load_plugins", NotApplicable(PLUGIN)),
    ("plugins", NotApplicable(PLUGIN)),
    ("plugins[].name", Part),
    ("plugins[].library_path", Part),
    ("plugins[].init_config", Part),
    ("plugins[].open_params", Part),
    ("plugins_hostinfo", NotApplicable(PLUGIN)),
    ("capture", NotApplicable("Lanner does not write captures")),
    ("capture.enabled", Part),
    ("capture.path_prefix", Part),
    ("capture.mode", Part),
    ("capture.default_duration", Part),
    ("capture.max_file_size_mb", Part),
    ("grpc", NotApplicable(REMOVED)),
    ("grpc_output", NotApplicable(REMOVED)),
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
            Some(Used | Part) => {}
            None if has_parts => {}
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

/// Whether keys are listed below this one.
fn has_parts(path: &str) -> bool {
    KEYS.iter().any(|(key, _)| key.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '['])))
}

/// The key nearest to a misspelt one.
fn suggestion(path: &str) -> Option<String> {
    let parents = KEYS.iter().flat_map(|(key, _)| key.match_indices('.').filter_map(|(dot, _)| key.get(..dot)));
    did_you_mean(path, KEYS.iter().map(|(key, _)| *key).chain(parents))
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
