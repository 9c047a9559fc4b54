// SPDX-License-Identifier: Apache-2.0
//! [`Identity`]: the container's names, image, pod and isolation.
//!
//! Names come from where the engine leaves them: CRI annotations of containerd and CRI-O, Docker's own record, podman's
//! command line (in `plan.json`) and storage; plain containerd and runc have nothing but the id.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use crate::enforce::DeviceRule;

use super::{
    Mount,
    docker::Record,
    image::Image,
    pod_labels::{self, PodLabels},
    podman,
    spec::{Plan, Spec, is_of_containerd},
};

/// Characters of an id that Falco shows as `container.id`.
const SHORT_ID: usize = 12;

/// Why the run directory tells no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LoadIdentityError {
    /// A file of the run directory is not readable.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the run directory is not what the shim writes.
    #[error("cannot understand `{}`", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// Who a container is. Texts that are not known are empty, and their fields absent.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own")]
pub(crate) struct Identity {
    /// The engine's id.
    pub(crate) full_id: String,
    /// Its first twelve characters.
    pub(crate) id: String,
    /// The engine's name of it.
    pub(crate) name: String,
    /// `docker`, `podman`, `cri-o`, `containerd`, or empty.
    pub(crate) engine: &'static str,
    /// Its image.
    pub(crate) image: Image,
    /// Whether its isolation is switched off.
    pub(crate) is_privileged: bool,
    /// Host paths it has mounted.
    pub(crate) mounts: Vec<Mount>,
    /// Whether it has the host's process ids.
    pub(crate) has_host_pids: bool,
    /// Whether it has the host's network.
    pub(crate) has_host_network: bool,
    /// Whether it has the host's System V IPC.
    pub(crate) has_host_ipc: bool,
    /// The engine's labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its pod; all texts empty for a container without one.
    pub(crate) pod: Pod,
    /// Unix time in ns when the shim started it.
    pub(crate) started: u64,
}

/// The pod of a container.
#[derive(Debug, Default)]
pub(crate) struct Pod {
    /// Its name.
    pub(crate) name: String,
    /// Its Kubernetes namespace.
    pub(crate) namespace: String,
    /// Its Kubernetes uid.
    pub(crate) uid: String,
    /// The id of its sandbox.
    pub(crate) sandbox: String,
    /// Its labels.
    pub(crate) labels: PodLabels,
}

/// The device list of the OCI spec in a container's run directory.
pub(crate) fn device_rules(directory: &Path) -> Result<Vec<DeviceRule>, LoadIdentityError> {
    let spec: Spec = read(&directory.join("spec.json"))?;
    Ok(spec.linux.and_then(|linux| linux.resources).and_then(|resources| resources.devices).unwrap_or_default())
}

impl Identity {
    /// The engine's name of it, where that is known.
    pub(crate) fn known_name(&self) -> Option<&str> {
        Some(&*self.name).filter(|name| !name.is_empty())
    }

    /// Reads `plan.json` and `spec.json` of a container's run directory.
    pub(crate) fn load(directory: &Path) -> Result<Self, LoadIdentityError> {
        let plan = read(&directory.join("plan.json"))?;
        let spec = read(&directory.join("spec.json"))?;
        Ok(Self::new(plan, spec))
    }

    fn new(plan: Plan, mut spec: Spec) -> Self {
        spec.forget_foreign_annotations(&plan.bundle);
        let pod = Pod::of(&plan, &spec);
        let record = Record::find(&plan.id, spec.mounts.as_deref().unwrap_or_default());
        let engine = engine(&plan, &spec, record.is_some());
        Self {
            id: short_id(&plan.id),
            name: name(&plan, &spec, record.as_ref(), engine),
            engine,
            image: image(&plan, &spec, record.as_ref(), engine),
            is_privileged: spec.is_privileged(),
            has_host_pids: spec.shares("pid", "pid"),
            has_host_network: spec.shares("network", "net"),
            has_host_ipc: spec.shares("ipc", "ipc"),
            labels: labels(&spec, record, &pod),
            mounts: spec.mounts.unwrap_or_default().into_iter().filter(Mount::is_bind).collect(),
            pod,
            started: plan.started,
            full_id: plan.id,
        }
    }
}

impl Pod {
    fn of(plan: &Plan, spec: &Spec) -> Self {
        let first = |keys: &[&str]| keys.iter().find_map(|key| spec.annotation(key)).unwrap_or_default().to_owned();
        let mut uid = first(&["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"]);
        if uid.is_empty() {
            // CRI-O: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT; none of the parts may hold an underscore.
            let name = spec.annotation("io.kubernetes.cri-o.Name").unwrap_or_default();
            name.rsplit('_').nth(1).filter(|_| name.starts_with("k8s_")).unwrap_or_default().clone_into(&mut uid);
        }
        Self {
            name: first(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
            namespace: first(&["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]),
            uid,
            sandbox: first(&["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"]),
            labels: PodLabels::of(plan, spec),
        }
    }
}

/// The first characters of an id, which Falco shows of it.
pub(crate) fn short_id(id: &str) -> String {
    id.chars().take(SHORT_ID).collect()
}

fn engine(plan: &Plan, spec: &Spec, is_docker: bool) -> &'static str {
    let cgroup = spec.linux.as_ref().and_then(|linux| linux.cgroups_path.as_deref()).unwrap_or_default();
    match spec.annotation("io.container.manager") {
        Some("cri-o") => "cri-o",
        Some("libpod") => "podman",
        _ if is_docker || cgroup.starts_with("/docker/") || cgroup.contains(":docker:") => "docker",
        _ if spec.annotation("io.kubernetes.cri.container-type").is_some() => "containerd",
        _ if is_of_containerd(&plan.bundle) => "containerd",
        _ => "",
    }
}

fn name(plan: &Plan, spec: &Spec, record: Option<&Record>, engine: &str) -> String {
    const KEYS: [&str; 4] = [
        "io.kubernetes.cri.container-name",
        "io.kubernetes.container.name",
        // nerdctl keeps its names where CNI plugins find them.
        "nerdctl/name",
        // A sandbox has no name of its own.
        "io.kubernetes.cri.sandbox-name",
    ];
    if let Some(name) = KEYS.iter().find_map(|key| spec.annotation(key)) {
        return name.to_owned();
    }
    match (record, plan.name.as_deref()) {
        (Some(record), _) => record.name().to_owned(),
        (None, Some(name)) => name.to_owned(),
        // *Falco:* plain containerd shows the short id.
        (None, None) if engine == "containerd" => short_id(&plan.id),
        (None, None) => plan.id.clone(),
    }
}

fn image(plan: &Plan, spec: &Spec, record: Option<&Record>, engine: &str) -> Image {
    if engine == "podman" {
        return podman::image(&plan.id, &plan.bundle).unwrap_or_default();
    }
    let id = spec.annotation("io.kubernetes.cri-o.ImageRef").or_else(|| record?.image.as_deref()).unwrap_or_default();
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    // Older versions of CRI-O have a reference there.
    let id = if id.bytes().all(|byte| byte.is_ascii_hexdigit()) { id.to_owned() } else { String::new() };
    Image { id, ..referenced_image(spec, record) }
}

fn referenced_image(spec: &Spec, record: Option<&Record>) -> Image {
    const KEYS: [&str; 3] =
        ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri.podsandbox.image-name"];
    if let Some(reference) = KEYS.iter().find_map(|key| spec.annotation(key)) {
        return Image::parse(reference);
    }
    let mut image = record.and_then(|record| record.config.image.as_deref()).map(Image::parse).unwrap_or_default();
    // Docker's user names no tag where the default one is meant.
    if !image.repository.is_empty() && image.tag.is_empty() && image.digest.is_empty() {
        "latest".clone_into(&mut image.tag);
    }
    image
}

/// Docker's labels, CRI-O's annotation of them, or the four that every kubelet gives.
fn labels(spec: &Spec, record: Option<Record>, pod: &Pod) -> BTreeMap<String, String> {
    if let Some(labels) = record.and_then(|record| record.config.labels) {
        return labels;
    }
    if let Some(labels) = pod_labels::written(spec) {
        return labels;
    }
    let container = spec.annotation("io.kubernetes.cri.container-name").unwrap_or_default();
    let known = [
        ("io.kubernetes.container.name", container),
        ("io.kubernetes.pod.name", &pod.name),
        ("io.kubernetes.pod.namespace", &pod.namespace),
        ("io.kubernetes.pod.uid", &pod.uid),
    ];
    let known = known.into_iter().filter(|(_, value)| !value.is_empty());
    known.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, LoadIdentityError> {
    let content = fs::read(path).map_err(|source| LoadIdentityError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&content).map_err(|source| LoadIdentityError::Parse { path: path.to_owned(), source })
}
