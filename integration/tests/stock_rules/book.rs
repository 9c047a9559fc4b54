// SPDX-License-Identifier: Apache-2.0
//! The data: containers, what is done in them, which rules must fire, and which rules cannot.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Fields of an alert and their values as text; none where the field is absent.
pub(crate) type Fields = BTreeMap<String, Option<String>>;

/// All of it.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) scenarios: Vec<Scenario>,
    /// Of every rule that is provoked.
    pub(crate) priorities: BTreeMap<String, String>,
    /// Rules that no container can provoke, with the reason.
    pub(crate) unprovoked: BTreeMap<String, String>,
}

/// One container and what is done in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it is called, in complaints and as the container's name.
    pub(crate) name: String,
    /// Whether the root filesystem is an overlay, as an engine's is.
    #[serde(default)]
    pub(crate) layered: bool,
    /// Members of the OCI spec, by JSON pointer.
    #[serde(default)]
    pub(crate) spec: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) mounts: Vec<Value>,
    /// Paths of copies of a workload, by its name.
    #[serde(default)]
    pub(crate) programs: BTreeMap<String, Vec<String>>,
    /// Contents of files, by path.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// What the shell does before everything else.
    #[serde(default)]
    pub(crate) prepare: String,
    /// Rules that fire at the container's start, and are proven by another container.
    #[serde(default)]
    pub(crate) start: Vec<String>,
    /// What fields of this container's alerts are, where an entry says nothing else.
    pub(crate) fields: Fields,
    pub(crate) rules: Vec<Entry>,
}

/// How a rule is provoked, and the alert that must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) rule: String,
    pub(crate) priority: String,
    /// Shell text, run by the container's entrypoint. Without it and `exec`, the container's start does it.
    pub(crate) run: Option<String>,
    /// A program that the runtime executes in the container.
    pub(crate) exec: Option<Vec<String>>,
    /// Whether that program gets a terminal.
    #[serde(default)]
    pub(crate) terminal: bool,
    /// Alerts of this rule.
    #[serde(default = "once")]
    pub(crate) times: usize,
    /// Rules that fire too, and are proven by another entry.
    #[serde(default)]
    pub(crate) also: Vec<String>,
    #[serde(default)]
    pub(crate) fields: Fields,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unprovoked {
    rule: String,
    reason: String,
}

fn once() -> usize {
    1
}

impl Book {
    pub(crate) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stock");
        let entries = fs::read_dir(folder.join("containers")).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let scenarios: Vec<Scenario> = files.iter().map(|file| parse(file)).collect();
        let provoked = scenarios.iter().flat_map(|scenario| &scenario.rules);
        let priorities = provoked.map(|entry| (entry.rule.clone(), entry.priority.clone())).collect();
        let unprovoked: Vec<Unprovoked> = parse(&folder.join("unprovoked.yaml"));
        let unprovoked = unprovoked.into_iter().map(|entry| (entry.rule, entry.reason)).collect();
        Self { scenarios, priorities, unprovoked }
    }

    /// Fails unless each rule of the files stands in the book, once.
    #[track_caller]
    pub(crate) fn expect_complete(&self, rules: &[PathBuf]) {
        let texts = rules.iter().map(|file| fs::read_to_string(file).unwrap());
        let names = texts.flat_map(|text| {
            text.lines().filter_map(|line| line.strip_prefix("- rule: ").map(str::to_owned)).collect::<Vec<_>>()
        });
        let mut stock: Vec<String> = names.collect();
        let provoked = self.scenarios.iter().flat_map(|scenario| &scenario.rules).map(|entry| &entry.rule);
        let mut listed: Vec<String> = provoked.chain(self.unprovoked.keys()).cloned().collect();
        stock.sort();
        listed.sort();
        let missing: Vec<_> = stock.iter().filter(|name| !listed.contains(name)).collect();
        let unknown: Vec<_> = listed.iter().filter(|name| !stock.contains(name)).collect();
        assert_eq!(listed, stock, "missing: {missing:?}; unknown: {unknown:?}");
    }
}

fn parse<T: DeserializeOwned>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|cause| panic!("{}: {cause}", file.display()))
}
