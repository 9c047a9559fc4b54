// SPDX-License-Identifier: Apache-2.0
//! Events of real processes, stopped at the entry of real calls.

mod category;
mod descriptor;
mod evt;
mod exec;
mod network;
mod open;
mod oracle;
mod outcome;
mod process;
mod rules;
mod stopped;

use ::rules::{Argument, Event, Field, Value};

use super::{CallEvent, Context};
use crate::{
    container::Identity,
    decode::Call,
    target::{Target, Width},
};
use stopped::Stopped;

/// A container that nobody described.
fn context() -> Context {
    Context::new(Identity { id: "0123456789ab".to_owned(), name: "test".to_owned(), ..Identity::default() })
}

/// Always pending: a stopped process stays where it is.
const PENDING: &dyn Fn() -> bool = &|| true;

fn event<'a>(context: &'a Context, stopped: &Stopped) -> CallEvent<'a> {
    let (arch, number, arguments) = stopped.call();
    let target = Target::new(stopped.task(), PENDING);
    let call = Call::decode(arch, number, arguments, &target).expect("the stop is at a watched call");
    CallEvent::new(context, call, target, context.clock.tick())
}

/// The event of another call than the one that the process is stopped at.
fn calling<'a>(context: &'a Context, stopped: &Stopped, name: &str, arguments: [u64; 2]) -> CallEvent<'a> {
    let [first, second] = arguments;
    let event_type = ::rules::EventType::from_name(name).expect("a known event type");
    let call = Call::new(event_type, Width::Eight, [first, second, 0, 0, 0, 0]);
    CallEvent::new(context, call, Target::new(stopped.task(), PENDING), context.clock.tick())
}

/// The text of a field such as `proc.aname[2]`; `None` where it is absent.
#[track_caller]
fn text(event: &CallEvent<'_>, field: &str) -> Option<String> {
    value(event, field).map(|bytes| String::from_utf8(bytes).expect("this test's values are UTF-8"))
}

#[track_caller]
fn value(event: &CallEvent<'_>, field: &str) -> Option<Vec<u8>> {
    let (name, argument) = match field.split_once('[') {
        Some((name, rest)) => {
            let key = rest.trim_end_matches(']');
            (name, key.parse().map_or_else(|_| Argument::Key(key.into()), Argument::Index))
        }
        None => (field, Argument::Unused),
    };
    let (name, argument) = match name.strip_prefix("evt.arg.") {
        Some(parameter) => ("evt.arg", Argument::Key(parameter.into())),
        None => (name, argument),
    };
    let field: Field = Field::describe(name).expect("a known field").field;
    event.value(field, &argument).map(render)
}

fn render(value: Value<'_>) -> Vec<u8> {
    match value {
        Value::Bool(value) => value.to_string().into_bytes(),
        Value::Int(value) => value.to_string().into_bytes(),
        Value::Uint(value) => value.to_string().into_bytes(),
        Value::Double(value) => value.to_string().into_bytes(),
        Value::Ip(value) => value.to_string().into_bytes(),
        Value::Text(value) | Value::Bytes(value) => value.into_owned(),
        Value::List(values) | Value::Any(values) => {
            values.into_iter().map(render).collect::<Vec<_>>().join(b",".as_slice())
        }
    }
}

/// Every pair of field and text holds.
#[track_caller]
fn check(event: &CallEvent<'_>, expected: &[(&str, &str)]) {
    for (field, expected) in expected {
        assert_eq!(text(event, field).as_deref(), Some(*expected), "{field}");
    }
}
