// SPDX-License-Identifier: Apache-2.0
//! While a container makes many calls that Lanner performs, idle CPUs are kept from sleeping deeply, and not for longer.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use integration::{
    Bundle, Container, Lanner,
    Requirement::{self, HaltingCpus, Program, Root},
    Settings, UNRELATED, skipped, wait_for, workload,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// A request ends 5 ms after the last call, on a machine that has time for it.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// How long a container is looked at that is to ask for nothing.
const QUIET: Duration = Duration::from_secs(1);
const REQUESTS: &str = "/dev/cpu_dma_latency";
const MANY_OPENS: &str = "timed open 20000 >/dev/null; sleep 60";
const FEW_OPENS: &str = "while :; do read line </etc/hostname; sleep 0.01; done";

/// Whether a thread of the container's supervisor asks for anything: each may have descriptors of its own.
fn asks(lanner: &Lanner) -> bool {
    let entries = |path: String| fs::read_dir(path).into_iter().flatten().flatten();
    let tasks = lanner.supervisors().into_iter().flat_map(|pid| entries(format!("/proc/{pid}/task")));
    let mut descriptors = tasks.flat_map(|task| entries(task.path().join("fd").display().to_string()));
    descriptors.any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|file| file == Path::new(REQUESTS)))
}

/// Runs `script` under `lanner` while `look` looks.
fn during(extra: &str, script: &str, look: impl FnOnce(&Lanner)) {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("gcc"), HaltingCpus]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(UNRELATED).with(extra));
    let bundle = Bundle::new(&["sh", "-c", script]).file(&workload("timed"), "/bin/timed");
    let container = Container::start(&lanner.engine(), bundle);
    look(&lanner);
    container.end();
    lanner.expect_nothing_left();
}

fn expect_quiet(lanner: &Lanner) {
    let begun = Instant::now();
    while begun.elapsed() < QUIET {
        assert!(!asks(lanner), "after {:?}", begun.elapsed());
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn many_opens_keep_them_awake_for_as_long_as_they_last() {
    during("", MANY_OPENS, |lanner| {
        wait_for("a request", PATIENCE, || asks(lanner).then_some(()));
        wait_for("the end of the opens", PATIENCE, || (!asks(lanner)).then_some(()));
        thread::sleep(AFTERWARDS);
        expect_quiet(lanner);
    });
}

#[test]
fn few_opens_let_them_sleep() {
    during("", FEW_OPENS, expect_quiet);
}

#[test]
fn they_are_left_alone_where_the_configuration_says_so() {
    during("limit_cpu_latency: false\n", MANY_OPENS, expect_quiet);
}
