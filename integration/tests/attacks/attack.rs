// SPDX-License-Identifier: Apache-2.0
//! What is known of an attack: what it runs as, whom it beats, what it leaves in the log.

use integration::Alert;

use crate::stage::{EXEC_RULES, LAYER_RULES, NAME_RULES, OPEN_RULES, Setting};

/// One attack.
pub(crate) struct Attack {
    /// The program and what it is told, by blanks.
    pub(crate) command: &'static str,
    /// The container it runs in.
    pub(crate) setting: Setting,
    /// What becomes of the checker that answers *continue*.
    pub(crate) naive: Naive,
    /// What the log says of a denial, or of a success where nothing is denied.
    pub(crate) trace: Trace,
    /// The attack also does what is allowed, which must keep working.
    pub(crate) has_decoy: bool,
    /// Why enforcement may lose, as `docs/enforcement.md` admits.
    pub(crate) limit: Option<&'static str>,
    /// How many calls an attempt makes.
    pub(crate) calls: u64,
    /// The container shares its namespace of processes with whoever supervises it.
    pub(crate) shares_processes: bool,
    /// What is forbidden at all.
    pub(crate) subject: Subject,
    /// Lines of the configuration that it runs under.
    pub(crate) settings: &'static str,
}

/// What rules are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Opens,
    OpensAndExecutions,
    /// The calls that open nothing, too.
    Names,
    /// Executions of what the image does not have.
    Layers,
}

impl Attack {
    /// What the attack is called.
    pub(crate) fn name(&self) -> String {
        let sharing = if self.shares_processes { ", sharing processes" } else { "" };
        let limited = if self.subject == Subject::Opens { ", rules on opens" } else { "" };
        let settings = if self.settings.is_empty() { "" } else { ", " };
        format!("{} ({:?}{sharing}{limited}{settings}{})", self.command, self.setting, self.settings.trim_end())
    }

    /// What is forbidden.
    pub(crate) fn rules(&self) -> String {
        match self.subject {
            Subject::Opens => OPEN_RULES.to_owned(),
            Subject::OpensAndExecutions => [OPEN_RULES, EXEC_RULES].concat(),
            Subject::Names => [OPEN_RULES, EXEC_RULES, NAME_RULES].concat(),
            Subject::Layers => LAYER_RULES.to_owned(),
        }
    }
}

/// The checker that answers *continue* against an attack.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Naive {
    /// It loses, even in this manner.
    Loses(Manner),
    /// It holds, because it is no race, or for another reason.
    Holds(&'static str),
    /// It is not asked, for this reason.
    Spared(&'static str),
}

/// How the checker looks at paths.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// As text.
    Text,
    /// As text, and as what they lead to.
    Resolving,
}

/// What an attack leaves in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trace {
    /// An open of the file with this real path.
    Opened(&'static str),
    /// An open for writing.
    Written(&'static str),
    /// An execution.
    Executed(&'static str),
    /// A name that was made, or a file that was changed, without an open.
    Changed(&'static str),
    /// A connection.
    Connected(&'static str),
    /// Nothing of the file: the call that would reach it unseen is refused. In audit mode an alert of this name.
    Refused(&'static str),
    /// Nothing: what is asked for is allowed.
    Nothing,
}

impl Trace {
    /// Whether the alert comes from the rule that the attack breaks.
    pub(crate) fn is_of(self, alert: &Alert) -> bool {
        let rule = match self {
            Self::Opened(_) => "secret opened",
            Self::Written(_) => "guarded file written",
            Self::Executed(_) => "banned program executed",
            Self::Changed(_) => "secret changed",
            Self::Connected(_) => "secret connection",
            Self::Refused(name) => name,
            Self::Nothing => return false,
        };
        alert.rule == rule
    }

    /// Whether the alert tells what the attack really reached.
    pub(crate) fn names(self, alert: &Alert) -> bool {
        self.is_of(alert)
            && match self {
                // Its own name comes first, then the names in rules that stand for the same file.
                Self::Opened(file) | Self::Written(file) => {
                    alert.text("fd.realpath").split(' ').any(|name| name == file)
                }
                Self::Executed(words) | Self::Changed(words) | Self::Connected(words) => alert.message.contains(words),
                Self::Refused(_) => true,
                Self::Nothing => false,
            }
    }

    /// How many of the successes an audit must have named: what is unseen is reported once.
    pub(crate) fn due(self, successes: u64) -> u64 {
        match self {
            Self::Opened(_) | Self::Written(_) | Self::Executed(_) | Self::Changed(_) | Self::Connected(_) => successes,
            Self::Refused(_) => 1,
            Self::Nothing => 0,
        }
    }

    /// Whether an audit promises to know what was done: of what the kernel does by itself it knows what was asked for.
    pub(crate) fn is_audited(self) -> bool {
        !matches!(self, Self::Changed(_) | Self::Connected(_))
    }

    /// Whether a denial by a rule must be in the log of enforce mode.
    pub(crate) fn is_denied_by_rule(self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Nothing)
    }
}

/// An attack that wins some races against a checker that resolves paths, and gets what is allowed otherwise.
pub(crate) const fn race(command: &'static str, trace: Trace) -> Attack {
    let naive = Naive::Loses(Manner::Resolving);
    Attack {
        command,
        setting: Setting::Plain,
        naive,
        trace,
        has_decoy: true,
        limit: None,
        calls: 1,
        shares_processes: false,
        subject: Subject::OpensAndExecutions,
        settings: "",
    }
}

/// An attack that the checker does not notice at all.
pub(crate) const fn bypass(command: &'static str, trace: Trace) -> Attack {
    Attack { has_decoy: false, ..race(command, trace) }
}

impl Attack {
    /// In another container.
    pub(crate) const fn within(self, setting: Setting) -> Self {
        Self { setting, ..self }
    }

    /// Only a checker that takes paths for text loses.
    pub(crate) const fn of_text(self) -> Self {
        Self { naive: Naive::Loses(Manner::Text), ..self }
    }

    /// Even the checker holds, for this reason.
    pub(crate) const fn no_race(self, reason: &'static str) -> Self {
        Self { naive: Naive::Holds(reason), ..self }
    }

    /// Enforcement may lose, for this reason.
    pub(crate) const fn may_win(self, reason: &'static str) -> Self {
        Self { limit: Some(reason), ..self }
    }

    /// Under a configuration of its own.
    pub(crate) const fn under(self, settings: &'static str) -> Self {
        Self { settings, ..self }
    }

    /// With rules on calls that open nothing.
    pub(crate) const fn of_names(self) -> Self {
        Self { subject: Subject::Names, ..self }
    }

    /// With rules on the layers of an overlay, which the container is on.
    pub(crate) const fn of_layers(self) -> Self {
        Self { subject: Subject::Layers, ..self }
    }

    /// With rules on opens alone.
    pub(crate) const fn of_opens(self) -> Self {
        Self { subject: Subject::Opens, ..self }
    }

    /// With Lanner and the container in one namespace of processes, as with an engine's `--pid host`.
    pub(crate) const fn sharing_processes(self) -> Self {
        let naive = Naive::Spared("it has no part in the container");
        Self { shares_processes: true, naive, ..self }
    }

    /// An attempt makes several calls, of which one counts.
    pub(crate) const fn calling(self, calls: u64) -> Self {
        Self { calls, ..self }
    }

    /// What the attack does otherwise is forbidden too.
    pub(crate) const fn without_decoy(self) -> Self {
        Self { has_decoy: false, ..self }
    }
}
