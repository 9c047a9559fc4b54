// SPDX-License-Identifier: Apache-2.0
//! Whether we ran out of descriptors while a task was looked at. What could not be opened then looks as if it were not
//! there, and a rule that asks for it does not match.

use std::{cell::Cell, io};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How often that happened to the calling thread.
pub(crate) fn shortages() -> u64 {
    COUNT.get()
}

/// What was opened; a failure for want of a descriptor is counted.
pub(super) fn opened<T>(result: Result<T, impl Into<io::Error>>) -> Option<T> {
    let error = match result {
        Ok(opened) => return Some(opened),
        Err(error) => error.into(),
    };
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
        COUNT.set(COUNT.get() + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lack_of_descriptors_counts() {
        let failed = |errno| opened::<()>(Err(io::Error::from_raw_os_error(errno)));
        let before = shortages();
        assert_eq!((failed(libc::ENOENT), shortages() - before), (None, 0));
        assert_eq!((failed(libc::EMFILE), failed(libc::ENFILE), shortages() - before), (None, None, 2));
    }
}
