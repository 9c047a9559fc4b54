// SPDX-License-Identifier: Apache-2.0
//! Whether a container has control groups to write to, by the mounts of its OCI spec.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use super::{
    identity::{LoadIdentityError, read},
    spec::{Mount, Spec},
};
use crate::process::cgroup2_mounts;

/// Whether the container of a run directory can write to control groups with no mount of its own. To be called by a thread
/// that sees the host's files.
pub(crate) fn may_write_to_groups(directory: &Path) -> Result<bool, LoadIdentityError> {
    let spec: Spec = read(&directory.join("spec.json"))?;
    let groups: Vec<_> = cgroup2_mounts().into_iter().map(|point| PathBuf::from(OsString::from_vec(point))).collect();
    Ok(spec.mounts.iter().flatten().any(|mount| brings(mount, &groups)))
}

/// Whether it brings some of the control groups that are mounted at `groups` along, or others.
#[expect(clippy::disallowed_methods, reason = "the engine names a path of the host")]
fn brings(mount: &Mount, groups: &[PathBuf]) -> bool {
    if mount.is_of_control_groups() {
        return mount.is_writable();
    }
    if !mount.is_bind() {
        return false;
    }
    let source = fs::canonicalize(&mount.source).unwrap_or_else(|_gone| PathBuf::from(&mount.source));
    let is_within = groups.iter().any(|point| source.starts_with(point));
    // What is mounted below it stays as it is on the host.
    let has_below = mount.is_recursive() && groups.iter().any(|point| *point != source && point.starts_with(&source));
    is_within && mount.is_writable() || has_below && !mount.is_readonly_throughout()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_come_by_a_mount_of_their_own_or_with_the_hosts_files() {
        let groups = [PathBuf::from("/sys/fs/cgroup"), PathBuf::from("/mnt/groups")];
        for (kind, source, options, expected) in [
            ("cgroup", "cgroup", "nosuid,relatime,ro", false),
            ("cgroup", "cgroup", "nosuid,relatime", true),
            ("cgroup2", "cgroup", "rw", true),
            ("sysfs", "sysfs", "nosuid", false),
            ("bind", "/sys/fs/cgroup/a", "bind", true),
            ("bind", "/sys/fs/cgroup/a", "bind,ro", false),
            ("bind", "/sys", "bind", false),
            ("bind", "/sys", "rbind", true),
            ("none", "/sys", "rbind,ro", true),
            ("bind", "/sys", "rbind,rro", false),
            ("bind", "/mnt", "rbind,rprivate", true),
            ("bind", "/mn", "rbind", false),
            ("bind", "/home", "rbind", false),
        ] {
            let options: Vec<_> = options.split(',').collect();
            let mount = serde_json::json!({"destination": "/x", "type": kind, "source": source, "options": options});
            assert_eq!(brings(&serde_json::from_value(mount).unwrap(), &groups), expected, "{source} {options:?}");
        }
    }
}
