// SPDX-License-Identifier: Apache-2.0
//! Which files an entry of `rules_files` or `config_files` stands for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The rule files of the configuration's list, in loading order.
///
/// *Falco:* a directory stands for its `*.yaml` and `*.yml` files sorted by name, not recursively; entries that do not
/// exist are skipped, and files with other names as well.
pub(crate) fn expand(entries: &[PathBuf]) -> Vec<PathBuf> {
    entries.iter().flat_map(|entry| expand_one(entry)).collect()
}

/// The entries by name, for somebody who wonders what became of their rules.
pub(crate) fn describe(entries: &[PathBuf]) -> String {
    let describe = |entry: &PathBuf| {
        let note = if entry.exists() { "" } else { " (which does not exist)" };
        format!("`{}`{note}", entry.display())
    };
    if entries.is_empty() {
        return "`rules_files`, which names no file".to_owned();
    }
    entries.iter().map(describe).collect::<Vec<_>>().join(", ")
}

/// The files one entry stands for.
pub(super) fn expand_one(entry: &Path) -> Vec<PathBuf> {
    let mut files = match fs::read_dir(entry) {
        Ok(directory) => {
            directory.filter_map(Result::ok).map(|file| file.path()).filter(|path| path.is_file()).collect()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => vec![entry.to_owned()],
        // It exists and cannot be listed: reading it fails with the cause, where skipping it would hide rules.
        Err(_) => return vec![entry.to_owned()],
    };
    files.retain(|path| has_yaml_name(path));
    files.sort();
    files
}

/// Whether a file of this name in a folder of rules is read.
pub(crate) fn has_yaml_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_sorted_and_missing_entries_skipped() -> io::Result<()> {
        let scratch = tempfile::tempdir()?;
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir_all(at("rules.d/sub.yaml"))?;
        for name in [
            "main.yaml",
            "rules.d/b.yml",
            "rules.d/a.yaml",
            "rules.d/notes.txt",
            "rules.d/sub.yaml/x.yaml",
            "main.conf",
        ] {
            fs::write(at(name), "")?;
        }
        let entries = [at("rules.d"), at("missing.yaml"), at("main.conf"), at("main.yaml")];
        assert_eq!(expand(&entries), [at("rules.d/a.yaml"), at("rules.d/b.yml"), at("main.yaml")]);
        Ok(())
    }
}
