// SPDX-License-Identifier: Apache-2.0
//! The errnos that a denied call may fail with.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer, de};

/// What a denied call fails with. Only errnos that programs expect from an open or an exec, and whose number is the
/// same on every architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(missing_docs, reason = "the names are errno(3)'s")]
pub enum Errno {
    #[default]
    Eperm = 1,
    Enoent = 2,
    Eio = 5,
    Eacces = 13,
    Erofs = 30,
    Enosys = 38,
}

/// The text is none of the errnos that Lanner denies with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an errno to deny with: use EPERM, ENOENT, EIO, EACCES, EROFS or ENOSYS")]
pub struct UnknownErrno;

impl Errno {
    const ALL: [Self; 6] = [Self::Eperm, Self::Enoent, Self::Eio, Self::Eacces, Self::Erofs, Self::Enosys];

    /// The positive number.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The name in files and alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eperm => "EPERM",
            Self::Enoent => "ENOENT",
            Self::Eio => "EIO",
            Self::Eacces => "EACCES",
            Self::Erofs => "EROFS",
            Self::Enosys => "ENOSYS",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Errno {
    type Err = UnknownErrno;

    fn from_str(text: &str) -> Result<Self, UnknownErrno> {
        Self::ALL.into_iter().find(|errno| errno.as_str() == text).ok_or(UnknownErrno)
    }
}

impl Serialize for Errno {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Errno {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_those_of_the_c_library() {
        let numbers = [libc::EPERM, libc::ENOENT, libc::EIO, libc::EACCES, libc::EROFS, libc::ENOSYS];
        for (errno, number) in Errno::ALL.into_iter().zip(numbers) {
            assert_eq!(errno.number(), number);
            assert_eq!(errno.as_str().parse(), Ok(errno));
        }
        assert_eq!("EWOULDBLOCK".parse::<Errno>(), Err(UnknownErrno));
    }
}
