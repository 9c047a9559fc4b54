// SPDX-License-Identifier: Apache-2.0
//! What is done with a call, from the mode and the strictest action of all matching rules.

use rules::Action;

use crate::Mode;

/// What is done with a call. Exhaustive on purpose: every use must say what it does with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The call goes on.
    Allow,
    /// The call fails with the configured errno.
    Deny,
    /// The call fails and the process is killed.
    Kill,
}

impl Verdict {
    /// What `mode` does when `action` is the strictest that the matching rules ask for.
    pub fn of(mode: Mode, action: Action) -> Self {
        match (mode, action) {
            (Mode::Audit, _) | (Mode::Enforce, Action::Alert) => Self::Allow,
            (Mode::Enforce, Action::Deny) => Self::Deny,
            (Mode::Enforce, Action::Kill) => Self::Kill,
        }
    }

    /// The word used in alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Kill => "kill",
        }
    }
}
