// SPDX-License-Identifier: Apache-2.0
//! The AppArmor profile that confines a task beside its namespaces and capabilities.
//!
//! A call that is performed for a task is asked about by the profile of whoever performs it, and what was opened by somebody
//! unconfined is not asked about again when it is used (`aa_file_perm` of the kernel's `apparmor/file.c`). So whoever
//! performs wears the task's profile. It is a thread's own, like its ids, but there is no way back from it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};

use crate::process::Process;

/// Of `attr/apparmor/current`, in bytes; the kernel gives a page at most.
const MAX_LABEL: usize = 4096;

/// The profile, or the profiles, that a task is confined by; in the kernel's words, with the mode in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Label(String);

impl Label {
    /// That of the task, if it has one; `Err` when the task is gone, or the name no text.
    pub(super) fn of(process: &Process) -> Result<Option<Self>, io::Error> {
        if !is_enabled() {
            return Ok(None);
        }
        let text = process.read("attr/apparmor/current", MAX_LABEL).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self::parse(str::from_utf8(&text).map_err(io::Error::other)?))
    }

    /// `None` where nothing is confined. A profile of mode `unconfined` does no more than have a name.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end_matches(['\n', '\0']);
        if text == "unconfined" || text.ends_with(" (unconfined)") { None } else { Some(Self(text.to_owned())) }
    }

    /// The profiles' names, without the mode.
    fn name(&self) -> &str {
        self.0.rsplit_once(" (").filter(|(_, mode)| mode.ends_with(')')).map_or(&*self.0, |(name, _)| name)
    }

    /// Confines the calling thread, for good. It must be unconfined, and see the host's `/proc`.
    pub(super) fn put_on(&self) -> io::Result<()> {
        let mut current = File::options().read(true).write(true).open("/proc/thread-self/attr/apparmor/current")?;
        // One write is one command (`apparmor_setprocattr` of the kernel's `apparmor/lsm.c`).
        current.write_all(format!("changeprofile {}", self.name()).as_bytes())?;
        // The kernel may put it beside another profile instead.
        let mut worn = String::new();
        current.rewind()?;
        current.read_to_string(&mut worn)?;
        match Self::parse(&worn) {
            Some(worn) if worn == *self => Ok(()),
            _ => Err(io::Error::other(format!("the kernel made it `{}`", worn.trim_end()))),
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether the kernel runs the module.
fn is_enabled() -> bool {
    static ENABLED: OnceLock<bool> = OnceLock::new();
    let read = || fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"));
    *ENABLED.get_or_init(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(Label::parse(text).as_ref().map(Label::name), expected);
    }

    #[test]
    fn a_label_is_the_names_of_its_profiles() {
        check("docker-default (enforce)\n", Some("docker-default"));
        check("unconfined\n", None);
        check("runc (unconfined)\n", None);
        check("container//hat (complain)\n", Some("container//hat"));
        check("a//&:other:b (mixed)\n", Some("a//&:other:b"));
        check("with (brackets) in it (enforce)", Some("with (brackets) in it"));
        check("without mode", Some("without mode"));
    }
}
