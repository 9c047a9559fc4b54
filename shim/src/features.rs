// SPDX-License-Identifier: Apache-2.0
//! What the low-level runtime says of itself: whether it is runc, and whether it can set
//! `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`, asked once per installed version.
//!
//! runc says in `features` (1.1.0 and later, with flags since 1.2) and refuses what it does not list; crun knows the flag since 1.6
//! and has no `features` before 1.8.2, so its version counts too. Unknown means no.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::NamedTempFile;

/// Lets only fatal signals interrupt a call that waits for its answer.
pub(crate) const WAIT_KILLABLE: &str = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";

/// In `run_dir`: answers by path, size and time of the executable.
const CACHE: &str = ".features.json";

/// Executables that the cache remembers; more means that something writes new ones all the time.
const CACHED: usize = 16;

/// Whether `runtime` accepts [`WAIT_KILLABLE`].
pub(crate) fn has_wait_killable(runtime: &Path, run_dir: &Path) -> bool {
    let Ok(file) = fs::metadata(runtime) else { return false };
    let key = format!("{}:{}:{}.{}", runtime.display(), file.size(), file.mtime(), file.mtime_nsec());
    let mut cache = read_cache(run_dir);
    if let Some(answer) = cache.get(&key) {
        return *answer;
    }
    let answer = ask(runtime);
    if cache.len() >= CACHED {
        cache.clear();
    }
    cache.insert(key, answer);
    write_cache(run_dir, &cache);
    answer
}

/// Whether `runtime` is runc, by its own word: a file's name says nothing where distributions link one to the other.
pub(crate) fn is_runc(runtime: &Path) -> bool {
    output(runtime, "--version").is_some_and(|text| text.starts_with(b"runc version "))
}

fn ask(runtime: &Path) -> bool {
    let features = output(runtime, "features").is_some_and(|text| is_listed(&text));
    features || output(runtime, "--version").is_some_and(|text| is_able_crun(&text))
}

fn output(runtime: &Path, argument: &str) -> Option<Vec<u8>> {
    let output = Command::new(runtime).arg(argument).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then_some(output.stdout)
}

fn is_listed(features: &[u8]) -> bool {
    let features: Value = serde_json::from_slice(features).unwrap_or_default();
    let flags = features.pointer("/linux/seccomp/supportedFlags");
    flags.and_then(Value::as_array).is_some_and(|flags| flags.iter().any(|flag| flag == WAIT_KILLABLE))
}

/// `crun version 1.8.1`, and 1.6 is enough.
fn is_able_crun(version: &[u8]) -> bool {
    let version = str::from_utf8(version).ok().and_then(|text| text.strip_prefix("crun version "));
    let mut numbers = version.unwrap_or_default().split(|character: char| !character.is_ascii_digit());
    let mut number = || numbers.next().and_then(|digits| digits.parse::<u32>().ok());
    (number(), number()) >= (Some(1), Some(6))
}

/// A cache that cannot be read or written costs time and nothing else.
fn read_cache(run_dir: &Path) -> HashMap<String, bool> {
    fs::read(run_dir.join(CACHE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn write_cache(run_dir: &Path, cache: &HashMap<String, bool>) {
    let Ok(content) = serde_json::to_vec(cache) else { return };
    let Ok(mut file) = NamedTempFile::new_in(run_dir) else { return };
    if file.write_all(&content).is_ok() {
        drop(file.persist(run_dir.join(CACHE)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runc_is_believed_and_crun_is_known_by_version() {
        assert!(is_listed(br#"{"linux":{"seccomp":{"supportedFlags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}}}"#));
        assert!(!is_listed(br#"{"linux":{"seccomp":{"supportedFlags":["SECCOMP_FILTER_FLAG_LOG"]}}}"#));
        assert!(!is_listed(b"unknown command features"));
        let cases = [("1.8.1", true), ("1.6", true), ("1.5", false), ("0.21", false), ("2.0", true), ("", false)];
        for (version, expected) in cases {
            let text = format!("crun version {version}\ncommit: 1\n");
            assert_eq!(is_able_crun(text.as_bytes()), expected, "{version}");
        }
        assert!(!is_able_crun(b"runc version 1.9.0"));
    }

    #[test]
    fn an_answer_is_kept_until_the_executable_changes() {
        let run_dir = tempfile::tempdir().unwrap();
        let runtime = run_dir.path().join("runtime");
        fs::write(&runtime, "not executable").unwrap();
        assert!(!has_wait_killable(&runtime, run_dir.path()));
        let mut cache = read_cache(run_dir.path());
        for answer in cache.values_mut() {
            *answer = true;
        }
        write_cache(run_dir.path(), &cache);
        assert!(has_wait_killable(&runtime, run_dir.path()));
        fs::write(&runtime, "not executable either").unwrap();
        assert!(!has_wait_killable(&runtime, run_dir.path()));
    }
}
