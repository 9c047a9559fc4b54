// SPDX-License-Identifier: Apache-2.0
//! What a match asks for, as written in a rule's `action` key or in the configuration.

use std::{fmt, str::FromStr};

/// What a match asks for; ordered from mildest to strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Report only.
    Alert,
    /// Report, and in enforce mode fail the call.
    Deny,
    /// Report, and in enforce mode end the process.
    Kill,
}

/// The text is none of `alert`, `deny`, `kill`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an action: use alert, deny or kill")]
pub struct UnknownAction;

impl Action {
    /// The word used in files and alerts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Deny => "deny",
            Self::Kill => "kill",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        match text {
            "alert" => Ok(Self::Alert),
            "deny" => Ok(Self::Deny),
            "kill" => Ok(Self::Kill),
            _ => Err(UnknownAction),
        }
    }
}
