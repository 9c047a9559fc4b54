// SPDX-License-Identifier: Apache-2.0
//! What the rule engine is measured with: ordinary calls of containers, Falco's and our own rule files, and many user rules.

mod call;
#[path = "../support/shared.rs"]
mod shared;
mod user_rules;

use std::path::Path;

pub(crate) use call::Call;
use rules::{LoadOptions, Loader, Ruleset, Selection, Selector};
use shared::shared;
pub(crate) use user_rules::user_rules;

/// Name and content of a rules file.
pub(crate) type RulesFile = (String, Vec<u8>);

/// Falco's three files, or nothing with a printed reason.
pub(crate) fn stock_files() -> Option<Vec<RulesFile>> {
    let folder = shared()?.join("rules");
    let names = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];
    names.iter().map(|name| read(&folder.join(name))).collect()
}

/// The rules that come with Lanner.
pub(crate) fn own_files() -> Vec<RulesFile> {
    let entries =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("files")).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.iter().filter_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Option<RulesFile> {
    Some((path.file_name()?.to_str()?.to_owned(), std::fs::read(path).ok()?))
}

/// Loads files with every rule enabled.
pub(crate) fn load(files: &[RulesFile]) -> Ruleset {
    let selection = vec![Selection { enable: true, selector: Selector::Rule("*".to_owned()) }];
    let mut loader = Loader::new(LoadOptions { selection, ..LoadOptions::default() });
    for (name, content) in files {
        loader.add(name, content);
    }
    let load = loader.finish();
    assert!(load.report.is_ok(), "{}", load.report);
    load.ruleset.unwrap_or_default()
}

/// The names of the rules that match.
pub(crate) fn matches<'r>(ruleset: &'r Ruleset, call: &Call) -> Vec<&'r str> {
    let mut names = Vec::new();
    ruleset.evaluate(call, &mut |rule| names.push(rule.name()));
    names
}
