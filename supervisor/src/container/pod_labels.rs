// SPDX-License-Identifier: Apache-2.0
//! A pod's labels, where an engine leaves them: CRI-O's annotation of the pod's sandbox.
//!
//! A container's own annotation has the labels that the kubelet gave the container. The sandbox mostly has no process, so
//! that the low-level runtime never sees it, but CRI-O writes its OCI spec beside those of the pod's containers:
//! `<run root>/overlay-containers/<ID>/userdata/config.json`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::spec::{Plan, Spec};

/// Bytes of a sandbox's spec that are read; it is some 10 KB.
const MAX_SPEC: u64 = 1 << 20;
/// The annotation.
const LABELS: &str = "io.kubernetes.cri-o.Labels";

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// The labels of a pod, read when they are asked for the first time.
#[derive(Debug, Default)]
pub(crate) struct PodLabels {
    /// The sandbox's spec, as long as it was not read.
    spec: Option<PathBuf>,
    known: OnceLock<Option<Labels>>,
}

impl PodLabels {
    /// Where the labels of a container's pod are.
    pub(super) fn of(plan: &Plan, spec: &Spec) -> Self {
        if spec.annotation("io.container.manager") != Some("cri-o") {
            return Self::default();
        }
        if spec.annotation("io.kubernetes.cri-o.ContainerType") == Some("sandbox") {
            return Self { spec: None, known: written(spec).into() };
        }
        let sandbox = spec.annotation("io.kubernetes.cri-o.SandboxID").filter(|id| is_id(id));
        let containers = Path::new(&plan.bundle).parent().and_then(Path::parent);
        let place = sandbox.zip(containers).map(|(id, folder)| folder.join(id).join("userdata/config.json"));
        Self { spec: place, known: OnceLock::new() }
    }

    /// All of them; `None` where they are not known.
    pub(crate) fn get(&self) -> Option<&Labels> {
        self.known.get_or_init(|| read(self.spec.as_deref()?)).as_ref()
    }
}

/// The labels that a spec of CRI-O has.
pub(super) fn written(spec: &Spec) -> Option<Labels> {
    spec.annotation(LABELS).and_then(|text| serde_json::from_str(text).ok())
}

/// *Falco:* those of Kubernetes itself are not among all labels, and an empty one is its name alone.
pub(crate) fn listed(labels: &Labels) -> String {
    let shown = labels.iter().filter(|(key, _)| !key.starts_with("io.kubernetes.") && !key.starts_with("annotation."));
    let pairs = shown.map(|(key, value)| if value.is_empty() { key.clone() } else { format!("{key}:{value}") });
    pairs.collect::<Vec<_>>().join(", ")
}

/// Whether a text can be no path.
fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn read(path: &Path) -> Option<Labels> {
    let mut content = Vec::new();
    File::open(path).ok()?.take(MAX_SPEC).read_to_end(&mut content).ok()?;
    written(&serde_json::from_slice::<Spec>(&content).ok()?)
}
