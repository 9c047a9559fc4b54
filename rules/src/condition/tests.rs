// SPDX-License-Identifier: Apache-2.0
//! Properties and limits of the parser.

use proptest::prelude::*;

use super::{
    ast::{Check, Expression, FieldReference, Literal, Modifier, Operand, Operator, Right, Span},
    parser::{MAX_NESTING, parse},
};

fn field() -> impl Strategy<Value = Operand> {
    ("[a-z]{1,3}\\.[a-z_]{1,4}", proptest::option::of("([a-z0-9 \"'\\\\]{0,4}[a-z])?"))
        .prop_map(|(name, argument)| Operand::Field(FieldReference { name, argument, span: Span::default() }))
        .prop_filter("a name ends with a letter or digit", |operand| parse(&format!("{operand} exists")).is_ok())
}

fn literal() -> impl Strategy<Value = Literal> {
    // Parentheses and commas are left out: Falco prints them without quotes, so such texts do not come back.
    // A text that ends with a backslash hides its closing quote from Falco's parser.
    "[a-zA-Z0-9_./*\\\\\"'= \t\n-]{0,7}[a-zA-Z0-9_./*\"'= \t\n-]"
        .prop_map(|text| Literal { text, span: Span::default() })
}

fn check() -> impl Strategy<Value = Expression> {
    let operators = proptest::sample::select(Operator::ALL.to_vec());
    let modifiers = proptest::option::of(proptest::sample::select(Modifier::ALL.to_vec()));
    let literals = proptest::collection::vec(literal(), 0..4);
    (field(), operators, modifiers, literal(), literals, -99_i32..99).prop_map(
        |(left, operator, modifier, one, many, number)| {
            let modifier = modifier.filter(|_| operator.is_string());
            let right = if operator == Operator::Exists {
                Right::Nothing
            } else if operator.is_numeric() {
                Right::Text(Literal { text: number.to_string(), span: Span::default() })
            } else if operator.is_list() || modifier.is_some() {
                Right::List(many, Span::default())
            } else {
                Right::Text(one)
            };
            Expression::Check(Check { left, operator, modifier, right, span: Span::default() })
        },
    )
}

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![check(), "[a-z]{3,6}x".prop_map(|name| Expression::Name(name, Span::default()))];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..4);
        let negatable = inner.prop_filter("two negations cancel", |child| !matches!(child, Expression::Not(..)));
        prop_oneof![
            several.clone().prop_map(|children| Expression::And(children, Span::default())),
            several.prop_map(|children| Expression::Or(children, Span::default())),
            negatable.prop_map(|child| Expression::Not(Box::new(child), Span::default())),
        ]
    })
}

proptest! {
    #[test]
    fn printed_conditions_parse_to_the_same_tree(tree in expression()) {
        let text = tree.to_string();
        prop_assert_eq!(parse(&text).map_err(|error| format!("{error} in {text}")), Ok(tree));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z.()'\"\\\\\\[\\] =<>!,nor]{0,40}") {
        let parsed = parse(&text);
        prop_assert!(parsed.is_ok() || parsed.is_err_and(|error| error.at <= text.len()));
    }
}

#[test]
fn nesting_past_the_limit_is_refused_and_costs_no_stack() {
    for (open, close) in [("(", ")"), ("not(", ")"), ("a.b = tolower(", ")")] {
        let deep = format!("{}a.b exists{}", open.repeat(10_000), close.repeat(10_000));
        assert!(parse(&deep).is_err(), "{open}");
    }
    let allowed = format!("{}a.b exists{}", "(".repeat(MAX_NESTING), ")".repeat(MAX_NESTING));
    parse(&allowed).unwrap();
    let error = parse(&format!("({allowed})")).unwrap_err();
    assert_eq!((error.message.as_str(), error.at), ("nested more than 100 levels deep", MAX_NESTING + 1));
}

#[test]
fn long_chains_are_no_nesting() {
    let chain = vec!["not a.b exists"; 20_000].join(" or ");
    parse(&chain).unwrap();
}
