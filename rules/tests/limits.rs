// SPDX-License-Identifier: Apache-2.0
//! What an ordinary call may cost: no memory, and a number of instructions that valgrind counts the same everywhere.
#![expect(unsafe_code, reason = "an allocator that counts cannot be written without")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::tests_outside_test_module,
    clippy::print_stdout,
    reason = "test code"
)]

mod workload;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    process::Command,
};

use rules::Ruleset;
use workload::{Call, load, matches, own_files, stock_files, user_rules};

thread_local! {
    /// Calls that allocate, and bytes in use, of this thread.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every request is handed on unchanged; the counters live in static memory of the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size().cast_signed());
        // SAFETY: the pointer came from `System` with this layout, because `alloc` hands every request to it.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The rulesets by the name that the measured process is given: all of Falco's rules and ours, alone or with many more.
fn ruleset(name: &str) -> Option<Ruleset> {
    let mut files = stock_files()?;
    files.extend(own_files());
    if name == "many" {
        files.push(("user.yaml".to_owned(), user_rules(10_000).into_bytes()));
    }
    Some(load(&files))
}

#[test]
fn calls_that_match_nothing_are_evaluated_without_memory() {
    for name in ["stock", "many"] {
        let Some(ruleset) = ruleset(name) else { return };
        for call in Call::opens().iter().chain(&Call::execs()) {
            // Regular expressions get their working memory on their first use.
            assert_eq!(matches(&ruleset, call), [""; 0], "{call}, {name}");
            let before = ALLOCATIONS.get();
            ruleset.evaluate(black_box(call), &mut |_| {});
            assert_eq!(ALLOCATIONS.get() - before, 0, "{call}, {name}");
        }
    }
}

#[test]
fn the_compiled_stock_rules_take_less_than_a_mebibyte() {
    let Some(files) = stock_files() else { return };
    // Tables that are made once per process do not count.
    drop(load(&files));
    let before = BYTES.get();
    let ruleset = load(&files);
    let bytes = BYTES.get() - before;
    println!("{bytes} bytes for {} rules", ruleset.rules().len());
    assert!(bytes < 1 << 20, "{bytes} bytes");
}

/// Set in the process that valgrind runs: the name of the ruleset.
const MEASURED: &str = "LANNER_MEASURED";
const EVENTS: u64 = 100;

// What valgrind counts: the names of the two functions are given to `--toggle-collect` and `--dump-after`.
#[inline(never)]
fn evaluate_measured_opens(ruleset: &Ruleset, calls: &[Call]) {
    evaluate_calls(ruleset, calls);
}

#[inline(never)]
fn evaluate_measured_execs(ruleset: &Ruleset, calls: &[Call]) {
    evaluate_calls(ruleset, calls);
    // Not the same code as for opens, which the compiler would make one function of.
    black_box(calls);
}

fn evaluate_calls(ruleset: &Ruleset, calls: &[Call]) {
    for _ in 0..EVENTS {
        for call in calls {
            ruleset.evaluate(black_box(call), &mut |rule| {
                black_box(rule);
            });
        }
    }
}

#[test]
fn measured_by_valgrind() {
    let Ok(rules) = std::env::var(MEASURED) else { return };
    let Some(ruleset) = ruleset(&rules) else { return };
    evaluate_measured_opens(&ruleset, &Call::opens());
    evaluate_measured_execs(&ruleset, &Call::execs());
}

/// Instructions of an open and of an exec, or nothing with a printed reason.
fn instructions(rules: &str) -> Option<[u64; 2]> {
    let folder = std::env::temp_dir().join(format!("lanner-callgrind-{}-{rules}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*evaluate_measured*", "--dump-after=*measured_opens*"])
        .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "measured_by_valgrind"])
        .env(MEASURED, rules)
        .output();
    let Ok(run) = run else {
        println!("skipped: no valgrind");
        return None;
    };
    assert!(run.status.success(), "{}", String::from_utf8(run.stderr).unwrap());
    let counted = |dump: &str, calls: usize| {
        let dump = std::fs::read_to_string(folder.join(dump)).unwrap();
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap().parse::<u64>().unwrap();
        total / (EVENTS * u64::try_from(calls).unwrap())
    };
    let [open, exec] = [counted("out.1", Call::opens().len()), counted("out", Call::execs().len())];
    std::fs::remove_dir_all(&folder).unwrap();
    println!("{rules}: {open} instructions for an open, {exec} for an exec");
    Some([open, exec])
}

/// The limits are a fifth above what was counted when the README's figures were taken, so that a step back shows. With
/// ten thousand rules more, a call may take three times as many.
#[test]
fn instructions_of_calls_stay_within_their_limits() {
    if stock_files().is_none() {
        return;
    }
    let Some(stock) = instructions("stock") else { return };
    assert!(stock[0] <= 7_500 && stock[1] <= 14_500, "{stock:?}");
    let Some(many) = instructions("many") else { return };
    assert!(many[0] <= 3 * stock[0] && many[1] <= 3 * stock[1], "{many:?} after {stock:?}");
}
