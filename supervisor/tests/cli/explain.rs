// SPDX-License-Identifier: Apache-2.0
//! `lanner explain` as it is run: files, alerts of both forms, the event log, and what it advises.

use serde_json::Value as Json;

use crate::support::{Outcome, Scratch};

const CONFIG: &str = "event_log: {path: $DIR/events.jsonl}\nrules_files: [$DIR/rules.yaml]\n";

const RULES: &str = r#"
- macro: runs
  condition: evt.type in (execve, execveat)
- rule: Program started
  desc: d
  condition: runs
  output: "%proc.name"
  priority: INFO
- rule: Shell started
  desc: d
  condition: runs and proc.name in (sh, bash) and proc.tty != 0
  output: "%proc.name"
  priority: WARNING
  exceptions:
    - {name: parents, fields: [proc.pname], comps: [=], values: [[cron], [systemd]]}
- rule: Secrets read
  desc: d
  condition: evt.type = openat and fd.name = /etc/shadow and evt.num != 0
  output: "%fd.name"
  priority: WARNING
"#;

/// Two alerts, of which the first torn line belongs to none, and a message about Lanner itself.
const LOG: &str = r#"{"time":1,"id":"aaaa-1-1","rule":"Shell st{"time":1,"id":"aaaa-1-1","rule":"Shell started","priority":"Warning","source":"syscall","tags":[],"hostname":"h","message":"sh","fields":{"evt.time":1,"evt.type":"execve","proc.name":"sh","proc.pname":"cron","proc.tty":7},"container":"aaaabbbbccccdddd","mode":"audit","action":"deny","explicit":false,"verdict":"allow"}
{"time":2,"id":"aaaa-1-2","rule":"Secrets read","priority":"Warning","source":"syscall","tags":[],"hostname":"h","message":"/etc/shadow","fields":{"evt.time":2,"fd.name":"/etc/shadow"},"container":"aaaabbbbccccdddd","mode":"audit","action":"deny","explicit":false,"verdict":"allow"}
{"time":3,"id":"internal-1","rule":"Lanner internal: rules not loaded","priority":"Critical","source":"internal","tags":[],"hostname":"h","message":"m","fields":{"evt.time":3}}
"#;

const EVENT: &str = r#"{"evt.type": "execve", "proc.name": "bash", "proc.pname": "sshd"}"#;

const FILES: &[(&str, &str)] = &[
    ("c.yaml", CONFIG),
    ("rules.yaml", RULES),
    ("events.jsonl", LOG),
    ("event.json", EVENT),
    ("typo.json", r#"{"evt.type": "execve", "proc.nmae": "bash", "proc.name": "cat"}"#),
    (
        "falco.json",
        r#"{"hostname":"h","output":"o","output_fields":{"evt.type":"execve","proc.name":"cat"},"priority":"Notice","rule":"Program started","source":"syscall","tags":[],"time":"2023-11-14T22:13:20.000000000Z"}"#,
    ),
];

#[track_caller]
fn check(words: &[&str], code: i32, out: &str, err: &str) {
    let words: Vec<_> = ["-c", "c.yaml", "explain"].iter().chain(words).copied().collect();
    let outcome = Scratch::new(FILES).lanner_with(&words);
    assert_eq!(outcome, Outcome { code, out: out.to_owned(), err: err.to_owned() }, "\n{}", outcome.out);
}

#[test]
fn an_event_of_a_file_is_explained_with_what_is_not_known_of_it() {
    let out = "\
Shell started: may match or not
 unknown  and
 unknown    and
 true         macro runs
 true           evt.type in (execve, execveat)   <- evt.type is execve
 true         proc.name in (sh, bash)   <- proc.name is bash
 unknown      proc.tty != 0   <- proc.tty is not known
 true       not
 false        exception parents
 false          or
 false            proc.pname = cron   <- proc.pname is sshd
 false            proc.pname = systemd   <- proc.pname is sshd
note: `Program started` comes before and matches as well; with `rule_matching: first` it alone alerts
note: not known of this event: proc.tty
help: alerts hold the fields that their outputs name; to have these in later alerts, configure
  append_output: [{match: {rule: \"Shell started\"}, extra_fields: [\"proc.tty\"]}]
";
    check(&["--rule", "Shell started", "--event", "event.json"], 0, out, "");
    let out = "Program started: matches\n true     macro runs\n true       evt.type in (execve, execveat)   <- evt.type is execve\n";
    check(&["--rule", "Program started", "--event", "event.json"], 0, out, "");
}

#[test]
fn alerts_bring_their_rule() {
    let started = "Program started: matches\n true     macro runs\n true       evt.type in (execve, execveat)   <- evt.type is execve\n";
    check(&["--event", "falco.json"], 0, started, "");
    let secrets = "\
Secrets read: matches
 true     and
 true       evt.type = openat   <- evt.type is openat
 true       fd.name = /etc/shadow   <- fd.name is /etc/shadow
 true       evt.num != 0   <- evt.num is 1
";
    for last in [&["--last"][..], &["--last", "aaaa-1-2"], &["--last", "aaaa"]] {
        check(last, 0, secrets, "");
    }
}

#[test]
fn the_exception_that_holds_is_named_for_people_and_programs() {
    let scratch = Scratch::new(FILES);
    let outcome = scratch.lanner("-c c.yaml explain --last aaaa-1-1 -o rule_matching=all");
    assert!(outcome.out.starts_with("Shell started: does not match\nexception `parents` holds\n"), "{}", outcome.out);
    let outcome = scratch.lanner("-c c.yaml explain --last aaaa-1-1 --json");
    let explained: Json = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(explained["exceptions"], serde_json::json!(["parents"]));
    assert_eq!((&explained["result"], &explained["rule"]), (&Json::from("false"), &Json::from("Shell started")));
    assert_eq!(explained["condition"]["parts"][1]["parts"][0]["name"], "parents");
    let same = scratch.lanner("-c c.yaml -o json_output=true explain --last aaaa-1-1");
    assert_eq!(same.out, outcome.out);
}

#[test]
fn a_misspelt_field_is_told_instead_of_being_unknown() {
    let words = ["-c", "c.yaml", "explain", "--rule", "Shell started", "--event", "typo.json"];
    let outcome = Scratch::new(FILES).lanner_with(&words);
    assert_eq!(outcome.err, "lanner: `proc.nmae` is not a field, and is left out; did you mean `proc.name`?\n");
    assert!(outcome.out.starts_with("Shell started: does not match\n"), "{}", outcome.out);
}

#[test]
fn what_cannot_be_explained_says_why() {
    check(
        &["--event", "event.json"],
        1,
        "",
        "lanner: the event does not say which rule raised it: name one with `--rule`\n",
    );
    check(
        &["--rule", "Shell startd", "--event", "event.json"],
        1,
        "",
        "lanner: rule `Shell startd` is not loaded; did you mean `Shell started`?\n",
    );
    check(&["--last", "bbbb"], 1, "", "lanner: there is no alert whose id begins with `bbbb` in the event log\n");
    let internal = "lanner: no rule raised alert internal-1, \"Lanner internal: rules not loaded\": Lanner tells of itself with it\n";
    check(&["--last", "internal"], 1, "", internal);
    check(
        &["--rule", "x", "--event", "none.json"],
        1,
        "",
        "lanner: cannot read `none.json`: No such file or directory (os error 2)\n",
    );
    check(
        &["--rule", "x", "--event", "rules.yaml"],
        1,
        "",
        "lanner: the event is not valid JSON: invalid number at line 2 column 2\n",
    );
    let scratch = Scratch::new(FILES);
    assert_eq!(scratch.lanner("-c c.yaml explain --rule x").code, 2);
    assert_eq!(scratch.lanner("-c c.yaml explain --rule x --last --event event.json").code, 2);
}

#[test]
fn ids_are_printed_with_the_alerts() {
    let outcome = Scratch::new(FILES).lanner("-c c.yaml logs --ids -n 2");
    let expected = "\
aaaa-1-2 00:00:00.000000002: Warning /etc/shadow
internal-1 00:00:00.000000003: Critical m
";
    assert_eq!(outcome.out, expected);
}
