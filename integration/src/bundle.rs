// SPDX-License-Identifier: Apache-2.0
//! OCI bundles: a busybox root filesystem and a `config.json` that tests change as a JSON tree.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{overlay::Overlay, requirement::find};

const TEMPLATE: &str = include_str!("../assets/config.json"); // what `runc spec` of Debian 12 writes
const FOLDERS: [&str; 9] = ["bin", "dev", "etc", "probe", "proc", "root", "sys", "tmp", "var"];

/// A bundle in a temporary folder.
#[derive(Debug)]
pub struct Bundle {
    overlay: Option<Overlay>, // before the folder it lies in
    folder: TempDir,
    spec: Value,
}

impl Bundle {
    /// A bundle of busybox whose process is `arguments`; no terminal, a control group of its own.
    pub fn new<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        let bundle = Self::bare(arguments);
        busybox(&bundle.path().join("rootfs"));
        bundle
    }

    /// The same with an empty root filesystem.
    pub fn bare<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        let folder = tempfile::Builder::new().prefix("lanner-bundle-").tempdir().expect("cannot make a bundle");
        fs::create_dir(folder.path().join("rootfs")).expect("cannot make a root filesystem");
        let mut spec: Value = serde_json::from_str(TEMPLATE).expect("the template is JSON");
        put(&mut spec, "/process/terminal", json!(false));
        put(&mut spec, "/process/args", texts(arguments));
        put(&mut spec, "/root/readonly", json!(false));
        put(&mut spec, "/hostname", json!("bundle"));
        set_member(&mut spec, "/linux", "cgroupsPath", json!(format!("/{}", unique("lanner-test"))));
        Self { overlay: None, folder, spec }
    }

    /// Puts the root filesystem on an overlay, as engines do.
    #[must_use]
    pub fn on_overlay(mut self) -> Self {
        let [root, lower] = ["rootfs", "lower"].map(|name| self.path().join(name));
        fs::rename(&root, &lower).expect("cannot move the root filesystem");
        fs::create_dir(&root).expect("cannot make a folder to mount at");
        self.overlay = Some(Overlay::of_folder(&lower, self.path(), &root));
        self
    }

    /// Takes the host's programs and libraries for the root filesystem, on an overlay that keeps the host as it is.
    #[must_use]
    pub fn over_host(mut self) -> Self {
        self.overlay = Some(Overlay::of_host(&self.path().join("scratch"), &self.path().join("rootfs")));
        self
    }

    /// Changes the specification.
    #[must_use]
    pub fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.spec);
        self
    }

    /// Sets the value at a JSON pointer whose parent exists.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, member) = pointer.rsplit_once('/').expect("a JSON pointer begins with a slash");
        set_member(&mut self.spec, parent, member, value);
        self
    }

    /// Gives the container a user namespace of its own, whose first ids are these of the host. The bundle's folders are opened
    /// to them.
    #[must_use]
    pub fn in_user_namespace(self, first: u32, count: u32) -> Self {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o755)).expect("cannot open the bundle");
        let mapping = json!([{"containerID": 0, "hostID": first, "size": count}]);
        self.set("/linux/uidMappings", mapping.clone()).set("/linux/gidMappings", mapping).edit(|spec| {
            let namespaces = spec.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
            namespaces.expect("a specification lists namespaces").push(json!({"type": "user"}));
        })
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        if self.spec.get("annotations").is_none() {
            set_member(&mut self.spec, "", "annotations", json!({}));
        }
        set_member(&mut self.spec, "/annotations", key, json!(value));
        self
    }

    /// The annotations with which CRI engines name a container.
    #[must_use]
    pub fn named(self, container: &str) -> Self {
        self.annotation("io.kubernetes.cri.container-type", "container")
            .annotation("io.kubernetes.cri.container-name", container)
    }

    /// Gives the container a seccomp profile that a CRI engine might have made.
    #[must_use]
    pub fn profile(self, profile: Value) -> Self {
        self.set("/linux/seccomp", profile)
    }

    /// Copies a host file to a path of the container, whose folders are made where they are missing.
    #[must_use]
    pub fn file(self, host: &Path, inside: &str) -> Self {
        let place = self.place(inside);
        fs::copy(host, &place).expect("cannot copy a file into the bundle");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("cannot make a file executable");
        self
    }

    /// Writes a file of the container, whose folders are made where they are missing.
    #[must_use]
    pub fn text(self, inside: &str, content: &str) -> Self {
        fs::write(self.place(inside), content).expect("cannot write a file of the bundle");
        self
    }

    /// Adds a mount.
    #[must_use]
    pub fn mount(self, mount: Value) -> Self {
        self.edit(|spec| {
            let mounts = spec.get_mut("mounts").and_then(Value::as_array_mut);
            mounts.expect("the template has mounts").push(mount);
        })
    }

    /// Where a path of the container lies on the host.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.path().join("rootfs").join(path.trim_start_matches('/'))
    }

    /// Where a path of the container lies on the host, in a folder that exists.
    fn place(&self, inside: &str) -> PathBuf {
        let place = self.inside(inside);
        fs::create_dir_all(place.parent().expect("a path below the bundle"))
            .expect("cannot make a folder of the bundle");
        place
    }

    /// The folder of the bundle.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `config.json`; call again after the shim has patched it to start afresh.
    pub fn write(&self) {
        let text = serde_json::to_vec_pretty(&self.spec).expect("the specification is JSON");
        fs::write(self.path().join("config.json"), text).expect("cannot write config.json");
    }
}

/// A name that no other test of this machine uses at this time.
pub(crate) fn unique(prefix: &str) -> String {
    let (process, count) = next();
    format!("{prefix}-{process}-{count}")
}

/// A container id as engines make them, 64 hexadecimal digits, of which the first twelve tell it from all others.
pub(crate) fn unique_id() -> String {
    let (process, count) = next();
    format!("{process:06x}{count:06x}{:052x}", 0)
}

fn next() -> (u32, u32) {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    (process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// The folder below `target/` for what all tests share: compiled workloads, images.
pub(crate) fn assets() -> PathBuf {
    let folder = target().join("integration");
    fs::create_dir_all(&folder).expect("cannot make the folder of shared assets");
    folder
}

/// Cargo's target folder, of which the running executable's architecture has a part; both are tagged.
pub fn target() -> PathBuf {
    let executable = env::current_exe().expect("cannot name the running executable");
    let tagged = executable.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").exists());
    tagged.last().map_or_else(env::temp_dir, Path::to_owned)
}

/// Fills `root` with busybox and the few files programs expect.
pub(crate) fn busybox(root: &Path) {
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder)).expect("cannot make a root filesystem");
    }
    let program = find("busybox").expect("busybox is not installed");
    fs::copy(&program, root.join("bin/busybox")).expect("cannot copy busybox");
    for applet in applets(&program) {
        symlink("busybox", root.join("bin").join(applet)).expect("cannot link an applet");
    }
    let files = [
        ("passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"),
        ("group", "root:x:0:\nuser:x:1000:\n"),
        ("shadow", "root:*:19000:0:99999:7:::\n"),
        ("hostname", "bundle\n"),
    ];
    for (name, text) in files {
        fs::write(root.join("etc").join(name), text).expect("cannot write a file of the root filesystem");
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("cannot open up /tmp");
}

/// The applets' names, asked of a program that nobody has open for writing, as a child of another thread may still have the
/// copy; busybox lists itself too, and linked onto itself it would be gone.
fn applets(program: &Path) -> Vec<String> {
    let output = Command::new(program).arg("--list").output().expect("cannot run busybox");
    let list = String::from_utf8(output.stdout).expect("applets have plain names");
    list.lines().filter(|name| *name != "busybox").map(str::to_owned).collect()
}

fn texts<S: AsRef<OsStr>>(arguments: &[S]) -> Value {
    arguments.iter().map(|argument| argument.as_ref().to_str().expect("JSON holds text").to_owned()).collect()
}

fn put(spec: &mut Value, pointer: &str, value: Value) {
    *spec.pointer_mut(pointer).expect("the template has this member") = value;
}

fn set_member(spec: &mut Value, parent: &str, member: &str, value: Value) {
    let parent = spec.pointer_mut(parent).and_then(Value::as_object_mut).expect("the parent is an object");
    parent.insert(member.to_owned(), value);
}
