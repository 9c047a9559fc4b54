// SPDX-License-Identifier: Apache-2.0
//! Where Falco's own files are.

use std::path::PathBuf;

/// The folder with Falco's rules and cases, or nothing with a printed reason.
pub(crate) fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("LANNER_SHARED").map_or(beside, PathBuf::from).join("falco");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no folder of Falco's files at {}", folder.display());
    None
}
