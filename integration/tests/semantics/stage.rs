// SPDX-License-Identifier: Apache-2.0
//! The container of the checks: whose process it is, its mounts, and the files of others below `/probe`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, lchown, symlink},
    path::Path,
};

use integration::{Bundle, workload};
use nix::{
    sys::stat::{Mode, SFlag, makedev, mknod},
    unistd::mkfifo,
};
use serde_json::{Value, json};

const SHIFT: u32 = 100_000; // the first id of the user namespace, as the host sees it
const IDS: u32 = 65_536;
const USER: u32 = 1000;
const GROUP: u32 = 2000;

/// Whose process runs the checks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum User {
    /// Root with many capabilities.
    #[default]
    Root,
    /// Root as engines start it: a few capabilities, no new privileges.
    FewCapabilities,
    /// User 1000 with one supplementary group.
    Plain,
}

/// One way to run the checks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stage {
    pub(crate) user: User,
    /// Whether the container has a user namespace of its own.
    pub(crate) own_users: bool,
    /// Whether the root filesystem is an overlay.
    pub(crate) on_overlay: bool,
    /// Families of checks to run, by name; all but `sticky` and `traced` if none is named.
    pub(crate) families: &'static [&'static str],
}

enum Kind {
    Folder,
    Text(&'static str),
    /// The checks' own executable.
    Program,
    Link(&'static str),
    Fifo,
    Character(u64, u64),
    Block(u64, u64),
}

use Kind::{Block, Character, Fifo, Folder, Link, Program, Text};

/// Path, mode, owner, group, kind. What stands below `mounts` lies beside the root filesystem and is mounted into it.
const NODES: &[(&str, u32, u32, u32, Kind)] = &[
    ("rootfs/unrelated", 0o755, 0, 0, Folder),
    ("rootfs/unrelated/file", 0o644, 0, 0, Text("read\n")),
    ("rootfs/unrelated/program", 0o755, 0, 0, Program),
    ("rootfs/probe/root-0600", 0o600, 0, 0, Text("of root")),
    ("rootfs/probe/root-0644", 0o644, 0, 0, Text("of root")),
    ("rootfs/probe/root-0666", 0o666, 0, 0, Text("of root")),
    ("rootfs/probe/group-0640", 0o640, 0, GROUP, Text("of the group")),
    ("rootfs/probe/user-0600", 0o600, USER, USER, Text("of the user")),
    ("rootfs/probe/user-0666", 0o666, USER, USER, Text("of the user")),
    ("rootfs/probe/user-0000", 0, USER, USER, Text("of the user")),
    ("rootfs/probe/dir-0700", 0o700, 0, 0, Folder),
    ("rootfs/probe/dir-0700/file", 0o644, 0, 0, Text("of root")),
    ("rootfs/probe/dir-0700/program", 0o755, 0, 0, Program),
    ("rootfs/probe/dir-0711", 0o711, 0, 0, Folder),
    ("rootfs/probe/dir-0711/file", 0o644, 0, 0, Text("of root")),
    ("rootfs/probe/root-0711", 0o711, 0, 0, Program),
    ("rootfs/probe/root-0700", 0o700, 0, 0, Program),
    ("rootfs/probe/group-0750", 0o750, 0, GROUP, Program),
    ("rootfs/probe/setuid-root", 0o4755, 0, 0, Program),
    ("rootfs/probe/setuid-user", 0o4755, USER, USER, Program),
    ("rootfs/probe/setgid-group", 0o2755, 0, GROUP, Program),
    ("rootfs/probe/setuid-script", 0o4755, 0, 0, Text("#!/bin/semantics report=ids,argv\n")),
    ("rootfs/probe/block", 0o666, 0, 0, Block(7, 0)),
    ("rootfs/probe/kmsg", 0o666, 0, 0, Character(1, 11)),
    ("rootfs/probe/null", 0o666, 0, 0, Character(1, 3)),
    ("rootfs/probe/absent", 0o666, 0, 0, Character(240, 200)),
    ("rootfs/probe/sticky", 0o1777, 0, 0, Folder),
    ("rootfs/probe/sticky/link", 0o777, USER, USER, Link("../root-0666")),
    ("rootfs/probe/sticky/dangling", 0o777, USER, USER, Link("nowhere")),
    ("rootfs/probe/sticky/way", 0o777, USER, USER, Link("../sticky-way")),
    ("rootfs/probe/sticky-way", 0o777, 0, 0, Folder),
    ("rootfs/probe/sticky/fifo", 0o666, USER, USER, Fifo),
    ("rootfs/probe/sticky/file", 0o666, USER, USER, Text("of the user")),
    ("rootfs/probe/sticky/null", 0o666, USER, USER, Character(1, 3)),
    ("rootfs/probe/sticky/root", 0o666, 0, 0, Text("of root")),
    ("mounts/readonly", 0o755, 0, 0, Folder),
    ("mounts/readonly/file", 0o666, 0, 0, Text("read only")),
    ("mounts/readonly/program", 0o755, 0, 0, Program),
    ("mounts/readonly/setuid-root", 0o4755, 0, 0, Program),
    ("mounts/nosuid", 0o755, 0, 0, Folder),
    ("mounts/nosuid/setuid-root", 0o4755, 0, 0, Program),
    ("mounts/noexec", 0o755, 0, 0, Folder),
    ("mounts/noexec/program", 0o755, 0, 0, Program),
    ("mounts/nodev", 0o755, 0, 0, Folder),
    ("mounts/nodev/null", 0o666, 0, 0, Character(1, 3)),
];

/// What engines give by default, and what the checks of namespaces, leases and tracers need.
const CAPABILITIES: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_ADMIN",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
];

/// The family of checks that need a container which cannot mount.
pub(crate) const TRACED: &[&str] = &["traced"];

const MOUNTS: [(&str, &str); 4] = [("readonly", "ro"), ("nosuid", "nosuid"), ("noexec", "noexec"), ("nodev", "nodev")];

impl Stage {
    /// The words that tell this stage from the others.
    pub(crate) fn words(self) -> [&'static str; 3] {
        let user = match self.user {
            User::Root => "root",
            User::FewCapabilities => "few-capabilities",
            User::Plain => "user",
        };
        [
            user,
            if self.own_users { "own-users" } else { "host-users" },
            if self.on_overlay { "on-overlay" } else { "on-folder" },
        ]
    }

    /// A bundle that first does what is denied, and then runs the checks.
    pub(crate) fn bundle(self) -> Bundle {
        let script = format!(
            "cat /unrelated/file; /unrelated/program report= && echo executed; \
             mkdir /tmp/unrelated && echo made; echo BEGIN; exec /bin/semantics {}",
            self.families.join(" ")
        );
        let program = workload("semantics");
        let bundle = Bundle::new(&["sh", "-c", &script]).file(&program, "/bin/semantics");
        let folder = bundle.path().to_owned();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap(); // a mapped root must get in
        fs::create_dir(folder.join("mounts")).unwrap();
        self.populate(&folder, &program);
        let bundle = bundle.profile(profile()).edit(|spec| mount(spec, &folder.join("mounts")));
        let bundle = self.with_namespaces(self.with_user(bundle));
        if self.on_overlay { bundle.on_overlay() } else { bundle }
    }

    fn populate(self, folder: &Path, program: &Path) {
        let shift = if self.own_users { SHIFT } else { 0 };
        own(&folder.join("rootfs"), shift);
        for (path, mode, uid, gid, kind) in NODES {
            let path = folder.join(path);
            make(&path, *mode, kind, program);
            lchown(&path, Some(uid + shift), Some(gid + shift)).unwrap();
            set_mode(&path, *mode, kind);
        }
    }

    fn with_user(self, bundle: Bundle) -> Bundle {
        // What is traced is not held where the container might mount.
        let is_granted = |capability: &&&str| **capability != "CAP_SYS_ADMIN" || self.families != TRACED;
        let granted: Vec<_> = CAPABILITIES.iter().filter(is_granted).collect();
        let (uid, held) = match self.user {
            User::Root => (0, &*granted),
            User::FewCapabilities => return bundle,
            User::Plain => (USER, &[][..]),
        };
        bundle
            .set("/process/user", json!({"uid": uid, "gid": uid, "additionalGids": [GROUP]}))
            .set("/process/noNewPrivileges", json!(false))
            .set(
                "/process/capabilities",
                json!({"bounding": granted, "effective": held, "permitted": held, "inheritable": [], "ambient": []}),
            )
    }

    fn with_namespaces(self, bundle: Bundle) -> Bundle {
        if self.own_users { bundle.in_user_namespace(SHIFT, IDS) } else { bundle }
    }
}

/// Engines give containers a profile; without one the plain container would be the only one of the two without.
fn profile() -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
    })
}

fn make(path: &Path, mode: u32, kind: &Kind, program: &Path) {
    let device = |kind, major, minor| mknod(path, kind, Mode::from_bits_truncate(mode), makedev(major, minor)).unwrap();
    match kind {
        Folder => fs::create_dir(path).unwrap(),
        Text(text) => fs::write(path, text).unwrap(),
        Program => drop(fs::copy(program, path).unwrap()),
        Link(to) => symlink(to, path).unwrap(),
        Fifo => mkfifo(path, Mode::from_bits_truncate(mode)).unwrap(),
        Character(major, minor) => device(SFlag::S_IFCHR, *major, *minor),
        Block(major, minor) => device(SFlag::S_IFBLK, *major, *minor),
    }
}

/// After the owner, whose change takes set-user-id bits away.
fn set_mode(path: &Path, mode: u32, kind: &Kind) {
    if !matches!(kind, Link(_)) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}

/// Gives a tree to the root of the user namespace.
fn own(path: &Path, shift: u32) {
    lchown(path, Some(shift), Some(shift)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        let entries = fs::read_dir(path).unwrap();
        entries.for_each(|entry| own(&entry.unwrap().path(), shift));
    }
}

fn mount(spec: &mut Value, folder: &Path) {
    list(spec, "/mounts").extend(MOUNTS.map(|(name, option)| {
        json!({
            "destination": format!("/probe/{name}"),
            "type": "bind",
            "source": folder.join(name),
            "options": ["bind", option],
        })
    }));
}

fn list<'a>(spec: &'a mut Value, pointer: &str) -> &'a mut Vec<Value> {
    spec.pointer_mut(pointer).and_then(Value::as_array_mut).unwrap()
}
