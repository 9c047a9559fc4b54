// SPDX-License-Identifier: Apache-2.0
//! What a test needs of the machine, and the printed reason where it is missing.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    ptr,
};

use nix::unistd::{SysconfVar, sysconf};

use crate::{Kernel, binary, bundle::assets};

/// Something a test cannot run without.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Requirement {
    /// Root with the right to mount: containers are made.
    Root,
    /// A program on the search path.
    Program(&'static str),
    /// A kernel with file systems that are served by programs.
    Fuse,
    /// A kernel in which programs can confine themselves by Landlock.
    Landlock,
    /// A host that has both versions of control groups, as systemd's hybrid mode.
    HybridCgroups,
    /// A small guest whose idle CPUs halt at once.
    HaltingCpus,
    /// A kernel to boot, and QEMU to boot it in.
    Machine(Kernel),
    /// `lanner` and `lanner-runtime`, built beside the test.
    Lanner,
}

/// Whether the calling test must be skipped; prints why, and notes it in `target/skipped.txt`, as a runner may swallow
/// the output of a test that passes. With `LANNER_SKIP=never` a missing piece fails the test instead.
#[track_caller]
pub fn skipped(requirements: &[Requirement]) -> bool {
    let Some(reason) = requirements.iter().find_map(|requirement| requirement.missing()) else { return false };
    assert!(env::var_os("LANNER_SKIP").is_none_or(|skip| skip != "never"), "cannot run: {reason}");
    note_skipped(&reason);
    true
}

/// The folder of Falco's rule files and recordings, which are no part of this repository: `shared/falco` beside it, or
/// below `LANNER_SHARED`. Without it the calling test must be skipped; prints so.
pub fn falco_files() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = env::var_os("LANNER_SHARED").map_or(beside, PathBuf::from).join("falco");
    if folder.is_dir() {
        return Some(folder);
    }
    note_skipped(&format!("no folder of Falco's files at {}", folder.display()));
    None
}

fn note_skipped(reason: &str) {
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    eprintln!("skipped {test}: {reason}");
    let noted = OpenOptions::new()
        .create(true)
        .append(true)
        .open(assets().join("skipped.txt"))
        .and_then(|mut file| file.write_all(format!("{test}: {reason}\n").as_bytes()));
    noted.expect("cannot note the skipped test");
}

impl Requirement {
    fn missing(self) -> Option<String> {
        match self {
            Self::Root => (!can_mount()).then(|| "needs root with the right to mount".to_owned()),
            Self::Program(name) => find(name).is_none().then(|| format!("`{name}` is not installed")),
            Self::Fuse => {
                OpenOptions::new().read(true).open("/dev/fuse").err().map(|error| format!("no /dev/fuse: {error}"))
            }
            Self::Landlock => (!has_landlock()).then(|| "the kernel has no Landlock".to_owned()),
            Self::HybridCgroups => {
                let unified = Path::new("/sys/fs/cgroup/unified/cgroup.procs");
                (!unified.exists()).then(|| "control groups are of one version".to_owned())
            }
            Self::HaltingCpus => (!has_halting_cpus()).then(|| "idle CPUs do not halt at once, or are many".to_owned()),
            Self::Machine(kernel) => {
                let image = kernel.image();
                let without = || format!("no kernel at {}; scripts/install-kernels unpacks it", image.display());
                Self::Program("qemu-system-x86_64").missing().or_else(|| (!image.exists()).then(without))
            }
            Self::Lanner => ["lanner", "lanner-runtime"]
                .into_iter()
                .find(|name| binary(name).is_none())
                .map(|name| format!("`{name}` is not built")),
        }
    }
}

/// As `supervisor/src/wake_ups.rs` decides.
fn has_halting_cpus() -> bool {
    let is = |path: &str, expected: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == expected);
    let cpus = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    Path::new("/dev/cpu_dma_latency").exists()
        && is("/sys/devices/system/cpu/cpuidle/current_driver", "haltpoll")
        && is("/sys/module/haltpoll/parameters/guest_halt_poll_ns", "0")
        && cpus.is_some_and(|cpus| cpus <= 8)
}

fn can_mount() -> bool {
    let probe = Command::new("unshare").args(["-m", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    nix::unistd::geteuid().is_root() && probe.is_ok_and(|status| status.success())
}

/// Asks for the version alone (`landlock_create_ruleset(2)`).
const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;

/// Whether the kernel has Landlock, and it is not switched off.
#[expect(unsafe_code, reason = "the call has no safe wrapper")]
fn has_landlock() -> bool {
    // SAFETY: with this flag and no ruleset the kernel reads no memory of ours.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0_usize, LANDLOCK_CREATE_RULESET_VERSION)
    };
    version > 0
}

/// The program called `name`, looked for where root's programs are even if the caller's path lacks them.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|file| Path::is_file(file))
}
