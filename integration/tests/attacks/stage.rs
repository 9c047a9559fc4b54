// SPDX-License-Identifier: Apache-2.0
//! What the attack programs find in their container: see `workloads/attack.h`.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use integration::{Bundle, dynamic_workload, workload};
use serde_json::{Value, json};

/// What is forbidden on the stage.
pub(crate) const OPEN_RULES: &str = r"
- rule: secret opened
  desc: A file below /secret was opened, under whatever name.
  condition: >
    evt.type in (open, openat, openat2, creat)
    and (fd.name startswith /secret/ or fd.realpath startswith /secret/ or fd.realpath in (/secret/key, /secret/made))
  output: opened %fd.name %fd.realpath %evt.type
  priority: WARNING
  action: deny

- rule: guarded file written
  desc: A file below /guarded was opened for writing.
  condition: >
    evt.type in (open, openat, openat2, creat) and evt.is_open_write = true
    and (fd.name startswith /guarded/ or fd.realpath startswith /guarded/)
  output: wrote %fd.name %fd.realpath %evt.type
  priority: WARNING
  action: deny

- rule: owned file opened
  desc: The file of one program was opened by another.
  condition: >
    evt.type in (open, openat, openat2, creat) and fd.name = /owned/file and proc.exepath != /public/program
  output: opened %fd.name by %proc.exepath
  priority: WARNING
  action: deny

";

/// The same of executions.
pub(crate) const EXEC_RULES: &str = r"
- rule: banned program executed
  desc: A program or script below /banned or in memory was executed, or any program with a banned argument.
  condition: >
    evt.type in (execve, execveat)
    and (proc.exepath startswith /banned/ or proc.cmdline contains /banned/ or proc.args contains --banned
         or proc.is_exe_from_memfd = true)
  output: executed %proc.exepath %proc.cmdline
  priority: WARNING
  action: deny
";

/// What is forbidden to calls that open nothing.
pub(crate) const NAME_RULES: &str = r"
- rule: secret changed
  desc: A name below /secret was made, or a file there changed.
  condition: >
    evt.type in (link, linkat, rename, symlink, mkdir, mknod, chmod)
    and (fs.path.name startswith /secret/ or fs.path.source startswith /secret/ or fs.path.target startswith /secret/)
  output: changed %evt.type %fs.path.name %fs.path.source %fs.path.target
  priority: WARNING
  action: deny

- rule: secret connection
  desc: A connection to where nobody may connect to.
  condition: evt.type = connect and (fd.name endswith /secret/socket or fd.sport = 7777)
  output: connected %fd.name
  priority: WARNING
  action: deny
";

/// What is forbidden on an overlay.
pub(crate) const LAYER_RULES: &str = r"
- rule: banned program executed
  desc: A program was executed that the image does not have.
  condition: evt.type in (execve, execveat) and proc.is_exe_upper_layer = true
  output: executed %proc.exepath %proc.cmdline
  priority: WARNING
  action: deny
";

const FILES: [(&str, &str); 10] = [
    ("/secret/key", "the secret\n"),
    ("/secret/log", "text\n"),
    ("/secret/script", "#!/bin/sh\necho BANNED\n"),
    ("/public/key", "the decoy\n"),
    ("/public/log", "text\n"),
    ("/public/secret/key", "the decoy\n"),
    ("/guarded/file", "text\n"),
    ("/owned/file", "text\n"),
    ("/banned/script", "#!/bin/sh\necho BANNED\n"),
    ("/public/script", "#!/bin/sh\necho harmless\n"),
];

/// What nobody but root may touch.
const PRIVATE: &str = "/private/log";
/// The attack program once more, which makes root of whoever executes it.
const RAISED: &str = "/public/raised";

/// The host's number for root of the user namespaces here.
const FIRST_ID: u32 = 100_000;

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// What a privileged container's process may do, as far as the attacks make use of it.
const CAPABILITIES: [&str; 8] = [
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_KILL",
    "CAP_SYS_ADMIN",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
];

/// The container of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Root with few capabilities.
    Plain,
    /// Uid 1000 without any.
    User,
    /// Root of a user namespace.
    UserNamespace,
    /// Uid 1000 of a user namespace, without any.
    UserOfNamespace,
    /// Root with few capabilities, but `CAP_SYS_ADMIN`.
    Administrator,
    /// Root with the capabilities that attacks use, all devices, and no hidden or read-only paths.
    Privileged,
}

/// A bundle with the stage, in which `command` runs as the first process.
pub(crate) fn bundle(command: &[&str], setting: Setting) -> Bundle {
    let bundle = Bundle::new(command);
    for (name, text) in FILES {
        let place = bundle.inside(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, text).unwrap();
        open_up(place.parent().unwrap(), 0o777);
        open_up(&place, if text.starts_with("#!") { 0o755 } else { 0o666 });
    }
    let place = bundle.inside(PRIVATE);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, "text\n").unwrap();
    open_up(place.parent().unwrap(), 0o755);
    open_up(&place, 0o600);
    let program = command.first().unwrap();
    let name = Path::new(program).file_name().unwrap().to_str().unwrap();
    fs::create_dir_all(bundle.inside("/lib64")).unwrap();
    let bundle = bundle
        .file(&workload(name), program)
        .file(&workload("harmless"), "/public/program")
        .file(&workload("banned"), "/banned/program")
        .file(&workload(name), RAISED)
        .file(&dynamic_workload("loaded"), "/secret/loaded")
        .file(Path::new(LOADER), LOADER);
    open_up(&bundle.inside(RAISED), 0o4755);
    confined(bundle.set("/process/noNewPrivileges", json!(false)), setting)
}

/// The same without a namespace of processes.
pub(crate) fn sharing_processes(bundle: Bundle) -> Bundle {
    bundle.edit(|spec| {
        let namespaces = spec.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
        namespaces.unwrap().retain(|namespace| namespace.get("type") != Some(&json!("pid")));
    })
}

fn open_up(place: &Path, mode: u32) {
    fs::set_permissions(place, fs::Permissions::from_mode(mode)).unwrap();
}

fn confined(bundle: Bundle, setting: Setting) -> Bundle {
    match setting {
        Setting::Plain => bundle,
        Setting::Administrator => capable(bundle, &["CAP_KILL", "CAP_SYS_ADMIN"]),
        Setting::User => bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})),
        Setting::UserNamespace => in_user_namespace(bundle),
        Setting::UserOfNamespace => in_user_namespace(confined(bundle, Setting::User)),
        Setting::Privileged => {
            let bundle = ["maskedPaths", "readonlyPaths"]
                .iter()
                .fold(bundle, |bundle, member| bundle.set(&format!("/linux/{member}"), json!([])))
                .set("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}]));
            ["bounding", "effective", "permitted"]
                .iter()
                .fold(bundle, |bundle, set| bundle.set(&format!("/process/capabilities/{set}"), json!(CAPABILITIES)))
        }
    }
}

fn in_user_namespace(bundle: Bundle) -> Bundle {
    for (name, mode) in [("/private", 0o755), (PRIVATE, 0o600), (RAISED, 0o4755)] {
        let place = bundle.inside(name);
        chown(&place, Some(FIRST_ID), Some(FIRST_ID)).unwrap();
        open_up(&place, mode);
    }
    bundle.in_user_namespace(FIRST_ID, 65_536)
}

fn capable(bundle: Bundle, capabilities: &[&str]) -> Bundle {
    ["bounding", "effective", "permitted"]
        .iter()
        .fold(bundle, |bundle, set| bundle.set(&format!("/process/capabilities/{set}"), json!(capabilities)))
}
