// SPDX-License-Identifier: Apache-2.0
//! A complete `falco.yaml` as configuration: what is obeyed, what is named as having no effect, what is misspelt.

use std::time::Duration;

use super::*;
use crate::config::{
    rules_options::AppendOutput,
    source::Source,
    tree::{Content, Node},
};

const FALCO_YAML: &str = include_str!("../../../tests/data/falco.yaml");

#[test]
fn a_falco_yaml_is_obeyed() {
    let (config, _) = load(FALCO_YAML, &[], &[]).unwrap();
    let rules = &config.rules;
    assert_eq!(
        rules.entries,
        ["falco_rules.yaml", "falco_rules.local.yaml", "rules.d"].map(|name| Path::new("/etc/falco").join(name))
    );
    assert_eq!(
        rules.selection,
        [
            Selection { enable: false, selector: Selector::Rule("Packet socket *".to_owned()) },
            Selection { enable: true, selector: Selector::Tag("maturity_incubating".to_owned()) },
        ]
    );
    assert_eq!((rules.priority, rules.matching), (rules::Priority::Notice, RuleMatching::All));
    assert!(rules.buffer_format_base64);
    let fields = [("cluster", "warning-1"), ("site", "north")];
    assert_eq!(rules.static_fields, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let shells = AppendOutput {
        rule: Some("Terminal shell in container".to_owned()),
        source: Some("syscall".to_owned()),
        tags: vec!["container".to_owned(), "shell".to_owned()],
        extra_output: Some("on %evt.hostname".to_owned()),
        extra_fields: vec![
            ExtraField::Plain("proc.aexepath[2]".to_owned()),
            ExtraField::Formatted { name: "where".to_owned(), format: "%k8s.ns.name/%k8s.pod.name".to_owned() },
        ],
        suggested_output: false,
    };
    assert_eq!(rules.append_output, [AppendOutput { suggested_output: true, ..AppendOutput::default() }, shells]);
    let format = LineFormat {
        iso_time: true,
        json: true,
        include_output: false,
        include_message: true,
        include_output_fields: true,
        include_tags: false,
    };
    let file = Some(FileSink { path: "/var/log/falco/alerts.log".into(), keep_open: true });
    let outputs = OutputOptions { format, stdout: true, file, syslog: true, timeout: Duration::from_millis(1500) };
    assert_eq!(config.outputs, outputs);
    assert_eq!(config.log_level, LogLevel(tracing::Level::WARN));
    assert!(config.watch_config_files);
}

#[test]
fn what_has_no_effect_in_a_falco_yaml_is_named_once() {
    let (_, notices) = load(FALCO_YAML, &[], &[]).unwrap();
    let said: Vec<_> = notices.iter().map(|notice| notice.split_once(": ").map_or("", |(_, said)| said)).collect();
    assert_eq!(
        said,
        [
            "`engine` has no effect: Lanner has no kernel driver",
            "`capture` has no effect: Lanner does not write captures",
            "`load_plugins` has no effect: container and pod facts are built in, and plugins are not loaded",
            "`plugins` has no effect: container and pod facts are built in, and plugins are not loaded",
            "`plugins_hostinfo` has no effect: container and pod facts are built in, and plugins are not loaded",
            "`outputs_queue` has no effect: the event log is the queue, and it loses nothing",
            "`libs_logger` has no effect: Lanner does not use Falco's libraries",
            "`syscall_event_timeouts` has no effect: Lanner does not drop events",
            "`syscall_event_drops` has no effect: Lanner does not drop events",
            "`base_syscalls` has no effect: the loaded rules decide which system calls are watched",
            "`falco_libs` has no effect: Lanner does not use Falco's libraries",
        ]
    );
}

/// Both ways: the file has every key of Falco's in the table, and the table every key of the file.
#[test]
fn the_falco_yaml_of_the_tests_is_complete() {
    let source = Source { name: "falco.yaml".to_owned(), text: FALCO_YAML.to_owned() };
    let root = tree::parse(&source.into()).unwrap();
    let mut written = Vec::new();
    paths(&root, "", &mut written);
    // Lanner's own keys come first in the table.
    let falcos = key::paths().into_iter().skip_while(|key| key != "config_files");
    let former = ["grpc", "grpc_output", "rules_file"];
    let is_missing = |key: &String| !former.contains(&key.as_str()) && !written.contains(key);
    let missing: Vec<_> = falcos.filter(is_missing).collect();
    assert_eq!(missing, Vec::<String>::new());
    let notices = load(FALCO_YAML, &[], &[]).unwrap().1;
    assert!(notices.iter().all(|notice| !notice.contains("is not a key")), "{notices:?}");
}

/// The paths of all keys in the form of the table.
fn paths(node: &Node, parent: &str, found: &mut Vec<String>) {
    match &node.content {
        Content::Null | Content::Scalar(_) => {}
        Content::List(items) => items.iter().for_each(|item| paths(item, &format!("{parent}[]"), found)),
        Content::Map(entries) => {
            for entry in entries {
                let path = if parent.is_empty() { entry.key.clone() } else { format!("{parent}.{}", entry.key) };
                paths(&entry.value, &path, found);
                found.push(path);
            }
        }
    }
}

#[test]
fn misspelt_keys_at_any_depth_are_told_with_the_likely_one() {
    check_notices(
        "append_output:\n  - match: {rul: x}\n    extra_ouput: y\nplugins: [{nmae: x, init_config: {any: thing}}]\nmetrics: {intervall: 1h}\n",
        &[
            "$DIR/lanner.yaml:2:13: `append_output[].match.rul` is not a key of the configuration, and is ignored; did you mean `append_output[].match.rule`?",
            "$DIR/lanner.yaml:3:5: `append_output[].extra_ouput` is not a key of the configuration, and is ignored; did you mean `append_output[].extra_output`?",
            "$DIR/lanner.yaml:4:1: `plugins` has no effect: container and pod facts are built in, and plugins are not loaded",
            "$DIR/lanner.yaml:4:12: `plugins[].nmae` is not a key of the configuration, and is ignored; did you mean `plugins[].name`?",
            "$DIR/lanner.yaml:5:11: `metrics.intervall` is not a key of the configuration, and is ignored; did you mean `metrics.interval`?",
        ],
    );
}

#[test]
fn the_old_name_of_rules_files_still_names_them() {
    let (config, notices) = load("rules_file: /a.yaml\n", &[], &[]).unwrap();
    assert_eq!(config.rules.entries, [PathBuf::from("/a.yaml")]);
    assert_eq!(notices, ["$DIR/lanner.yaml:1:13: `rules_file` is the old name of `rules_files`"]);
    check_error(
        "rules_file: /a.yaml\nrules_files: [/b.yaml]\n",
        "\
$DIR/lanner.yaml:1:13: `rules_file` and `rules_files` are both given
 1 | rules_file: /a.yaml
   |             ^",
    );
}

#[test]
fn mistakes_of_additions_to_outputs_are_told_once_and_where_they_stand() {
    check_error(
        "static_fields: {site: x}\nappend_output:\n  - extra_output: at %static.site for %proc.nmae\n  - extra_fields: [proc.nmae, {where: '%static.sit'}, fd.name x]\n  - extra_output: '%proc.name'\n  - {match: {source: k8s_audit}, extra_output: '%ka.verb'}\n",
        "\
$DIR/lanner.yaml:3:19: `append_output`: `at %static.site for %proc.nmae` is no output: invalid formatting token proc.nmae
 3 |   - extra_output: at %static.site for %proc.nmae
   |                   ^
   = help: did you mean `proc.name`?
$DIR/lanner.yaml:4:20: `append_output`: `proc.nmae` is no output: invalid formatting token proc.nmae
 4 |   - extra_fields: [proc.nmae, {where: '%static.sit'}, fd.name x]
   |                    ^
   = help: did you mean `proc.name`?
$DIR/lanner.yaml:4:31: `append_output`: `%static.sit` is no output: invalid formatting token static.sit
 4 |   - extra_fields: [proc.nmae, {where: '%static.sit'}, fd.name x]
   |                               ^
$DIR/lanner.yaml:4:55: `append_output`: `fd.name x` is no output: invalid formatting token fd.name x
 4 |   - extra_fields: [proc.nmae, {where: '%static.sit'}, fd.name x]
   |                                                       ^
   = help: did you mean `fd.name`?",
    );
}

/// Options as Falco's users write them, and what a file says under them.
#[test]
fn options_go_over_files() {
    let options = [
        "json_output=false",
        "append_output[]={suggested_output: true, match: {tags: [a, b]}}",
        "append_output[].extra_output=at %evt.hostname: %proc.name",
        "append_output[1].match.source=syscall",
        "rules[]={disable: {tag: network}}",
        "rules_files[3]=/etc/falco/more.yaml",
        "static_fields.site=south # east",
        "file_output.filename=/tmp/a=b",
        "config_files[]=$DIR/options.yaml",
    ];
    let others = [("options.yaml", "priority: error\njson_output: true\n")];
    let (config, _) = load(FALCO_YAML, &options, &others).unwrap();
    assert!(!config.outputs.format.json);
    assert_eq!(config.rules.priority, rules::Priority::Error);
    let appended = &config.rules.append_output;
    assert_eq!((appended.len(), appended[2].suggested_output, appended[2].tags.len()), (4, true, 2));
    assert_eq!(appended[1].source.as_deref(), Some("syscall"));
    assert_eq!(appended[3].extra_output.as_deref(), Some("at %evt.hostname: %proc.name"));
    assert_eq!(config.rules.selection[2].selector, Selector::Tag("network".to_owned()));
    assert_eq!(config.rules.entries[3], PathBuf::from("/etc/falco/more.yaml"));
    assert_eq!(config.rules.static_fields[1].1, "south # east");
    assert_eq!(config.outputs.file.unwrap().path, PathBuf::from("/tmp/a=b"));
}

#[test]
fn only_parts_may_be_missing_from_the_manual() {
    for (parent, _) in key::PARTS {
        let top = parent.split(['.', '[']).next().unwrap();
        assert!(key::KEYS.iter().any(|(key, _)| *key == top), "{parent}");
    }
}
