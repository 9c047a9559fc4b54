// SPDX-License-Identifier: Apache-2.0
//! `lanner rules`, `lanner fields` and `lanner events`: what they say, and that it agrees with what Falco says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::support::{Outcome, Scratch, shared};
use serde_json::Value as Json;

const RULES: &str = "\
- list: shells
  items: [sh, bash]
- macro: runs
  condition: evt.type in (execve, execveat)
- rule: Shell started
  desc: >
    Somebody starts a shell. That is unusual here, because the image has no use for one: look who it was, and from where
    the shell was started.
  condition: runs and proc.name in (shells)
  output: shell | name=%proc.name
  priority: warning
  tags: [shell, container]
  exceptions:
    - name: known_parents
      fields: [proc.pname]
      comps: [=]
- rule: Anything
  desc: d
  condition: proc.name != x
  output: o
  priority: DEBUG
  enabled: false
  warn_evttypes: false
";

const FILES: &[(&str, &str)] = &[
    ("c.yaml", "rules_files: [$DIR/rules.yaml]\nactions: [{rules: Shell*, action: alert}]\n"),
    ("rules.yaml", RULES),
    ("dir/rules.yml", RULES),
];

#[track_caller]
fn check(line: &str, code: i32, out: &str, err: &str) {
    let outcome = Scratch::new(FILES).lanner(line);
    assert_eq!(outcome, Outcome { code, out: out.to_owned(), err: err.to_owned() });
}

#[test]
fn all_rules_are_described_in_short() {
    let overview = "\
Rule                                               Description
----                                               -----------
Shell started                                      Somebody starts a shell. That is unusual here, because the
                                                   image has no use for one: look who it was, and from where
                                                   the shell was started.
Anything                                           (disabled) d
";
    for line in ["rules", "rules -L", "rules -r rules.yaml", "rules -r dir", "rules -o rules_files=$DIR/dir"] {
        check(&format!("-c c.yaml {line}"), 0, overview, "");
    }
}

#[test]
fn one_rule_is_described_in_full() {
    let scratch = Scratch::new(FILES);
    let outcome = scratch.lanner_with(&["-c", "c.yaml", "rules", "Shell started"]);
    let out = "\
Shell started
  description Somebody starts a shell. That is unusual here, because the image has no use for one: look who it
              was, and from where the shell was started.
  priority    Warning
  enabled     yes
  action      alert in enforce mode (assigned by the rule or `actions`)
  tags        container, shell
  events      execve, execveat
  condition   runs and proc.name in (shells)
  compiled    (evt.type in (execve, execveat) and proc.name in (sh, bash))
  output      shell | name=%proc.name
  macros      runs
  lists       shells
  exceptions  known_parents
  fields      evt.type, proc.name
";
    assert_eq!(outcome, Outcome { code: 0, out: out.to_owned(), err: String::new() });
    let anything = "\
Anything
  description d
  priority    Debug
  enabled     no
  action      deny in enforce mode (`enforce.default_action`)
  events      451 of 451 event types
  condition   proc.name != x
  compiled    proc.name != x
  output      o
  fields      proc.name
";
    check("-c c.yaml rules Anything", 0, anything, "");
}

#[test]
fn unknown_rules_broken_files_and_contradictions_are_refused() {
    check("-c c.yaml rules Anythin", 1, "", "lanner: rule `Anythin` is not loaded; did you mean `Anything`?\n");
    let err = "\
none.yaml: Invalid
1 Error:
LOAD_ERR_FILE_READ: No such file or directory (os error 2)
lanner: the rules do not load
";
    check("-c c.yaml rules -r none.yaml", 1, "", err);
    assert_eq!(Scratch::new(FILES).lanner("-c c.yaml rules -L Anything").code, 2);
}

/// Falco itself printed the expected members, with its shipped configuration.
#[test]
fn descriptions_of_the_stock_rules_are_those_of_falco() {
    let Some(shared) = shared() else { return };
    let text = fs::read_to_string(shared.join("cases/stock_describe.jsonl")).unwrap();
    let mut described: BTreeMap<String, Json> = BTreeMap::new();
    for line in text.lines() {
        let expected: Json = serde_json::from_str(line).unwrap();
        let loaded = expected["loaded"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let files: Vec<_> = loaded.map(|name| format!("-r {}", shared.join("rules").join(name).display())).collect();
        let files = files.join(" ");
        let root = described.entry(files.clone()).or_insert_with(|| describe(&files));
        let rules = root["rules"].as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["info"]["name"] == expected["rule"]).unwrap();
        for (key, value) in expected.as_object().unwrap() {
            let ours = ["/info", "/details"].iter().find_map(|part| rule.pointer(&format!("{part}/{key}")));
            match key.as_str() {
                "rule" | "loaded" => {}
                _ => assert_eq!(comparable(ours.unwrap()), comparable(value), "{key} of {}", expected["rule"]),
            }
        }
    }
    assert_eq!(described.len(), 4);
}

/// With suggested fields, as in Falco's shipped configuration.
fn describe(files: &str) -> Json {
    let scratch = Scratch::new(&[("c.yaml", "append_output: [{suggested_output: true}]\njson_output: true\n")]);
    let outcome = scratch.lanner(&format!("-c c.yaml rules {files}"));
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    serde_json::from_str(&outcome.out).unwrap()
}

/// Lists as sets, and without the time that every alert has.
fn comparable(value: &Json) -> BTreeSet<String> {
    let Some(items) = value.as_array() else { return BTreeSet::from([value.to_string()]) };
    items.iter().map(ToString::to_string).filter(|item| item != "\"evt.time\"").collect()
}

#[test]
fn fields_are_those_of_falco_and_a_few_more() {
    let Some(shared) = shared() else { return };
    let falcos: Json = read(&shared.join("fields.json"));
    let ours: Json = serde_json::from_str(&run("fields --json")).unwrap();
    let mut flat = Vec::new();
    for class in ours["fieldclasses"].as_array().unwrap() {
        for field in class["fields"].as_array().unwrap() {
            flat.push((&class["name"], &class["event_sources"], field));
        }
    }
    for expected in falcos.as_array().unwrap() {
        let name = &expected["name"];
        let (class, sources, field) = flat.iter().find(|(_, _, field)| field["name"] == *name).unwrap();
        assert_eq!((*class, *sources), (&expected["class"], &expected["event_sources"]), "{name}");
        for key in ["type", "argument", "is_list"] {
            assert_eq!(field[key], expected[key], "{key} of {name}");
        }
    }
    let known: Vec<_> = falcos.as_array().unwrap().iter().map(|field| &field["name"]).collect();
    let more: Vec<_> = flat.iter().map(|(_, _, field)| &field["name"]).filter(|name| !known.contains(name)).collect();
    let own = ["evt.outputtime", "fd.realpath", "util.cnt", "lanner.mode", "lanner.action", "lanner.verdict"];
    assert_eq!(more, own);
}

#[test]
fn events_and_parameters_are_those_of_falco() {
    let Some(shared) = shared() else { return };
    let falcos: Json = read(&shared.join("events.json"));
    let ours: Json = serde_json::from_str(&run("events --json")).unwrap();
    assert_eq!(ours["schema_version"], falcos["schema_version"]);
    for category in ["Syscall events", "Tracepoint events", "Plugin events", "Metaevents"] {
        // Falco lists the beginning of a call as well; where there is an end, rules see that.
        let mut expected = BTreeMap::new();
        for event in falcos[category].as_array().unwrap() {
            if event["dir"] == "<" || !expected.contains_key(&event["name"].to_string()) {
                expected.insert(event["name"].to_string(), parameters(event));
            }
        }
        let found = ours[category].as_array().unwrap().iter();
        let found: BTreeMap<_, _> = found.map(|event| (event["name"].to_string(), parameters(event))).collect();
        assert_eq!(found, expected, "{category}");
    }
}

fn parameters(event: &Json) -> Vec<(String, String)> {
    let parameters = event["params"].as_array().unwrap().iter();
    parameters.map(|known| (known["name"].to_string(), known["type"].to_string())).collect()
}

#[test]
fn what_never_has_a_value_is_marked_in_every_form() {
    let root: Json = serde_json::from_str(&run("fields --json")).unwrap();
    let (entries, markdown) = (entries(&run("fields")), run("fields --markdown"));
    let mut marked = 0;
    for field in root["fieldclasses"].as_array().unwrap().iter().flat_map(|class| class["fields"].as_array().unwrap()) {
        let name = field["name"].as_str().unwrap();
        let in_text = entries.iter().find(|entry| entry.split([' ', '[']).next() == Some(name)).unwrap();
        let row = |line: &&str| line.starts_with(&format!("| `{name}`")) || line.starts_with(&format!("| `{name}["));
        let in_markdown = markdown.lines().find(row).unwrap();
        let filled = field["filled"] == true;
        assert_eq!(
            (!in_text.contains("NEVER FILLED"), !in_markdown.contains("NEVER FILLED")),
            (filled, filled),
            "{name}"
        );
        marked += usize::from(!filled);
    }
    assert!(marked > 3);
    let names: Vec<String> = run("fields -N").lines().map(str::to_owned).collect();
    assert_eq!(names.len(), markdown.lines().filter(|line| line.starts_with("| `")).count());
}

/// The entries of a listing, each with its further lines joined to the first.
fn entries(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("  ") {
            Some(rest) if rest.starts_with(' ') => entries.last_mut().unwrap().extend([" ", rest.trim()]),
            Some(entry) => entries.push(entry.to_owned()),
            None => {}
        }
    }
    entries
}

#[test]
fn events_say_when_they_are_watched() {
    let (text, markdown) = (run("events"), run("events --markdown"));
    for (name, watched) in [
        ("execve", "always"),
        ("execveat", "as execve"),
        ("connect", "on demand"),
        ("write", "NEVER"),
        ("container", "NEVER"),
    ] {
        assert!(markdown.contains(&format!("| `{name}` | {watched} |")), "{name}");
        assert!(text.lines().any(|line| line.starts_with(&format!("  {name} ")) && line.contains(watched)), "{name}");
    }
}

/// Needs neither configuration nor rules.
fn run(line: &str) -> String {
    let outcome = Scratch::new(&[]).lanner(&format!("-c none.yaml {line}"));
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
    outcome.out
}

fn read(path: &Path) -> Json {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
