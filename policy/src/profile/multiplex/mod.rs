// SPDX-License-Identifier: Apache-2.0
//! i386's `socketcall` and `ipc`, which make other calls: how those are watched when they are made this way.
//!
//! libseccomp 2.5 turns a rule on such a call, for i386, into one on its own number and one on the multiplexer with the
//! call's number in the first register, whose other conditions mean nothing there. A rule on the multiplexer itself
//! without conditions, which engines' default profiles have, decides for all its calls wherever it stands, so that theirs
//! are never looked at; two rules with the same conditions and different actions are refused, and the container with them.

use serde_json::{Map, Value};

use super::{
    ProfileError, Treatment, Treatments,
    rules::{self, Rule},
};
use crate::{Arch, Comparison, RegisterTest, Watched, syscall};

/// A call that makes others.
#[derive(Debug)]
struct Multiplexer {
    name: &'static str,
    makes: fn(&str) -> bool,
    /// Calls that the rules on what it makes cannot see although they are made.
    hidden: &'static [RegisterTest],
}

const MULTIPLEXERS: [Multiplexer; 2] = [
    Multiplexer { name: "socketcall", makes: syscall::is_socket_call, hidden: &[] },
    // The upper half of the register is a version: the kernel looks at the lower one, libseccomp's rules at both.
    Multiplexer {
        name: "ipc",
        makes: syscall::is_ipc_call,
        hidden: &[RegisterTest { register: 0, comparison: Comparison::AtLeast, value: 0x1_0000 }],
    },
];

/// What a profile says of a multiplexer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// A rule permits it as a whole; the index of the rule.
    Permitted(usize),
    /// A rule denies it as a whole.
    Denied,
    /// Its calls decide, and the default permits others.
    Open,
    /// Its calls decide, and the default denies others.
    Closed,
}

/// What the watched calls ask for beside themselves.
#[derive(Debug, Default)]
pub(super) struct Multiplexing {
    /// The multiplexers with their treatment.
    pub(super) treatments: Treatments<'static>,
    /// Those with calls for which register tests would mean something else, or be refused.
    untestable: Vec<&'static Multiplexer>,
}

impl Multiplexing {
    /// What `watched` asks for under a profile with these rules.
    pub(super) fn of(
        profile: &Map<String, Value>,
        default: &str,
        own: &[Rule<'_>],
        watched: &[Watched],
    ) -> Result<Self, ProfileError> {
        let mut multiplexing = Self::default();
        if has_i386(profile) {
            for multiplexer in &MULTIPLEXERS {
                multiplexing.add(multiplexer, default, own, watched)?;
            }
        }
        Ok(multiplexing)
    }

    /// Whether register tests on the call can be used.
    pub(super) fn is_testable(&self, call: &str) -> bool {
        !self.untestable.iter().any(|multiplexer| (multiplexer.makes)(call))
    }

    fn add(
        &mut self,
        multiplexer: &'static Multiplexer,
        default: &str,
        own: &[Rule<'_>],
        watched: &[Watched],
    ) -> Result<(), ProfileError> {
        let mut made = watched.iter().filter(|watched| (multiplexer.makes)(&watched.name)).peekable();
        let Some(first) = made.peek().copied() else { return Ok(()) };
        let effective = || own.iter().filter(|rule| rule.action != default);
        let standing = multiplexer.standing(default, own, first)?;
        // Where the default permits, a denial in part and its opposite become rules with the same conditions.
        let is_denied_in_part = |call: &&Watched| {
            let mut rules = effective().filter(|rule| rule.names.contains(&call.name.as_str()));
            rules.any(|rule| !rule.conditions.is_empty() && !rules::is_permissive(rule.action))
        };
        if let Some(call) = made.clone().find(is_denied_in_part).filter(|_| rules::is_permissive(default)) {
            return Err(ProfileError::ConditionalDenial { name: call.name.clone() });
        }
        let is_tested = made.any(|call| !call.when.is_empty());
        let names_its_calls = |rule: &Rule<'_>| rule.names.iter().any(|name| (multiplexer.makes)(name));
        let whole = (multiplexer.name, Treatment::Notify(&[]));
        let is_testable = match standing {
            Standing::Permitted(place) => {
                self.treatments.push(whole);
                // Where the rule comes later, libseccomp compares those on its calls before it ignores them.
                own.iter().position(names_its_calls).is_none_or(|first| first >= place)
            }
            // Nothing of the profile can be lost by watching all.
            Standing::Open if is_tested && !effective().any(names_its_calls) => {
                self.treatments.push(whole);
                true
            }
            Standing::Open => {
                if !multiplexer.hidden.is_empty() {
                    self.treatments.push((multiplexer.name, Treatment::Notify(multiplexer.hidden)));
                }
                false
            }
            Standing::Denied | Standing::Closed => false,
        };
        if !is_testable {
            self.untestable.push(multiplexer);
        }
        Ok(())
    }
}

impl Multiplexer {
    /// What the profile says of it; `call` is one of its calls that is watched.
    fn standing(&self, default: &str, own: &[Rule<'_>], call: &Watched) -> Result<Standing, ProfileError> {
        let mut rules = own.iter().enumerate();
        match rules.find(|(_, rule)| rule.action != default && rule.names.contains(&self.name)) {
            // Its conditions could be those that a rule on one of its calls becomes.
            Some((_, rule)) if !rule.conditions.is_empty() => {
                Err(ProfileError::Multiplexed { name: self.name.to_owned(), call: call.name.clone() })
            }
            Some((place, rule)) if rules::is_permissive(rule.action) => Ok(Standing::Permitted(place)),
            Some((_, rule)) if rule.action == rules::TRACE => Err(ProfileError::Traced { name: self.name.to_owned() }),
            Some(_) => Ok(Standing::Denied),
            None if rules::is_permissive(default) => Ok(Standing::Open),
            None => Ok(Standing::Closed),
        }
    }
}

/// Whether i386 calls get past the profile's list of architectures at all.
fn has_i386(profile: &Map<String, Value>) -> bool {
    let architectures = profile.get("architectures").and_then(Value::as_array);
    architectures.is_some_and(|all| all.iter().any(|name| name == Arch::I386.oci_name()))
}

#[cfg(test)]
mod tests;
