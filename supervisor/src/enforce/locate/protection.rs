// SPDX-License-Identifier: Apache-2.0
//! The host's settings that protect files in shared directories.

use crate::sys::FileFacts;

/// The host's protections of shared directories (proc(5), `/proc/sys/fs`).
#[derive(Debug, Clone, Copy)]
pub(super) enum Protection {
    Regular,
    Fifos,
    Symlinks,
}

impl Protection {
    /// The one that is about files of this type, if they are not links.
    pub(super) fn of(facts: &FileFacts) -> Option<Self> {
        match facts.mode & libc::S_IFMT {
            libc::S_IFREG => Some(Self::Regular),
            libc::S_IFIFO => Some(Self::Fifos),
            _ => None,
        }
    }

    /// The setting when it was first asked for; an unreadable one counts as the strictest.
    pub(super) fn level(self) -> u32 {
        static LEVELS: std::sync::OnceLock<[u32; 3]> = std::sync::OnceLock::new();
        let read = || {
            ["protected_regular", "protected_fifos", "protected_symlinks"].map(|name| {
                let text = crate::process::read_system_setting(&format!("fs/{name}"));
                text.and_then(|text| text.trim().parse().ok()).unwrap_or(2)
            })
        };
        let [regular, fifos, symlinks] = *LEVELS.get_or_init(read);
        match self {
            Self::Regular => regular,
            Self::Fifos => fifos,
            Self::Symlinks => symlinks,
        }
    }
}
