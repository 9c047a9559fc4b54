// SPDX-License-Identifier: Apache-2.0
//! Alternatives on one field as one check: `f = a or f in (b, c) or f startswith d` becomes two tests instead of three.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::specialise::{Part, Shared};
use crate::compile::{
    Comparison, CompiledCheck, Extractor, Matcher, Prefixes, Right, Substrings, Test, TextMatcher, TextSet,
};

/// Joins the checks of an `or` that look at the same field in the same way.
pub(super) fn group_alternatives(parts: Vec<Shared>) -> Vec<Shared> {
    let mut groups: Vec<Group> = Vec::new();
    let mut kept: Vec<Shared> = Vec::new();
    let mut seen = FxHashSet::default();
    for part in parts {
        if !seen.insert(Arc::as_ptr(&part.part)) {
            continue;
        }
        match literal_of(&part) {
            None => kept.push(part),
            Some((extractor, way, literals)) => {
                match groups.iter_mut().find(|group| group.way == way && group.extractor == extractor) {
                    Some(group) => group.add(literals),
                    None => groups.push(Group { extractor, way, literals, single: Some(part) }),
                }
            }
        }
    }
    kept.extend(groups.into_iter().filter_map(Group::into_part));
    kept
}

/// Does the same for the negated checks of an `and`: `not a and not b` is `not (a or b)`.
pub(super) fn group_exclusions(parts: Vec<Shared>) -> Vec<Shared> {
    let mut excluded = Vec::new();
    let mut kept: Vec<Shared> = Vec::new();
    let mut seen = FxHashSet::default();
    for part in parts {
        if let Part::Not(child) = &*part.part
            && literal_of(child).is_some()
        {
            excluded.push(child.clone());
        } else if seen.insert(Arc::as_ptr(&part.part)) {
            kept.push(part);
        }
    }
    kept.extend(group_alternatives(excluded).into_iter().map(Shared::not));
    kept
}

/// How a check looks at text, if checks of this kind can be joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Equal,
    StartsWith,
    EndsWith,
    Contains,
}

struct Group {
    extractor: Extractor,
    way: Way,
    literals: Vec<Box<[u8]>>,
    /// The part itself, as long as it is alone.
    single: Option<Shared>,
}

impl Group {
    fn add(&mut self, literals: Vec<Box<[u8]>>) {
        self.single = None;
        self.literals.extend(literals);
    }

    fn into_part(self) -> Option<Shared> {
        if self.single.is_some() {
            return self.single;
        }
        let matcher = match self.way {
            Way::Equal => TextMatcher::OneOf(TextSet::new(self.literals)),
            Way::StartsWith => TextMatcher::StartsWithAny(Prefixes::new(self.literals)),
            Way::EndsWith => TextMatcher::EndsWithAny(self.literals.into()),
            Way::Contains => TextMatcher::ContainsAny(Substrings::new(self.literals)?),
        };
        let test = Test { matcher: Matcher::Text(matcher), all_values: false };
        let right = Right::Constants(Comparison::One(test));
        Some(Shared::check(Arc::new(CompiledCheck { left: self.extractor, right })))
    }
}

/// Literals that a check looks for on one field in one way.
type Literals = (Extractor, Way, Vec<Box<[u8]>>);

fn literal_of(part: &Shared) -> Option<Literals> {
    let Part::Check(check) = &*part.part else { return None };
    let Right::Constants(Comparison::One(Test { matcher: Matcher::Text(matcher), all_values: false })) = &check.right
    else {
        return None;
    };
    let (way, literals) = match matcher {
        TextMatcher::Equal(text) => (Way::Equal, vec![text.clone()]),
        TextMatcher::OneOf(set) => (Way::Equal, set.members().cloned().collect()),
        TextMatcher::StartsWith(text) => (Way::StartsWith, vec![text.clone()]),
        TextMatcher::EndsWith(text) => (Way::EndsWith, vec![text.clone()]),
        TextMatcher::Contains(finder) => (Way::Contains, vec![finder.needle().into()]),
        TextMatcher::NotEqual(_)
        | TextMatcher::Ordered(..)
        | TextMatcher::ContainsAny(_)
        | TextMatcher::ContainsIgnoringCase(_)
        | TextMatcher::StartsWithAny(_)
        | TextMatcher::EndsWithAny(_)
        | TextMatcher::Glob(_)
        | TextMatcher::Regex(_)
        | TextMatcher::Below(_) => return None,
    };
    Some((check.left.clone(), way, literals))
}
