// SPDX-License-Identifier: Apache-2.0
//! Lists and macros of all definitions, expanded: the material that conditions of rules are made of.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    condition::{
        ast::{Expression, Macro},
        parser::{self, SyntaxError},
        resolver::{
            self, Lookup, MAX_CONDITION_BYTES, MAX_DEPTH, MacroError, finish_macro, replace_list, replace_macros,
        },
    },
    definitions::{Definitions, MacroDefinition, Named, Order},
    diagnostic::{Code, Context, Diagnostic, condition_position},
    source::Text,
    suggestion::did_you_mean,
};

/// Expanded lists, parsed macros, and who uses what.
#[derive(Debug, Default)]
pub(super) struct Material {
    lists: Vec<(String, Vec<Text>)>,
    list_places: HashMap<String, usize>,
    /// Places of lists whose names are more than a word, so that they must be looked for.
    odd_lists: Vec<usize>,
    used_lists: RefCell<BTreeSet<String>>,
    pub(super) macros: BTreeMap<String, CompiledMacro>,
    used_macros: RefCell<BTreeSet<String>>,
}

/// A macro whose lists are expanded and whose text is parsed.
#[derive(Debug)]
pub(super) struct CompiledMacro {
    order: Order,
    /// The text with its lists written out, which spans of the tree refer to.
    pub(super) text: Text,
    parsed: Option<Expression>,
    pub(super) resolved: Option<Arc<Macro>>,
    /// The lists named in the text.
    pub(super) lists: BTreeSet<String>,
}

impl Material {
    pub(super) fn new(definitions: &Definitions, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut material = Self::default();
        material.compile_lists(definitions);
        for definition in definitions.macros.iter() {
            let compiled = material.parse_macro(definition, diagnostics);
            material.macros.insert(definition.name.clone(), compiled);
        }
        material.resolve_macros(&definitions.macros, &definitions.broken, diagnostics);
        material
    }

    /// *Falco:* the name of an older list among the items stands for its items, one level deep.
    fn compile_lists(&mut self, definitions: &Definitions) {
        for list in definitions.lists.iter() {
            let mut items = Vec::new();
            for item in &list.items {
                match definitions.lists.get(item.as_str()) {
                    Some(other) if other.order.index < list.order.visibility => {
                        self.used_lists.borrow_mut().insert(other.name.clone());
                        items.extend(other.items.iter().cloned());
                    }
                    _ => items.push(item.clone()),
                }
            }
            let place = self.lists.len();
            if resolver::words(&list.name).ne([list.name.as_str()]) {
                self.odd_lists.push(place);
            }
            self.list_places.insert(list.name.clone(), place);
            self.lists.push((list.name.clone(), items));
        }
    }

    /// The items of a list as conditions see them.
    pub(super) fn list_items(&self, name: &str) -> &[Text] {
        self.list_places.get(name).and_then(|place| self.lists.get(*place)).map_or(&[], |(_, items)| items)
    }

    /// Writes out all lists in a condition, in their order, and says which there were.
    pub(super) fn expand_lists(&self, condition: &mut Text) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        let mut waiting: BTreeSet<usize> = self.odd_lists.iter().copied().chain(self.lists_in(condition)).collect();
        while let Some(place) = waiting.pop_first() {
            let Some((name, items)) = self.lists.get(place) else { continue };
            if condition.len() <= MAX_CONDITION_BYTES && replace_list(condition, name, items) {
                used.insert(name.clone());
                // *Falco:* an item may be the name of a later list.
                let found =
                    items.iter().flat_map(|item| self.lists_in(&resolver::quote_item(item)).collect::<Vec<_>>());
                waiting.extend(found.filter(|other| *other > place));
            }
        }
        self.used_lists.borrow_mut().extend(used.iter().cloned());
        used
    }

    fn lists_in<'t>(&'t self, text: &'t Text) -> impl Iterator<Item = usize> + 't {
        resolver::words(text.as_str()).filter_map(|word| self.list_places.get(word).copied())
    }

    fn parse_macro(&self, definition: &MacroDefinition, diagnostics: &mut Vec<Diagnostic>) -> CompiledMacro {
        let mut text = definition.condition.text.trimmed();
        let lists = self.expand_lists(&mut text);
        let context = definition.context.item("macro condition", "", &definition.condition.location);
        let parsed = parse(&text, &context, diagnostics);
        CompiledMacro { order: definition.order, text, parsed, resolved: None, lists }
    }

    fn resolve_macros(
        &mut self,
        definitions: &Named<MacroDefinition>,
        broken: &BTreeSet<String>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let mut states = HashMap::new();
        for definition in definitions.iter() {
            self.resolve(&definition.name, broken, &mut states);
        }
        for definition in definitions.iter() {
            if let (Some(State::Failed(error)), Some(compiled)) =
                (states.get(&definition.name), self.macros.get(&definition.name))
            {
                let names = definitions.names();
                diagnostics.extend(macro_diagnostic(error, &compiled.text, &definition.context, names));
            }
        }
    }

    /// Resolves a macro after those that stand in it.
    fn resolve(&mut self, name: &str, broken: &BTreeSet<String>, states: &mut HashMap<String, State>) {
        let Some(compiled) = self.macros.get(name).filter(|_| !states.contains_key(name)) else { return };
        let (Some(parsed), visibility) = (compiled.parsed.clone(), compiled.order.visibility) else { return };
        // Each level takes stack; a chain longer than a condition may be deep is refused anyway.
        if states.values().filter(|state| matches!(state, State::Running)).count() >= MAX_DEPTH {
            let error = MacroError::TooLarge { span: parsed.span().clone() };
            states.insert(name.to_owned(), State::Failed(error));
            return;
        }
        states.insert(name.to_owned(), State::Running);
        let names = resolver::names(&parsed).into_keys().filter(|name| self.visible(name, visibility));
        let names: Vec<String> = names.map(str::to_owned).collect();
        for inner in &names {
            self.resolve(inner, broken, states);
        }
        let state = match replace_macros(parsed, &mut |wanted| self.lookup(wanted, visibility, broken, states)) {
            Err(error) => State::Failed(error),
            Ok((body, _)) => {
                let resolved = Arc::new(finish_macro(name.to_owned(), body));
                if let Some(compiled) = self.macros.get_mut(name) {
                    compiled.resolved = Some(resolved);
                }
                State::Done
            }
        };
        states.insert(name.to_owned(), state);
    }

    fn visible(&self, name: &str, visibility: usize) -> bool {
        self.macros.get(name).is_some_and(|compiled| compiled.order.index < visibility)
    }

    fn lookup(
        &self,
        name: &str,
        visibility: usize,
        broken: &BTreeSet<String>,
        states: &HashMap<String, State>,
    ) -> Lookup {
        if broken.contains(name) {
            return Lookup::Broken;
        }
        if !self.visible(name, visibility) {
            return Lookup::Undefined;
        }
        self.used_macros.borrow_mut().insert(name.to_owned());
        match (self.macros.get(name).and_then(|compiled| compiled.resolved.clone()), states.get(name)) {
            (Some(found), _) => Lookup::Found(found),
            (None, Some(State::Running)) => Lookup::Loop,
            (None, _) => Lookup::Broken,
        }
    }

    /// Puts the macros into the condition of a rule, which sees all of them.
    pub(super) fn resolve_rule(
        &self,
        parsed: Expression,
        broken: &BTreeSet<String>,
    ) -> Result<(Expression, usize), MacroError> {
        let states = HashMap::new();
        replace_macros(parsed, &mut |name| self.lookup(name, usize::MAX, broken, &states))
    }

    pub(super) fn is_list_used(&self, name: &str) -> bool {
        self.used_lists.borrow().contains(name)
    }

    pub(super) fn is_macro_used(&self, name: &str) -> bool {
        self.used_macros.borrow().contains(name)
    }

    /// The text that the checks of a macro were read from.
    pub(super) fn text_of(&self, name: &str) -> Option<&Text> {
        self.macros.get(name).map(|compiled| &compiled.text)
    }
}

/// How far the resolution of a macro is.
#[derive(Debug)]
enum State {
    Running,
    Done,
    Failed(MacroError),
}

/// Parses a condition, or reports why that is not possible.
pub(super) fn parse(text: &Text, context: &Context, diagnostics: &mut Vec<Diagnostic>) -> Option<Expression> {
    if text.len() > MAX_CONDITION_BYTES {
        let message = format!("condition with its lists written out is longer than {MAX_CONDITION_BYTES} bytes");
        diagnostics.push(Diagnostic::new(Code::CompileCondition, message, context));
        return None;
    }
    match parser::parse(text.as_str()) {
        Ok(expression) => Some(expression),
        Err(SyntaxError { message, help, at }) => {
            let context = context.condition(text.as_str(), condition_position(text.as_str(), at));
            let word =
                text.as_str().get(at..).and_then(|rest| rest.split(|c: char| c.is_whitespace() || c == ')').next());
            let span = at..at + word.map_or(1, str::len).max(1);
            let at_end = at >= text.len();
            let span = if at_end { text.len().saturating_sub(1)..text.len() } else { span };
            let diagnostic = Diagnostic::in_text(Code::CompileCondition, message, &context, text, span);
            diagnostics.push(diagnostic.with_snippet(text.as_str(), at).with_help(help));
            None
        }
    }
}

/// The report of a macro that cannot be put into a condition; nothing if it is reported elsewhere.
pub(super) fn macro_diagnostic<'a>(
    error: &MacroError,
    text: &Text,
    context: &Context,
    names: impl Iterator<Item = &'a str>,
) -> Option<Diagnostic> {
    let span = error.span().0.clone();
    let help = match error {
        MacroError::Broken { .. } => return None,
        MacroError::Undefined { name, .. } => did_you_mean(name, names),
        MacroError::Loop { .. } | MacroError::TooLarge { .. } => None,
    };
    // *Falco:* the position is that of the item, not of its condition.
    let context = context.condition(text.as_str(), condition_position(text.as_str(), span.start));
    let diagnostic = Diagnostic::in_text(Code::Validate, error.to_string(), &context, text, span.clone());
    Some(diagnostic.with_snippet(text.as_str(), span.start).with_help(help))
}
