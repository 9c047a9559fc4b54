// SPDX-License-Identifier: Apache-2.0
//! Explanations for programs.

use serde_json::{Map, Value as Json, json};

use super::{Explanation, Kind, Part, SeenValue};

impl Explanation {
    /// The explanation as an object; `condition` is the tree.
    pub fn to_json(&self) -> Json {
        json!({
            "rule": self.rule,
            "enabled": self.enabled,
            "result": self.truth().as_str(),
            "exceptions": self.exceptions(),
            "unknown_fields": self.unknown_fields(),
            "condition": part(&self.root),
        })
    }
}

fn value(seen: &SeenValue) -> Option<Json> {
    match seen {
        SeenValue::Unknown => None,
        SeenValue::Absent => Some(Json::Null),
        SeenValue::Value(value) => Some(value.clone()),
    }
}

fn part(found: &Part) -> Json {
    let mut object = Map::new();
    let mut set = |key: &str, value: Json| object.insert(key.to_owned(), value);
    let kind = match &found.kind {
        Kind::And(_) => "and",
        Kind::Or(_) => "or",
        Kind::Not(_) => "not",
        Kind::Macro(name, _) => {
            set("name", json!(name));
            "macro"
        }
        Kind::Exception(name, _) => {
            set("name", json!(name));
            "exception"
        }
        Kind::Check(check) => {
            set("check", json!(check.check.to_string()));
            let known = check.seen.iter().filter_map(|seen| Some((seen.field.clone(), value(&seen.value)?)));
            set("fields", Json::Object(known.collect()));
            set("unknown_fields", json!(check.unknown_fields().collect::<Vec<_>>()));
            "check"
        }
    };
    set("kind", json!(kind));
    set("result", json!(found.truth.as_str()));
    set("reached", json!(found.reached));
    let children = found.children();
    if !children.is_empty() {
        set("parts", children.iter().map(part).collect());
    }
    Json::Object(object)
}
