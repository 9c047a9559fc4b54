// SPDX-License-Identifier: Apache-2.0
//! Opens and execs under enforcement against the kernel's own: the checks of `workloads/semantics` have the same outcomes
//! in the same container with and without Lanner, where a deny rule on an unrelated path sends every call through
//! enforcement.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::panic,
    reason = "an integration test is a test module"
)]

mod differences;
mod stage;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use integration::{
    Bundle, Container, Engine, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, UNRELATED, skipped, text,
};

use self::{
    differences::{Outcomes, expect_equal, outcomes},
    stage::{Stage, TRACED, User},
};

const FEWEST: usize = 200; // checks that a whole run makes

/// Runs the checks and returns their outcomes. Before them the container reads and executes what the rules deny: it must
/// succeed without Lanner and fail with it, or the comparison would compare nothing.
#[track_caller]
fn run(engine: &Engine, bundle: &Bundle, enforced: bool) -> Outcomes {
    let output = Container::run(engine, bundle);
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}: {said}{errors}", output.status);
    let (before, checks) = said.split_once("BEGIN\n").unwrap();
    assert_eq!(before, if enforced { "" } else { "read\nexecuted\nmade\n" }, "{errors}");
    outcomes(checks)
}

/// The outcomes without Lanner and with it. Both containers run at once: most of their time they wait.
#[track_caller]
fn run_both(runtime: LowLevel, stage: Stage) -> (Outcomes, Outcomes) {
    let scratch = tempfile::tempdir().unwrap();
    let lanner = Lanner::new(&Settings::enforce(UNRELATED).under(runtime));
    // Made before: whatever is started would for a moment hold programs open that are still being written.
    let (plain, guarded) = (stage.bundle(), stage.bundle());
    let (native, enforced) = thread::scope(|scope| {
        let native = scope.spawn(|| run(&Engine::direct(runtime, scratch.path()), &plain, false));
        let enforced = run(&lanner.engine(), &guarded, true);
        (native.join().unwrap(), enforced)
    });
    let alerts = ["unrelated open", "unrelated exec", "unrelated name"].map(|rule| lanner.alerts_of(rule).len());
    assert_eq!(alerts, [1, 1, 1]);
    lanner.expect_nothing_left();
    (native, enforced)
}

fn cannot_run(runtime: LowLevel) -> bool {
    skipped(&[Root, Requirement::Lanner, Program("gcc"), Program(runtime.name())])
}

/// Fails unless every check has the outcome it has without Lanner.
#[track_caller]
fn check_all(runtime: LowLevel, stage: Stage) {
    if cannot_run(runtime) {
        return;
    }
    let (mut native, mut enforced) = run_both(runtime, stage);
    let (traced_native, traced_enforced) = run_both(runtime, Stage { families: TRACED, ..stage });
    native.extend(traced_native);
    enforced.extend(traced_enforced);
    assert!(native.len() >= FEWEST, "only {} checks were made", native.len());
    expect_equal(&words(runtime, stage), &native, &enforced);
}

fn words(runtime: LowLevel, stage: Stage) -> Vec<&'static str> {
    stage.words().into_iter().chain([runtime.name()]).collect()
}

/// One test for each runtime, user, and user namespace or none.
macro_rules! whole_runs {
    ($($name:ident: $runtime:ident, $user:ident, $own_users:literal;)*) => {$(
        #[test]
        fn $name() {
            let stage = Stage { user: User::$user, own_users: $own_users, ..Stage::default() };
            check_all(LowLevel::$runtime, stage);
        }
    )*};
}

whole_runs! {
    runc_as_root: Runc, Root, false;
    runc_as_root_with_few_capabilities: Runc, FewCapabilities, false;
    runc_as_user: Runc, Plain, false;
    runc_as_root_of_user_namespace: Runc, Root, true;
    runc_as_root_of_user_namespace_with_few_capabilities: Runc, FewCapabilities, true;
    runc_as_user_of_user_namespace: Runc, Plain, true;
    crun_as_root: Crun, Root, false;
    crun_as_root_with_few_capabilities: Crun, FewCapabilities, false;
    crun_as_user: Crun, Plain, false;
    crun_as_root_of_user_namespace: Crun, Root, true;
    crun_as_root_of_user_namespace_with_few_capabilities: Crun, FewCapabilities, true;
    crun_as_user_of_user_namespace: Crun, Plain, true;
}

#[test]
fn runc_as_root_on_an_overlay() {
    check_all(LowLevel::Runc, Stage { on_overlay: true, ..Stage::default() });
}

#[test]
fn crun_as_user_on_an_overlay() {
    check_all(LowLevel::Crun, Stage { user: User::Plain, on_overlay: true, ..Stage::default() });
}

/// With the settings that most distributions choose, whatever this machine's are.
#[test]
fn in_folders_that_everybody_may_write_to() {
    if cannot_run(LowLevel::Runc) {
        return;
    }
    let strict = Protection::strict();
    for user in [User::Root, User::FewCapabilities, User::Plain] {
        let stage = Stage { user, families: &["sticky"], ..Stage::default() };
        let (native, enforced) = run_both(LowLevel::Runc, stage);
        assert_eq!(native.len(), 11);
        expect_equal(&words(LowLevel::Runc, stage), &native, &enforced);
    }
    drop(strict);
}

/// The kernel's protection of such folders, put back as it was when the value goes.
struct Protection(Vec<(PathBuf, String)>);

impl Protection {
    fn strict() -> Self {
        let names = ["protected_symlinks", "protected_hardlinks", "protected_fifos", "protected_regular"];
        let files = names.map(|name| Path::new("/proc/sys/fs").join(name));
        let before = files.map(|file| (file.clone(), fs::read_to_string(file).unwrap()));
        for (file, _) in &before {
            fs::write(file, "1").unwrap();
        }
        Self(before.into())
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        for (file, text) in &self.0 {
            fs::write(file, text).unwrap();
        }
    }
}
