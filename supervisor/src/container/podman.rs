// SPDX-License-Identifier: Apache-2.0
//! What podman's storage keeps of a container: its image is not in the OCI spec that podman writes.

use std::{
    fmt,
    fs::File,
    io::{BufReader, Read as _},
    path::Path,
};

use serde::{
    Deserialize, Deserializer as _,
    de::{SeqAccess, Visitor},
};

use super::image::Image;

/// The lists of containers: those that end with their last process (`--rm`) have one of their own since podman 4.4.
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];
/// Bytes of a list that are looked at; a container takes some 600.
const MAX_LIST: u64 = 32 << 20;

/// An entry of `<graphroot>/<driver>-containers/containers.json` (`container` of containers/storage).
#[derive(Debug, Deserialize)]
struct Entry {
    id: String,
    /// The image's id; empty for a container of a plain directory (`--rootfs`).
    #[serde(default)]
    image: String,
    /// JSON again, of podman's own.
    #[serde(default)]
    metadata: String,
}

/// What podman adds to an entry (`RuntimeContainerMetadata` of its `libpod/storage.go`).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Metadata {
    image_name: String,
}

/// The image of the container `id`, whose bundle is `<graphroot>/<driver>-containers/<id>/userdata`. `None` where podman's
/// storage does not know the container.
pub(super) fn image(id: &str, bundle: &str) -> Option<Image> {
    let own = Path::new(bundle).parent().filter(|directory| directory.ends_with(id))?;
    let entry = LISTS.iter().find_map(|list| listed(id, &own.with_file_name(list)))?;
    let metadata: Metadata = serde_json::from_str(&entry.metadata).unwrap_or_default();
    Some(Image { id: entry.image, ..Image::parse(&metadata.image_name) })
}

fn listed(id: &str, path: &Path) -> Option<Entry> {
    let list = BufReader::new(File::open(path).ok()?.take(MAX_LIST));
    let found = serde_json::Deserializer::from_reader(list).deserialize_seq(Sought(id));
    found.unwrap_or_else(|error| {
        tracing::warn!(%error, path = %path.display(), "podman's list of containers cannot be read: the image is not known");
        None
    })
}

/// Finds one entry of a list, of which no other is kept.
struct Sought<'a>(&'a str);

impl<'de> Visitor<'de> for Sought<'_> {
    type Value = Option<Entry>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of containers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Option<Entry>, A::Error> {
        let mut found = None;
        while let Some(entry) = entries.next_element::<Entry>()? {
            if entry.id == self.0 {
                found = Some(entry);
            }
        }
        Ok(found)
    }
}
