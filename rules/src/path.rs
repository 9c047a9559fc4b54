// SPDX-License-Identifier: Apache-2.0
//! Lexical joining of paths, as the rules see them: no symbolic link is followed.

/// Joins a working directory, which ends with a slash, and a path, and resolves `//`, `.` and `..` of the path as text.
///
/// *Falco:* an absolute path stands alone, the directory stays as it is, `..` stops at the root, and a slash at the end is
/// dropped (corpus `paths`). Unlike Falco's, our paths have no maximum, and bytes stay bytes: a path of a thousand `./`
/// must not hide a file from its rule.
pub fn join_path(cwd: &[u8], path: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(cwd.len() + path.len());
    joined.extend_from_slice(if path.starts_with(b"/") { b"/" } else { cwd });
    for (index, component) in path.split(|byte| *byte == b'/').enumerate() {
        // Without the slash the first component continues the directory's last one.
        let glued = index == 0 && !joined.is_empty() && !joined.ends_with(b"/");
        match component {
            _ if glued => joined.extend_from_slice(component),
            b"" | b"." => {}
            b".." => remove_last(&mut joined),
            _ => {
                if !joined.is_empty() && !joined.ends_with(b"/") {
                    joined.push(b'/');
                }
                joined.extend_from_slice(component);
            }
        }
    }
    if joined.len() > 1 && joined.ends_with(b"/") {
        joined.pop();
    }
    joined
}

/// Goes to the parent: the last component goes, the slash before it stays.
fn remove_last(path: &mut Vec<u8>) {
    while path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    let parent = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    path.truncate(parent);
}
