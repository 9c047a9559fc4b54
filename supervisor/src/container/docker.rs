// SPDX-License-Identifier: Apache-2.0
//! Docker's own record of a container: name, image and labels are not in the OCI spec it writes.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use serde::Deserialize;

use super::Mount;

/// Bytes of `config.v2.json` that are read; it is some 5 KB.
const MAX_FILE: u64 = 1 << 20;

/// `<data-root>/containers/<ID>/config.v2.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Record {
    /// With a leading slash.
    name: String,
    /// The image's id, with its algorithm.
    #[serde(default)]
    pub(super) image: Option<String>,
    #[serde(default)]
    pub(super) config: Settings,
}

/// Its `Config`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Settings {
    pub(super) image: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
}

impl Record {
    /// The record of the container `id`: Docker mounts the container's name files from the directory it lies in.
    pub(super) fn find(id: &str, mounts: &[Mount]) -> Option<Self> {
        const NAME_FILES: [&str; 3] = ["/etc/resolv.conf", "/etc/hostname", "/etc/hosts"];
        let sources = mounts.iter().filter(|mount| NAME_FILES.contains(&mount.destination.as_str()));
        let mut directories = sources.filter_map(|mount| Path::new(&mount.source).parent());
        let directory = directories.find(|directory| directory.ends_with(Path::new("containers").join(id)))?;
        let mut content = Vec::new();
        let file = File::open(directory.join("config.v2.json")).ok()?;
        file.take(MAX_FILE).read_to_end(&mut content).ok()?;
        serde_json::from_slice(&content).ok()
    }

    /// The container's name.
    pub(super) fn name(&self) -> &str {
        self.name.strip_prefix('/').unwrap_or(&self.name)
    }
}
