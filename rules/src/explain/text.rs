// SPDX-License-Identifier: Apache-2.0
//! Explanations for people: one line for each part, indented by level, its result in front.

use std::fmt;

use serde_json::Value as Json;

use super::{CheckPart, Explanation, Kind, Part, Seen, SeenValue, Truth};
use crate::{
    condition::{
        ast::{Check, Right},
        quoted,
    },
    sanitize,
};

/// Characters of a check; a longer list of constants is cut.
const MAX_CHECK: usize = 100;
/// Characters of the constants that are shown of a list that is cut.
const MAX_CONSTANTS: usize = 50;
/// Width of the results: `(unknown)`.
const RESULT: usize = 9;

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.truth() {
            Truth::True => "matches",
            Truth::False => "does not match",
            Truth::Unknown => "may match or not",
        };
        write!(formatter, "{}: {verdict}", sanitize(self.rule.as_bytes()))?;
        if !self.enabled {
            formatter.write_str(", and is disabled")?;
        }
        formatter.write_str("\n")?;
        for name in self.exceptions() {
            writeln!(formatter, "exception `{}` holds", sanitize(name.as_bytes()))?;
        }
        self.root.write(formatter, 0)?;
        let mut unreached = false;
        self.root.visit(&mut |part| unreached |= !part.reached);
        if unreached {
            formatter.write_str("(in parentheses: not reached, because what stands before decides)\n")?;
        }
        Ok(())
    }
}

impl Part {
    fn write(&self, formatter: &mut fmt::Formatter<'_>, level: usize) -> fmt::Result {
        let result = if self.reached { format!(" {} ", self.truth) } else { format!("({})", self.truth) };
        write!(formatter, "{result:<RESULT$} {:width$}", "", width = 2 * level)?;
        match &self.kind {
            Kind::And(_) => formatter.write_str("and")?,
            Kind::Or(_) => formatter.write_str("or")?,
            Kind::Not(_) => formatter.write_str("not")?,
            Kind::Macro(name, _) => write!(formatter, "macro {name}")?,
            Kind::Exception(name, _) => write!(formatter, "exception {}", sanitize(name.as_bytes()))?,
            Kind::Check(check) => write!(formatter, "{check}")?,
        }
        formatter.write_str("\n")?;
        self.children().iter().try_for_each(|child| child.write(formatter, level + 1))
    }
}

impl fmt::Display for CheckPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&sanitize(short(&self.check).as_bytes()))?;
        for (index, seen) in self.seen.iter().enumerate() {
            formatter.write_str(if index == 0 { "   <- " } else { ", " })?;
            write!(formatter, "{seen}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            SeenValue::Unknown => write!(formatter, "{} is not known", self.field),
            SeenValue::Absent => write!(formatter, "{} has no value", self.field),
            SeenValue::Value(Json::String(text)) if text.is_empty() => write!(formatter, "{} is \"\"", self.field),
            SeenValue::Value(Json::String(text)) => write!(formatter, "{} is {}", self.field, quoted(text)),
            SeenValue::Value(value) => write!(formatter, "{} is {value}", self.field),
        }
    }
}

/// A check that fits a line: of many constants the first ones, and how many more there are.
fn short(check: &Check) -> String {
    let whole = check.to_string();
    let length = whole.chars().count();
    if length <= MAX_CHECK {
        return whole;
    }
    let Right::List(constants, span) = &check.right else {
        return whole.chars().take(MAX_CHECK).chain("..".chars()).collect();
    };
    let mut room = MAX_CONSTANTS;
    let fitting = constants.iter().take_while(|constant| {
        let needed = constant.text.chars().count() + 2;
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    });
    let shown: Vec<_> = fitting.cloned().collect();
    let more = constants.len() - shown.len();
    let head = Check { right: Right::List(shown, span.clone()), ..check.clone() }.to_string();
    format!("{}, .. {more} more)", head.trim_end_matches(')').trim_end_matches("(, "))
}
