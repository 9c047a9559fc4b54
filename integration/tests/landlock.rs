// SPDX-License-Identifier: Apache-2.0
//! A program that confines itself by Landlock is confined, although opens are made for it: audit mode leaves them to the
//! kernel from then on and says so, enforce mode lets nobody enter a domain.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Landlock, Program, Root},
    Settings, skipped, text, workload,
};

const RULES: &str = "
- rule: opened
  desc: The file was opened.
  condition: evt.type in (open, openat, openat2) and fd.name = /kept
  output: opened %fd.name
  priority: NOTICE
  action: alert
- rule: denied
  desc: It makes opens worth performing in enforce mode.
  condition: evt.type in (open, openat, openat2) and fd.name = /never
  output: denied %fd.name
  priority: NOTICE
  action: deny
";

/// What the program printed, how many of its opens were seen, and what Lanner said of itself.
#[track_caller]
fn check(settings: &Settings, printed: &str, opens: usize, said: &[&str]) {
    let lanner = Lanner::new(settings);
    let bundle =
        Bundle::new(&["/bin/landlocked"]).file(&workload("landlocked"), "/bin/landlocked").text("/kept", "kept");
    let output = Container::run(&lanner.engine(), &bundle);
    assert_eq!(text(&output.stdout), printed, "{}", text(&output.stderr));
    let alerts = lanner.alerts();
    assert_eq!(alerts.iter().filter(|alert| alert.rule == "opened").count(), opens);
    let own = alerts.iter().map(|alert| alert.rule.as_str()).filter(|rule| rule.starts_with("Lanner internal"));
    assert_eq!(own.collect::<Vec<_>>(), said);
    lanner.expect_nothing_left();
}

fn is_skipped(runtime: LowLevel) -> bool {
    skipped(&[Root, Landlock, Requirement::Lanner, Program(runtime.name()), Program("gcc")])
}

#[track_caller]
fn check_verified(runtime: LowLevel) {
    if is_skipped(runtime) {
        return;
    }
    let settings = Settings::audit(RULES).with("verify: all\n").under(runtime);
    let printed = "before: opened\ninside: EACCES\nchild: EACCES\noutside: opened\n";
    check(&settings, printed, 4, &["Lanner internal: opens not verified"]);
}

#[test]
fn a_domain_holds_where_audit_mode_opens_under_runc() {
    check_verified(LowLevel::Runc);
}

#[test]
fn a_domain_holds_where_audit_mode_opens_under_crun() {
    check_verified(LowLevel::Crun);
}

#[test]
fn nothing_is_said_where_opens_are_not_performed() {
    if is_skipped(LowLevel::Runc) {
        return;
    }
    let printed = "before: opened\ninside: EACCES\nchild: EACCES\noutside: opened\n";
    check(&Settings::audit(RULES), printed, 4, &[]);
}

#[test]
fn no_domain_is_entered_in_enforce_mode() {
    if is_skipped(LowLevel::Runc) {
        return;
    }
    check(&Settings::enforce(RULES), "before: opened\nno domain: EPERM\n", 1, &[]);
}
