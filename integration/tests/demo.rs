// SPDX-License-Identifier: Apache-2.0
//! What a newcomer tries first: the script behind `make demo`.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use std::{
    env, iter,
    path::{Path, PathBuf},
    process::Command,
};

use integration::{
    Requirement::{self, Program, Root},
    binary, skipped, text,
};

#[test]
fn the_demo_shows_what_it_promises() {
    if skipped(&[Root, Requirement::Lanner, Program("runc"), Program("busybox")]) {
        return;
    }
    let built = binary("lanner").unwrap().parent().unwrap().to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = iter::once(built).chain(env::split_paths(&path)).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/demo");
    let output = Command::new(script).env("PATH", env::join_paths(folders).unwrap()).output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(said.contains("nothing is left behind"), "{said}");
}
