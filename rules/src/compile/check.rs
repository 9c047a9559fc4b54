// SPDX-License-Identifier: Apache-2.0
//! One check: whether its operator fits its field and constants, and the comparison that comes of it.

use std::cmp::Ordering;

use memchr::memmem::Finder;

use super::{
    Environment, Problem,
    compare::{Comparison, Matcher, Orderings, Test, TextMatcher, compare_values},
    constant,
    glob::Glob,
    network,
    operand::{CompiledOperand, Extractor, compile_operand, looks_like_operand, unknown_event_type},
    pattern::{PathPrefixes, TextSet, WholeRegex, simpler_operator},
};
use crate::{
    Event, EventType, EvtField, FdField, Field, Flags, Type, Value,
    condition::ast::{self, Check, Literal, Operator},
};

/// A check that can be evaluated.
#[derive(Debug, Clone)]
pub(crate) struct CompiledCheck {
    pub(crate) left: Extractor,
    pub(crate) right: Right,
}

impl CompiledCheck {
    /// Whether no value satisfies it.
    pub(crate) fn never_holds(&self) -> bool {
        matches!(self.right, Right::Constants(Comparison::Never))
    }

    /// Memory of the regular expressions in it.
    pub(crate) fn regex_bytes(&self) -> usize {
        let of_test = |test: &Test| {
            if let Matcher::Text(TextMatcher::Regex(regex)) = &test.matcher { regex.bytes() } else { 0 }
        };
        match &self.right {
            Right::Constants(Comparison::One(test)) => of_test(test),
            Right::Constants(Comparison::Several(_, tests)) => tests.iter().map(of_test).sum(),
            Right::Constants(Comparison::Exists | Comparison::Never) | Right::Operand(..) => 0,
        }
    }
}

/// What the left side is compared with.
#[derive(Debug, Clone)]
pub(crate) enum Right {
    Constants(Comparison),
    /// `val(field)` or a transformer.
    Operand(Operator, Extractor),
}

impl CompiledCheck {
    /// Whether an event satisfies the check.
    pub(crate) fn holds(&self, event: &dyn Event) -> bool {
        let left = self.left.extract(event);
        match &self.right {
            Right::Constants(comparison) => comparison.holds(left.as_ref()),
            Right::Operand(operator, right) => {
                let right = right.extract(event);
                left.zip(right).is_some_and(|(left, right)| Right::operand_holds(*operator, &left, &right))
            }
        }
    }
}

impl Right {
    /// Compares with the value of another operand.
    pub(crate) fn operand_holds(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> bool {
        if let (Value::List(left), Value::List(right)) = (left, right) {
            let found = |value: &Value<'_>| right.contains(value);
            return if operator == Operator::Intersects { left.iter().any(found) } else { left.iter().all(found) };
        }
        if let Some(orderings) = Orderings::of(operator) {
            return compare_values(left, right).is_some_and(|ordering| orderings.holds(ordering));
        }
        let (Value::Text(left_text) | Value::Bytes(left_text), Value::Text(right_text) | Value::Bytes(right_text)) =
            (left, right)
        else {
            return compare_values(left, right) == Some(Ordering::Equal);
        };
        text_holds(operator, left_text, right_text)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other operators of text compare for equality")]
fn text_holds(operator: Operator, left_text: &[u8], right_text: &[u8]) -> bool {
    match operator {
        Operator::Contains => Finder::new(right_text).find(left_text).is_some(),
        Operator::Icontains => {
            Finder::new(&right_text.to_ascii_lowercase()).find(&left_text.to_ascii_lowercase()).is_some()
        }
        Operator::Startswith => left_text.starts_with(right_text),
        Operator::Endswith => left_text.ends_with(right_text),
        Operator::Glob => Glob::new(right_text, false).matches(left_text),
        Operator::Iglob => Glob::new(right_text, true).matches(left_text),
        _ => left_text == right_text,
    }
}

/// A warning about a constant.
pub(crate) type Warning = Problem;

/// Compiles a check; suspicious constants are added to `warnings`.
pub(crate) fn compile_check(
    check: &Check,
    environment: &Environment,
    warnings: &mut Vec<Warning>,
) -> Result<CompiledCheck, Problem> {
    compile(check, environment, warnings).map_err(|problem| Problem { anchor: check.span.0.start, ..problem })
}

fn compile(check: &Check, environment: &Environment, warnings: &mut Vec<Warning>) -> Result<CompiledCheck, Problem> {
    let left = compile_operand(&check.left, environment)?;
    let compiler = CheckCompiler { check, left: &left, environment };
    compiler.check_left()?;
    let right = match &check.right {
        ast::Right::Nothing => Right::Constants(Comparison::Exists),
        ast::Right::Operand(operand) => compiler.operand(operand)?,
        ast::Right::Text(literal) => compiler.constants(std::slice::from_ref(literal), warnings)?,
        ast::Right::List(literals, _) => compiler.constants(literals, warnings)?,
    };
    Ok(CompiledCheck { left: left.extractor, right })
}

struct CheckCompiler<'a> {
    check: &'a Check,
    left: &'a CompiledOperand,
    environment: &'a Environment,
}

impl CheckCompiler<'_> {
    fn error(&self, message: impl Into<String>) -> Problem {
        Problem::new(message, &self.check.span.0)
    }

    fn check_left(&self) -> Result<(), Problem> {
        let operator = self.check.operator;
        if self.left.flags.has(Flags::PRINT_ONLY) {
            return Err(self.error(format!("field `{}` can only be printed", self.check.left)));
        }
        if self.is_around() && !matches!(operator, Operator::Equal | Operator::EqualEqual) {
            return Err(self.error("evt.around supports only '=' comparison operator"));
        }
        if !allows(self.left.value_type, operator) {
            let message = format!(
                "operator '{operator}' is not supported for '{}', which is {}",
                self.check.left,
                describe(self.left.value_type)
            );
            return Err(self.error(message));
        }
        let by_type =
            matches!(&self.check.left, ast::Operand::Call(_)) || matches!(self.check.right, ast::Right::Operand(_));
        if by_type && mentions_event_type(&self.check.left) {
            return Err(self.error("'evt.type' cannot be transformed or compared with another field"));
        }
        Ok(())
    }

    /// *Falco:* what `evt.around` is compared with is the distance from its argument that an event may have.
    fn is_around(&self) -> bool {
        matches!(self.left.extractor, Extractor::Field(Field::Evt(EvtField::Around), _))
    }

    fn operand(&self, operand: &ast::Operand) -> Result<Right, Problem> {
        let operator = self.check.operator;
        let right = compile_operand(operand, self.environment)?;
        if self.left.flags.has(Flags::NO_RHS) || right.flags.has(Flags::NO_RHS) {
            return Err(self.error(format!("'{}' cannot be compared with another field", self.check.left)));
        }
        if matches!(operator, Operator::Regex | Operator::Pmatch) || self.left.value_type == Type::Net {
            return Err(self.error(format!("operator '{operator}' takes no field on its right side")));
        }
        if right.value_type != self.left.value_type {
            let (left, right) = (describe(self.left.value_type), describe(right.value_type));
            return Err(self.error(format!("'{}' is {left} and cannot be compared with {right}", self.check.left)));
        }
        Ok(Right::Operand(operator, right.extractor))
    }

    fn constants(&self, literals: &[Literal], warnings: &mut Vec<Warning>) -> Result<Right, Problem> {
        self.check_event_types(literals)?;
        for literal in literals {
            self.warn(literal, warnings);
        }
        let comparison = match self.check.modifier {
            Some(modifier) => {
                let tests: Result<_, _> =
                    literals.iter().map(|literal| self.test(std::slice::from_ref(literal))).collect();
                Comparison::Several(modifier, tests?)
            }
            None if literals.is_empty() && self.left.value_type != Type::TextList => Comparison::Never,
            None if self.left.value_type == Type::Bool && self.check.operator.is_list() => self.booleans(literals)?,
            None => Comparison::One(self.test(literals)?),
        };
        Ok(Right::Constants(comparison))
    }

    /// *Falco:* constants that are compared with the event's type must name one.
    fn check_event_types(&self, literals: &[Literal]) -> Result<(), Problem> {
        let by_name = matches!(
            self.check.operator,
            Operator::Equal | Operator::EqualEqual | Operator::NotEqual | Operator::In | Operator::Intersects
        );
        let is_type =
            matches!(self.left.extractor, Extractor::Field(Field::Evt(EvtField::Type | EvtField::SyscallType), _));
        match literals.iter().find(|literal| EventType::from_name(&literal.text).is_none()) {
            Some(unknown) if by_name && is_type => Err(unknown_event_type(&unknown.text, constant::span(unknown))),
            _ => Ok(()),
        }
    }

    fn warn(&self, literal: &Literal, warnings: &mut Vec<Warning>) {
        let text = &literal.text;
        if let Some(kind) = looks_like_operand(text, self.environment) {
            let message = format!("'{text}' may be a valid {kind} misused as a const string value");
            let help = format!("write val({}) to compare with the field", text.trim());
            let help = (kind == "field").then_some(help);
            warnings.push(Problem::new(message, constant::span(literal)).with_help(help));
        }
        if self.check.operator == Operator::Regex
            && let Some(simpler) = simpler_operator(text)
        {
            let message = format!("regex '{text}' can be replaced by the faster operator '{simpler}'");
            warnings.push(Problem::new(message, constant::span(literal)));
        }
    }

    fn test(&self, literals: &[Literal]) -> Result<Test, Problem> {
        use FdField as F;
        let (both_ends, names) = match self.left.extractor {
            Extractor::Field(Field::Fd(F::Ip | F::Port | F::Net | F::Proto), _) => (true, false),
            Extractor::Field(Field::Fd(F::CipName | F::SipName | F::LipName | F::RipName), _) => (false, true),
            Extractor::Field(..) | Extractor::Constant(_) | Extractor::Call(_) => (false, false),
        };
        let all_values = (both_ends || names) && self.check.operator == Operator::NotEqual;
        Ok(Test { matcher: self.matcher(literals)?, all_values })
    }

    fn matcher(&self, literals: &[Literal]) -> Result<Matcher, Problem> {
        let operator = self.check.operator;
        if self.left.value_type == Type::TextList {
            let set = TextSet::new(each(literals, constant::text)?);
            return Ok(if operator == Operator::In { Matcher::Subset(set) } else { Matcher::Intersects(set) });
        }
        if operator == Operator::Pmatch {
            let prefixes = each(literals, constant::text)?;
            let prefixes = PathPrefixes::new(prefixes.iter().map(|prefix| &**prefix));
            return Ok(Matcher::Text(TextMatcher::Below(Box::new(prefixes))));
        }
        if operator.is_list() {
            return self.set(literals);
        }
        match literals {
            [literal] => self.single(literal),
            _ => Err(self.error(format!("operator '{operator}' takes one value"))),
        }
    }

    /// `in` and `intersects` of a scalar: one of the constants.
    fn set(&self, literals: &[Literal]) -> Result<Matcher, Problem> {
        let value_type = self.left.value_type;
        Ok(match value_type {
            Type::Text | Type::Bytes | Type::TextList | Type::Dynamic => {
                Matcher::Text(TextMatcher::OneOf(TextSet::new(each(literals, constant::text)?)))
            }
            Type::Bool => Matcher::Bool { expected: each(literals, constant::boolean)?.contains(&true) },
            Type::Double => Matcher::Doubles(each(literals, constant::double)?.into()),
            Type::Ip => Matcher::Addresses(each(literals, address)?.into()),
            Type::Net => Matcher::Networks(each(literals, net)?.into()),
            Type::Port => Matcher::Numbers(each(literals, port)?.into()),
            Type::Int16
            | Type::Int32
            | Type::Int64
            | Type::Uint32
            | Type::Uint64
            | Type::RelativeTime
            | Type::AbsoluteTime => {
                Matcher::Numbers(each(literals, |literal| constant::integer(literal, value_type))?.into())
            }
        })
    }

    /// `in` and `intersects` of a boolean: both values are any value at all, as long as there is one.
    fn booleans(&self, literals: &[Literal]) -> Result<Comparison, Problem> {
        let values = each(literals, constant::boolean)?;
        let both = values.contains(&true) && values.contains(&false);
        if both { Ok(Comparison::Exists) } else { Ok(Comparison::One(self.test(literals)?)) }
    }

    fn single(&self, literal: &Literal) -> Result<Matcher, Problem> {
        let (operator, value_type) = (self.check.operator, self.left.value_type);
        let equal = operator != Operator::NotEqual;
        let ordered = if self.is_around() { Operator::LessOrEqual } else { operator };
        let orderings = || Orderings::of(ordered).ok_or_else(|| self.error("this operator has no order"));
        Ok(match value_type {
            Type::Text | Type::Bytes | Type::TextList | Type::Dynamic => Matcher::Text(self.text(literal)?),
            Type::Bool => Matcher::Bool { expected: constant::boolean(literal)? == equal },
            Type::Double => Matcher::Double(orderings()?, constant::double(literal)?),
            Type::Ip => Matcher::Address { expected: address(literal)?, equal },
            Type::Net => Matcher::Network { network: net(literal)?, inside: equal },
            Type::Port => Matcher::Number(orderings()?, port(literal)?),
            Type::Int16
            | Type::Int32
            | Type::Int64
            | Type::Uint32
            | Type::Uint64
            | Type::RelativeTime
            | Type::AbsoluteTime => Matcher::Number(orderings()?, constant::integer(literal, value_type)?),
        })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the operators left over compare for order or equality")]
    fn text(&self, literal: &Literal) -> Result<TextMatcher, Problem> {
        let operator = self.check.operator;
        if matches!(operator, Operator::Bcontains | Operator::Bstartswith) {
            let bytes = constant::hexadecimal(literal)?;
            return Ok(if operator == Operator::Bcontains {
                TextMatcher::Contains(Box::new(Finder::new(&bytes).into_owned()))
            } else {
                TextMatcher::StartsWith(bytes)
            });
        }
        let text = constant::text(literal)?;
        Ok(match operator {
            Operator::NotEqual => TextMatcher::NotEqual(text),
            Operator::Contains => TextMatcher::Contains(Box::new(Finder::new(&text).into_owned())),
            Operator::Icontains => TextMatcher::ContainsIgnoringCase(text.to_ascii_lowercase().into()),
            Operator::Startswith => TextMatcher::StartsWith(text),
            Operator::Endswith => TextMatcher::EndsWith(text),
            Operator::Glob => TextMatcher::Glob(Glob::new(&text, false)),
            Operator::Iglob => TextMatcher::Glob(Glob::new(&text, true)),
            Operator::Regex => TextMatcher::Regex(Box::new(regex(literal)?)),
            Operator::Equal | Operator::EqualEqual => TextMatcher::Equal(text),
            _ => match Orderings::of(operator) {
                Some(orderings) => TextMatcher::Ordered(orderings, text),
                None => TextMatcher::Equal(text),
            },
        })
    }
}

fn regex(literal: &Literal) -> Result<WholeRegex, Problem> {
    WholeRegex::new(&literal.text).map_err(|error| {
        let message = format!("'{}' is not a valid regular expression: {error}", literal.text);
        Problem::new(message, constant::span(literal)).with_help(error.help())
    })
}

fn each<T>(literals: &[Literal], read: impl Fn(&Literal) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
    literals.iter().map(read).collect()
}

fn address(literal: &Literal) -> Result<std::net::IpAddr, Problem> {
    network::address(&literal.text).ok_or_else(|| constant::invalid(literal, "an IPv4 or IPv6 address"))
}

fn net(literal: &Literal) -> Result<ipnet::IpNet, Problem> {
    network::network(&literal.text).ok_or_else(|| constant::invalid(literal, "a network such as 10.0.0.0/8"))
}

fn port(literal: &Literal) -> Result<i128, Problem> {
    network::port(&literal.text)
        .map(i128::from)
        .ok_or_else(|| constant::invalid(literal, "a port number or service name"))
}

fn mentions_event_type(operand: &ast::Operand) -> bool {
    let mut found = false;
    operand.for_each_field(&mut |field| found |= field.name == "evt.type");
    found
}

/// Which operators a type has.
fn allows(value_type: Type, operator: Operator) -> bool {
    use Operator as O;
    let common = matches!(operator, O::Exists | O::In | O::Intersects);
    let equality = matches!(operator, O::Equal | O::EqualEqual | O::NotEqual);
    match value_type {
        Type::TextList => common,
        Type::Text => !matches!(operator, O::Bcontains | O::Bstartswith),
        Type::Bytes | Type::Dynamic => {
            let parts = matches!(operator, O::Contains | O::Bcontains | O::Startswith | O::Bstartswith | O::Endswith);
            common || equality || parts
        }
        Type::Bool | Type::Ip | Type::Net => common || equality,
        Type::Int16 | Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Double | Type::Port => {
            common || equality || operator.is_numeric()
        }
        Type::RelativeTime | Type::AbsoluteTime => common || equality || operator.is_numeric(),
    }
}

fn describe(value_type: Type) -> &'static str {
    match value_type {
        Type::Text => "a string",
        Type::Bytes | Type::Dynamic => "a byte buffer",
        Type::TextList => "a list",
        Type::Bool => "a boolean",
        Type::Ip => "an address",
        Type::Net => "a network",
        Type::Port => "a port",
        Type::RelativeTime | Type::AbsoluteTime => "a time",
        Type::Double | Type::Int16 | Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 => "a number",
    }
}
