// SPDX-License-Identifier: Apache-2.0
//! Which calls a container's profile has to notify, from the event types that rules name.

use rules::{EventType, EventTypeSet};
use serde::{Deserialize, Serialize};

use crate::{Syscall, syscall::unwatchable};

/// The calls that are watched whatever the rules say, so that rules which come later find them trapped.
pub const BASE: &[&str] = &["execve", "execveat", "open", "openat", "openat2", "creat"];

/// The calls that change what a task may open, of which a part is remembered in enforce mode.
const CHANGING: &[&str] = &["setgroups", "setgroups32", "chroot", "pivot_root", "setns", "unshare"];

/// The calls that mount file systems, unmount them or change how they are mounted. Some may fail as long as somebody has a file
/// open there, and all may show control groups in a place where they can be written to.
pub const MOUNTING: &[&str] = &["umount", "umount2", "mount", "mount_setattr", "fsconfig"];

/// A call to watch, always or only where a register is as some rule needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The call's name.
    pub name: String,
    /// Alternatives; none means always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<RegisterTest>,
    /// Whether a profile that leaves no room to watch it is to be used without.
    #[serde(default, rename = "optional", skip_serializing_if = "std::ops::Not::not")]
    pub is_optional: bool,
}

/// A comparison that the kernel makes on a register before anybody is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterTest {
    /// Which argument, 0 to 5.
    pub register: u32,
    /// How it is compared.
    pub comparison: Comparison,
    /// What it is compared with, as 64 unsigned bits.
    pub value: u64,
}

/// What a [`RegisterTest`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    AtLeast,
    Below,
    /// With a value of one bit: the register has that bit.
    HasBit,
    LacksBit,
}

/// The flag of `fanotify_init(2)` with which events bring handles in place of descriptors.
pub const FAN_REPORT_FID: u32 = 0x200;
/// The commands of `bpf(2)` by which a program comes to a control group: `BPF_PROG_ATTACH`, `BPF_LINK_CREATE`,
/// `BPF_LINK_UPDATE`.
pub const BPF_ATTACHING: [u32; 3] = [8, 28, 29];
/// The operation of `prctl(2)` that changes what a task shows of its memory and program.
pub const PR_SET_MM: u32 = 35;

/// The calls by which files come open that nobody has named: `open_by_handle_at`, and listeners of fanotify, whose events bring
/// a descriptor of whatever is opened, by whomever, the kernel's own looking at a program included.
pub fn opening_unseen() -> Vec<Watched> {
    let value = u64::from(FAN_REPORT_FID);
    let with_descriptors = RegisterTest { register: 0, comparison: Comparison::LacksBit, value };
    let listening = Watched { when: vec![with_descriptors], ..Watched::always("fanotify_init") };
    vec![Watched::always("open_by_handle_at"), listening]
}

/// The call by which a task shows another program than the one that it runs (`PR_SET_MM`, `prctl(2)`): in a user namespace of
/// its own everybody may make it, and rules go by the program.
pub fn posing() -> Watched {
    Watched { when: first_is_among(&[PR_SET_MM]), is_optional: true, ..Watched::always("prctl") }
}

/// The calls that attach a program to a control group (`bpf(2)`): it answers and changes what whoever acts for the group's
/// sockets asks and does (`getsockopt`, the path of a `connect`).
pub fn hooking() -> Watched {
    Watched { when: first_is_among(&BPF_ATTACHING), ..Watched::always("bpf") }
}

/// Whether the first argument, an `int` of which the kernel looks at the lower half only, is one of these.
fn first_is_among(values: &[u32]) -> Vec<RegisterTest> {
    let test = |comparison, value| RegisterTest { register: 0, comparison, value };
    let equal = values.iter().map(|value| test(Comparison::Equal, u64::from(*value)));
    equal.chain([test(Comparison::AtLeast, 1 << 32)]).collect()
}

/// The calls that are watched beside the [base set](BASE) in enforce mode.
pub fn enforced() -> Vec<Watched> {
    let changing = CHANGING.iter().map(|name| Watched::always(name));
    let mounting = MOUNTING.iter().map(|name| Watched::always(name));
    merged(changing.chain(mounting).chain([posing(), hooking()]).chain(opening_unseen()).chain(after_closes()))
}

/// The calls that are watched where opens are performed because they may fail as long as somebody has a file open: one that
/// its task has closed is for a moment more open with whoever opened it for the task. An `flock` that waits can wait for
/// that, too.
pub fn after_closes() -> Vec<Watched> {
    /// `LOCK_NB` of flock(2).
    const WITHOUT_WAITING: RegisterTest = RegisterTest { register: 1, comparison: Comparison::HasBit, value: 4 };
    let locking = Watched { when: vec![WITHOUT_WAITING], ..Watched::always("flock") };
    let calls = MOUNTING.iter().map(|name| Watched::always(name)).chain([locking]);
    calls.map(|call| Watched { is_optional: true, ..call }).collect()
}

/// The call by which a task begins to hear of closes (inotify(7)), where opens are performed: that of a file that it has closed
/// may be still to come.
pub fn before_listening() -> Watched {
    /// `IN_CLOSE_WRITE` and `IN_CLOSE_NOWRITE` of inotify(7).
    const OF_CLOSES: [u64; 2] = [0x8, 0x10];
    let test = |value| RegisterTest { register: 2, comparison: Comparison::HasBit, value };
    let when = OF_CLOSES.map(test).to_vec();
    Watched { when, is_optional: true, ..Watched::always("inotify_add_watch") }
}

/// One entry for each call, which asks for all that the call's several ones ask for; in the order of the first ones.
pub fn merged(calls: impl IntoIterator<Item = Watched>) -> Vec<Watched> {
    let mut merged: Vec<Watched> = Vec::new();
    for call in calls {
        let Some(known) = merged.iter_mut().find(|known| known.name == call.name) else {
            merged.push(call);
            continue;
        };
        known.is_optional &= call.is_optional;
        if known.when.is_empty() || call.when.is_empty() {
            known.when.clear();
        } else {
            known.when.extend(call.when);
        }
    }
    merged
}

impl RegisterTest {
    /// Holds exactly where `self` does not.
    pub(crate) fn opposite(self) -> Self {
        let comparison = match self.comparison {
            Comparison::Equal => Comparison::NotEqual,
            Comparison::NotEqual => Comparison::Equal,
            Comparison::AtLeast => Comparison::Below,
            Comparison::Below => Comparison::AtLeast,
            Comparison::HasBit => Comparison::LacksBit,
            Comparison::LacksBit => Comparison::HasBit,
        };
        Self { comparison, ..self }
    }
}

impl Watched {
    /// Watches every call of this name.
    pub fn always(name: &str) -> Self {
        Self { name: name.to_owned(), when: Vec::new(), is_optional: false }
    }
}

/// The calls to watch for rules that match `types`: always the exec and open families, and whatever else the rules name.
/// Never milder than the rules: every call of every named type.
///
/// `io_uring_setup` is no base call: what happens to it depends on the mode, see [`crate::patched`].
pub fn watched(types: &EventTypeSet) -> impl Iterator<Item = &'static Syscall> {
    let wanted = |syscall: &&Syscall| is_base(syscall.name) || types.contains(syscall.event_type);
    Syscall::all().iter().filter(wanted)
}

/// Whether a call is watched whatever the rules say.
pub fn is_base(name: &str) -> bool {
    BASE.contains(&name)
}

/// The event types that some call can raise; a rule on any other type can never match.
pub fn watchable() -> EventTypeSet {
    Syscall::all().iter().map(|syscall| syscall.event_type).collect()
}

/// The event types that no call raises because Lanner must not watch it.
pub fn unwatchable_types() -> EventTypeSet {
    unwatchable()
        .iter()
        .filter_map(|name| EventType::from_name(name))
        .collect::<EventTypeSet>()
        .difference(&watchable())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(types: &[&str]) -> Vec<&'static str> {
        let types = types.iter().filter_map(|name| EventType::from_name(name)).collect();
        watched(&types).map(|syscall| syscall.name).filter(|name| !is_base(name)).collect()
    }

    #[test]
    fn the_base_set_is_watched_without_any_rule() {
        assert_eq!(watched(&EventTypeSet::EMPTY).map(|syscall| syscall.name).collect::<Vec<_>>(), BASE);
    }

    /// What the rules that Lanner ships cost beside the base set stands in their README.
    #[test]
    fn the_shipped_rules_name_only_calls_that_can_be_watched_and_are_rare() {
        let mut loader = rules::Loader::new(rules::LoadOptions::default());
        loader.add("lanner_rules.yaml", include_bytes!("../../rules/files/lanner_rules.yaml"));
        let types = *loader.finish().ruleset.unwrap().event_types();
        assert_eq!(types.difference(&watchable()), EventTypeSet::EMPTY);
        let mut calls: Vec<_> = watched(&types).map(|syscall| syscall.name).filter(|name| !is_base(name)).collect();
        calls.sort_unstable();
        let files =
            ["chmod", "fchmod", "fchmodat", "link", "linkat", "mount", "open_by_handle_at", "rename", "renameat"];
        let more_files = ["renameat2", "symlink", "symlinkat", "unlink", "unlinkat"];
        let processes = ["pidfd_getfd", "process_vm_writev", "ptrace", "setns", "unshare"];
        let kernel = ["bpf", "finit_module", "init_module", "io_uring_setup", "kexec_file_load", "kexec_load"];
        let mut expected = [&files[..], &more_files, &processes, &kernel, &["connect"]].concat();
        expected.sort_unstable();
        assert_eq!(calls, expected);
    }

    #[test]
    fn a_call_that_is_asked_for_several_times_is_watched_wherever_one_asks() {
        let test = |value| RegisterTest { register: 1, comparison: Comparison::Equal, value };
        let some = |name: &str, values: &[u64]| Watched {
            when: values.iter().copied().map(test).collect(),
            ..Watched::always(name)
        };
        let all = merged([some("flock", &[5]), Watched::always("mount"), some("flock", &[6]), some("mount", &[1])]);
        assert_eq!(all, [some("flock", &[5, 6]), Watched::always("mount")]);
        assert_eq!(merged([some("flock", &[5]), Watched::always("flock")]), [Watched::always("flock")]);
        assert_eq!(merged(after_closes()), after_closes());
        let needed = ["flock", "mount"].map(Watched::always);
        let both = merged(after_closes().into_iter().chain(needed.clone()));
        assert!(needed.iter().all(|call| both.contains(call)), "what a rule needs is not optional: {both:?}");
    }

    #[test]
    fn a_named_type_adds_its_calls_and_an_unwatchable_one_none() {
        assert_eq!(names(&["io_uring_setup", "container", "futex"]), ["io_uring_setup"]);
        assert_eq!(names(&["setuid"]), ["setuid", "setuid32"]);
        let unwatchable = unwatchable_types();
        assert!(unwatchable.contains(EventType::from_name("write").unwrap()));
        assert!(!unwatchable.contains(EventType::from_name("connect").unwrap()));
    }
}
