// SPDX-License-Identifier: Apache-2.0
//! Whether something of a task stayed unseen that is there: descriptors ran out, or it has a name that is longer than the
//! kernel tells. A rule that asks for it then does not match, so that who judges must not take that for an answer.

use std::{cell::Cell, io};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How often that happened to the calling thread.
pub(crate) fn unseen() -> u64 {
    COUNT.get()
}

/// Says that the calling thread did not see something that is there.
pub(crate) fn overlook() {
    COUNT.set(COUNT.get() + 1);
}

/// What was opened; a failure for want of a descriptor is counted.
pub(super) fn opened<T>(result: Result<T, impl Into<io::Error>>) -> Option<T> {
    counted(result, &[libc::EMFILE, libc::ENFILE])
}

/// Where a magic link leads. The kernel tells no name that does not fit into a page (`d_path`): directories may lie deeper.
pub(super) fn named<T>(result: Result<T, impl Into<io::Error>>) -> Option<T> {
    counted(result, &[libc::ENAMETOOLONG])
}

/// A file that is looked for; where names change all the time, it is not found for a while.
pub(crate) fn found<T>(result: Result<T, impl Into<io::Error>>) -> Option<T> {
    counted(result, &[libc::EMFILE, libc::ENFILE, libc::EAGAIN])
}

fn counted<T>(result: Result<T, impl Into<io::Error>>, errnos: &[i32]) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error.into(),
    };
    if error.raw_os_error().is_some_and(|errno| errnos.contains(&errno)) {
        overlook();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_counts() {
        let failed = |errno| Err::<(), _>(io::Error::from_raw_os_error(errno));
        let before = unseen();
        assert_eq!((opened(failed(libc::ENOENT)), unseen() - before), (None, 0));
        assert_eq!((opened(failed(libc::EMFILE)), opened(failed(libc::ENFILE)), unseen() - before), (None, None, 2));
        assert_eq!(
            (named(failed(libc::ENOENT)), named(failed(libc::ENAMETOOLONG)), unseen() - before),
            (None, None, 3)
        );
        assert_eq!((found(failed(libc::ENOENT)), found(failed(libc::EAGAIN)), unseen() - before), (None, None, 4));
    }
}
