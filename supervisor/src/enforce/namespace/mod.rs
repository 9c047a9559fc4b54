// SPDX-License-Identifier: Apache-2.0
//! Acts for tasks by a process that lives in their namespaces: opens, and whatever else, for those of another user namespace,
//! and connects for all whose other end gets a handle of who connected.
//!
//! Capabilities count in their own user namespace, and a process with several threads cannot change its own. So a small
//! process, `lanner open`, joins the namespace and performs there what [`Opener`](super::Opener) performs here. It has our
//! descriptors of the host's `/proc` and root, and nothing of the container can see it.

mod home;
mod message;
mod opener;
pub(super) mod openers;
mod process;

pub(super) use home::Home;
pub(super) use opener::{NamespaceError, NamespaceOpener};
pub(crate) use openers::{forget_old as forget_old_openers, prepare as prepare_openers};
pub(crate) use process::serve;

/// Whether a user namespace has a user and a group 0 (`user_namespaces(7)`: first id inside, first outside, count). It has
/// none before its maps are written, and where they are for somebody else.
fn has_root(read: impl Fn(&str) -> Option<Vec<u8>>) -> bool {
    ["uid_map", "gid_map"].into_iter().all(|map| read(map).is_some_and(|content| maps_zero(&content)))
}

fn maps_zero(map: &[u8]) -> bool {
    let lines = map.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()))
        .any(|first| first == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_a_root_if_both_maps_name_it() {
        let both = |users: &'static str, groups: &'static str| {
            has_root(|map| Some(if map == "uid_map" { users } else { groups }.as_bytes().to_owned()))
        };
        let (whole, single) = ("         0     100000      65536\n", "         0       1000          1\n");
        assert!(both(whole, single));
        assert!(both("      1000       1000          1\n         0     100000       1000\n", whole));
        assert!(!both(whole, ""));
        assert!(!both("", ""));
        assert!(!both("      1000       1000          1\n", whole));
        assert!(!both("       100          0          1\n", whole));
        assert!(!has_root(|_map| None));
    }
}
