// SPDX-License-Identifier: Apache-2.0
//! The workloads: small C programs, compiled once into static executables that run in any root filesystem.
//!
//! They are C because they make calls no Rust library offers (i386 and x32 entries, threads that exec) and must run in a
//! rootfs that holds nothing but busybox.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::bundle::assets;

const FLAGS: [&str; 7] = ["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-D_GNU_SOURCE"];

/// The executable of `workloads/NAME.c`.
#[track_caller]
pub fn workload(name: &str) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
    let source = sources.join(name).with_extension("c");
    let mut hasher = DefaultHasher::new();
    for file in [&source, &sources.join("workload.h")] {
        fs::read(file).expect("cannot read a workload's source").hash(&mut hasher);
    }
    FLAGS.hash(&mut hasher);
    let executable = assets().join(format!("{name}-{:016x}", hasher.finish()));
    if !executable.exists() {
        compile(&source, &executable);
    }
    executable
}

/// Compiles beside the target and renames, so that a test running beside this one never executes half a file.
fn compile(source: &Path, executable: &Path) {
    let scratch = tempfile::tempdir_in(assets()).expect("cannot make a folder to compile in");
    let object = scratch.path().join("out");
    let status = Command::new("gcc").args(FLAGS).arg("-o").arg(&object).arg(source).status();
    assert!(status.is_ok_and(|status| status.success()), "cannot compile `{}`", source.display());
    fs::rename(&object, executable).expect("cannot put a workload in place");
}
