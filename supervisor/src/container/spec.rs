// SPDX-License-Identifier: Apache-2.0
//! The parts of `plan.json` and of the OCI spec that tell who a container is.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;

use crate::enforce::DeviceRule;

/// What the shim decided, as far as identity goes.
#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    pub(super) id: String,
    #[serde(default)]
    pub(super) bundle: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) started: u64,
}

/// The OCI spec; engines write `null` for what they leave out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) process: Option<Process>,
    pub(super) mounts: Option<Vec<Mount>>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
    pub(super) linux: Option<Linux>,
}

/// `process`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Process {
    pub(super) apparmor_profile: Option<String>,
    pub(super) selinux_label: Option<String>,
}

/// `linux`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Linux {
    namespaces: Option<Vec<Namespace>>,
    pub(super) cgroups_path: Option<String>,
    pub(super) resources: Option<Resources>,
    masked_paths: Option<Vec<String>>,
    readonly_paths: Option<Vec<String>>,
    seccomp: Option<serde_json::Value>,
}

/// `linux.resources`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resources {
    pub(super) devices: Option<Vec<DeviceRule>>,
}

/// One of `linux.namespaces`.
#[derive(Debug, Deserialize)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    path: Option<String>,
}

/// One of `mounts`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Mount {
    /// Path inside the container.
    pub(crate) destination: String,
    /// Path on the host, for a bind mount.
    pub(crate) source: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    options: Option<Vec<String>>,
}

impl Mount {
    fn has(&self, option: &str) -> bool {
        self.options.iter().flatten().any(|other| other == option)
    }

    /// Whether a host path is mounted, which is what engines show as the container's mounts.
    pub(super) fn is_bind(&self) -> bool {
        self.kind.as_deref() == Some("bind") || self.has("bind") || self.has("rbind")
    }

    /// `rw` or `ro`.
    pub(crate) fn mode(&self) -> &'static str {
        if self.is_writable() { "rw" } else { "ro" }
    }

    /// Whether the container may write to it.
    pub(crate) fn is_writable(&self) -> bool {
        !self.has("ro")
    }

    /// `rprivate`, `rslave`, ..; empty where the engine names none.
    pub(crate) fn propagation(&self) -> &str {
        const KNOWN: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
        let mut options = self.options.iter().flatten().map(String::as_str);
        options.find(|option| KNOWN.contains(option)).unwrap_or_default()
    }
}

/// Which engine wrote a spec.
const MANAGER: &str = "io.container.manager";

/// Whether the folder of a container's configuration is one of containerd's.
pub(super) fn is_of_containerd(bundle: &str) -> bool {
    bundle.contains("/io.containerd.runtime.v2.task/")
}

impl Spec {
    /// Keeps of the annotations that name a container those alone that its engine writes itself: CRI-O hands on what a pod
    /// has, and podman what an image has, whatever they are called.
    pub(super) fn forget_foreign_annotations(&mut self, bundle: &str) {
        let is_of_containerd = is_of_containerd(bundle);
        let manager = self.annotation(MANAGER).filter(|_| !is_of_containerd).map(str::to_owned);
        let is_own = |key: &str| match manager.as_deref() {
            Some("cri-o") => !key.starts_with("io.kubernetes.cri.") && !key.starts_with("nerdctl/"),
            // The second one for the pods of `podman kube play`.
            Some("libpod") => [MANAGER, "io.kubernetes.cri-o.SandboxID"].contains(&key),
            _ => !(key.starts_with("io.kubernetes.cri-o.") || is_of_containerd && key == MANAGER),
        };
        self.annotations.iter_mut().for_each(|annotations| annotations.retain(|key, _value| is_own(key)));
    }

    /// An annotation's value.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether the container shares the host's namespace of this kind: it has none, or joins one that is the host's.
    pub(super) fn shares(&self, kind: &str, link: &str) -> bool {
        let mut namespaces = self.linux.iter().flat_map(|linux| linux.namespaces.iter().flatten());
        match namespaces.find(|namespace| namespace.kind == kind) {
            None => true,
            Some(Namespace { path: Some(path), .. }) if !path.is_empty() => is_host_namespace(path, link),
            Some(_) => false,
        }
    }

    /// *Falco:* its rule for plain containerd, the only one that needs nothing but the spec: no path is masked or
    /// read-only, no SELinux label, AppArmor unconfined, no seccomp profile, sysfs and cgroups writable.
    pub(super) fn is_privileged(&self) -> bool {
        let process = self.process.as_ref();
        let labelled =
            process.and_then(|process| process.selinux_label.as_deref()).is_some_and(|label| !label.is_empty());
        let confined = process
            .and_then(|process| process.apparmor_profile.as_deref())
            .is_some_and(|profile| !profile.is_empty() && profile != "unconfined");
        let linux = self.linux.as_ref();
        let hidden = |paths: Option<&Vec<String>>| paths.is_some_and(|paths| !paths.is_empty());
        let masked =
            linux.is_some_and(|linux| hidden(linux.masked_paths.as_ref()) || hidden(linux.readonly_paths.as_ref()));
        let filtered = linux.is_some_and(|linux| linux.seccomp.as_ref().is_some_and(|profile| !profile.is_null()));
        !labelled && !confined && !masked && !filtered && !self.mounts.iter().flatten().any(is_readonly_kernel_mount)
    }
}

fn is_readonly_kernel_mount(mount: &Mount) -> bool {
    matches!(mount.kind.as_deref(), Some("sysfs" | "cgroup" | "cgroup2")) && !mount.is_writable()
}

/// Whether the namespace file `path` is that of the host's first process; false where it cannot be seen.
fn is_host_namespace(path: &str, link: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = |path: &str| fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
    let theirs = inode(path);
    theirs.is_some() && theirs == inode(&format!("/proc/1/ns/{link}"))
}
