// SPDX-License-Identifier: Apache-2.0
//! Profiles before and after, judged by a model of what libseccomp 2.5 makes of them for i386's multiplexers.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Mode, Plan, patched, profile::tests::decision};

/// An action, and its errno where it has one.
type Decision = (String, Option<u64>);

/// The calls of the cases, with their multiplexer and their number there.
const CALLS: [(&str, &str, u64); 6] = [
    ("socket", "socketcall", 1),
    ("bind", "socketcall", 2),
    ("connect", "socketcall", 3),
    ("sendto", "socketcall", 11),
    ("semget", "ipc", 2),
    ("shmget", "ipc", 23),
];

/// A register, an operator and a value.
type Condition = (u64, String, u64);

/// The rules on a multiplexer's own number: conditions, and what they lead to.
fn rules_on(profile: &Value, multiplexer: &str) -> Vec<(Vec<Condition>, Decision)> {
    let default = decision(profile, "defaultAction", "defaultErrnoRet");
    let mut rules = Vec::new();
    for rule in profile["syscalls"].as_array().into_iter().flatten() {
        let action = decision(rule, "action", "errnoRet");
        if action == default {
            continue;
        }
        let conditions = rule["args"].as_array().into_iter().flatten();
        let conditions: Vec<_> = conditions
            .map(|one| {
                let operator = one["op"].as_str().unwrap().to_owned();
                (one["index"].as_u64().unwrap(), operator, one["value"].as_u64().unwrap())
            })
            .collect();
        for name in rule["names"].as_array().unwrap() {
            if name == multiplexer {
                rules.push((conditions.clone(), action.clone()));
            }
            for (_, _, number) in CALLS.iter().filter(|(call, by, _)| name == call && *by == multiplexer) {
                let others = conditions.iter().filter(|(register, ..)| *register != 0).cloned();
                let first = (0, "SCMP_CMP_EQ".to_owned(), *number);
                rules.push((std::iter::once(first).chain(others).collect(), action.clone()));
            }
        }
    }
    rules
}

/// Whether libseccomp refuses the rules: it compares them until one without conditions has come.
fn is_refused(profile: &Value) -> bool {
    ["socketcall", "ipc"].iter().any(|multiplexer| {
        let mut rules = rules_on(profile, multiplexer);
        let whole = rules.iter().position(|(conditions, _)| conditions.is_empty());
        rules.truncate(whole.unwrap_or(rules.len()));
        let differ =
            |one: &(Vec<Condition>, Decision), other: &(Vec<Condition>, Decision)| one.0 == other.0 && one.1 != other.1;
        rules.iter().any(|one| rules.iter().any(|other| differ(one, other)))
    })
}

/// What becomes of a call through its multiplexer whose first register is `first`, the others being 0.
fn decide(profile: &Value, multiplexer: &str, first: u64) -> Decision {
    let rules = rules_on(profile, multiplexer);
    let holds = |(register, operator, value): &Condition| {
        let found = if *register == 0 { first } else { 0 };
        match operator.as_str() {
            "SCMP_CMP_EQ" => found == *value,
            "SCMP_CMP_NE" => found != *value,
            "SCMP_CMP_GE" => found >= *value,
            "SCMP_CMP_LT" => found < *value,
            unknown => panic!("unknown operator {unknown}"),
        }
    };
    let matching = rules.iter().filter(|(conditions, _)| conditions.iter().all(holds));
    let shortest = matching.min_by_key(|(conditions, _)| conditions.len());
    shortest.map_or_else(|| decision(profile, "defaultAction", "defaultErrnoRet"), |(_, action)| action.clone())
}

fn plan(watched: &[Watched]) -> Plan<'_> {
    Plan {
        listener_path: "/run/lanner/c1/listener",
        run_dir: "/run/lanner",
        mode: Mode::Enforce,
        watched,
        flags: &[],
        architectures: &[Arch::X86_64, Arch::I386],
    }
}

fn is_permitted(decision: &Decision) -> bool {
    matches!(decision.0.as_str(), "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG")
}

/// What holds for a call through its multiplexer: what was denied stays so, and what was permitted is seen if it is
/// watched.
fn check_call(before: &Value, after: &Value, watched: &[Watched], (call, multiplexer, number): (&str, &str, u64)) {
    let versions: &[u64] = if multiplexer == "ipc" { &[0, 1] } else { &[0] };
    for version in versions {
        let first = version << 16 | number;
        let [old, new] = [before, after].map(|profile| decide(profile, multiplexer, first));
        let context = || format!("{call} by {first:#x}: {old:?} became {new:?} in\n{before}\n{after}");
        let is_watched = watched.iter().any(|watched| watched.name == call);
        if !is_permitted(&old) {
            assert_eq!(new, old, "a denial is lost: {}", context());
        } else if is_watched {
            assert_eq!(new.0, "SCMP_ACT_NOTIFY", "unseen: {}", context());
        } else if new.0 != "SCMP_ACT_NOTIFY" {
            assert_eq!(new, old, "not ours to change: {}", context());
        }
    }
}

fn rule() -> impl Strategy<Value = Value> {
    let names = CALLS.iter().map(|(name, ..)| *name).chain(["socketcall", "ipc"]);
    let names = prop::sample::subsequence(names.collect::<Vec<_>>(), 1..5);
    let action = prop::sample::select(vec!["ALLOW", "ALLOW", "LOG", "ERRNO", "KILL"]);
    let condition = (0..2_u64, prop::sample::select(vec!["EQ", "NE"]), 0..4_u64);
    let conditions = prop::collection::vec(condition, 0..2);
    (names, action, prop_oneof![3 => Just(Vec::new()), 1 => conditions]).prop_map(|(names, action, conditions)| {
        let argument = |(index, operator, value): &(u64, &str, u64)| {
            json!({"index": index, "value": value, "op": format!("SCMP_CMP_{operator}")})
        };
        let arguments: Vec<_> = conditions.iter().map(argument).collect();
        json!({"names": names, "action": format!("SCMP_ACT_{action}"), "args": arguments})
    })
}

fn profile() -> impl Strategy<Value = Value> {
    let default = prop::sample::select(vec!["ERRNO", "ALLOW", "LOG"]);
    (default, prop::collection::vec(rule(), 0..4)).prop_map(|(default, rules)| {
        let architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"];
        json!({"defaultAction": format!("SCMP_ACT_{default}"), "architectures": architectures, "syscalls": rules})
    })
}

fn watched() -> impl Strategy<Value = Vec<Watched>> {
    let names: Vec<_> = CALLS.iter().map(|(name, ..)| *name).collect();
    let test = (0..5_u32, 0..4_u64);
    let test = test.prop_map(|(register, value)| RegisterTest { register, comparison: Comparison::NotEqual, value });
    let watch = (prop::sample::subsequence(names, 0..4), prop::collection::vec(prop::option::of(test), 4));
    watch.prop_map(|(names, tests)| {
        let watched = |(name, test): (&&str, Option<RegisterTest>)| Watched {
            when: test.into_iter().collect(),
            ..Watched::always(name)
        };
        names.iter().zip(tests).map(watched).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_call_gets_around_its_watch_and_no_denial_is_lost(before in profile(), watched in watched()) {
        prop_assume!(!is_refused(&before));
        if let Ok(after) = patched(Some(&before), &plan(&watched)) {
            prop_assert!(!is_refused(&after), "refused: {}\n{}", before, after);
            for call in CALLS {
                check_call(&before, &after, &watched, call);
            }
        }
    }
}

#[track_caller]
fn check(default: &str, rules: &Value, watched: &[&str], expected: &Value) {
    let own = json!({"defaultAction": default, "architectures": ["SCMP_ARCH_X86"], "syscalls": rules});
    let watched: Vec<_> = watched.iter().map(|name| Watched::always(name)).collect();
    let after = patched(Some(&own), &Plan { mode: Mode::Audit, ..plan(&watched) }).unwrap();
    let is_ring = |rule: &&Value| rule["names"] == json!(["io_uring_setup"]);
    let rules: Vec<_> = after["syscalls"].as_array().unwrap().iter().filter(|rule| !is_ring(rule)).collect();
    assert_eq!(json!(rules), *expected);
}

#[test]
fn what_the_profile_permits_as_a_whole_is_watched_as_a_whole() {
    let rules = json!([{"names": ["connect", "ipc", "read", "socketcall"], "action": "SCMP_ACT_ALLOW"}]);
    let of = |notified: &[&str], kept: &[&str]| json!([{"names": notified, "action": "SCMP_ACT_NOTIFY"}, {"names": kept, "action": "SCMP_ACT_ALLOW"}]);
    check("SCMP_ACT_ERRNO", &rules, &["connect"], &of(&["connect", "socketcall"], &["ipc", "read"]));
    check("SCMP_ACT_ERRNO", &rules, &["semget"], &of(&["ipc"], &["connect", "read", "socketcall"]));
    check("SCMP_ACT_ERRNO", &rules, &["chdir"], &rules);
}

#[test]
fn versions_of_ipc_are_watched_where_the_default_permits_them() {
    let versions = json!({"names": ["ipc"], "action": "SCMP_ACT_NOTIFY",
        "args": [{"index": 0, "value": 0x1_0000, "op": "SCMP_CMP_GE"}]});
    let rules = json!([{"names": ["io_uring_setup", "landlock_restrict_self", "semget"], "action": "SCMP_ACT_NOTIFY"}, versions]);
    check("SCMP_ACT_ALLOW", &json!([]), &["semget"], &rules);
    check("SCMP_ACT_ERRNO", &json!([]), &["semget"], &json!([]));
}

#[test]
fn a_multiplexer_that_is_decided_by_its_arguments_is_refused() {
    let conditions = json!([{"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}]);
    let in_part = json!({"names": ["socketcall"], "action": "SCMP_ACT_ERRNO", "args": conditions});
    let whole = json!({"names": ["socketcall"], "action": "SCMP_ACT_LOG"});
    let of = |rules: &Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "syscalls": rules});
    for rules in [json!([in_part]), json!([in_part, whole])] {
        let own = of(&rules);
        assert_eq!(
            patched(Some(&own), &plan(&[Watched::always("connect")])).unwrap_err().to_string(),
            "the container's seccomp profile decides `socketcall` by its arguments, which leaves no room to watch `connect` \
             that is made through it"
        );
        patched(Some(&own), &plan(&[Watched::always("semget")])).unwrap();
    }
    patched(Some(&of(&json!([whole, in_part]))), &plan(&[Watched::always("connect")])).unwrap();
}
