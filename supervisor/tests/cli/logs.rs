// SPDX-License-Identifier: Apache-2.0
//! `lanner logs` as it is run: which alerts it prints, and in which form.

use crate::support::Scratch;

const LOG: &str = r#"{"time":1700000000000000000,"id":"aaaa-1","rule":"R","priority":"Warning","source":"syscall","tags":[],"hostname":"h","message":"first","fields":{"container.name":"web"},"container":"aaaabbbbccccdddd","container_name":"web","mode":"audit","action":"alert","explicit":false,"verdict":"allow"}
torn
{"time":1700000001000000000,"id":"eeee-1","rule":"R","priority":"Error","source":"syscall","tags":[],"hostname":"h","message":"second","fields":{"container.name":"db"},"container":"eeeeffff00001111","container_name":"db","mode":"audit","action":"alert","explicit":false,"verdict":"allow"}
"#;

const FIRST: &str = "22:13:20.000000000: Warning first\n";
const SECOND: &str = "22:13:21.000000000: Error second\n";
const SECOND_AS_JSON: &str = concat!(
    r#"{"hostname":"h","output":"22:13:21.000000000: Error second","output_fields":{"container.name":"db","#,
    r#""lanner.action":"alert","lanner.mode":"audit","lanner.verdict":"allow"},"#,
    r#""priority":"Error","rule":"R","source":"syscall","tags":[],"time":"2023-11-14T22:13:21.000000000Z"}"#,
    "\n"
);

#[track_caller]
fn check(line: &str, expected: &str) {
    let config = "event_log: {path: $DIR/events.jsonl}\nrules_files: []\n";
    let scratch = Scratch::new(&[("c.yaml", config), ("events.jsonl", LOG)]);
    let outcome = scratch.lanner(&format!("-c c.yaml {line}"));
    assert_eq!((outcome.code, &*outcome.out, &*outcome.err), (0, expected, ""), "{line}");
}

#[test]
fn alerts_are_printed_in_the_configured_form() {
    check("logs", &[FIRST, SECOND].concat());
    check("logs -n 1", SECOND);
    check("logs -n 1 --json", SECOND_AS_JSON);
    check("-o json_output=true logs -n 1", SECOND_AS_JSON);
    check("-o json_output=false logs -n 1 --json", SECOND_AS_JSON);
}

#[test]
fn some_of_them_are_chosen() {
    check("logs --container web", FIRST);
    check("logs --container eeee --ids", &format!("eeee-1 {SECOND}"));
    check("logs --container nobody", "");
    check("logs -n 0", "");
}
