// SPDX-License-Identifier: Apache-2.0
//! Fields that differ from the recording on purpose: which, where, and why.

use std::{cell::Cell, collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use crate::recording::Event;

/// The list of them.
#[derive(Debug)]
pub(crate) struct Exceptions(Vec<Exception>);

/// A difference between Falco's recording and Lanner.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    fields: Vec<String>,
    /// Event types that it is about; all without any.
    #[serde(default)]
    types: Vec<String>,
    /// Steps that it is about; all without any.
    #[serde(default)]
    steps: Vec<String>,
    /// Recorded values of the events that it is about, by field.
    #[serde(default, rename = "where")]
    recorded: BTreeMap<String, String>,
    /// Whether the machine decides if there is a difference.
    #[serde(default)]
    pub(crate) may_be_equal: bool,
    pub(crate) reason: String,
    #[serde(skip)]
    uses: Cell<usize>,
}

impl Exceptions {
    pub(crate) fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/exceptions.yaml");
        let text = fs::read_to_string(&file).unwrap();
        Self(serde_saphyr::from_str(&text).unwrap_or_else(|cause| panic!("{}: {cause}", file.display())))
    }

    /// Why a field of an event may differ, and then must.
    pub(crate) fn find(&self, event: &Event, field: &str) -> Option<&Exception> {
        let found = self.0.iter().find(|exception| exception.covers(event, field))?;
        found.uses.set(found.uses.get() + 1);
        Some(found)
    }

    /// Complaints about exceptions that cover nothing.
    pub(crate) fn unused(&self) -> Vec<String> {
        let unused = self.0.iter().filter(|exception| exception.uses.get() == 0);
        unused.map(|exception| format!("no event needs the exception of {:?}", exception.fields)).collect()
    }
}

impl Exception {
    fn covers(&self, event: &Event, field: &str) -> bool {
        let fits = |list: &[String], value: &str| list.is_empty() || list.iter().any(|entry| entry == value);
        self.fields.iter().any(|name| name == field)
            && fits(&self.types, event.kind())
            && fits(&self.steps, &event.step)
            && self.recorded.iter().all(|(name, value)| event.text(name).as_ref() == Some(value))
    }
}
