// SPDX-License-Identifier: Apache-2.0
//! Identities of containers as real engines wrote them.

use std::{fs, path::PathBuf};

use super::{Identity, image::Image};

/// Recorded specs; absent outside the project's own machines.
fn recorded(name: &str) -> Option<String> {
    let shared = std::env::var_os("LANNER_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let spec = fs::read_to_string(shared.join("runtimes").join(name)).ok();
    if spec.is_none() {
        println!("skipped: no recorded spec {name}");
    }
    spec
}

fn load(plan: &str, spec: &str) -> Identity {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("plan.json"), plan).unwrap();
    fs::write(directory.path().join("spec.json"), spec).unwrap();
    Identity::load(directory.path()).unwrap()
}

fn plan(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","mode":"audit","bundle":"/b","runtime":"/usr/sbin/runc","name":null,"started":7,"wait_killable":false}}"#
    )
}

/// `file -> container.name image repository tag type pod ns uid sandbox`, and whether it is privileged.
#[track_caller]
fn check(file: &str, expected: [&str; 8], privileged: bool) {
    let Some(spec) = recorded(file) else { return };
    let identity = load(&plan("0123456789abcdef0123456789abcdef"), &spec);
    let found = [
        &*identity.name,
        &*identity.image.repository,
        &*identity.image.tag,
        identity.engine,
        &*identity.pod.name,
        &*identity.pod.namespace,
        &*identity.pod.uid,
        identity.pod.sandbox.get(..6).unwrap_or_default(),
    ];
    assert_eq!((found, identity.is_privileged), (expected, privileged), "{file}");
    assert_eq!(identity.id, "0123456789ab");
    assert!(!identity.has_host_pids);
}

const BUSYBOX: &str = "docker.io/library/busybox";
const NAME: &str = "falco-ornek-konteynir";
const POD: &str = "falco-ornek-pod";
const UID: &str = "0f3c2a1e-1111-2222-3333-444455556666";

#[test]
fn recorded_specs_give_their_names() {
    check(
        "containerd1.6-rtdefault-container-config.json",
        ["c-rtdefault", BUSYBOX, "latest", "containerd", "pod-rtdefault", "default", "uid-rtdefault", "3db6a6"],
        false,
    );
    check(
        "containerd1.6-rtdefault-sandbox-config.json",
        ["pod-rtdefault", "", "", "containerd", "pod-rtdefault", "default", "uid-rtdefault", "3db6a6"],
        false,
    );
    for (file, sandbox) in [("1.7", "fdf593"), ("2.1", "cc6f2e")] {
        let file = format!("containerd{file}-rtdefault-container-config.json");
        check(&file, [NAME, BUSYBOX, "latest", "containerd", POD, "default", UID, sandbox], false);
    }
    check("crio1.33-container-config.json", [NAME, BUSYBOX, "latest", "cri-o", POD, "default", UID, "ac0bc7"], false);
    let uid = "1f14af07-7da1-4cd0-9275-a53c72d7b421";
    let pod = "falco-ornek";
    check(
        "k8s1.32-container-config.json",
        [NAME, BUSYBOX, "latest", "containerd", pod, "default", uid, "f0a88f"],
        false,
    );
    check("k8s1.32-sandbox-config.json", [pod, "", "", "containerd", pod, "default", uid, "f0a88f"], false);
    let id = "0123456789abcdef0123456789abcdef";
    check("podman4.3-kube-container-config.json", [id, "", "", "podman", "", "", "", "97b25c"], false);
}

#[test]
fn mounts_are_the_host_paths() {
    let Some(spec) = recorded("k8s1.32-container-config.json") else { return };
    let identity = load(&plan("a"), &spec);
    let token = identity.mounts.iter().find(|mount| mount.destination.ends_with("serviceaccount")).unwrap();
    assert_eq!((token.mode(), token.propagation()), ("ro", "rprivate"));
    assert_eq!(identity.mounts.len(), 6);
    assert_eq!(identity.labels["io.kubernetes.container.name"], NAME);
}

#[test]
fn podman_is_named_by_its_command_line() {
    let plan = r#"{"id":"6a20ca468bfd4e82","name":"web"}"#;
    let spec = r#"{"annotations":{"io.container.manager":"libpod"}}"#;
    let identity = load(plan, spec);
    assert_eq!((&*identity.name, identity.engine, &*identity.full_id), ("web", "podman", "6a20ca468bfd4e82"));
}

#[test]
fn podman_keeps_images_in_its_storage() {
    let root = tempfile::tempdir().unwrap();
    let of = |id: &str| {
        let bundle = root.path().join(format!("overlay-containers/{id}/userdata"));
        let plan = serde_json::json!({"id": id, "bundle": bundle}).to_string();
        load(&plan, r#"{"annotations":{"io.container.manager":"libpod"}}"#).image
    };
    fs::create_dir(root.path().join("overlay-containers")).unwrap();
    let write =
        |list: &str, content: &str| fs::write(root.path().join("overlay-containers").join(list), content).unwrap();
    assert_eq!(of("a1"), Image::default());
    let entry =
        |id: &str, image: &str, metadata: &str| serde_json::json!({"id": id, "image": image, "metadata": metadata});
    let named = entry("a1", "9f3e", r#"{"image-name":"localhost:5000/web:1.2","image-id":"9f3e","created-at":1}"#);
    write("containers.json", &serde_json::json!([entry("b2", "", ""), named]).to_string());
    let short_lived = entry("c3", "77aa", r#"{"image-name":"docker.io/library/busybox:latest"}"#);
    write("volatile-containers.json", &serde_json::json!([short_lived]).to_string());
    let image = of("a1");
    assert_eq!((&*image.repository, &*image.tag, &*image.id), ("localhost:5000/web", "1.2", "9f3e"));
    assert_eq!((&*of("c3").repository, &*of("c3").id), ("docker.io/library/busybox", "77aa"));
    assert_eq!(of("b2"), Image::default(), "a plain directory is no image");
    assert_eq!(of("d4"), Image::default());
    write("containers.json", "[{");
    assert_eq!(of("a1"), Image::default());
}

#[test]
fn docker_is_named_by_its_own_record() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("containers/feedbeef0123456789");
    fs::create_dir_all(&directory).unwrap();
    let record =
        r#"{"Name":"/falco-ornek","Image":"sha256:9f3e","Config":{"Image":"nginx","Labels":{"a":"b"}},"Other":1}"#;
    fs::write(directory.join("config.v2.json"), record).unwrap();
    let source = directory.join("hostname");
    let spec = format!(
        r#"{{"annotations":null,"mounts":[{{"destination":"/etc/hostname","type":"bind","source":"{}","options":["rbind"]}}],
            "linux":{{"cgroupsPath":"/docker/feedbeef0123456789","namespaces":[{{"type":"pid"}}]}}}}"#,
        source.display()
    );
    let identity = load(&plan("feedbeef0123456789"), &spec);
    assert_eq!((&*identity.name, identity.engine), ("falco-ornek", "docker"));
    assert_eq!((&*identity.image.repository, &*identity.image.tag), ("nginx", "latest"));
    assert_eq!(identity.labels["a"], "b");
    assert_eq!(identity.image.id, "9f3e");
    assert!(identity.has_host_network && identity.is_privileged && !identity.has_host_pids);
}

#[test]
fn plain_runc_is_named_by_annotation_or_id() {
    let spec = r#"{"annotations":{"io.kubernetes.cri.container-name":"live"}}"#;
    assert_eq!(load(&plan("demo"), spec).name, "live");
    assert_eq!(load(&plan("demo"), "{}").name, "demo");
}

#[test]
fn another_engines_annotations_name_nobody() {
    let named = |manager: &str, bundle: &str| {
        let spec = serde_json::json!({"annotations": {
            "io.container.manager": manager,
            "io.kubernetes.container.name": "crio",
            "io.kubernetes.cri-o.ImageName": "quay.io/crio:1",
            "io.kubernetes.cri.container-name": "containerd",
            "io.kubernetes.cri.image-name": "quay.io/containerd:1",
            "io.kubernetes.cri.sandbox-namespace": "kube-system",
            "nerdctl/name": "nerdctl",
        }});
        let plan = serde_json::json!({"id": "c1", "name": "podman", "bundle": bundle});
        let identity = load(&plan.to_string(), &spec.to_string());
        (identity.name, identity.engine, identity.image.repository, identity.pod.namespace)
    };
    let expected = |texts: [&'static str; 4]| {
        let [name, engine, repository, namespace] = texts;
        (name.to_owned(), engine, repository.to_owned(), namespace.to_owned())
    };
    assert_eq!(named("cri-o", "/x"), expected(["crio", "cri-o", "quay.io/crio", ""]));
    assert_eq!(named("libpod", "/x"), expected(["podman", "podman", "", ""]));
    let of_containerd = expected(["containerd", "containerd", "quay.io/containerd", "kube-system"]);
    assert_eq!(named("cri-o", "/run/containerd/io.containerd.runtime.v2.task/k8s.io/c1"), of_containerd);
}

#[test]
fn a_broken_directory_is_named_in_the_error() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("plan.json"), "{").unwrap();
    let error = Identity::load(directory.path()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot understand `{}/plan.json`", directory.path().display()));
}

const SANDBOX: &str = "ac0bc7140becd7017758f3a7d735cbb683761f60464818d0dedf4359c3d170d3";

/// The annotations of a spec that CRI-O writes.
fn of_crio(kind: &str, sandbox: &str, labels: &str) -> String {
    serde_json::json!({"annotations": {
        "io.container.manager": "cri-o",
        "io.kubernetes.cri-o.ContainerType": kind,
        "io.kubernetes.cri-o.SandboxID": sandbox,
        "io.kubernetes.cri-o.ImageRef": "a817319862129b14b14a1b877d311e13313c8e064c13f65863d365effef2416a",
        "io.kubernetes.cri-o.Labels": labels,
    }})
    .to_string()
}

#[test]
fn labels_of_a_pod_are_those_of_its_sandbox() {
    const POD_LABELS: &str = r#"{"app":"web","tier":"","annotation.x":"y","io.kubernetes.pod.name":"p","io.kubernetes.container.name":"POD"}"#;
    const OWN: &str = r#"{"io.kubernetes.container.name":"c"}"#;
    let root = tempfile::tempdir().unwrap();
    let containers = root.path().join("overlay-containers");
    let beside = containers.join(SANDBOX).join("userdata");
    fs::create_dir_all(&beside).unwrap();
    fs::write(beside.join("config.json"), of_crio("sandbox", SANDBOX, POD_LABELS)).unwrap();
    let bundle = containers.join("5e94d39b76de").join("userdata");
    let plan = format!(r#"{{"id":"5e94d39b76de","bundle":"{}"}}"#, bundle.display());
    let escaping = format!("../overlay-containers/{SANDBOX}");
    let all = Some("app:web, tier");
    let cases = [
        ("a container", of_crio("container", SANDBOX, OWN), all),
        ("a sandbox with a process", of_crio("sandbox", SANDBOX, POD_LABELS), all),
        ("another sandbox", of_crio("container", "0123", OWN), None),
        ("a path for an id", of_crio("container", &escaping, OWN), None),
        ("a broken annotation", of_crio("sandbox", SANDBOX, "{"), None),
        ("no labels", of_crio("sandbox", SANDBOX, OWN), Some("")),
        ("another engine", r#"{"annotations":{"io.kubernetes.cri.container-type":"container"}}"#.to_owned(), None),
    ];
    for (case, spec, expected) in cases {
        let identity = load(&plan, &spec);
        let labels = identity.pod.labels.get();
        assert_eq!(labels.map(super::listed_labels).as_deref(), expected, "{case}");
        if expected == all {
            assert_eq!(labels.unwrap()["io.kubernetes.pod.name"], "p", "{case}");
            assert!(identity.image.id.starts_with("a8173198"), "{case}");
        }
    }
}
