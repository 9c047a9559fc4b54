// SPDX-License-Identifier: Apache-2.0
//! Output text to a template: `%` introduces a token, everything else is literal.
//!
//! ```text
//! token = "%" [ width ] ( field [ "[" argument "]" ] | transformer "(" .. ")" )
//! ```
//!
//! A field is the longest known name that the text after `%` begins with; there is no way to write a literal `%`.

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
        parser::parse_operand,
    },
    suggestion::did_you_mean,
};

/// Columns of a token; a wider one is a slip of the keyboard.
const MAX_WIDTH: usize = 4096;

/// Bytes of a field's name with an argument after a dot; every shorter beginning is tried.
const MAX_NAME: usize = 256;

/// Something wrong with an output.
type OutputProblem = Problem;

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
        let (operand, compiled, length) = self.operand(percent, start)?;
        let span = percent..start + length;
        if compiled.flags.has(Flags::FILTER_ONLY) {
            return Err(Problem::new(format!("field `{operand}` can only be used in conditions"), &span));
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

    fn operand(&self, percent: usize, start: usize) -> Result<(Operand, CompiledOperand, usize), OutputProblem> {
        let rest = self.from(start);
        let name = rest.get(..name_length(rest)).unwrap_or_default();
        if rest.get(name.len()..).is_some_and(|rest| rest.starts_with('(')) && !name.contains('.') {
            return self.call(percent, start);
        }
        for end in (1..=name.len()).rev() {
            let Some(candidate) = name.get(..end).filter(|candidate| !candidate.ends_with('.')) else { continue };
            let bracket = if end == name.len() { rest.get(end..) } else { None };
            if let Some(found) = self.field(candidate, bracket) {
                return found
                    .map(|(reference, compiled, length)| (Operand::Field(reference), compiled, length))
                    .map_err(|problem| Problem { span: percent..start + end, ..problem });
            }
        }
        Err(invalid_token(name, percent, rest))
    }

    /// A field of exactly this name, or nothing if there is none; the brackets after it belong to it.
    fn field(
        &self,
        name: &str,
        after: Option<&str>,
    ) -> Option<Result<(FieldReference, CompiledOperand, usize), OutputProblem>> {
        let bracket = after.filter(|after| after.starts_with('['));
        let mut reference = FieldReference { name: name.to_owned(), argument: None, span: Span::default() };
        let mut length = name.len();
        if let Some(bracket) = bracket {
            let whole = format!("{name}{}", bracket.get(..bracket.find(']').map_or(bracket.len(), |end| end + 1))?);
            match parse_operand(&whole) {
                Ok(Some((Operand::Field(found), end))) => (reference, length) = (found, end),
                Ok(_) => return None,
                Err(error) => return Some(Err(Problem::new(error.message, &(0..0)))),
            }
        }
        if !may_be_field(&reference) {
            return None;
        }
        match compile_operand(&Operand::Field(reference.clone()), self.environment) {
            Ok(compiled) => Some(Ok((reference, compiled, length))),
            Err(problem) if problem.unknown => None,
            Err(problem) => Some(Err(problem)),
        }
    }

    fn call(&self, percent: usize, start: usize) -> Result<(Operand, CompiledOperand, usize), OutputProblem> {
        let rest = self.from(start);
        let at = |span: &Range<usize>| percent.max(start + span.start)..start + span.end.max(1);
        match parse_operand(rest) {
            Ok(Some((operand @ Operand::Call(_), length))) => match compile_operand(&operand, self.environment) {
                Ok(compiled) => Ok((operand, compiled, length)),
                Err(problem) => Err(Problem { span: at(&problem.span), ..problem }),
            },
            Ok(_) => Err(invalid_token(rest.split('(').next().unwrap_or_default(), percent, rest)),
            Err(error) => Err(Problem::new(error.message, &at(&(error.at..error.at + 1)))),
        }
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
