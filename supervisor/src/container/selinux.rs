// SPDX-License-Identifier: Apache-2.0
//! The SELinux label that confines a container beside its namespaces and capabilities.
//!
//! A call that is performed for a task is asked about by the label of whoever performs it. To take on a container's label,
//! the host's policy must let us, which that of no distribution does. So the two do not go together.

use std::path::Path;

use super::{
    identity::{LoadIdentityError, read},
    spec::{Process, Spec},
};

/// The label of the container of a run directory (`process.selinuxLabel` of its OCI spec), if this machine enforces such
/// labels.
pub(crate) fn enforced_label(directory: &Path) -> Result<Option<String>, LoadIdentityError> {
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        return Ok(None);
    }
    let spec: Spec = read(&directory.join("spec.json"))?;
    Ok(spec.process.and_then(label_of))
}

fn label_of(process: Process) -> Option<String> {
    process.selinux_label.filter(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_label_is_none() {
        let label = |process: &str| label_of(serde_json::from_str(process).unwrap());
        assert_eq!(
            label(r#"{"selinuxLabel": "a:b:container_t:s0:c1,c2"}"#).as_deref(),
            Some("a:b:container_t:s0:c1,c2")
        );
        assert_eq!(label(r#"{"selinuxLabel": ""}"#), None);
        assert_eq!(label("{}"), None);
    }
}
