// SPDX-License-Identifier: Apache-2.0
//! Loading: files in, a ruleset and a report out.

mod conditions;
mod describe;
mod options;
mod rules;
#[cfg(test)]
mod tests;
mod warnings;

use std::{collections::BTreeSet, sync::Arc};

pub use options::{AppendOutput, ExtraField, LoadOptions, Plugin, Selection, Selector, Unseen};

use crate::{
    Explanation, PartialEvent, Ruleset,
    collector::Collector,
    compile::Environment,
    diagnostic::{Code, Context, Diagnostic, FileReport, LoadReport, MAX_ERRORS},
    reader, schema,
    source::{Location, Source},
    yaml::{self, Content, Node},
};

/// Bytes of a rules file; a larger one is somebody's mistake and not worth the memory.
const MAX_FILE_BYTES: usize = 16 << 20;

/// Loads rules files one after another; each is checked with everything before it.
#[derive(Debug)]
pub struct Loader {
    options: LoadOptions,
    environment: Environment,
    collector: Collector,
    report: LoadReport,
    compiled: rules::Compiled,
}

/// The outcome of loading.
#[derive(Debug)]
pub struct Load {
    /// The rules, unless some file has an error.
    pub ruleset: Option<Ruleset>,
    /// What was found.
    pub report: LoadReport,
}

impl Loader {
    /// A loader without files.
    pub fn new(options: LoadOptions) -> Self {
        let environment = Environment { static_fields: options.static_fields.clone() };
        let (collector, report) = (Collector::default(), LoadReport::default());
        Self { options, environment, collector, report, compiled: rules::Compiled::default() }
    }

    /// Adds a file and checks everything so far. Problems are added to the report; loading goes on after them.
    pub fn add(&mut self, name: &str, content: &[u8]) {
        let mut report = FileReport::new(name);
        match decode(name, content) {
            Ok(source) => {
                self.read(&source, &mut report);
                self.compile(&mut report);
            }
            Err(diagnostic) => report.add(diagnostic),
        }
        self.report.push(report);
    }

    /// Records a file that could not be read.
    pub fn add_unreadable(&mut self, name: &str, reason: &str) {
        let source = Source::new(name, "");
        let mut report = FileReport::new(name);
        report.add(Diagnostic::new(Code::FileRead, reason, &Context::file(&source)).without_origin());
        self.report.push(report);
    }

    /// What is known about rules, macros and lists so far, in the shape of Falco's `-L` with JSON output.
    pub fn describe(&self) -> serde_json::Value {
        describe::describe(&self.compiled, &self.collector.definitions, &self.options)
    }

    /// The same for one rule; nothing if no rule of this name could be compiled.
    pub fn describe_rule(&self, name: &str) -> Option<serde_json::Value> {
        describe::describe_rule(name, &self.compiled, &self.options)
    }

    /// Why a rule matches an event or does not; nothing if no rule of this name could be compiled.
    pub fn explain(&self, rule: &str, event: &dyn PartialEvent) -> Option<Explanation> {
        self.compiled.explain(rule, event, &self.environment, &self.options)
    }

    /// The names of the rules that could be compiled, in order.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.compiled.rules.iter().map(|rule| rule.definition.name.as_str())
    }

    /// Checks what can only be checked in the end, for those who need no ruleset.
    pub fn into_report(mut self) -> LoadReport {
        self.check_plugins();
        self.report
    }

    /// Checks what can only be checked in the end, and builds the ruleset.
    pub fn finish(mut self) -> Load {
        self.check_plugins();
        if !self.report.is_ok() {
            return Load { ruleset: None, report: self.report };
        }
        let ruleset = self.compiled.into_ruleset(&self.options);
        Load { ruleset: Some(ruleset), report: self.report }
    }

    fn read(&mut self, source: &Arc<Source>, report: &mut FileReport) {
        let (documents, error) = yaml::parse(source);
        for document in &documents {
            self.document(document, source, report);
        }
        if let Some(error) = error {
            let location = Location { source: Arc::clone(source), span: error.offset..error.offset + 1 };
            let context = Context::file(source).item("value for", "", &location);
            return report.add(Diagnostic::new(Code::YamlParse, error.message, &context));
        }
        let mut unlike_schema = Vec::new();
        for document in &documents {
            schema::check(document, &mut unlike_schema);
        }
        report.set_schema_warnings(unlike_schema);
    }

    fn document(&mut self, document: &Node, source: &Arc<Source>, report: &mut FileReport) {
        let context = Context::file(source);
        let items = match &document.content {
            Content::Null => return,
            Content::Sequence(items) => items,
            Content::Scalar(_) => {
                return report.add(Diagnostic::new(Code::YamlValidate, "Rules content is not yaml", &context));
            }
            Content::Mapping(_) => {
                let message = "Rules content is not yaml array of objects";
                return report.add(Diagnostic::new(Code::YamlValidate, message, &context));
            }
        };
        for item in items.iter().filter(|item| !matches!(item.content, Content::Null)) {
            if report.errors().len() >= MAX_ERRORS {
                let place = context.item("item", "", &item.location);
                let message = format!("more than {MAX_ERRORS} errors: this item and those after it were not read");
                return report.add(Diagnostic::new(Code::YamlValidate, message, &place));
            }
            let mut warnings = Vec::new();
            match reader::read(item, &context, &mut warnings) {
                Ok(Some(read)) => {
                    if let Err(diagnostic) = self.collector.apply(read, &self.environment, &mut warnings) {
                        warnings.push(diagnostic);
                    }
                }
                Ok(None) => {}
                Err(unreadable) => {
                    self.collector.definitions.broken.extend(unreadable.name);
                    warnings.push(unreadable.diagnostic);
                }
            }
            for diagnostic in warnings {
                report.add(diagnostic);
            }
        }
    }

    /// Compiles all definitions anew. A problem that an earlier file's report has is not repeated.
    fn compile(&mut self, report: &mut FileReport) {
        let readable = report.is_ok();
        self.compiled = rules::compile(&self.collector.definitions, &self.environment, &self.options);
        let compiles = self.compiled.diagnostics.iter().all(|found| found.code().severity() != crate::Severity::Error);
        for diagnostic in &self.compiled.diagnostics {
            // What is unused can be said only of files that are otherwise in order.
            let premature =
                matches!(diagnostic.code(), Code::UnusedMacro | Code::UnusedList) && !(readable && compiles);
            if !premature && !self.report.has(diagnostic) {
                report.add(diagnostic.clone());
            }
        }
    }

    fn check_plugins(&mut self) {
        let mut reported = BTreeSet::new();
        for requirement in &self.collector.definitions.plugins {
            let met = requirement.alternatives.iter().any(|(name, version)| {
                self.options.plugins.iter().any(|plugin| plugin.name == *name && plugin.version.satisfies(*version))
            });
            let wanted: Vec<_> =
                requirement.alternatives.iter().map(|(name, version)| format!("{name} (>= {version})")).collect();
            let message = format!("Plugin requirement not satisfied, must load one of: {}", wanted.join(", "));
            if met || !reported.insert(message.clone()) {
                continue;
            }
            let file = requirement.context.origin().source.name.clone();
            let diagnostic = Diagnostic::new(Code::Validate, message, &requirement.context);
            if let Some(report) = self.report.file_mut(&file) {
                report.add(diagnostic);
            }
        }
    }
}

fn decode(name: &str, content: &[u8]) -> Result<Arc<Source>, Diagnostic> {
    let (text, problem) = match str::from_utf8(content) {
        _ if content.len() > MAX_FILE_BYTES => ("", Some((format!("file is larger than {MAX_FILE_BYTES} bytes"), 0))),
        Ok(text) => (text, None),
        Err(error) => {
            let valid = content.get(..error.valid_up_to()).and_then(|valid| str::from_utf8(valid).ok());
            (valid.unwrap_or_default(), Some(("file is not valid UTF-8".to_owned(), error.valid_up_to())))
        }
    };
    let source = Source::new(name, text);
    match problem {
        None => Ok(source),
        Some((message, offset)) => {
            let location = Location { source: Arc::clone(&source), span: offset..offset + 1 };
            let place = Context::file(&source).item("value for", "", &location);
            Err(Diagnostic::new(Code::YamlParse, message, &place))
        }
    }
}
