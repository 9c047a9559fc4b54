// SPDX-License-Identifier: Apache-2.0
//! Fields `container.*` and `k8s.*`.

use rules::{Argument, ContainerField, K8sField, Value};

use super::{
    CallEvent,
    call::{filled, owned, text},
};
use crate::container::{Mount, listed_labels};

impl CallEvent<'_> {
    /// The value of a field of the container.
    pub(super) fn container(&self, field: ContainerField, argument: &Argument) -> Option<Value<'_>> {
        use ContainerField as C;
        let identity = &self.context.identity;
        match field {
            C::Id => Some(text(&identity.id)),
            C::FullId => Some(text(&identity.full_id)),
            C::Name => filled(&identity.name),
            C::Image => filled(&identity.image.reference),
            C::ImageRepository => filled(&identity.image.repository),
            C::ImageTag => filled(&identity.image.tag),
            C::ImageDigest => filled(&identity.image.digest),
            C::Type => filled(identity.engine),
            C::Privileged => Some(Value::Bool(identity.is_privileged)),
            C::HostPid => Some(Value::Bool(identity.has_host_pids)),
            C::HostNetwork => Some(Value::Bool(identity.has_host_network)),
            C::HostIpc => Some(Value::Bool(identity.has_host_ipc)),
            C::Mounts => Some(owned(identity.mounts.iter().map(render_mount).collect::<Vec<_>>().join(","))),
            C::Mount | C::MountSource | C::MountDest | C::MountMode | C::MountRdwr | C::MountPropagation => {
                self.mount(field, argument)
            }
            C::Label => match argument {
                Argument::Key(key) => identity.labels.get(&**key).map(|value| text(value)),
                Argument::Unused | Argument::Index(_) => None,
            },
            C::Labels => Some(owned(listed_labels(&identity.labels))),
            C::StartTs => self.container_started().map(Value::Uint),
            C::Duration => self.since(self.container_started()?),
            C::ImageId => filled(&identity.image.id),
            C::Healthcheck
            | C::LivenessProbe
            | C::ReadinessProbe
            | C::Ip
            | C::CniJson
            | C::IsContainerHealthcheck
            | C::IsContainerLivenessProbe
            | C::IsContainerReadinessProbe => None,
        }
    }

    /// The value of a field of the pod.
    pub(super) fn k8s(&self, field: K8sField, argument: &Argument) -> Option<Value<'_>> {
        use K8sField as K;
        let pod = &self.context.identity.pod;
        match field {
            K::PodName => filled(&pod.name),
            K::NsName => filled(&pod.namespace),
            K::PodId | K::PodUid => filled(&pod.uid),
            K::PodFullSandboxId => filled(&pod.sandbox),
            K::PodSandboxId => filled(pod.sandbox.get(..12).unwrap_or(&pod.sandbox)),
            K::PodLabels => pod.labels.get().map(|labels| owned(listed_labels(labels))),
            K::PodLabel => match argument {
                Argument::Key(key) => pod.labels.get()?.get(&**key).map(|value| text(value)),
                Argument::Unused | Argument::Index(_) => None,
            },
            // Addresses are in no OCI spec, and the others have no source in Falco any more.
            _ => None,
        }
    }

    /// The start of the container's pid namespace, or of our watch where the container shares another one.
    fn container_started(&self) -> Option<u64> {
        let watched = Some(self.context.identity.started).filter(|time| *time > 0);
        if self.context.identity.has_host_pids { watched } else { self.namespace_started().or(watched) }
    }

    fn mount(&self, field: ContainerField, argument: &Argument) -> Option<Value<'_>> {
        use ContainerField as C;
        let mounts = &self.context.identity.mounts;
        let mount = match argument {
            Argument::Index(index) => mounts.get(usize::try_from(*index).ok()?)?,
            // The key of a source is its destination, all other keys are sources.
            Argument::Key(pattern) if field == C::MountSource => {
                mounts.iter().find(|mount| matches(pattern.as_bytes(), mount.destination.as_bytes()))?
            }
            Argument::Key(pattern) => {
                mounts.iter().find(|mount| matches(pattern.as_bytes(), mount.source.as_bytes()))?
            }
            Argument::Unused => return None,
        };
        Some(match field {
            C::MountSource => text(&mount.source),
            C::MountDest => text(&mount.destination),
            C::MountMode => text(mount.mode()),
            C::MountRdwr => text(if mount.is_writable() { "true" } else { "false" }),
            C::MountPropagation => text(mount.propagation()),
            _ => owned(render_mount(mount)),
        })
    }
}

fn render_mount(mount: &Mount) -> String {
    let Mount { source, destination, .. } = mount;
    format!("{source}:{destination}:{}:{}:{}", mount.mode(), mount.is_writable(), mount.propagation())
}

/// Whether a pattern of `*`, `?` and literal bytes fits the whole text.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    // Where to go on when a literal does not fit: behind the last star, one byte further in the text.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (rest.split_first(), left.split_first()) {
            (Some((b'*', behind)), _) => {
                (rest, retry) = (behind, Some((behind, left)));
                continue;
            }
            (Some((expected, behind)), Some((found, further))) if *expected == b'?' || expected == found => {
                (rest, left) = (behind, further);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        match retry.and_then(|(behind, from)| Some((behind, from.get(1..)?))) {
            Some((behind, from)) => (rest, left, retry) = (behind, from, Some((behind, from))),
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, expected) in [
            ("/etc/*", "/etc/passwd", true),
            ("/etc", "/etc/passwd", false),
            ("*", "", true),
            ("/*/b?c", "/a/x/b1c", true),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxxbc", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
