// SPDX-License-Identifier: Apache-2.0
//! `-o key=value`: single values set over what the files say.
//!
//! ```text
//! option = key "=" value
//! key    = member { "." member }
//! member = name { "[" [ index ] "]" }
//! name   = characters other than "." "[" "\\", or one of . [ ] \\ behind a backslash
//! ```
//!
//! `a.b=1` sets a member, `a[0].b=1` a member of a list's element, `a[]=x` appends an element. *Falco:* a value in braces is
//! YAML, as in `-o 'rules[]={disable: {rule: "*"}}'`, and any other value is taken as it stands.

use std::{iter::Peekable, rc::Rc, str::Chars};

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
    let (path, text) = option.split_once('=').ok_or_else(wrong)?;
    let steps = parse_path(path).ok_or_else(wrong)?;
    let column = path.chars().count().saturating_add(2);
    let value = read_value(text, Place { column, ..place.clone() })?;
    set(root, &steps, value, &place).map_err(|found| {
        Finding::at(&place, format!("`{path}` does not fit the configuration: there is {found} on the way"))
    })
}

/// Whether an option is about `key` or something below it.
pub(super) fn is_about(option: &str, key: &str) -> bool {
    option.strip_prefix(key).is_some_and(|rest| rest.starts_with(['=', '.', '[']))
}

fn read_value(text: &str, place: Place) -> Result<Node, Finding> {
    if text.starts_with('{') && text.ends_with('}') {
        let source = Rc::new(Source { name: "option -o".to_owned(), text: text.to_owned() });
        let mut value = tree::parse(&source).map_err(|found| found.moved(&place))?;
        relocate(&mut value, &place);
        return Ok(value);
    }
    let content = if text.is_empty() { Content::Null } else { Content::Scalar(text.to_owned()) };
    Ok(Node { content, place })
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
    let mut rest = path.trim().chars().peekable();
    loop {
        steps.push(Step::Member(parse_name(&mut rest)?));
        while rest.next_if_eq(&'[').is_some() {
            let mut index = String::new();
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                index.push(digit);
            }
            rest.next_if_eq(&']')?;
            steps.push(if index.is_empty() { Step::Append } else { Step::Element(index.parse().ok()?) });
        }
        match rest.next() {
            None => return Some(steps),
            Some('.') => {}
            Some(_) => return None,
        }
    }
}

fn parse_name(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut name = String::new();
    while let Some(c) = rest.next_if(|c| !matches!(c, '.' | '[')) {
        name.push(match c {
            '\\' => rest.next_if(|escaped| matches!(escaped, '.' | '[' | ']' | '\\'))?,
            _ => c,
        });
    }
    (!name.is_empty()).then_some(name)
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
        (Step::Element(index), Content::List(items)) => {
            // *Falco:* the index after the last element makes a new one.
            if *index == items.len() {
                items.push(null());
            }
            items.get_mut(*index)
        }
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
        check(&["l[2]=z"], "{a=1 b={c=2} l=[x {y=1} z]}");
        check(&["m[0][]=1", "m[0][]=2"], "{a=1 b={c=2} l=[x {y=1}] m=[[1 2]]}");
        check(&["a="], "{a=~ b={c=2} l=[x {y=1}]}");
        check(&[r"b.io\.k8s\[x\]\\=1"], r"{a=1 b={c=2 io.k8s[x]\=1} l=[x {y=1}]}");
    }

    #[test]
    fn only_values_in_braces_are_yaml() {
        check(&["a=%proc.name: x #y"], "{a=%proc.name: x #y b={c=2} l=[x {y=1}]}");
        check(&["a=[1, 2]", r#"b.c="q""#], r#"{a=[1, 2] b={c="q"} l=[x {y=1}]}"#);
        check(&["a={b: [1, ~]}"], "{a={b=[1 ~]} b={c=2} l=[x {y=1}]}");
    }

    #[test]
    fn options_that_do_not_fit_say_why() {
        check(&["a={b: [}"], "option -o:1:3: mismatched bracket '[' closed by '}'");
        check(&["a"], "option -o:1:1: `a` is not of the form `key=value`");
        check(&[".a=1"], "option -o:1:1: `.a=1` is not of the form `key=value`");
        for key in ["l[x]", "l[1", "l[1]x", "a..b", "a.", r"a\b", r"a\"] {
            check(&[&format!("{key}=1")], &format!("option -o:1:1: `{key}=1` is not of the form `key=value`"));
        }
        check(&["a.b=1"], "option -o:1:1: `a.b` does not fit the configuration: there is a single value on the way");
        check(&["l[9]=1"], "option -o:1:1: `l[9]` does not fit the configuration: there is a list on the way");
    }
}
