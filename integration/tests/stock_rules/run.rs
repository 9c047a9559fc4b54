// SPDX-License-Identifier: Apache-2.0
//! One container from its start to its end, and its alerts by what provoked them.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use integration::{Alert, Bundle, Container, Lanner, Settings, wait_for, workload};

use crate::{
    book::{Book, Entry, Scenario},
    compare::{self, Part},
};

const PATIENCE: Duration = Duration::from_secs(45); // the slowest script takes 7 s alone, on a busy box longer
const SCRIPT: &str = "/provoke";
const FAILED: &str = "failed: "; // what the script prints where a provocation did not do what it should
const MARK: &str = "mark"; // the rule whose alerts tell in the event log where a provocation begins
const MARK_RULE: &str = "
- rule: mark
  desc: The script comes to its next part.
  condition: evt.type in (open, openat) and fd.name startswith /mark/
  output: at %fd.name
  priority: DEBUG
";

/// A container before its start.
pub(crate) struct Run<'a> {
    scenario: &'a Scenario,
    lanner: Lanner,
    bundle: Bundle,
}

impl<'a> Run<'a> {
    /// Fills the bundle. Not to be done beside a run: whatever that starts would for a moment hold programs open that are
    /// still being written, and nobody could execute them.
    pub(crate) fn new(scenario: &'a Scenario, rules: &[PathBuf]) -> Self {
        Self { scenario, lanner: lanner(rules), bundle: bundle(scenario) }
    }

    /// Runs the container; returns what came otherwise than the book says.
    pub(crate) fn complaints(self, book: &Book) -> Vec<String> {
        let Self { scenario, lanner, bundle } = self;
        let container = Container::start(&lanner.engine(), bundle);
        let scripted: Vec<&Entry> = scenario.rules.iter().filter(|entry| entry.run.is_some()).collect();
        // Behind the last mark comes the program that stays; what fires for every container's first process does for it.
        let has_come = || {
            let parts = parts(lanner.alerts());
            (parts.len() == scripted.len() + 2 && parts.last().is_some_and(|last| !last.is_empty())).then_some(())
        };
        wait_for("the script's end", PATIENCE, has_come);

        let mut parts = parts(lanner.alerts()).into_iter();
        let at_start = scenario.rules.iter().filter(|entry| entry.run.is_none() && entry.exec.is_none()).collect();
        let start = Part { entries: at_start, also: &scenario.start, alerts: parts.next().unwrap_or_default() };
        let by_script = scripted.into_iter().zip(parts).map(|(entry, alerts)| Part::of(entry, alerts));
        let executed = scenario.rules.iter().filter(|entry| entry.exec.is_some());
        let by_exec = executed.map(|entry| Part::of(entry, execute(&lanner, &container, entry)));
        let parts = [start].into_iter().chain(by_script).chain(by_exec);
        let mut complaints: Vec<String> = parts.flat_map(|part| compare::complaints(&part, scenario, book)).collect();

        let output = container.output();
        complaints.extend(output.lines().filter(|line| line.starts_with(FAILED)).map(str::to_owned));
        container.end();
        if !complaints.is_empty() {
            complaints.push(format!("the container `{}` printed:\n{output}", scenario.name));
        }
        complaints
    }
}

/// Lanner with the stock files, every rule of them enabled.
fn lanner(rules: &[PathBuf]) -> Lanner {
    let options = "rules: [{enable: {rule: '*'}}]\nrule_matching: all\n";
    let lanner = Lanner::new(&Settings::audit(MARK_RULE).with(options));
    let own = lanner.rules();
    let files: Vec<_> = rules.iter().chain([&own]).map(|file| file.display().to_string()).collect();
    lanner.reconfigure("rules_files:", &format!("rules_files: [{}]", files.join(", ")));
    lanner
}

fn bundle(scenario: &Scenario) -> Bundle {
    let bundle = Bundle::new(&["sh", SCRIPT]).named(&scenario.name).text(SCRIPT, &script(scenario));
    let marks = (0..=scenario.rules.len()).fold(bundle, |bundle, number| bundle.text(&format!("/mark/{number}"), ""));
    let programs = scenario.programs.iter().flat_map(|(name, paths)| paths.iter().map(move |path| (name, path)));
    let filled = programs.fold(marks, |bundle, (name, path)| bundle.file(&workload(name), path));
    let filled = scenario.files.iter().fold(filled, |bundle, (path, content)| bundle.text(path, content));
    let bundle = scenario.mounts.iter().fold(filled, |bundle, mount| bundle.mount(mount.clone()));
    let bundle = scenario.spec.iter().fold(bundle, |bundle, (pointer, value)| bundle.set(pointer, value.clone()));
    if scenario.layered { bundle.on_overlay() } else { bundle }
}

/// Each provocation in a shell of its own, behind an open that marks its place in the event log.
fn script(scenario: &Scenario) -> String {
    let mut text = format!("{}\n", scenario.prepare);
    let runs = scenario.rules.iter().filter_map(|entry| Some((&entry.rule, entry.run.as_ref()?)));
    let mut count = 0;
    for (rule, run) in runs {
        writeln!(text, "true < /mark/{count}\n(\n{run}\n) || echo '{FAILED}{rule}'").unwrap();
        count += 1;
    }
    writeln!(text, "true < /mark/{count}\nexec sleep 1000").unwrap();
    text
}

/// The alerts between the marks.
fn parts(alerts: Vec<Alert>) -> Vec<Vec<Alert>> {
    let mut parts = vec![Vec::new()];
    for alert in alerts {
        if alert.rule == MARK {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(alert);
        }
    }
    parts
}

/// Lets the runtime execute the entry's program; returns the alerts that came of it.
fn execute(lanner: &Lanner, container: &Container, entry: &Entry) -> Vec<Alert> {
    let before = lanner.alerts().len();
    let words: Vec<&str> = entry.exec.iter().flatten().map(String::as_str).collect();
    let succeeded =
        if entry.terminal { container.exec_in_terminal(&words) } else { container.exec(&words).status.success() };
    assert!(succeeded, "cannot execute {words:?}: {}", container.output());
    lanner.alerts().split_off(before)
}
