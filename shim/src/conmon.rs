// SPDX-License-Identifier: Apache-2.0
//! The container's name from conmon, which podman tells it and nobody else.

use std::{fs, os::unix::process::parent_id};

/// conmon's `-n`: podman's name of the container that our parent, if it is conmon, creates.
pub(crate) fn container_name() -> Option<String> {
    let process = format!("/proc/{}", parent_id());
    if fs::read(format!("{process}/comm")).ok()? != b"conmon\n" {
        return None;
    }
    name_of(&fs::read(format!("{process}/cmdline")).ok()?)
}

fn name_of(cmdline: &[u8]) -> Option<String> {
    let mut arguments = cmdline.split(|byte| *byte == 0).skip(1);
    while let Some(argument) = arguments.next() {
        let value = match argument {
            b"-n" | b"--name" => arguments.next()?,
            b"--" => return None,
            _ => match argument.strip_prefix(b"--name=") {
                Some(value) => value,
                None => continue,
            },
        };
        return String::from_utf8(value.to_owned()).ok().filter(|name| !name.is_empty());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_podman_passes() {
        let cases: [(&[u8], Option<&str>); 5] = [
            (b"/usr/bin/conmon\0--api-version\x001\0-c\0abc\0-n\0web\0--exit-dir\0/x\0", Some("web")),
            (b"conmon\0--name=web\0", Some("web")),
            (b"conmon\0--name\0\0", None),
            (b"conmon\0-n\0\xff\0", None),
            (b"-n\0conmon\0", None),
        ];
        for (cmdline, name) in cases {
            assert_eq!(name_of(cmdline).as_deref(), name);
        }
    }
}
