// SPDX-License-Identifier: Apache-2.0
//! The layers of the configuration: the main file, the files its `config_files` names, and the command line's options.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use super::{
    ConfigError, environment,
    files::{Files, TextFile},
    overrides,
    section::{Findings, Section},
    source::{Finding, Place, Source},
    tree::{self, Content, Entry, Node},
};

/// The merged tree and the files it came from.
pub(super) struct Layers {
    pub(super) root: Node,
    pub(super) files: Vec<TextFile>,
    /// The entries of `config_files`.
    pub(super) entries: Vec<PathBuf>,
}

/// How an included file meets the keys that are already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// Lists are continued, other keys replaced.
    Append,
    /// Every key is replaced.
    Override,
    /// Only new keys are taken.
    AddOnly,
}

/// Reads and merges all layers; without a main file, the others.
pub(super) fn read(
    path: Option<&Path>,
    files: Files<'_>,
    options: &[String],
    lookup: environment::Lookup<'_>,
    findings: &Findings,
) -> Result<Layers, ConfigError> {
    let mut layers = Layers { root: nothing(), files: Vec::new(), entries: Vec::new() };
    if let Some(path) = path {
        layers.root = layers.read_file(path, files, lookup, findings)?;
    }
    let apply = |root: &mut Node, option: &String| {
        overrides::apply(root, option).map_err(|found| ConfigError::Content(vec![found]))
    };
    // *Falco:* which files are included is settled first, so that options may name more of them.
    let (including, others): (Vec<_>, Vec<_>) =
        options.iter().partition(|option| overrides::is_about(option, "config_files"));
    including.into_iter().try_for_each(|option| apply(&mut layers.root, option))?;
    for (entry, strategy) in included(&layers.root, findings) {
        for file in files.named(&entry) {
            let node = layers.read_file(&file, files, lookup, findings)?;
            merge(&mut layers.root, node, strategy, findings);
        }
        layers.entries.push(entry);
    }
    others.into_iter().try_for_each(|option| apply(&mut layers.root, option))?;
    Ok(layers)
}

/// What the `config_files` of the file at `path` names, whatever there is to say about the rest.
pub(super) fn entries(path: &Path, lookup: environment::Lookup<'_>) -> Result<Vec<PathBuf>, ConfigError> {
    let findings = Findings::default();
    let file = Files::Disk.read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let root = parse(&file, lookup, &findings)?;
    Ok(included(&root, &findings).into_iter().map(|(entry, _)| entry).collect())
}

/// What an empty file says.
fn nothing() -> Node {
    let source = Rc::new(Source { name: "defaults".to_owned(), text: String::new() });
    Node { content: Content::Null, place: Place { source, line: 1, column: 1 } }
}

impl Layers {
    /// Reads and keeps a file, and returns what it says. One that several entries name says the same each time.
    fn read_file(
        &mut self,
        path: &Path,
        files: Files<'_>,
        lookup: environment::Lookup<'_>,
        findings: &Findings,
    ) -> Result<Node, ConfigError> {
        if let Some(known) = self.files.iter().find(|known| known.path() == path) {
            return parse(known, lookup, findings);
        }
        let file = files.read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let node = parse(&file, lookup, findings);
        self.files.push(file);
        node
    }
}

fn parse(file: &TextFile, lookup: environment::Lookup<'_>, findings: &Findings) -> Result<Node, ConfigError> {
    let source = Rc::new(Source { name: file.name.clone(), text: file.text.clone() });
    let mut root = tree::parse(&source).map_err(|found| ConfigError::Content(vec![found]))?;
    if !matches!(root.content, Content::Map(_) | Content::Null) {
        let message = format!("the file must be a map of keys, and is {}", root.kind());
        return Err(ConfigError::Content(vec![Finding::at(&root.place, message)]));
    }
    let mut notices = Vec::new();
    environment::expand(&mut root, lookup, &mut notices);
    for notice in notices {
        findings.notice(notice);
    }
    Ok(root)
}

/// What `config_files` names; entries that do not exist are skipped later, as in Falco.
fn included(root: &Node, findings: &Findings) -> Vec<(PathBuf, Strategy)> {
    let entry = |item: &Node| match &item.content {
        Content::Scalar(path) => Some((PathBuf::from(path), Strategy::Append)),
        Content::Null | Content::List(_) | Content::Map(_) => {
            let section = Section::new(Some(item), "config_files", findings);
            let strategy = section.read("strategy", "append, override or add-only", strategy);
            Some((section.path("path")?, strategy.unwrap_or(Strategy::Append)))
        }
    };
    Section::new(Some(root), "", findings).items("config_files").iter().filter_map(entry).collect()
}

fn strategy(text: &str) -> Option<Strategy> {
    match text {
        "append" => Some(Strategy::Append),
        "override" => Some(Strategy::Override),
        "add-only" => Some(Strategy::AddOnly),
        _ => None,
    }
}

fn merge(root: &mut Node, included: Node, strategy: Strategy, findings: &Findings) {
    let Content::Map(new) = included.content else { return };
    if matches!(root.content, Content::Null) {
        root.content = Content::Map(Vec::new());
    }
    let Content::Map(entries) = &mut root.content else { return };
    for entry in new {
        if entry.key == "config_files" {
            let message = "`config_files` is not allowed in a file that `config_files` includes";
            findings.problem(Finding::at(&entry.key_place, message));
            continue;
        }
        match entries.iter_mut().find(|existing| existing.key == entry.key) {
            None => entries.push(entry),
            Some(existing) => merge_entry(existing, entry, strategy),
        }
    }
}

fn merge_entry(existing: &mut Entry, new: Entry, strategy: Strategy) {
    match (strategy, &mut existing.value.content, new.value.content) {
        (Strategy::AddOnly, ..) => {}
        (Strategy::Append, Content::List(items), Content::List(more)) => items.extend(more),
        (Strategy::Append | Strategy::Override, content, replacement) => {
            *content = replacement;
            existing.value.place = new.value.place;
        }
    }
}
