// SPDX-License-Identifier: Apache-2.0
//! The `glob` operator gives the C library's results, which Falco uses.
#![expect(unsafe_code, reason = "the C library's function has no safe wrapper")]
#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "test code")]

use std::ffi::CString;

use proptest::prelude::*;
use rules::{Argument, Event, EventType, FdField, Field, LoadOptions, Loader, Value};

/// An event with nothing but a file name.
struct Named<'a>(&'a str);

impl Event for Named<'_> {
    fn event_type(&self) -> EventType {
        EventType::from_name("open").unwrap()
    }

    fn value(&self, field: Field, _: &Argument) -> Option<Value<'_>> {
        (field == Field::Fd(FdField::Name)).then(|| Value::text(self.0.as_bytes()))
    }
}

fn ours(operator: &str, pattern: &str, text: &str) -> bool {
    // Without quotes a backslash is a backslash, even at the end.
    let condition = format!("fd.name {operator} {pattern}");
    let condition = serde_json::Value::from(condition);
    let file = format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n");
    let mut loader = Loader::new(LoadOptions::default());
    loader.add("t", file.as_bytes());
    let mut matched = false;
    loader.finish().ruleset.unwrap().evaluate(&Named(text), &mut |_| matched = true);
    matched
}

fn theirs(pattern: &str, text: &str, flags: i32) -> bool {
    let (pattern, text) = (CString::new(pattern).unwrap(), CString::new(text).unwrap());
    // SAFETY: both strings end with a zero byte and live until the call returns.
    unsafe { libc::fnmatch(pattern.as_ptr(), text.as_ptr(), flags) == 0 }
}

/// GNU's `FNM_CASEFOLD`, which the libc crate does not name on every target.
const FNM_CASEFOLD: i32 = 1 << 4;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn globs_match_what_the_c_library_matches(
        pattern in "[]abAB/*?\\[\\\\!^.-]{1,9}",
        text in "[]abAB/.\\[\\\\-]{0,7}",
    ) {
        // A set that ends in the middle of a range or an escape is read in its own way by every C library.
        prop_assume!(!pattern.contains('[') || pattern.matches('[').count() == 1 && pattern.ends_with(']'));
        prop_assert_eq!(ours("glob", &pattern, &text), theirs(&pattern, &text, 0));
        if !pattern.contains('[') {
            prop_assert_eq!(ours("iglob", &pattern, &text), theirs(&pattern, &text, FNM_CASEFOLD));
        }
    }
}
