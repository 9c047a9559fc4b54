// SPDX-License-Identifier: Apache-2.0
//! Debian's kernels, as `scripts/install-kernels` unpacks them.

use std::{
    env,
    path::{Path, PathBuf},
};

const FOLDER: &str = "/var/cache/lanner-kernels"; // as in the script; `LANNER_KERNELS` names another one to both

/// A kernel that a [`Machine`](crate::Machine) can boot, by its version, such as `6.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(pub &'static str);

impl Kernel {
    /// The file to boot.
    pub(crate) fn image(self) -> PathBuf {
        self.folder().join("vmlinuz")
    }

    /// The one module that containers need, where it was unpacked.
    pub(crate) fn overlay(self) -> Option<PathBuf> {
        Some(self.folder().join("overlay.ko")).filter(|file| Path::exists(file))
    }

    fn folder(self) -> PathBuf {
        env::var_os("LANNER_KERNELS").map_or_else(|| FOLDER.into(), PathBuf::from).join(self.0)
    }
}
