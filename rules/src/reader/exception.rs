// SPDX-License-Identifier: Apache-2.0
//! The `exceptions` key of rules.

use std::collections::HashSet;

use super::{
    Read,
    value::{invalid, required, scalar},
};
use crate::{
    definitions::{Entry, Exception},
    diagnostic::{Code, Context, Diagnostic},
    yaml::{Content, Node},
};

/// Reads all exceptions of a rule; entries that append to an earlier one need only a name and values.
pub(super) fn exceptions(
    rule: &Node,
    context: &Context,
    append: bool,
    warnings: &mut Vec<Diagnostic>,
) -> Read<Option<Vec<Exception>>> {
    let Some(node) = rule.get("exceptions").filter(|node| !matches!(node.content, Content::Null)) else {
        return Ok(None);
    };
    let outer = context.item("exceptions", "", &node.location);
    let Content::Sequence(entries) = &node.content else {
        return Err(invalid("Rule exceptions must be a sequence", &outer));
    };
    let mut names = HashSet::new();
    let mut exceptions = Vec::new();
    for entry in entries {
        let exception = exception(entry, context, &outer, append, warnings)?;
        if !names.insert(exception.name.clone()) {
            let message = format!("Multiple definitions of exception '{}' in the same rule", exception.name);
            warnings.push(Diagnostic::new(Code::ExceptionNameNotUnique, message, &exception.context));
        }
        exceptions.push(exception);
    }
    Ok(Some(exceptions))
}

fn exception(
    node: &Node,
    rule: &Context,
    outer: &Context,
    append: bool,
    warnings: &mut Vec<Diagnostic>,
) -> Read<Exception> {
    let unnamed = outer.item("exception", "", &node.location);
    let name = required(node, "name", &unnamed)?.text.as_str().to_owned();
    let context = rule.item("exception", &name, &node.location);
    if node.get("fields").is_none() && !append {
        return Err(invalid("Item has no mapping for key 'fields'", &context));
    }
    let fields = entry(node, "fields", &context)?;
    let comparisons = entry(node, "comps", &context)?;
    let values = match node.get("values").map(|values| &values.content) {
        Some(Content::Sequence(rows)) => {
            Some(rows.iter().map(|row| value(row, "values", &context)).collect::<Read<_>>()?)
        }
        Some(Content::Null | Content::Scalar(_) | Content::Mapping(_)) => {
            return Err(invalid("Rule exception values must be a sequence", &context));
        }
        None => None,
    };
    if values.is_none() && append {
        let message = "Overriding/appending exception with no values";
        warnings.push(Diagnostic::new(Code::AppendNoValues, message, &context));
    }
    Ok(Exception { name, fields, comparisons, values, context })
}

/// *Falco:* an empty list is as good as none.
fn entry(node: &Node, key: &str, context: &Context) -> Read<Option<Entry>> {
    let found = node.get(key).map(|found| value(found, key, context)).transpose()?;
    Ok(found.filter(|entry| !matches!(entry, Entry::Many(entries) if entries.is_empty())))
}

/// A string, or a list of these; the depth of YAML is limited already.
fn value(node: &Node, key: &str, context: &Context) -> Read<Entry> {
    match (&node.content, scalar(node)) {
        (_, Some(text)) => Ok(Entry::One(text.clone())),
        (Content::Sequence(items), _) => {
            items.iter().map(|item| value(item, key, context)).collect::<Read<_>>().map(Entry::Many)
        }
        _ => Err(invalid("Can't decode YAML scalar value", &context.item("value for", key, &node.location))),
    }
}
