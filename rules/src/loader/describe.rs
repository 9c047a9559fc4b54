// SPDX-License-Identifier: Apache-2.0
//! Rules, macros and lists in the JSON shape of Falco's `-L`.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::{
    LoadOptions,
    rules::{Compiled, CompiledRule},
};
use crate::{
    EventType,
    compile::operand_fields,
    condition::ast::{Check, Expression, Right},
    definitions::{Definitions, Entry, ListDefinition, MacroDefinition},
    source::Text,
};

/// Describes everything that could be compiled.
pub(super) fn describe(compiled: &Compiled, definitions: &Definitions, options: &LoadOptions) -> Json {
    let rules: Vec<_> = compiled.rules.iter().map(|found| rule(found, options)).collect();
    let macros: Vec<_> = definitions.macros.iter().filter_map(|found| macro_item(found, compiled)).collect();
    let lists: Vec<_> = definitions.lists.iter().map(|found| list(found, definitions, compiled)).collect();
    json!({ "rules": rules, "macros": macros, "lists": lists })
}

fn macro_item(definition: &MacroDefinition, compiled: &Compiled) -> Option<Json> {
    let found = compiled.material.macros.get(&definition.name)?;
    let mut details = expression_details(&found.resolved.as_ref()?.body);
    details.insert("lists".to_owned(), json!(found.lists));
    let condition = definition.condition.text.as_str().trim();
    Some(json!({ "info": { "name": definition.name, "condition": condition }, "details": details }))
}

fn list(list: &ListDefinition, definitions: &Definitions, compiled: &Compiled) -> Json {
    let raw: Vec<_> = list.items.iter().map(Text::as_str).collect();
    let items: Vec<_> = compiled.material.list_items(&list.name).iter().map(Text::as_str).collect();
    let inner: BTreeSet<_> = raw.iter().filter(|item| definitions.lists.get(item).is_some()).collect();
    json!({ "info": { "name": list.name, "items": raw }, "details": { "items_compiled": items, "lists": inner } })
}

fn rule(rule: &CompiledRule, options: &LoadOptions) -> Json {
    let definition = &rule.definition;
    let exceptions = &definition.exceptions;
    let mut details = expression_details(&rule.expression);
    details.extend([
        ("lists".to_owned(), json!(rule.lists)),
        ("output_compiled".to_owned(), json!(rule.output.text())),
        ("output_fields".to_owned(), json!(rule.output.field_names().collect::<Vec<_>>())),
        ("events".to_owned(), json!(rule.event_types.iter().map(EventType::name).collect::<Vec<_>>())),
        ("exception_names".to_owned(), json!(exceptions.iter().map(|exception| &exception.name).collect::<Vec<_>>())),
        (
            "exception_fields".to_owned(),
            json!(entries(exceptions.iter().filter_map(|exception| exception.fields.as_ref()))),
        ),
        (
            "exception_operators".to_owned(),
            json!(entries(exceptions.iter().filter_map(|exception| exception.comparisons.as_ref()))),
        ),
    ]);
    json!({
        "info": {
            "name": definition.name,
            "condition": definition.condition.text.as_str(),
            "output": definition.output.text.as_str(),
            "description": definition.description.as_str(),
            "priority": definition.priority.as_str(),
            "enabled": rule.is_enabled(options),
            "source": definition.source,
            "tags": definition.tags,
            "capture": definition.capture,
            "capture_duration": definition.capture_duration,
        },
        "details": details,
    })
}

/// The fields, operators and macros of a condition, sorted.
fn expression_details(expression: &Expression) -> Map<String, Json> {
    let (mut fields, mut operators, mut macros) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    expression.for_each_check(&mut |check, _| {
        fields.extend(check_fields(check));
        operators.insert(check.operator.as_str());
    });
    expression.add_macros(&mut macros);
    let macros: BTreeSet<_> = macros.iter().map(|found| &found.name).collect();
    Map::from_iter([
        ("condition_compiled".to_owned(), json!(expression.to_string())),
        ("condition_fields".to_owned(), json!(fields)),
        ("condition_operators".to_owned(), json!(operators)),
        ("macros".to_owned(), json!(macros)),
    ])
}

fn check_fields(check: &Check) -> Vec<String> {
    let mut fields = operand_fields(&check.left);
    if let Right::Operand(right) = &check.right {
        fields.extend(operand_fields(right));
    }
    fields
}

fn entries<'a>(entries: impl Iterator<Item = &'a Entry>) -> BTreeSet<&'a str> {
    entries
        .flat_map(|entry| match entry {
            Entry::One(text) => vec![text.as_str()],
            Entry::Many(items) => items
                .iter()
                .filter_map(|item| match item {
                    Entry::One(text) => Some(text.as_str()),
                    Entry::Many(_) => None,
                })
                .collect(),
        })
        .collect()
}
