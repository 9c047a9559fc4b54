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

/// Makes a test of `check`, which takes the version, for each kernel that the script unpacks.
#[macro_export]
macro_rules! on_each_kernel {
    ($check:path) => {
        #[test]
        fn linux_5_10() {
            $check("5.10");
        }

        #[test]
        fn linux_6_1() {
            $check("6.1");
        }

        #[test]
        fn linux_6_12() {
            $check("6.12");
        }
    };
}

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
