// SPDX-License-Identifier: Apache-2.0
//! Layouts agree with the event types' parameters.

use super::*;

const NOBODY: Target<'static> = Target::new(0, &|| false);

#[test]
fn every_layout_has_its_event_types_parameters() {
    let mut described = 0;
    for event_type in EventType::all() {
        let call = Call::new(event_type, Width::Eight, [0; 6]);
        if !call.layout().name.is_empty() {
            let parameters = call.event_type().description().parameters;
            assert_eq!(call.layout().sources.len(), parameters.len(), "{}", call.layout().name);
            described += 1;
        }
    }
    assert!(described > 50, "{described} layouts");
}

#[test]
fn numbers_are_those_of_their_architecture() {
    let name =
        |arch, number| Call::decode(arch, number, [3; 6], &NOBODY).ok().map(|call| (call.layout().name, call.width()));
    assert_eq!(name(0xC000_003E, 257), Some(("openat", Width::Eight)));
    assert_eq!(name(0xC000_003E, 0x4000_0208), Some(("execve", Width::Four)));
    assert_eq!(name(0x4000_0003, 11), Some(("execve", Width::Four)));
    assert_eq!(name(0x4000_0003, 102), Some(("connect", Width::Four)));
    assert_eq!(Call::decode(0x4000_0003, 102, [99; 6], &NOBODY).unwrap_err(), Undecodable::NoSuchCall);
    assert_eq!(name(0xC000_00B7, 56), Some(("openat", Width::Eight)));
    assert_eq!(name(0xC000_00B7, -1), None);
    assert_eq!(name(1, 2), None);
}

#[test]
fn an_execveat_is_reported_as_execve() {
    let call = Call::decode(0xC000_003E, 322, [0; 6], &NOBODY).unwrap();
    assert_eq!((call.event_type().name(), call.layout().name), ("execve", "execveat"));
}
