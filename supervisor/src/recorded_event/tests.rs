// SPDX-License-Identifier: Apache-2.0
//! What is known after reading an event, and what is not.

use super::*;

/// A field's value as text: `?` where nothing is known, `-` where there is none.
fn known(event: &RecordedEvent, name: &str) -> String {
    let (row, argument, _) = Field::parse(name).unwrap();
    match event.knowledge(row.field, &argument) {
        Knowledge::Unknown => "?".to_owned(),
        Knowledge::Known(None) => "-".to_owned(),
        Knowledge::Known(Some(value)) => show(&value),
    }
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) | Value::Bytes(text) => String::from_utf8(text.to_vec()).unwrap(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Ip(value) => value.to_string(),
        Value::List(values) => format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::Any(values) => format!("any of [{}]", values.iter().map(show).collect::<Vec<_>>().join(" ")),
    }
}

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let event = RecordedEvent::parse(text.as_bytes()).unwrap();
    for (name, value) in expected {
        assert_eq!(known(&event, name), *value, "{name}");
    }
}

#[test]
fn fields_have_the_values_of_their_types() {
    check(
        r#"{
            "evt.type": "openat", "fd.name": "/etc/shadow", "proc.pid": 7, "user.loginuid": -1, "fd.num": null,
            "evt.is_open_read": true, "fd.sip": "::1", "fd.snet": "10.0.0.1", "fd.ip": ["10.0.0.1", "10.0.0.2"],
            "fd.types": ["file", "ipv4"], "thread.cpu": 0.5, "evt.arg.flags": "O_RDONLY", "evt.arg[mode]": 0,
            "evt.rawarg.res": -2, "proc.aname[2]": "sh", "container.label[a.b]": "x", "evt.buffer": "GET /"
        }"#,
        &[
            ("evt.type", "openat"),
            ("syscall.type", "openat"),
            ("fd.name", "/etc/shadow"),
            ("proc.pid", "7"),
            ("user.loginuid", "-1"),
            ("fd.num", "-"),
            ("evt.is_open_read", "true"),
            ("fd.sip", "::1"),
            ("fd.snet", "10.0.0.1"),
            ("fd.ip", "any of [10.0.0.1 10.0.0.2]"),
            ("fd.types", "[file ipv4]"),
            ("thread.cpu", "0.5"),
            ("evt.arg[flags]", "O_RDONLY"),
            ("evt.arg.mode", "0"),
            ("evt.rawarg.res", "-2"),
            ("proc.aname[2]", "sh"),
            ("proc.aname[1]", "?"),
            ("container.label[a.b]", "x"),
            ("evt.buffer", "GET /"),
            ("proc.name", "?"),
            // What holds for every call.
            ("evt.num", "1"),
            ("evt.source", "syscall"),
            ("evt.is_async", "false"),
        ],
    );
    check(
        r#"{"fd.types": "(file,ipv4)", "evt.num": 0}"#,
        &[("fd.types", "[file ipv4]"), ("evt.num", "0"), ("evt.type", "?")],
    );
}

#[test]
fn alerts_of_both_forms_are_events() {
    let expected: &[_] = &[("evt.type", "execve"), ("proc.name", "cat"), ("evt.hostname", "h"), ("evt.time", "?")];
    let log = r#"{"time":5,"id":"a-1-2","rule":"R","priority":"Warning","source":"syscall","tags":[],"hostname":"h","message":"m","fields":{"evt.time":5,"evt.type":"execve","proc.name":"cat"},"container":"0123456789abcdef","mode":"audit"}"#;
    check(log, expected);
    check(log, &[("container.id", "0123456789ab"), ("evt.rawtime", "5")]);
    let falco = r#"{"hostname":"h","output":"o","output_fields":{"evt.time.iso8601":6,"evt.type":"execve","proc.name":"cat","where":"x"},"priority":"Warning","rule":"R","source":"syscall","tags":[],"time":"2023-11-14T22:13:20.000000000Z"}"#;
    check(falco, expected);
    check(falco, &[("container.id", "?"), ("evt.rawtime", "6")]);
    for alert in [log, falco] {
        let event = RecordedEvent::parse(alert.as_bytes()).unwrap();
        assert_eq!((event.rule.as_deref(), event.unknown_names.len(), event.has_type()), (Some("R"), 0, true));
    }
}

#[test]
fn ancestors_are_known_as_a_whole_only_to_the_oldest() {
    let all = "proc.aname";
    check(r#"{"proc.aname": "sh init"}"#, &[(all, "?")]);
    check(r#"{"proc.aname": ["sh", "tmux: server"]}"#, &[(all, "any of [sh tmux: server]")]);
    check(r#"{"proc.pname": "sh", "proc.aname[2]": "init"}"#, &[(all, "?")]);
    check(r#"{"proc.pname": "sh", "proc.aname[2]": "init", "proc.aname[3]": null}"#, &[(all, "any of [sh init]")]);
    check(r#"{"proc.pname": null}"#, &[(all, "-")]);
    check(r#"{"proc.aexe": "sh"}"#, &[("proc.aexe", "?")]);
}

#[test]
fn names_of_an_address_are_known_where_there_are_some() {
    let of_server = "fd.sip.name";
    check(r#"{"fd.sip.name": "a.test b.test"}"#, &[(of_server, "any of [a.test b.test]")]);
    check(
        r#"{"fd.sip.name": ["a.test"], "fd.cip.name": null}"#,
        &[(of_server, "any of [a.test]"), ("fd.cip.name", "?")],
    );
    check(r#"{"fd.sip.name": []}"#, &[(of_server, "any of []")]);
}

#[test]
fn a_text_in_which_something_was_replaced_is_not_known() {
    check("{\"fd.name\": \"/tmp/\u{fffd}\", \"proc.name\": \"x\"}", &[("fd.name", "?"), ("proc.name", "x")]);
}

#[test]
fn names_that_are_no_fields_are_kept_for_the_report() {
    let event = RecordedEvent::parse(br#"{"proc.nmae": "x", "static.site": "y", "fd.name": "/z"}"#).unwrap();
    assert_eq!(event.unknown_names, ["proc.nmae"]);
    assert_eq!(
        event.knowledge(Field::Fd(FdField::Name), &Argument::Unused),
        Knowledge::Known(Some(Value::text(b"/z")))
    );
}

#[test]
fn what_is_no_event_says_why() {
    for (text, expected) in [
        ("[]", "the event is not a JSON object of fields, and no alert"),
        (r#"{"fields": 1}"#, "the event is not a JSON object of fields, and no alert"),
        (r#"{"evt.type": "opne"}"#, "`opne` is not an event type"),
        (r#"{"proc.pid": "x"}"#, "`proc.pid` must be an integer, and is \"x\""),
        (r#"{"proc.pid": [1, {}]}"#, "`proc.pid` must be an integer, and is [1,{}]"),
        (r#"{"fd.sip": "10.0.0.0/8"}"#, "`fd.sip` must be an IPv4 or IPv6 address, and is \"10.0.0.0/8\""),
        (r#"{"evt.failed": 1}"#, "`evt.failed` must be true or false, and is 1"),
        (r#"{"fd.name": {}}"#, "`fd.name` must be a text, and is {}"),
        ("{", "the event is not valid JSON"),
    ] {
        assert_eq!(RecordedEvent::parse(text.as_bytes()).map(|_| ()).unwrap_err().to_string(), expected, "{text}");
    }
}
