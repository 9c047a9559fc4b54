// SPDX-License-Identifier: Apache-2.0
//! A container with an `AppArmor` profile: what the profile denies stays denied.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use integration::{
    Bundle, Kernel, Machine,
    Requirement::{self, Lanner, Program},
    skipped,
};
use serde_json::json;

/// As engines write theirs: files and mounts denied that would lead out, signals and tracing kept among its own tasks.
const PROFILE: &str = "
profile lanner-test flags=(attach_disconnected,mediate_deleted) {
  network,
  capability,
  file,
  umount,
  signal (receive) peer=unconfined,
  signal (send, receive) peer=lanner-test,
  ptrace (trace, tracedby, read, readby) peer=lanner-test,
  deny mount,
  deny /proc/sys/kernel/core_pattern w,
  deny /secret/** rwklx,
}
";

const RULES: &str = r"
- rule: opened
  desc: A file that must not be opened was.
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/forbidden
  output: opened %fd.name
  priority: NOTICE
- rule: removed
  desc: A file that must not be removed was.
  condition: evt.type in (unlink, unlinkat) and fs.path.name = /etc/forbidden
  output: removed %fs.path.name
  priority: NOTICE
";

const CALLS: &str = "
exec 2>&1
cat /proc/self/attr/current
cat /secret/key
rm /secret/key
echo changed >/proc/sys/kernel/core_pattern
cat /etc/hostname
cat /etc/forbidden
rm /etc/forbidden
";

/// Each container on an overlay of its own, as engines make them.
const SCRIPT: &str = "
cat /sys/module/apparmor/parameters/enabled
apparmor_parser --replace --skip-cache --config-file /dev/null /etc/apparmor.d/lanner-test || exit
for runtime in runc lanner-runtime lanner-runtime-enforce; do
    echo $runtime:
    folder=/run/$runtime
    mkdir -p $folder/rootfs $folder/upper $folder/work
    mount -t overlay -o lowerdir=/bundle/rootfs,upperdir=$folder/upper,workdir=$folder/work overlay $folder/rootfs
    cp /bundle/config.json $folder
    $runtime run --bundle $folder $runtime </dev/null
done
lanner logs | sed 's/^[^ ]* //'
";

/// What the profile does, whoever runs the container.
const CONFINED: &str = "lanner-test (enforce)
cat: can't open '/secret/key': Permission denied
rm: can't remove '/secret/key': Permission denied
sh: can't create /proc/sys/kernel/core_pattern: Permission denied
bundle
";

const ALERTS: &str = "Notice opened /etc/forbidden
Notice removed /etc/forbidden
Notice opened /etc/forbidden (denied: EPERM)
Notice removed /etc/forbidden (denied: EPERM)
";

const DENIED: &str = "cat: can't open '/etc/forbidden': Operation not permitted
rm: can't remove '/etc/forbidden': Operation not permitted
";

#[track_caller]
fn check(version: &'static str) {
    let kernel = Kernel(version);
    let programs = ["runc", "busybox", "apparmor_parser"].map(Program);
    if skipped(&programs) || skipped(&[Lanner, Requirement::Machine(kernel)]) {
        return;
    }
    let bundle = Bundle::new(&["sh", "-c", CALLS])
        .text("/secret/key", "hidden\n")
        .text("/etc/forbidden", "allowed\n")
        .set("/process/apparmorProfile", json!("lanner-test"))
        .set("/linux/readonlyPaths", json!([]));
    let machine = Machine::new(kernel).program("runc").program("apparmor_parser").lanner();
    let machine = machine
        .bundle(&bundle, "/bundle")
        .link("/usr/local/bin/lanner-runtime-enforce", "lanner-runtime")
        .text("/etc/apparmor.d/lanner-test", PROFILE)
        .text("/etc/lanner/lanner.yaml", "")
        .text("/etc/lanner/lanner_rules.local.yaml", RULES);
    let outcome = machine.run(SCRIPT);
    let runs = [("runc", "allowed\n"), ("lanner-runtime", "allowed\n"), ("lanner-runtime-enforce", DENIED)];
    let printed = runs.map(|(runtime, after)| format!("{runtime}:\n{CONFINED}{after}")).concat();
    assert_eq!((outcome.output, outcome.status), (format!("Y\n{printed}{ALERTS}"), 0));
}

integration::on_each_kernel!(check);
