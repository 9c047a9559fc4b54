// SPDX-License-Identifier: Apache-2.0
//! A rule on an argument is about what the kernel makes of it, however it is spelled.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, skipped, text, workload,
};

const RULES: &str = "
- rule: spelled
  desc: A call with an argument that is denied.
  condition: >
    (evt.type in (sendto, sendmsg, sendmmsg) and fd.sport = 5353)
    or (evt.type = bind and fd.sport = 4444)
    or (evt.type = socket and evt.arg.domain = AF_PACKET)
    or (evt.type = ioctl and evt.arg.request = 541B)
    or (evt.type in (chmod, fchmod, fchmodat) and evt.rawarg.mode = 2541)
    or (evt.type in (chown, lchown, fchown) and evt.rawarg.uid = 1000)
    or (evt.type = setuid and evt.rawarg.uid = 1000)
    or (evt.type = setresuid and evt.rawarg.ruid = 1000)
    or (evt.type in (open, openat) and fd.name = /tmp/file and evt.arg.flags contains O_TRUNC)
    or (evt.type in (open, openat) and fd.name = /tmp/file and evt.is_open_read = true and evt.is_open_write = false)
    or (evt.type = connect and fd.sport = 5353)
    or (evt.type = execve and proc.args contains forbidden)
  output: denied %evt.type %evt.args
  priority: NOTICE
  action: deny
";

/// What is no spelling keeps the kernel's own error: an address of a connect that is not there (EFAULT), and one whose
/// length is too much for a register (EINVAL).
const RESULTS: &str = "sendmsg-long -1
sendmmsg-first -1
sendmmsg-last -1
sendto-write-only -1
open-write-only -1
sendto-none -1
open-none -14
connect-nowhere -14
sendto-too-long -22
bind-unspecified -1
packets -1
packets-cloexec -1
ioctl -1
chmod -1
chmod-of-kind -1
fchmod -1
fchmodat -1
chown -1
lchown -1
fchown -1
emptied -1
for-neither -1
owner 0 mode 644
setuid -1
setresuid -1
exec-long-name -1
";

#[test]
fn a_denied_argument_is_denied_however_it_is_spelled() {
    for runtime in [LowLevel::Runc, LowLevel::Crun] {
        if skipped(&[Root, Requirement::Lanner, Program(runtime.name()), Program("gcc")]) {
            continue;
        }
        let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
        let bundle = Bundle::new(&["/bin/spelled"]).file(&workload("spelled"), "/bin/spelled");
        let output = Container::run(&lanner.engine(), &bundle);
        assert_eq!(text(&output.stdout), RESULTS, "{}", text(&output.stderr));
        // The address in memory that nobody can look at is in no alert.
        let denied = RESULTS.lines().filter(|line| line.ends_with(" -1")).count();
        assert_eq!(lanner.alerts_of("spelled").len(), denied - 1);
        lanner.expect_nothing_left();
    }
}
