// SPDX-License-Identifier: Apache-2.0
//! What loading rules costs, and what ordinary calls cost that no rule matches; wall time, best of many runs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::use_debug,
    reason = "a bench prints its result and may die"
)]

#[path = "../tests/workload/mod.rs"]
mod workload;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use rules::Ruleset;
use workload::{Call, load, matches, own_files, stock_files, user_rules};

/// The shortest of some runs: noise only ever adds.
fn best(runs: usize, mut work: impl FnMut()) -> Duration {
    let times = (0..runs).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap()
}

/// Evaluations that are timed together.
const EVENTS: u32 = 2_000;

/// Prints what calls cost, and those that match although they should not.
fn evaluate_all(title: &str, ruleset: &Ruleset) {
    for (kind, calls) in [("open", Call::opens()), ("exec", Call::execs())] {
        let mut worst = Duration::ZERO;
        let mut sum = Duration::ZERO;
        for call in &calls {
            let found = matches(ruleset, call);
            if !found.is_empty() {
                println!("  {call}: {found:?}");
            }
            let time = best(20, || {
                for _ in 0..EVENTS {
                    ruleset.evaluate(black_box(call), &mut |rule| {
                        black_box(rule);
                    });
                }
            }) / EVENTS;
            worst = worst.max(time);
            sum += time;
        }
        println!("{title}: {kind}: mean {:?}, worst {worst:?}", sum / u32::try_from(calls.len()).unwrap());
    }
}

fn main() {
    let many = vec![("user.yaml".to_owned(), user_rules(10_000).into_bytes())];
    if let Some(falco) = stock_files() {
        println!("load Falco's files: {:?}", best(5, || drop(black_box(load(&falco)))));
        let stock = [falco, own_files()].concat();
        evaluate_all("stock and own rules", &load(&stock));
        evaluate_all("stock, own and 10,000 rules", &load(&[stock, many.clone()].concat()));
    }
    println!("load 10,000 rules: {:?}", best(1, || drop(black_box(load(&many)))));
    evaluate_all("10,000 rules", &load(&many));
}
