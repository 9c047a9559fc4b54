// SPDX-License-Identifier: Apache-2.0
//! Audit or enforce, and who may tighten it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What Lanner does with a call that a rule would deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Report only; nothing is ever denied.
    #[default]
    Audit,
    /// Deny what the matching rules' action denies.
    Enforce,
}

/// The text is neither `audit` nor `enforce`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a mode: use audit or enforce")]
pub struct UnknownMode;

impl Mode {
    /// The word used in files, annotations and alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Enforce => "enforce",
        }
    }

    /// The stricter of the two: a pod may tighten its mode, never loosen it.
    #[must_use]
    pub fn tighten(self, other: Self) -> Self {
        self.max(other)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "audit" => Ok(Self::Audit),
            "enforce" => Ok(Self::Enforce),
            _ => Err(UnknownMode),
        }
    }
}
