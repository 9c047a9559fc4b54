// SPDX-License-Identifier: Apache-2.0
//! Which rules are loaded and how their outputs are completed: Falco's rule keys.

use std::path::PathBuf;

use rules::{OutputError, Priority, Template};

use super::{
    section::Section,
    source::{Finding, Place},
    tree::{Content, Node},
};

/// Where rules are, unless `rules_files` says otherwise.
const DEFAULT_FILES: [&str; 3] =
    ["/etc/lanner/lanner_rules.yaml", "/etc/lanner/lanner_rules.local.yaml", "/etc/lanner/rules.d"];

/// Names and values of the `static.NAME` fields.
type StaticFields = Vec<(String, String)>;

/// What the rule loader is told.
#[derive(Debug)]
pub(crate) struct RulesOptions {
    /// Files and directories; [`super::rules_files::expand`] gives the files.
    pub(crate) entries: Vec<PathBuf>,
    /// Applied in order; a later one wins.
    pub(crate) selection: Vec<Selection>,
    /// Rules less severe than this are not loaded.
    pub(crate) priority: Priority,
    pub(crate) matching: RuleMatching,
    pub(crate) append_output: Vec<AppendOutput>,
    pub(crate) static_fields: StaticFields,
    /// Byte buffers are written in base64.
    pub(crate) buffer_format_base64: bool,
}

/// One element of `rules`: enables or disables what it selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) enable: bool,
    pub(crate) selector: Selector,
}

/// Which rules a [`Selection`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// The whole name, in which `*` stands for anything.
    Rule(String),
    Tag(String),
}

/// Which of the matching rules raise alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RuleMatching {
    #[default]
    First,
    All,
}

/// One element of `append_output`: what it adds to the outputs of the rules it fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AppendOutput {
    /// Fits the rule of this name; any, if absent.
    pub(crate) rule: Option<String>,
    /// Fits rules of this source; any, if absent.
    pub(crate) source: Option<String>,
    /// Fits rules that have all of these.
    pub(crate) tags: Vec<String>,
    /// Text with `%` tokens, put behind the rule's own.
    pub(crate) extra_output: Option<String>,
    pub(crate) extra_fields: Vec<ExtraField>,
    /// Adds the container and pod fields.
    pub(crate) suggested_output: bool,
}

/// One element of `extra_fields`: a member added to the JSON form's `output_fields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExtraField {
    /// A field under its own name, typed.
    Plain(String),
    /// A rendered text under a chosen name.
    Formatted { name: String, format: String },
}

impl RulesOptions {
    pub(super) fn read(root: Section<'_>) -> Self {
        let static_fields = read_static_fields(root);
        Self {
            entries: read_entries(root),
            selection: root.items("rules").iter().filter_map(|item| Selection::read(item, root)).collect(),
            priority: root.parsed("priority", "a priority (emergency .. debug)", Priority::Debug),
            matching: root.read("rule_matching", "first or all", rule_matching).unwrap_or_default(),
            append_output: root
                .items("append_output")
                .iter()
                .map(|item| AppendOutput::read(item, root, &static_fields))
                .collect(),
            static_fields,
            buffer_format_base64: root.flag("buffer_format_base64", false),
        }
    }
}

fn rule_matching(text: &str) -> Option<RuleMatching> {
    match text {
        "first" => Some(RuleMatching::First),
        "all" => Some(RuleMatching::All),
        _ => None,
    }
}

fn read_entries(root: Section<'_>) -> Vec<PathBuf> {
    let key = rules_files_key(root);
    let Some(texts) = root.texts(key) else { return DEFAULT_FILES.into_iter().map(PathBuf::from).collect() };
    let absolute = texts.into_iter().filter_map(|(text, place)| {
        if text.starts_with('/') {
            return Some(PathBuf::from(text));
        }
        root.findings().problem(Finding::at(place, format!("`{key}` must hold absolute paths, and has `{text}`")));
        None
    });
    absolute.collect()
}

/// *Falco:* the key has an older name, which may not stand beside the newer one.
fn rules_files_key(root: Section<'_>) -> &'static str {
    if root.get("rules_file").is_none() {
        return "rules_files";
    }
    if root.get("rules_files").is_some() {
        root.findings().problem(root.finding("rules_file", "`rules_file` and `rules_files` are both given"));
    }
    root.findings().notice(root.finding("rules_file", "`rules_file` is the old name of `rules_files`"));
    "rules_file"
}

fn read_static_fields(root: Section<'_>) -> StaticFields {
    let Some(node) = root.get("static_fields") else { return Vec::new() };
    let section = Section::new(Some(node), "static_fields", root.findings());
    let fields = node.entries().iter();
    fields.map(|entry| (entry.key.clone(), section.text(&entry.key).unwrap_or_default())).collect()
}

impl Selection {
    /// Reads `enable: {rule: NAME}` or `disable: {tag: TAG}`.
    fn read(item: &Node, root: Section<'_>) -> Option<Self> {
        let selection = Self::parse(item);
        if selection.is_none() {
            let message =
                "an element of `rules` must be `enable:` or `disable:` with one of `rule: NAME` and `tag: TAG`";
            root.findings().problem(Finding::at(&item.place, message));
        }
        selection
    }

    fn parse(item: &Node) -> Option<Self> {
        let [entry] = item.entries() else { return None };
        let enable = match entry.key.as_str() {
            "enable" => true,
            "disable" => false,
            _ => return None,
        };
        let [target] = entry.value.entries() else { return None };
        let Content::Scalar(text) = &target.value.content else { return None };
        let selector = match target.key.as_str() {
            "rule" => Selector::Rule(text.clone()),
            "tag" => Selector::Tag(text.clone()),
            _ => return None,
        };
        Some(Self { enable, selector })
    }
}

impl AppendOutput {
    fn read(item: &Node, root: Section<'_>, static_fields: &StaticFields) -> Self {
        let section = Section::new(Some(item), "append_output", root.findings());
        let fits = section.section("match");
        let tags = fits.texts("tags").unwrap_or_default();
        let fields = section.items("extra_fields").iter();
        let fields: Vec<_> = fields.filter_map(|item| Some((ExtraField::read(item, root)?, &item.place))).collect();
        let (source, extra_output) = (fits.text("source"), section.text("extra_output"));
        // What fields the rules of plugins have is not known here, and there are no such rules.
        if source.as_deref().is_none_or(|source| source == "syscall") {
            let output = section.get("extra_output").zip(extra_output.as_deref());
            let outputs = output.map(|(node, text)| (&node.place, Template::check(text, static_fields)));
            let fields = fields.iter().map(|(field, place)| (*place, field.check(static_fields)));
            for (place, checked) in outputs.into_iter().chain(fields) {
                report_mistake(place, checked, root);
            }
        }
        Self {
            rule: fits.text("rule"),
            source,
            tags: tags.into_iter().map(|(tag, _)| tag).collect(),
            extra_output,
            extra_fields: fields.into_iter().map(|(field, _)| field).collect(),
            suggested_output: section.flag("suggested_output", false),
        }
    }
}

/// Tells what is wrong with an addition where it stands and once, rather than for every rule that it is added to.
fn report_mistake(place: &Place, checked: Result<(), OutputError>, root: Section<'_>) {
    let Err(error) = checked else { return };
    let finding = Finding::at(place, format!("`append_output`: {error}"));
    root.findings().problem(match error.help() {
        Some(help) => finding.help(help),
        None => finding,
    });
}

impl ExtraField {
    fn read(item: &Node, root: Section<'_>) -> Option<Self> {
        let field = Self::parse(item);
        if field.is_none() {
            let message = "an element of `extra_fields` must be a field's name or `name: format`";
            root.findings().problem(Finding::at(&item.place, message));
        }
        field
    }

    fn check(&self, static_fields: &StaticFields) -> Result<(), OutputError> {
        match self {
            Self::Plain(name) => Template::check_field(name, None, static_fields),
            Self::Formatted { name, format } => Template::check_field(name, Some(format), static_fields),
        }
    }

    fn parse(item: &Node) -> Option<Self> {
        if let Content::Scalar(name) = &item.content {
            return Some(Self::Plain(name.clone()));
        }
        let [entry] = item.entries() else { return None };
        let Content::Scalar(format) = &entry.value.content else { return None };
        Some(Self::Formatted { name: entry.key.clone(), format: format.clone() })
    }
}
