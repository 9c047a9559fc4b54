// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/auxv`: what the kernel told a program that it executed (getauxval(3)).

/// The kernel's message to a program, as far as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Auxiliary {
    /// Where the name lies under which the program was executed.
    pub(crate) name: Option<u64>,
    /// The descriptor under which an interpreter has the program that it stands for, where somebody told the kernel to open
    /// it (flag `O` of `binfmt_misc`, `Documentation/admin-guide/binfmt-misc.rst`).
    pub(crate) program: Option<i32>,
}

impl Auxiliary {
    /// The content of the file.
    pub(super) fn parse(vector: &[u8]) -> Self {
        let wide = vector.chunks_exact(16).filter_map(|entry| {
            let (key, value) = entry.split_at_checked(8)?;
            Some((u64::from_ne_bytes(key.try_into().ok()?), u64::from_ne_bytes(value.try_into().ok()?)))
        });
        let narrow = vector.chunks_exact(8).filter_map(|entry| {
            let (key, value) = entry.split_at_checked(4)?;
            let word = |bytes: &[u8]| Some(u64::from(u32::from_ne_bytes(bytes.try_into().ok()?)));
            Some((word(key)?, word(value)?))
        });
        // The first entry of a 64-bit program's vector has a key whose upper half is zero, as has that of a 32-bit one whose
        // first value is zero: every 64-bit program is told its name, whose address is not zero.
        let name = |(key, value): (u64, u64)| (key == libc::AT_EXECFN && value != 0).then_some(value);
        let program = |(key, value): (u64, u64)| (key == libc::AT_EXECFD).then(|| i32::try_from(value).ok()).flatten();
        match wide.clone().find_map(name) {
            Some(found) => Self { name: Some(found), program: { wide }.find_map(program) },
            None => Self { name: narrow.clone().find_map(name), program: { narrow }.find_map(program) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_message_is_read_in_either_width() {
        const EXECFD: u32 = 2;
        const EXECFN: u32 = 31;
        let entries = [(6_u32, 4096_u32), (EXECFD, 5), (25, 77), (EXECFN, 0x7fff), (0, 0)];
        let wide = entries.map(|(key, value)| [u64::from(key).to_ne_bytes(), u64::from(value).to_ne_bytes()].concat());
        let narrow = entries.map(|(key, value)| [key.to_ne_bytes(), value.to_ne_bytes()].concat());
        let expected = Auxiliary { name: Some(0x7fff), program: Some(5) };
        assert_eq!(Auxiliary::parse(&wide.concat()), expected);
        assert_eq!(Auxiliary::parse(&narrow.concat()), expected);
        let without = Auxiliary { program: None, ..expected };
        assert_eq!(Auxiliary::parse(&[&wide[0][..], &wide[3]].concat()), without);
        assert_eq!(Auxiliary::parse(&narrow[3]), without);
        assert_eq!(Auxiliary::parse(&[]), Auxiliary { name: None, program: None });
    }
}
