// SPDX-License-Identifier: Apache-2.0
//! The container of the recording, made as its own script makes it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use integration::{Bundle, foreign_workload};
use serde_json::json;

/// The id that the recording's rule names.
pub(crate) const ID: &str = "abcdef0123450000000000000000000000000000000000000000000000000000";
const TEXTS: [(&str, &str); 6] = [
    ("/bin/script.sh", "#!/bin/sh -e\nexit 0\n"),
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n"),
    ("/etc/group", "root:x:0:\nalice:x:1000:\n"),
    ("/etc/shadow", "root:*:1::::::\n"),
    ("/usr/.keep", ""),
    ("/tmp/.keep", ""),
];
const LINKS: [(&str, &str); 2] = [("/etc/shadow", "/tmp/link-to-shadow"), ("/bin/true", "/tmp/link-to-true")];
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// The bundle; `live` is the recording's folder.
pub(crate) fn bundle(live: &Path) -> Bundle {
    let bundle = Bundle::bare(&["/bin/sh", "/bin/all.sh"])
        .file(Path::new("/bin/busybox"), "/bin/sh")
        .file(&foreign_workload(&live.join("doer.c")), "/bin/doer")
        .file(&integration::workload("nothing"), "/bin/true")
        .file(&integration::workload("nothing"), "/bin/a-program-with-a-long-name")
        .text("/bin/all.sh", &script(live));
    let bundle = TEXTS.iter().fold(bundle, |bundle, (path, content)| bundle.text(path, content));
    for program in ["/bin/all.sh", "/bin/script.sh"] {
        fs::set_permissions(bundle.inside(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(bundle.inside("/tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    for (target, link) in LINKS {
        symlink(target, bundle.inside(link)).unwrap();
    }
    let sets = ["bounding", "effective", "permitted", "inheritable"];
    bundle
        .set("/process/capabilities", sets.iter().map(|set| ((*set).to_owned(), json!(CAPABILITIES))).collect())
        .set("/process/env", json!(["PATH=/bin", "HOME=/root", "LIVE=1"]))
        .set("/process/noNewPrivileges", json!(false))
        .set("/process/rlimits", json!([]))
        .set("/linux/cgroupsPath", json!(format!("/docker/{ID}")))
        .named("live")
}

/// One execution of the recording's program per step.
fn script(live: &Path) -> String {
    let steps = fs::read_to_string(live.join("steps")).unwrap();
    let lines = steps.split_whitespace().map(|step| format!("/bin/doer {step}\n"));
    ["#!/bin/sh\ncd /\n".to_owned()].into_iter().chain(lines).collect()
}
