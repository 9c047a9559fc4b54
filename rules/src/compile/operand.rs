// SPDX-License-Identifier: Apache-2.0
//! Operands: field names and transformer calls looked up, their arguments checked, and values taken from events.

use std::{borrow::Cow, ops::Range};

use super::{
    Environment, Problem,
    transform::{Function, Items},
};
use crate::{
    Argument, ArgumentRule, Description, Event, EventType, EvtField, Field, Flags, ParameterType, ProcField, Type,
    Value,
    condition::{
        ast::{Call, CallParameter, FieldReference, Operand, Transformer},
        parser,
    },
    suggestion::did_you_mean,
};

/// How to get a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Extractor {
    Field(Field, Argument),
    /// A static field or a constant inside a call.
    Constant(Box<[u8]>),
    Call(Box<Function>),
}

impl Extractor {
    pub(crate) fn extract<'e>(&'e self, event: &'e dyn Event) -> Option<Value<'e>> {
        match self {
            Self::Field(field, argument) => event.value(*field, argument),
            Self::Constant(text) => Some(Value::Text(Cow::Borrowed(text))),
            Self::Call(function) => function.call(event),
        }
    }
}

/// An operand that passed all checks.
#[derive(Debug, Clone)]
pub(crate) struct CompiledOperand {
    pub(crate) extractor: Extractor,
    pub(crate) value_type: Type,
    pub(crate) flags: Flags,
}

/// Looks up an operand.
pub(crate) fn compile_operand(operand: &Operand, environment: &Environment) -> Result<CompiledOperand, Problem> {
    match operand {
        Operand::Field(field) => compile_field(field, environment),
        Operand::Call(call) => compile_call(call, environment),
    }
}

/// The fields of an operand as written, from the outside in.
pub(crate) fn operand_fields(operand: &Operand) -> Vec<String> {
    let mut fields = Vec::new();
    operand.for_each_field(&mut |field| fields.push(field.to_string()));
    fields
}

impl Field {
    /// Reads a field as conditions and outputs write it, with its argument: `fd.name`, `proc.aname[2]`, `evt.arg.path`.
    /// The type is that of its values, also where the argument decides it.
    pub fn parse(text: &str) -> Option<(&'static Description, Argument, Type)> {
        let (operand, length) = parser::parse_operand(text).ok()??;
        let Operand::Field(reference) = operand else { return None };
        let compiled = compile_field(&reference, &Environment::default()).ok().filter(|_| length == text.len())?;
        match compiled.extractor {
            Extractor::Field(field, argument) => Some((Self::describe(field.name())?, argument, compiled.value_type)),
            Extractor::Constant(_) | Extractor::Call(_) => None,
        }
    }
}

/// Whether a constant reads like a field or a transformer call that somebody forgot to mark; says which.
pub(crate) fn looks_like_operand(text: &str, environment: &Environment) -> Option<&'static str> {
    let text = text.trim();
    let (operand, length) = parser::parse_operand(text).ok()??;
    if length != text.len() {
        return None;
    }
    match operand {
        Operand::Field(field) => is_field(&field, environment).then_some("field"),
        Operand::Call(_) => Some("field transformer"),
    }
}

/// Whether a field exists. Most constants with dots are not fields, so nothing is prepared for a message.
fn is_field(reference: &FieldReference, environment: &Environment) -> bool {
    may_be_field(reference) && compile_field(reference, environment).is_ok()
}

/// Whether the name is in the catalogue, or may be among the static fields.
pub(crate) fn may_be_field(reference: &FieldReference) -> bool {
    reference.name.starts_with("static.") || find_row(&reference.name, reference.argument.as_deref()).is_some()
}

fn compile_field(reference: &FieldReference, environment: &Environment) -> Result<CompiledOperand, Problem> {
    let name = reference.name.as_str();
    if let Some((_, value)) = name
        .strip_prefix("static.")
        .and_then(|key| environment.static_fields.iter().find(|(known, _)| known == key))
        .filter(|_| reference.argument.is_none())
    {
        let extractor = Extractor::Constant(value.as_bytes().into());
        return Ok(CompiledOperand { extractor, value_type: Type::Text, flags: Flags::NONE });
    }
    let span = &reference.span.0;
    let (row, argument) = find_row(name, reference.argument.as_deref()).ok_or_else(|| unknown_field(reference))?;
    let argument = check_argument(row, argument, span)?;
    let value_type = if row.value_type == Type::Dynamic { dynamic_type(&argument) } else { row.value_type };
    Ok(CompiledOperand { extractor: Extractor::Field(row.field, argument), value_type, flags: row.flags })
}

fn unknown_field(reference: &FieldReference) -> Problem {
    let help = did_you_mean(&reference.name, Field::all().iter().map(|row| row.name));
    let message = format!("filter_check called with nonexistent field {reference}");
    Problem::unknown(message, &reference.span.0).with_help(help)
}

/// The row of a name and its argument, which may stand in brackets or after a dot.
fn find_row<'a>(name: &'a str, bracket: Option<&'a str>) -> Option<(&'static Description, Option<&'a str>)> {
    if let Some(row) = Field::describe(name) {
        // *Falco:* `src` and `dst` stand after a dot.
        let dotted = row.field == Field::Evt(EvtField::Abspath);
        return (!dotted || bracket.is_none()).then_some((row, bracket));
    }
    let (_, row, argument) = name.match_indices('.').rev().find_map(|(dot, _)| {
        let row = Field::describe(name.get(..dot)?)?;
        Some((dot, row, name.get(dot + 1..)?))
    })?;
    let dotted = matches!(row.argument, ArgumentRule::Required | ArgumentRule::Optional);
    (dotted && bracket.is_none()).then_some((row, Some(argument)))
}

/// Whether the argument is what the field takes.
fn check_argument(row: &Description, argument: Option<&str>, span: &Range<usize>) -> Result<Argument, Problem> {
    let Some(text) = argument else {
        return match row.argument {
            ArgumentRule::Unused | ArgumentRule::Optional => Ok(Argument::Unused),
            // *Falco:* the argument is listed as needed, and is not.
            ArgumentRule::Required if row.field == Field::Evt(EvtField::Abspath) => Ok(Argument::Unused),
            ArgumentRule::Required | ArgumentRule::Key | ArgumentRule::IndexOrKey => {
                Err(Problem::new(format!("field `{}` needs an argument in brackets", row.name), span))
            }
        };
    };
    let parsed = match text.parse() {
        Ok(index) if text.bytes().all(|byte| byte.is_ascii_digit()) => Argument::Index(index),
        _ => Argument::Key(text.into()),
    };
    match (row.argument, row.field, &parsed) {
        (ArgumentRule::Unused, ..) => Err(Problem::new(format!("field `{}` takes no argument", row.name), span)),
        (_, Field::Evt(EvtField::Arg | EvtField::Rawarg), Argument::Key(key)) if parameter_type(key).is_none() => {
            let help = did_you_mean(key, parameters().map(|(name, _)| name));
            let message = format!("filter_check called with nonexistent field {}.{key}", row.name);
            Err(Problem::unknown(message, span).with_help(help))
        }
        (_, Field::Evt(EvtField::Abspath), _) if !matches!(text, "src" | "dst") => {
            Err(Problem::unknown(format!("filter_check called with nonexistent field {}.{text}", row.name), span))
        }
        (_, Field::Evt(EvtField::TypeIs), _) if EventType::from_name(text).is_none() => {
            Err(unknown_event_type(text, span))
        }
        (_, Field::Evt(EvtField::Around), _) if text.parse::<u64>().is_err() => {
            Err(Problem::new("the argument of field `evt.around` must be a time in nanoseconds", span))
        }
        (ArgumentRule::Optional, field, Argument::Key(_)) if !takes_name(field) => {
            Err(Problem::new(format!("the argument of field `{}` must be a number", row.name), span))
        }
        (ArgumentRule::Key, _, Argument::Index(_)) => Ok(Argument::Key(text.into())),
        _ => Ok(parsed),
    }
}

/// The environment is looked up by name, everything else of a process by position.
fn takes_name(field: Field) -> bool {
    matches!(field, Field::Proc(ProcField::Env | ProcField::Aenv))
}

pub(super) fn unknown_event_type(name: &str, span: &Range<usize>) -> Problem {
    let help = did_you_mean(name, EventType::all().map(EventType::name));
    Problem::unknown(format!("unknown event type {name}"), span).with_help(help)
}

fn parameters() -> impl Iterator<Item = (&'static str, ParameterType)> {
    EventType::all()
        .flat_map(|event| event.description().parameters.iter())
        .map(|parameter| (parameter.name, parameter.value_type))
}

/// *Falco:* where events disagree about a parameter's type, the first one of the table wins.
fn parameter_type(name: &str) -> Option<ParameterType> {
    parameters().find(|(known, _)| *known == name).map(|(_, value_type)| value_type)
}

fn dynamic_type(argument: &Argument) -> Type {
    let Argument::Key(name) = argument else { return Type::Text };
    match parameter_type(name) {
        Some(ParameterType::Int16) => Type::Int16,
        Some(ParameterType::Int32) => Type::Int32,
        Some(ParameterType::Int64 | ParameterType::Errno | ParameterType::Fd | ParameterType::Pid) => Type::Int64,
        Some(
            ParameterType::Uint8
            | ParameterType::Uint16
            | ParameterType::Uint32
            | ParameterType::Flags8
            | ParameterType::Flags16
            | ParameterType::Flags32
            | ParameterType::Enumflags8
            | ParameterType::Enumflags16
            | ParameterType::Enumflags32
            | ParameterType::Mode
            | ParameterType::Uid
            | ParameterType::Gid
            | ParameterType::Sigtype,
        ) => Type::Uint32,
        Some(ParameterType::Uint64 | ParameterType::Syscallid) => Type::Uint64,
        Some(ParameterType::Reltime) => Type::RelativeTime,
        Some(ParameterType::Abstime) => Type::AbsoluteTime,
        Some(ParameterType::Charbuf | ParameterType::Fspath | ParameterType::Fsrelpath) | None => Type::Text,
        Some(
            ParameterType::Bytebuf
            | ParameterType::Dynamic
            | ParameterType::Fdlist
            | ParameterType::Sigset
            | ParameterType::Sockaddr
            | ParameterType::Socktuple,
        ) => Type::Bytes,
    }
}

fn compile_call(call: &Call, environment: &Environment) -> Result<CompiledOperand, Problem> {
    let span = &call.span.0;
    let transformer = call.transformer;
    if call.argument.is_some() && transformer != Transformer::Getopt {
        return Err(Problem::new(format!("transformer '{transformer}' does not support field arguments"), span));
    }
    let compiler = CallCompiler { call, environment };
    let (function, value_type) = match transformer {
        Transformer::Val => return compiler.val(),
        Transformer::Join => compiler.join()?,
        Transformer::Concat => compiler.concat()?,
        Transformer::Getopt => compiler.getopt()?,
        Transformer::Tolower => compiler.one(&[Type::Text, Type::TextList], Function::Tolower)?,
        Transformer::Toupper => compiler.one(&[Type::Text, Type::TextList], Function::Toupper)?,
        Transformer::B64 => compiler.one(&[Type::Text, Type::Bytes, Type::TextList], Function::B64)?,
        Transformer::Basename => compiler.one(&[Type::Text], Function::Basename)?,
        Transformer::Len => {
            let (function, _) = compiler.one(&[Type::Text, Type::Bytes, Type::TextList], Function::Len)?;
            (function, Type::Uint64)
        }
    };
    Ok(CompiledOperand { extractor: Extractor::Call(Box::new(function)), value_type, flags: Flags::NONE })
}

struct CallCompiler<'a> {
    call: &'a Call,
    environment: &'a Environment,
}

type Compiled = Result<(Function, Type), Problem>;

impl CallCompiler<'_> {
    fn error(&self, message: &str) -> Problem {
        Problem::new(format!("transformer '{}' {message}", self.call.transformer), &self.call.span.0)
    }

    /// `val(field)`: the field as it is.
    fn val(&self) -> Result<CompiledOperand, Problem> {
        let [CallParameter::Operand(operand)] = self.call.parameters.as_slice() else {
            return Err(self.error("takes exactly one field"));
        };
        let compiled = compile_operand(operand, self.environment)?;
        if compiled.flags.has(Flags::NO_RHS) {
            return Err(self.error("cannot be used with this field"));
        }
        Ok(compiled)
    }

    /// A transformer of one operand whose type it keeps.
    fn one(&self, types: &[Type], function: fn(Extractor) -> Function) -> Compiled {
        let [parameter] = self.call.parameters.as_slice() else { return Err(self.error("takes exactly one argument")) };
        let (extractor, value_type) = self.scalar_or_list(parameter)?;
        if !types.contains(&value_type) {
            return Err(self.error("does not support the type of its argument"));
        }
        Ok((function(extractor), value_type))
    }

    fn join(&self) -> Compiled {
        let [separator, items] = self.call.parameters.as_slice() else {
            return Err(self.error("takes exactly two arguments"));
        };
        let separator = self.text(separator)?;
        Ok((Function::Join { separator, items: self.list(items)? }, Type::Text))
    }

    fn concat(&self) -> Compiled {
        if self.call.parameters.len() < 2 {
            return Err(self.error("takes at least two arguments"));
        }
        let parts: Result<_, _> = self.call.parameters.iter().map(|part| self.scalar(part)).collect();
        Ok((Function::Concat(parts?), Type::Text))
    }

    fn getopt(&self) -> Compiled {
        let [arguments, options] = self.call.parameters.as_slice() else {
            return Err(self.error("takes exactly two arguments"));
        };
        let selector = match self.call.argument.as_deref().map(str::as_bytes) {
            None => None,
            Some([letter]) => Some(*letter),
            Some(_) => return Err(self.error("takes one letter in brackets")),
        };
        let (arguments, options) = (self.list(arguments)?, self.text(options)?);
        let value_type = if selector.is_some() { Type::Text } else { Type::TextList };
        Ok((Function::Getopt { arguments, options, selector }, value_type))
    }

    fn text(&self, parameter: &CallParameter) -> Result<Extractor, Problem> {
        let (extractor, value_type) = self.scalar_or_list(parameter)?;
        if value_type == Type::Text { Ok(extractor) } else { Err(self.error("needs a string here")) }
    }

    fn scalar(&self, parameter: &CallParameter) -> Result<Extractor, Problem> {
        let (extractor, value_type) = self.scalar_or_list(parameter)?;
        if value_type == Type::TextList { Err(self.error("takes no list here")) } else { Ok(extractor) }
    }

    fn list(&self, parameter: &CallParameter) -> Result<Items, Problem> {
        if let CallParameter::List(items, _) = parameter {
            let items: Result<_, _> = items.iter().map(|item| self.scalar(item)).collect();
            return Ok(Items::Written(items?));
        }
        let (extractor, value_type) = self.scalar_or_list(parameter)?;
        // *Falco:* `proc.args` is text for rules and still the list that `getopt` scans.
        let splits = matches!(extractor, Extractor::Field(Field::Proc(ProcField::Args), _));
        if value_type == Type::TextList || splits {
            Ok(Items::Field(extractor))
        } else {
            Err(self.error("needs a list here"))
        }
    }

    fn scalar_or_list(&self, parameter: &CallParameter) -> Result<(Extractor, Type), Problem> {
        match parameter {
            CallParameter::Text(text, _) => Ok((Extractor::Constant(text.as_bytes().into()), Type::Text)),
            CallParameter::List(..) => Err(self.error("takes no list here")),
            CallParameter::Operand(operand) => {
                let compiled = compile_operand(operand, self.environment)?;
                if compiled.flags.has(Flags::NO_TRANSFORMER) {
                    return Err(self.error("cannot be used with this field"));
                }
                Ok((compiled.extractor, compiled.value_type))
            }
        }
    }
}
