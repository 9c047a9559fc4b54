// SPDX-License-Identifier: Apache-2.0
//! Which calls a container's profile has to notify, from the event types that rules name.

use rules::{EventType, EventTypeSet};

use crate::{Family, Syscall};

/// The calls to watch for rules that match `types`: always the exec and open families, so that a later reload finds
/// them trapped, and whatever else the rules name. Never milder than the rules: every call of every named type.
///
/// `io_uring_setup` is no base call: what happens to it depends on the mode, see [`crate::patched`].
pub fn watched(types: &EventTypeSet) -> Vec<&'static str> {
    let wanted = |syscall: &&Syscall| is_base(syscall.family) || types.contains(syscall.event_type);
    Syscall::all().iter().filter(wanted).map(|syscall| syscall.name).collect()
}

/// The event types of these names; unknown ones, of another version's guard, are passed over.
pub fn types_named(names: &[String]) -> EventTypeSet {
    names.iter().filter_map(|name| EventType::from_name(name)).collect()
}

/// The event types that some call can raise; a rule on any other type can never match.
pub fn watchable() -> EventTypeSet {
    Syscall::all().iter().map(|syscall| syscall.event_type).collect()
}

fn is_base(family: Family) -> bool {
    match family {
        Family::Execve | Family::Execveat | Family::Open | Family::Openat | Family::Openat2 | Family::Creat => true,
        Family::IoUringSetup => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: [&str; 6] = ["execve", "execveat", "open", "openat", "openat2", "creat"];

    #[test]
    fn the_base_set_is_watched_without_any_rule() {
        assert_eq!(watched(&EventTypeSet::EMPTY), BASE);
    }

    #[test]
    fn a_named_type_adds_its_call_and_an_unknown_one_adds_none() {
        let types = types_named(&["io_uring_setup", "container", "unheard_of"].map(str::to_owned));
        assert_eq!(types.len(), 2);
        assert_eq!(watched(&types).iter().filter(|name| !BASE.contains(name)).collect::<Vec<_>>(), [&"io_uring_setup"]);
        assert!(!types.difference(&watchable()).is_empty());
    }
}
