// SPDX-License-Identifier: Apache-2.0
//! Condition text to syntax tree, by recursive descent with a limit on nesting.
//!
//! ```text
//! or         = and { "or" ( blank and | "(" embedded ) }
//! and        = not { "and" ( blank not | "(" embedded ) }
//! not        = { "not" blank } ( "not(" embedded | check )
//! check      = "(" embedded | ( field | transformer ) tail | macro
//! embedded   = or ")"
//! tail       = "exists" | numeric-op number | string-op [ modifier list ] value | list-op list
//! ```
//!
//! Tokens are tried in Falco's order, so that the same odd texts are accepted and rejected.

use super::{
    ast::{
        Call, CallParameter, Check, Expression, FieldReference, Literal, Modifier, Operand, Operator, Right, Span,
        Transformer,
    },
    lexer::{Lexer, QuoteError, is_blank},
};
use crate::suggestion::did_you_mean;

/// Levels of parentheses and nested calls; stock rules need fewer than 10, and each level costs four frames of stack.
pub(crate) const MAX_NESTING: usize = 100;

/// Why a text is no condition, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// Byte offset in the text.
    pub(crate) at: usize,
}

/// Parses a whole condition.
pub(crate) fn parse(text: &str) -> Result<Expression, SyntaxError> {
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    if text.trim_matches(is_blank).is_empty() {
        return Err(parser.error("filter input string is empty"));
    }
    let expression = parser.or()?;
    if !parser.lexer.is_at_end() {
        let last = parser.lexer.last_token();
        let message = format!("unexpected token after '{last}', expecting 'or', 'and'");
        return Err(parser.expected(message, ["or", "and"]));
    }
    Ok(expression)
}

/// Parses an operand at the start of a text and says how long it is; for outputs and the fields of exceptions.
pub(crate) fn parse_operand(text: &str) -> Result<Option<(Operand, usize)>, SyntaxError> {
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    Ok(parser.operand(false)?.map(|operand| (operand, parser.lexer.at())))
}

/// The same without the brackets after a field or a call.
pub(crate) fn parse_operand_without_argument(text: &str) -> Result<Option<(Operand, usize)>, SyntaxError> {
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    Ok(parser.bare_operand(false)?.map(|operand| (operand, parser.lexer.at())))
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: usize,
}

type Parsed<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError { message: message.into(), help: None, at: self.lexer.at() }
    }

    /// An error where one of some words is expected, with the one that was probably meant.
    fn expected(&self, message: impl Into<String>, words: impl IntoIterator<Item = &'static str>) -> SyntaxError {
        let found = self.lexer.rest().split(|c: char| is_blank(c) || matches!(c, '(' | ')')).next().unwrap_or_default();
        SyntaxError { help: did_you_mean(found, words), ..self.error(message) }
    }

    fn span(&self, start: usize) -> Span {
        Span(start..self.lexer.at())
    }

    /// Runs a nested production one level deeper.
    fn nested<T>(&mut self, production: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_NESTING {
            return Err(self.error(format!("nested more than {MAX_NESTING} levels deep")));
        }
        self.depth += 1;
        let result = production(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Parsed<Expression> {
        self.chain("or", Self::and, Expression::Or)
    }

    fn and(&mut self) -> Parsed<Expression> {
        self.chain("and", Self::not, Expression::And)
    }

    fn chain(
        &mut self,
        keyword: &str,
        operand: fn(&mut Self) -> Parsed<Expression>,
        join: fn(Vec<Expression>, Span) -> Expression,
    ) -> Parsed<Expression> {
        self.lexer.blank();
        let start = self.lexer.at();
        let first = operand(self)?;
        let mut end = self.lexer.at();
        self.lexer.blank();
        let mut children = vec![first];
        while self.lexer.take(keyword) {
            if self.lexer.blank() {
                children.push(operand(self)?);
            } else if self.lexer.take("(") {
                children.push(self.embedded()?);
            } else {
                return Err(self.error(format!("expected blank or '(' after '{keyword}'")));
            }
            end = self.lexer.at();
            self.lexer.blank();
        }
        match children.pop() {
            Some(only) if children.is_empty() => Ok(only),
            last => {
                children.extend(last);
                Ok(join(children, Span(start..end)))
            }
        }
    }

    fn not(&mut self) -> Parsed<Expression> {
        self.lexer.blank();
        let start = self.lexer.at();
        let mut negated = false;
        let child = loop {
            if self.lexer.take_not() {
                negated = !negated;
            } else if self.lexer.take("not(") {
                negated = !negated;
                break self.embedded()?;
            } else {
                break self.check()?;
            }
        };
        Ok(if negated { Expression::Not(Box::new(child), self.span(start)) } else { child })
    }

    /// What follows an opening parenthesis.
    fn embedded(&mut self) -> Parsed<Expression> {
        let expression = self.nested(Self::or)?;
        self.lexer.blank();
        if self.lexer.take(")") { Ok(expression) } else { Err(self.error("expected a ')' token")) }
    }

    fn check(&mut self) -> Parsed<Expression> {
        self.lexer.blank();
        let start = self.lexer.at();
        if self.lexer.take("(") {
            return self.embedded();
        }
        if let Some(left) = self.operand(false)? {
            return self.tail(left, start).map(Expression::Check);
        }
        match self.lexer.identifier() {
            Some(name) => Ok(Expression::Name(name.to_owned(), self.span(start))),
            None => Err(self.error("expected a '(' token, a field check, or an identifier")),
        }
    }

    /// A field or a transformer call; on the right side only calls count, and `val` is one of them.
    fn operand(&mut self, right: bool) -> Parsed<Option<Operand>> {
        let start = self.lexer.at();
        let Some(mut operand) = self.bare_operand(right)? else { return Ok(None) };
        let found = self.argument()?;
        let (Operand::Field(FieldReference { argument, span, .. }) | Operand::Call(Call { argument, span, .. })) =
            &mut operand;
        (*argument, *span) = (found, self.span(start));
        Ok(Some(operand))
    }

    fn bare_operand(&mut self, right: bool) -> Parsed<Option<Operand>> {
        let start = self.lexer.at();
        if !right && let Some(name) = self.lexer.field_name() {
            let name = name.to_owned();
            return Ok(Some(Operand::Field(FieldReference { name, argument: None, span: self.span(start) })));
        }
        let Some(transformer) = self.transformer(right) else { return Ok(None) };
        let parameters = self.nested(|parser| {
            if transformer == Transformer::Val {
                parser.only_field().map(|field| vec![field])
            } else {
                parser.parameters()
            }
        })?;
        Ok(Some(Operand::Call(Call { transformer, parameters, argument: None, span: self.span(start) })))
    }

    /// A transformer's name with the parenthesis that must be glued to it.
    fn transformer(&mut self, right: bool) -> Option<Transformer> {
        let start = self.lexer.at();
        let found = self.lexer.identifier().and_then(Transformer::from_word);
        let found = found.filter(|transformer| (right || *transformer != Transformer::Val) && self.lexer.take("("));
        if found.is_none() {
            self.lexer.go_back(start);
        }
        found
    }

    /// The field inside `val()` and the closing parenthesis.
    fn only_field(&mut self) -> Parsed<CallParameter> {
        self.lexer.blank();
        let start = self.lexer.at();
        let Some(name) = self.lexer.field_name().map(str::to_owned) else {
            return Err(self.error("expected a field name"));
        };
        let argument = self.argument()?;
        let field = FieldReference { name, argument, span: self.span(start) };
        self.lexer.blank();
        if !self.lexer.take(")") {
            return Err(self.error("expected a ')' token closing the transformer"));
        }
        Ok(CallParameter::Operand(Operand::Field(field)))
    }

    fn parameters(&mut self) -> Parsed<Vec<CallParameter>> {
        let mut parameters = Vec::new();
        loop {
            self.lexer.blank();
            let start = self.lexer.at();
            parameters.push(if self.lexer.take("(") {
                let items = self.nested(Self::parameter_list)?;
                CallParameter::List(items, self.span(start))
            } else {
                self.parameter()?
            });
            self.lexer.blank();
            if self.lexer.take(")") {
                return Ok(parameters);
            }
            if !self.lexer.take(",") {
                return Err(self.error("expected a ')' token closing the transformer or a ',' token"));
            }
        }
    }

    fn parameter_list(&mut self) -> Parsed<Vec<CallParameter>> {
        let mut items = Vec::new();
        self.lexer.blank();
        if self.lexer.take(")") {
            return Ok(items);
        }
        loop {
            self.lexer.blank();
            items.push(self.parameter()?);
            self.lexer.blank();
            if self.lexer.take(")") {
                return Ok(items);
            }
            if !self.lexer.take(",") {
                return Err(self.error("expected a ')' token closing the list or a ',' token"));
            }
        }
    }

    fn parameter(&mut self) -> Parsed<CallParameter> {
        let start = self.lexer.at();
        if let Some(number) = self.lexer.number() {
            return Ok(CallParameter::Text(number.to_owned(), self.span(start)));
        }
        if let Some(text) = self.quoted()? {
            return Ok(CallParameter::Text(text, self.span(start)));
        }
        match self.operand(false)? {
            Some(operand) => Ok(CallParameter::Operand(operand)),
            None => Err(self.error("expected a field, a transformer, a number, or a quoted string")),
        }
    }

    /// The text in brackets, if there are any.
    fn argument(&mut self) -> Parsed<Option<String>> {
        if !self.lexer.take("[") {
            return Ok(None);
        }
        let argument = match self.quoted()? {
            Some(text) => text,
            None => match self.lexer.field_argument() {
                Some(text) => text.to_owned(),
                None => return Err(self.error("expected a valid field argument: a quoted string or a bare string")),
            },
        };
        if !self.lexer.take("]") {
            return Err(self.error("expected a ']' token"));
        }
        Ok(Some(argument))
    }

    fn quoted(&mut self) -> Parsed<Option<String>> {
        match self.lexer.quoted() {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(QuoteError::Unterminated)) => Err(self.error("expected a closing quote")),
            Some(Err(QuoteError::Escape)) => Err(self.error("invalid escape in quoted string")),
            Some(Err(QuoteError::UnsupportedEscape(c))) => {
                Err(self.error(format!("unsupported string escape sequence: \\{c}")))
            }
        }
    }

    fn tail(&mut self, left: Operand, start: usize) -> Parsed<Check> {
        self.lexer.blank();
        let Some(operator) = self.operator() else {
            let all: Vec<_> = Operator::ALL.iter().map(|operator| format!("'{operator}'")).collect();
            let message = format!("expected a valid check operator: one of {}", all.join(", "));
            return Err(self.expected(message, Operator::ALL.iter().map(|operator| operator.as_str())));
        };
        let operator_end = self.lexer.at();
        if operator == Operator::Exists {
            return Ok(Check {
                left,
                operator,
                modifier: None,
                right: Right::Nothing,
                span: Span(start..operator_end),
            });
        }
        let blank = self.lexer.blank();
        let modifier = if operator.is_string() && blank { self.modifier() } else { None };
        let right = match modifier {
            Some(_) => self.list_or_name()?,
            None if operator.is_numeric() => self.number_value()?,
            None if operator.is_list() => self.list_value()?,
            None => self.string_value()?,
        };
        Ok(Check { left, operator, modifier, right, span: self.span(start) })
    }

    fn operator(&mut self) -> Option<Operator> {
        Operator::ALL.iter().copied().find(|operator| {
            // *Falco:* `exists`, `in`, `intersects` and `pmatch` need no blank after them, the other words do.
            if operator.is_word() && operator.is_string() {
                self.lexer.take_word(operator.as_str())
            } else {
                self.lexer.take(operator.as_str())
            }
        })
    }

    /// A modifier, if a list follows it; otherwise the word is an ordinary string.
    fn modifier(&mut self) -> Option<Modifier> {
        let start = self.lexer.at();
        let found = Modifier::ALL.iter().copied().find(|modifier| self.lexer.take_word(modifier.as_str()))?;
        self.lexer.blank();
        let list = self.lexer.at();
        let follows =
            self.lexer.take("(") || self.lexer.identifier().is_some_and(|name| !matches!(name, "and" | "or" | "not"));
        self.lexer.go_back(if follows { list } else { start });
        follows.then_some(found)
    }

    fn number_value(&mut self) -> Parsed<Right> {
        if let Some(operand) = self.operand(true)? {
            return Ok(Right::Operand(operand));
        }
        let start = self.lexer.at();
        match self.lexer.number().map(str::to_owned) {
            Some(text) => Ok(Right::Text(Literal { text, span: self.span(start) })),
            None => Err(self.error("expected a number value or a field with a valid transformer")),
        }
    }

    fn string_value(&mut self) -> Parsed<Right> {
        if let Some(operand) = self.operand(true)? {
            return Ok(Right::Operand(operand));
        }
        match self.string()? {
            Some(literal) => Ok(Right::Text(literal)),
            None => Err(self.error("expected a string value or a field with a valid transformer")),
        }
    }

    fn string(&mut self) -> Parsed<Option<Literal>> {
        let start = self.lexer.at();
        let text = match self.quoted()? {
            Some(text) => Some(text),
            None => self.lexer.bare_string().map(str::to_owned),
        };
        Ok(text.map(|text| Literal { text, span: self.span(start) }))
    }

    fn list_value(&mut self) -> Parsed<Right> {
        if let Some(operand) = self.operand(true)? {
            return Ok(Right::Operand(operand));
        }
        self.list_or_name()
    }

    fn list_or_name(&mut self) -> Parsed<Right> {
        let start = self.lexer.at();
        if self.lexer.take("(") {
            let items = self.items()?;
            return Ok(Right::List(items, self.span(start)));
        }
        match self.lexer.identifier().map(str::to_owned) {
            Some(text) => Ok(Right::Text(Literal { text, span: self.span(start) })),
            None => Err(self.error("expected a list or an identifier")),
        }
    }

    fn items(&mut self) -> Parsed<Vec<Literal>> {
        let mut items = Vec::new();
        self.lexer.blank();
        if self.lexer.take(")") {
            return Ok(items);
        }
        loop {
            self.lexer.blank();
            match self.string()? {
                Some(literal) => items.push(literal),
                None => return Err(self.error("expected a string value")),
            }
            self.lexer.blank();
            if self.lexer.take(")") {
                return Ok(items);
            }
            if !self.lexer.take(",") {
                return Err(self.error("expected a ')' token"));
            }
        }
    }
}
