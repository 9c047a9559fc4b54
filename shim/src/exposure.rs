// SPDX-License-Identifier: Apache-2.0
//! Whether a container is given what it could write to control groups with, by its OCI spec: it could let go what the
//! supervisor holds by one.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Whether it is. The host's files are looked at as the low-level runtime is about to.
pub(crate) fn is_exposed(spec: &Value, bundle: &Path) -> bool {
    let groups = fs::read_to_string("/proc/self/mountinfo").ok().and_then(|table| cgroup2_mounts(&table));
    may_mount(spec) || sees_host(spec) || groups.is_none_or(|groups| has_groups(spec, bundle, &groups))
}

/// Some calls that mount are too young for libseccomp to have them notified (`open_tree_attr`, Linux 6.15), and mount
/// namespaces can be changed.
fn may_mount(spec: &Value) -> bool {
    let sets = ["bounding", "permitted", "effective"];
    let capabilities = spec.pointer("/process/capabilities");
    let granted = sets.iter().filter_map(|set| capabilities?.get(set)?.as_array()).flatten();
    granted.filter_map(Value::as_str).any(|capability| capability == "CAP_SYS_ADMIN")
}

/// The root directories of the host's processes lead to its control groups (`/proc/PID/root`).
fn sees_host(spec: &Value) -> bool {
    let namespaces = spec.pointer("/linux/namespaces").and_then(Value::as_array);
    let own =
        namespaces.into_iter().flatten().find(|namespace| namespace.get("type").is_some_and(|kind| kind == "pid"));
    match own.map(|namespace| namespace.get("path").and_then(Value::as_str).unwrap_or_default()) {
        None => true,
        Some("") => false,
        Some(path) => is_own_namespace(path),
    }
}

/// Whether the namespace at this path is ours, which is the host's.
fn is_own_namespace(path: &str) -> bool {
    let identity = |path: &str| fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
    let theirs = identity(path);
    theirs.is_some() && theirs == identity("/proc/self/ns/pid")
}

/// Whether any of the control groups at `groups` comes along, or others are mounted.
fn has_groups(spec: &Value, bundle: &Path, groups: &[PathBuf]) -> bool {
    let root = spec.pointer("/root/path").and_then(Value::as_str).unwrap_or_default();
    let mounts = spec.get("mounts").and_then(Value::as_array).into_iter().flatten();
    brings(&bundle.join(root), (true, true), groups) || mounts.into_iter().any(|mount| gives(mount, bundle, groups))
}

fn gives(mount: &Value, bundle: &Path, groups: &[PathBuf]) -> bool {
    let member = |name| mount.get(name).and_then(Value::as_str).unwrap_or_default();
    let options: Vec<_> = mount.get("options").and_then(Value::as_array).into_iter().flatten().collect();
    let has = |option: &str| options.iter().any(|other| *other == option);
    // The last one counts.
    let access = options.iter().rfind(|option| ["ro", "rw"].map(Value::from).contains(**option));
    let is_writable = access.is_none_or(|option| **option == "rw");
    match member("type") {
        "cgroup" | "cgroup2" => is_writable,
        kind if kind == "bind" || has("bind") || has("rbind") => {
            // What is mounted below stays as it is on the host.
            let is_recursive = has("rbind") && !has("rro");
            brings(&bundle.join(member("source")), (is_writable, is_recursive), groups)
        }
        _ => false,
    }
}

#[expect(clippy::disallowed_methods, reason = "the engine names a path of the host")]
fn brings(source: &Path, (is_writable, is_recursive): (bool, bool), groups: &[PathBuf]) -> bool {
    let source = match fs::canonicalize(source) {
        Ok(source) => source,
        // The low-level runtime says so.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
        Err(_unseen) => return true,
    };
    let is_within = is_writable && groups.iter().any(|point| source.starts_with(point));
    is_within || is_recursive && groups.iter().any(|point| point.starts_with(&source))
}

/// Where cgroup v2 is mounted, by the text of a mount table (`proc_pid_mountinfo(5)`). `None` where one of the names is odd, with
/// a blank for instance, so that the table has it in other words.
fn cgroup2_mounts(table: &str) -> Option<Vec<PathBuf>> {
    let is_of_groups = |line: &&str| line.split_once(" - ").is_some_and(|(_, kind)| kind.starts_with("cgroup2 "));
    let points = table.lines().filter(is_of_groups).map(|line| line.split(' ').nth(4));
    points.map(|point| point.filter(|point| !point.contains('\\')).map(PathBuf::from)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn control_groups_come_by_a_mount_of_their_own_or_with_the_hosts_files() {
        let host = tempfile::tempdir().unwrap();
        for folder in ["sys/groups/a", "home", "mnt"] {
            fs::create_dir_all(host.path().join(folder)).unwrap();
        }
        std::os::unix::fs::symlink("sys/groups", host.path().join("link")).unwrap();
        let groups = [host.path().join("sys/groups")];
        for (kind, source, options, expected) in [
            ("cgroup", "cgroup", "nosuid,relatime,ro", false),
            ("cgroup", "cgroup", "nosuid,relatime", true),
            ("cgroup", "cgroup", "ro,rw", true),
            ("cgroup2", "cgroup", "rw", true),
            ("sysfs", "sysfs", "nosuid", false),
            ("bind", "sys/groups/a", "bind", true),
            ("bind", "sys/groups/a", "bind,ro", false),
            ("bind", "link", "bind", true),
            ("bind", "sys", "bind", false),
            ("bind", "sys", "rbind", true),
            ("none", "sys", "rbind,ro", true),
            ("bind", "sys", "rbind,rro", false),
            ("bind", "home", "rbind", false),
            ("bind", "missing", "rbind", false),
        ] {
            let options: Vec<_> = options.split(',').collect();
            let mount = json!({"destination": "/x", "type": kind, "source": source, "options": options});
            let spec = json!({"root": {"path": "mnt"}, "mounts": [mount]});
            assert_eq!(has_groups(&spec, host.path(), &groups), expected, "{source} {options:?}");
        }
        assert!(has_groups(&json!({"root": {"path": host.path()}}), Path::new("/"), &groups));
    }

    #[test]
    fn who_may_mount_or_sees_the_host_is_exposed() {
        for (capabilities, namespaces, expected) in [
            (json!({"bounding": ["CAP_KILL"]}), json!([{"type": "pid"}]), false),
            (json!({"bounding": ["CAP_KILL", "CAP_SYS_ADMIN"]}), json!([{"type": "pid"}]), true),
            (json!(null), json!([{"type": "pid", "path": ""}, {"type": "mount"}]), false),
            (json!(null), json!([{"type": "mount"}]), true),
            (json!(null), json!(null), true),
            (json!(null), json!([{"type": "pid", "path": "/proc/self/ns/pid"}]), true),
            (json!(null), json!([{"type": "pid", "path": "/proc/self/ns/net"}]), false),
        ] {
            let spec = json!({"process": {"capabilities": capabilities}, "linux": {"namespaces": namespaces}});
            assert_eq!(may_mount(&spec) || sees_host(&spec), expected, "{spec}");
        }
    }

    #[test]
    fn cgroup_v2_is_found_in_a_mount_table() {
        let table = "24 31 0:22 / /proc rw shared:13 - proc proc rw\n\
            35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
            36 25 0:30 /kubepods /srv/groups rw - cgroup2 cgroup2 rw\n\
            37 25 0:31 / /sys/fs/cgroup2 rw - cgroup none rw,cpu\n";
        assert_eq!(cgroup2_mounts(table).unwrap(), ["/sys/fs/cgroup", "/srv/groups"].map(PathBuf::from));
        assert_eq!(cgroup2_mounts(&table.replace("/srv/groups", "/srv/my\\040groups")), None);
    }
}
