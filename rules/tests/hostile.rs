// SPDX-License-Identifier: Apache-2.0
//! Files that are meant to exhaust us, and files that are merely large: bounded time, and an error that says what is wrong.
#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "test code")]

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use rules::{Load, LoadOptions, Loader};

/// What each file may take on a busy machine; a step that is quadratic takes many times that.
const TIME: Duration = Duration::from_secs(30);
const REST: &str = "  desc: d\n  output: o\n  priority: INFO\n";

/// Loads a file in time, and reports its result in both forms.
#[track_caller]
fn load(content: &str) -> Load {
    let start = Instant::now();
    let mut loader = Loader::new(LoadOptions::default());
    loader.add("r.yaml", content.as_bytes());
    let load = loader.finish();
    assert!(load.report.to_json().is_object() && !load.report.to_string().is_empty());
    assert!(start.elapsed() < TIME, "{} ms for {} bytes", start.elapsed().as_millis(), content.len());
    load
}

#[track_caller]
fn loads(content: &str, rules: usize) {
    let load = load(content);
    assert!(load.report.is_ok(), "{:.2000}", load.report.to_string());
    assert_eq!(load.ruleset.unwrap().rules().len(), rules);
}

#[track_caller]
fn is_refused(content: &str, message: &str) {
    let load = load(content);
    assert!(load.ruleset.is_none());
    let report = load.report.to_string();
    assert!(report.contains(message), "{report:.2000}");
}

fn rule(name: &str, condition: &str) -> String {
    format!("- rule: {name}\n  condition: {condition}\n{REST}")
}

fn many(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut file, number| {
        file.push_str(&item(number));
        file
    })
}

#[test]
fn a_hundred_thousand_rules_load() {
    let condition =
        |n| format!("evt.type = open and proc.name in (tool{n}, x{}) and fd.name startswith /srv/{n}", n % 100);
    loads(&many(100_000, |n| rule(&format!("r{n}"), &condition(n))), 100_000);
}

#[test]
fn many_rules_in_one_line_load() {
    let rule = |n| format!("{{rule: r{n}, condition: evt.type = open, desc: d, output: o, priority: INFO}}, ");
    loads(&format!("[{}]", many(50_000, rule)), 50_000);
}

#[test]
fn a_hundred_thousand_mistakes_are_reported() {
    is_refused(
        &many(100_000, |n| rule(&format!("r{n}"), &format!("macro_{n} and evt.type = open"))),
        "Undefined macro 'macro_7'",
    );
    is_refused(
        &many(100_000, |n| rule(&format!("r{n}"), "evt.type = open and proc.nmae = x")),
        "did you mean `proc.name`?",
    );
    is_refused(
        &many(100_000, |n| format!("- macro: m{n}\n  condition: and evt.num = 1\n  append: true\n")),
        "no macro by that name",
    );
}

#[test]
fn long_conditions_and_lists_load() {
    let chain = |part: &dyn Fn(usize) -> String, joint: &str| (0..100_000).map(part).collect::<Vec<_>>().join(joint);
    loads(&rule("r", &format!("evt.type = open and ({})", chain(&|n| format!("proc.name = x{n}"), " or "))), 1);
    loads(&rule("r", &format!("evt.type = open and {}", chain(&|n| format!("not fd.name contains x{n}"), " and "))), 1);
    loads(&rule("r", &format!("evt.type = open and ({})", chain(&|n| format!("user.uid > {n}"), " or "))), 1);
    let items = chain(&|n| format!("item{n}"), ", ");
    loads(&format!("- list: l\n  items: [{items}]\n{}", rule("r", "evt.type = open and proc.name in (l)")), 1);
}

#[test]
fn lists_cannot_grow_without_end() {
    let uses = vec!["l"; 1_000_000].join(", ");
    loads(&format!("- list: l\n  items: [a]\n{}", rule("r", &format!("evt.type = open and proc.name in ({uses})"))), 1);
    let mut doubling = "- list: l0\n  items: [a, a, a, a]\n".to_owned();
    for n in 1..40 {
        writeln!(doubling, "- list: l{n}\n  items: ['l{0} l{0} l{0} l{0}']", n - 1).unwrap();
    }
    let all = (0..40).map(|n| format!("l{n}")).collect::<Vec<_>>().join(" ");
    is_refused(&(doubling + &rule("r", &format!("evt.type = open and proc.name in ({all})"))), "expected");
    let unused = many(20_000, |n| format!("- list: l{n}\n  items: [a{n}]\n"));
    loads(
        &(unused + &many(20_000, |n| rule(&format!("r{n}"), &format!("evt.type = open and proc.name in (l{n})")))),
        20_000,
    );
}

#[test]
fn macros_cannot_grow_without_end() {
    let mut doubling = "- macro: m0\n  condition: evt.type = open\n".to_owned();
    for n in 1..18 {
        writeln!(doubling, "- macro: m{n}\n  condition: m{0} and m{0}", n - 1).unwrap();
    }
    loads(&(doubling.clone() + &rule("r", "m17")), 1);
    is_refused(&(doubling + &many(10_000, |n| rule(&format!("r{n}"), "m17"))), "conditions of all rules together");
}

#[test]
fn regular_expressions_cannot_take_all_memory() {
    let regex = |n: usize| format!("evt.type = open and fd.name regex \".{{400}}x{n}\"");
    is_refused(&many(3_000, |n| rule(&format!("r{n}"), &regex(n))), "regular expressions of all rules");
}

#[test]
fn large_texts_are_read_or_refused() {
    loads(
        &format!(
            "- rule: r\n  condition: evt.type = open\n  desc: {}\n  output: o\n  priority: INFO\n",
            "x".repeat(10 << 20)
        ),
        1,
    );
    is_refused(&format!("# {}", "x".repeat(17 << 20)), "larger than");
    is_refused(&format!("- list: l\n  items: [{}]\n", "a,".repeat(5 << 20)), "more than 2000000 values");
    is_refused(&rule("r", &format!("evt.type = open and proc.name = {}", "x".repeat(10 << 20))), "longer than");
    is_refused(&rule("r", &"(".repeat(10 << 20)), "condition");
    let output = |output: &str| {
        format!("- rule: r\n  condition: evt.type = open\n  desc: d\n  output: '{output}'\n  priority: INFO\n")
    };
    is_refused(&output(&format!("%{}", "a".repeat(10 << 20))), "invalid formatting token");
    loads(&output(&"%proc.name".repeat(1 << 19)), 1);
}
