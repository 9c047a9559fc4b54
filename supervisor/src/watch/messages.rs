// SPDX-License-Identifier: Apache-2.0
//! A call that sends several messages: the one of them which the rules are strictest with stands for the call.

use std::collections::HashSet;

use super::alerting::Matches;
use crate::{
    decode::Call,
    event::{CallEvent, Context},
    in_force::InForce,
    target::Target,
};

/// The event of a call, of several messages that of the strictest; of equals it is the first. Messages that rules cannot tell
/// apart are judged once.
pub(super) fn strictest<'a>(context: &'a Context, in_force: &InForce, call: Call, target: Target<'a>) -> CallEvent<'a> {
    let moment = context.clock.tick();
    let mut chosen = CallEvent::new(context, call, target, moment);
    if call.messages() < 2 {
        return chosen;
    }
    let strictness = |event: &CallEvent<'_>| Matches::of(in_force, event).map(|matches| matches.action());
    let visible = |event: &CallEvent<'_>| (event.subject_address().cloned(), event.data(), event.data_length());
    let mut strictest = strictness(&chosen);
    let mut seen = HashSet::from([visible(&chosen)]);
    for place in 1..call.messages() {
        let event = CallEvent::new(context, call, target, moment);
        event.set_message(place);
        event.set_thread(chosen.shared_caller());
        if !seen.insert(visible(&event)) {
            continue;
        }
        let found = strictness(&event);
        if found > strictest {
            (chosen, strictest) = (event, found);
        }
    }
    chosen
}
