// SPDX-License-Identifier: Apache-2.0
//! Rules, macros and lists in the JSON shape of Falco's `-L`.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::{
    LoadOptions,
    rules::{Compiled, CompiledRule},
};
use crate::{
    EventType, EventTypeSet, Field, Version,
    compile::{Environment, operand_fields},
    condition::ast::{Check, Expression, Right},
    definitions::{Definitions, Entry, ListDefinition, MacroDefinition, PluginRequirement},
    event_types::TypeFinder,
    source::Text,
};

/// Describes everything that could be compiled.
pub(super) fn describe(compiled: &Compiled, definitions: &Definitions, options: &LoadOptions) -> Json {
    let rules: Vec<_> = compiled.rules.iter().map(|found| rule(found, options)).collect();
    let macros: Vec<_> = definitions.macros.iter().filter_map(|found| macro_item(found, compiled)).collect();
    let lists: Vec<_> = definitions.lists.iter().map(|found| list(found, compiled)).collect();
    sorted(json!({
        "lists": lists,
        "macros": macros,
        "required_engine_version": definitions.engine.to_string(),
        "required_plugin_versions": definitions.plugins.iter().filter_map(requirement).collect::<Vec<_>>(),
        "rules": rules,
    }))
}

/// Describes one rule, if there is one of this name that could be compiled.
pub(super) fn describe_rule(name: &str, compiled: &Compiled, options: &LoadOptions) -> Option<Json> {
    let found = compiled.rules.iter().find(|found| found.definition.name == name)?;
    Some(sorted(json!({ "rules": [rule(found, options)] })))
}

/// *Falco:* the keys of all objects are in order.
fn sorted(mut json: Json) -> Json {
    json.sort_all_objects();
    json
}

fn requirement(requirement: &PluginRequirement) -> Option<Json> {
    let plugin = |(name, version): &(String, Version)| json!({ "name": name, "version": version.to_string() });
    let (first, others) = requirement.alternatives.split_first()?;
    let alternatives: Vec<_> = others.iter().map(plugin).collect();
    Some(json!({ "name": first.0, "version": first.1.to_string(), "alternatives": alternatives }))
}

fn macro_item(definition: &MacroDefinition, compiled: &Compiled) -> Option<Json> {
    let found = compiled.material.macros.get(&definition.name)?;
    let body = &found.resolved.as_ref()?.body;
    let mut details = expression_details(body);
    details.extend([
        ("events".to_owned(), events(&TypeFinder::new(&Environment::default()).possible_types(body))),
        ("lists".to_owned(), json!(found.lists)),
        // *Falco:* which plugins a macro needs is known of its rules only.
        ("plugins".to_owned(), json!([])),
        ("used".to_owned(), json!(compiled.material.is_macro_used(&definition.name))),
    ]);
    let condition = definition.condition.text.as_str().trim();
    Some(json!({ "info": { "name": definition.name, "condition": condition }, "details": details }))
}

/// *Falco:* an item that is not among the compiled ones was the name of another list.
fn list(list: &ListDefinition, compiled: &Compiled) -> Json {
    let items: Vec<_> = compiled.material.list_items(&list.name).iter().map(Text::as_str).collect();
    let (own, inner): (Vec<_>, Vec<_>) = list.items.iter().map(Text::as_str).partition(|item| items.contains(item));
    json!({
        "info": { "name": list.name, "items": own },
        "details": {
            "items_compiled": items,
            "lists": inner.into_iter().collect::<BTreeSet<_>>(),
            "plugins": [],
            "used": compiled.material.is_list_used(&list.name),
        },
    })
}

fn rule(rule: &CompiledRule, options: &LoadOptions) -> Json {
    let definition = &rule.definition;
    let exceptions = &definition.exceptions;
    let mut details = expression_details(&rule.expression);
    let condition_fields = details.get("condition_fields").and_then(Json::as_array).into_iter().flatten();
    let plugins = plugins(condition_fields.filter_map(Json::as_str).chain(rule.output.field_names()));
    details.extend([
        ("lists".to_owned(), json!(rule.lists)),
        ("output_compiled".to_owned(), json!(rule.output.text())),
        ("output_fields".to_owned(), json!(rule.output.field_names().collect::<Vec<_>>())),
        ("events".to_owned(), events(&rule.event_types)),
        ("plugins".to_owned(), json!(plugins)),
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
    let formatted: Map<_, _> =
        rule.output.formatted_fields().map(|(name, format)| (name.to_owned(), json!(format))).collect();
    if !formatted.is_empty() {
        details.insert("extra_output_formatted_fields".to_owned(), Json::Object(formatted));
    }
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

fn events(types: &EventTypeSet) -> Json {
    json!(types.iter().map(EventType::name).collect::<Vec<_>>())
}

/// The plugins whose fields are among these: what is built in here is a plugin there.
fn plugins<'a>(mut fields: impl Iterator<Item = &'a str>) -> Vec<&'static str> {
    let is_containers = |name: &str| {
        let row = Field::describe(name.split('[').next().unwrap_or(name));
        row.is_some_and(|row| matches!(row.field, Field::Container(_) | Field::K8s(_)))
    };
    if fields.any(is_containers) { vec!["container"] } else { Vec::new() }
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
