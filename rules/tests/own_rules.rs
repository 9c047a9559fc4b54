// SPDX-License-Identifier: Apache-2.0
//! The rules that Lanner ships: they load without a remark, say what they mean, fire and keep silent where they should.
//!
//! The cases stand in `own_rules.jsonl`. A line has an `event`; the `rule` that it makes fire (and those that fire `also`),
//! and under `unless` the near misses, each a change of the event that silences the rule (`null` takes a field away). Or it
//! is `silent`, with the ordinary thing that it stands for.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stdout,
    clippy::tests_outside_test_module,
    clippy::wildcard_enum_match_arm,
    dead_code,
    reason = "test code; `support` offers more than these tests use"
)]

mod support;

use std::collections::BTreeSet;

use rules::{Action, LoadOptions, Ruleset};
use serde_json::{Map, Value as Json, json};
use support::{MapEvent, load, shared};

const FILE: &str = include_str!("../files/lanner_rules.yaml");
const README: &str = include_str!("../files/README.md");
const CASES: &str = include_str!("own_rules.jsonl");

type Fields = Map<String, Json>;

fn ruleset(local: &str) -> Ruleset {
    let load = load(LoadOptions::default(), [("lanner_rules.yaml", FILE), ("lanner_rules.local.yaml", local)]);
    let remarks = load.report.files().iter().map(|file| file.warnings().len() + file.notes().len()).sum::<usize>();
    assert!(load.report.is_ok() && remarks == 0, "{}", load.report);
    load.ruleset.unwrap()
}

fn cases() -> impl Iterator<Item = Json> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// The case's fields over those of an ordinary process in an ordinary container.
fn event(case: &Json) -> Fields {
    let background = json!({
        "container.id": "3f2a1b0c9d8e", "container.name": "web", "container.image": "docker.io/library/web:1",
        "container.image.repository": "docker.io/library/web", "user.name": "root", "user.uid": 0,
        "proc.exepath": "/usr/bin/app", "proc.cmdline": "app", "proc.args": "", "proc.pname": "tini", "proc.aname[1]": "tini",
        "proc.vpid": 7, "proc.tty": 0, "proc.stdin.type": "file", "proc.is_exe_upper_layer": false, "proc.is_exe_from_memfd": false,
        "proc.env[LD_PRELOAD]": "", "proc.env[LD_AUDIT]": "",
    });
    let mut fields = background.as_object().unwrap().clone();
    fields.extend(case["event"].as_object().unwrap().clone());
    fields
}

fn fired<'r>(ruleset: &'r Ruleset, fields: &Fields) -> BTreeSet<&'r str> {
    let mut names = BTreeSet::new();
    ruleset.evaluate(&MapEvent::new(fields), &mut |rule| {
        names.insert(rule.name());
    });
    names
}

#[test]
fn every_rule_says_what_it_means_and_where_it_happened() {
    let ruleset = ruleset("");
    let names: BTreeSet<_> = ruleset.rules().iter().map(rules::Rule::name).collect();
    assert_eq!(names.len(), FILE.lines().filter(|line| line.starts_with("- rule: ")).count(), "a name is used twice");
    for rule in ruleset.rules() {
        let (name, description) = (rule.name(), rule.description());
        assert!(rule.is_enabled() && !rule.event_types().is_empty(), "{name} can never match");
        assert!(description.contains("False positive: "), "{name} does not say what to do about a false positive");
        let denies = rule.action() == Some(Action::Deny);
        assert_eq!(denies, description.contains("The denial is safe "), "{name}: explain a denial, and only a denial");
        assert!(denies || rule.action().is_none(), "{name} asks for something else than a denial");
        let fields: Vec<_> = rule.output().field_names().collect();
        for field in ["container.name", "container.id", "container.image", "proc.cmdline", "user.name", "k8s.pod.name"]
        {
            assert!(fields.contains(&field), "{name} does not print {field}");
        }
        let tags = rule.tags();
        assert!(
            tags.iter().any(|tag| tag == "container") && tags.iter().any(|tag| tag == "lanner"),
            "{name}: {tags:?}"
        );
        assert!(tags.iter().any(|tag| tag.starts_with("mitre_")), "{name} has no tactic");
        assert!(tags.iter().any(|tag| is_technique(tag)), "{name} has no technique");
    }
}

#[test]
fn the_readme_lists_every_rule_and_its_examples_load() {
    let rows = README.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | ")).skip(1);
    let listed: Vec<_> = rows.map(|(name, rest)| (name, rest.contains("| yes |"))).collect();
    let ruleset = ruleset("");
    let denies = |rule: &rules::Rule| rule.action() == Some(Action::Deny);
    assert_eq!(listed, ruleset.rules().iter().map(|rule| (rule.name(), denies(rule))).collect::<Vec<_>>());

    let blocks = README.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```\n"));
    let examples: Vec<_> = blocks.map(|(text, _)| text).filter(|text| text.contains("- rule: ")).collect();
    assert!(!examples.is_empty(), "the README has no example");
    for example in examples {
        self::ruleset(example);
    }
}

/// A name that both use would silently change the meaning of one of them.
#[test]
fn the_set_shares_no_name_with_falcos_files() {
    let Some(shared) = shared() else { return };
    let names = |text: &str| -> BTreeSet<String> {
        let items = text.lines().filter_map(|line| line.strip_prefix("- "));
        let named = items.filter_map(|item| item.split_once(": "));
        named.filter(|(kind, _)| ["rule", "macro", "list"].contains(kind)).map(|(_, name)| name.to_owned()).collect()
    };
    let ours = names(FILE);
    assert!(ours.len() > 60, "{ours:?}");
    for file in ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"] {
        let theirs = names(&std::fs::read_to_string(shared.join("rules").join(file)).unwrap());
        assert!(theirs.len() > 50, "{file}: {theirs:?}");
        assert_eq!(ours.intersection(&theirs).collect::<Vec<_>>(), Vec::<&String>::new(), "{file}");
    }
}

/// `T1059` or `T1059.004`.
fn is_technique(tag: &str) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = tag.strip_prefix('T') else { return false };
    number.split_once('.').map_or_else(|| digits(number, 4), |(main, sub)| digits(main, 4) && digits(sub, 3))
}

#[test]
fn rules_fire_and_near_misses_do_not() {
    let ruleset = ruleset("");
    let mut tested = BTreeSet::new();
    for case in cases() {
        let mut fields = event(&case);
        let fires = fired(&ruleset, &fields);
        let Some(name) = case["rule"].as_str() else {
            assert!(fires.is_empty(), "{}: {fires:?} fired", case["silent"]);
            continue;
        };
        let also = case["also"].as_array().into_iter().flatten().filter_map(Json::as_str);
        assert_eq!(fires, also.chain([name]).collect(), "{case}");
        let misses = case["unless"].as_array().unwrap();
        assert!(!misses.is_empty(), "no near miss: {case}");
        for change in misses {
            fields.clone_from(&event(&case));
            fields.extend(change.as_object().unwrap().clone());
            assert!(!fired(&ruleset, &fields).contains(name), "{name} fired although {change}: {case}");
        }
        tested.insert(name.to_owned());
    }
    let untested: Vec<_> =
        ruleset.rules().iter().map(rules::Rule::name).filter(|name| !tested.contains(*name)).collect();
    assert!(untested.is_empty(), "no case for {untested:?}");
    println!("{} cases of {} rules", cases().count(), tested.len());
}

/// Every exception of the file, filled with what an alert shows, silences its rule.
#[test]
fn every_exception_can_be_filled_and_silences_its_rule() {
    let cases: Vec<_> = cases().collect();
    let mut filled = 0;
    for exception in exceptions() {
        let case = cases.iter().find(|case| case["rule"] == exception.rule && exception.fits(&event(case)));
        let fields = event(case.unwrap_or_else(|| panic!("no case has the fields of {exception:?}")));
        let tuned = ruleset(&exception.with_values_of(&fields));
        assert!(!fired(&tuned, &fields).contains(exception.rule), "{exception:?} does not silence its rule");
        filled += 1;
    }
    assert!(filled > 30, "only {filled} exceptions were found in the file");
}

/// An exception without values, as the file has them.
#[derive(Debug)]
struct Exception {
    rule: &'static str,
    name: &'static str,
    fields: Vec<&'static str>,
    is_list: bool,
}

fn exceptions() -> Vec<Exception> {
    let (mut found, mut rule, mut name) = (Vec::new(), "", "");
    for line in FILE.lines() {
        if let Some(text) = line.strip_prefix("- rule: ") {
            rule = text;
        } else if let Some(text) = line.strip_prefix("    - name: ") {
            name = text;
        } else if let Some(text) = line.strip_prefix("      fields: ") {
            let fields = text.trim_matches(['[', ']']).split(", ").collect();
            found.push(Exception { rule, name, fields, is_list: text.starts_with('[') });
        }
    }
    found
}

impl Exception {
    fn fits(&self, event: &Fields) -> bool {
        self.fields.iter().all(|field| event.contains_key(*field))
    }

    /// A local file that adds the event's own values to the exception.
    fn with_values_of(&self, event: &Fields) -> String {
        let values: Vec<_> = self.fields.iter().map(|field| &event[*field]).collect();
        let values = if self.is_list { json!([values]) } else { json!(values) };
        let Self { rule, name, .. } = self;
        format!(
            "- rule: {rule}\n  exceptions:\n    - name: {name}\n      values: {values}\n  override: {{exceptions: append}}\n"
        )
    }
}
