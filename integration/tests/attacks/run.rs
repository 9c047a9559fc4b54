// SPDX-License-Identifier: Apache-2.0
//! One attack in one container: what it is told, what it says.

use std::{
    fmt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use integration::{Alert, Bundle, Container, Engine, Lanner, LowLevel, binary, text, wait_for};
use serde_json::{Value, json};

use crate::{
    attack::{Attack, Manner, Subject},
    stage,
};

const WATCHED: [&str; 6] = ["execve", "execveat", "open", "openat", "openat2", "creat"];
const ALSO_WATCHED: [&str; 8] = ["link", "linkat", "rename", "symlink", "mkdir", "mknod", "chmod", "connect"];

/// How long an attack tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) duration: Duration,
    /// The success after which it stops; 0 for never.
    pub(crate) enough: u32,
}

/// What an attack says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) attempts: u64,
    pub(crate) successes: u64,
    pub(crate) decoys: u64,
    /// Why the kernel does not let it be tried.
    unavailable: Option<String>,
}

impl Score {
    fn parse(said: &str) -> Option<Self> {
        let line = said.lines().last()?;
        if let Some(reason) = line.strip_prefix("unavailable: ") {
            return Some(Self { attempts: 0, successes: 0, decoys: 0, unavailable: Some(reason.to_owned()) });
        }
        let mut numbers = line.split(' ').map(|word| word.split_once('='));
        let mut number = |wanted: &str| {
            let (name, value) = numbers.next()??;
            (name == wanted).then(|| value.parse().ok())?
        };
        Some(Self {
            attempts: number("attempts")?,
            successes: number("successes")?,
            decoys: number("decoys")?,
            unavailable: None,
        })
    }

    /// Whether the kernel let the attack try.
    pub(crate) fn is_available(&self) -> bool {
        self.unavailable.is_none()
    }
}

impl fmt::Display for Score {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, successes, decoys, unavailable } = self;
        match unavailable {
            Some(reason) => write!(formatter, "skipped, {reason}"),
            None => write!(formatter, "{successes} successes and {decoys} decoys in {attempts} attempts"),
        }
    }
}

/// Runs an attack against the checker that answers *continue*.
pub(crate) fn against_naive(attack: &Attack, manner: Manner, effort: Effort) -> Result<Score, String> {
    let state = tempfile::tempdir().expect("cannot make the runtime's folder");
    let bundle = bundle(attack, effort);
    let socket = bundle.path().join("listener");
    let mut server = serve(&socket, manner);
    let output =
        Container::run(&Engine::direct(LowLevel::Runc, state.path()), &bundle.profile(profile(&socket, attack)));
    let score = score(&output);
    if score.is_err() {
        server.kill().expect("cannot end the naive checker"); // it may still wait for the runtime
    }
    server.wait().expect("cannot wait for the naive checker");
    score
}

/// Runs an attack against Lanner.
pub(crate) fn against_lanner(attack: &Attack, lanner: &Lanner, effort: Effort) -> Result<Score, String> {
    let bundle = bundle(attack, effort);
    if !attack.shares_processes {
        return score(&Container::run(&lanner.engine(), &bundle));
    }
    // A namespace of processes of their own, so that no other process of this machine is attacked.
    let engine = lanner.engine().wrapped(&["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    score(&Container::run(&engine, &stage::sharing_processes(bundle)))
}

/// How many alerts `wanted` holds of.
pub(crate) fn count(lanner: &Lanner, wanted: impl Fn(&Alert) -> bool) -> u64 {
    let mut count = 0;
    lanner.each_alert(|alert| count += u64::from(wanted(&alert)));
    count
}

fn bundle(attack: &Attack, effort: Effort) -> Bundle {
    let mut words = attack.command.split(' ');
    let program = format!("/bin/{}", words.next().unwrap_or_default());
    let (seconds, enough) = (effort.duration.as_secs_f64().to_string(), effort.enough.to_string());
    let command: Vec<&str> = [program.as_str(), &seconds, &enough].into_iter().chain(words).collect();
    let bundle = stage::bundle(&command, attack.setting);
    if attack.subject == Subject::Layers { bundle.on_overlay() } else { bundle }
}

fn score(output: &Output) -> Result<Score, String> {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    // What runc says if the group of a program that was just held is still there when the container ends.
    let is_strange = |line: &&str| !line.contains("Failed to remove cgroup (will retry)");
    let stderr: String = stderr.lines().filter(is_strange).collect();
    let score = Score::parse(&stdout)
        .filter(|score| output.status.success() && stderr.is_empty() && (score.attempts > 0 || !score.is_available()));
    score.ok_or_else(|| format!("does not run, {}: {stdout}{stderr}", output.status))
}

fn serve(socket: &Path, manner: Manner) -> Child {
    let manner = match manner {
        Manner::Text => "text",
        Manner::Resolving => "resolving",
    };
    let mut command = Command::new(binary("naive").expect("`naive` is not built"));
    let child = command.arg(socket).arg(manner).stdin(Stdio::null()).spawn().expect("cannot start the naive checker");
    wait_for("the naive checker's socket", Duration::from_secs(10), || socket.exists().then_some(()));
    child
}

/// Notifies what Lanner watches for the rules of the attack.
fn profile(socket: &Path, attack: &Attack) -> Value {
    let also: &[&str] = if attack.subject == Subject::Names { &ALSO_WATCHED } else { &[] };
    let names = [&WATCHED, also].concat();
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "listenerPath": socket,
        "syscalls": [{ "names": names, "action": "SCMP_ACT_NOTIFY" }],
    })
}
