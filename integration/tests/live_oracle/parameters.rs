// SPDX-License-Identifier: Apache-2.0
//! `evt.args` taken apart: the parameters of an event, by name.

use std::{collections::HashMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

/// The names of each event type's parameters, in the order in which `evt.args` prints them.
#[derive(Debug)]
pub(crate) struct Parameters(HashMap<String, Vec<String>>);

#[derive(Deserialize)]
struct EventType {
    name: String,
    dir: String,
    params: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
}

impl Parameters {
    /// Reads Falco's own list, of which the events behind calls count.
    pub(crate) fn read(file: &Path) -> Self {
        let groups: HashMap<String, Value> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let lists = groups.into_values().filter(Value::is_array);
        let types = lists.flat_map(|list| serde_json::from_value::<Vec<EventType>>(list).unwrap());
        let behind = types.filter(|event| event.dir == "<");
        let names = |event: EventType| (event.name, event.params.into_iter().map(|parameter| parameter.name).collect());
        Self(behind.map(names).collect())
    }

    /// Names and values in `text`. A value ends where the next name that is there begins.
    pub(crate) fn split(&self, event_type: &str, text: &str) -> Vec<(String, String)> {
        let text = format!(" {text}");
        let mut found: Vec<(&str, usize, usize)> = Vec::new(); // where the parameter begins, and its value
        for name in self.0.get(event_type).into_iter().flatten() {
            let from = found.last().map_or(0, |(_, _, value)| *value);
            let sign = format!(" {name}=");
            let place = text.get(from..).and_then(|rest| rest.find(&sign));
            found.extend(place.map(|place| (name.as_str(), from + place, from + place + sign.len())));
        }
        let ends = found.iter().skip(1).map(|(_, start, _)| *start).chain([text.len()]);
        let pairs = found.iter().zip(ends);
        pairs.map(|((name, _, value), end)| ((*name).to_owned(), text.get(*value..end).unwrap().to_owned())).collect()
    }
}

#[test]
fn values_may_hold_blanks_and_signs() {
    let names = ["fd", "dirfd", "name", "flags"].map(str::to_owned).to_vec();
    let parameters = Parameters(HashMap::from([("openat".to_owned(), names)]));
    let split = parameters.split("openat", "fd=3(<f>/a b=c) name=x dirfd=1 flags=0");
    let expected = [("fd", "3(<f>/a b=c) name=x"), ("dirfd", "1"), ("flags", "0")];
    assert_eq!(split, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}
