// SPDX-License-Identifier: Apache-2.0
//! The workloads: small C programs, compiled once into static executables that run in any root filesystem.
//!
//! They are C because they make calls no Rust library offers (i386 and x32 entries, threads that exec) and must run in a
//! rootfs that holds nothing but busybox.

use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::bundle::assets;

const FLAGS: [&str; 7] = ["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-D_GNU_SOURCE"];
const FOREIGN_FLAGS: [&str; 3] = ["-O1", "-static", "-w"];

/// The executable of `workloads/NAME.c`.
#[track_caller]
pub fn workload(name: &str) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
    compiled(&sources.join(name).with_extension("c"), &[&sources.join("workload.h")], &FLAGS)
}

/// The executable of a C file that is no part of this repository, and need not meet its standards.
#[track_caller]
pub fn foreign_workload(source: &Path) -> PathBuf {
    compiled(source, &[], &FOREIGN_FLAGS)
}

fn compiled(source: &Path, headers: &[&Path], flags: &[&str]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    for file in headers.iter().chain([&source]) {
        fs::read(file).expect("cannot read a workload's source").hash(&mut hasher);
    }
    flags.hash(&mut hasher);
    let name = source.file_stem().and_then(OsStr::to_str).expect("a C file has a name");
    let executable = assets().join(format!("{name}-{:016x}", hasher.finish()));
    if !executable.exists() {
        compile(source, flags, &executable);
    }
    executable
}

/// Compiles beside the target and renames, so that a test running beside this one never executes half a file.
fn compile(source: &Path, flags: &[&str], executable: &Path) {
    let scratch = tempfile::tempdir_in(assets()).expect("cannot make a folder to compile in");
    let object = scratch.path().join("out");
    let status = Command::new("gcc").args(flags).arg("-o").arg(&object).arg(source).status();
    assert!(status.is_ok_and(|status| status.success()), "cannot compile `{}`", source.display());
    fs::rename(&object, executable).expect("cannot put a workload in place");
}
