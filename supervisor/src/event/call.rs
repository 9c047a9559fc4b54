// SPDX-License-Identifier: Apache-2.0
//! [`CallEvent`]: one trapped call, its lazily read facts, and [`rules::Event`] for it.

use std::{
    cell::OnceCell,
    hash::{Hash, Hasher},
    sync::Arc,
};

use rules::{Argument, Event, EventType, Field, LannerField, UtilField, Value};

use super::{Context, Moment, held::Held, image::Image, paths::Paths, subject::SubjectFile};
use crate::{
    decode::{Call, Open},
    enforce::{OpenRequest, RequestError},
    process::{Ancestors, Process, Stat, Status},
    target::Target,
};

/// What was decided about the call, for the fields `lanner.*` of its alerts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decision {
    /// audit or enforce.
    pub(crate) mode: &'static str,
    /// What the matching rules ask for.
    pub(crate) action: &'static str,
    /// What was done.
    pub(crate) verdict: &'static str,
}

/// One trapped call. Creating it reads nothing and allocates nothing.
pub(crate) struct CallEvent<'a> {
    pub(super) context: &'a Context,
    pub(super) call: Call,
    pub(super) target: Target<'a>,
    pub(super) moment: Moment,
    pub(super) paths: Paths,
    pub(super) image: Image,
    pub(super) file: SubjectFile,
    pub(super) held: Held,
    open: OnceCell<Option<Open>>,
    thread: OnceCell<Option<Arc<Process>>>,
    leader: OnceCell<Option<Arc<Process>>>,
    ancestors: Ancestors,
    stat: OnceCell<Option<Stat>>,
    status: OnceCell<Option<Status>>,
    result: OnceCell<i64>,
    decision: OnceCell<Decision>,
}

impl<'a> CallEvent<'a> {
    /// The call of `target`, received at `moment`.
    pub(crate) fn new(context: &'a Context, call: Call, target: Target<'a>, moment: Moment) -> Self {
        Self {
            context,
            call,
            target,
            moment,
            paths: Paths::default(),
            image: Image::default(),
            file: SubjectFile::default(),
            held: Held::default(),
            open: OnceCell::new(),
            thread: OnceCell::new(),
            leader: OnceCell::new(),
            ancestors: Ancestors::default(),
            stat: OnceCell::new(),
            status: OnceCell::new(),
            result: OnceCell::new(),
            decision: OnceCell::new(),
        }
    }

    /// Makes the call's real result known (what the kernel would return); without it, success is assumed.
    #[cfg(test)]
    pub(crate) fn set_result(&self, result: i64) {
        self.result.get_or_init(|| result);
    }

    /// What is needed to perform an open: the path as it was copied, and flags and mode as rules see them.
    ///
    /// Like the kernel, this looks at the flags first and then at the path.
    pub(crate) fn open_request(&self) -> Result<OpenRequest, RequestError> {
        self.call.check_open_size(&self.target)?;
        let open = self.open().ok_or(RequestError::Errno(libc::EFAULT))?;
        let path = self.read_path(0)?;
        OpenRequest::new(&self.call, path, open).ok_or(RequestError::Errno(libc::EFAULT))
    }

    /// Feeds the arguments that lie in memory to `hasher`; registers are not among them.
    pub(crate) fn hash_arguments(&self, hasher: &mut impl Hasher) {
        let paths: Vec<_> = (0..self.call.paths().count()).map(|index| self.raw_path(index)).collect();
        paths.hash(hasher);
        self.open().hash(hasher);
        self.subject_address().hash(hasher);
        self.held_text().hash(hasher);
        self.exec_path().hash(hasher);
        self.exec_arguments().hash(hasher);
        self.exec_environment().hash(hasher);
    }

    /// The call.
    pub(crate) fn call(&self) -> Call {
        self.call
    }

    /// Whether the call still waits.
    pub(crate) fn is_pending(&self) -> bool {
        self.target.is_pending()
    }

    /// The calling task.
    pub(crate) fn caller(&self) -> Option<&Arc<Process>> {
        self.thread()
    }

    /// Makes the decision known to the fields of alerts.
    pub(crate) fn set_decision(&self, decision: Decision) {
        self.decision.get_or_init(|| decision);
    }

    /// When the call was received.
    pub(crate) fn moment(&self) -> Moment {
        self.moment
    }

    /// The result as far as it is known.
    pub(super) fn known_result(&self) -> Option<i64> {
        self.result.get().copied()
    }

    /// Flags and mode of an open; `None` for other calls and where they are unreadable.
    pub(super) fn open(&self) -> Option<Open> {
        *self.open.get_or_init(|| Open::of(&self.call, &self.target)?.ok())
    }

    /// The thread that made the call. Its handle is fetched before asking whether the call still waits, so that it cannot
    /// be that of a later task with the same number.
    pub(super) fn thread(&self) -> Option<&Arc<Process>> {
        let fetch = || {
            let process = self.context.processes.get(self.target.tid());
            process.filter(|_| self.target.is_pending())
        };
        self.thread.get_or_init(fetch).as_ref()
    }

    /// Makes the thread's handle known where there is one already; it was fetched before the call was last seen waiting.
    pub(crate) fn set_thread(&self, thread: Option<Arc<Process>>) {
        if thread.is_some() {
            self.thread.get_or_init(|| thread);
        }
    }

    /// The calling task, to be kept.
    pub(crate) fn shared_caller(&self) -> Option<Arc<Process>> {
        self.thread.get().cloned().flatten()
    }

    /// The thread's process, which carries name and start time; its other facts may be gone when the first thread has
    /// ended, so that those are asked of [`Self::thread`].
    pub(super) fn leader(&self) -> Option<&Process> {
        let thread = self.thread()?;
        let number = thread.leader()?;
        if number == thread.task() {
            return Some(thread);
        }
        let fetch = || self.context.processes.get(number).filter(|_| self.target.is_pending());
        self.leader.get_or_init(fetch).as_deref()
    }

    /// Parent, grandparent, and so on; none is looked for that is not asked for.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Arc<Process>> {
        self.thread().into_iter().flat_map(|thread| self.ancestors.of(thread, &self.context.processes))
    }

    /// The parent.
    pub(super) fn parent(&self) -> Option<Arc<Process>> {
        self.ancestors().next()
    }

    /// What a question to parent or ancestors comes to, who may end meanwhile.
    pub(super) fn ask_kin<T>(&self, question: impl Fn() -> Option<T>) -> Option<T> {
        self.ancestors.ask(question)
    }

    /// What `read` tells of one of them; to be asked within [`Self::ask_kin`].
    pub(super) fn told_by<T>(&self, kin: &Process, read: impl FnOnce(&Process) -> Option<T>) -> Option<T> {
        self.ancestors.told_by(kin, read)
    }

    /// `stat` of the thread.
    pub(super) fn stat(&self) -> Option<Stat> {
        *self.stat.get_or_init(|| self.thread()?.stat())
    }

    /// `status` of the thread.
    pub(super) fn status(&self) -> Option<&Status> {
        self.status.get_or_init(|| self.thread()?.status()).as_ref()
    }
}

impl Event for CallEvent<'_> {
    fn event_type(&self) -> EventType {
        self.call.event_type()
    }

    fn value(&self, field: Field, argument: &Argument) -> Option<Value<'_>> {
        match field {
            Field::Evt(field) => self.evt(field, argument),
            Field::Proc(field) => self.proc(field, argument),
            Field::Thread(field) => self.thread_field(field, argument),
            Field::User(field) => self.user(field),
            Field::Group(field) => self.group(field),
            Field::Fd(field) => self.fd(field, argument),
            Field::FsPath(field) => self.fs_path(field),
            Field::FdList(field) => self.fd_list(field),
            Field::Util(UtilField::Cnt) => Some(Value::Uint(self.moment.number)),
            Field::Container(field) => self.container(field, argument),
            Field::K8s(field) => self.k8s(field, argument),
            Field::Lanner(field) => self.lanner(field),
        }
    }
}

impl CallEvent<'_> {
    fn lanner(&self, field: LannerField) -> Option<Value<'_>> {
        let decision = self.decision.get()?;
        Some(text(match field {
            LannerField::Mode => decision.mode,
            LannerField::Action => decision.action,
            LannerField::Verdict => decision.verdict,
        }))
    }
}

/// A text value that outlives the event's cells.
pub(super) fn text(text: &str) -> Value<'_> {
    Value::text(text.as_bytes())
}

/// A text value of its own.
pub(super) fn owned<'a>(text: impl Into<Vec<u8>>) -> Value<'a> {
    Value::Text(std::borrow::Cow::Owned(text.into()))
}

/// A text value unless it is empty.
pub(super) fn filled(value: &str) -> Option<Value<'_>> {
    (!value.is_empty()).then(|| text(value))
}
