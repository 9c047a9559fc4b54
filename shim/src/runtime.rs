// SPDX-License-Identifier: Apache-2.0
//! Finds the low-level runtime and becomes it.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, Metadata},
    io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

/// Searched after PATH, which an engine may have emptied.
const FOLDERS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const OVERRIDE: &str = "LANNER_RUNTIME";

/// Why no low-level runtime can be executed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocateError {
    #[error("cannot find a low-level runtime: none of {tried} is an executable file")]
    NotFound { tried: String },
    #[error("`{OVERRIDE}` is `{}`, which is not an executable file other than lanner-runtime", path.display())]
    Override { path: PathBuf },
}

/// The low-level runtime: `LANNER_RUNTIME`, or the first of `candidates` that exists.
pub(crate) fn locate(candidates: &[PathBuf]) -> Result<PathBuf, LocateError> {
    if let Some(name) = env::var_os(OVERRIDE) {
        return find(Path::new(&name)).ok_or_else(|| LocateError::Override { path: name.into() });
    }
    candidates.iter().find_map(|name| find(name)).ok_or_else(|| {
        let tried: Vec<_> = candidates.iter().map(|name| format!("`{}`", name.display())).collect();
        LocateError::NotFound { tried: tried.join(", ") }
    })
}

/// The executable of that name or path.
pub(crate) fn find(name: &Path) -> Option<PathBuf> {
    let own = fs::metadata("/proc/self/exe").ok();
    if name.is_absolute() {
        return is_executable(name, own.as_ref()).then(|| name.to_owned());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(env::split_paths(OsStr::new(FOLDERS)));
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path, own.as_ref()))
}

/// Whether `path` can be executed and is not the shim itself, which would call itself for ever.
fn is_executable(path: &Path, own: Option<&Metadata>) -> bool {
    fs::metadata(path).is_ok_and(|file| {
        let is_own = own.is_some_and(|own| (own.dev(), own.ino()) == (file.dev(), file.ino()));
        file.is_file() && file.permissions().mode() & 0o111 != 0 && !is_own
    })
}

/// Replaces this process; what comes back is why that failed.
pub(crate) fn execute(path: &Path, argv: &[OsString]) -> io::Error {
    Command::new(path).args(argv).exec()
}
