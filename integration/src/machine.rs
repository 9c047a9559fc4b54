// SPDX-License-Identifier: Apache-2.0
//! A machine of its own, with a kernel of its own, that runs one script as root.
//!
//! It has no disk and no network: what it needs is put into its first root filesystem before, and what it has to say comes
//! through its serial ports. Emulated, it takes some ten seconds to boot.

use std::{
    fs::{self, OpenOptions},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{Bundle, Kernel, binary, bundle::busybox, initramfs::Initramfs, requirement::find, text};

const INIT: &str = include_str!("../assets/init");
const PATIENCE: &str = "180"; // seconds; the emulation of a boot and three containers takes 20, on a busy box a multiple

/// What a machine is made of, before it boots.
#[derive(Debug)]
pub struct Machine {
    kernel: Kernel,
    folder: TempDir,
    root: Initramfs,
}

/// What a script did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it printed, on both streams, without bytes that are no text.
    pub output: String,
    /// Its exit status.
    pub status: i32,
}

impl Machine {
    /// A machine with busybox.
    #[track_caller]
    pub fn new(kernel: Kernel) -> Self {
        let folder = tempfile::Builder::new().prefix("lanner-machine-").tempdir().expect("cannot make a folder");
        let root = Initramfs::create(&folder.path().join("root")).expect("cannot make a root filesystem");
        let base = folder.path().join("base");
        busybox(&base);
        let machine = Self { kernel, folder, root }.tree(&base, "/");
        match kernel.overlay() {
            Some(module) => machine.file(&module, "/lib/overlay.ko"),
            None => machine,
        }
    }

    /// Puts a program of this machine where it lies here, and the libraries that it is linked with.
    #[must_use]
    #[track_caller]
    pub fn program(self, name: &str) -> Self {
        let program = find(name).unwrap_or_else(|| panic!("`{name}` is not installed"));
        let listed = Command::new("ldd").arg(&program).output().expect("cannot run ldd");
        let listed = text(&listed.stdout); // nothing for a static executable
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
        libraries.chain([program.as_path()]).fold(self, |machine, file| machine.with(|root| root.file(file, file)))
    }

    /// Puts `lanner` and `lanner-runtime` onto the search path.
    #[must_use]
    #[track_caller]
    pub fn lanner(self) -> Self {
        ["lanner", "lanner-runtime"].into_iter().fold(self, |machine, name| {
            let program = binary(name).unwrap_or_else(|| panic!("`{name}` is not built"));
            machine.file(&program, &format!("/usr/local/bin/{name}"))
        })
    }

    /// Puts a bundle into a folder.
    #[must_use]
    #[track_caller]
    pub fn bundle(self, bundle: &Bundle, inside: &str) -> Self {
        bundle.write();
        self.tree(bundle.path(), inside)
    }

    /// Copies a file.
    #[must_use]
    #[track_caller]
    pub fn file(self, host: &Path, inside: &str) -> Self {
        self.with(|root| root.file(Path::new(inside), host))
    }

    /// Writes a file.
    #[must_use]
    #[track_caller]
    pub fn text(self, inside: &str, content: &str) -> Self {
        self.with(|root| root.text(Path::new(inside), content))
    }

    /// Makes a symbolic link.
    #[must_use]
    #[track_caller]
    pub fn link(self, inside: &str, target: &str) -> Self {
        self.with(|root| root.link(Path::new(inside), Path::new(target)))
    }

    /// Copies a folder.
    #[must_use]
    #[track_caller]
    pub fn tree(self, host: &Path, inside: &str) -> Self {
        self.with(|root| root.tree(Path::new(inside), host))
    }

    /// Boots, runs a script with busybox' shell, and waits until the machine is off. A machine that ends without the
    /// script's status, or does not end, fails the test.
    #[track_caller]
    pub fn run(self, script: &str) -> Outcome {
        let Self { kernel, folder, root } = self.text("/script", script).text("/init", INIT);
        root.finish().expect("cannot end a root filesystem");
        let at = |name: &str| folder.path().join(name);
        let ports = ["console", "output", "status"].map(|name| format!("file:{}", at(name).display()));
        let status = Command::new("timeout")
            .args(["--signal=KILL", PATIENCE, "qemu-system-x86_64"])
            .args(processor())
            .args(["-smp", "2", "-m", "1024", "-no-user-config", "-nodefaults", "-no-reboot", "-display", "none"])
            .args(ports.iter().flat_map(|port| ["-serial", port]))
            .args(["-append", "console=ttyS0 quiet panic=-1", "-kernel"])
            .arg(kernel.image())
            .arg("-initrd")
            .arg(at("root"))
            .stdin(Stdio::null())
            .status()
            .expect("cannot start QEMU");
        let said = |name: &str| text(&fs::read(at(name)).unwrap_or_default());
        let (output, ended) = (said("output"), said("status").trim().parse());
        let Ok(code) = ended else {
            panic!("Linux {} ended without the script ({status}):\n{}\n{output}", kernel.0, said("console"))
        };
        Outcome { output, status: code }
    }

    #[track_caller]
    fn with(mut self, change: impl FnOnce(&mut Initramfs) -> std::io::Result<()>) -> Self {
        change(&mut self.root).expect("cannot fill a root filesystem");
        self
    }
}

/// The processor: the host's where it can be shared. A host that is a paravirtual guest itself can have `/dev/kvm` without
/// an extension for it, and runs no other kernel than its own there.
fn processor() -> [&'static str; 4] {
    let described = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let extended = described.split_whitespace().any(|word| ["vmx", "svm"].contains(&word));
    if extended && OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok() {
        return ["-accel", "kvm", "-cpu", "host"];
    }
    // QEMU 7.2 leaves senseless flags behind an emulated cmpxchg16b, and lets a processor that is emulated beside another one
    // run code that the other has changed: Linux 6.12 dies of either now and then. A fifth level of page tables costs time.
    ["-accel", "tcg,thread=single", "-cpu", "max,-cx16,-la57"]
}
