// SPDX-License-Identifier: Apache-2.0
//! `lanner validate` and `lanner serve --dry-run` as they are run: what they print where, and how they end.

use std::{fs, path::Path};

use crate::support::{Outcome, Scratch, shared};
use serde_json::Value as Json;

const GOOD: &str =
    "- rule: opened\n  desc: d\n  condition: evt.type = open\n  output: file=%fd.name\n  priority: INFO\n";

const BAD: &str = "\
- macro: reads
  condition: evt.type = open
- rule: one
  desc: d
  condition: >
    reads
    and proc.nmae = cat
    and fd.name startwith /etc
  output: file=%fd.nam
  priority: INFO
- rule: two
  desc: d
  condition: raeds
  output: o
  priority: INFO
- rule: three
  desc: d
  condition: reads and evt.type = opne
  output: o
  priority: LOUD
";

#[track_caller]
fn check(files: &[(&str, &str)], line: &str, code: i32, out: &str, err: &str) {
    let outcome = Scratch::new(files).lanner(line);
    assert_eq!(outcome, Outcome { code, out: out.to_owned(), err: err.to_owned() });
}

#[test]
fn files_directories_and_the_configuration_are_checked_in_order() {
    let files = [
        ("lanner.yaml", "rules_files: [$DIR/a.yaml, $DIR/missing.yaml, $DIR/rules.d]\n"),
        ("a.yaml", GOOD),
        ("rules.d/2.yml", "- rule: opened\n  enabled: false\n"),
        ("rules.d/1.yaml", ""),
        ("rules.d/notes.txt", "no rules"),
        ("rules.conf", "- macro: unused\n  condition: evt.type = open\n"),
    ];
    let deprecated = "\
$DIR/rules.d/2.yml: Ok, with warnings
1 Warning:
$DIR/rules.d/2.yml:1:3: LOAD_DEPRECATED_ITEM: The standalone 'enabled' key usage is deprecated. The correct approach requires also a 'replace' entry under the 'override' key (i.e. 'enabled: replace').
  in rule 'opened'
   |
 1 | - rule: opened
   |   ^^^^^^^^^^^^
";
    let from_configuration = format!("$DIR/a.yaml: Ok\n$DIR/rules.d/1.yaml: Ok\n{deprecated}");
    check(&files, "-c lanner.yaml validate", 0, &from_configuration, "");
    check(&files, "validate -c lanner.yaml a.yaml", 0, "a.yaml: Ok\n", "");
    let named = "\
a.yaml: Ok
rules.conf: Ok, with warnings
1 Warning:
rules.conf:1:3: LOAD_UNUSED_MACRO: Macro not referred to by any other rule/macro
  in macro 'unused'
   |
 1 | - macro: unused
   |   ^^^^^^^^^^^^^
";
    check(&files, "-c lanner.yaml validate a.yaml rules.conf", 0, named, "");
}

#[test]
fn an_entry_of_actions_that_is_about_no_rule_is_told_of() {
    let config = "\
rules_files: [$DIR/a.yaml]
actions: [{rules: opened, action: deny}, {rules: opnd, tags: [t], action: deny}, {priority: ERROR, action: kill}]
";
    let idle = "\
no rule is meant by the entry of `actions` with rules: opnd, tags: [t]
no rule is meant by the entry of `actions` with priority: Error
";
    let files = [("c.yaml", config), ("a.yaml", GOOD)];
    check(&files, "-c c.yaml validate", 0, "$DIR/a.yaml: Ok\n", idle);
    check(&files, "-c c.yaml validate a.yaml", 0, "a.yaml: Ok\n", "");
    let dry = "dry run: enabled rules: 1; alerts would go to: no output\n";
    check(&files, "-c c.yaml serve --dry-run", 0, dry, idle);
}

#[test]
fn every_error_of_every_file_is_shown_where_it_was_written() {
    let out = "\
bad.yaml: Invalid
4 Errors:
bad.yaml:20:13: LOAD_ERR_YAML_VALIDATE: Invalid priority
  in rule 'three', rule priority
    |
 20 |   priority: LOUD
    |             ^^^^
  help: `LOUD` is not a priority: use emergency, alert, critical, error, warning, notice, informational or debug
bad.yaml:9:16: LOAD_ERR_COMPILE_OUTPUT: invalid formatting token fd.nam
  in rule 'one', rule output
   |
 9 |   output: file=%fd.nam
   |                ^^^^^^^
  help: did you mean `fd.name`?
bad.yaml:8:17: LOAD_ERR_COMPILE_CONDITION: expected a valid check operator: one of 'exists', '<=', '<', '>=', '>', '==', '=', '!=', 'glob', 'iglob', 'contains', 'icontains', 'bcontains', 'startswith', 'bstartswith', 'endswith', 'regex', 'intersects', 'in', 'pmatch'
  in rule 'one', rule condition
   |
 8 |     and fd.name startwith /etc
   |                 ^^^^^^^^^
  help: did you mean `startswith`?
bad.yaml:13:14: LOAD_ERR_VALIDATE: Undefined macro 'raeds' used in filter.
  in rule 'two'
    |
 13 |   condition: raeds
    |              ^^^^^
  help: did you mean `reads`?
good.yaml: Ok
none.yaml: Invalid
1 Error:
LOAD_ERR_FILE_READ: No such file or directory (os error 2)
";
    let files = [("c.yaml", ""), ("bad.yaml", BAD), ("good.yaml", GOOD)];
    let line = "-c c.yaml validate bad.yaml good.yaml none.yaml";
    check(&files, line, 1, out, "lanner: the rules do not load\n");
}

#[test]
fn what_cannot_be_checked_is_an_error_of_its_own() {
    let files = [("c.yaml", "rules_files: [$DIR/none.yaml]\n"), ("empty/notes.txt", ""), ("bad.yaml", "mode: loud\n")];
    check(&files, "-c c.yaml validate", 1, "", "lanner: there is no rule file in `$DIR/none.yaml`\n");
    check(&files, "-c c.yaml validate empty", 1, "", "lanner: there is no rule file in `empty`\n");
    let mode = "lanner: bad.yaml:1:7: `mode` must be audit or enforce, and is `loud`\n 1 | mode: loud\n   |       ^\n";
    check(&files, "-c bad.yaml validate", 78, "", mode);
    check(
        &files,
        "-c no.yaml validate",
        78,
        "",
        "lanner: cannot read configuration `no.yaml`: No such file or directory (os error 2)\n",
    );
    let endless = "/dev/zero: Invalid\n1 Error:\nLOAD_ERR_FILE_READ: there is more to read than 16 MiB\n";
    check(&files, "-c c.yaml validate /dev/zero", 1, endless, "lanner: the rules do not load\n");
    assert_eq!(Scratch::new(&files).lanner("-c c.yaml validate --jsn").code, 2);
}

/// What the shim, which reads some of the keys by itself, does not take.
#[test]
fn a_configuration_that_starts_no_container_is_none() {
    for (text, cause) in [
        ("runtimes: crun\n", "cannot parse the configuration `$DIR/lanner.yaml`"),
        ("mode:\n", "cannot parse the configuration `$DIR/lanner.yaml`"),
        ("mode: audit\n---\nmode: enforce\n", "cannot parse the configuration `$DIR/lanner.yaml`"),
        ("run_dir: /run/$${X}\n", "`/run/$${X}` of the configuration `$DIR/lanner.yaml` is not replaced"),
        ("config_files: [$DIR/more.yaml]\n", "`mode` must stand in `$DIR/lanner.yaml`, which alone is read"),
    ] {
        let files = [("lanner.yaml", text), ("more.yaml", "mode: enforce\n"), ("a.yaml", GOOD)];
        let scratch = Scratch::new(&files);
        for line in ["-c lanner.yaml validate a.yaml", "-c lanner.yaml serve --dry-run"] {
            let Outcome { code, out, err } = scratch.lanner(line);
            assert_eq!((code, out.as_str()), (78, ""), "{text} {line}: {err}");
            assert!(err.starts_with(&format!("lanner: {cause}")), "{text} {line}: {err}");
        }
    }
}

#[test]
fn without_any_configuration_its_defaults_hold() {
    if Path::new("/etc/lanner/lanner.yaml").exists() {
        return println!("skipped: this machine has a configuration of Lanner");
    }
    let files = [("a.yaml", GOOD)];
    check(&files, "validate a.yaml", 0, "a.yaml: Ok\n", "");
    let json = "{\"falco_load_results\":[{\"errors\":[],\"name\":\"a.yaml\",\"schema_valid\":true,\"schema_warnings\":[],\"successful\":true,\"warnings\":[]}]}\n";
    check(&files, "validate -o json_output=true a.yaml", 0, json, "");
}

#[test]
fn what_the_configuration_says_in_vain_goes_to_standard_error() {
    let files = [("c.yaml", "engine: {kind: kmod}\n"), ("a.yaml", GOOD)];
    let err = "c.yaml:1:1: `engine` has no effect: Lanner has no kernel driver\n 1 | engine: {kind: kmod}\n   | ^\n";
    check(&files, "-c c.yaml validate a.yaml", 0, "a.yaml: Ok\n", err);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let config = "event_log: {path: $DIR/log/events.jsonl}\nrules_files: [$DIR/a.yaml]\n";
    let outputs =
        format!("{config}stdout_output: {{enabled: yes}}\nfile_output: {{enabled: yes, filename: $DIR/alerts}}\n");
    let files = [("c.yaml", config), ("o.yaml", &*outputs), ("a.yaml", GOOD), ("bad.yaml", "- rule: x\n")];
    check(&files, "-c c.yaml serve --dry-run", 0, "dry run: enabled rules: 1; alerts would go to: no output\n", "");
    let line = "dry run: enabled rules: 1; alerts would go to: standard output, `$DIR/alerts`\n";
    check(&files, "-c o.yaml serve --dry-run", 0, line, "");
    let err = "\
$DIR/bad.yaml: Invalid
1 Error:
$DIR/bad.yaml:1:3: LOAD_ERR_YAML_VALIDATE: Item has no mapping for key 'enabled'
  in rule 'x'
   |
 1 | - rule: x
   |   ^^^^^^^
lanner: the rules do not load
";
    check(&files, "-c c.yaml serve --dry-run -o rules_files=$DIR/bad.yaml", 1, "", err);
    let scratch = Scratch::new(&files);
    scratch.lanner("-c o.yaml serve --dry-run");
    assert!(!scratch.path("log").exists() && !scratch.path("alerts").exists());
}

/// Every error that Falco reports is the first one of its file here, and its warnings are among ours.
#[test]
fn codes_items_and_positions_are_those_of_falco() {
    let Some(shared) = shared() else { return };
    let cases = |name: &str| -> Vec<Json> {
        let text = fs::read_to_string(shared.join("cases").join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let inputs = cases("rules_load.jsonl");
    for expected in cases("validate_results.jsonl") {
        let id = &expected["id"];
        let input = inputs.iter().find(|input| input["id"] == *id).unwrap();
        let files = input["files"].as_array().unwrap().iter();
        let mut files: Vec<_> =
            files.map(|file| (file["name"].as_str().unwrap(), file["content"].as_str().unwrap())).collect();
        let mut words = vec!["-c", "c.yaml", "validate", "--json"];
        words.extend(files.iter().map(|(name, _)| *name));
        files.push(("c.yaml", ""));
        let outcome = Scratch::new(&files).lanner_with(&words);
        assert_eq!(i64::from(outcome.code), expected["exit_code"].as_i64().unwrap(), "{id}: {}", outcome.out);
        let ours: Json = serde_json::from_str(&outcome.out).unwrap();
        let ours = ours["falco_load_results"].as_array().unwrap();
        for (ours, falcos) in ours.iter().zip(expected["falco_load_results"].as_array().unwrap()) {
            for key in ["name", "successful", "schema_valid"] {
                assert_eq!(ours.get(key), falcos.get(key), "{key} of {id}");
            }
            assert_eq!(unlike_schema(ours), unlike_schema(falcos), "{id}");
            assert_eq!(places(ours, "errors").first(), places(falcos, "errors").first(), "{id}");
            let warnings = places(ours, "warnings");
            for warning in places(falcos, "warnings") {
                assert!(warnings.contains(&warning), "{id}: {warning} is not among {warnings:?}");
            }
        }
    }
}

/// The places that are not as the schema asks. Falco also names everything around such a place.
fn unlike_schema(report: &Json) -> Vec<String> {
    let found = report["schema_warnings"].as_array().into_iter().flatten().map(|found| found.as_str().unwrap());
    let places = found.filter(|found| !found.contains("Failed to validate"));
    let mut places: Vec<_> = places.map(|found| found.split(": ").next().unwrap().to_owned()).collect();
    places.sort();
    places
}

/// Codes, items and positions.
fn places(report: &Json, key: &str) -> Vec<String> {
    let found = report[key].as_array().unwrap().iter();
    found.map(|found| format!("{} {}", found["code"], found["context"]["locations"])).collect()
}

#[test]
fn the_stock_files_are_in_order() {
    let Some(shared) = shared() else { return };
    let paths = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];
    let paths = paths.map(|name| shared.join("rules").join(name).display().to_string());
    let mut words = vec!["-c", "c.yaml", "validate"];
    words.extend(paths.iter().map(String::as_str));
    let outcome = Scratch::new(&[("c.yaml", "")]).lanner_with(&words);
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
    let verdicts: Vec<_> = outcome.out.lines().filter_map(|line| line.strip_suffix(": Ok")).collect();
    assert_eq!(verdicts, paths);
}
