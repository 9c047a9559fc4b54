// SPDX-License-Identifier: Apache-2.0
//! What a container's own configuration must not bring about: that rules which deny are not asked.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module")]

use integration::{
    Bundle, Container, Lanner, LowLevel,
    Requirement::{self, Program, Root},
    Settings, skipped, text,
};
use serde_json::{Value, json};

const RULES: &str = "
- rule: secret
  desc: The file that nobody may read was opened.
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow
  output: opened %fd.name
  priority: NOTICE
  action: deny
";

/// Runs `cat /etc/shadow` in enforce mode, and expects that it is denied; or that the container does not start, with
/// these words.
#[track_caller]
fn check(runtime: LowLevel, refusal: Option<&str>, spoil: impl FnOnce(Bundle) -> Bundle) {
    if skipped(&[Root, Requirement::Lanner, Program(runtime.name())]) {
        return;
    }
    let lanner = Lanner::new(&Settings::enforce(RULES).under(runtime));
    let bundle = spoil(Bundle::new(&["sh", "-c", "echo started; cat /etc/shadow"]));
    let output = Container::run(&lanner.engine(), &bundle);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let told = format!("{}: {stdout}{stderr}", output.status);
    if let Some(words) = refusal {
        assert!(stdout.is_empty() && stderr.contains(words), "{told}");
    } else {
        assert_eq!(stdout, "started\n", "{told}");
        assert!(stderr.contains("Operation not permitted"), "{told}");
        assert_eq!(lanner.alerts_of("secret").len(), 1, "{told}");
    }
    lanner.expect_nothing_left();
}

#[test]
fn a_filter_in_an_annotation_of_crun() {
    let allow_all = "BgAAAAAA/38="; // base64 of one instruction, which returns SECCOMP_RET_ALLOW
    let name = "run.oci.seccomp_bpf_data";
    check(LowLevel::Crun, Some(name), |bundle| bundle.annotation(name, allow_all));
    check(LowLevel::Runc, None, |bundle| bundle.annotation(name, allow_all));
}

#[test]
fn a_profile_that_runc_takes_for_none() {
    for default in [json!(""), Value::Null] {
        let profile = json!({"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64"]});
        check(LowLevel::Runc, None, |bundle| bundle.profile(profile));
    }
}

#[test]
fn a_member_that_only_runc_reads() {
    let allow_all = json!({"defaultAction": "SCMP_ACT_ALLOW"});
    let spoil = |bundle: Bundle| bundle.profile(allow_all).set("/linux/Seccomp", Value::Null);
    check(LowLevel::Runc, Some("Seccomp"), spoil);
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "DefaultAction": "SCMP_ACT_ALLOW"});
    check(LowLevel::Runc, Some("DefaultAction"), |bundle| bundle.profile(profile));
}
