// SPDX-License-Identifier: Apache-2.0
//! Reports as people read them, options, and files that mean harm.

use std::fmt::Write;

use serde_json::json;

use super::{AppendOutput, ExtraField, Load, LoadOptions, Loader, Selection, Selector, Unseen};
use crate::{Action, Argument, Code, Diagnostic, Event, EventType, Field, Priority, ProcField, Ruleset, Value};

fn load(options: LoadOptions, content: &str) -> Load {
    let mut loader = Loader::new(options);
    loader.add("r.yaml", content.as_bytes());
    loader.finish()
}

/// The report of a file, asserted whole.
#[track_caller]
fn check(content: &str, expected: &str) {
    let report = load(LoadOptions::default(), content).report.to_string();
    assert_eq!(report, expected, "\n{report}");
}

const REST: &str = "  desc: d\n  output: o\n  priority: INFO\n";

#[test]
fn a_typo_inside_a_folded_condition_is_underlined_where_it_stands() {
    check(
        &format!("- rule: r\n  condition: >\n    evt.type = open\n    and proc.nmae = cat\n{REST}"),
        "\
r.yaml: Invalid
1 Error:
r.yaml:4:9: LOAD_ERR_COMPILE_CONDITION: filter_check called with nonexistent field proc.nmae
  in rule 'r', rule condition
   |
 4 |     and proc.nmae = cat
   |         ^^^^^^^^^
  help: did you mean `proc.name`?
",
    );
}

#[test]
fn a_problem_of_a_list_item_is_shown_in_the_list() {
    check(
        &format!(
            "- list: nets\n  items: [10.0.0.0/8, 10.0.0.1]\n- rule: r\n  condition: evt.type = connect and fd.snet in (nets)\n{REST}"
        ),
        "\
r.yaml: Invalid
1 Error:
r.yaml:2:23: LOAD_ERR_COMPILE_CONDITION: '10.0.0.1' is not a network such as 10.0.0.0/8
  in rule 'r', rule condition
   |
 2 |   items: [10.0.0.0/8, 10.0.0.1]
   |                       ^^^^^^^^
",
    );
}

#[test]
fn all_problems_are_reported_with_help_and_none_twice() {
    let content = format!(
        "- macro: opened\n  condition: evt.type in (open, opnat)\n- rule: a\n  condition: opend\n{REST}- rule: b\n  condition: opened\n{REST}- rule: c\n  condition: opened\n  prioriti: x\n{REST}"
    );
    let load = load(LoadOptions::default(), &content);
    assert!(load.ruleset.is_none());
    let file = &load.report.files()[0];
    let errors: Vec<_> =
        file.errors().iter().map(|error| (error.message(), error.help(), error.place().unwrap().1.line)).collect();
    assert_eq!(
        errors,
        [
            ("Undefined macro 'opend' used in filter.", Some("did you mean `opened`?"), 3),
            ("unknown event type opnat", Some("did you mean `openat`?"), 1),
            ("unknown event type opnat", Some("did you mean `openat`?"), 1),
        ]
    );
    assert_eq!(file.warnings()[0].help(), Some("did you mean `priority`?"));
}

#[test]
fn a_broken_macro_is_one_problem_and_not_one_for_each_user() {
    let content = format!("- macro: m\n  condition: evt.type = (\n- rule: a\n  condition: m and proc.name = x\n{REST}");
    let load = load(LoadOptions::default(), &content);
    assert_eq!(load.report.files()[0].errors().len(), 1, "{}", load.report);
}

#[test]
fn actions_are_read_replaced_and_checked() {
    let content = format!(
        "- rule: r\n  condition: evt.type = open\n  action: deny\n{REST}- rule: r\n  action: kill\n  override: {{action: replace}}\n"
    );
    assert_eq!(load(LoadOptions::default(), &content).ruleset.unwrap().rules()[0].action(), Some(Action::Kill));
    let report = load(LoadOptions::default(), &content.replace("kill", "maim")).report;
    let error = &report.files()[0].errors()[0];
    assert_eq!(
        (error.code(), error.help()),
        (Code::YamlValidate, Some("`maim` is not an action: use alert, deny or kill"))
    );
}

#[test]
fn selections_apply_in_order_and_priorities_leave_rules_out() {
    let content = format!(
        "- rule: one\n  condition: evt.type = open\n  tags: [t]\n{REST}- rule: two\n  condition: evt.type = close\n{REST}- rule: three\n  condition: evt.type = close\n  desc: d\n  output: o\n  priority: DEBUG\n"
    );
    let select = |enable, selector| Selection { enable, selector };
    let selection = vec![select(false, Selector::Rule("*".to_owned())), select(true, Selector::Tag("t".to_owned()))];
    let options = LoadOptions { selection, priority: Priority::Informational, ..LoadOptions::default() };
    let ruleset = load(options, &content).ruleset.unwrap();
    let rules: Vec<_> = ruleset.rules().iter().map(|rule| (rule.name(), rule.is_enabled())).collect();
    assert_eq!(rules, [("one", true), ("two", false)]);
    let types: Vec<_> = ruleset.event_types().iter().map(EventType::name).collect();
    assert_eq!(types, ["open"]);
}

#[test]
fn fields_that_are_always_absent_are_noted_outside_of_warnings() {
    for (check, reason) in [
        ("thread.cpu = 1", "is measured between two events of the scheduler, which are no calls"),
        ("evt.buflen.in > 1", "exists only after the kernel has done the work, and calls are judged before it"),
        ("k8s.ns.name exists and k8s.ns.id = x", "has no data source any more, in Falco neither"),
    ] {
        let content = format!("- rule: r\n  condition: evt.type = open and {check}\n{REST}");
        let report = load(LoadOptions::default(), &content).report;
        assert!(report.is_ok() && !report.has_warnings());
        let [note] = report.files()[0].notes() else { panic!("one note about {check}") };
        assert_eq!(note.code(), Code::FieldAbsent);
        assert!(note.message().ends_with(&format!("is always absent here: it {reason}")), "{}", note.message());
        assert!(!report.to_json().to_string().contains("LANNER"));
    }
}

#[test]
fn what_is_never_seen_is_noted() {
    let [write, prctl, open, execve, execveat] =
        ["write", "prctl", "open", "execve", "execveat"].map(|name| EventType::from_name(name).unwrap());
    let unseen = Unseen {
        events: [write].into_iter().collect(),
        replaced: vec![(execveat, execve)],
        parameters: [(prctl, 2), (open, 1)].into_iter().collect(),
    };
    for (condition, expected) in [
        ("evt.type = write and fd.num = 1", &[("type 'write'", "the rule never matches")] as &[_]),
        ("evt.type in (write, open)", &[("type 'write'", "the rule matches its other event types alone")]),
        ("evt.type = execveat", &[("'execveat' here: such a call is an event of the type 'execve'", "the rule never")]),
        (
            "evt.type in (execveat, write)",
            &[("'execveat' here: such", "the rule never"), ("'write'", "the rule never")],
        ),
        ("evt.type in (execveat, open)", &[("'execveat' here: such", "the rule matches its other")]),
        ("evt.type in (execve, execveat)", &[]),
        ("evt.type in (execve, execveat) and evt.type != execve", &[("'execveat' here: such", "the rule never")]),
        ("evt.type in (execve, execveat) and evt.arg.exe = x", &[]),
        ("evt.type != execveat and evt.type = open", &[]),
        ("evt.type != write and evt.type = open", &[]),
        ("evt.type = open and not evt.type in (write)", &[]),
        ("evt.type = prctl and evt.arg.arg2_str = x", &[("'evt.arg.arg2_str' is always absent", "every comparison")]),
        ("evt.type = prctl and evt.arg[2] = x", &[("'evt.arg[2]' is always absent", "every comparison")]),
        ("evt.type = prctl and tolower(evt.arg.arg2_str) = x", &[("'evt.arg.arg2_str' is", "every comparison")]),
        ("evt.type = prctl and evt.arg.option = x", &[]),
        ("evt.type in (open, unlinkat) and evt.arg.name = x", &[]),
        (
            "evt.type in (open, write) and evt.arg.name = x",
            &[("type 'write'", "the rule matches"), ("evt.arg.name", "every")],
        ),
    ] {
        let content = format!("- rule: r\n  condition: {condition}\n{REST}");
        let report = load(LoadOptions { unseen: unseen.clone(), ..LoadOptions::default() }, &content).report;
        assert!(report.is_ok() && !report.has_warnings(), "{report}");
        let notes = report.files()[0].notes();
        assert_eq!(notes.len(), expected.len(), "{condition}: {notes:?}");
        for (note, (message, help)) in notes.iter().zip(expected) {
            assert!(note.message().contains(message), "{condition}: {}", note.message());
            assert!(note.help().is_some_and(|found| found.starts_with(help)), "{condition}: {:?}", note.help());
        }
    }
}

#[test]
fn reasons_for_absence_complete_a_sentence() {
    for (name, reason) in Field::all().iter().filter_map(|row| Some((row.name, row.availability.absence()?))) {
        let verb = reason.split(' ').next().unwrap();
        assert!(["is", "has", "exists", "belongs"].contains(&verb) && reason.len() > 20, "{name}: it {reason}");
    }
}

#[test]
fn a_window_of_time_needs_a_time_and_a_length() {
    for (check, expected) in [
        ("evt.around[1404996934793590564] = 1000", ""),
        ("evt.around[7] == 0", ""),
        ("evt.around[7] < 9", "evt.around supports only '=' comparison operator"),
        ("evt.around[7] exists", "evt.around supports only '=' comparison operator"),
        ("evt.around[7] in (9)", "evt.around supports only '=' comparison operator"),
        ("evt.around[x] = 9", "the argument of field `evt.around` must be a time in nanoseconds"),
        ("evt.around = 9", "field `evt.around` needs an argument in brackets"),
    ] {
        let content = format!("- rule: r\n  condition: evt.type = open and {check}\n{REST}");
        let report = load(LoadOptions::default(), &content).report;
        let found = report.files()[0].errors().first().map(Diagnostic::message).unwrap_or_default();
        assert_eq!(found, expected, "{check}");
    }
}

#[test]
fn names_to_resolve_are_those_that_enabled_rules_compare_addresses_with() {
    let condition = "evt.type = connect and (fd.sip.name = a or m or fd.rip.name startswith c or fd.name = d)";
    let content = format!(
        "- list: l\n  items: [b, a]\n- macro: m\n  condition: not fd.cip.name in (l) and fd.lip.name != e\n- rule: one\n  condition: {condition}\n{REST}- rule: two\n  enabled: false\n  condition: evt.type = connect and fd.sip.name = f\n{REST}"
    );
    let ruleset = load(LoadOptions::default(), &content).ruleset.unwrap();
    assert_eq!(ruleset.named_addresses(), ["a", "b", "e"]);
    assert!(Ruleset::default().named_addresses().is_empty());
}

const DESCRIBED: &str = "\
- required_engine_version: 0.31.0
- required_engine_version: 15
- required_plugin_versions:
  - {name: container, version: 0.4.0, alternatives: [{name: other, version: 1.0.0}]}
- list: shells
  items: [sh, bash]
- list: programs
  items: [shells, cat]
- macro: runs
  condition: evt.type in (execve, execveat) and proc.name in (programs)
- macro: idle
  condition: evt.num = 0
- rule: r
  condition: runs and container.id != host
  exceptions: [{name: e, fields: [proc.pname, fd.name], comps: [=, startswith], values: [[a, /b]]}]
  desc: d
  output: o
  priority: INFO
";

#[test]
fn descriptions_have_all_members_of_falcos() {
    let format = ExtraField::Format { name: "who".to_owned(), format: "<%proc.name>".to_owned() };
    let append_output = vec![AppendOutput { extra_fields: vec![format], ..AppendOutput::default() }];
    let mut loader = Loader::new(LoadOptions { append_output, ..LoadOptions::default() });
    loader.add("r.yaml", DESCRIBED.as_bytes());
    let rule = json!({
        "info": {
            "capture": false, "capture_duration": 0, "condition": "runs and container.id != host", "description": "d",
            "enabled": true, "name": "r", "output": "o", "priority": "Informational", "source": "syscall", "tags": [],
        },
        "details": {
            "condition_compiled": "(((evt.type in (execve, execveat) and proc.name in (sh, bash, cat)) and container.id != host) and not (proc.pname = a and fd.name startswith /b))",
            "condition_fields": ["container.id", "evt.type", "fd.name", "proc.name", "proc.pname"],
            "condition_operators": ["!=", "=", "in", "startswith"],
            "events": ["execve", "execveat"],
            "exception_fields": ["fd.name", "proc.pname"], "exception_names": ["e"], "exception_operators": ["=", "startswith"],
            "extra_output_formatted_fields": {"who": "<%proc.name>"},
            "lists": [], "macros": ["runs"], "output_compiled": "o", "output_fields": ["evt.time", "who"],
            "plugins": ["container"],
        },
    });
    let expected = json!({
        "lists": [
            {"info": {"name": "shells", "items": ["sh", "bash"]},
             "details": {"items_compiled": ["sh", "bash"], "lists": [], "plugins": [], "used": true}},
            {"info": {"name": "programs", "items": ["cat"]},
             "details": {"items_compiled": ["sh", "bash", "cat"], "lists": ["shells"], "plugins": [], "used": true}},
        ],
        "macros": [
            {"info": {"name": "runs", "condition": "evt.type in (execve, execveat) and proc.name in (programs)"},
             "details": {"condition_compiled": "(evt.type in (execve, execveat) and proc.name in (sh, bash, cat))",
                "condition_fields": ["evt.type", "proc.name"], "condition_operators": ["in"], "events": ["execve", "execveat"],
                "lists": ["programs"], "macros": [], "plugins": [], "used": true}},
            {"info": {"name": "idle", "condition": "evt.num = 0"},
             "details": {"condition_compiled": "evt.num = 0", "condition_fields": ["evt.num"], "condition_operators": ["="],
                "events": EventType::all().map(EventType::name).collect::<Vec<_>>(),
                "lists": [], "macros": [], "plugins": [], "used": false}},
        ],
        "required_engine_version": "0.31.0",
        "required_plugin_versions": [
            {"name": "container", "version": "0.4.0", "alternatives": [{"name": "other", "version": "1.0.0"}]},
        ],
        "rules": [rule],
    });
    assert_eq!(loader.describe(), expected);
    assert_eq!(loader.describe_rule("r"), Some(json!({"rules": [rule]})));
    assert_eq!(loader.describe_rule("s"), None);
    assert_eq!(loader.rule_names().collect::<Vec<_>>(), ["r"]);
}

/// An event with a process name that tries to write to a terminal.
struct Cat;

impl Event for Cat {
    fn event_type(&self) -> EventType {
        EventType::from_name("open").unwrap()
    }

    fn value(&self, field: Field, _: &Argument) -> Option<Value<'_>> {
        (field == Field::Proc(ProcField::Name)).then(|| Value::text(b"c\x1bt\xff"))
    }
}

#[test]
fn outputs_have_what_the_configuration_adds() {
    let options = LoadOptions {
        static_fields: vec![("region".to_owned(), "eu".to_owned())],
        append_output: vec![AppendOutput {
            extra_output: Some("at %static.region".to_owned()),
            extra_fields: vec![
                ExtraField::Field("proc.pname".to_owned()),
                ExtraField::Format { name: "who".to_owned(), format: "<%proc.name>".to_owned() },
            ],
            ..AppendOutput::default()
        }],
        ..LoadOptions::default()
    };
    let ruleset = load(options, &format!("- rule: r\n  condition: evt.type = open\n{REST}")).ruleset.unwrap();
    let mut text = String::new();
    let mut json = Vec::new();
    ruleset.evaluate(&Cat, &mut |rule| {
        rule.output().render(&Cat, &mut text);
        rule.output().write_json(&Cat, &mut json);
    });
    assert_eq!(text, "o at eu");
    let expected = "{\"evt.time\":null,\"proc.pname\":null,\"static.region\":\"eu\",\"who\":\"<c\u{fffd}t\u{fffd}>\"}";
    assert_eq!(String::from_utf8(json).unwrap(), expected);
}

#[test]
fn macros_that_grow_or_nest_without_end_are_refused() {
    let mut doubling = "- macro: m0\n  condition: evt.type = open\n".to_owned();
    for n in 1..64 {
        let inner = n - 1;
        writeln!(doubling, "- macro: m{n}\n  condition: m{inner} and m{inner}").unwrap();
    }
    assert!(!load(LoadOptions::default(), &doubling).report.is_ok());
    let mut chain = "- macro: m0\n  condition: evt.type = open\n".to_owned();
    let mut reverse = String::new();
    for n in 1..3_000 {
        writeln!(chain, "- macro: m{n}\n  condition: not m{}", n - 1).unwrap();
        writeln!(reverse, "- macro: m{n}\n  condition: not m{}", n + 1).unwrap();
    }
    assert!(!load(LoadOptions::default(), &chain).report.is_ok());
    for n in 1..3_000 {
        writeln!(reverse, "- macro: m{n}\n  condition: and evt.num = 1\n  append: true").unwrap();
    }
    assert!(!load(LoadOptions::default(), &reverse).report.is_ok());
}

#[test]
fn macros_that_contain_themselves_are_refused() {
    let content = "- macro: a\n  condition: evt.type = open\n- macro: b\n  condition: a\n- macro: a\n  condition: or b\n  append: true\n";
    let report = load(LoadOptions::default(), content).report;
    assert!(report.to_string().contains("reference loop in macro"), "{report}");
}

#[test]
fn content_that_is_no_text_is_an_error_with_its_place() {
    let mut loader = Loader::new(LoadOptions::default());
    loader.add("r.yaml", b"- rule: \xff\n");
    loader.add_unreadable("s.yaml", "permission denied");
    let report = loader.finish().report;
    let codes: Vec<_> = report.files().iter().map(|file| file.errors()[0].code()).collect();
    assert_eq!(codes, [Code::YamlParse, Code::FileRead]);
}
