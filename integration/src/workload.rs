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

const STATIC: &[&str] = &["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-D_GNU_SOURCE"];
const DYNAMIC: &[&str] = &["-O2", "-Wall", "-Wextra", "-Werror", "-nostdlib", "-pie", "-fPIE"];
const BARE: &[&str] = &["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-nostdlib"];
const FOREIGN: &[&str] = &["-O1", "-static", "-w"];

/// The static executable of `workloads/NAME.c`, or of all files in `workloads/NAME`.
#[track_caller]
pub fn workload(name: &str) -> PathBuf {
    built(name, STATIC)
}

/// The executable of `workloads/NAME.c` as one that the dynamic loader can load, without any library.
#[track_caller]
pub fn dynamic_workload(name: &str) -> PathBuf {
    built(name, DYNAMIC)
}

/// The static executable of `workloads/NAME.c` without any library.
#[track_caller]
pub fn bare_workload(name: &str) -> PathBuf {
    built(name, BARE)
}

/// The executable of a C file that is no part of this repository, and need not meet its standards.
#[track_caller]
pub fn foreign_workload(source: &Path) -> PathBuf {
    let name = source.file_stem().and_then(OsStr::to_str).expect("a C file has a name");
    compiled(name, vec![source.to_owned()], FOREIGN)
}

#[track_caller]
fn built(name: &str, flags: &[&str]) -> PathBuf {
    let workloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
    let folder = workloads.join(name);
    let mut files = if folder.is_dir() { listed(&folder) } else { vec![folder.with_extension("c")] };
    files.extend(listed(&workloads).into_iter().filter(|file| has_extension(file, "h")));
    compiled(name, files, flags)
}

#[track_caller]
fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("cannot list a workload's sources");
    entries.map(|entry| entry.expect("cannot list a workload's sources").path()).collect()
}

fn has_extension(file: &Path, wanted: &str) -> bool {
    file.extension().is_some_and(|extension| extension == wanted)
}

/// The executable of C files; headers among them count for its name alone.
#[track_caller]
fn compiled(name: &str, mut files: Vec<PathBuf>, flags: &[&str]) -> PathBuf {
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in &files {
        fs::read(file).expect("cannot read a workload's source").hash(&mut hasher);
    }
    flags.hash(&mut hasher);
    let executable = assets().join(format!("{name}-{:016x}", hasher.finish()));
    if !executable.exists() {
        files.retain(|file| has_extension(file, "c"));
        compile(&files, flags, &executable);
    }
    executable
}

/// Compiles beside the target and renames, so that a test running beside this one never executes half a file.
fn compile(sources: &[PathBuf], flags: &[&str], executable: &Path) {
    let scratch = tempfile::tempdir_in(assets()).expect("cannot make a folder to compile in");
    let object = scratch.path().join("out");
    let status = Command::new("gcc").args(flags).arg("-o").arg(&object).args(sources).status();
    assert!(status.is_ok_and(|status| status.success()), "cannot compile `{}`", executable.display());
    fs::rename(&object, executable).expect("cannot put a workload in place");
}
