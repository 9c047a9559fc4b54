// SPDX-License-Identifier: Apache-2.0
//! What the tests of the command line share: a folder of files, and `lanner` run in it.

use std::{fs, path::PathBuf, process::Command};

/// A folder with some files, in which `lanner` runs.
pub(crate) struct Scratch(tempfile::TempDir);

/// What a run of `lanner` left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Scratch {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = scratch.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("$DIR", &scratch.directory())).unwrap();
        }
        scratch
    }

    /// Runs `lanner` with these words as arguments; `$DIR` stands for the folder, in what comes back too.
    pub(crate) fn lanner(&self, line: &str) -> Outcome {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.lanner_with(&words)
    }

    /// The same with arguments that have blanks in them.
    pub(crate) fn lanner_with(&self, words: &[&str]) -> Outcome {
        let words = words.iter().map(|word| word.replace("$DIR", &self.directory()));
        let output = Command::new(env!("CARGO_BIN_EXE_lanner"))
            .args(words)
            .current_dir(self.0.path())
            .env_remove("LANNER_CONFIG")
            .env("TZ", "UTC")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&self.directory(), "$DIR");
        Outcome { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// A place in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn directory(&self) -> String {
        self.0.path().display().to_string()
    }
}

/// The folder with Falco's rules and lists, or nothing with a printed reason.
pub(crate) fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("LANNER_SHARED").map_or(beside, PathBuf::from).join("falco");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no folder of Falco's files at {}", folder.display());
    None
}
