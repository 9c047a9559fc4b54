// SPDX-License-Identifier: Apache-2.0
//! Addresses in rules by their names, which a thread of the supervisor looks up meanwhile.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use std::time::Duration;

use integration::{
    Alert, Bundle, Container, Lanner,
    Requirement::{self, Program, Root},
    Settings, skipped, wait_for,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A name that every machine knows, one that none does, and a comparison that holds for what has no name.
const RULES: &str = "\
- rule: known
  desc: a connection to a name
  condition: evt.type = connect and fd.sip.name = localhost
  output: connected %fd.sip
  priority: NOTICE
- rule: unknown
  desc: a connection to a name that stands for nothing
  condition: evt.type = connect and fd.sip.name = localhost.invalid
  output: connected %fd.sip
  priority: NOTICE
- rule: other
  desc: a connection to anything but a name
  condition: evt.type = connect and fd.sip.name != localhost and fd.sip in (127.0.0.1, 127.0.0.2)
  output: connected %fd.sip
  priority: NOTICE
";

#[track_caller]
fn expect_all(alerts: &[Alert], address: &str) {
    let other = alerts.iter().find(|alert| alert.text("fd.sip") != address);
    assert!(other.is_none(), "not to {address}: {other:?}");
}

#[test]
fn a_connection_is_known_by_the_names_that_rules_look_for() {
    if skipped(&[Root, Requirement::Lanner, Program("runc")]) {
        return;
    }
    let lanner = Lanner::new(&Settings::audit(RULES));
    let connect = "nc -w 1 127.0.0.1 9; nc -w 1 127.0.0.2 9";
    let script = format!("while true; do {connect}; sleep 0.1; done 2>/dev/null");
    let container = Container::start(&lanner.engine(), Bundle::new(&["sh", "-c", &script]));
    wait_for("a connection to localhost", PATIENCE, || (!lanner.alerts_of("known").is_empty()).then_some(()));
    let before = lanner.alerts_of("other").len();
    wait_for("more connections", PATIENCE, || (lanner.alerts_of("other").len() > before + 3).then_some(()));
    container.end();
    let (known, other, unknown) = (lanner.alerts_of("known"), lanner.alerts_of("other"), lanner.alerts_of("unknown"));
    expect_all(&known, "127.0.0.1");
    // Until the name was looked up, nothing was known of either.
    expect_all(other.get(before..).unwrap_or_default(), "127.0.0.2");
    assert!(unknown.is_empty(), "{unknown:?}");
    lanner.expect_nothing_left();
}
