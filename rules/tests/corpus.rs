// SPDX-License-Identifier: Apache-2.0
//! Falco's own test cases as data: one table row per file of cases, and no silent difference.
//!
//! A case whose result differs on purpose stands in `known-differences.toml` with a reason; the test fails when a case
//! fails that does not stand there, and when one that stands there passes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stdout,
    clippy::tests_outside_test_module,
    clippy::wildcard_enum_match_arm,
    reason = "test code"
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rules::{
    AppendOutput, Code, Condition, EventType, EventTypeSet, ExtraField, LoadOptions, LoadReport, Loader, Plugin,
    Version, join_path, sanitize,
};
use serde_json::{Map, Value as Json};
use support::{MapEvent, evaluates, hex, load, rule_file, shared};

type Outcome = Result<(), String>;
type Check = fn(&Json, &Path) -> Outcome;

#[test]
fn results_are_those_of_falco() {
    let Some(shared) = shared() else { return };
    let differences = known_differences();
    let mut problems = Vec::new();
    let mut unused: BTreeSet<&str> = differences.keys().map(String::as_str).collect();
    let checks: &[(&str, Check)] = &[
        ("parse", |case, _| parse(case)),
        ("compile", |case, _| compile(case)),
        ("eval", |case, _| eval(case)),
        ("event_sets", |case, _| event_sets(case)),
        ("format", |case, _| format(case)),
        ("pmatch", |case, _| pmatch(case)),
        ("paths", |case, _| paths(case)),
        ("sanitize", |case, _| sanitized(case)),
        ("escaping", |case, _| escaping(case)),
        ("warn", |case, _| warn(case)),
        ("plugin_req", |case, _| plugin_requirements(case)),
        ("rules_load", |case, _| rules_load(case)),
        ("validate_results", validate_results),
        ("stock_describe", stock_describe),
    ];
    for (name, check) in checks {
        let (mut passed, mut different, cases) = (0, 0, cases(&shared, name));
        for (index, case) in cases.iter().enumerate() {
            let id = case["id"].as_str().map_or_else(|| format!("{name}-{:04}", index + 1), str::to_owned);
            let key = if *name == "validate_results" { id.replace("rules_load", name) } else { id };
            let known = differences.get_key_value(&key);
            if let Some((key, _)) = known {
                unused.remove(key.as_str());
            }
            match (check(case, &shared), known) {
                (Ok(()), None) => passed += 1,
                (Err(_), Some(_)) => different += 1,
                (Ok(()), Some(_)) => problems.push(format!("{key}: stands in known-differences.toml but passes")),
                (Err(problem), None) => problems.push(format!("{key}: {problem}")),
            }
        }
        println!("{name:<18} {passed:>4} of {:>4} passed, {different} known to differ", cases.len());
    }
    problems.extend(unused.iter().map(|key| format!("{key}: stands in known-differences.toml but is no case")));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_stock_files_load_together_without_errors_and_warnings() {
    let Some(shared) = shared() else { return };
    let mut loader = Loader::new(LoadOptions::default());
    for name in ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"] {
        loader.add(name, &std::fs::read(shared.join("rules").join(name)).unwrap());
    }
    let load = loader.finish();
    println!("{}", load.report);
    assert!(load.report.is_ok() && !load.report.has_warnings());
    assert_eq!(load.report.files().iter().flat_map(rules::FileReport::notes).count(), 0, "every field can be known");
    assert_eq!(load.ruleset.unwrap().rules().len(), 93);
}

fn cases(shared: &Path, name: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(shared.join("cases").join(format!("{name}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Lines of the form `id = "reason"`.
fn known_differences() -> BTreeMap<String, String> {
    let text = include_str!("known-differences.toml");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (id, reason) = line.split_once(" = ").unwrap();
            assert!(reason.len() > 12, "{id} needs a reason");
            (id.to_owned(), reason.to_owned())
        })
        .collect()
}

fn text<'a>(case: &'a Json, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, falco: &T) -> Outcome {
    if ours == falco { Ok(()) } else { Err(format!("{what}: ours {ours:?}, Falco's {falco:?}")) }
}

fn parse(case: &Json) -> Outcome {
    let filter = text(case, "filter");
    let mut variants = vec![filter.to_owned()];
    if case["whitespace_variants"] == true {
        variants.extend([format!(" {filter} "), filter.replace(' ', "\n"), filter.replace(' ', "\t")]);
    }
    for variant in variants {
        let parsed = Condition::parse(&variant);
        equal(&variant, &parsed.is_ok(), &(case["expect"] == "accept"))?;
        let Ok(parsed) = parsed else { continue };
        if let Some(canonical) = case["canonical"].as_str() {
            equal("canonical", &parsed.to_string().as_str(), &canonical)?;
        }
        if case["roundtrip"] == true {
            equal("round trip", &Condition::parse(&parsed.to_string()).unwrap().to_string(), &parsed.to_string())?;
        }
        if let Some(positions) = case["positions"].as_str() {
            let nodes = parsed.nodes();
            let nodes = nodes.iter().map(|node| format!("{}{} {} {}", node.kind, node.offset, node.line, node.column));
            equal("positions", &nodes.collect::<String>().as_str(), &positions)?;
        }
    }
    match (case["error"].as_str(), Condition::parse(filter)) {
        (Some(error), Err(ours)) => equal("error", &ours.message.as_str(), &error),
        _ => Ok(()),
    }
}

/// Falco's tests have fields whose checks are always true or false, and one of bytes; ours stand in for them.
fn without_mocks(filter: &str) -> String {
    let number = [" < ", " <= ", " > ", " >= "].iter().any(|operator| filter.contains(operator));
    let pairs = [
        ("c.true", if number { "evt.num" } else { "fd.name" }),
        ("c.false", "proc.name"),
        ("c.buffer", "evt.buffer"),
        ("c.singlequote", "fd.directory"),
        ("c.doublequote", "fd.filename"),
    ];
    pairs.iter().fold(filter.to_owned(), |filter, (mock, field)| filter.replace(mock, field))
}

fn compile(case: &Json) -> Outcome {
    let filter = without_mocks(text(case, "filter"));
    let load = load(LoadOptions::default(), [("t.yaml", rule_file(&filter, "o").as_str())]);
    equal("compiles", &load.report.is_ok(), &case["compiles"].as_bool().unwrap())
        .map_err(|error| format!("{filter}: {error}: {}", load.report))?;
    let warnings =
        load.report.files()[0].warnings().iter().filter(|found| found.code() == Code::ConditionWarning).count();
    match case["warnings"].as_u64() {
        Some(expected) => equal("warnings", &warnings, &usize::try_from(expected).unwrap()),
        None => Ok(()),
    }
}

fn eval(case: &Json) -> Outcome {
    let filter = without_mocks(text(case, "filter"));
    let mut fields = case["fields"].as_object().cloned().unwrap_or_default();
    if case["mock"].is_string() {
        for (field, value) in [
            ("fd.name", "1"),
            ("proc.name", "0"),
            ("fd.directory", "hello 'quoted'"),
            ("fd.filename", "hello \"quoted\""),
        ] {
            fields.insert(field.to_owned(), Json::from(value));
        }
    }
    if fields.contains_key("note") {
        fields.insert("evt.type".to_owned(), Json::from("execve"));
        fields.insert("evt.rawarg.trusted_exepath".to_owned(), Json::from("<NA>"));
    }
    if filter.contains("evt.arg.res") || filter.contains("evt.args") {
        for field in ["evt.arg.res", "evt.args"] {
            fields.entry(field).or_insert_with(|| Json::from("any"));
        }
    }
    let result =
        evaluates(&filter, &MapEvent::new(&fields)).map_err(|report| format!("{filter}: does not load: {report}"))?;
    equal(&filter, &result, &case["result"].as_bool().unwrap())
}

fn types_of(filter: &str) -> Result<EventTypeSet, String> {
    let load = load(LoadOptions::default(), [("t.yaml", rule_file(filter, "o").as_str())]);
    load.ruleset.map(|ruleset| *ruleset.rules()[0].event_types()).ok_or_else(|| load.report.to_string())
}

fn event_sets(case: &Json) -> Outcome {
    let filter = text(case, "filter");
    let types = types_of(filter);
    if let Some(error) = case["event_set_error"].as_bool() {
        return equal("error", &types.is_err(), &error);
    }
    let types = types?;
    if let Some(other) = case["same_events_as"].as_str() {
        return equal(filter, &types, &types_of(other)?);
    }
    let named = case["events"]["types"].as_array().unwrap().iter();
    let named: EventTypeSet = named.map(|name| EventType::from_name(name.as_str().unwrap()).unwrap()).collect();
    let expected = if case["events"]["kind"] == "only" { named } else { EventTypeSet::all().difference(&named) };
    equal(filter, &types, &expected)
}

fn format(case: &Json) -> Outcome {
    let load = load(LoadOptions::default(), [("t.yaml", rule_file("evt.type = open", text(case, "format")).as_str())]);
    equal("valid", &load.report.is_ok(), &case["valid"].as_bool().unwrap())
        .map_err(|error| format!("{error}: {}", load.report))?;
    let (Some(ruleset), Some(expected)) = (load.ruleset, case["output"].as_str()) else { return Ok(()) };
    let mut fields = case["fields"].as_object().unwrap().clone();
    if fields.contains_key("note") {
        fields = ancestors(case["thread"].as_u64().unwrap_or(1));
    }
    let event = MapEvent::new(&fields);
    let template = ruleset.rules()[0].output();
    if !expected.starts_with('{') && expected != "null" {
        let mut out = String::new();
        template.render(&event, &mut out);
        return equal("text", &out.as_str(), &expected);
    }
    let expected: Json = serde_json::from_str(expected).unwrap();
    // Falco's alerts leave the transformed values out; only its formatter's own test has them.
    let expected = expected.as_object().cloned().unwrap_or_default();
    let expected: Map<_, _> = expected.into_iter().filter(|(name, _)| !name.contains('(')).collect();
    let mut ours = template.fields(&event);
    ours.remove("evt.time");
    equal("fields", &ours, &expected)
}

/// The thread tree of Falco's formatter tests: init, bash below it, child below that.
fn ancestors(thread: u64) -> Map<String, Json> {
    let mut fields = Map::new();
    let chain: &[(&str, &str, &str)] = &[
        ("child", "child", "child"),
        ("bash", "bash", "bash"),
        ("init", "/sbin/init", "init context ls --format {{json .}}"),
    ];
    let skipped = 3 - usize::try_from(thread).unwrap();
    for (index, (name, exe, cmdline)) in chain.iter().skip(skipped).enumerate() {
        for (field, value) in [("aname", name), ("aexe", exe), ("acmdline", cmdline)] {
            fields.insert(format!("proc.{field}[{index}]"), Json::from(*value));
        }
    }
    let all = |place: fn(&(&'static str, &'static str, &'static str)) -> &'static str| -> Json {
        chain.iter().skip(skipped + 1).map(place).collect()
    };
    fields.insert("proc.aname".to_owned(), all(|process| process.0));
    fields.insert("proc.aexe".to_owned(), all(|process| process.1));
    fields.insert("proc.acmdline".to_owned(), all(|process| process.2));
    fields.insert("proc.name".to_owned(), Json::from(chain[skipped].0));
    fields.insert("proc.pid".to_owned(), Json::from(thread));
    fields
}

fn pmatch(case: &Json) -> Outcome {
    let prefixes: Vec<_> = case["prefixes"].as_array().unwrap().iter().map(|prefix| prefix.as_str().unwrap()).collect();
    let condition = format!("fd.name pmatch ({})", prefixes.join(", "));
    let matched = evaluates(&condition, &MapEvent::open(text(case, "path").as_bytes()))?;
    equal(&condition, &matched, &case["match"].as_bool().unwrap())
}

fn bytes(case: &Json, key: &str) -> Vec<u8> {
    match case[key].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => hex(text(case, &format!("{key}_hex"))),
    }
}

fn paths(case: &Json) -> Outcome {
    let joined = join_path(text(case, "cwd").as_bytes(), &bytes(case, "path"));
    equal("path", &sanitize(&joined).as_ref(), &text(case, "result"))
}

fn sanitized(case: &Json) -> Outcome {
    equal("text", &sanitize(&bytes(case, "input")).as_ref(), &text(case, "result"))
}

fn escaping(case: &Json) -> Outcome {
    let raw = text(case, "raw");
    // A constant with this value, written with everything escaped that can be.
    let written = format!("a.b = \"{}\"", raw.replace('\\', "\\\\").replace('"', "\\\""));
    let printed = Condition::parse(&written).map_err(|error| error.to_string())?.to_string();
    if let Some(escaped) = case["escaped"].as_str() {
        equal("escaped", &printed.as_str(), &format!("a.b = {escaped}").as_str())?;
    }
    equal("round trip", &Condition::parse(&printed).unwrap().to_string(), &printed)
}

fn warn(case: &Json) -> Outcome {
    let load = load(LoadOptions::default(), [("t.yaml", rule_file(text(case, "filter"), "o").as_str())]);
    let warns = load.report.files()[0]
        .warnings()
        .iter()
        .any(|found| matches!(found.code(), Code::UnsafeNaCheck | Code::DeprecatedItem));
    equal("warns", &warns, &case["warns"].as_bool().unwrap())
}

fn plugin_requirements(case: &Json) -> Outcome {
    let plugins = case["plugins"].as_array().unwrap().iter();
    let plugins = plugins.map(|plugin| Plugin {
        name: text(plugin, "name").to_owned(),
        version: Version::parse(text(plugin, "version")).unwrap(),
    });
    let options = LoadOptions { plugins: plugins.collect(), ..LoadOptions::default() };
    let load = load(options, [("t.yaml", text(case, "content"))]);
    equal("ok", &load.report.is_ok(), &case["ok"].as_bool().unwrap())
}

/// The options that a case's `setup` asks for, written as calls of Falco's unit tests.
fn options_of(case: &Json) -> LoadOptions {
    let mut options = LoadOptions::default();
    for call in case["setup"].as_array().into_iter().flatten() {
        let call = call.as_str().unwrap();
        if !call.starts_with("add_extra_output_format(") {
            options.append_output.push(AppendOutput {
                extra_fields: vec![ExtraField::Format { name: "f".to_owned(), format: "%proc.name".to_owned() }],
                ..AppendOutput::default()
            });
            continue;
        }
        let arguments = call.split_once('(').unwrap().1.trim_end_matches(')');
        let (before_tags, rest) = arguments.split_once('{').unwrap();
        let (tags, after_tags) = rest.split_once('}').unwrap();
        let strings = |text: &str| -> Vec<String> { text.split('"').skip(1).step_by(2).map(str::to_owned).collect() };
        options.append_output.push(AppendOutput {
            extra_output: strings(before_tags).first().cloned(),
            tags: strings(tags),
            rule: strings(after_tags).first().filter(|rule| !rule.is_empty()).cloned(),
            ..AppendOutput::default()
        });
    }
    options
}

fn files_of(case: &Json) -> Vec<(&str, &str)> {
    case["files"].as_array().unwrap().iter().map(|file| (text(file, "name"), text(file, "content"))).collect()
}

fn rules_load(case: &Json) -> Outcome {
    let mut loader = Loader::new(options_of(case));
    for (name, content) in files_of(case) {
        loader.add(name, content.as_bytes());
    }
    let description = loader.describe();
    let load = loader.finish();
    let (expect, report) = (&case["expect"], &load.report);
    equal("load", &report.is_ok(), &(expect["load"] == "ok")).map_err(|error| format!("{error}: {report}"))?;
    messages(expect, report)?;
    if let Some(has) = expect["has_warnings"].as_bool() {
        equal("has warnings", &report.has_warnings(), &has)?;
    }
    if let Some(first) = expect["first_file_ok"].as_bool() {
        equal("first file", &report.files()[0].is_ok(), &first)?;
    }
    if let Some(count) = expect["warning_count"].as_u64() {
        equal(
            "warnings",
            &report.files().iter().map(|file| file.warnings().len()).sum(),
            &usize::try_from(count).unwrap(),
        )?;
    }
    for check in expect["describe"].as_array().into_iter().flatten() {
        described(&description, check)?;
    }
    let Some(ruleset) = &load.ruleset else { return Ok(()) };
    if let Some(count) = expect["enabled_rules"].as_u64() {
        let enabled = ruleset.rules().iter().filter(|rule| rule.is_enabled()).count();
        equal("enabled", &enabled, &usize::try_from(count).unwrap())?;
    }
    let rule = |name: &str| ruleset.rules().iter().find(|rule| rule.name() == name).unwrap();
    for (name, compiled) in expect["compiled"].as_object().into_iter().flatten() {
        equal("compiled", &rule(name).condition(), &compiled.as_str().unwrap())?;
    }
    for (name, output) in expect["compiled_output"].as_object().into_iter().flatten() {
        equal("output", &rule(name).output().text(), &output.as_str().unwrap())?;
    }
    Ok(())
}

fn messages(expect: &Json, report: &LoadReport) -> Outcome {
    let errors: Vec<_> = report.files().iter().flat_map(rules::FileReport::errors).collect();
    let warnings: Vec<_> = report.files().iter().flat_map(rules::FileReport::warnings).collect();
    for (key, found, wanted) in [
        ("errors_contain", &errors, true),
        ("warnings_contain", &warnings, true),
        ("warnings_not_contain", &warnings, false),
    ] {
        for part in expect[key].as_array().into_iter().flatten().filter_map(Json::as_str) {
            equal(part, &found.iter().any(|found| found.message().contains(part)), &wanted)
                .map_err(|error| format!("{error}: {report}"))?;
        }
    }
    for (key, found) in [("error_items", &errors), ("warning_items", &warnings)] {
        for item in expect[key].as_array().into_iter().flatten() {
            let fits = found.iter().any(|found| {
                let named = |location: &rules::ContextLocation| {
                    item["item_type"] == location.item_type
                        && item["item_name"].as_str().is_none_or(|name| name == location.item_name)
                };
                item["code"] == found.code().as_str()
                    && found.context().iter().any(named)
                    && item["message"].as_str().is_none_or(|message| found.message().contains(message))
            });
            equal(&item.to_string(), &fits, &true).map_err(|error| format!("{error}: {report}"))?;
        }
    }
    Ok(())
}

fn described(description: &Json, check: &Json) -> Outcome {
    let path: Vec<_> = check["path"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
    let found = description.pointer(&format!("/{}", path.join("/"))).cloned().unwrap_or_default();
    let found = match &found {
        Json::Array(items) => Json::from(items.len()),
        _ => found,
    };
    equal(&path.join("/"), &found, &check["equals"])
}

/// Every error that Falco reports is our first one of that file, and its warnings are among ours; we report more errors.
fn validate_results(case: &Json, shared: &Path) -> Outcome {
    let inputs = cases(shared, "rules_load");
    let input = inputs.iter().find(|input| input["id"] == case["id"]).unwrap();
    let load = load(LoadOptions::default(), files_of(input));
    equal("exit code", &i64::from(!load.report.is_ok()), &case["exit_code"].as_i64().unwrap())
        .map_err(|error| format!("{error}: {}", load.report))?;
    let ours = load.report.to_json();
    let pairs =
        case["falco_load_results"].as_array().unwrap().iter().zip(ours["falco_load_results"].as_array().unwrap());
    for (falco, ours) in pairs {
        equal("successful", &ours["successful"], &falco["successful"])?;
        let first = |report: &Json| report["errors"].as_array().unwrap().first().map(place);
        if let Some(error) = first(falco) {
            equal("first error", &first(ours), &Some(error))?;
        }
        let all = |report: &Json| -> Vec<String> {
            let mut all: Vec<_> = report["warnings"].as_array().unwrap().iter().map(place).collect();
            all.sort();
            all
        };
        let (ours_all, falco_all) = (all(ours), all(falco));
        if falco["successful"] == true {
            equal("warnings", &ours_all, &falco_all)?;
        } else if let Some(missing) = falco_all.iter().find(|warning| !ours_all.contains(warning)) {
            return Err(format!("no warning {missing}: ours {ours_all:?}"));
        }
    }
    Ok(())
}

/// Code, items and positions of a problem.
fn place(diagnostic: &Json) -> String {
    format!("{} {}", diagnostic["code"], diagnostic["context"]["locations"])
}

fn stock_describe(case: &Json, shared: &Path) -> Outcome {
    let names: Vec<_> = case["loaded"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let description = stock_description(&names, shared);
    let rule = description["rules"].as_array().unwrap().iter().find(|rule| rule["info"]["name"] == case["rule"]);
    let rule = rule.ok_or("no such rule")?;
    let set = |value: &Json| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    equal("condition", &rule["details"]["condition_compiled"], &case["condition_compiled"])?;
    equal("output", &rule["details"]["output_compiled"], &case["output_compiled"])?;
    for key in [
        "condition_fields",
        "condition_operators",
        "events",
        "exception_fields",
        "exception_names",
        "exception_operators",
        "lists",
        "macros",
    ] {
        equal(key, &set(&rule["details"][key]), &set(&case[key]))?;
    }
    let mut fields = set(&rule["details"]["output_fields"]);
    fields.remove("evt.time");
    let mut falco = set(&case["output_fields"]);
    falco.remove("evt.time");
    equal("output fields", &fields, &falco)?;
    for key in ["enabled", "priority"] {
        equal(key, &rule["info"][key], &case[key])?;
    }
    equal("tags", &set(&rule["info"]["tags"]), &set(&case["tags"]))
}

/// Loads each combination of files once.
fn stock_description(names: &[&str], shared: &Path) -> Json {
    static LOADED: std::sync::Mutex<BTreeMap<String, Json>> = std::sync::Mutex::new(BTreeMap::new());
    let mut known = LOADED.lock().unwrap();
    let describe = || {
        // Falco's shipped configuration appends the fields of the container.
        let append_output = vec![AppendOutput { suggested_output: true, ..AppendOutput::default() }];
        let mut loader = Loader::new(LoadOptions { append_output, ..LoadOptions::default() });
        for name in names {
            loader.add(name, &std::fs::read(shared.join("rules").join(name)).unwrap());
        }
        loader.describe()
    };
    known.entry(names.join(" ")).or_insert_with(describe).clone()
}
