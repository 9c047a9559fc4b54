// SPDX-License-Identifier: Apache-2.0
//! Which device files a container may open, by its OCI spec (`linux.resources.devices`).
//!
//! The kernel asks the device controller of the caller's cgroup, and the caller of an open that we perform is us. So the
//! spec's own list decides, over what every low-level runtime permits beside it.

use serde::{Deserialize, Serialize};

use super::request::OpenRequest;
use crate::sys::FileFacts;

/// Character devices that runc and crun permit whatever the spec says: null, zero, full, random, urandom, tty, ptmx, and all
/// terminals of devpts (`None` as minor number). One of the two permits more: the host's console crun, tunnels runc before
/// 1.2.
const ALWAYS: [(u32, Option<u32>); 8] =
    [(1, Some(3)), (1, Some(5)), (1, Some(7)), (1, Some(8)), (1, Some(9)), (5, Some(0)), (5, Some(2)), (136, None)];

/// The devices of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DevicePolicy(Vec<DeviceRule>);

/// One element of the list; the last one that fits decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceRule {
    #[serde(default)]
    allow: bool,
    /// `a` (or nothing) for all, `c` or `u` for character, `b` for block devices.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    major: Option<i64>,
    #[serde(default)]
    minor: Option<i64>,
    /// Any of `r`, `w` and `m`; nothing means all.
    #[serde(default)]
    access: Option<String>,
}

impl DevicePolicy {
    /// The policy of a spec's list.
    pub(crate) fn new(rules: Vec<DeviceRule>) -> Self {
        Self(rules)
    }

    /// Whether the request may open the file; true for everything that is no device.
    pub(super) fn allows(&self, facts: &FileFacts, request: &OpenRequest) -> bool {
        let is_block = facts.is(libc::S_IFBLK);
        if !is_block && !facts.is(libc::S_IFCHR) {
            return true;
        }
        let mode = i32::try_from(request.how.flags & 3).unwrap_or(libc::O_RDWR);
        let wanted: &[char] = match mode {
            libc::O_RDONLY => &['r'],
            libc::O_WRONLY => &['w'],
            _ => &['r', 'w'],
        };
        self.permits(is_block, facts.represents, wanted)
    }

    fn permits(&self, is_block: bool, (major, minor): (u32, u32), wanted: &[char]) -> bool {
        let is_always =
            |(known, minors): &(u32, Option<u32>)| *known == major && minors.is_none_or(|known| known == minor);
        if !is_block && ALWAYS.iter().any(is_always) {
            return true;
        }
        wanted.iter().all(|access| {
            let fits = |rule: &&DeviceRule| rule.fits(is_block, (major, minor), *access);
            // Without any rule the low-level runtimes deny.
            self.0.iter().rfind(fits).is_some_and(|rule| rule.allow)
        })
    }
}

impl DeviceRule {
    fn fits(&self, is_block: bool, (major, minor): (u32, u32), access: char) -> bool {
        let kind = match self.kind.as_deref() {
            None | Some("" | "a") => true,
            Some("b") => is_block,
            Some("c" | "u") => !is_block,
            Some(_) => false,
        };
        // A negative number stands for all.
        let is_number =
            |wanted: Option<i64>, number: u32| wanted.is_none_or(|wanted| wanted < 0 || wanted == i64::from(number));
        let is_access = self.access.as_deref().is_none_or(|all| all.is_empty() || all.contains(access));
        kind && is_number(self.major, major) && is_number(self.minor, minor) && is_access
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is a block device, its number, the access, and what is expected.
    type Case<'a> = (bool, (u32, u32), &'a [char], bool);

    #[track_caller]
    fn check(rules: &str, expected: &[Case<'_>]) {
        let policy = DevicePolicy::new(serde_json::from_str(rules).unwrap());
        for (is_block, number, access, permitted) in expected {
            assert_eq!(policy.permits(*is_block, *number, access), *permitted, "{is_block} {number:?} {access:?}");
        }
    }

    #[test]
    fn the_last_rule_that_fits_decides_and_basic_devices_are_always_there() {
        let deny_all = r#"[{"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"}]"#;
        check(
            deny_all,
            &[
                (false, (1, 3), &['r', 'w'], true),
                (false, (136, 7), &['r'], true),
                (false, (10, 229), &['r'], true),
                (false, (10, 229), &['r', 'w'], false),
                (true, (10, 229), &['r'], false),
                (true, (8, 0), &['r'], false),
            ],
        );
        check(r#"[{"allow": true}]"#, &[(true, (8, 0), &['r', 'w'], true), (false, (1, 1), &['w'], true)]);
        check(r#"[{"allow": true}, {"allow": false, "type": "b"}]"#, &[(true, (8, 0), &['r'], false)]);
        check("[]", &[(false, (1, 1), &['r'], false)]);
    }
}
