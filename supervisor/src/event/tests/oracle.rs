// SPDX-License-Identifier: Apache-2.0
//! The calls that Falco watched (the live oracle), made again by the same program: fields must be the same.

use std::{
    collections::VecDeque,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value as Json;

use super::{
    context, event,
    stopped::{Stopped, shell},
    value,
};
use crate::event::tests::CallEvent;

/// Fields that do not depend on where the program runs.
#[rustfmt::skip]
const FIELDS: [&str; 38] = [
    "evt.type", "syscall.type", "evt.res", "evt.rawres", "evt.failed", "evt.category", "evt.is_open_read",
    "evt.is_open_write", "evt.is_open_exec", "evt.arg.flags", "evt.arg.name", "evt.arg.res", "evt.arg.mode", "evt.arg.exe",
    "fd.num", "fd.type", "fd.typechar", "fd.name", "fd.directory", "fd.filename", "fd.l4proto", "fd.is_server",
    "fd.connected", "fs.path.name", "fs.path.nameraw", "proc.name", "proc.exe", "proc.exepath", "proc.args", "proc.cmdline",
    "proc.cmdnargs", "proc.cmdlenargs", "proc.exeline", "proc.cwd", "proc.is_exe_from_memfd", "user.uid", "user.name",
    "user.homedir",
];

/// What we say otherwise, and why.
fn differs_on_purpose(field: &str, step: &str, event_type: &str) -> bool {
    match field {
        // Falco misses them.
        "fs.path.name" | "fs.path.nameraw" => event_type == "creat",
        // The number is assumed.
        "fd.num" | "evt.rawres" => event_type != "execve",
        // The file's mode is not that of Falco's run where a step is run alone.
        "evt.arg.flags" => step == "openat-create" || step == "exec-uid",
        _ => false,
    }
}

fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("LANNER_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    Some(root.join("falco/live"))
        .filter(|live| live.join("oracle.jsonl").exists() && Path::new("/bin/busybox").exists())
}

/// The container's root that the oracle ran in.
fn root(live: &Path) -> Option<tempfile::TempDir> {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for directory in ["bin", "etc", "proc", "dev", "tmp", "usr"] {
        fs::create_dir(at(directory)).unwrap();
    }
    fs::copy("/bin/busybox", at("bin/sh")).unwrap();
    fs::write(at("true.c"), "int main(void){return 0;}").unwrap();
    for (source, program) in [
        (live.join("doer.c"), "bin/doer"),
        (at("true.c"), "bin/true"),
        (at("true.c"), "bin/a-program-with-a-long-name"),
    ] {
        let arguments = ["-O1", "-static", "-w", "-o"];
        let built = Command::new("gcc").args(arguments).arg(at(program)).arg(source).status();
        built.ok().filter(std::process::ExitStatus::success)?;
    }
    fs::write(at("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n")
        .unwrap();
    fs::write(at("etc/group"), "root:x:0:\nalice:x:1000:\n").unwrap();
    fs::write(at("etc/shadow"), "root:*:1::::::\n").unwrap();
    fs::write(at("dev/null"), "").unwrap();
    fs::write(at("bin/script.sh"), "#!/bin/sh -e\nexit 0\n").unwrap();
    fs::set_permissions(at("bin/script.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/etc/shadow", at("tmp/link-to-shadow")).unwrap();
    symlink("/bin/true", at("tmp/link-to-true")).unwrap();
    Some(root)
}

/// The oracle's opens and execs of one step, without the exec that starts the step.
fn recorded(live: &Path, step: &str) -> VecDeque<Json> {
    let oracle = fs::read_to_string(live.join("oracle.jsonl")).unwrap();
    let lines = oracle.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let types = ["open", "openat", "openat2", "creat", "execve"];
    let fields = lines.filter(|line| line["step"] == step).map(|line| line["fields"].clone());
    fields.filter(|fields| types.contains(&fields["evt.type"].as_str().unwrap())).skip(1).collect()
}

fn compare(event: &CallEvent<'_>, expected: &Json, step: &str, root: &str, differences: &mut Vec<String>) {
    let event_type = expected["evt.type"].as_str().unwrap();
    let is_failed_exec = event_type == "execve" && expected["evt.failed"] == true;
    for field in FIELDS {
        // Of an exec that failed Falco shows the old program, we the one that was asked for.
        if differs_on_purpose(field, step, event_type)
            || (is_failed_exec && (field.starts_with("proc.") || field == "evt.arg.flags"))
        {
            continue;
        }
        let found = value(event, field).map(|found| {
            let text: String = found
                .utf8_chunks()
                .flat_map(|chunk| [chunk.valid(), if chunk.invalid().is_empty() { "" } else { "\u{fffd}" }])
                .collect();
            text.replace(root, "").replace(|letter: char| letter.is_control(), "\u{fffd}")
        });
        let expected = match &expected[field] {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        if found != expected {
            differences.push(format!("{step} {event_type} {field}: Falco {expected:?}, we {found:?}"));
        }
    }
}

#[test]
fn fields_are_those_that_falco_printed() {
    let Some((live, root)) = shared().and_then(|live| root(&live).map(|root| (live, root))) else {
        println!("skipped: needs the live oracle, gcc and a static busybox");
        return;
    };
    let steps = fs::read_to_string(live.join("steps")).unwrap();
    let mut differences = Vec::new();
    let mut compared = 0;
    for step in steps.split_whitespace() {
        let mut expected = recorded(&live, step);
        if expected.is_empty() {
            continue;
        }
        let path = root.path().to_str().unwrap();
        let mut command = shell(&format!("kill -STOP $$; exec chroot {path} /bin/doer {step}"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let is_watched = |arch, number, _: &[u64; 6]| match policy::lookup(arch, number) {
            Some(policy::Meaning::Call(syscall)) => policy::is_base(syscall.name),
            _ => false,
        };
        let mut stopped = Stopped::start(command, is_watched);
        let context = context();
        let mut inside = false;
        loop {
            let event = event(&context, &stopped);
            if inside {
                let Some(expected) = expected.pop_front() else { break };
                let result = expected["evt.rawres"].as_i64().unwrap();
                if result < 0 {
                    event.set_result(result);
                }
                compare(&event, &expected, step, path, &mut differences);
                compared += 1;
            }
            inside |= value(&event, "evt.arg.filename").as_deref() == Some(b"/bin/doer");
            if !stopped.advance(is_watched) {
                break;
            }
        }
        if !expected.is_empty() {
            differences.push(format!("{step}: {} events did not happen", expected.len()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared > 30, "{compared}");
}
