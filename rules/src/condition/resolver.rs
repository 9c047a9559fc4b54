// SPDX-License-Identifier: Apache-2.0
//! Puts lists and macros into conditions: lists as text before parsing, macros as trees after it.

use std::{collections::HashMap, ops::Range, sync::Arc};

use super::ast::{Expression, Macro, Span};
use crate::source::Text;

/// Bytes of a condition with its lists written out; the longest stock condition has 11,000.
pub(crate) const MAX_CONDITION_BYTES: usize = 4 << 20;
/// Levels of a condition with its macros written out; more would endanger the stack of whoever walks it.
pub(crate) const MAX_DEPTH: usize = 200;
/// Nodes of a condition with its macros written out; macros that double each other reach it after 20 steps.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// Replaces every occurrence of a list's name by its items; says whether there was one.
///
/// *Falco:* this is textual, so it happens inside quotes too; an empty list takes a comma beside it away.
pub(crate) fn replace_list(condition: &mut Text, name: &str, items: &[Text]) -> bool {
    let mut replaced = Text::default();
    let mut inserted = Text::default();
    let mut done = 0;
    while let Some(range) = find_name(condition.as_str(), name, done) {
        if done == 0 {
            inserted = joined(items);
        }
        replaced.push(&condition.slice(done..range.start));
        replaced.truncate(replaced.as_str().trim_end_matches(is_list_blank).len());
        let after = condition.as_str().get(range.end..).unwrap_or_default();
        let rest = after.trim_start_matches(is_list_blank);
        done = condition.len() - rest.len();
        if inserted.is_empty() {
            if replaced.as_str().ends_with(',') {
                replaced.truncate(replaced.len() - 1);
            } else if rest.starts_with(',') {
                done += 1;
            }
        }
        if !replaced.is_empty() {
            replaced.push_str(" ");
        }
        replaced.push(&inserted);
        replaced.push_str(" ");
        if replaced.len() > MAX_CONDITION_BYTES {
            break;
        }
    }
    if done > 0 {
        replaced.push(&condition.slice(done..condition.len()));
        *condition = replaced;
    }
    done > 0
}

fn is_list_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn delimits_list(c: char) -> bool {
    is_list_blank(c) || matches!(c, '(' | ')' | ',' | '=')
}

/// The parts of a text that may be names of lists.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(delimits_list).filter(|word| !word.is_empty())
}

/// The next occurrence between delimiters.
fn find_name(text: &str, name: &str, from: usize) -> Option<Range<usize>> {
    let mut from = from;
    while let Some(found) = text.get(from..)?.find(name) {
        let range = from + found..from + found + name.len();
        let before = text.get(..range.start)?.chars().next_back();
        let after = text.get(range.end..)?.chars().next();
        if before.is_none_or(delimits_list) && after.is_none_or(delimits_list) {
            return Some(range);
        }
        from = range.start + name.chars().next()?.len_utf8();
    }
    None
}

/// The items with commas between them.
fn joined(items: &[Text]) -> Text {
    let mut joined = Text::default();
    for item in items {
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push(&quote_item(item));
    }
    joined
}

/// *Falco:* a value with a blank gets double quotes unless it begins with a quote; nothing inside is escaped.
pub(crate) fn quote_item(item: &Text) -> Text {
    let text = item.as_str();
    if !text.contains(' ') || text.starts_with(['"', '\'']) {
        return item.clone();
    }
    let mut quoted = Text::from("\"");
    quoted.push(item);
    quoted.push_str("\"");
    quoted
}

/// Why macros cannot be put into a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MacroError {
    #[error("Undefined macro '{name}' used in filter.")]
    Undefined { name: String, span: Span },
    #[error("reference loop in macro")]
    Loop { name: String, span: Span },
    /// The macro has a problem of its own, which is reported there.
    #[error("macro '{name}' is not valid")]
    Broken { name: String, span: Span },
    #[error("a condition with its macros written out has more than {MAX_DEPTH} levels or {MAX_SIZE} parts")]
    TooLarge { span: Span },
}

impl MacroError {
    pub(crate) fn span(&self) -> &Span {
        match self {
            Self::Undefined { span, .. }
            | Self::Loop { span, .. }
            | Self::Broken { span, .. }
            | Self::TooLarge { span } => span,
        }
    }
}

/// What the resolver knows about a name.
pub(crate) enum Lookup {
    Found(Arc<Macro>),
    Undefined,
    Loop,
    Broken,
}

/// Replaces every name in a tree by the macro that `lookup` finds for it; says how many nodes there are then.
pub(crate) fn replace_macros(
    expression: Expression,
    lookup: &mut dyn FnMut(&str) -> Lookup,
) -> Result<(Expression, usize), MacroError> {
    let resolved = replace(expression, lookup)?;
    let measure = measure(&resolved);
    if measure.depth > MAX_DEPTH || measure.size > MAX_SIZE {
        return Err(MacroError::TooLarge { span: resolved.span().clone() });
    }
    Ok((resolved, measure.size))
}

/// Makes a macro of a resolved tree.
pub(crate) fn finish_macro(name: String, body: Expression) -> Macro {
    let Measure { depth, size } = measure(&body);
    Macro { name, body, depth, size }
}

fn replace(expression: Expression, lookup: &mut dyn FnMut(&str) -> Lookup) -> Result<Expression, MacroError> {
    let mut all = |children: Vec<Expression>| -> Result<Vec<_>, _> {
        children.into_iter().map(|child| replace(child, lookup)).collect()
    };
    Ok(match expression {
        Expression::And(children, span) => Expression::And(all(children)?, span),
        Expression::Or(children, span) => Expression::Or(all(children)?, span),
        Expression::Not(child, span) => Expression::Not(Box::new(replace(*child, lookup)?), span),
        Expression::Name(name, span) => match lookup(&name) {
            Lookup::Found(found) => Expression::Macro(found, span),
            Lookup::Undefined => return Err(MacroError::Undefined { name, span }),
            Lookup::Loop => return Err(MacroError::Loop { name, span }),
            Lookup::Broken => return Err(MacroError::Broken { name, span }),
        },
        Expression::Check(_) | Expression::Macro(..) => expression,
    })
}

#[derive(Default)]
struct Measure {
    depth: usize,
    size: usize,
}

fn measure(expression: &Expression) -> Measure {
    let below = |children: &[Expression]| {
        children.iter().map(measure).fold(Measure::default(), |sum, child| Measure {
            depth: sum.depth.max(child.depth),
            size: sum.size.saturating_add(child.size),
        })
    };
    let Measure { depth, size } = match expression {
        Expression::And(children, _) | Expression::Or(children, _) => below(children),
        Expression::Not(child, _) => measure(child),
        Expression::Macro(resolved, _) => Measure { depth: resolved.depth, size: resolved.size },
        Expression::Check(_) | Expression::Name(..) => Measure::default(),
    };
    Measure { depth: depth + 1, size: size.saturating_add(1) }
}

/// All names that stand in a tree for macros, with their places; resolved macros do not count.
pub(crate) fn names(expression: &Expression) -> HashMap<&str, &Span> {
    let mut found = HashMap::new();
    collect_names(expression, &mut found);
    found
}

fn collect_names<'a>(expression: &'a Expression, found: &mut HashMap<&'a str, &'a Span>) {
    match expression {
        Expression::And(children, _) | Expression::Or(children, _) => {
            for child in children {
                collect_names(child, found);
            }
        }
        Expression::Not(child, _) => collect_names(child, found),
        Expression::Name(name, span) => {
            found.entry(name).or_insert(span);
        }
        Expression::Check(_) | Expression::Macro(..) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::quoted;

    #[track_caller]
    fn check(condition: &str, items: &[&str], expected: &str) {
        let mut text = Text::from(condition);
        let items: Vec<_> = items.iter().map(|item| Text::from(*item)).collect();
        replace_list(&mut text, "l", &items);
        assert_eq!(text.as_str(), expected);
    }

    #[test]
    fn lists_are_pasted_between_delimiters() {
        check("f in (l)", &["a", "b c"], "f in ( a, \"b c\" )");
        check("f in (x, l , y)", &[], "f in (x  , y)");
        check("f in (l, y)", &[], "f in (   y)");
        check("ll=l", &["l"], "ll= l ");
        check("f in (la, l)", &["'q r'"], "f in (la, 'q r' )");
    }

    #[test]
    fn quotes_are_added_only_where_they_are_needed() {
        assert_eq!(quoted("a"), "a");
        assert_eq!(quoted("a\\ \"b\""), "\"a\\\\ \\\"b\\\"\"");
    }
}
