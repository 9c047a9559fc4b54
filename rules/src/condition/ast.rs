// SPDX-License-Identifier: Apache-2.0
//! The syntax tree of a condition.
//!
//! Every node has the byte range of the condition text it was read from. Trees compare without these ranges, so that two
//! conditions are equal when they mean the same.

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Range,
    sync::Arc,
};

/// A byte range that does not take part in comparisons.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span(pub(crate) Range<usize>);

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Span {}

impl Hash for Span {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A condition or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    And(Vec<Self>, Span),
    Or(Vec<Self>, Span),
    Not(Box<Self>, Span),
    Check(Check),
    /// The name of a macro, before the resolver has seen it.
    Name(String, Span),
    /// A macro with its resolved condition, which all its users share.
    Macro(Arc<Macro>, Span),
}

/// A resolved macro.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Macro {
    pub(crate) name: String,
    pub(crate) body: Expression,
    /// Levels of the tree below.
    pub(crate) depth: usize,
    /// Nodes of the tree below with every macro written out.
    pub(crate) size: usize,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Check {
    pub(crate) left: Operand,
    pub(crate) operator: Operator,
    pub(crate) modifier: Option<Modifier>,
    pub(crate) right: Right,
    pub(crate) span: Span,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    Field(FieldReference),
    Call(Call),
}

/// A field name as written, with the text in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FieldReference {
    pub(crate) name: String,
    pub(crate) argument: Option<String>,
    pub(crate) span: Span,
}

/// A transformer call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    pub(crate) transformer: Transformer,
    pub(crate) parameters: Vec<CallParameter>,
    /// The text in brackets after the call.
    pub(crate) argument: Option<String>,
    pub(crate) span: Span,
}

/// One parameter of a transformer call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CallParameter {
    Operand(Operand),
    Text(String, Span),
    List(Vec<Self>, Span),
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Right {
    /// `exists` has none.
    Nothing,
    Text(Literal),
    List(Vec<Literal>, Span),
    /// `val(field)` or a transformer.
    Operand(Operand),
}

/// A constant as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Literal {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A table of words that name the values of an enum.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($variant,)* }

        impl $name {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            pub(crate) fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// A comparison operator. `=` and `==` mean the same but are printed as written.
    Operator {
        Exists = "exists",
        LessOrEqual = "<=", Less = "<", GreaterOrEqual = ">=", Greater = ">",
        EqualEqual = "==", Equal = "=", NotEqual = "!=",
        Glob = "glob", Iglob = "iglob", Contains = "contains", Icontains = "icontains", Bcontains = "bcontains",
        Startswith = "startswith", Bstartswith = "bstartswith", Endswith = "endswith", Regex = "regex",
        Intersects = "intersects", In = "in", Pmatch = "pmatch",
    }
}

words! {
    /// How many of several constants must satisfy the operator.
    Modifier { Oneof = "oneof", Anyof = "anyof", Allof = "allof", }
}

words! {
    /// A function on values. `val` marks a field on the right side.
    Transformer {
        Tolower = "tolower", Toupper = "toupper", B64 = "b64", Basename = "basename", Len = "len", Join = "join",
        Concat = "concat", Getopt = "getopt", Val = "val",
    }
}

impl Operator {
    /// `< <= > >=`, which take a number.
    pub(crate) fn is_numeric(self) -> bool {
        matches!(self, Self::LessOrEqual | Self::Less | Self::GreaterOrEqual | Self::Greater)
    }

    /// `in intersects pmatch`, which take a list.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Intersects | Self::In | Self::Pmatch)
    }

    /// Operators that take a string and may be followed by a modifier.
    pub(crate) fn is_string(self) -> bool {
        !self.is_numeric() && !self.is_list() && self != Self::Exists
    }

    /// Operators that are letters, so that a blank must follow.
    pub(crate) fn is_word(self) -> bool {
        self.as_str().starts_with(|c: char| c.is_ascii_lowercase())
    }
}

impl Operand {
    /// Calls `visit` for every field inside.
    pub(crate) fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a FieldReference)) {
        match self {
            Self::Field(field) => visit(field),
            Self::Call(call) => call.parameters.iter().for_each(|parameter| parameter.for_each_field(visit)),
        }
    }
}

impl CallParameter {
    fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a FieldReference)) {
        match self {
            Self::Operand(operand) => operand.for_each_field(visit),
            Self::Text(..) => {}
            Self::List(items, _) => items.iter().for_each(|item| item.for_each_field(visit)),
        }
    }
}

impl Expression {
    pub(crate) fn span(&self) -> &Span {
        match self {
            Self::And(_, span)
            | Self::Or(_, span)
            | Self::Not(_, span)
            | Self::Name(_, span)
            | Self::Macro(_, span) => span,
            Self::Check(check) => &check.span,
        }
    }

    /// Calls `visit` for every check, left to right, with the macro whose text it stands in.
    pub(crate) fn for_each_check<'a>(&'a self, visit: &mut dyn FnMut(&'a Check, Option<&'a Macro>)) {
        self.walk(None, visit);
    }

    fn walk<'a>(&'a self, home: Option<&'a Macro>, visit: &mut dyn FnMut(&'a Check, Option<&'a Macro>)) {
        match self {
            Self::And(children, _) | Self::Or(children, _) => children.iter().for_each(|child| child.walk(home, visit)),
            Self::Not(child, _) => child.walk(home, visit),
            Self::Check(check) => visit(check, home),
            Self::Name(..) => {}
            Self::Macro(resolved, _) => resolved.body.walk(Some(resolved), visit),
        }
    }

    /// Adds the macros that stand in the condition itself, not those inside of macros.
    pub(crate) fn add_macros<'a>(&'a self, found: &mut Vec<&'a Macro>) {
        match self {
            Self::And(children, _) | Self::Or(children, _) => children.iter().for_each(|child| child.add_macros(found)),
            Self::Not(child, _) => child.add_macros(found),
            Self::Macro(resolved, _) => found.push(resolved),
            Self::Check(_) | Self::Name(..) => {}
        }
    }
}
