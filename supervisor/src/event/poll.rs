// SPDX-License-Identifier: Apache-2.0
//! Fields `fdlist.*`: the descriptors that a poll waits for.
//!
//! *Falco* lists what the argument `fds` holds, whether something happened on a descriptor or not, so that all of it is
//! known before the call.

use rules::{FdListField, Value};

use super::{CallEvent, call::owned, connection::Ends, user::NO_NAME};
use crate::process::Process;

/// Descriptors that are listed. *Falco:* its probe takes the first sixteen (`MAX_POLLFD`).
const MAX_LISTED: usize = 16;
/// `struct pollfd`: a number and two sets of events, on every architecture.
const ENTRY: usize = 8;

impl CallEvent<'_> {
    /// The value of a field of a poll; other calls have none.
    pub(super) fn fd_list(&self, field: FdListField) -> Option<Value<'_>> {
        use FdListField as F;
        let numbers = self.polled()?;
        let ends = |number: &i32| self.thread()?.socket(*number).map(|socket| Ends::of(&socket));
        let shown = |part: &dyn Fn(Ends) -> Option<String>| -> Vec<Vec<u8>> {
            let parts = numbers.iter().filter_map(|number| part(ends(number)?));
            parts.map(String::into_bytes).collect()
        };
        let items = match field {
            F::Nums => numbers.iter().map(|number| number.to_string().into_bytes()).collect(),
            F::Names => {
                let thread = self.thread()?;
                numbers.iter().map(|number| name(thread, *number)).collect()
            }
            F::Cips => shown(&|ends| Some(ends.client?.0.to_string())),
            F::Sips => shown(&|ends| Some(ends.server?.0.to_string())),
            F::Cports => shown(&|ends| Some(ends.client?.1.to_string())),
            // *Falco:* a socket that listens has the address of a server, and no port.
            F::Sports => shown(&|ends| ends.client.and(ends.server).map(|(_, port)| port.to_string())),
        };
        let text = items.join(b",".as_slice());
        (!text.is_empty()).then(|| owned(text))
    }

    /// The numbers in the argument `fds`; unreadable memory is an empty list, as in Falco.
    fn polled(&self) -> Option<Vec<i32>> {
        if !matches!(self.call.layout().name, "poll" | "ppoll") {
            return None;
        }
        let count = usize::try_from(self.call.word(1)).unwrap_or(MAX_LISTED).min(MAX_LISTED);
        let mut raw = [0; MAX_LISTED * ENTRY];
        let entries = raw.get_mut(..count * ENTRY)?;
        self.target.exact(self.call.register(0), entries).ok()?;
        let number = |entry: &[u8]| entry.first_chunk().copied().map(i32::from_ne_bytes);
        entries.chunks_exact(ENTRY).map(number).collect()
    }
}

/// What `fd.name` is of a descriptor that no call is about. *Falco:* what has no name is shown as absent.
fn name(thread: &Process, number: i32) -> Vec<u8> {
    let of_socket = || Some(Ends::of(&thread.socket(number)?).name().unwrap_or_default());
    let name = thread
        .descriptor(number)
        .and_then(|descriptor| if descriptor.kind.is_socket() { of_socket() } else { Some(descriptor.name) });
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| NO_NAME.as_bytes().to_vec())
}
