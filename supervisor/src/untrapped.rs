// SPDX-License-Identifier: Apache-2.0
//! Telling which calls the rules need that a container's profile, which is fixed at its start, does not notify.

use policy::Watched;

use crate::{diagnostics, interest, internal_alert::InternalAlert, run_directory::RunDirectory};

/// Calls that were named as needed and not trapped.
#[derive(Debug, Default)]
pub(crate) struct Untrapped(Vec<String>);

impl Untrapped {
    /// The alert that names those of the `needed` calls which the profile does not notify, each once; `None` where there is
    /// nothing new to say. What is only good to know is not named.
    pub(crate) fn alert(&mut self, needed: &[Watched], directory: &RunDirectory) -> Option<InternalAlert> {
        let trapped = match directory.trapped() {
            Ok(trapped) => trapped,
            Err(error) => {
                tracing::error!(error = diagnostics::chain(&error), "which calls are trapped is not known");
                return None;
            }
        };
        let required: Vec<_> = needed.iter().filter(|call| !call.is_optional).cloned().collect();
        let mut missing = interest::missing(&required, &trapped);
        missing.retain(|name| !self.0.iter().any(|known| known == name));
        if missing.is_empty() {
            return None;
        }
        let alert = InternalAlert::untrapped(&missing);
        self.0.extend(missing.into_iter().map(str::to_owned));
        Some(alert)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_that_a_rule_needs_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory::new(folder.path());
        let call = |name: &str, is_optional| Watched { name: name.to_owned(), when: Vec::new(), is_optional };
        let mut untrapped = Untrapped::default();
        assert!(untrapped.alert(&[call("chmod", false)], &directory).is_none(), "nobody knows what is trapped");
        directory.set_trapped(&[call("chdir", false)]).unwrap();
        let mut named =
            |needed: &[Watched]| untrapped.alert(needed, &directory).map(|alert| alert.message().to_owned());
        let message = named(&[call("chdir", false), call("chmod", false), call("prctl", true)]).unwrap();
        assert!(message.ends_with(": chmod"), "{message}");
        assert_eq!(named(&[call("chmod", false)]), None);
        assert!(named(&[call("chmod", false), call("chown", false)]).unwrap().ends_with(": chown"));
    }
}
