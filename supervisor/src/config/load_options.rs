// SPDX-License-Identifier: Apache-2.0
//! The rule keys as the rule loader takes them.

use rules::{EventTypeSet, LoadOptions, Unseen};

use super::rules_options::{AppendOutput, ExtraField, RulesOptions, Selection, Selector};
use crate::decode::{replaced_types, unknown_parameters};

impl RulesOptions {
    /// What the loader is told.
    pub(crate) fn load_options(&self) -> LoadOptions {
        LoadOptions {
            priority: self.priority,
            selection: self.selection.iter().map(Selection::to_loader).collect(),
            append_output: self.append_output.iter().map(AppendOutput::to_loader).collect(),
            static_fields: self.static_fields.clone(),
            buffer_format_base64: self.buffer_format_base64,
            unseen: Unseen {
                events: EventTypeSet::all().difference(&policy::watchable()),
                replaced: replaced_types().collect(),
                parameters: unknown_parameters().collect(),
            },
            ..LoadOptions::default()
        }
    }
}

impl Selection {
    fn to_loader(&self) -> rules::Selection {
        let selector = match &self.selector {
            Selector::Rule(name) => rules::Selector::Rule(name.clone()),
            Selector::Tag(tag) => rules::Selector::Tag(tag.clone()),
        };
        rules::Selection { enable: self.enable, selector }
    }
}

impl AppendOutput {
    fn to_loader(&self) -> rules::AppendOutput {
        rules::AppendOutput {
            rule: self.rule.clone(),
            source: self.source.clone(),
            tags: self.tags.clone(),
            extra_output: self.extra_output.clone(),
            extra_fields: self.extra_fields.iter().map(ExtraField::to_loader).collect(),
            suggested_output: self.suggested_output,
        }
    }
}

impl ExtraField {
    fn to_loader(&self) -> rules::ExtraField {
        match self {
            Self::Plain(name) => rules::ExtraField::Field(name.clone()),
            Self::Formatted { name, format } => {
                rules::ExtraField::Format { name: name.clone(), format: format.clone() }
            }
        }
    }
}
