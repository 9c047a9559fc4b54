// SPDX-License-Identifier: Apache-2.0
//! Profiles before and after, judged by a reference evaluator of what runc and crun make of a profile.

use std::{env, fs, path::PathBuf};

use proptest::prelude::*;

use super::*;
use crate::{BASE, Comparison};

/// What a profile does with a call: its action, and the errno where that matters.
type Decision = (String, Option<u64>);

/// What runc and crun with libseccomp 2.5 make of `profile` for one call; see the module's documentation.
fn decide(profile: &Value, name: &str, args: [u64; 6]) -> Decision {
    let default = decision(profile, "defaultAction", "defaultErrnoRet");
    let rules = profile["syscalls"].as_array().into_iter().flatten();
    let effective: Vec<&Value> = rules
        .filter(|rule| rule["names"].as_array().unwrap().iter().any(|known| known == name))
        .filter(|rule| decision(rule, "action", "errnoRet") != default)
        .collect();
    let unconditional = effective.iter().find(|rule| rule["args"].as_array().is_none_or(Vec::is_empty));
    let matching = || effective.iter().find(|rule| rule["args"].as_array().is_some_and(|all| holds(all, args)));
    let first = unconditional.or_else(matching);
    first.map_or(default, |rule| decision(rule, "action", "errnoRet"))
}

pub(super) fn decision(members: &Value, action: &str, errno: &str) -> Decision {
    let action = members[action].as_str().unwrap();
    let errno = (action == "SCMP_ACT_ERRNO").then(|| members[errno].as_u64().unwrap_or(1));
    (action.to_owned(), errno)
}

/// All conditions together, but any one of them where two are on one argument.
fn holds(conditions: &[Value], args: [u64; 6]) -> bool {
    let index = |condition: &Value| condition["index"].as_u64().unwrap();
    let is_repeated = |one: &Value| conditions.iter().filter(|other| index(other) == index(one)).count() > 1;
    let condition_holds = |condition: &Value| {
        let argument = args[usize::try_from(index(condition)).unwrap()];
        let value = condition["value"].as_u64().unwrap_or(0);
        match condition["op"].as_str().unwrap() {
            "SCMP_CMP_NE" => argument != value,
            "SCMP_CMP_LT" => argument < value,
            "SCMP_CMP_LE" => argument <= value,
            "SCMP_CMP_EQ" => argument == value,
            "SCMP_CMP_GE" => argument >= value,
            "SCMP_CMP_GT" => argument > value,
            "SCMP_CMP_MASKED_EQ" => argument & value == condition["valueTwo"].as_u64().unwrap_or(0) & value,
            unknown => panic!("unknown operator {unknown}"),
        }
    };
    if conditions.iter().any(is_repeated) {
        conditions.iter().any(condition_holds)
    } else {
        conditions.iter().all(condition_holds)
    }
}

fn plan(mode: Mode, watched: &[Watched]) -> Plan<'_> {
    let architectures = &[Arch::X86_64, Arch::I386, Arch::X32];
    Plan { listener_path: "/run/lanner/c1/listener", run_dir: "/run/lanner", mode, watched, flags: &[], architectures }
}

fn always(names: &[&str]) -> Vec<Watched> {
    names.iter().map(|name| Watched::always(name)).collect()
}

fn is_permitted(decision: &Decision) -> bool {
    matches!(decision.0.as_str(), "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG")
}

/// The promise of the module, for one name and one set of arguments.
fn check_call(before: &Value, after: &Value, mode: Mode, watched: &[Watched], (name, args): (&str, [u64; 6])) {
    let (old, new) = (decide(before, name, args), decide(after, name, args));
    let context = || format!("{name}{args:?}: {old:?} became {new:?} in\n{before}\n{after}");
    if !is_permitted(&old) {
        assert!(!is_permitted(&new) && new.0 != "SCMP_ACT_NOTIFY", "a denial is lost: {}", context());
    } else if [UNSEEN, UNFOLLOWED, TAKING].concat().contains(&name) && mode == Mode::Enforce {
        // Another denial of the profile, may now come first.
        assert!(!is_permitted(&new) && new.0 != "SCMP_ACT_NOTIFY", "not denied: {}", context());
    } else if is_wanted(watched, name, args)
        || UNSEEN.contains(&name)
        || ENTERING.contains(&name) && mode == Mode::Audit
    {
        assert_eq!(new.0, "SCMP_ACT_NOTIFY", "unseen: {}", context());
    } else if new.0 != "SCMP_ACT_NOTIFY" || !(name == "socketcall" || watched.iter().any(|known| known.name == name)) {
        assert_eq!(new, old, "not ours to change: {}", context());
    }
}

/// Whether somebody wants to see the call.
fn is_wanted(watched: &[Watched], name: &str, args: [u64; 6]) -> bool {
    let passes = |test: &RegisterTest| {
        let register = args[test.register as usize];
        match test.comparison {
            Comparison::Equal => register == test.value,
            Comparison::NotEqual => register != test.value,
            Comparison::AtLeast => register >= test.value,
            Comparison::Below => register < test.value,
            Comparison::HasBit => register & test.value == test.value,
            Comparison::LacksBit => register & test.value == 0,
        }
    };
    watched.iter().any(|known| known.name == name && (known.when.is_empty() || known.when.iter().any(passes)))
}

/// Whether libseccomp would refuse two rules: the same conditions with different actions.
fn conflicts(profile: &Value) -> Vec<(String, Value)> {
    let default = decision(profile, "defaultAction", "defaultErrnoRet");
    let mut seen: Vec<(String, Value, Decision)> = Vec::new();
    let mut conflicts = Vec::new();
    for rule in profile["syscalls"].as_array().into_iter().flatten() {
        let action = decision(rule, "action", "errnoRet");
        if action == default || rule["args"].as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        for name in rule["names"].as_array().unwrap().iter().filter_map(Value::as_str) {
            let is_same = |other: &&(String, Value, Decision)| other.0 == name && other.1 == rule["args"];
            if seen.iter().find(is_same).is_some_and(|other| other.2 != action) {
                conflicts.push((name.to_owned(), rule["args"].clone()));
            }
            seen.push((name.to_owned(), rule["args"].clone(), action.clone()));
        }
    }
    conflicts
}

fn names_of(profile: &Value) -> Vec<&str> {
    let rules = profile["syscalls"].as_array().into_iter().flatten();
    rules.flat_map(|rule| rule["names"].as_array().unwrap()).filter_map(Value::as_str).collect()
}

#[test]
fn the_profiles_that_engines_write_are_watched_and_not_weakened() {
    let shared = env::var_os("LANNER_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let Ok(folder) = fs::read_dir(shared.join("runtimes")) else {
        println!("skipped: no dumps of engines' bundles in {}", shared.display());
        return;
    };
    let base = always(BASE);
    let mut seen = 0;
    for file in folder.map(|entry| entry.unwrap().path()) {
        if !file.to_str().unwrap().ends_with("config.json") {
            continue;
        }
        let spec: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let own = spec["linux"].get("seccomp");
        let before = own.cloned().unwrap_or_else(|| json!({"defaultAction": "SCMP_ACT_ALLOW"}));
        for mode in [Mode::Audit, Mode::Enforce] {
            let after = patched(own, &plan(mode, &base)).unwrap();
            let mut names = names_of(&before);
            names.extend(BASE.iter().chain(UNSEEN).chain(UNFOLLOWED).chain(TAKING).chain(&["mount", "unheard_of"]));
            for name in names {
                for args in [[0; 6], [40; 6], [16, 0, 9, 0, 0, 0], [0x2_0000; 6], [u64::MAX; 6]] {
                    check_call(&before, &after, mode, &base, (name, args));
                }
            }
            assert_eq!(conflicts(&after), conflicts(&before), "{}", file.display());
            let members = |profile: &Value| profile["architectures"].clone();
            assert_eq!(
                members(&after),
                own.map_or(json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]), members)
            );
        }
        seen += 1;
    }
    assert!(seen > 0, "the folder of dumps has no config.json");
}

const POOL: [&str; 8] = [
    "openat",
    "open",
    "execve",
    "io_uring_setup",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "mount",
    "personality",
];

fn wanted() -> impl Strategy<Value = Vec<Watched>> {
    use Comparison::{AtLeast, Below, Equal, HasBit, LacksBit, NotEqual};
    let comparison = prop::sample::select(vec![Equal, NotEqual, AtLeast, Below]);
    let bit = (prop::sample::select(vec![HasBit, LacksBit]), prop::sample::select(vec![1, 2]));
    let test = (0..3_u32, prop_oneof![2 => (comparison, 0..4_u64), 1 => bit]);
    let test = test.prop_map(|(register, (comparison, value))| RegisterTest { register, comparison, value });
    let tests = prop::collection::vec(prop::collection::vec(test, 0..3), 3);
    tests.prop_map(|tests| {
        let names = ["openat", "open", "execve"].map(str::to_owned);
        names.into_iter().zip(tests).map(|(name, when)| Watched { name, when, is_optional: false }).collect()
    })
}

fn condition() -> impl Strategy<Value = Value> {
    let operator = prop::sample::select(vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]);
    (0..3_u64, 0..4_u64, 0..4_u64, operator).prop_map(|(index, value, two, operator)| {
        json!({"index": index, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{operator}")})
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let names = prop::sample::subsequence(POOL.to_vec(), 1..4);
    let action = prop::sample::select(vec!["ALLOW", "ALLOW", "LOG", "ERRNO", "KILL"]);
    let conditions = prop_oneof![2 => Just(Vec::new()), 2 => prop::collection::vec(condition(), 1..3)];
    (names, action, conditions, prop::option::of(1..3_u64)).prop_map(|(names, action, args, errno)| {
        let mut rule = json!({"names": names, "action": format!("SCMP_ACT_{action}"), "args": args, "x-kept": 1});
        if action == "ERRNO" {
            rule["errnoRet"] = json!(errno);
        }
        rule
    })
}

fn profile() -> impl Strategy<Value = Value> {
    let default = prop::sample::select(vec!["ERRNO", "KILL", "ALLOW", "LOG"]);
    (default, prop::collection::vec(rule(), 0..5), prop::option::of(1..3_u64)).prop_map(|(default, rules, errno)| {
        json!({"defaultAction": format!("SCMP_ACT_{default}"), "defaultErrnoRet": errno, "syscalls": rules})
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_profile_is_watched_and_not_weakened(before in profile(), wanted in wanted(), enforce in any::<bool>()) {
        let mode = if enforce { Mode::Enforce } else { Mode::Audit };
        match patched(Some(&before), &plan(mode, &wanted)) {
            Ok(after) => {
                for name in POOL {
                    for number in 0..125 {
                        let args = [number % 5, number / 5 % 5, number / 25, 0, 0, 0];
                        check_call(&before, &after, mode, &wanted, (name, args));
                    }
                }
                if conflicts(&before).is_empty() {
                    prop_assert_eq!(conflicts(&after), vec![]);
                }
            }
            Err(ProfileError::ConditionalDenial { name }) => {
                // Only a default that permits can be left without an expressible opposite.
                prop_assert!(is_permitted(&decision(&before, "defaultAction", "defaultErrnoRet")), "{}", name);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[track_caller]
fn check(own: &Value, mode: Mode, expected: &Value) {
    let after = patched(Some(own), &plan(mode, &always(&["openat", "open"]))).unwrap();
    assert_eq!(serde_json::to_string(&after).unwrap(), serde_json::to_string(expected).unwrap());
}

#[test]
fn a_permissive_rule_is_split_in_its_place() {
    let own = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "x-new": true, "syscalls": [
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["read", "openat", "io_uring_setup", "write"], "action": "SCMP_ACT_ALLOW", "comment": "kept"},
    ]});
    check(
        &own,
        Mode::Enforce,
        &json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "x-new": true, "syscalls": [
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["openat"], "action": "SCMP_ACT_NOTIFY", "comment": "kept"},
            {"names": ["io_uring_setup"], "action": "SCMP_ACT_ERRNO", "comment": "kept", "errnoRet": 1},
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "comment": "kept"},
        ], "listenerPath": "/run/lanner/c1/listener"}),
    );
}

#[test]
fn an_unconfined_container_gets_every_architecture_of_the_host() {
    let expected = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["io_uring_setup", "landlock_restrict_self", "openat", "open"], "action": "SCMP_ACT_NOTIFY"}],
        "listenerPath": "/run/lanner/c1/listener",
    });
    check(&Value::Null, Mode::Audit, &expected);
    check(&json!({}), Mode::Audit, &expected);
    // What runc takes for no profile at all.
    let only_x86_64 = json!(["SCMP_ARCH_X86_64"]);
    for default in [json!(""), Value::Null] {
        for rules in [json!([]), Value::Null] {
            let own = json!({"defaultAction": default, "architectures": only_x86_64, "syscalls": rules});
            check(&own, Mode::Audit, &expected);
        }
        check(&json!({"defaultAction": default, "architectures": only_x86_64}), Mode::Audit, &expected);
    }
    assert_eq!(patched(None, &plan(Mode::Audit, &always(&["openat", "open"]))), Ok(expected));
}

#[test]
fn a_conditional_denial_under_a_permissive_default_keeps_its_calls() {
    let denial = json!({"names": ["openat"], "action": "SCMP_ACT_ERRNO",
        "args": [{"index": 2, "value": 0x41, "valueTwo": 0x40, "op": "SCMP_CMP_MASKED_EQ"}]});
    let bit = |bit: u64, wanted: u64| {
        json!({"names": ["openat"], "action": "SCMP_ACT_NOTIFY",
            "args": [{"index": 2, "value": bit, "valueTwo": wanted, "op": "SCMP_CMP_MASKED_EQ"}]})
    };
    check(
        &json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [denial]}),
        Mode::Enforce,
        &json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["open"], "action": "SCMP_ACT_NOTIFY"},
            {"names": ["io_uring_setup", "landlock_create_ruleset", "pidfd_getfd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            bit(1, 1), bit(0x40, 0), denial,
        ], "listenerPath": "/run/lanner/c1/listener"}),
    );
}

#[test]
fn a_bundle_that_is_started_again_gets_the_same_profile() {
    let own = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "openat"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["open"], "action": "SCMP_ACT_LOG", "args": [{"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}]},
    ]});
    for own in [own, Value::Null] {
        let first = patched(Some(&own), &plan(Mode::Enforce, &always(&["openat", "open"]))).unwrap();
        check(&first, Mode::Enforce, &first);
    }
    let neighbour = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/lanner-not-ours/listener"});
    let error = patched(Some(&neighbour), &plan(Mode::Audit, &always(&[]))).unwrap_err();
    assert!(matches!(error, ProfileError::ForeignListener { .. }));
}

#[test]
fn flags_are_added_once() {
    let watched = always(&["openat"]);
    let plan = Plan { flags: &["A", "B"], ..plan(Mode::Audit, &watched) };
    let own = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["B"]});
    assert_eq!(patched(Some(&own), &plan).unwrap()["flags"], json!(["B", "A"]));
}

#[test]
fn what_cannot_be_combined_is_refused_with_its_reason() {
    let error = |own: Value| patched(Some(&own), &plan(Mode::Audit, &always(&["openat"]))).unwrap_err().to_string();
    assert_eq!(
        error(json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/other.sock"})),
        "the container's seccomp profile already has the listener `/run/other.sock`, which leaves no room for \
         `/run/lanner/c1/listener`"
    );
    let notify = json!({"names": ["mount"], "action": "SCMP_ACT_NOTIFY"});
    assert_eq!(
        error(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [notify]})),
        "the container's seccomp profile notifies `mount` itself"
    );
    assert_eq!(
        error(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": "mount", "action": "x"}]})),
        "`syscalls[0].names` of the container's seccomp profile is not a list"
    );
    assert_eq!(
        error(json!({"syscalls": [{"names": ["mount"], "action": "x"}]})),
        "`defaultAction` of the container's seccomp profile is not the name of an action"
    );
    let rule = json!({"names": ["mount"], "action": "SCMP_ACT_ERRNO"});
    for default in [json!(""), Value::Null, json!("ALLOW"), json!("scmp_act_allow")] {
        assert_eq!(
            error(json!({"defaultAction": default, "syscalls": [rule]})),
            "`defaultAction` of the container's seccomp profile is not the name of an action"
        );
    }
    assert_eq!(
        error(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["mount"], "action": ""}]})),
        "`syscalls[0].action` of the container's seccomp profile is not the name of an action"
    );
}

#[test]
fn a_profile_that_leaves_a_watched_call_to_a_tracer_is_refused() {
    let traced = |own: &Value| patched(Some(own), &plan(Mode::Enforce, &always(&["openat"])));
    let named = |name: &str| Err(ProfileError::Traced { name: name.to_owned() });
    let rule = |names: &[&str]| json!([{"names": names, "action": "SCMP_ACT_TRACE"}]);
    assert_eq!(traced(&json!({"defaultAction": "SCMP_ACT_TRACE"})), named("defaultAction"));
    assert_eq!(traced(&rules(&rule(&["mount", "openat"]))), named("openat"));
    assert_eq!(traced(&rules(&rule(&["io_uring_setup"]))), named("io_uring_setup"));
    traced(&rules(&rule(&["mount", "socketcall"]))).unwrap();
    let i386 = json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"],
        "syscalls": rule(&["socketcall"])});
    assert_eq!(patched(Some(&i386), &plan(Mode::Audit, &always(&["connect"]))), named("socketcall"));
}

#[test]
fn what_would_be_good_to_see_is_seen_where_the_profile_has_room_for_it() {
    let (helpful, needed) = (crate::after_closes(), always(&["mount", "flock"]));
    let locking = json!([{"index": 1, "value": 4, "valueTwo": 4, "op": "SCMP_CMP_MASKED_EQ"}]);
    let not_locking = json!([{"index": 1, "value": 4, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]);
    let plain = rules(&json!([{"names": ["flock"], "action": "SCMP_ACT_ALLOW"}]));
    let expected = json!([
        {"names": ["flock"], "action": "SCMP_ACT_NOTIFY", "args": locking},
        {"names": ["flock"], "action": "SCMP_ACT_ALLOW", "args": not_locking},
    ]);
    assert_eq!(patched(Some(&plain), &plan(Mode::Enforce, &helpful)).unwrap()["syscalls"], expected);

    let condition = |value: u64| json!([{"index": 1, "value": value, "op": "SCMP_CMP_EQ"}]);
    let denial = |value| json!({"names": ["flock"], "action": "SCMP_ACT_ERRNO", "args": condition(value)});
    let trace = json!([{"names": ["mount", "flock"], "action": "SCMP_ACT_TRACE"}]);
    let denials = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [denial(1), denial(2)]});
    // A mount may undo what the supervisor holds.
    patched(Some(&rules(&trace)), &plan(Mode::Enforce, &crate::enforced())).unwrap_err();
    for own in [rules(&trace), denials] {
        patched(Some(&own), &plan(Mode::Enforce, &needed)).unwrap_err();
        let after = patched(Some(&own), &plan(Mode::Enforce, &helpful)).unwrap();
        let kept = own["syscalls"].as_array().unwrap();
        assert!(kept.iter().all(|rule| after["syscalls"].as_array().unwrap().contains(rule)), "{after}");
    }
}

#[test]
fn a_member_that_only_one_runtime_reads_is_refused() {
    let condition = json!([{"index": 0, "value": 1, "Op": "SCMP_CMP_EQ"}]);
    for (own, member) in [
        (json!({"defaultAction": "SCMP_ACT_ERRNO", "DefaultAction": "SCMP_ACT_ALLOW"}), "DefaultAction"),
        (json!({"DefaultAction": "SCMP_ACT_ALLOW"}), "DefaultAction"),
        (json!({"defaultAction": "SCMP_ACT_ERRNO", "\u{17f}yscalls": []}), "\u{17f}yscalls"),
        (rules(&json!([{"names": ["mount"], "action": "SCMP_ACT_LOG", "Names": ["open"]}])), "syscalls[0].Names"),
        (rules(&json!([{"names": ["mount"], "action": "SCMP_ACT_LOG", "args": condition}])), "syscalls[0].args.Op"),
    ] {
        let error = patched(Some(&own), &plan(Mode::Audit, &always(&["openat"]))).unwrap_err();
        assert_eq!(error, ProfileError::Misspelt { member: member.to_owned() });
    }
}

fn rules(rules: &Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules})
}

#[test]
fn a_listener_that_cannot_work_is_refused() {
    let refused = |plan: Plan<'_>| patched(None, &plan).unwrap_err();
    let long = format!("/{}", "x".repeat(LISTENER_PATH_MAX));
    let watched = always(&["openat"]);
    let plan = plan(Mode::Audit, &watched);
    assert_eq!(
        refused(Plan { listener_path: &long, ..plan }),
        ProfileError::ListenerPathTooLong { path: long.clone() }
    );
    let longest = format!("/{}", "x".repeat(LISTENER_PATH_MAX - 1));
    assert_eq!(patched(None, &Plan { listener_path: &longest, ..plan }).unwrap()["listenerPath"], longest);
    assert_eq!(
        refused(Plan { listener_path: "run/x", ..plan }),
        ProfileError::ListenerPathRelative { path: "run/x".to_owned() }
    );
    assert_eq!(refused(Plan { watched: &always(&["open", "write"]), ..plan }), ProfileError::Unwatchable);
}

#[test]
fn a_register_test_divides_a_rule_and_watches_the_other_way_in_as_a_whole() {
    let test = RegisterTest { register: 4, comparison: Comparison::NotEqual, value: 0 };
    let watched = [Watched { when: vec![test], ..Watched::always("sendto") }];
    let architectures = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    let own = json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": architectures, "syscalls": [
        {"names": ["sendto", "socketcall", "read"], "action": "SCMP_ACT_ALLOW"},
    ]});
    let argument = |operator: &str| json!([{"index": 4, "value": 0, "op": format!("SCMP_CMP_{operator}")}]);
    let after = patched(Some(&own), &plan(Mode::Enforce, &watched)).unwrap();
    let rules = json!([
        {"names": ["socketcall"], "action": "SCMP_ACT_NOTIFY"},
        {"names": ["sendto"], "action": "SCMP_ACT_NOTIFY", "args": argument("NE")},
        {"names": ["sendto"], "action": "SCMP_ACT_ALLOW", "args": argument("EQ")},
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
    ]);
    assert_eq!(after["syscalls"], rules);

    let without = json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": architectures, "syscalls": [
        {"names": ["sendto", "read"], "action": "SCMP_ACT_ALLOW"},
    ]});
    let after = patched(Some(&without), &plan(Mode::Enforce, &watched)).unwrap();
    assert_eq!(after["syscalls"][0], json!({"names": ["sendto"], "action": "SCMP_ACT_NOTIFY"}));
}
