// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/stat`: parentage, session, terminal, faults and start time of a task.
//!
//! The format is in `proc_pid_stat(5)`. The name in parentheses may hold any byte, parentheses included, but everything behind
//! the last `)` is numbers.

/// The numbers of `/proc/PID/stat` that some field needs; ids are those of our pid namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// What the task does, as a letter (`proc_pid_stat(5)`).
    pub(crate) state: u8,
    /// Process id of the parent; 0 for none.
    pub(crate) parent: u32,
    /// Process group.
    pub(crate) group: u32,
    /// Session.
    pub(crate) session: u32,
    /// Device number of the controlling terminal; 0 for none.
    pub(crate) terminal: u32,
    /// Whether the task is about to end, or has (`PF_EXITING` of the kernel's `sched.h`): it may have no memory any more.
    pub(crate) is_ending: bool,
    /// Page faults without I/O.
    pub(crate) minor_faults: u64,
    /// Page faults with I/O.
    pub(crate) major_faults: u64,
    /// Live threads of the process.
    pub(crate) threads: u64,
    /// Clock ticks between boot and start.
    pub(crate) started: u64,
    /// Where the program's stack begins, another place in each program; 0 where the task runs none any more.
    pub(crate) stack: u64,
    /// The CPU that the task ran on last.
    pub(crate) processor: i64,
}

/// `PF_EXITING`.
const ENDING: u64 = 4;

impl Stat {
    /// Whether the task has ended, and is there as long as its process has other threads, or nobody has asked for its end.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// The content of the file.
    pub(crate) fn parse(content: &[u8]) -> Option<Self> {
        let behind = memchr::memrchr(b')', content)? + 1;
        let mut numbers = content.get(behind..)?.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        // Word 3 of the man page's count is the state; each `nth` below skips the words in between.
        let state = *numbers.next()?.first()?;
        let parent = number(numbers.next()?)?;
        let group = number(numbers.next()?)?;
        let session = number(numbers.next()?)?;
        let terminal = number(numbers.next()?)?;
        let is_ending = number::<u64>(numbers.nth(1)?)? & ENDING != 0;
        let minor_faults = number(numbers.next()?)?;
        let major_faults = number(numbers.nth(1)?)?;
        let threads = number(numbers.nth(7)?)?;
        let started = number(numbers.nth(1)?)?;
        let stack = number(numbers.nth(5)?)?;
        let processor = number(numbers.nth(10)?)?;
        Some(Self {
            state,
            parent,
            group,
            session,
            terminal,
            is_ending,
            minor_faults,
            major_faults,
            threads,
            started,
            stack,
            processor,
        })
    }
}

/// A decimal number; negative ones and garbage are `None`.
pub(super) fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_move_the_numbers() {
        let line = b"42 (a) R 1 (b)) S 7 8 9 34816 -1 4194304 11 12 13 14 15 16 17 18 20 0 3 0 555 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 17 6 40\n";
        let expected = Stat {
            state: b'S',
            parent: 7,
            group: 8,
            session: 9,
            terminal: 34816,
            is_ending: false,
            minor_faults: 11,
            major_faults: 13,
            threads: 3,
            started: 555,
            stack: 28,
            processor: 6,
        };
        assert_eq!(Stat::parse(line), Some(expected));
    }

    #[test]
    fn a_torn_line_is_no_stat() {
        assert_eq!(Stat::parse(b"42 (a) S 7 8"), None);
        assert_eq!(Stat::parse(b""), None);
    }
}
