// SPDX-License-Identifier: Apache-2.0
//! Every rule of Falco's three stock files, provoked inside real containers, or listed with the reason why it cannot be.
//!
//! The provocations are data: `integration/stock/containers/*.yaml`, one file per container.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    reason = "an integration test is a test module"
)]

mod book;
mod compare;
mod run;

use std::{fs, thread};

use integration::{
    Requirement::{self, Program, Root},
    falco_files, skipped,
};

use book::Book;
use run::Run;

const FILES: [&str; 3] = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];
const ENOUGH: usize = 80; // rules that must be provoked

#[test]
fn every_stock_rule_fires_or_is_listed_with_a_reason() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc")]) {
        return;
    }
    let Some(files) = falco_files() else { return };
    forget_login_user();
    let rules = FILES.map(|file| files.join("rules").join(file));
    let book = Book::read();
    book.expect_complete(&rules);
    let runs: Vec<Run<'_>> = book.scenarios.iter().map(|scenario| Run::new(scenario, &rules)).collect();
    let complaints: Vec<String> = thread::scope(|scope| {
        let book = &book;
        let threads: Vec<_> = runs.into_iter().map(|run| scope.spawn(|| run.complaints(book))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    println!("{} rules provoked, {} not", book.priorities.len(), book.unprovoked.len());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    assert!(book.priorities.len() >= ENOUGH, "only {} rules are provoked", book.priorities.len());
}

/// Two rules are silent about whoever logged in as root, as whoever runs this test may have done; containers inherit that.
fn forget_login_user() {
    let (file, unset) = ("/proc/self/loginuid", u32::MAX.to_string());
    if fs::read_to_string(file).is_ok_and(|user| user != unset) {
        fs::write(file, unset).unwrap();
    }
}
