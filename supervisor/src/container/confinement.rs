// SPDX-License-Identifier: Apache-2.0
//! The security module that confines a container beside its namespaces and capabilities.
//!
//! A call that is performed for a task is asked about as ours, and what was opened by somebody unconfined is not asked about
//! again when it is used (`aa_file_perm` of the kernel's `apparmor/file.c`). So the two do not go together.

use std::{fmt, fs, path::Path};

use super::{
    identity::{LoadIdentityError, read},
    spec::{Process, Spec},
};

/// What confines a container, by its OCI spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// `process.apparmorProfile`.
    AppArmor(String),
    /// `process.selinuxLabel`.
    SeLinux(String),
}

impl fmt::Display for Confinement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppArmor(profile) => write!(formatter, "AppArmor profile `{profile}`"),
            Self::SeLinux(label) => write!(formatter, "SELinux label `{label}`"),
        }
    }
}

/// The modules that this machine runs.
#[derive(Debug, Clone, Copy)]
struct Modules {
    apparmor: bool,
    selinux: bool,
}

impl Modules {
    fn of_host() -> Self {
        let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
        Self {
            apparmor: enabled.is_ok_and(|text| text.starts_with('Y')),
            selinux: Path::new("/sys/fs/selinux/enforce").exists(),
        }
    }
}

impl Confinement {
    /// That of the container of a run directory, on this machine.
    pub(crate) fn load(directory: &Path) -> Result<Option<Self>, LoadIdentityError> {
        let modules = Modules::of_host();
        if !modules.apparmor && !modules.selinux {
            return Ok(None);
        }
        let spec: Spec = read(&directory.join("spec.json"))?;
        Ok(spec.process.and_then(|process| Self::of(process, modules)))
    }

    fn of(process: Process, modules: Modules) -> Option<Self> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let profile = given(process.apparmor_profile).filter(|profile| modules.apparmor && profile != "unconfined");
        let label = given(process.selinux_label).filter(|_| modules.selinux);
        profile.map(Self::AppArmor).or_else(|| label.map(Self::SeLinux))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(process: &str, (apparmor, selinux): (bool, bool), expected: Option<&str>) {
        let process = serde_json::from_str(process).unwrap();
        let found = Confinement::of(process, Modules { apparmor, selinux });
        assert_eq!(found.map(|found| found.to_string()).as_deref(), expected);
    }

    #[test]
    fn what_the_spec_asks_for_confines_where_the_kernel_has_the_module() {
        let apparmor = r#"{"apparmorProfile": "cri-containerd.apparmor.d"}"#;
        check(apparmor, (true, false), Some("AppArmor profile `cri-containerd.apparmor.d`"));
        check(apparmor, (false, true), None);
        check(r#"{"apparmorProfile": "unconfined"}"#, (true, true), None);
        check(r#"{"apparmorProfile": "", "selinuxLabel": ""}"#, (true, true), None);
        let selinux = r#"{"selinuxLabel": "system_u:system_r:container_t:s0:c1,c2"}"#;
        check(selinux, (false, true), Some("SELinux label `system_u:system_r:container_t:s0:c1,c2`"));
        check(selinux, (true, false), None);
        check("{}", (true, true), None);
    }
}
