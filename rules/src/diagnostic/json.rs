// SPDX-License-Identifier: Apache-2.0
//! Load reports in the JSON shape of Falco's `falco_load_results`.

use serde_json::{Value as Json, json};

use super::{Diagnostic, FileReport, LoadReport};

impl LoadReport {
    /// The report as Falco prints it with `-V` and JSON output; notes are ours and left out.
    pub fn to_json(&self) -> Json {
        let results: Vec<_> = self.files().iter().map(file).collect();
        json!({ "falco_load_results": results })
    }
}

fn file(report: &FileReport) -> Json {
    let diagnostics = |list: &[Diagnostic]| list.iter().map(diagnostic).collect::<Vec<_>>();
    let mut described = json!({
        "errors": diagnostics(report.errors()),
        "name": report.name(),
        "successful": report.is_ok(),
        "warnings": diagnostics(report.warnings()),
    });
    if let (Some(found), Some(object)) = (report.schema_warnings(), described.as_object_mut()) {
        object.insert("schema_valid".to_owned(), found.is_empty().into());
        object.insert("schema_warnings".to_owned(), found.into());
        object.sort_keys();
    }
    described
}

fn diagnostic(diagnostic: &Diagnostic) -> Json {
    let locations: Vec<_> = diagnostic
        .0
        .context
        .iter()
        .map(|location| {
            json!({
                "item_name": location.item_name,
                "item_type": location.item_type,
                "position": {
                    "column": location.position.column,
                    "line": location.position.line,
                    "name": location.file,
                    "offset": location.position.offset,
                },
            })
        })
        .collect();
    json!({
        "code": diagnostic.0.code.as_str(),
        "codedesc": diagnostic.0.code.description(),
        "context": { "locations": locations, "snippet": diagnostic.0.snippet },
        "message": diagnostic.0.message,
    })
}
