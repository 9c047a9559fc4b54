// SPDX-License-Identifier: Apache-2.0
//! What happens when something is wrong: docs/deployment.md's table, and what passes through untouched.
//!
//! `true`, `false` and `env` stand for the low-level runtime where a case must not depend on one being installed.

#[cfg(test)]
mod tests {
    use std::{
        ffi::{OsStr, OsString},
        fs,
        os::unix::{
            ffi::OsStrExt,
            fs::{PermissionsExt, symlink},
        },
        path::{Path, PathBuf},
        process::{Command, Output},
    };

    use tempfile::TempDir;

    const SHIM: &str = env!("CARGO_BIN_EXE_lanner-runtime");

    /// A node with a configuration and a bundle.
    struct Node(TempDir);

    impl Node {
        fn new(config: &str, spec: &str) -> Self {
            let node = Self(tempfile::tempdir().unwrap());
            fs::write(node.path("lanner.yaml"), config.replace("DIR", node.0.path().to_str().unwrap())).unwrap();
            fs::create_dir(node.path("bundle")).unwrap();
            if !spec.is_empty() {
                fs::write(node.path("bundle/config.json"), spec).unwrap();
            }
            node
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn run<A: AsRef<OsStr>>(&self, shim: &Path, runtime: &str, arguments: &[A]) -> Output {
            Command::new(shim)
                .args(arguments)
                .current_dir(self.path("bundle"))
                .env("LANNER_CONFIG", self.path("lanner.yaml"))
                .env("LANNER_RUNTIME", runtime)
                .output()
                .unwrap()
        }

        fn create(&self, mode: &str, runtime: &str) -> (Option<i32>, String) {
            self.start("create", mode, runtime)
        }

        fn start(&self, command: &str, mode: &str, runtime: &str) -> (Option<i32>, String) {
            let log = self.path("log.json");
            let flag = format!("--lanner-mode={mode}");
            let arguments = [&flag, "--log", log.to_str().unwrap(), "--log-format", "json", command, "c1"];
            let output = self.run(Path::new(SHIM), runtime, &arguments);
            let log = fs::read_to_string(log).unwrap_or_default();
            let message = log.lines().last().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let message = message.map(|line| format!("{}: {}", line["level"], line["msg"]).replace('"', ""));
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(message.is_some(), !stderr.is_empty(), "both or neither: {stderr}");
            (output.status.code(), message.unwrap_or_default())
        }
    }

    /// The cause is reported; audit starts the container (`true` exits with 0), enforce does not.
    #[track_caller]
    fn check(config: &str, spec: &str, modes: [&str; 2], cause: &str) {
        for (mode, is_open) in [("audit", modes[0] == "open"), ("enforce", modes[1] == "open")] {
            let node = Node::new(config, spec);
            let (code, message) = node.create(mode, "true");
            assert_eq!(code, Some(i32::from(!is_open)), "{mode}: {message}");
            let cause = cause.replace("DIR", node.0.path().to_str().unwrap());
            let expected = match (is_open, cause.is_empty()) {
                (_, true) => String::new(),
                (true, false) => format!("warning: the container is not supervised: {cause}"),
                (false, false) => format!("error: cannot supervise the container: {cause}"),
            };
            assert!(message.starts_with(&expected) && message.is_empty() == cause.is_empty(), "{mode}: {message}");
            let left = fs::read(node.path("bundle/config.json")).unwrap_or_default();
            assert_eq!(left, spec.as_bytes(), "the bundle must stay as it was");
            assert!(!node.path("run/c1").exists());
        }
    }

    const CONFIG: &str = "run_dir: DIR/run\nlanner: DIR/lanner\n";

    #[test]
    fn a_container_without_supervision_starts_in_audit_mode_only() {
        let both = ["open", "closed"];
        check(CONFIG, "{}", both, "cannot find the executable `DIR/lanner`");
        check("run_dir: DIR/run\nlanner: /bin/true\n", "{}", both, "the guard ended without an answer");
        check("run_dir: DIR/run\nlanner: /bin/echo\n", "{}", both, "cannot parse the guard's answer: ");
        check("run_dir: DIR/lanner.yaml/x\n", "{}", both, "cannot make the directory `DIR/lanner.yaml/x`: Not a dir");
        check(CONFIG, "{", both, "cannot parse `DIR/bundle/config.json`: EOF while parsing");
        let profile = r#"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x.sock"}}}"#;
        let cause = "the container's seccomp profile already has the listener `/x.sock`, which leaves no room for";
        check(CONFIG, profile, both, cause);
        for (spec, member) in [
            (r#"{"linux":{"seccomp":null,"Seccomp":null}}"#, "Seccomp"),
            (r#"{"linux":{},"LINUX":{}}"#, "LINUX"),
            (r#"{"Annotations":{}}"#, "Annotations"),
        ] {
            let cause = format!("`{member}` in `DIR/bundle/config.json` is spelt in another way");
            check(CONFIG, spec, both, &cause);
        }
        let profile =
            r#"{"linux":{"seccomp":{"defaultAction":"","syscalls":[{"names":["open"],"action":"SCMP_ACT_LOG"}]}}}"#;
        check(CONFIG, profile, both, "`defaultAction` of the container's seccomp profile is not the name of an action");
        let long = format!("run_dir: DIR/{}\n", "x".repeat(100));
        check(&long, "{}", both, "the listener socket's path `DIR/xxx");
    }

    #[test]
    fn annotations_that_take_a_container_out_of_our_sight_are_no_way_around_enforcement() {
        for (name, effect) in [
            ("run.oci.seccomp_bpf_data", "load a filter of its own in place of the profile"),
            ("run.oci.seccomp.plugins", "give the listener to plug-ins"),
            ("run.oci.handler", "run the container without executing a program"),
            ("module.wasm.image/variant", "run the container without executing a program"),
        ] {
            let spec = format!(r#"{{"annotations":{{"{name}":"wasm"}}}}"#);
            check(CONFIG, &spec, ["open", "closed"], &format!("the annotation `{name}` makes crun {effect}"));
        }
        // These change nothing of what is notified to whom.
        for name in ["run.oci.keep_original_groups", "run.oci.seccomp.receiver", "run.oci.seccomp_fail_unknown_syscall"]
        {
            let spec = format!(r#"{{"annotations":{{"{name}":"1"}}}}"#);
            check(CONFIG, &spec, ["open", "closed"], "cannot find the executable `DIR/lanner`");
        }
    }

    #[test]
    fn a_restored_container_is_not_taken_for_a_supervised_one() {
        let cause = "a restored container has the seccomp filters of its checkpoint, and no listener for them";
        for (mode, told) in [
            ("audit", (Some(0), format!("warning: the container is not supervised: {cause}"))),
            ("enforce", (Some(1), format!("error: cannot supervise the container: {cause}"))),
        ] {
            let node = Node::new(CONFIG, "{}");
            assert_eq!(node.start("restore", mode, "true"), told);
            assert_eq!(fs::read(node.path("bundle/config.json")).unwrap(), b"{}");
            assert!(!node.path("run").exists());
        }
        let asking = Node::new(CONFIG, r#"{"annotations":{"lanner.dev/mode":"enforce"}}"#);
        assert_eq!(asking.start("restore", "audit", "true").0, Some(1));
    }

    #[test]
    fn annotations_of_crun_mean_nothing_to_runc() {
        let node = Node::new(CONFIG, r#"{"annotations":{"run.oci.seccomp_bpf_data":"BgAAAAAA/38="}}"#);
        let runc = node.path("low-level");
        fs::write(&runc, "#!/bin/sh\necho runc version 1.1.5\n").unwrap();
        fs::set_permissions(&runc, fs::Permissions::from_mode(0o755)).unwrap();
        let (_, message) = node.create("audit", runc.to_str().unwrap());
        assert!(message.contains("cannot find the executable"), "the container must be supervised: {message}");
    }

    #[test]
    fn what_may_ask_for_enforcement_is_not_taken_for_audit() {
        let closed = ["closed", "closed"];
        check("mode: enforced\n", "{}", closed, "cannot parse the configuration `DIR/lanner.yaml`: ");
        let annotation = r#"{"annotations":{"lanner.dev/mode":"Enforce"}}"#;
        check(CONFIG, annotation, closed, "the annotation `lanner.dev/mode` is `Enforce`: use audit or enforce");
        check(&format!("mode: enforce\n{CONFIG}"), "{}", closed, "cannot find the executable `DIR/lanner`");
        let annotation = r#"{"annotations":{"lanner.dev/mode":"enforce"}}"#;
        check(CONFIG, annotation, closed, "cannot find the executable `DIR/lanner`");
    }

    #[test]
    fn an_annotation_does_not_loosen_the_mode() {
        let annotation = r#"{"annotations":{"lanner.dev/mode":"audit"}}"#;
        check(CONFIG, annotation, ["open", "closed"], "cannot find the executable `DIR/lanner`");
    }

    #[test]
    fn the_name_of_the_executable_asks_for_enforcement() {
        let node = Node::new(CONFIG, "{}");
        let enforcing = node.path("lanner-runtime-enforce");
        symlink(SHIM, &enforcing).unwrap();
        assert_eq!(node.run(&enforcing, "true", &["create", "c1"]).status.code(), Some(1));
        assert_eq!(node.run(Path::new(SHIM), "true", &["create", "c1"]).status.code(), Some(0));
    }

    #[test]
    fn a_missing_configuration_is_as_bad_as_any_other_cause() {
        let node = Node::new("", "{}");
        fs::remove_file(node.path("lanner.yaml")).unwrap();
        let (code, message) = node.create("audit", "true");
        assert_eq!(code, Some(0));
        assert!(message.starts_with("warning: the container is not supervised: cannot read the configuration"));
        assert_eq!(node.create("enforce", "true").0, Some(1));
    }

    #[test]
    fn a_bundle_without_a_configuration_is_left_to_the_runtime() {
        check(CONFIG, "", ["open", "open"], "");
    }

    #[test]
    fn without_a_low_level_runtime_nothing_runs() {
        for runtime in ["/nonexistent/runc", SHIM] {
            let (code, message) = Node::new(CONFIG, "{}").create("audit", runtime);
            assert_eq!(code, Some(1));
            let expected = format!("error: `LANNER_RUNTIME` is `{runtime}`, which is not an executable file");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    #[test]
    fn an_unknown_mode_on_the_command_line_is_refused() {
        let (code, message) = Node::new(CONFIG, "{}").create("off", "true");
        assert_eq!(
            (code, message.as_str()),
            (Some(1), "error: bad value of --lanner-mode: not a mode: use audit or enforce")
        );
    }

    #[test]
    fn other_commands_reach_the_runtime_byte_for_byte_whatever_the_configuration() {
        let node = Node::new("mode: [", "{}");
        let raw = OsStr::from_bytes(b"--process=\xff\n ");
        // `env printf FORMAT ARGUMENTS..`: the runtime prints what it got.
        let arguments: Vec<OsString> =
            [OsStr::new("printf"), OsStr::new("[%s]"), raw, OsStr::new(""), OsStr::new("create")]
                .map(Into::into)
                .into();
        let output = node.run(Path::new(SHIM), "env", &arguments);
        assert_eq!(output.stdout, b"[--process=\xff\n ][][create]");
        assert_eq!(output.stderr, b"");
        assert_eq!(node.run(Path::new(SHIM), "env", &["sh", "-c", "exit 37"]).status.code(), Some(37));
        assert_eq!(node.run(Path::new(SHIM), "false", &["state", "c1"]).status.code(), Some(1));
    }
}
