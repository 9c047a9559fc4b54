// SPDX-License-Identifier: Apache-2.0
//! The oldest kernel that Lanner promises to run on, and newer ones: alerts in audit mode, denials in enforce mode.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use integration::{
    Bundle, Kernel, Machine,
    Requirement::{self, Lanner, Program},
    skipped, workload,
};

const RULES: &str = r"
- rule: opened
  desc: A file that must not be opened was.
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/secret
  output: opened %fd.name
  priority: NOTICE
- rule: executed
  desc: A program that must not be executed was.
  condition: evt.type in (execve, execveat) and (proc.exepath startswith /banned or proc.args contains --banned)
  output: executed %proc.exepath
  priority: NOTICE
- rule: dropped
  desc: A program that the image does not have was executed.
  condition: evt.type in (execve, execveat) and proc.is_exe_upper_layer = true
  output: dropped %proc.exepath
  priority: NOTICE
";

const CALLS: &str = "
exec 2>&1
cat /etc/secret
cat /etc/hostname
/banned/echo banned
/allowed/echo allowed
if true </proc/self/mem; then echo own memory; fi
cp /bin/busybox /tmp/echo
/tmp/echo dropped
cat /bin/busybox >/changed/echo
/changed/echo changed
exit 0
";

/// An installation with the configuration's defaults, and a container in each mode on an overlay, as engines make them, with
/// whole names of its layers and with ones that begin at a directory above, where a process may trace its own children only,
/// and where a hundred other containers have overlays of many layers.
const SCRIPT: &str = "
cd / || exit
echo 1 >/proc/sys/kernel/yama/ptrace_scope || exit
uname -r | cut -d . -f 1,2
name=$(printf %0200d 0)
layers=
for layer in $(seq 18); do
    mkdir -p others/$name$layer
    layers=$layers:/others/$name$layer
done
for other in $(seq 100); do
    mkdir others/m$other
    mount -t overlay -o lowerdir=${layers#:} overlay others/m$other || exit
done
for mode in audit enforce; do
    echo $mode:
    [ $mode = audit ] && start=/ || start=
    folder=run/$mode
    mkdir -p $folder/rootfs $folder/upper $folder/work
    options=lowerdir=${start}bundle/rootfs,upperdir=$start$folder/upper,workdir=$start$folder/work
    mount -t overlay -o $options overlay $folder/rootfs
    cp /bundle/config.json $folder
    lanner-runtime --lanner-mode $mode run --bundle /$folder $mode </dev/null || exit
    lanner logs | sed 's/^[^ ]* /  /'
    rm /var/log/lanner/events.jsonl
done
echo traced:
lanner-runtime --lanner-mode enforce run --bundle /traced traced </dev/null
lanner-runtime --lanner-mode enforce run --bundle /raced raced </dev/null | sed 's/^attempts=[0-9]* //; s/=[1-9][0-9]*/=some/g'
";

const SEEN: &str = "audit:
hidden
bundle
banned
allowed
own memory
dropped
changed
  Notice opened /etc/secret
  Notice executed /banned/echo
  Notice dropped /tmp/echo
  Notice dropped /changed/echo
enforce:
cat: can't open '/etc/secret': Operation not permitted
bundle
sh: /banned/echo: Operation not permitted
allowed
own memory
sh: /tmp/echo: Operation not permitted
sh: /changed/echo: Operation not permitted
  Notice opened /etc/secret (denied: EPERM)
  Notice executed /banned/echo (denied: EPERM)
  Notice dropped /tmp/echo (denied: EPERM)
  Notice dropped /changed/echo (denied: EPERM)
traced:
killed
successes=0 decoys=some
";

#[track_caller]
fn check(version: &'static str) {
    let kernel = Kernel(version);
    if skipped(&[Lanner, Program("runc"), Program("busybox"), Requirement::Machine(kernel)]) {
        return;
    }
    let bundle = Bundle::new(&["sh", "-c", CALLS]).text("/etc/secret", "hidden\n");
    let busybox = bundle.inside("/bin/busybox");
    let bundle = bundle.file(&busybox, "/banned/echo").file(&busybox, "/allowed/echo").file(&busybox, "/changed/echo");
    // What a task executes that its parent traces.
    let traced = Bundle::new(&["/bin/retraced", "same"]).file(&workload("retraced"), "/bin/retraced");
    let raced =
        Bundle::new(&["/bin/attack_exec", "3", "0", "traced"]).file(&workload("attack_exec"), "/bin/attack_exec");
    let raced = raced.file(&workload("harmless"), "/public/program").file(&workload("banned"), "/banned/program");
    let machine = Machine::new(kernel)
        .program("runc")
        .lanner()
        .bundle(&bundle, "/bundle")
        .bundle(&traced, "/traced")
        .bundle(&raced, "/raced")
        .text("/etc/lanner/lanner.yaml", "")
        .text("/etc/lanner/lanner_rules.local.yaml", RULES);
    let outcome = machine.run(SCRIPT);
    assert_eq!((outcome.output, outcome.status), (format!("{version}\n{SEEN}"), 0));
}

integration::on_each_kernel!(check);
