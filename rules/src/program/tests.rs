// SPDX-License-Identifier: Apache-2.0
//! Programs give the results of the conditions as they are written.

use std::{cell::Cell, collections::HashMap, net::IpAddr};

use proptest::{prelude::*, sample::select};

use super::{Arena, specialise};
use crate::{
    Argument, Event, EventType, EvtField, FdField, Field, ProcField, UserField, Value,
    compile::{Environment, compile_check},
    condition::{ast::Expression, parser::parse},
};

/// A value that an event owns.
#[derive(Debug, Clone)]
enum Owned {
    Text(&'static str),
    Number(i64),
    Flag(bool),
    Address(IpAddr),
    List(Vec<&'static str>),
    Any(Vec<Self>),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::text(text.as_bytes()),
            Self::Number(number) => u64::try_from(*number).map_or(Value::Int(*number), Value::Uint),
            Self::Flag(flag) => Value::Bool(*flag),
            Self::Address(address) => Value::Ip(*address),
            Self::List(texts) => Value::List(texts.iter().map(|text| Value::text(text.as_bytes())).collect()),
            Self::Any(values) => Value::Any(values.iter().map(Self::value).collect()),
        }
    }
}

/// An event that counts how often it is asked.
#[derive(Debug)]
pub(crate) struct Counting {
    event_type: EventType,
    values: HashMap<Field, Owned>,
    asked: Cell<usize>,
}

impl Event for Counting {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn value(&self, field: Field, _: &Argument) -> Option<Value<'_>> {
        self.asked.set(self.asked.get() + 1);
        if field == Field::Evt(EvtField::Type) {
            return Some(Value::text(self.event_type.name().as_bytes()));
        }
        self.values.get(&field).map(Owned::value)
    }
}

/// Evaluates a tree as it stands: left to right, everything anew.
fn naive(expression: &Expression, event: &dyn Event) -> bool {
    match expression {
        Expression::And(children, _) => children.iter().all(|child| naive(child, event)),
        Expression::Or(children, _) => children.iter().any(|child| naive(child, event)),
        Expression::Not(child, _) => !naive(child, event),
        Expression::Macro(found, _) => naive(&found.body, event),
        Expression::Name(..) => false,
        Expression::Check(check) => {
            compile_check(check, &Environment::default(), &mut Vec::new()).unwrap().holds(event)
        }
    }
}

const WORDS: &[&str] = &["a", "ab", "abc", "b", "ba", "/a", "/a/b", "/ab", "/a/bc/d", "bc"];
const NUMBERS: &[i64] = &[-1, 0, 1, 2, 22];
const ADDRESSES: &[&str] = &["10.0.0.1", "10.1.2.3", "192.168.7.7", "::1", "2001:db8::7"];
const NETWORKS: &[&str] = &["10.0.0.0/8", "10.0.0.0/24", "192.168.7.0/30", "0.0.0.0/0", "2001:db8::/33", "::/3"];

/// A field, an operator, and one or several constants in parentheses.
fn compare(
    fields: &'static [&'static str],
    operators: &'static [&'static str],
    constants: &'static [&'static str],
) -> impl Strategy<Value = String> {
    (select(fields), select(operators), proptest::collection::vec(select(constants), 1..4)).prop_map(
        |(field, operator, constants)| {
            let takes_list = matches!(operator, "in" | "intersects" | "pmatch") || operator.ends_with("of");
            let constants = if takes_list { format!("({})", constants.join(", ")) } else { constants[0].to_owned() };
            format!("{field} {operator} {constants}")
        },
    )
}

fn text_check() -> impl Strategy<Value = String> {
    let fields = &["fd.name", "proc.name", "proc.aname", "fd.directory", "toupper(proc.name)", "basename(fd.name)"];
    prop_oneof![
        4 => compare(
            fields,
            &["=", "!=", "contains", "startswith", "endswith", "icontains", "in", "intersects", "pmatch"],
            WORDS,
        ),
        2 => compare(fields, &["startswith oneof", "endswith anyof", "contains allof", "= oneof", "glob anyof"], WORDS),
        1 => compare(fields, &["glob", "iglob", "pmatch"], &["/a/*", "*b", "a?c", "*bc*", "/*/b?/[a-d]", "/A*", "[!a]*"]),
        1 => compare(fields, &["regex"], &["a.*", "[ab]+", "/a/b.*"]),
    ]
}

fn check() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => text_check(),
        2 => compare(&["fd.num", "proc.pid", "user.uid"], &["=", "!=", "<", ">=", "in"], &["0", "1", "2", "22"]),
        2 => compare(&["fd.ip", "fd.sip"], &["=", "!=", "in"], ADDRESSES),
        2 => compare(&["fd.snet", "fd.net"], &["=", "!=", "in"], NETWORKS),
        1 => compare(&["fd.sport", "fd.port"], &["=", "!=", "in", ">"], &["1", "2", "22"])
            .prop_filter("a list has no order", |text| !text.contains("> (")),
        1 => compare(&["evt.is_open_write"], &["=", "!=", "in"], &["true", "false"])
            .prop_filter("both values are refused", |text| !(text.contains("true") && text.contains("false"))),
        1 => compare(&["fd.types"], &["in", "intersects"], WORDS),
        1 => select(&["fd.name", "proc.aname", "fd.ip", "evt.is_open_write"][..]).prop_map(|field| format!("{field} exists")),
        1 => select(
            &[
                "fd.name = val(proc.name)",
                "fd.name startswith val(fd.directory)",
                "toupper(proc.name) = toupper(fd.name)",
                "len(fd.name) > 2",
                "concat(proc.name, \"b\") = ab",
                "fd.num = val(proc.pid)",
            ][..],
        ).prop_map(str::to_owned),
        2 => select(&["open", "openat", "execve"][..]).prop_map(|name| format!("evt.type = {name}")),
        1 => Just("evt.type in (open, execve)".to_owned()),
        1 => Just("evt.type != open".to_owned()),
    ]
}

/// A condition of some checks in any shape.
pub(crate) fn condition() -> impl Strategy<Value = String> {
    check().prop_recursive(4, 20, 4, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..5);
        prop_oneof![
            several.clone().prop_map(|parts| format!("({})", parts.join(" and "))),
            several.prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

/// An event on which such conditions hold now and then.
pub(crate) fn event() -> impl Strategy<Value = Counting> {
    let text = || select(WORDS).prop_map(Owned::Text);
    let number = || select(NUMBERS).prop_map(Owned::Number);
    let address = || select(ADDRESSES).prop_map(|address| Owned::Address(address.parse().unwrap()));
    let several = |one: BoxedStrategy<Owned>| proptest::collection::vec(one, 0..3).prop_map(Owned::Any).boxed();
    let fields = [
        (Field::Fd(FdField::Name), text().boxed()),
        (Field::Proc(ProcField::Name), text().boxed()),
        (Field::Proc(ProcField::Aname), several(text().boxed())),
        (Field::Fd(FdField::Directory), text().boxed()),
        (Field::Fd(FdField::Num), number().boxed()),
        (Field::Proc(ProcField::Pid), number().boxed()),
        (Field::User(UserField::Uid), number().boxed()),
        (Field::Fd(FdField::Ip), several(address().boxed())),
        (Field::Fd(FdField::Sip), address().boxed()),
        (Field::Fd(FdField::Net), several(address().boxed())),
        (Field::Fd(FdField::Snet), address().boxed()),
        (Field::Fd(FdField::Sport), number().boxed()),
        (Field::Fd(FdField::Port), several(number().boxed())),
        (Field::Evt(EvtField::IsOpenWrite), any::<bool>().prop_map(Owned::Flag).boxed()),
        (Field::Fd(FdField::Types), proptest::collection::vec(select(WORDS), 0..3).prop_map(Owned::List).boxed()),
    ];
    let values =
        fields.map(|(field, value)| proptest::option::weighted(0.8, value.prop_map(move |value| (field, value))));
    let types = select(&["open", "openat", "execve", "close"][..]);
    (types, values.to_vec()).prop_map(|(name, values)| Counting {
        event_type: EventType::from_name(name).unwrap(),
        values: values.into_iter().flatten().collect(),
        asked: Cell::new(0),
    })
}

/// The rules that match, by the program and by walking the trees.
fn results(conditions: &[String], event: &Counting) -> (Vec<usize>, Vec<usize>) {
    let mut arena = Arena::default();
    let trees: Vec<_> = conditions.iter().map(|text| parse(text).unwrap()).collect();
    let mut roots = Vec::new();
    for (rule, tree) in trees.iter().enumerate() {
        tree.for_each_check(&mut |check, _| {
            arena.check(check, &Environment::default(), &mut Vec::new()).unwrap();
        });
        roots.push((rule, arena.add(tree).unwrap()));
    }
    let expected = trees.iter().enumerate().filter(|(_, tree)| naive(tree, event)).map(|(rule, _)| rule).collect();
    let mut matched = Vec::new();
    event.asked.set(0);
    specialise(&arena, &roots, event.event_type()).run(event, &mut |rule| matched.push(rule));
    (matched, expected)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn programs_match_like_the_conditions_as_written(
        // From 4 on there are look-ups; those by dear values are made where more than 16 are left.
        conditions in proptest::collection::vec((condition(), proptest::option::of(select(WORDS))), 1..50),
        event in event(),
    ) {
        let with_name = |(condition, name): &(String, Option<&str>)| match name {
            Some(name) => format!("({condition}) and proc.name = {name}"),
            None => condition.clone(),
        };
        let conditions: Vec<_> = conditions.iter().map(with_name).collect();
        let (matched, expected) = results(&conditions, &event);
        prop_assert_eq!(matched, expected);
    }
}

/// A process opens a file.
fn opened_by(process: &'static str, path: &'static str) -> Counting {
    let values = [(Field::Proc(ProcField::Name), Owned::Text(process)), (Field::Fd(FdField::Name), Owned::Text(path))];
    Counting { event_type: EventType::from_name("open").unwrap(), values: HashMap::from(values), asked: Cell::new(0) }
}

#[test]
fn a_field_is_asked_for_once_and_the_type_never() {
    let conditions: Vec<String> =
        (0..20).map(|n| format!("evt.type = open and (proc.name = p{n} or fd.name = f{n})")).collect();
    let event = opened_by("p7", "f9");
    let (matched, expected) = results(&conditions, &event);
    assert_eq!((matched, expected), (vec![7, 9], vec![7, 9]));
    assert_eq!(event.asked.get(), 2);
}

/// Written dearest first; an alternative whose parts are cheap is cheap, however many it has.
#[test]
fn what_costs_much_is_not_asked_for_where_cheap_parts_decide() {
    let conditions =
        ["evt.type = open and not proc.aname = a and fd.ino exists and evt.arg.flags contains O_TRUNC and \
         (fd.name = /x or fd.name startswith /y or fd.name endswith z or (proc.name = b and fd.name contains q))"
            .to_owned()];
    let values = [
        (Field::Proc(ProcField::Name), Owned::Text("p")),
        (Field::Proc(ProcField::Aname), Owned::Any(vec![Owned::Text("q"), Owned::Text("r")])),
        (Field::Fd(FdField::Name), Owned::Text("/etc/hosts")),
        (Field::Fd(FdField::Ino), Owned::Text("9")),
        (Field::Evt(EvtField::Arg), Owned::Text("O_TRUNC")),
    ];
    let event = Counting {
        event_type: EventType::from_name("open").unwrap(),
        values: HashMap::from(values),
        asked: Cell::new(0),
    };
    let (matched, expected) = results(&conditions, &event);
    assert_eq!((matched, expected), (vec![], vec![]));
    assert_eq!(event.asked.get(), 1, "only the path decides");
}

/// Fails unless a process's open matches these of the rules, for which that many values are asked for.
#[track_caller]
fn expect_asked(conditions: &[String], (process, path): (&'static str, &'static str), matched: &[usize], asked: usize) {
    let event = opened_by(process, path);
    assert_eq!(results(conditions, &event), (matched.to_vec(), matched.to_vec()));
    assert_eq!(event.asked.get(), asked);
}

/// The name of the process is read, the path is there: that decides about all of these rules.
#[test]
fn a_dear_value_is_not_asked_for_where_cheap_ones_rule_most_rules_out() {
    let conditions: Vec<String> =
        (0..40).map(|n| format!("evt.type = open and proc.name = p{n} and fd.name contains part-{n}/")).collect();
    expect_asked(&conditions, ("p7", "/etc/hosts"), &[], 1); // the path decides
    expect_asked(&conditions, ("p7", "/part-7/x"), &[7], 2);
}

/// Where the cheap values leave many rules, one look-up of the dear one is better than many checks.
#[test]
fn a_dear_value_rules_out_the_many_rules_that_cheap_ones_leave() {
    let conditions: Vec<String> =
        (0..40).map(|n| format!("evt.type = open and proc.name = p{n} and not fd.name = /x{n}")).collect();
    expect_asked(&conditions, ("none", "/etc/hosts"), &[], 1); // the name decides
    expect_asked(&conditions, ("p7", "/etc/hosts"), &[7], 2);
}

/// *Falco:* an address that has no name is unlike every name, and what is no connection compares with none.
#[test]
fn names_of_addresses_and_times_compare_in_their_own_way() {
    let conditions = [
        "fd.sip.name = a",
        "fd.sip.name != a",
        "fd.sip.name in (a, b)",
        "fd.sip.name exists",
        "not fd.sip.name = a",
        "fd.sip.name startswith a",
        "evt.around[7] = 4",
        "evt.around[7] = 5",
        "evt.around[18446744073709551615] == 6",
    ]
    .map(|condition| format!("evt.type = open and {condition}"));
    let names = |names: &[&'static str]| Some(Owned::Any(names.iter().map(|name| Owned::Text(name)).collect()));
    let cases = [
        (names(&["a"]), vec![0, 2, 3, 5, 7, 8]),
        (names(&["c", "a"]), vec![0, 2, 3, 5, 7, 8]),
        (names(&["b"]), vec![1, 2, 3, 4, 7, 8]),
        (names(&[]), vec![1, 3, 4, 7, 8]),
        (None, vec![4, 7, 8]),
    ];
    for (names, expected) in cases {
        let mut values = HashMap::from([(Field::Evt(EvtField::Around), Owned::Number(5))]);
        values.extend(names.clone().map(|names| (Field::Fd(FdField::SipName), names)));
        let event = Counting { event_type: EventType::from_name("open").unwrap(), values, asked: Cell::new(0) };
        assert_eq!(results(&conditions, &event), (expected.clone(), expected), "{names:?}");
    }
}
