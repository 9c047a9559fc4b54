// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/status`: credentials, capabilities, ids in the task's own namespaces, and memory.

use super::stat::number;
use crate::sys::Ids;

/// What the file says about a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Thread group, that is process id, in our pid namespace.
    pub(crate) process: u32,
    /// Effective user, as the host numbers it.
    pub(crate) user: u32,
    /// Effective group, as the host numbers it.
    pub(crate) group: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    /// Process id in the innermost pid namespace.
    pub(crate) own_process: u32,
    /// Thread id in the innermost pid namespace.
    pub(crate) own_thread: u32,
    /// Process ids from our pid namespace inwards.
    pub(crate) processes: Vec<u32>,
    /// Thread ids from our pid namespace inwards.
    pub(crate) threads: Vec<u32>,
    /// All user ids, as the host numbers them.
    pub(crate) users: Ids,
    /// All group ids.
    pub(crate) group_ids: Ids,
    /// File mode creation mask.
    pub(crate) mask: u32,
    /// Process group in the innermost pid namespace.
    pub(crate) own_group: u32,
    /// Session in the innermost pid namespace.
    pub(crate) own_session: u32,
    /// Pid namespaces from ours down to the task's own.
    pub(crate) depth: usize,
    /// Inheritable capabilities.
    pub(crate) inheritable: u64,
    /// Permitted capabilities.
    pub(crate) permitted: u64,
    /// Effective capabilities.
    pub(crate) effective: u64,
    /// Capabilities that an exec may give at most.
    pub(crate) bounding: u64,
    /// Capabilities that an exec of an ordinary program keeps.
    pub(crate) ambient: u64,
    /// Who traces the task; 0 for nobody that we can see.
    pub(crate) tracer: u32,
    /// Whether set-user-id programs give nothing.
    pub(crate) has_no_new_privileges: bool,
    /// Sizes; zero for a process without memory.
    pub(crate) memory: Memory,
}

/// Sizes of a process in kB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Virtual.
    pub(crate) size: u64,
    /// Resident.
    pub(crate) resident: u64,
    /// Swapped.
    pub(crate) swapped: u64,
}

impl Status {
    /// The content of the file; `None` where a line that every kernel writes is missing.
    pub(crate) fn parse(content: &[u8]) -> Option<Self> {
        let mut status = Self::default();
        let mut seen = 0;
        for line in content.split(|byte| *byte == b'\n') {
            if let Some(colon) = memchr::memchr(b':', line) {
                let (key, value) = (line.get(..colon)?, line.get(colon + 1..)?);
                seen += usize::from(status.take(key, value)?);
            }
        }
        (seen == REQUIRED).then_some(status)
    }

    /// Whether a text is the number of the thread in any of its pid namespaces.
    pub(crate) fn has_thread(&self, text: &[u8]) -> bool {
        number(text).is_some_and(|thread: u32| self.threads.contains(&thread))
    }

    /// Takes one line; says whether it is a required one.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<bool> {
        match key {
            b"Tgid" => self.process = number(value)?,
            b"Umask" => {
                self.mask = u32::from_str_radix(std::str::from_utf8(value).ok()?.trim(), 8).ok()?;
                return Some(false);
            }
            b"Uid" => {
                self.users = ids(value)?;
                self.user = self.users.effective;
            }
            b"Gid" => {
                self.group_ids = ids(value)?;
                self.group = self.group_ids.effective;
            }
            b"Groups" => self.groups = numbers(value),
            b"NStgid" => (self.own_process, self.processes) = (innermost(value)?, numbers(value)),
            b"NSpid" => {
                (self.own_thread, self.threads) = (innermost(value)?, numbers(value));
                self.depth = self.threads.len();
            }
            b"NSpgid" => self.own_group = innermost(value)?,
            b"NSsid" => self.own_session = innermost(value)?,
            b"CapInh" => self.inheritable = set(value)?,
            b"CapPrm" => self.permitted = set(value)?,
            b"CapEff" => self.effective = set(value)?,
            b"CapBnd" => self.bounding = set(value)?,
            b"CapAmb" => self.ambient = set(value)?,
            b"TracerPid" => self.tracer = number(value)?,
            b"NoNewPrivs" => self.has_no_new_privileges = number::<u32>(value)? != 0,
            b"VmSize" => self.memory.size = kilobytes(value)?,
            b"VmRSS" => self.memory.resident = kilobytes(value)?,
            b"VmSwap" => self.memory.swapped = kilobytes(value)?,
            _ => return Some(false),
        }
        Some(!key.starts_with(b"Vm"))
    }
}

/// Lines of [`Status::take`] without the sizes, which a zombie lacks.
const REQUIRED: usize = 15;

fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte: &u8| byte.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

fn numbers(value: &[u8]) -> Vec<u32> {
    words(value).filter_map(number).collect()
}

/// Real, effective, saved and file system id.
fn ids(value: &[u8]) -> Option<Ids> {
    let [real, effective, saved, file] = numbers(value).try_into().ok()?;
    Some(Ids { real, effective, saved, file })
}

fn innermost(value: &[u8]) -> Option<u32> {
    words(value).last().and_then(number)
}

fn kilobytes(value: &[u8]) -> Option<u64> {
    words(value).next().and_then(number)
}

fn set(value: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(value).ok()?.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_status_is_complete() {
        let status = Status::parse(&std::fs::read("/proc/self/status").unwrap()).unwrap();
        assert_eq!(status.process, std::process::id());
        assert_eq!(status.user, nix::unistd::geteuid().as_raw());
        assert!(status.memory.resident > 0);
    }

    #[test]
    fn a_file_without_its_lines_is_no_status() {
        assert_eq!(Status::parse(b"Name:\tx\nTgid:\t1\n"), None);
    }
}
