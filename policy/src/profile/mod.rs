// SPDX-License-Identifier: Apache-2.0
//! The OCI `linux.seccomp` block that makes the kernel notify Lanner, made from the container's own.
//!
//! Never milder than the container's own profile. How runc and crun read a profile (libseccomp 2.5, both runtimes):
//! a rule whose action is the default action is skipped; of the others the first *unconditional* rule of a name decides
//! alone, wherever conditional ones stand; several conditions on one argument are alternatives; unknown names are
//! ignored. Adding a rule in front would therefore silence a container's own conditional denial, and on i386, where
//! socket calls share one number, be refused. So permissive rules are split in place: see [`rules`](mod@rules).

mod complement;
mod multiplex;
mod rules;
mod spelling;

pub use spelling::misspelt;

use serde_json::{Map, Value, json};

use crate::{Arch, Mode, RegisterTest, Watched};
use multiplex::Multiplexing;

/// Bytes of a Unix socket's path without the closing NUL (`sun_path`, unix(7)).
pub const LISTENER_PATH_MAX: usize = 107;

/// The calls that seccomp never sees happen: a ring opens files without any system call.
const UNSEEN: &[&str] = &["io_uring_setup"];

/// The calls that begin what nobody else can take part in: opens that are performed for a task know nothing of a Landlock
/// domain it has entered, so that in enforce mode it must not believe in one. Programs take this for a kernel without.
const UNFOLLOWED: &[&str] = &["landlock_create_ruleset"];

/// The calls that enter such a domain: watched in audit mode, where they are not denied, so that opens can be left to the
/// kernel from then on.
const ENTERING: &[&str] = &["landlock_restrict_self"];

/// The calls that take descriptors out of a process. A connection that is made for a task gives its other end a handle of the
/// process that made it (`SO_PEERPIDFD`), which has descriptors of the host's, and whoever may trace may take those.
const TAKING: &[&str] = &["pidfd_getfd"];

/// The members of a profile.
const MEMBERS: &[&str] =
    &["defaultAction", "defaultErrnoRet", "architectures", "flags", "listenerPath", "listenerMetadata", "syscalls"];

/// runc refuses it: its message with the listener is written after the filter is in force.
const UNWATCHABLE: &str = "write";

/// What the new profile has to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The absolute path of the guard's listener socket.
    pub listener_path: &'a str,
    /// Where Lanner keeps all its listener sockets: a profile that names one of them is an earlier patch of ours.
    pub run_dir: &'a str,
    /// In enforce mode `io_uring_setup` fails with EPERM, as under `kernel.io_uring_disabled`, which programs know how to
    /// live with; in audit mode it is watched.
    /// `landlock_create_ruleset` and `pidfd_getfd` fail likewise in enforce mode; in audit mode `landlock_restrict_self` is
    /// watched.
    pub mode: Mode,
    /// The calls to notify.
    pub watched: &'a [Watched],
    /// Filter flags to add (`SECCOMP_FILTER_FLAG_..`); only what the low-level runtime is known to accept.
    pub flags: &'a [&'a str],
    /// The `architectures` of a profile where the container has none: usually [`Arch::of_host`].
    pub architectures: &'a [Arch],
}

/// Why a container's profile cannot be combined with ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The kernel allows one listener per chain of filters.
    #[error("the container's seccomp profile already has the listener `{theirs}`, which leaves no room for `{ours}`")]
    ForeignListener {
        /// The path in the profile.
        theirs: String,
        /// The path of the guard's socket.
        ours: String,
    },
    /// Notifications that no listener of the profile receives.
    #[error("the container's seccomp profile notifies `{name}` itself")]
    ForeignNotify {
        /// The first name of the rule, or the member `defaultAction`.
        name: String,
    },
    /// A tracer inside the container decides, and lets happen what nobody else sees.
    #[error("the container's seccomp profile leaves `{name}` to a tracer")]
    Traced {
        /// The system call, or the member `defaultAction`.
        name: String,
    },
    /// A name is allowed by default and denied for some arguments in a way whose opposite cannot be written down.
    #[error(
        "the container's seccomp profile denies `{name}` for some arguments in a way that leaves no room to watch it for the others"
    )]
    ConditionalDenial {
        /// The system call.
        name: String,
    },
    /// A rule on i386's call that makes other calls would meet ours on one of these, which the runtimes refuse.
    #[error(
        "the container's seccomp profile decides `{name}` by its arguments, which leaves no room to watch `{call}` that is made through it"
    )]
    Multiplexed {
        /// `socketcall` or `ipc`.
        name: String,
        /// The call to watch.
        call: String,
    },
    /// The runtime would not accept the profile either.
    #[error("`{member}` of the container's seccomp profile is not {expected}")]
    Malformed {
        /// The path of the member inside `linux.seccomp`.
        member: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// runc takes it for the member it resembles, crun for none.
    #[error(
        "`{member}` of the container's seccomp profile is spelt in another way than the runtimes' specification has it"
    )]
    Misspelt {
        /// The path of the member inside `linux.seccomp`.
        member: String,
    },
    /// No socket can have this path.
    #[error("the listener socket's path `{path}` is longer than {LISTENER_PATH_MAX} bytes")]
    ListenerPathTooLong {
        /// The path.
        path: String,
    },
    /// The runtimes refuse relative paths.
    #[error("the listener socket's path `{path}` is not absolute")]
    ListenerPathRelative {
        /// The path.
        path: String,
    },
    /// The low-level runtime would hang or refuse.
    #[error("`{UNWATCHABLE}` cannot be watched: the low-level runtime needs it to hand the listener over")]
    Unwatchable,
}

/// What becomes of a name wherever the profile permits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treatment<'a> {
    /// Notify calls whose registers pass one of the tests, or all calls where there is no test.
    Notify(&'a [RegisterTest]),
    Deny,
}

/// Every name with a treatment, once.
type Treatments<'a> = Vec<(&'a str, Treatment<'a>)>;

/// The profile to start the container with, from its `own` (`linux.seccomp`, absent where it is unconfined).
///
/// Members that are not concerned survive as they are, in their order.
pub fn patched(own: Option<&Value>, plan: &Plan<'_>) -> Result<Value, ProfileError> {
    check_plan(plan)?;
    let mut profile = match own {
        None | Some(Value::Null) => unconfined(plan),
        Some(Value::Object(members)) => {
            if let Some(member) = misspelt(members, MEMBERS) {
                return Err(ProfileError::Misspelt { member: member.to_owned() });
            }
            if has_no_effect(members) { unconfined(plan) } else { members.clone() }
        }
        Some(_) => return Err(malformed("linux.seccomp", "an object")),
    };
    reclaim(&mut profile, plan.run_dir);
    refuse_foreign_listener(&profile, plan)?;
    let (default, own) = rules::read(&profile)?;
    let multiplexing = Multiplexing::of(&profile, default, &own, plan.watched)?;
    let mut treatments = treatments(plan, &multiplexing);
    let is_optional = |call: &str| plan.watched.iter().any(|watched| watched.is_optional && watched.name == call);
    let syscalls = loop {
        match rules::rewritten(default, &own, &treatments) {
            Err(ProfileError::ConditionalDenial { name } | ProfileError::Traced { name }) if is_optional(&name) => {
                treatments.retain(|(known, _)| *known != name);
            }
            rewritten => break rewritten?,
        }
    };
    profile.insert("syscalls".to_owned(), Value::Array(syscalls));
    profile.insert("listenerPath".to_owned(), plan.listener_path.into());
    add_flags(&mut profile, plan.flags)?;
    Ok(Value::Object(profile))
}

/// The profile without an earlier patch of ours, whose listener may be gone; `None` where `own` has none.
#[must_use]
pub fn unpatched(own: &Value, run_dir: &str) -> Option<Value> {
    let mut profile = own.as_object()?.clone();
    reclaim(&mut profile, run_dir);
    let profile = Value::Object(profile);
    (profile != *own).then_some(profile)
}

fn check_plan(plan: &Plan<'_>) -> Result<(), ProfileError> {
    let path = plan.listener_path;
    if path.len() > LISTENER_PATH_MAX {
        return Err(ProfileError::ListenerPathTooLong { path: path.to_owned() });
    }
    if !path.starts_with('/') {
        return Err(ProfileError::ListenerPathRelative { path: path.to_owned() });
    }
    if plan.watched.iter().any(|watched| watched.name == UNWATCHABLE) {
        return Err(ProfileError::Unwatchable);
    }
    Ok(())
}

/// Allows everything, for every calling convention of the host: with the native one alone, libseccomp would kill the
/// others, which an unconfined container may use.
fn unconfined(plan: &Plan<'_>) -> Map<String, Value> {
    let architectures: Vec<_> = plan.architectures.iter().map(|arch| arch.oci_name()).collect();
    Map::from_iter([
        ("defaultAction".to_owned(), json!("SCMP_ACT_ALLOW")),
        ("architectures".to_owned(), json!(architectures)),
    ])
}

/// Whether there is neither a default action nor a rule: runc installs no filter for it, whatever other members say, and
/// crun accepts it not. Go writes a default action that is not set as an empty text.
fn has_no_effect(profile: &Map<String, Value>) -> bool {
    let is_empty = |name: &str| match profile.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(elements)) => elements.is_empty(),
        Some(_) => false,
    };
    is_empty("defaultAction") && is_empty("syscalls")
}

/// Takes an earlier patch back, for a bundle that is started again: what we watched was permitted. A LOG that we replaced
/// and a ring that we denied stay as they are, which weakens nothing.
fn reclaim(profile: &mut Map<String, Value>, run_dir: &str) {
    let listener = profile.get("listenerPath").and_then(Value::as_str);
    if !listener.and_then(|path| path.strip_prefix(run_dir)).is_some_and(|rest| rest.starts_with('/')) {
        return;
    }
    profile.shift_remove("listenerPath");
    let rules = profile.get_mut("syscalls").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
        if rule.get("action").is_some_and(|action| action == rules::NOTIFY) {
            rule.insert("action".to_owned(), json!(rules::ALLOW));
        }
    }
}

fn refuse_foreign_listener(profile: &Map<String, Value>, plan: &Plan<'_>) -> Result<(), ProfileError> {
    match profile.get("listenerPath") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(path)) if path.is_empty() => Ok(()),
        Some(Value::String(theirs)) => {
            Err(ProfileError::ForeignListener { theirs: theirs.clone(), ours: plan.listener_path.to_owned() })
        }
        Some(_) => Err(malformed("listenerPath", "a string")),
    }
}

/// The treatments of a plan.
fn treatments<'a>(plan: &Plan<'a>, multiplexing: &Multiplexing) -> Treatments<'a> {
    let of_mode: &[(&[&str], Treatment<'_>)] = match plan.mode {
        Mode::Audit => &[(UNSEEN, Treatment::Notify(&[])), (ENTERING, Treatment::Notify(&[]))],
        Mode::Enforce => &[(UNSEEN, Treatment::Deny), (UNFOLLOWED, Treatment::Deny), (TAKING, Treatment::Deny)],
    };
    let of_mode = of_mode.iter().flat_map(|&(names, treatment)| names.iter().map(move |name| (*name, treatment)));
    let mut treatments: Treatments<'a> = of_mode.collect();
    let mut add = |name: &'a str, tests: &'a [RegisterTest]| {
        if !treatments.iter().any(|(known, _)| *known == name) {
            treatments.push((name, Treatment::Notify(tests)));
        }
    };
    for Watched { name, when, .. } in plan.watched {
        add(name, if multiplexing.is_testable(name) { when } else { &[] });
    }
    treatments.extend(multiplexing.treatments.iter().copied());
    treatments
}

fn add_flags(profile: &mut Map<String, Value>, flags: &[&str]) -> Result<(), ProfileError> {
    if flags.is_empty() {
        return Ok(());
    }
    let mut all = match profile.get("flags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(own)) => own.clone(),
        Some(_) => return Err(malformed("flags", "a list")),
    };
    for flag in flags {
        if !all.iter().any(|own| own == flag) {
            all.push((*flag).into());
        }
    }
    profile.insert("flags".to_owned(), Value::Array(all));
    Ok(())
}

fn malformed(member: impl Into<String>, expected: &'static str) -> ProfileError {
    ProfileError::Malformed { member: member.into(), expected }
}

#[cfg(test)]
mod tests;
