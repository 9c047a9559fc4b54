// SPDX-License-Identifier: Apache-2.0
//! Items of all files in their order to definitions: redefinition, append, override, requirements.

use crate::{
    Priority,
    compile::Environment,
    definitions::{Definitions, Exception, ListDefinition, MacroDefinition, Order, RuleDefinition, Version},
    diagnostic::{Code, Context, Diagnostic},
    exception,
    reader::{Change, Item, RuleParts},
    source::Text,
    suggestion::did_you_mean,
};

/// The rules engine that we pretend to be.
pub(crate) const ENGINE_VERSION: Version = Version::new(0, 62, 0);
/// The only source of events we have.
pub(crate) const SOURCE: &str = "syscall";

/// Applies items to definitions.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pub(crate) definitions: Definitions,
    /// Counts every change; lists and macros see only what is older than themselves.
    next_index: usize,
}

type Applied = Result<(), Diagnostic>;

impl Collector {
    /// Applies one item, adding warnings on the way.
    pub(crate) fn apply(&mut self, item: Item, environment: &Environment, warnings: &mut Vec<Diagnostic>) -> Applied {
        match item {
            Item::EngineVersion { required, context } => {
                engine_version(required, &context)?;
                self.definitions.engine = self.definitions.engine.max(required);
                Ok(())
            }
            Item::Plugins(requirements) => {
                self.definitions.plugins.extend(requirements);
                Ok(())
            }
            Item::List { name, items, change, context } => self.list(name, items, change, context),
            Item::Macro { name, condition, change, context } => {
                let definition = MacroDefinition { name, condition, order: self.order(), context };
                self.macro_item(definition, change)
            }
            Item::Rule { name, parts, context } => {
                let source = parts.source.clone().unwrap_or_else(|| SOURCE.to_owned());
                if source != SOURCE {
                    let message = format!("Unknown source {source}, skipping");
                    warnings.push(Diagnostic::new(Code::UnknownSource, message, &context));
                }
                match define(&name, source, *parts, context) {
                    Some(rule) => self.rule(rule, environment),
                    None => Ok(()),
                }
            }
            Item::RuleUpdate { name, source, append, replace, context } => {
                let update = Update { name: &name, source: source.as_deref(), context: &context, environment };
                if let Some(parts) = append {
                    self.append(&update, *parts)?;
                }
                replace.map_or(Ok(()), |parts| self.replace(&update, *parts))
            }
            Item::RuleToggle { name, enabled, context } => {
                if let Some(rule) = self.definitions.rules.get_mut(&name) {
                    rule.enabled = enabled;
                    return Ok(());
                }
                let help = did_you_mean(&name, self.definitions.rules.names());
                let message = "Rule has 'enabled' key only, but no rule by that name already exists";
                Err(Diagnostic::new(Code::Validate, message, &context).with_help(help))
            }
        }
    }

    fn order(&mut self) -> Order {
        let index = self.next_index;
        self.next_index += 1;
        Order { index, visibility: index }
    }

    fn list(&mut self, name: String, items: Vec<Text>, change: Change, context: Context) -> Applied {
        let order = self.order();
        self.definitions.broken.remove(&name);
        match (self.definitions.lists.get_mut(&name), change) {
            (Some(list), Change::Append) => {
                list.items.extend(items);
                list.order.visibility = order.index;
            }
            (Some(list), Change::Define) => {
                let order = Order { index: list.order.index, ..order };
                *list = ListDefinition { name, items, order, context };
            }
            (None, Change::Define) => {
                let definition = ListDefinition { name: name.clone(), items, order, context };
                self.definitions.lists.push(&name, definition);
            }
            (None, Change::Append) => {
                let help = did_you_mean(&name, self.definitions.lists.names());
                let message = "List uses 'append' or 'override.items: append' but no list by that name already exists";
                self.definitions.broken.insert(name);
                return Err(Diagnostic::new(Code::Validate, message, &context).with_help(help));
            }
        }
        Ok(())
    }

    fn macro_item(&mut self, definition: MacroDefinition, change: Change) -> Applied {
        let name = definition.name.clone();
        self.definitions.broken.remove(&name);
        match (self.definitions.macros.get_mut(&name), change) {
            (Some(found), Change::Append) => {
                join(&mut found.condition.text, &definition.condition.text);
                found.order.visibility = definition.order.index;
            }
            (Some(found), Change::Define) => {
                let order = Order { index: found.order.index, ..definition.order };
                *found = MacroDefinition { order, ..definition };
            }
            (None, Change::Define) => self.definitions.macros.push(&name, definition),
            (None, Change::Append) => {
                let help = did_you_mean(&name, self.definitions.macros.names());
                let message =
                    "Macro uses 'append' or 'override.condition: append' but no macro by that name already exists";
                let diagnostic = Diagnostic::new(Code::Validate, message, &definition.context).with_help(help);
                self.definitions.broken.insert(name);
                return Err(diagnostic);
            }
        }
        Ok(())
    }

    fn rule(&mut self, mut rule: RuleDefinition, environment: &Environment) -> Applied {
        for exception in &mut rule.exceptions {
            exception::check(exception, rule.known_source.then_some(environment))?;
        }
        match self.definitions.rules.get_mut(&rule.name) {
            Some(known) if known.source != rule.source => {
                return Err(Diagnostic::new(Code::Validate, DIFFERENT_SOURCE, &rule.context));
            }
            Some(known) => *known = rule,
            None => {
                let name = rule.name.clone();
                self.definitions.rules.push(&name, rule);
            }
        }
        Ok(())
    }

    fn append(&mut self, update: &Update<'_>, parts: RuleParts) -> Applied {
        let missing = "Rule uses 'append' or 'override.<key>: append' but no rule by that name already exists";
        let rule = update.find(&mut self.definitions, missing)?;
        let empty = parts.condition.is_none() && parts.output.is_none() && parts.description.is_none();
        if empty && parts.exceptions.is_none() && parts.tags.is_none() {
            let message = "Appended rule must have exceptions or condition property";
            return Err(Diagnostic::new(Code::Validate, message, update.context));
        }
        if let Some(condition) = parts.condition {
            join(&mut rule.condition.text, &condition.text.trimmed());
        }
        if let Some(output) = parts.output {
            join(&mut rule.output.text, &output.text.trimmed());
        }
        if let Some(description) = parts.description {
            join(&mut rule.description, &description);
        }
        rule.tags.extend(parts.tags.into_iter().flatten());
        for exception in parts.exceptions.into_iter().flatten() {
            append_exception(rule, exception, update)?;
        }
        Ok(())
    }

    fn replace(&mut self, update: &Update<'_>, parts: RuleParts) -> Applied {
        let missing = "An 'override.<key>: replace' to a rule was requested but no rule by that name already exists";
        let rule = update.find(&mut self.definitions, missing)?;
        let known_source = rule.known_source;
        set(
            &mut rule.condition,
            parts.condition.map(|mut condition| {
                condition.text = condition.text.trimmed();
                condition
            }),
        );
        set(
            &mut rule.output,
            parts.output.map(|mut output| {
                output.text = output.text.trimmed();
                output
            }),
        );
        set(&mut rule.description, parts.description);
        set(&mut rule.priority, parts.priority);
        set(&mut rule.tags, parts.tags);
        set(&mut rule.enabled, parts.enabled);
        set(&mut rule.warn_event_types, parts.warn_event_types);
        set(&mut rule.skip_if_unknown_filter, parts.skip_if_unknown_filter);
        set(&mut rule.capture, parts.capture);
        set(&mut rule.capture_duration, parts.capture_duration);
        rule.action = parts.action.or(rule.action);
        if let Some(mut exceptions) = parts.exceptions {
            for exception in &mut exceptions {
                exception::check(exception, known_source.then_some(update.environment))?;
            }
            rule.exceptions = exceptions;
        }
        Ok(())
    }
}

const DIFFERENT_SOURCE: &str = "Rule has been re-defined with a different source";

/// A change to an earlier rule.
struct Update<'a> {
    name: &'a str,
    source: Option<&'a str>,
    context: &'a Context,
    environment: &'a Environment,
}

impl Update<'_> {
    fn find<'d>(&self, definitions: &'d mut Definitions, missing: &str) -> Result<&'d mut RuleDefinition, Diagnostic> {
        if definitions.rules.get(self.name).is_none() {
            let help = did_you_mean(self.name, definitions.rules.names());
            return Err(Diagnostic::new(Code::Validate, missing, self.context).with_help(help));
        }
        match definitions.rules.get_mut(self.name) {
            Some(rule) if self.source.is_none_or(|source| source == rule.source) => Ok(rule),
            _ => Err(Diagnostic::new(Code::Validate, DIFFERENT_SOURCE, self.context)),
        }
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

/// *Falco:* appended text follows after one blank, without parentheses.
fn join(text: &mut Text, added: &Text) {
    text.push_str(" ");
    text.push(added);
}

fn engine_version(required: Version, context: &Context) -> Applied {
    if ENGINE_VERSION.satisfies(required) {
        return Ok(());
    }
    let message = format!("Rules require engine version {required}, but engine version is {ENGINE_VERSION}");
    Err(Diagnostic::new(Code::Validate, message, context))
}

/// A definition from its parts; the reader made sure that the four required ones are there.
fn define(name: &str, source: String, parts: RuleParts, context: Context) -> Option<RuleDefinition> {
    let (mut condition, mut output) = (parts.condition?, parts.output?);
    condition.text = condition.text.trimmed();
    output.text = output.text.trimmed();
    Some(RuleDefinition {
        name: name.to_owned(),
        known_source: source == SOURCE,
        source,
        condition,
        output,
        description: parts.description.unwrap_or_default(),
        priority: parts.priority.unwrap_or(Priority::Debug),
        tags: parts.tags.unwrap_or_default(),
        exceptions: parts.exceptions.unwrap_or_default(),
        enabled: parts.enabled.unwrap_or(true),
        warn_event_types: parts.warn_event_types.unwrap_or(true),
        skip_if_unknown_filter: parts.skip_if_unknown_filter.unwrap_or(false),
        capture: parts.capture.unwrap_or(false),
        capture_duration: parts.capture_duration.unwrap_or(0),
        action: parts.action,
        context,
    })
}

fn append_exception(rule: &mut RuleDefinition, mut added: Exception, update: &Update<'_>) -> Applied {
    let error = |message: &str, context: &Context| Err(Diagnostic::new(Code::Validate, message, context));
    if let Some(known) = rule.exceptions.iter_mut().find(|known| known.name == added.name) {
        if added.fields.is_some() {
            return error("Can not append exception fields to existing exception, only values", &added.context);
        }
        if added.comparisons.is_some() {
            return error("Can not append exception comps to existing exception, only values", &added.context);
        }
        known.values.get_or_insert_default().extend(added.values.into_iter().flatten());
        return Ok(());
    }
    if added.fields.is_none() {
        return error("Rule exception must have fields property with a list of fields", &added.context);
    }
    if added.values.as_ref().is_none_or(Vec::is_empty) {
        return error("Rule exception must have values property with a list of values", &added.context);
    }
    exception::check(&mut added, rule.known_source.then_some(update.environment))?;
    rule.exceptions.push(added);
    Ok(())
}
