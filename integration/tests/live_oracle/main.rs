// SPDX-License-Identifier: Apache-2.0
//! The container that Falco watched once, run again under Lanner with the same rule: the same events in the same order,
//! every field equal.
//!
//! A field that cannot be known before the call, or that Lanner knows better, stands in `integration/oracle/exceptions.yaml`
//! with its reason. Numbers that differ from run to run are masked in the recording; here they must be those that other
//! fields of the same event give, and must fit together from event to event (`witness.rs`).
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    reason = "an integration test is a test module"
)]

mod container;
mod exception;
mod parameters;
mod recording;
mod witness;

use integration::{
    Container, Lanner,
    Requirement::{self, Program, Root},
    Settings, falco_files, skipped, text,
};

use exception::Exceptions;
use parameters::Parameters;
use recording::Event;

const ENOUGH: usize = 120; // events, so that an empty recording is no success

#[test]
fn a_container_gives_the_events_that_falco_recorded() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc")]) {
        return;
    }
    let Some(live) = falco_files().map(|folder| folder.join("live")) else { return };
    let rule = live.join("rule.yaml");
    let lanner = Lanner::new(&Settings::audit(&witness::rule(&rule)).with("rule_matching: all\n"));
    let files = format!("rules_files: [{}, {}]", rule.display(), lanner.rules().display());
    lanner.reconfigure("rules_files:", &files);
    let output = Container::run_as(&lanner.engine(), &container::bundle(&live), container::ID);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));

    let expected = Event::read(&live.join("oracle.jsonl"));
    let found = witness::pairs(lanner.alerts());
    let same_order = expected.iter().map(Event::kind).eq(found.iter().map(|(event, _)| event.text("evt.type")));
    assert!(same_order, "{}", recording::sequences(&expected, &found));
    assert!(expected.len() >= ENOUGH, "{} events", expected.len());
    let (parameters, exceptions) = (Parameters::read(&live.join("../events.json")), Exceptions::read());
    let mut complaints = witness::complaints(&found);
    for (event, alerts) in expected.iter().zip(&found) {
        complaints.extend(event.complaints(alerts, &parameters, &exceptions));
    }
    complaints.extend(exceptions.unused());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}
