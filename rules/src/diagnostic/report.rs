// SPDX-License-Identifier: Apache-2.0
//! Load reports and their text: one block per problem with the cited line and the offending token underlined.

use std::{collections::HashSet, fmt};

use super::{Diagnostic, Severity};
use crate::{sanitize, source::Location};

/// What loading found, file by file.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    files: Vec<FileReport>,
    /// Of all problems in the files.
    fingerprints: HashSet<u64>,
}

/// What loading found with one file.
#[derive(Debug, Clone)]
pub struct FileReport {
    name: String,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    notes: Vec<Diagnostic>,
    /// Where the file is not as the schema asks; nothing if it could not be compared.
    schema: Option<Vec<String>>,
}

impl LoadReport {
    /// The files in the order they were added.
    pub fn files(&self) -> &[FileReport] {
        &self.files
    }

    /// Whether no file has an error.
    pub fn is_ok(&self) -> bool {
        self.files.iter().all(FileReport::is_ok)
    }

    /// Whether some file has a warning.
    pub fn has_warnings(&self) -> bool {
        self.files.iter().any(|file| !file.warnings.is_empty())
    }

    pub(crate) fn push(&mut self, file: FileReport) {
        let all = file.errors.iter().chain(&file.warnings).chain(&file.notes);
        self.fingerprints.extend(all.map(Diagnostic::fingerprint));
        self.files.push(file);
    }

    /// The report of a file by name; the last one of that name.
    pub(crate) fn file_mut(&mut self, name: &str) -> Option<&mut FileReport> {
        self.files.iter_mut().rev().find(|file| file.name == name)
    }

    /// Whether an earlier file's report already has this problem.
    pub(crate) fn has(&self, diagnostic: &Diagnostic) -> bool {
        self.fingerprints.contains(&diagnostic.fingerprint())
    }
}

impl FileReport {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), errors: Vec::new(), warnings: Vec::new(), notes: Vec::new(), schema: None }
    }

    /// The name the file was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is no error.
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty()
    }

    /// Problems that keep the rules from being used.
    pub fn errors(&self) -> &[Diagnostic] {
        &self.errors
    }

    /// Suspicious things.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Where the file has another shape than Falco's schema; nothing if it is no YAML.
    pub fn schema_warnings(&self) -> Option<&[String]> {
        self.schema.as_deref()
    }

    pub(crate) fn set_schema_warnings(&mut self, found: Vec<String>) {
        self.schema = Some(found);
    }

    /// Things that Falco would not mention.
    pub fn notes(&self) -> &[Diagnostic] {
        &self.notes
    }

    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        match diagnostic.code().severity() {
            Severity::Error => self.errors.push(diagnostic),
            Severity::Warning => self.warnings.push(diagnostic),
            Severity::Note => self.notes.push(diagnostic),
        }
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|file| write!(formatter, "{file}"))
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.is_ok(), self.warnings.is_empty()) {
            (true, true) => "Ok",
            (true, false) => "Ok, with warnings",
            (false, _) => "Invalid",
        };
        writeln!(formatter, "{}: {verdict}", sanitize(self.name.as_bytes()))?;
        for (title, diagnostics) in [("Error", &self.errors), ("Warning", &self.warnings), ("Note", &self.notes)] {
            let plural = if diagnostics.len() == 1 { "" } else { "s" };
            if !diagnostics.is_empty() {
                writeln!(formatter, "{} {title}{plural}:", diagnostics.len())?;
            }
            diagnostics.iter().try_for_each(|diagnostic| write!(formatter, "{diagnostic}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = sanitize(self.0.message.as_bytes());
        match &self.0.origin {
            None => writeln!(formatter, "{}: {message}", self.0.code)?,
            Some(origin) => {
                let (name, position) = (sanitize(origin.source.name.as_bytes()), origin.position());
                let (line, column) = (position.line + 1, position.column + 1);
                writeln!(formatter, "{name}:{line}:{column}: {}: {message}", self.0.code)?;
                write_chain(formatter, self)?;
                write_citation(formatter, origin, line)?;
            }
        }
        match &self.0.help {
            Some(help) => writeln!(formatter, "  help: {}", sanitize(help.as_bytes())),
            None => Ok(()),
        }
    }
}

/// The items around the problem in a line: `in rule 'x', rule condition`.
fn write_chain(formatter: &mut fmt::Formatter<'_>, diagnostic: &Diagnostic) -> fmt::Result {
    let items: Vec<_> =
        diagnostic.0.context.iter().skip(1).filter(|item| item.item_type != "condition expression").collect();
    for (index, item) in items.iter().enumerate() {
        formatter.write_str(if index == 0 { "  in " } else { ", " })?;
        formatter.write_str(item.item_type)?;
        if !item.item_name.is_empty() {
            write!(formatter, " '{}'", sanitize(item.item_name.as_bytes()))?;
        }
    }
    if items.is_empty() { Ok(()) } else { writeln!(formatter) }
}

/// Columns of a cited line; longer ones are shown in part.
const MAX_COLUMNS: usize = 140;

/// The line with its number, and carets under the offending text.
fn write_citation(formatter: &mut fmt::Formatter<'_>, origin: &Location, number: usize) -> fmt::Result {
    let (line, start) = origin.source.line_at(origin.span.start);
    let column = line.get(..origin.span.start - start).unwrap_or_default().chars().count();
    let marked = line.get(origin.span.start - start..).unwrap_or_default();
    let length = marked.get(..origin.span.len()).unwrap_or(marked).trim_end().chars().count().max(1);
    let skipped = column.saturating_sub(MAX_COLUMNS / 2);
    let cited: String = line.chars().skip(skipped).take(MAX_COLUMNS).collect();
    let (before, after) = (if skipped > 0 { "..." } else { "" }, line.chars().count() > skipped + MAX_COLUMNS);
    let gutter = number.to_string().len();
    let carets = length.min(MAX_COLUMNS - (column - skipped).min(MAX_COLUMNS - 1));
    writeln!(formatter, " {:gutter$} |", "")?;
    let cited = cited.replace('\t', " ");
    writeln!(
        formatter,
        " {number} | {before}{}{}",
        sanitize(cited.trim_end().as_bytes()),
        if after { "..." } else { "" }
    )?;
    writeln!(formatter, " {:gutter$} | {}{}", "", " ".repeat(before.len() + column - skipped), "^".repeat(carets))
}
