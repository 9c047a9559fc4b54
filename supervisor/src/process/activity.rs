// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/syscall`: what a task is doing (proc(5)).

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It runs, or would if it had a processor: inside a call or not.
    Running,
    /// It waits.
    Waiting(Wait),
}

/// What a task waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The call with its registers; nothing outside of calls.
    pub(crate) call: Option<(i32, [u64; 6])>,
    /// Where its stack ends.
    pub(crate) stack_pointer: u64,
    /// The address of the instruction behind.
    pub(crate) instruction_pointer: u64,
}

impl Activity {
    /// The content of the file.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.trim_end() == "running" { Some(Self::Running) } else { Wait::parse(text).map(Self::Waiting) }
    }

    /// What the task waits in, if it does.
    pub(super) fn wait(self) -> Option<Wait> {
        match self {
            Self::Running => None,
            Self::Waiting(wait) => Some(wait),
        }
    }
}

impl Wait {
    /// Whether it is the call of this number.
    pub(crate) fn is_in(&self, number: i64) -> bool {
        self.call.is_some_and(|(call, _)| i64::from(call) == number)
    }

    fn parse(text: &str) -> Option<Self> {
        let hexadecimal = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
        let mut words = text.split_whitespace();
        // -1 outside of calls.
        let number: i32 = words.next()?.parse().ok()?;
        let call = if number < 0 {
            None
        } else {
            let mut registers = [0; 6];
            for register in &mut registers {
                *register = hexadecimal(words.next()?)?;
            }
            Some((number, registers))
        };
        Some(Self {
            call,
            stack_pointer: hexadecimal(words.next()?)?,
            instruction_pointer: hexadecimal(words.next()?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_waits_in_is_read_whole_or_not_at_all() {
        let call = "316 0xffffff9c 0x47a00b 0x1 0x2 0x4 0x0 0x7ffe2a07dcb8 0x439989\n";
        let wait = Wait {
            call: Some((316, [0xffff_ff9c, 0x0047_a00b, 1, 2, 4, 0])),
            stack_pointer: 0x7ffe_2a07_dcb8,
            instruction_pointer: 0x0043_9989,
        };
        assert_eq!(Wait::parse(call), Some(wait));
        assert_eq!(Wait::parse("-1 0x7ffe2a07dcb8 0x439989\n"), Some(Wait { call: None, ..wait }));
        assert_eq!(["running\n", "316 0xffffff9c\n", ""].map(Wait::parse), [None; 3]);
        assert_eq!(Activity::parse("running\n"), Some(Activity::Running));
        assert_eq!(Activity::parse(call), Some(Activity::Waiting(wait)));
    }
}
