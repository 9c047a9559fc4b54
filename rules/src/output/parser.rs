// SPDX-License-Identifier: Apache-2.0
//! Output text to a template: `%` introduces a token, everything else is literal.
//!
//! ```text
//! token = "%" [ width ] ( field [ "[" argument "]" ] | transformer "(" .. ")" )
//! ```
//!
//! A field is the longest known name that the text after `%` begins with; there is no way to write a literal `%`.
//! Brackets that do not make an argument of what stands before them are literal.

use std::ops::Range;

use super::{
    template::{FieldSource, OutputField, Part, Template},
    value::ValueStyle,
};
use crate::{
    EvtField, Field, Flags,
    compile::{CompiledOperand, Environment, Extractor, Problem, compile_operand, may_be_field},
    condition::{
        ast::{FieldReference, Operand, Span},
        parser::{SyntaxError, parse_operand, parse_operand_without_argument},
    },
    suggestion::did_you_mean,
};

/// Columns of a token; a wider one is a slip of the keyboard.
const MAX_WIDTH: usize = 4096;

/// Bytes of a field's name with an argument after a dot; every shorter beginning is tried.
const MAX_NAME: usize = 256;

/// Something wrong with an output.
type OutputProblem = Problem;

/// What a token stands for, and its length.
type Found = (Operand, CompiledOperand, usize);

/// An operand at the beginning of a text, with its length.
type Parsed = Result<Option<(Operand, usize)>, SyntaxError>;

/// Parses an output and looks up its fields.
pub(crate) fn parse(text: &str, environment: &Environment, style: ValueStyle) -> Result<Template, OutputProblem> {
    // *Falco:* the star asks for `<NA>` instead of silence, which is what rules always get.
    let start = usize::from(text.starts_with('*'));
    let mut parser = Parser { text, environment, parts: Vec::new(), fields: Vec::new() };
    let mut at = start;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let literal = rest.find('%').unwrap_or(rest.len());
        if let Some(literal) = rest.get(..literal).filter(|literal| !literal.is_empty()) {
            parser.parts.push(Part::Literal(literal.to_owned()));
        }
        at += literal;
        if at < text.len() {
            at = parser.token(at)?;
        }
    }
    parser.fields.push(OutputField { name: "evt.time".to_owned(), source: FieldSource::Time });
    parser.fields.sort_by(|left, right| left.name.cmp(&right.name));
    parser.fields.dedup_by(|left, right| left.name == right.name);
    Ok(Template {
        text: text.get(start..).unwrap_or_default().to_owned(),
        parts: parser.parts,
        fields: parser.fields,
        style,
    })
}

struct Parser<'a> {
    text: &'a str,
    environment: &'a Environment,
    parts: Vec<Part>,
    fields: Vec<OutputField>,
}

impl<'a> Parser<'a> {
    fn from(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }

    /// Reads the token at a `%` and says where it ends.
    fn token(&mut self, percent: usize) -> Result<usize, OutputProblem> {
        let digits = self.from(percent + 1);
        let digits = digits.get(..digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len());
        let digits = digits.unwrap_or_default();
        let start = percent + 1 + digits.len();
        // *Falco:* whatever is wrong with a token, there is no such filter.
        let unknown = |problem| Problem { unknown: start < self.text.len(), ..problem };
        let (operand, compiled, length) = self.operand(percent, start).map_err(unknown)?;
        let span = percent..start + length;
        if compiled.flags.has(Flags::FILTER_ONLY) {
            return Err(Problem::unknown(format!("field `{operand}` can only be used in conditions"), &span));
        }
        let width = match digits {
            "" => None,
            digits => match digits.parse() {
                Ok(width) if width <= MAX_WIDTH => Some(width),
                _ => return Err(Problem::new(format!("width of more than {MAX_WIDTH} characters"), &span)),
            },
        };
        self.add_fields(&operand)?;
        self.parts.push(Part::Token { extractor: compiled.extractor, width });
        Ok(start + length)
    }

    /// *Falco:* tries the text up to its end, then ever shorter beginnings of it.
    fn operand(&self, percent: usize, start: usize) -> Result<Found, OutputProblem> {
        let rest = self.from(start);
        let name = rest.get(..name_length(rest)).unwrap_or_default();
        if rest.get(name.len()..).is_some_and(|rest| rest.starts_with('(')) && !name.contains('.') {
            return self.call(percent, start);
        }
        let place = |problem: OutputProblem, end: usize| Problem { span: percent..start + end, ..problem };
        let mut first = match self.field_with_argument(name, rest) {
            Ok(found) => return Ok(found),
            Err(problem) => problem.map(|problem| place(problem, name.len())),
        };
        for end in (1..=name.len()).rev() {
            let Some(candidate) = name.get(..end).filter(|candidate| !candidate.ends_with('.')) else { continue };
            match self.field(FieldReference { name: candidate.to_owned(), argument: None, span: Span::default() }) {
                Ok((operand, compiled)) => return Ok((operand, compiled, end)),
                Err(problem) => {
                    let problem = problem.filter(|problem| !problem.unknown);
                    first = first.or_else(|| problem.map(|problem| place(problem, end)));
                }
            }
        }
        Err(first.unwrap_or_else(|| invalid_token(name, percent, rest)))
    }

    /// A field of this name with the brackets after it; nothing in place of an error where there is none.
    fn field_with_argument(&self, name: &str, text: &str) -> Result<Found, Option<OutputProblem>> {
        match parse_operand(text) {
            Ok(Some((Operand::Field(reference), length))) if reference.name == name && length > name.len() => {
                self.field(reference).map(|(operand, compiled)| (operand, compiled, length))
            }
            Ok(_) | Err(_) => Err(None),
        }
    }

    /// A field by its whole reference; nothing in place of an error where the name is none.
    fn field(&self, reference: FieldReference) -> Result<(Operand, CompiledOperand), Option<OutputProblem>> {
        if !may_be_field(&reference) {
            return Err(None);
        }
        let operand = Operand::Field(reference);
        match compile_operand(&operand, self.environment) {
            Ok(compiled) => Ok((operand, compiled)),
            Err(problem) => Err(Some(problem)),
        }
    }

    fn call(&self, percent: usize, start: usize) -> Result<Found, OutputProblem> {
        let rest = self.from(start);
        let at = |span: &Range<usize>| percent.max(start + span.start)..start + span.end.max(1);
        let compiled = |parsed: Parsed| match parsed {
            Ok(Some((operand @ Operand::Call(_), length))) => match compile_operand(&operand, self.environment) {
                Ok(compiled) => Ok((operand, compiled, length)),
                Err(problem) => Err(Problem { span: at(&problem.span), ..problem }),
            },
            Ok(_) => Err(invalid_token(rest.split('(').next().unwrap_or_default(), percent, rest)),
            Err(error) => Err(Problem::new(error.message, &at(&(error.at..error.at + 1)))),
        };
        compiled(parse_operand(rest)).or_else(|_| compiled(parse_operand_without_argument(rest)))
    }

    /// Adds the plain fields of a token: *Falco:* a transformed value is not among the typed fields, its fields are.
    fn add_fields(&mut self, operand: &Operand) -> Result<(), OutputProblem> {
        let mut references = Vec::new();
        operand.for_each_field(&mut |reference| references.push(reference));
        for reference in references {
            let compiled = compile_operand(&Operand::Field(reference.clone()), self.environment)?;
            let source = match compiled.extractor {
                Extractor::Field(Field::Evt(EvtField::Time | EvtField::TimeIso8601), _) => FieldSource::Time,
                extractor @ (Extractor::Field(..) | Extractor::Constant(_) | Extractor::Call(_)) => {
                    FieldSource::Value(extractor)
                }
            };
            self.fields.push(OutputField { name: reference.to_string(), source });
        }
        Ok(())
    }
}

/// The longest text that could be a field's name.
fn name_length(text: &str) -> usize {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    text.bytes().take(MAX_NAME).take_while(belongs).count()
}

fn invalid_token(name: &str, percent: usize, rest: &str) -> OutputProblem {
    let shown = if name.is_empty() { rest.chars().take(1).collect() } else { name.to_owned() };
    let help = if name.is_empty() {
        Some("there is no way to write a literal `%`".to_owned())
    } else {
        did_you_mean(name, Field::all().iter().map(|row| row.name))
    };
    Problem::unknown(format!("invalid formatting token {shown}"), &(percent..percent + 1 + name.len())).with_help(help)
}

impl Template {
    /// Adds a member to the typed fields: the raw value of a field, or a formatted text.
    pub(crate) fn add_field(
        &mut self,
        name: &str,
        format: Option<&str>,
        environment: &Environment,
    ) -> Result<(), OutputProblem> {
        let source = match format {
            Some(format) => FieldSource::Text(Box::new(parse(format, environment, self.style)?)),
            None => match parse(&format!("%{name}"), environment, self.style)?.parts.pop() {
                Some(Part::Token { extractor, .. }) => FieldSource::Value(extractor),
                _ => return Err(invalid_token(name, 0, name)),
            },
        };
        self.fields.retain(|field| field.name != name);
        self.fields.push(OutputField { name: name.to_owned(), source });
        self.fields.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(())
    }
}
