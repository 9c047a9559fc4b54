// SPDX-License-Identifier: Apache-2.0
//! Lexical joining of paths, as `fd.name` wants it: no file is looked at and no link is followed.

use std::borrow::Cow;

/// `path` made absolute against the directory `base`, without empty, `.` and `..` components and without trailing slash.
/// Allocates only where that changes something.
pub(super) fn join<'a>(base: &[u8], path: &'a [u8]) -> Cow<'a, [u8]> {
    if is_normal(path) {
        return Cow::Borrowed(path);
    }
    let slash: &[u8] = if base.ends_with(b"/") { b"" } else { b"/" };
    Cow::Owned(rules::join_path(&[base, slash].concat(), path))
}

/// Whether joining would change nothing, which is so for nearly all paths of real programs.
fn is_normal(path: &[u8]) -> bool {
    let Some(relative) = path.strip_prefix(b"/") else { return false };
    relative.is_empty() || relative.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

/// The part behind the last slash.
pub(super) fn file_name(path: &[u8]) -> &[u8] {
    memchr::memrchr(b'/', path).and_then(|slash| path.get(slash + 1..)).unwrap_or(path)
}

/// The part before the last slash; `/` for a file in the root.
pub(super) fn directory(path: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', path) {
        Some(slash) if slash > 0 => path.get(..slash).unwrap_or(b"/"),
        _ => b"/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, path: &str, expected: &str) {
        assert_eq!(join(base.as_bytes(), path.as_bytes()), expected.as_bytes());
    }

    #[test]
    fn paths_are_joined_without_looking_at_files() {
        check("/", "etc/shadow", "/etc/shadow");
        check("/etc", "shadow", "/etc/shadow");
        check("/etc/", "./../etc/shadow", "/etc/shadow");
        check("/x", "/usr/../etc//passwd", "/etc/passwd");
        check("/x", "/etc/passwd", "/etc/passwd");
        check("/x", "../../..", "/");
        check("/x", "/", "/");
        check("/a/b", "", "/a/b");
        check("/", "/etc/", "/etc");
        check("/", "/.../..a", "/.../..a");
    }

    #[test]
    fn a_name_behind_many_dots_is_found() {
        let path = format!("/{}etc/shadow", "./".repeat(2000));
        check("/", &path, "/etc/shadow");
    }

    #[test]
    fn names_and_directories_split_at_the_last_slash() {
        assert_eq!((file_name(b"/a/b"), directory(b"/a/b")), (b"b".as_slice(), b"/a".as_slice()));
        assert_eq!((file_name(b"b"), directory(b"/b")), (b"b".as_slice(), b"/".as_slice()));
    }
}
