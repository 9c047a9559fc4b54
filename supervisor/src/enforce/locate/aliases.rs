// SPDX-License-Identifier: Apache-2.0
//! Under which names that rules give a file is meant, too.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd as _, BorrowedFd},
};

use crate::{
    process::{found, has_lost_name},
    sys::{FileFacts, file_facts, look_below},
};

pub(super) fn aliases(
    root: BorrowedFd<'_>,
    names: &[String],
    (file, facts): (BorrowedFd<'_>, &FileFacts),
) -> Vec<Vec<u8>> {
    // While a name is removed, the file has one name less already, and that one still leads there (`vfs_unlink`).
    let has_one_name =
        || facts.links < 2 && !facts.was_changed_lately() && is_on_mount_of(root, facts) && !has_lost_name(file);
    if names.is_empty() || facts.is(libc::S_IFDIR) || has_one_name() {
        return Vec::new();
    }
    let is_it = |name: &&String| below(root, name).is_some_and(|named| named.is_same_file(facts));
    names.iter().filter(is_it).map(|name| name.clone().into_bytes()).collect()
}

/// The file has no name yet: those of `names` that end like it, in the same directory.
pub(super) fn aliases_of_missing(
    root: BorrowedFd<'_>,
    names: &[String],
    parent: BorrowedFd<'_>,
    name: &CStr,
) -> Vec<Vec<u8>> {
    let ends_like_it = |(_, last): &(&str, &str)| last.as_bytes() == name.to_bytes();
    let mut alike = names.iter().filter_map(|name| name.rsplit_once('/')).filter(ends_like_it).peekable();
    if alike.peek().is_none() {
        return Vec::new();
    }
    let Ok(facts) = file_facts(parent, c"", false) else { return Vec::new() };
    if is_on_mount_of(root, &facts) {
        return Vec::new();
    }
    let is_it = |(directory, _): &(&str, &str)| {
        let directory = if directory.is_empty() { "/" } else { directory };
        below(root, directory).is_some_and(|named| named.is_same_file(&facts))
    };
    alike.filter(is_it).map(|(directory, last)| format!("{directory}/{last}").into_bytes()).collect()
}

fn is_on_mount_of(root: BorrowedFd<'_>, facts: &FileFacts) -> bool {
    file_facts(root, c"", false).is_ok_and(|root| root.mount == facts.mount)
}

/// What `name` is in the container.
fn below(root: BorrowedFd<'_>, name: &str) -> Option<FileFacts> {
    let file = found(look_below(root, &CString::new(name).ok()?))?;
    file_facts(file.as_fd(), c"", false).ok()
}
