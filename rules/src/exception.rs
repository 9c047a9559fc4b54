// SPDX-License-Identifier: Apache-2.0
//! Exceptions of rules: their shape, and the condition they become.

use crate::{
    compile::{Environment, compile_operand},
    condition::{
        ast::{Modifier, Operator},
        parser::parse_operand,
        resolver::quote_item,
    },
    definitions::{Entry, Exception, RuleDefinition},
    diagnostic::{Code, Context, Diagnostic},
    source::Text,
};

/// Checks fields and comparisons and fills in the default ones; fields only where the rule's source is known.
pub(crate) fn check(exception: &mut Exception, environment: Option<&Environment>) -> Result<(), Diagnostic> {
    let context = exception.context.clone();
    let (fields, comparisons) = match &exception.fields {
        None => {
            let message = "Rule exception item must have fields property with a list of fields";
            return Err(Diagnostic::new(Code::Validate, message, &context));
        }
        Some(Entry::One(field)) => {
            let comparison = exception.comparisons.take().unwrap_or_else(|| Entry::One(Text::from("in")));
            (vec![field.clone()], check_single(comparison, &context)?)
        }
        Some(Entry::Many(fields)) => {
            let fields = texts(fields, &context)?;
            let equal = || Entry::Many(fields.iter().map(|_| Entry::One(Text::from("="))).collect());
            let comparison = exception.comparisons.take().unwrap_or_else(equal);
            let checked = check_several(&comparison, fields.len(), &context)?;
            (fields, checked)
        }
    };
    exception.comparisons = Some(comparisons);
    for field in &fields {
        if environment.is_some_and(|environment| !is_operand(field.as_str(), environment)) {
            let message = format!("'{}' is not a supported filter field", field.as_str());
            let diagnostic = Diagnostic::in_text(Code::Validate, message, &context, field, 0..field.len());
            return Err(diagnostic);
        }
    }
    Ok(())
}

fn is_operand(text: &str, environment: &Environment) -> bool {
    match parse_operand(text) {
        Ok(Some((operand, length))) => length == text.len() && compile_operand(&operand, environment).is_ok(),
        Ok(None) | Err(_) => false,
    }
}

fn check_single(comparison: Entry, context: &Context) -> Result<Entry, Diagnostic> {
    let message = "When fields is a single value, comps must be one of (in, pmatch, intersects) or a modifier operator (e.g. startswith oneof)";
    match comparison {
        Entry::One(text) if takes_list(text.trimmed().as_str()) => Ok(Entry::One(text.trimmed())),
        Entry::One(_) | Entry::Many(_) => Err(Diagnostic::new(Code::Validate, message, context)),
    }
}

fn check_several(comparisons: &Entry, fields: usize, context: &Context) -> Result<Entry, Diagnostic> {
    let comparisons = match comparisons {
        Entry::Many(comparisons) => texts(comparisons, context)?,
        Entry::One(_) => Vec::new(),
    };
    if comparisons.len() != fields {
        let message = "Fields and comps lists must have equal length";
        return Err(Diagnostic::new(Code::Validate, message, context));
    }
    let trimmed: Vec<_> = comparisons.iter().map(Text::trimmed).collect();
    match trimmed.iter().find(|text| !is_operator(text.as_str())) {
        Some(unknown) => {
            let message = format!("'{}' is not a supported comparison operator", unknown.as_str());
            Err(Diagnostic::in_text(Code::Validate, message, context, unknown, 0..unknown.len()))
        }
        None => Ok(Entry::Many(trimmed.into_iter().map(Entry::One).collect())),
    }
}

fn texts(entries: &[Entry], context: &Context) -> Result<Vec<Text>, Diagnostic> {
    let text = |entry: &Entry| match entry {
        Entry::One(text) => Ok(text.clone()),
        Entry::Many(_) => {
            Err(Diagnostic::new(Code::Validate, "Expected values array to contain a list of strings", context))
        }
    };
    entries.iter().map(text).collect()
}

fn is_operator(text: &str) -> bool {
    with_modifier(text) || Operator::from_word(text).is_some()
}

/// Operators whose right side is a list.
fn takes_list(text: &str) -> bool {
    with_modifier(text) || Operator::from_word(text).is_some_and(Operator::is_list)
}

fn with_modifier(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let operator = words.next().and_then(Operator::from_word).is_some_and(Operator::is_string);
    operator && words.next().is_some_and(|word| Modifier::from_word(word).is_some()) && words.next().is_none()
}

/// The rule's condition with its exceptions. *Falco:* this is text, too.
pub(crate) fn extend_condition(rule: &RuleDefinition) -> Result<Text, Diagnostic> {
    if rule.exceptions.is_empty() {
        return Ok(rule.condition.text.clone());
    }
    let mut condition = Text::from("(");
    condition.push(&rule.condition.text);
    condition.push_str(")");
    for exception in &rule.exceptions {
        let text = exception_text(exception)?;
        if !text.is_empty() {
            condition.push_str(" and not ");
            condition.push(&text);
        }
    }
    Ok(condition)
}

fn exception_text(exception: &Exception) -> Result<Text, Diagnostic> {
    let values = exception.values.as_deref().unwrap_or_default();
    match (&exception.fields, &exception.comparisons) {
        _ if values.is_empty() => Ok(Text::default()),
        (Some(Entry::One(field)), Some(Entry::One(comparison))) => {
            single(field, comparison, values, &exception.context)
        }
        (Some(Entry::Many(fields)), Some(Entry::Many(comparisons))) => {
            let context = &exception.context;
            let (fields, comparisons) = (texts(fields, context)?, texts(comparisons, context)?);
            rows(&fields, &comparisons, values, context)
        }
        _ => Ok(Text::default()),
    }
}

/// `(field in (a, b))`.
fn single(field: &Text, comparison: &Text, values: &[Entry], context: &Context) -> Result<Text, Diagnostic> {
    let mut text = Text::from("(");
    text.push(field);
    text.push_str(" ");
    text.push(comparison);
    text.push_str(" ");
    text.push(&list(values, context)?);
    text.push_str(")");
    Ok(text)
}

/// `(( f1 = a and f2 = b) or ( f1 = c and f2 = d))`.
fn rows(fields: &[Text], comparisons: &[Text], rows: &[Entry], context: &Context) -> Result<Text, Diagnostic> {
    let mut text = Text::from("(");
    for (index, row) in rows.iter().enumerate() {
        let values = match row {
            Entry::Many(values) if values.len() == fields.len() => values,
            Entry::Many(_) | Entry::One(_) => {
                let message = "Fields and values lists must have equal length";
                return Err(Diagnostic::new(Code::Validate, message, context));
            }
        };
        text.push_str(if index > 0 { " or (" } else { "(" });
        for (column, ((field, comparison), value)) in fields.iter().zip(comparisons).zip(values).enumerate() {
            text.push_str(if column > 0 { " and  " } else { " " });
            text.push(field);
            text.push_str(" ");
            text.push(comparison);
            text.push_str(" ");
            text.push(&operand(value, comparison, context)?);
        }
        text.push_str(")");
    }
    text.push_str(")");
    Ok(text)
}

fn operand(value: &Entry, comparison: &Text, context: &Context) -> Result<Text, Diagnostic> {
    match value {
        Entry::Many(items) => list(items, context),
        // *Falco:* the value of a list operator gets parentheses and no quotes, so the name of a list works there.
        Entry::One(text) if takes_list(comparison.as_str()) && !text.as_str().starts_with('(') => {
            let mut list = Text::from("(");
            list.push(text);
            list.push_str(")");
            Ok(list)
        }
        Entry::One(text) if takes_list(comparison.as_str()) => Ok(text.clone()),
        Entry::One(text) => Ok(quote_item(text)),
    }
}

/// `(a, "b c")`.
fn list(items: &[Entry], context: &Context) -> Result<Text, Diagnostic> {
    let mut text = Text::from("(");
    for (index, item) in texts(items, context)?.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push(&quote_item(item));
    }
    text.push_str(")");
    Ok(text)
}
