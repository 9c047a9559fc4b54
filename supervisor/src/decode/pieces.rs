// SPDX-License-Identifier: Apache-2.0
//! Arrays of `struct iovec` in argument memory: the pieces of what a call writes.

use crate::target::{ReadError, Target, Width};

/// Pieces that one call may have (`UIO_MAXIOV`): the kernel refuses more.
const MAX_PIECES: u64 = 1024;

/// The pieces of a call's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// Where the array lies.
    pub(crate) address: u64,
    /// How many there are.
    pub(crate) count: u64,
}

impl Pieces {
    /// Address and length of the first piece; of none there is nothing to read.
    pub(crate) fn first(self, target: &Target<'_>, width: Width) -> Result<(u64, u64), ReadError> {
        let pieces = self.read(target, width, self.count.min(1))?;
        Ok(pieces.first().copied().unwrap_or_default())
    }

    /// Bytes of all pieces.
    pub(crate) fn length(self, target: &Target<'_>, width: Width) -> Result<u64, ReadError> {
        let pieces = self.read(target, width, self.count)?;
        Ok(pieces.iter().fold(0, |sum, (_, length)| sum.saturating_add(*length)))
    }

    fn read(self, target: &Target<'_>, width: Width, count: u64) -> Result<Vec<(u64, u64)>, ReadError> {
        let count = usize::try_from(count).ok().filter(|_| self.count <= MAX_PIECES).ok_or(ReadError::TooLong)?;
        let mut raw = vec![0; count * 2 * width.bytes()];
        target.exact(self.address, &mut raw)?;
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let pair = |bytes: &[u8]| {
            let (address, length) = bytes.split_at(width.bytes());
            (word(address), word(length))
        };
        Ok(raw.chunks_exact(2 * width.bytes()).map(pair).collect())
    }
}
