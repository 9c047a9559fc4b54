// SPDX-License-Identifier: Apache-2.0
//! Image references: `registry:port/name:tag@digest`.

/// An image reference and its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// As the engine wrote it.
    pub(crate) reference: String,
    /// Without tag and digest.
    pub(crate) repository: String,
    /// Empty where the reference has none.
    pub(crate) tag: String,
    /// `sha256:..`; empty where the reference has none.
    pub(crate) digest: String,
    /// The engine's id of it, without the algorithm; empty where the engine keeps it to itself.
    pub(crate) id: String,
}

impl Image {
    /// Splits a reference: the tag begins at the last colon behind the last slash, so that a registry's port is none.
    pub(crate) fn parse(reference: &str) -> Self {
        let (named, digest) = reference.split_once('@').unwrap_or((reference, ""));
        let (path, last) = named.rsplit_once('/').map_or(("", named), |(path, last)| (path, last));
        let (name, tag) = last.split_once(':').unwrap_or((last, ""));
        let repository = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let (reference, tag, digest) = (reference.to_owned(), tag.to_owned(), digest.to_owned());
        Self { reference, repository, tag, digest, id: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reference: &str, repository: &str, tag: &str, digest: &str) {
        let image = Image::parse(reference);
        assert_eq!((&*image.repository, &*image.tag, &*image.digest), (repository, tag, digest));
    }

    #[test]
    fn references_split_at_tag_and_digest() {
        check("docker.io/library/busybox:latest", "docker.io/library/busybox", "latest", "");
        check("busybox", "busybox", "", "");
        check("localhost:5000/a/b", "localhost:5000/a/b", "", "");
        check("localhost:5000/a/b:1.2", "localhost:5000/a/b", "1.2", "");
        check("quay.io/a@sha256:abc", "quay.io/a", "", "sha256:abc");
        check("quay.io/a:v1@sha256:abc", "quay.io/a", "v1", "sha256:abc");
    }
}
