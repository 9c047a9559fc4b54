// SPDX-License-Identifier: Apache-2.0
//! Names of values and bits, in the order and with the numbers of Falco's own tables.

pub(crate) mod file;
pub(crate) mod kernel;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod socket;

/// Values or bits that Falco numbers as the kernel does: names in the order they print.
pub(crate) type Names = &'static [(&'static str, u32)];

/// Bits that Falco numbers otherwise: a name, the kernel's bit, Falco's.
pub(crate) type Bits = &'static [(&'static str, u32, u32)];

/// Values that Falco numbers otherwise.
#[derive(Debug)]
pub(crate) struct Choices {
    /// A name, the kernel's number, Falco's.
    pub(crate) known: &'static [(&'static str, u32, u32)],
    /// The name of all other values, which are 0 to Falco.
    pub(crate) unknown: &'static str,
}

impl Choices {
    /// Falco's number of one of the kernel's, and the name.
    pub(crate) fn find(&self, kernel: u32) -> (u32, &'static str) {
        let found = self.known.iter().find(|(_, number, _)| *number == kernel);
        found.map_or((0, self.unknown), |(name, _, falco)| (*falco, name))
    }
}

/// The values of a register that is one of several.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Enumeration {
    /// With the kernel's numbers; of equal ones all names print (`AF_LOCAL|AF_UNIX`).
    Same(Names),
    /// The same of the lower half of a word.
    Short(Names),
    /// The same of known values; all others have this number.
    Limited(Names, u32),
    /// With Falco's own.
    Renumbered(&'static Choices),
}

impl Enumeration {
    /// Falco's number of the kernel's `value`, and its names.
    pub(crate) fn find(self, value: u32) -> (u32, String) {
        let with_names = |names: Names, value: u32| {
            let equal = names.iter().filter(|(_, number)| *number == value).map(|(name, _)| *name);
            (value, equal.collect::<Vec<_>>().join("|"))
        };
        match self {
            Self::Same(names) => with_names(names, value),
            Self::Short(names) => with_names(names, value & u32::from(u16::MAX)),
            Self::Limited(names, other) => {
                let is_known = names.iter().any(|(_, number)| *number == value);
                with_names(names, if is_known { value } else { other })
            }
            Self::Renumbered(choices) => {
                let (number, name) = choices.find(value);
                (number, name.to_owned())
            }
        }
    }
}

/// Falco's number of the kernel's `bits`, and their names.
pub(crate) fn renumbered(bits: Bits, kernel: u32) -> (u32, String) {
    let is_set = |(_, bit, _): &&(&str, u32, u32)| kernel & bit != 0;
    let falco = bits.iter().filter(is_set).fold(0, |all, (_, _, bit)| all | bit);
    (falco, rendered(bits.iter().map(|(name, _, bit)| (*name, *bit)), falco))
}

/// The bits of `value` that have a name, which is all that Falco keeps of most flags.
pub(crate) fn kept(names: Names, value: u32) -> u32 {
    value & names.iter().fold(0, |all, (_, bits)| all | bits)
}

/// The names of the bits that are set, joined by a vertical bar.
///
/// *Falco:* a name takes its bits away from the names behind it, the name of 0 stands only for 0 itself, and the search
/// ends at the name that is the whole value.
pub(crate) fn render(names: Names, value: u32) -> String {
    rendered(names.iter().copied(), value)
}

fn rendered(names: impl Iterator<Item = (&'static str, u32)>, value: u32) -> String {
    let mut left = value;
    let mut found: Vec<&str> = Vec::new();
    for (name, bits) in names {
        let matches = if bits == 0 { value == 0 } else { left & bits == bits };
        if matches {
            found.push(name);
            left &= !bits;
            if bits == value {
                break;
            }
        }
    }
    found.join("|")
}

/// The names of a file's type and permissions.
///
/// *Falco:* like [`render`], but the name that is the whole value prints whatever names before it took away.
pub(crate) fn render_mode(value: u32) -> String {
    let names = || file::CHMOD_BITS.iter().chain(file::NODE_TYPES);
    let mut left = value;
    let mut found: Vec<&str> = Vec::new();
    for (name, bits) in names() {
        if *bits == value || left & bits == *bits {
            found.push(name);
            left &= !bits;
        }
        if *bits == value {
            break;
        }
    }
    found.join("|")
}

#[cfg(test)]
mod tests {
    use super::{
        file::{CHMOD_BITS, OPEN_BITS},
        memory::PROTECTION_BITS,
        process::EXEC_BITS,
        *,
    };

    #[test]
    fn open_flags_print_as_falco_prints_them() {
        assert_eq!(render(OPEN_BITS, 4097), "O_RDONLY|O_CLOEXEC");
        assert_eq!(render(OPEN_BITS, 16646), "O_TRUNC|O_CREAT|O_WRONLY|O_F_CREATED");
        assert_eq!(render(OPEN_BITS, 9219), "O_DIRECTORY|O_RDWR|O_TMPFILE");
        assert_eq!(render(OPEN_BITS, 11), "O_APPEND|O_RDWR");
        assert_eq!(render(OPEN_BITS, 0), "O_NONE");
    }

    #[test]
    fn permission_bits_print_as_falco_prints_them() {
        let all = "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID";
        assert_eq!(render(CHMOD_BITS, 0o4755), all);
        assert_eq!(render(EXEC_BITS, 5), "EXE_WRITABLE|EXE_FROM_MEMFD");
        assert_eq!(render(EXEC_BITS, 0), "");
    }

    #[test]
    fn types_of_nodes_take_names_from_each_other() {
        for (mode, expected) in [
            (0, ""),
            (0o644, "S_IROTH|S_IRGRP|S_IWUSR|S_IRUSR"),
            (0o10_0600, "S_IWUSR|S_IRUSR|S_IFREG"),
            (0o2_0600, "S_IWUSR|S_IRUSR|S_IFCHR"),
            (0o1_0000, "S_IFIFO"),
            // The bits of a block device are those of a character device and more.
            (0o6_0600, "S_IWUSR|S_IRUSR|S_IFCHR"),
            (0o6_0000, "S_IFCHR|S_IFBLK"),
            (0o14_0700, "S_IXUSR|S_IWUSR|S_IRUSR|S_IFREG"),
            (0o14_0000, "S_IFREG|S_IFSOCK"),
        ] {
            assert_eq!(render_mode(mode), expected, "{mode:o}");
        }
    }

    #[test]
    fn bits_that_falco_renumbers_print_its_numbers() {
        assert_eq!(renumbered(PROTECTION_BITS, 0x0100_0006), (22, "PROT_WRITE|PROT_EXEC|PROT_GROWSDOWN".to_owned()));
        assert_eq!(renumbered(PROTECTION_BITS, 0), (0, "PROT_NONE".to_owned()));
    }
}
