// SPDX-License-Identifier: Apache-2.0
//! What `make install` puts where.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "an integration test is a test module")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use integration::{Requirement, binary, skipped, text};

/// An installation below a folder of its own.
struct Installation {
    folder: tempfile::TempDir,
}

impl Installation {
    fn install(&self) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/install");
        let built = binary("lanner").unwrap();
        let mut command = Command::new(script);
        command.arg(built.parent().unwrap()).arg(self.at("bin")).arg(self.at("etc/lanner"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }
}

#[test]
fn rules_are_installed_once_and_load() {
    if skipped(&[Requirement::Lanner]) {
        return;
    }
    let installation = Installation { folder: tempfile::tempdir().unwrap() };
    let rules = installation.at("etc/lanner/lanner_rules.yaml");
    assert_eq!(text(&installation.install().stderr), "");
    assert_eq!(fs::read_link(installation.at("bin/lanner-runtime-enforce")).unwrap(), Path::new("lanner-runtime"));

    let config = installation.at("lanner.yaml");
    fs::write(&config, format!("rules_files: [{}]\n", rules.display())).unwrap();
    let mut lanner = Command::new(installation.at("bin/lanner"));
    let report = lanner.arg("validate").env("LANNER_CONFIG", &config).output().unwrap();
    assert_eq!((text(&report.stdout), report.status.code()), (format!("{}: Ok\n", rules.display()), Some(0)));

    assert_eq!(text(&installation.install().stderr), "", "an installed file of the same content was mentioned");
    fs::write(&rules, "# edited\n").unwrap();
    let said = text(&installation.install().stderr);
    assert!(said.starts_with(&format!("{} stays as it is", rules.display())), "{said}");
    assert_eq!(fs::read_to_string(&rules).unwrap(), "# edited\n");
}
