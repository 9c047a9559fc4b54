// SPDX-License-Identifier: Apache-2.0
//! Attacks on the supervision, each against a checker that answers *continue*, which it must beat so that it is known to
//! be real, and against Lanner, which it must not.
//!
//! An attack lasts half a second, or `LANNER_ATTACK_SECONDS`; `LANNER_ATTACKS` picks those whose name contains
//! one of its parts between commas.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "an integration test is a test module"
)]

mod attack;
mod run;
mod stage;
mod table;

use std::{env, sync::Mutex, thread, time::Duration};

use integration::{
    Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, skipped,
};

use self::{
    attack::{Attack, Manner, Naive},
    run::{Effort, against_lanner, against_naive},
    table::ATTACKS,
};

const NEEDS: [Requirement; 4] = [Root, Requirement::Lanner, Program("runc"), Program("gcc")];
const AT_ONCE: usize = 2; // an attack is two busy threads; more would only wait for each other
const NAIVE_PATIENCE: Duration = Duration::from_secs(20); // milliseconds as a rule; a race needs luck on a busy machine
const AUDITED: u32 = 20; // successes that an audit has to name; each takes some attempts

fn duration() -> Duration {
    let seconds = env::var("LANNER_ATTACK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(0.5))
}

/// Runs `attempt` on every chosen attack and fails with all its complaints.
#[track_caller]
fn each(what: &str, attempt: impl Fn(&Attack) -> Result<String, String> + Sync) {
    let wanted = env::var("LANNER_ATTACKS").unwrap_or_default();
    let is_wanted = |attack: &&Attack| wanted.split(',').any(|part| attack.name().contains(part));
    let queue = Mutex::new(ATTACKS.iter().filter(is_wanted));
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some(attack) = { queue.lock().unwrap().next() } {
            let result = attempt(attack);
            println!("{what}: {}: {}", attack.name(), result.as_ref().unwrap_or_else(|complaint| complaint));
            let failure = result.err().map(|complaint| format!("{}: {complaint}", attack.name()));
            failures.lock().unwrap().extend(failure);
        }
    };
    assert!(ATTACKS.iter().any(|attack| is_wanted(&attack)), "no attack is called `{wanted}`");
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{what}: {} attacks:\n{}", failures.len(), failures.join("\n"));
}

#[test]
#[ignore = "races that need luck: `make attacks` runs them"]
fn the_naive_checker_loses() {
    if skipped(&[Root, Program("runc"), Program("gcc")]) {
        return;
    }
    each("naive", |attack| match attack.naive {
        Naive::Loses(manner) => {
            let score = against_naive(attack, manner, Effort { duration: NAIVE_PATIENCE, enough: 1 })?;
            let is_real = score.successes > 0 || !score.is_available();
            if is_real { Ok(score.to_string()) } else { Err(format!("is not real: {score}")) }
        }
        Naive::Holds(reason) => {
            let score = against_naive(attack, Manner::Resolving, Effort { duration: duration(), enough: 1 })?;
            let holds = score.successes == 0;
            if holds { Ok(format!("{score}, as {reason}")) } else { Err(format!("succeeds: {score}")) }
        }
        Naive::Spared(reason) => Ok(format!("left out, {reason}")),
    });
}

/// What a run under enforcement is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// That nothing succeeds, which must hold however busy the machine is.
    Success,
    /// Also that each attack leaves its alert and hinders nothing, which needs attempts enough.
    Whole,
}

#[track_caller]
fn enforced(runtime: LowLevel, manner: Judged) {
    each(runtime.name(), |attack| {
        let lanner = Lanner::new(&Settings::enforce(&attack.rules()).under(runtime).with(attack.settings));
        let score = against_lanner(attack, &lanner, Effort { duration: duration(), enough: 0 })?;
        let denied = run::count(&lanner, |alert| attack.trace.is_of(alert) && alert.verdict.as_deref() == Some("deny"));
        let summary = format!("{score}, {denied} denied");
        if score.successes > 0 && attack.limit.is_none() {
            return Err(format!("succeeds: {summary}"));
        }
        if score.is_available() && score.attempts == 0 {
            return Err(format!("does nothing: {summary}"));
        }
        if manner == Judged::Whole && score.is_available() && denied == 0 && attack.trace.is_denied_by_rule() {
            return Err(format!("leaves no alert: {summary}"));
        }
        if manner == Judged::Whole && score.is_available() && score.decoys == 0 && attack.has_decoy {
            return Err(format!("blocks what is allowed: {summary}"));
        }
        Ok(attack.limit.map_or_else(|| summary.clone(), |limit| format!("{summary}; may succeed: {limit}")))
    });
}

#[test]
fn nothing_passes_enforce_under_runc() {
    if !skipped(&NEEDS) {
        enforced(LowLevel::Runc, Judged::Success);
    }
}

#[test]
#[ignore = "races that need luck: `make attacks` runs them"]
fn enforce_under_runc_tells_and_spares() {
    if !skipped(&NEEDS) {
        enforced(LowLevel::Runc, Judged::Whole);
    }
}

#[test]
#[ignore = "races that need luck: `make attacks` runs them"]
fn enforce_under_crun_tells_and_spares() {
    if !skipped(&[Root, Requirement::Lanner, Program("crun"), Program("gcc")]) {
        enforced(LowLevel::Crun, Judged::Whole);
    }
}

#[test]
#[ignore = "races that need luck: `make attacks` runs them"]
fn the_log_of_an_audit_names_what_was_done() {
    if skipped(&NEEDS) {
        return;
    }
    each("audit", |attack| {
        if !attack.trace.is_audited() {
            return Ok("left out, it opens and executes nothing".to_owned());
        }
        let lanner = Lanner::new(&Settings::audit(&attack.rules()).with("verify: all\n"));
        let score = against_lanner(attack, &lanner, Effort { duration: duration(), enough: AUDITED })?;
        let named = run::count(&lanner, |alert| attack.trace.names(alert));
        // What somebody else traces may have ended before anybody could look at it, which the log says.
        let unseen = run::count(&lanner, |alert| alert.rule == "Lanner internal: exec not verified");
        let summary = format!("{score}, {named} named, {unseen} unseen");
        if named + unseen < attack.trace.due(score.successes) {
            return Err(format!("hides what it does: {summary}"));
        }
        let replaced = run::count(&lanner, |alert| alert.rule == "Lanner internal: exec replaced");
        // Who looks late may find that the program has ended.
        let is_exact = attack.has_decoy && attack.calls == 1 && attack.limit.is_none();
        if is_exact && named > score.attempts - score.decoys + replaced {
            return Err(format!("is blamed for what it does not: {summary}"));
        }
        Ok(summary)
    });
}
