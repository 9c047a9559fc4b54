// SPDX-License-Identifier: Apache-2.0
//! What an open costs that no stock rule matches, and what loading the stock files costs; wall time, best of many runs.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::use_debug,
    clippy::wildcard_enum_match_arm,
    reason = "a bench prints its result and may die"
)]

use std::{
    hint::black_box,
    path::PathBuf,
    time::{Duration, Instant},
};

use rules::{
    Argument, ContainerField, Event, EventType, EvtField, FdField, Field, LoadOptions, Loader, ProcField, Ruleset,
    UserField, Value,
};

/// `cat /tmp/x` in a container.
struct Open(EventType);

impl Event for Open {
    fn event_type(&self) -> EventType {
        self.0
    }

    fn value(&self, field: Field, _: &Argument) -> Option<Value<'_>> {
        let text = |text: &'static str| Some(Value::text(text.as_bytes()));
        match field {
            Field::Evt(EvtField::IsOpenRead) => Some(Value::Bool(true)),
            Field::Evt(EvtField::IsOpenWrite) => Some(Value::Bool(false)),
            Field::Evt(EvtField::Num) => Some(Value::Uint(7)),
            Field::Evt(EvtField::Res) => text("SUCCESS"),
            Field::Fd(FdField::Num) => Some(Value::Int(3)),
            Field::Fd(FdField::Typechar) => text("f"),
            Field::Fd(FdField::Name | FdField::Nameraw) => text("/tmp/data/file-of-some-length.txt"),
            Field::Fd(FdField::Directory) => text("/tmp/data"),
            Field::Fd(FdField::Filename) => text("file-of-some-length.txt"),
            Field::Proc(ProcField::Name) => text("cat"),
            Field::Proc(ProcField::Pname) => text("sh"),
            Field::Proc(ProcField::Cmdline) => text("cat /tmp/data/file-of-some-length.txt"),
            Field::Container(ContainerField::Id) => text("0123456789ab"),
            Field::User(UserField::Name) => text("root"),
            _ => None,
        }
    }
}

fn stock() -> Option<Vec<(String, Vec<u8>)>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("LANNER_SHARED").map_or(beside, PathBuf::from).join("falco/rules");
    let names = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];
    names.iter().map(|name| Some(((*name).to_owned(), std::fs::read(folder.join(name)).ok()?))).collect()
}

fn load(files: &[(String, Vec<u8>)]) -> Ruleset {
    let mut loader = Loader::new(LoadOptions::default());
    for (name, content) in files {
        loader.add(name, content);
    }
    loader.finish().ruleset.unwrap()
}

/// The shortest of some runs: noise only ever adds.
fn best(runs: usize, mut work: impl FnMut()) -> Duration {
    let times = (0..runs).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap()
}

fn main() {
    const EVENTS: u32 = 10_000;
    let Some(files) = stock() else { return println!("skipped: no stock files") };
    println!("load three files: {:?}", best(5, || drop(black_box(load(&files)))));
    let ruleset = load(&files);
    for name in ["open", "openat", "execve", "connect", "close"] {
        let event = Open(EventType::from_name(name).unwrap());
        let mut matches = 0;
        let time = best(30, || {
            for _ in 0..EVENTS {
                ruleset.evaluate(black_box(&event), &mut |_| matches += 1);
            }
        });
        println!("{name}: {:?}, {} rules, {matches} matches", time / EVENTS, ruleset.rules_for(event.0).count());
    }
}
