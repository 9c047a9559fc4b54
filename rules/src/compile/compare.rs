// SPDX-License-Identifier: Apache-2.0
//! Comparisons of one value with constants, chosen by type and operator when a rule is loaded.
//!
//! A value of another type than the field's is a mistake of whoever made the event; every comparison with it is false, as
//! with an absent value.

use std::{cmp::Ordering, net::IpAddr};

use ipnet::IpNet;
use memchr::memmem::Finder;

use super::{
    glob::Glob,
    pattern::{PathPrefixes, Prefixes, Substrings, TextSet, WholeRegex},
};
use crate::{
    Value,
    condition::ast::{Modifier, Operator},
};

/// A comparison of a check's left side.
#[derive(Debug, Clone)]
pub(crate) enum Comparison {
    /// Any value will do.
    Exists,
    /// No constant can satisfy the operator: an empty list.
    Never,
    One(Test),
    /// Several tests of which one, some or all must hold.
    Several(Modifier, Vec<Test>),
}

/// A comparison with a single value or with several values of one field.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) matcher: Matcher,
    /// Whether all of several values must match; *Falco:* `fd.ip != x` asks both ends, and `fd.sip.name != x` holds for an
    /// address that has no name.
    pub(crate) all_values: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    Text(TextMatcher),
    Number(Orderings, i128),
    Numbers(Box<[i128]>),
    Double(Orderings, f64),
    Doubles(Box<[f64]>),
    Bool {
        expected: bool,
    },
    Address {
        expected: IpAddr,
        equal: bool,
    },
    Addresses(Box<[IpAddr]>),
    Network {
        network: IpNet,
        inside: bool,
    },
    Networks(Box<[IpNet]>),
    /// Every element of the list is in the set.
    Subset(TextSet),
    /// Some element of the list is in the set.
    Intersects(TextSet),
}

/// Tests on text, paths and bytes.
#[derive(Debug, Clone)]
pub(crate) enum TextMatcher {
    Equal(Box<[u8]>),
    NotEqual(Box<[u8]>),
    OneOf(TextSet),
    Ordered(Orderings, Box<[u8]>),
    Contains(Box<Finder<'static>>),
    ContainsAny(Substrings),
    /// The needle is in lower case.
    ContainsIgnoringCase(Box<[u8]>),
    StartsWith(Box<[u8]>),
    StartsWithAny(Prefixes),
    EndsWith(Box<[u8]>),
    EndsWithAny(Box<[Box<[u8]>]>),
    Glob(Glob),
    Regex(Box<WholeRegex>),
    Below(Box<PathPrefixes>),
}

/// Which outcomes of a comparison satisfy an operator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orderings {
    less: bool,
    equal: bool,
    greater: bool,
}

impl Orderings {
    /// The outcomes that `= == != < <= > >=` ask for.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other operators are not about order")]
    pub(super) fn of(operator: Operator) -> Option<Self> {
        let (less, equal, greater) = match operator {
            Operator::Equal | Operator::EqualEqual => (false, true, false),
            Operator::NotEqual => (true, false, true),
            Operator::Less => (true, false, false),
            Operator::LessOrEqual => (true, true, false),
            Operator::Greater => (false, false, true),
            Operator::GreaterOrEqual => (false, true, true),
            _ => return None,
        };
        Some(Self { less, equal, greater })
    }

    /// Whether only equal values satisfy the operator.
    pub(crate) fn is_equality(self) -> bool {
        self.equal && !self.less && !self.greater
    }

    pub(super) fn holds(self, ordering: Ordering) -> bool {
        match ordering {
            Ordering::Less => self.less,
            Ordering::Equal => self.equal,
            Ordering::Greater => self.greater,
        }
    }
}

impl Comparison {
    /// Whether the value satisfies the comparison; an absent one satisfies none.
    pub(crate) fn holds(&self, value: Option<&Value<'_>>) -> bool {
        let Some(value) = value else { return false };
        match self {
            Self::Exists => true,
            Self::Never => false,
            Self::One(test) => test.holds(value),
            Self::Several(modifier, tests) => several(*modifier, tests, value),
        }
    }
}

fn several(modifier: Modifier, tests: &[Test], value: &Value<'_>) -> bool {
    match modifier {
        Modifier::Anyof => tests.iter().any(|test| test.holds(value)),
        // *Falco:* an empty list satisfies none of the three.
        Modifier::Allof => !tests.is_empty() && tests.iter().all(|test| test.holds(value)),
        Modifier::Oneof => tests.iter().filter(|test| test.holds(value)).count() == 1,
    }
}

impl Test {
    fn holds(&self, value: &Value<'_>) -> bool {
        let Value::Any(values) = value else { return self.matcher.matches(value) };
        if self.all_values {
            return values.iter().all(|value| self.matcher.matches(value));
        }
        values.iter().any(|value| self.matcher.matches(value))
    }
}

impl Matcher {
    fn matches(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Text(matcher), Value::Text(text) | Value::Bytes(text)) => matcher.matches(text),
            (Self::Number(orderings, constant), _) => number(value).is_some_and(|n| orderings.holds(n.cmp(constant))),
            (Self::Numbers(constants), _) => number(value).is_some_and(|n| constants.contains(&n)),
            (Self::Double(orderings, constant), Value::Double(value)) => {
                value.partial_cmp(constant).is_some_and(|ordering| orderings.holds(ordering))
            }
            (Self::Doubles(constants), Value::Double(value)) => {
                constants.iter().any(|constant| value.partial_cmp(constant) == Some(Ordering::Equal))
            }
            (Self::Bool { expected }, Value::Bool(value)) => value == expected,
            (Self::Address { expected, equal }, Value::Ip(value)) => (value == expected) == *equal,
            (Self::Addresses(constants), Value::Ip(value)) => constants.contains(value),
            (Self::Network { network, inside }, Value::Ip(value)) => network.contains(value) == *inside,
            (Self::Networks(networks), Value::Ip(value)) => networks.iter().any(|network| network.contains(value)),
            (Self::Subset(set), Value::List(values)) => values.iter().all(|value| in_set(set, value)),
            (Self::Intersects(set), Value::List(values)) => values.iter().any(|value| in_set(set, value)),
            _ => false,
        }
    }
}

fn in_set(set: &TextSet, value: &Value<'_>) -> bool {
    matches!(value, Value::Text(text) if set.contains(text))
}

/// The value of all integer types in one that holds them all.
pub(super) fn number(value: &Value<'_>) -> Option<i128> {
    if let Value::Int(value) = value {
        return Some(i128::from(*value));
    }
    if let Value::Uint(value) = value { Some(i128::from(*value)) } else { None }
}

impl TextMatcher {
    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Equal(constant) => text == &**constant,
            Self::NotEqual(constant) => text != &**constant,
            Self::OneOf(set) => set.contains(text),
            Self::Ordered(orderings, constant) => orderings.holds(text.cmp(constant)),
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::ContainsAny(needles) => needles.matches(text),
            Self::ContainsIgnoringCase(needle) => contains_ignoring_case(text, needle),
            Self::StartsWith(prefix) => text.starts_with(prefix),
            Self::StartsWithAny(prefixes) => prefixes.matches(text),
            Self::EndsWith(suffix) => text.ends_with(suffix),
            Self::EndsWithAny(suffixes) => suffixes.iter().any(|suffix| text.ends_with(suffix)),
            Self::Glob(glob) => glob.matches(text),
            Self::Regex(regex) => regex.matches(text),
            Self::Below(prefixes) => prefixes.matches(text),
        }
    }
}

fn contains_ignoring_case(text: &[u8], needle: &[u8]) -> bool {
    let Some((first, _)) = needle.split_first() else { return true };
    let upper = first.to_ascii_uppercase();
    memchr::memchr2_iter(*first, upper, text)
        .any(|at| text.get(at..at + needle.len()).is_some_and(|part| part.eq_ignore_ascii_case(needle)))
}

/// Compares two values as `= != < ..` between fields do; nothing where the types have no order.
pub(super) fn compare_values(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(left) | Value::Bytes(left), Value::Text(right) | Value::Bytes(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Ip(left), Value::Ip(right)) => Some(left.cmp(right)),
        _ => Some(number(left)?.cmp(&number(right)?)),
    }
}
