// SPDX-License-Identifier: Apache-2.0
//! Rules compiled: conditions with everything written out, outputs with everything appended, and what is wrong with them.

use std::collections::{BTreeSet, HashSet};

use super::{
    LoadOptions,
    conditions::{Material, macro_diagnostic, parse},
    options::ExtraField,
    warnings::{self, Warning},
};
use crate::{
    EventTypeSet, Explanation, Field, Flags, PartialEvent, Rule, Ruleset, Template,
    compile::{Environment, Problem},
    condition::ast::{Check, Expression, Macro},
    definitions::{Definitions, RuleDefinition},
    diagnostic::{Code, Context, Diagnostic, MAX_ERRORS, Severity, condition_position},
    event_types::TypeFinder,
    exception::extend_condition,
    explain::Explainer,
    output::{self, ValueStyle},
    program::{Arena, NodeId},
    source::Text,
};

/// Event codes after which Falco warns about a rule.
const MANY_EVENT_CODES: usize = 100;
/// Parts of the conditions of all rules with their macros written out; the stock files have 20,000.
const MAX_TOTAL_SIZE: usize = 1 << 23;
/// *Falco* counts an enter and an exit code for each name.
const CODES_PER_TYPE: usize = 2;

/// All rules that could be compiled, and what was found on the way.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub(super) rules: Vec<CompiledRule>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) material: Material,
    arena: Arena,
}

/// One rule that could be compiled.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) definition: RuleDefinition,
    pub(super) expression: Expression,
    pub(super) lists: BTreeSet<String>,
    pub(super) output: Template,
    pub(super) event_types: EventTypeSet,
    node: NodeId,
}

/// Compiles everything that is defined.
pub(super) fn compile(definitions: &Definitions, environment: &Environment, options: &LoadOptions) -> Compiled {
    let mut diagnostics = Vec::new();
    let material = Material::new(definitions, &mut diagnostics);
    let mut compiler = RuleCompiler {
        definitions,
        environment,
        options,
        material: &material,
        arena: Arena::default(),
        types: TypeFinder::new(environment),
        size: 0,
        diagnostics,
        counted: 0,
        errors: 0,
        known: HashSet::new(),
    };
    let mut rules = Vec::new();
    for definition in definitions.rules.iter().filter(|rule| rule.known_source) {
        if compiler.has_too_many_errors() {
            let message = format!("more than {MAX_ERRORS} errors: this rule and those after it were not checked");
            compiler.diagnostics.push(Diagnostic::new(Code::CompileCondition, message, &definition.context));
            break;
        }
        rules.extend(compiler.rule(definition));
    }
    let RuleCompiler { arena, mut diagnostics, .. } = compiler;
    warn_unused(definitions, &material, &mut diagnostics);
    Compiled { rules, diagnostics, material, arena }
}

fn warn_unused(definitions: &Definitions, material: &Material, diagnostics: &mut Vec<Diagnostic>) {
    for found in definitions.macros.iter().filter(|found| !material.is_macro_used(&found.name)) {
        let message = "Macro not referred to by any other rule/macro";
        diagnostics.push(Diagnostic::new(Code::UnusedMacro, message, &found.context));
    }
    for list in definitions.lists.iter().filter(|list| !material.is_list_used(&list.name)) {
        let message = "List not referred to by any other rule/macro";
        diagnostics.push(Diagnostic::new(Code::UnusedList, message, &list.context));
    }
}

struct RuleCompiler<'a> {
    definitions: &'a Definitions,
    environment: &'a Environment,
    options: &'a LoadOptions,
    material: &'a Material,
    arena: Arena,
    types: TypeFinder<'a>,
    /// Parts of all conditions so far with their macros written out.
    size: usize,
    diagnostics: Vec<Diagnostic>,
    /// Diagnostics that were looked through, and errors among them.
    counted: usize,
    errors: usize,
    /// Fingerprints of problems of checks.
    known: HashSet<u64>,
}

impl RuleCompiler<'_> {
    /// Counts the errors that were added since the last call.
    fn has_too_many_errors(&mut self) -> bool {
        let new = self.diagnostics.iter().skip(self.counted);
        self.errors += new.filter(|found| found.code().severity() == Severity::Error).count();
        self.counted = self.diagnostics.len();
        self.errors >= MAX_ERRORS
    }

    /// Compiles a rule; nothing if that is not possible, or if the rule wants to be skipped.
    fn rule(&mut self, rule: &RuleDefinition) -> Option<CompiledRule> {
        let mut text = match extend_condition(rule) {
            Ok(text) => text,
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                return None;
            }
        };
        let output = self.output(rule);
        if output.is_none() && self.diagnostics.last().is_some_and(|last| last.code() == Code::UnknownFilter) {
            return None;
        }
        let lists = self.material.expand_lists(&mut text);
        let context = rule.context.item("rule condition", "", &rule.condition.location);
        let parsed = parse(&text, &context, &mut self.diagnostics);
        let expression = parsed.and_then(|parsed| self.resolve(parsed, &text, rule))?;
        self.warn(warnings::of_condition(&expression), &text, &context);
        let node = self.checks(&expression, &text, &context, rule);
        let (output, node) = (output?, node?);
        let event_types = self.types.possible_types(&expression);
        if rule.warn_event_types && (event_types.is_empty() || event_types.len() * CODES_PER_TYPE > MANY_EVENT_CODES) {
            let message = "Rule matches too many evt.type values. This has a significant performance penalty.";
            self.diagnostics.push(Diagnostic::new(Code::NoEventType, message, &rule.context));
        }
        self.warn(warnings::of_unseen(&expression, &event_types, &self.options.unseen), &text, &context);
        Some(CompiledRule { definition: rule.clone(), expression, lists, output, event_types, node })
    }

    fn resolve(&mut self, parsed: Expression, text: &Text, rule: &RuleDefinition) -> Option<Expression> {
        match self.material.resolve_rule(parsed, &self.definitions.broken) {
            Ok((expression, size)) => {
                self.size = self.size.saturating_add(size);
                if self.size <= MAX_TOTAL_SIZE {
                    return Some(expression);
                }
                let message = format!("conditions of all rules together have more than {MAX_TOTAL_SIZE} parts");
                self.diagnostics.push(Diagnostic::new(Code::CompileCondition, message, &rule.context));
                None
            }
            Err(error) => {
                let names = self.definitions.macros.names();
                self.diagnostics.extend(macro_diagnostic(&error, text, &rule.context, names));
                None
            }
        }
    }

    fn warn(&mut self, warnings: Vec<Warning<'_>>, text: &Text, context: &Context) {
        for warning in warnings {
            let home = self.home(warning.home, text);
            // *Falco:* these have no position within the condition.
            let context = context.condition(text.as_str(), crate::Position::default());
            let span = warning.span.0.clone();
            let diagnostic = Diagnostic::in_text(warning.code, warning.message, &context, home, span.clone());
            self.diagnostics.push(diagnostic.with_snippet(home.as_str(), span.start).with_help(warning.help));
        }
    }

    /// The text that a check was read from.
    fn home<'t>(&'t self, home: Option<&Macro>, text: &'t Text) -> &'t Text {
        home.and_then(|found| self.material.text_of(&found.name)).unwrap_or(text)
    }

    /// Compiles all checks of a condition, reporting every problem.
    fn checks(
        &mut self,
        expression: &Expression,
        text: &Text,
        context: &Context,
        rule: &RuleDefinition,
    ) -> Option<NodeId> {
        let mut checks: Vec<(&Check, Option<&Macro>)> = Vec::new();
        expression.for_each_check(&mut |check, home| checks.push((check, home)));
        let mut failed = false;
        for (check, home) in checks {
            let mut warnings = Vec::new();
            if let Err(problem) = self.arena.check(check, self.environment, &mut warnings) {
                failed = true;
                let skip = problem.unknown && rule.skip_if_unknown_filter;
                let code = if skip { Code::UnknownFilter } else { Code::CompileCondition };
                let home = self.home(home, text).clone();
                self.report(code, problem, &home, context);
                // *Falco:* the rule is skipped for its first problem, whatever comes after.
                if skip {
                    return None;
                }
            }
            for warning in warnings {
                let home = self.home(home, text).clone();
                self.report(Code::ConditionWarning, warning, &home, context);
            }
        }
        if failed { None } else { self.arena.add(expression) }
    }

    fn report(&mut self, code: Code, problem: Problem, text: &Text, context: &Context) {
        let context = context.condition(text.as_str(), condition_position(text.as_str(), problem.anchor));
        let at = problem.span.start;
        let diagnostic =
            Diagnostic::in_text(code, problem.message, &context, text, problem.span).with_help(problem.help);
        let diagnostic = diagnostic.with_snippet(text.as_str(), at);
        // A macro that ten rules use has one problem, not ten.
        if self.known.insert(diagnostic.fingerprint()) {
            self.diagnostics.push(diagnostic);
        }
    }

    fn output(&mut self, rule: &RuleDefinition) -> Option<Template> {
        let context = rule.context.item("rule output", "", &rule.output.location);
        let text = self.output_text(rule);
        let style = ValueStyle { base64: self.options.buffer_format_base64 };
        let parsed = output::parse(text.as_str(), self.environment, style);
        let parsed = parsed.and_then(|template| self.add_fields(template, rule));
        match parsed {
            Ok(template) => {
                self.warn_about_output(&template, &context);
                Some(template)
            }
            Err(problem) => {
                let skip = problem.unknown && rule.skip_if_unknown_filter;
                let code = if skip { Code::UnknownFilter } else { Code::CompileOutput };
                let diagnostic = Diagnostic::in_text(code, problem.message, &context, &text, problem.span);
                self.diagnostics.push(diagnostic.with_help(problem.help));
                None
            }
        }
    }

    /// The rule's output with what the configuration appends.
    fn output_text(&mut self, rule: &RuleDefinition) -> Text {
        let mut text = rule.output.text.clone();
        if let Some(at) = text.as_str().find("%container.info") {
            let message = "%container.info is deprecated and no more useful, and will be dropped by Falco 1.0.0. The container plugin will automatically add required fields to the output message.";
            self.diagnostics.push(Diagnostic::new(Code::DeprecatedItem, message, &rule.context));
            let mut without = text.slice(0..at);
            without.push(&text.slice(at + "%container.info".len()..text.len()));
            text = without;
        }
        for addition in &self.options.append_output {
            if !addition.applies(&rule.name, &rule.source, &rule.tags) {
                continue;
            }
            if let Some(extra) = &addition.extra_output {
                text.push_str(" ");
                text.push_str(extra);
            }
            if addition.suggested_output {
                text.push_str(&suggested(self.environment));
            }
        }
        text
    }

    fn add_fields(&self, mut template: Template, rule: &RuleDefinition) -> Result<Template, Problem> {
        let additions = self.options.append_output.iter();
        let additions = additions.filter(|addition| addition.applies(&rule.name, &rule.source, &rule.tags));
        for field in additions.flat_map(|addition| &addition.extra_fields) {
            match field {
                ExtraField::Field(name) => template.add_field(name, None, self.environment)?,
                ExtraField::Format { name, format } => template.add_field(name, Some(format), self.environment)?,
            }
        }
        Ok(template)
    }

    fn warn_about_output(&mut self, template: &Template, context: &Context) {
        for name in template.field_names() {
            if Field::describe(name).is_some_and(|row| row.flags.has(Flags::DEPRECATED)) {
                let message = format!("usage of deprecated field '{name}' has been detected in the rule output");
                self.diagnostics.push(Diagnostic::new(Code::DeprecatedItem, message, context));
            }
        }
    }
}

/// ` container_id=%container.id ..`: *Falco:* the suggested fields in the order of its list, then static ones.
fn suggested(environment: &Environment) -> String {
    let suggested = Field::all().iter().filter(|row| row.flags.has(Flags::SUGGESTED)).map(|row| row.name.to_owned());
    let fixed = environment.static_fields.iter().map(|(key, _)| format!("static.{key}"));
    suggested.chain(fixed).fold(String::new(), |mut text, name| {
        text.extend([" ", &name.replace('.', "_"), "=%", &name]);
        text
    })
}

impl Compiled {
    /// The rules of allowed priority, selected as the configuration says.
    pub(super) fn into_ruleset(self, options: &LoadOptions) -> Ruleset {
        let mut rules = Vec::new();
        let mut conditions = Vec::new();
        for compiled in self.rules.into_iter().filter(|rule| rule.definition.priority <= options.priority) {
            let enabled = compiled.is_enabled(options);
            let CompiledRule { definition, expression, output, event_types, node, .. } = compiled;
            let index = rules.len();
            if enabled {
                conditions.push((index, node));
            }
            rules.push(Rule {
                index,
                name: definition.name,
                priority: definition.priority,
                tags: definition.tags.into_iter().collect(),
                source: definition.source,
                description: definition.description.as_str().to_owned(),
                action: definition.action,
                enabled,
                output,
                condition: expression.to_string(),
                event_types,
            });
        }
        Ruleset::new(rules, &conditions, &self.arena)
    }
}

impl Compiled {
    /// Evaluates one rule in full, whatever its priority and whether it is enabled.
    pub(super) fn explain(
        &self,
        rule: &str,
        event: &dyn PartialEvent,
        environment: &Environment,
        options: &LoadOptions,
    ) -> Option<Explanation> {
        let found = self.rules.iter().find(|found| found.definition.name == rule)?;
        let enabled = found.is_enabled(options) && found.definition.priority <= options.priority;
        let explainer = Explainer { arena: &self.arena, environment, event };
        Some(explainer.explain(rule, enabled, &found.expression, &found.definition.exceptions))
    }
}

impl CompiledRule {
    /// Whether the rule is enabled after all selections.
    pub(super) fn is_enabled(&self, options: &LoadOptions) -> bool {
        let RuleDefinition { name, tags, enabled, .. } = &self.definition;
        let mut applying = options.selection.iter().filter(|selection| selection.selector.selects(name, tags));
        applying.next_back().map_or(*enabled, |selection| selection.enable)
    }
}
