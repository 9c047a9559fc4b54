// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/cgroup`: the control groups of a task.

/// How a group is called that holds a process while it executes a program, before the number of that process: the id of no
/// container has such a name.
pub(crate) const HOLD: &str = "lanner-exec:";

/// The path of a group without those that hold processes for a moment: where what is in them belongs.
pub(crate) fn without_holds(path: &[u8]) -> &[u8] {
    let is_hold = |name: &[u8]| {
        let number = name.strip_prefix(HOLD.as_bytes());
        number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
    };
    let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else { return path };
    let (above, name) = path.split_at(slash);
    if !is_hold(name.strip_prefix(b"/").unwrap_or(name)) {
        path
    } else if above.is_empty() {
        b"/"
    } else {
        without_holds(above)
    }
}

/// One line of the file: a hierarchy's controllers and the path below its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgroup {
    /// Controller names; empty for the unified hierarchy.
    controllers: Vec<Vec<u8>>,
    /// Path as the kernel shows it to us.
    pub(crate) path: Vec<u8>,
}

impl Cgroup {
    /// All lines of the file.
    pub(crate) fn parse(content: &[u8]) -> Vec<Self> {
        content.split(|byte| *byte == b'\n').filter_map(Self::parse_line).collect()
    }

    fn parse_line(line: &[u8]) -> Option<Self> {
        let mut parts = line.splitn(3, |byte| *byte == b':').skip(1);
        let controllers = parts.next()?.split(|byte| *byte == b',').filter(|name| !name.is_empty());
        Some(Self { controllers: controllers.map(<[u8]>::to_vec).collect(), path: parts.next()?.to_vec() })
    }

    /// Whether it is the one of cgroup v2.
    pub(crate) fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// The names that rules use: `cpu`, `memory`, ..; the unified hierarchy carries all of Falco's controllers.
    pub(crate) fn names(&self) -> Vec<&[u8]> {
        const UNIFIED: [&[u8]; 5] = [b"cpuset", b"cpu", b"cpuacct", b"io", b"memory"];
        if self.is_unified() { UNIFIED.to_vec() } else { self.controllers.iter().map(Vec::as_slice).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_belongs_where_it_came_from() {
        for (path, home) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/lanner-exec:7", "/a"),
            ("/lanner-exec:7/lanner-exec:8", "/"),
            ("/a/lanner-exec:7/b", "/a/lanner-exec:7/b"),
            ("/lanner-exec:", "/lanner-exec:"),
            ("/lanner-exec:7x", "/lanner-exec:7x"),
            ("", ""),
        ] {
            assert_eq!(without_holds(path.as_bytes()), home.as_bytes(), "{path}");
        }
    }

    #[test]
    fn hybrid_lines_give_a_path_per_controller() {
        let groups = Cgroup::parse(b"5:cpu,cpuacct:/docker/ab:c\n1:name=systemd:/x\n0::/u\n");
        assert_eq!(groups[0].names(), [b"cpu".as_slice(), b"cpuacct"]);
        assert_eq!(groups[0].path, b"/docker/ab:c");
        assert_eq!(groups[2].path, b"/u");
        assert_eq!(groups.len(), 3);
    }
}
