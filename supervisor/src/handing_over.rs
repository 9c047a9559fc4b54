// SPDX-License-Identifier: Apache-2.0
//! Files on their way to a target. It goes on a moment before our own descriptor is closed, and what depends on who has a
//! file open waits for those that are under way: an exec, since a program that somebody has open for writing cannot be
//! executed (ETXTBSY), a file system's unmounting or remounting (EBUSY), an `flock` that does not wait, an
//! `inotify_add_watch` that would bring our close, and an open that waits for the other end of a FIFO, where we are nobody to
//! meet.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use crate::sys::FileFacts;

/// A close takes microseconds, but some file systems ask a server, which may never answer: then nobody is to wait.
const PATIENCE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_micros(20);
/// The same where nobody else waits meanwhile: on a busy machine it takes a while until the thread runs that closes.
const LONG_PATIENCE: Duration = Duration::from_secs(1);

/// Those that are counted together. Who waited for some in vain leaves their count to them, for whom nobody waits again, and
/// has another one begun.
#[derive(Debug, Default)]
pub(crate) struct HandingOver(ArcSwap<AtomicUsize>);

impl HandingOver {
    /// Runs `work`, which hands a file over and closes our descriptor.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let count = self.0.load_full();
        count.fetch_add(1, Ordering::AcqRel);
        let result = work();
        count.fetch_sub(1, Ordering::AcqRel);
        result
    }

    /// Waits until none is under way, or for as long as is reasonable.
    pub(crate) fn wait(&self) {
        let (begin, count) = (Instant::now(), self.0.load_full());
        while count.load(Ordering::Acquire) != 0 {
            if begin.elapsed() >= PATIENCE {
                // Not where somebody else has begun another one.
                self.0.compare_and_swap(&count, Arc::default());
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Files on their way whose other end somebody may have.
#[derive(Debug, Default)]
pub(crate) struct Meetings(Mutex<Vec<FileFacts>>);

impl Meetings {
    fn files(&self) -> MutexGuard<'_, Vec<FileFacts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work`, which hands the file over and closes our descriptor.
    pub(crate) fn during<T>(&self, file: FileFacts, work: impl FnOnce() -> T) -> T {
        self.files().push(file);
        let result = work();
        let mut files = self.files();
        if let Some(place) = files.iter().position(|other| *other == file) {
            files.swap_remove(place);
        }
        result
    }

    /// Waits until none of this file is under way, as long as `is_wanted`.
    pub(crate) fn wait(&self, file: &FileFacts, is_wanted: impl Fn() -> bool) {
        let begin = Instant::now();
        let is_under_way = || self.files().iter().any(|other| other.is_same_file(file));
        while is_under_way() && is_wanted() && begin.elapsed() < LONG_PATIENCE {
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn an_exec_waits_for_a_close_but_not_for_one_that_never_ends() {
        let (handing_over, (said, is_said)) = (&HandingOver::default(), mpsc::channel());
        let (close, is_closed) = mpsc::channel::<()>();
        handing_over.wait();
        thread::scope(|scope| {
            scope.spawn(move || {
                handing_over.during(|| {
                    said.send(()).unwrap();
                    is_closed.recv().unwrap();
                });
            });
            is_said.recv().unwrap();
            let start = Instant::now();
            handing_over.wait();
            assert!(start.elapsed() >= PATIENCE);
            // It hangs: nobody waits for it again.
            let start = Instant::now();
            handing_over.wait();
            assert!(start.elapsed() < PATIENCE);
            close.send(()).unwrap();
        });
        let start = Instant::now();
        handing_over.wait();
        assert!(start.elapsed() < PATIENCE);
    }
}
