// SPDX-License-Identifier: Apache-2.0
//! Names of what is done to memory.

use super::{Bits, Names};

/// `evt.arg.flags` of `memfd_create`.
pub(crate) const MEMFD_BITS: Names = &[("MFD_CLOEXEC", 1 << 0), ("MFD_ALLOW_SEALING", 1 << 1), ("MFD_HUGETLB", 1 << 2)];

/// `evt.arg.prot`.
pub(crate) const PROTECTION_BITS: Bits = &[
    ("PROT_READ", 1, 1),
    ("PROT_WRITE", 2, 2),
    ("PROT_EXEC", 4, 4),
    ("PROT_SEM", 8, 8),
    ("PROT_GROWSDOWN", 0x0100_0000, 16),
    ("PROT_GROWSUP", 0x0200_0000, 32),
    ("PROT_SAO", 16, 64),
    ("PROT_NONE", 0, 0),
];

/// `evt.arg.flags` of mlockall.
pub(crate) const LOCK_ALL_BITS: Names = &[("MCL_CURRENT", 1), ("MCL_FUTURE", 2), ("MCL_ONFAULT", 4)];

/// `evt.arg.flags` of mlock2.
pub(crate) const LOCK_MEMORY_BITS: Names = &[("MLOCK_ONFAULT", 1)];
