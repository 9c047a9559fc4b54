// SPDX-License-Identifier: Apache-2.0
//! Configuration files as data: what they mean, and what is said about those that mean nothing.

mod falco;

use std::fs;

use super::{
    rules_options::{ExtraField, Selection, Selector},
    *,
};

/// Loads `text` (and further files beside it) with some variables set.
fn load(text: &str, options: &[&str], others: &[(&str, &str)]) -> Result<(Config, Vec<String>), String> {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().display().to_string();
    for (name, text) in others {
        let path = scratch.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let path = scratch.path().join("lanner.yaml");
    fs::write(&path, text.replace("$DIR", &directory)).unwrap();
    let lookup = |name: &str| (name == "LEVEL").then(|| "warning".to_owned());
    let options: Vec<String> = options.iter().map(|option| option.replace("$DIR", &directory)).collect();
    match Config::load_with(Some(&path), Files::Disk, &options, &lookup) {
        Ok((config, notices)) => {
            Ok((config, notices.iter().map(|notice| notice.in_one_line().replace(&directory, "$DIR")).collect()))
        }
        Err(error) => Err(error.to_string().replace(&directory, "$DIR")),
    }
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    assert_eq!(load(text, &[], &[]).map(|_| ()), Err(expected.to_owned()));
}

#[track_caller]
fn check_notices(text: &str, expected: &[&str]) {
    assert_eq!(load(text, &[], &[]).unwrap().1, expected);
}

#[test]
fn an_empty_file_gives_the_defaults() {
    for text in ["", "# only a comment\n", "---\n"] {
        let (config, notices) = load(text, &[], &[]).unwrap();
        assert!(notices.is_empty());
        assert_eq!(config.enforcement.enforce.errno.number(), libc::EPERM);
        assert_eq!(config.run_dir, PathBuf::from("/run/lanner"));
        assert_eq!(config.event_log, PathBuf::from("/var/log/lanner/events.jsonl"));
        assert_eq!(config.rules.entries.len(), 3);
        assert!(config.watch_config_files && !config.outputs.stdout && !config.outputs.syslog);
    }
}

#[test]
fn the_documented_example_means_what_it_says() {
    let text = "\
mode: enforce
runtimes: [runc, crun]
run_dir: /run/lanner-test
event_log: {path: /tmp/events.jsonl}
rules_files: [/etc/a.yaml, /etc/rules.d]
enforce: {default_action: alert, errno: EACCES, traced_execs: deny}
priority: ${LEVEL}
rule_matching: all
json_output: yes
file_output: {enabled: true, filename: /tmp/alerts, keep_alive: on}
static_fields: {cluster: a, level: '${LEVEL}', debug: yes}
rules:
  - disable: {rule: '*'}
  - enable: {tag: T1555}
actions:
  - {rules: \"Terminal *\", action: alert}
  - {tags: [drift], priority: CRITICAL, action: kill}
append_output:
  - match: {source: syscall, tags: [a, b]}
    extra_output: on CPU %evt.cpu
    extra_fields: [evt.hostname, {where: '%container.id on %evt.hostname'}]
  - suggested_output: true
";
    let (config, notices) = load(text, &[], &[]).unwrap();
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(config.enforcement.enforce.default_action, rules::Action::Alert);
    assert_eq!(config.enforcement.enforce.errno.to_string(), "EACCES");
    assert_eq!(config.enforcement.traced_execs, TracedExecs::Deny);
    assert_eq!(config.rules.priority, rules::Priority::Warning);
    assert_eq!(config.rules.matching, RuleMatching::All);
    assert!(config.outputs.format.json);
    assert_eq!(config.outputs.file, Some(FileSink { path: "/tmp/alerts".into(), keep_open: true }));
    let fields = [("cluster", "a"), ("level", "warning"), ("debug", "yes")];
    assert_eq!(config.rules.static_fields, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(
        config.rules.selection,
        [
            Selection { enable: false, selector: Selector::Rule("*".to_owned()) },
            Selection { enable: true, selector: Selector::Tag("T1555".to_owned()) },
        ]
    );
    let actions = &config.enforcement.actions;
    assert_eq!(
        actions.iter().map(|entry| entry.action).collect::<Vec<_>>(),
        [rules::Action::Alert, rules::Action::Kill]
    );
    let first = config.rules.append_output.first().unwrap();
    assert_eq!(first.tags, ["a", "b"]);
    assert_eq!(first.extra_output.as_deref(), Some("on CPU %evt.cpu"));
    assert_eq!(
        first.extra_fields,
        [
            ExtraField::Plain("evt.hostname".to_owned()),
            ExtraField::Formatted { name: "where".to_owned(), format: "%container.id on %evt.hostname".to_owned() },
        ]
    );
    assert!(config.rules.append_output.get(1).is_some_and(|second| second.suggested_output));
}

#[test]
fn settings_that_contradict_each_other_are_a_mistake() {
    check_error(
        "enforce: {traced_execs: deny}\nverify: off\n",
        "\
$DIR/lanner.yaml:1:25: `enforce.traced_execs: deny` needs `verify: exec` or `all`, which find out that a task is traced
 1 | enforce: {traced_execs: deny}
   |                         ^",
    );
}

#[test]
fn every_mistake_is_shown_with_its_line_and_remedy() {
    check_error(
        "mode: enforced\nenforce:\n  errno: NOPE\nrun_dir: run\n",
        "\
$DIR/lanner.yaml:1:7: `mode` must be audit or enforce, and is `enforced`
 1 | mode: enforced
   |       ^
$DIR/lanner.yaml:3:10: `enforce.errno` must be one of EPERM, ENOENT, EIO, EACCES, EROFS and ENOSYS, and is `NOPE`
 3 |   errno: NOPE
   |          ^
$DIR/lanner.yaml:4:10: `run_dir` must be an absolute path, and is `run`
 4 | run_dir: run
   |          ^",
    );
    check_error(
        "a: 1\nmode: audit\nmode: enforce\n",
        "\
$DIR/lanner.yaml:3:1: `mode` is given twice
 3 | mode: enforce
   | ^
   = help: it is first given in line 2; keep one of them",
    );
    check_error(
        "file_output:\n  enabled: true\n",
        "\
$DIR/lanner.yaml:2:12: `file_output` is enabled without a `filename`
 2 |   enabled: true
   |            ^",
    );
    check_error(
        "rules:\n  - disable: everything\n",
        "\
$DIR/lanner.yaml:2:5: an element of `rules` must be `enable:` or `disable:` with one of `rule: NAME` and `tag: TAG`
 2 |   - disable: everything
   |     ^",
    );
    check_error(
        "actions:\n  - {rule: x, action: deny}\n",
        "\
$DIR/lanner.yaml:2:5: `actions`: unknown field `rule`, expected one of `rules`, `tags`, `priority`, `action`
 2 |   - {rule: x, action: deny}
   |     ^
   = help: an element has `action` and any of `rules: WILDCARD`, `tags: [..]` and `priority`",
    );
    check_error("- a\n", "$DIR/lanner.yaml:1:1: the file must be a map of keys, and is a list\n 1 | - a\n   | ^");
    check_error(
        "json_output: [1]\n",
        "\
$DIR/lanner.yaml:1:14: `json_output` must be true or false, and is a list
 1 | json_output: [1]
   |              ^",
    );
}

#[test]
fn broken_yaml_is_shown_where_it_breaks() {
    let error = load("mode: audit\nrules_files: [a,\n", &[], &[]).map(|_| ()).unwrap_err();
    assert!(error.starts_with("$DIR/lanner.yaml:"), "{error}");
    assert!(error.contains("| "), "{error}");
}

#[test]
fn aliases_of_aliases_do_not_fill_the_memory() {
    let first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    let levels =
        (1..9).map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", ")));
    let text: String = std::iter::once(first).chain(levels).collect();
    let error = load(&text, &[], &[]).map(|_| ()).unwrap_err();
    assert!(error.contains("aliases stand for more than 50000 values"), "{error}");
}

#[test]
fn the_configuration_that_is_shipped_loads() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/lanner.yaml"));
    let (config, notices) = Config::load(path, &[]).unwrap();
    assert!(
        notices.is_empty() && config.outputs.stdout && config.rules.append_output[0].suggested_output,
        "{notices:?}"
    );
}

#[test]
fn containers_do_not_depend_on_sinks() {
    let (config, notices) = load("http_output: {enabled: true, url: x}\n", &[], &[]).unwrap();
    let error = config.check_sinks().unwrap_err().to_string();
    let expected = "lanner.yaml:1:24: `http_output` is enabled, and not supported yet: `lanner serve` does not start";
    assert!(error.contains(expected) && notices[0].contains(expected), "{error}");
}

#[test]
fn keys_that_do_nothing_are_named() {
    check_notices(
        "engine: {kind: modern_ebpf}\njsn_output: true\nevent_log: {pth: /x}\nmetrics: {enabled: true}\n",
        &[
            "$DIR/lanner.yaml:1:1: `engine` has no effect: Lanner has no kernel driver",
            "$DIR/lanner.yaml:2:1: `jsn_output` is not a key of the configuration, and is ignored; did you mean `json_output`?",
            "$DIR/lanner.yaml:3:13: `event_log.pth` is not a key of the configuration, and is ignored; did you mean `event_log.path`?",
            "$DIR/lanner.yaml:4:20: `metrics` is enabled, and not supported yet; the alerts do not depend on it",
        ],
    );
    check_notices(
        "run_dir: /run/${NOT_SET}x\n",
        &["$DIR/lanner.yaml:1:10: the environment variable `NOT_SET` is not set, so `${NOT_SET}` is empty"],
    );
}

#[test]
fn included_files_and_options_lie_over_the_main_file() {
    let main = "config_files: [$DIR/config.d, {path: $DIR/more.yaml, strategy: add-only}]\nrules_files: [/a]\njson_output: true\n";
    let others = [
        ("config.d/1.yaml", "rules_files: [/b]\njson_output: false\n"),
        ("config.d/2.yaml", "run_dir: /two\n"),
        ("more.yaml", "rules_files: [/c]\nrun_dir: /three\nlog: {path: /three.log}\n"),
    ];
    let (config, notices) = load(main, &["syslog_output.enabled=true", "rules_files[]=/d"], &others).unwrap();
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(config.rules.entries, ["/a", "/b", "/d"].map(PathBuf::from));
    assert!(!config.outputs.format.json && config.outputs.syslog);
    assert_eq!(config.run_dir, PathBuf::from("/two"));
    assert_eq!(config.log, PathBuf::from("/three.log"));
    assert_eq!(config.files.len(), 4);
}

#[test]
fn what_was_read_says_the_same_when_the_files_are_gone() {
    let main = "config_files: [$DIR/config.d/2.yaml, $DIR/config.d/, $DIR/more.yaml, $DIR/none.yaml, {path: $DIR/config.d/1.yaml, strategy: add-only}]\n";
    let others = [
        ("config.d/1.yaml", "rules_files: [/b]\nrun_dir: /one\n"),
        ("config.d/2.yaml", "run_dir: /two\nrules_files: [/c]\n"),
        ("config.d/3.txt", "run_dir: /three\n"),
        ("more.yaml", "rules_files: [/d]\n"),
    ];
    let (loaded, _) = load(main, &[], &others).unwrap();
    let (kept, _) = Config::load_kept(&loaded.files).unwrap();
    assert_eq!(loaded.rules.entries, ["/c", "/b", "/c", "/d"].map(PathBuf::from));
    assert_eq!(loaded.run_dir, PathBuf::from("/two"));
    assert_eq!(format!("{kept:?}"), format!("{loaded:?}"));
}

#[test]
fn a_missing_file_is_its_own_error() {
    let error = Config::load("/nonexistent/lanner.yaml".as_ref(), &[]).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read configuration `/nonexistent/lanner.yaml`");
}

#[test]
fn every_key_is_documented() {
    let manual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md")).unwrap();
    for (key, _) in key::KEYS {
        assert!(manual.contains(&format!("`{key}`")), "docs/configuration.md does not name `{key}`");
    }
}
