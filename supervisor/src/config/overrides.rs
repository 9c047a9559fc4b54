// SPDX-License-Identifier: Apache-2.0
//! `-o key=value`: single values set over what the files say.
//!
//! `a.b=1` sets a member, `a[0].b=1` a member of a list's element, `a[]=x` appends an element; the value is YAML, so
//! `-o 'rules[]={disable: {rule: "*"}}'` works as in Falco.

use std::rc::Rc;

use super::{
    source::{Finding, Place, Source},
    tree::{self, Content, Entry, Node},
};

/// One step of a path such as `append_output[].match.rule`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    Append,
}

/// Sets in `root` what `option`, a text of the form `key=value`, says.
pub(super) fn apply(root: &mut Node, option: &str) -> Result<(), Finding> {
    let source = Rc::new(Source { name: "option -o".to_owned(), text: option.to_owned() });
    let place = Place { source, line: 1, column: 1 };
    let wrong = || Finding::at(&place, format!("`{option}` is not of the form `key=value`"));
    let (path, value) = option.split_once('=').ok_or_else(wrong)?;
    let steps = parse_path(path.trim()).ok_or_else(wrong)?;
    let value_source = Rc::new(Source { name: "option -o".to_owned(), text: value.to_owned() });
    let mut value = tree::parse(&value_source)?;
    let column = path.chars().count().saturating_add(2);
    relocate(&mut value, &Place { column, ..place.clone() });
    set(root, &steps, value, &place).map_err(|found| {
        Finding::at(&place, format!("`{path}` does not fit the configuration: there is {found} on the way"))
    })
}

/// Findings about the value should cite the whole option.
fn relocate(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.content {
        Content::Null | Content::Scalar(_) => {}
        Content::List(items) => items.iter_mut().for_each(|item| relocate(item, place)),
        Content::Map(entries) => entries.iter_mut().for_each(|entry| {
            entry.key_place = place.clone();
            relocate(&mut entry.value, place);
        }),
    }
}

fn parse_path(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, mut indices) = part.split_once('[').map_or((part, ""), |(name, _)| part.split_at(name.len()));
        if name.is_empty() {
            return None;
        }
        steps.push(Step::Member(name.to_owned()));
        while !indices.is_empty() {
            let (index, rest) = indices.strip_prefix('[')?.split_once(']')?;
            steps.push(if index.is_empty() { Step::Append } else { Step::Element(index.parse().ok()?) });
            indices = rest;
        }
    }
    Some(steps)
}

/// Walks `steps` from `node`, making what is missing; the error is the kind of value that stands in the way.
fn set(node: &mut Node, steps: &[Step], value: Node, place: &Place) -> Result<(), &'static str> {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return Ok(());
    };
    let kind = node.kind();
    let null = || Node { content: Content::Null, place: place.clone() };
    if matches!(node.content, Content::Null) {
        node.content = match step {
            Step::Member(_) => Content::Map(Vec::new()),
            Step::Element(_) | Step::Append => Content::List(Vec::new()),
        };
    }
    let next = match (step, &mut node.content) {
        (Step::Member(key), Content::Map(entries)) => {
            if !entries.iter().any(|entry| entry.key == *key) {
                entries.push(Entry { key: key.clone(), key_place: place.clone(), value: null() });
            }
            entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.value)
        }
        (Step::Element(index), Content::List(items)) => items.get_mut(*index),
        (Step::Append, Content::List(items)) => {
            items.push(null());
            items.last_mut()
        }
        (_, Content::Null | Content::Scalar(_) | Content::List(_) | Content::Map(_)) => None,
    };
    set(next.ok_or(kind)?, rest, value, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies the options to a small file and shows the tree in one line.
    #[track_caller]
    fn check(options: &[&str], expected: &str) {
        let source = Rc::new(Source { name: "f".to_owned(), text: "a: 1\nb: {c: 2}\nl: [x, {y: 1}]\n".to_owned() });
        let mut root = tree::parse(&source).unwrap();
        for option in options {
            if let Err(finding) = apply(&mut root, option) {
                return assert_eq!(finding.in_one_line(), expected);
            }
        }
        assert_eq!(show(&root), expected);
    }

    fn show(node: &Node) -> String {
        match &node.content {
            Content::Null => "~".to_owned(),
            Content::Scalar(text) => text.clone(),
            Content::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Content::Map(entries) => {
                format!(
                    "{{{}}}",
                    entries.iter().map(|e| format!("{}={}", e.key, show(&e.value))).collect::<Vec<_>>().join(" ")
                )
            }
        }
    }

    #[test]
    fn options_set_members_elements_and_append() {
        check(&["a=5"], "{a=5 b={c=2} l=[x {y=1}]}");
        check(&["b.c=true", "b.d=x=y"], "{a=1 b={c=true d=x=y} l=[x {y=1}]}");
        check(&["l[0]=z", "l[1].y=2"], "{a=1 b={c=2} l=[z {y=2}]}");
        check(&["l[]=z", "l[].q=7"], "{a=1 b={c=2} l=[x {y=1} z {q=7}]}");
        check(&["n.m[].k=1"], "{a=1 b={c=2} l=[x {y=1}] n={m=[{k=1}]}}");
        check(&["l={p: [1, 2]}"], "{a=1 b={c=2} l={p=[1 2]}}");
        check(&["a="], "{a=~ b={c=2} l=[x {y=1}]}");
    }

    #[test]
    fn options_that_do_not_fit_say_why() {
        check(&["a"], "option -o:1:1: `a` is not of the form `key=value`");
        check(&[".a=1"], "option -o:1:1: `.a=1` is not of the form `key=value`");
        check(&["l[x]=1"], "option -o:1:1: `l[x]=1` is not of the form `key=value`");
        check(&["a.b=1"], "option -o:1:1: `a.b` does not fit the configuration: there is a single value on the way");
        check(&["l[9]=1"], "option -o:1:1: `l[9]` does not fit the configuration: there is a list on the way");
    }
}
