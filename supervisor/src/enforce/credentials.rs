// SPDX-License-Identifier: Apache-2.0
//! What a task may do to files: ids, groups, capabilities; read from the task, and put on by our own thread.

use std::{io, sync::Arc};

use nix::sys::{
    prctl::{set_dumpable, set_pdeathsig},
    signal::Signal,
};
use serde::{Deserialize, Serialize};

use super::Upheaval;
use crate::{
    process::{Process, Status},
    sys::{self, Capabilities, Ids},
};

/// A task's user and groups, in the numbering of our own user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Person {
    users: Ids,
    groups: Ids,
    supplementary: Arc<[u32]>,
}

impl Person {
    /// That of the task; `None` when it is gone.
    pub(super) fn of(process: &Process, upheaval: &Upheaval) -> Option<Self> {
        let (users, groups) = process.ids()?;
        let supplementary = process.supplementary_groups(upheaval.groups())?;
        Some(Self { users, groups, supplementary })
    }

    /// Whether both are in the same supplementary groups.
    pub(super) fn shares_groups(&self, other: &Self) -> bool {
        self.supplementary == other.supplementary
    }

    /// What a thread of ours wears for this person: the ids that access to files goes by. Whoever has the real or saved user
    /// of a task may signal it (kill(2)), in the container or outside, and could stop or kill us: in these ours stays root.
    pub(super) fn outfit(&self) -> Self {
        Self { users: Ids { real: 0, saved: 0, ..self.users }, ..self.clone() }
    }

    /// Makes the calling thread this person as far as it is not `worn` already and not `fixed`; its capabilities stay.
    pub(super) fn put_on(&self, worn: Option<&Self>, fixed: Fixed) -> io::Result<()> {
        if fixed == Fixed::Person {
            return Ok(());
        }
        if fixed == Fixed::Nothing && worn.is_none_or(|worn| !worn.shares_groups(self)) {
            sys::set_supplementary_groups(&self.supplementary)?;
        }
        if worn.is_none_or(|worn| worn.groups != self.groups) {
            sys::set_groups_ids(self.groups)?;
        }
        if worn.is_none_or(|worn| worn.users != self.users) {
            sys::set_users(self.users)?;
        }
        Ok(())
    }
}

/// What a thread cannot change of itself in its user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fixed {
    /// It can be anybody whom the namespace numbers.
    Nothing,
    /// The namespace denies `setgroups`.
    Groups,
    /// The namespace does not number anybody, or no root.
    Person,
}

/// A task's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    person: Person,
    /// Effective capabilities.
    capabilities: u64,
}

/// A task's credentials cannot be taken on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// The task is gone.
    #[error("the task's credentials cannot be read")]
    Unreadable,
    /// Its capabilities count in another user namespace, where they are worth less.
    #[error("the task lives in another user namespace")]
    ForeignNamespace(
        /// Its inode.
        u64,
    ),
    /// The kernel refused.
    #[error("cannot take on the task's credentials")]
    Refused(#[from] io::Error),
}

// Of `linux/capability.h`.
const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
const CAP_SYS_PTRACE: u64 = 1 << 19;

/// What a file of procfs is to the task that it is opened for. A process may look at itself whatever its rights are
/// (`same_thread_group` in `__ptrace_may_access` of the kernel's `ptrace.c`), and no thread of ours belongs to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kinship {
    /// The task's rights decide, since it is not surely one of its own process.
    #[default]
    None,
    /// One of its own process, which mode and owner decide about.
    Own,
    /// The directory of its own process' descriptors or mappings, which is open to it whatever mode and owner say
    /// (`proc_fd_permission` of `fs/proc/fd.c`).
    Descriptors,
    /// The name of one of its threads, which it may change whatever mode and owner say (`proc_tid_comm_permission` of
    /// `fs/proc/base.c`).
    ThreadName,
}

impl Kinship {
    /// The capabilities that stand for it. Of whoever opened these files, the kernel asks for none of them later.
    fn capabilities(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Own => CAP_SYS_PTRACE,
            Self::Descriptors => CAP_SYS_PTRACE | CAP_DAC_READ_SEARCH,
            Self::ThreadName => CAP_DAC_OVERRIDE,
        }
    }
}

/// What must be unchanged where a call is made for a task that does not wait for it any more, and may have gone on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// See [`Process::program_mark`].
    program: Vec<u8>,
    users: Ids,
    groups: Ids,
    supplementary: Vec<u32>,
    /// Effective capabilities.
    capabilities: u64,
}

impl Standing {
    /// The task's; `None` when it is gone.
    pub(crate) fn of(process: &Process) -> Option<Self> {
        let status = process.status()?;
        let capabilities = Capabilities::of(process.task()).ok()?.effective();
        let program = process.program_mark()?;
        let Status { users, group_ids: groups, groups: supplementary, .. } = status;
        Some(Self { program, users, groups, supplementary, capabilities })
    }
}

impl Credentials {
    /// Those of the task; `namespace` is the inode of our own user namespace.
    pub(crate) fn of(process: &Process, namespace: u64, upheaval: &Upheaval) -> Result<Self, CredentialsError> {
        let own = process.user_namespace(upheaval.is_settled()).ok_or(CredentialsError::Unreadable)?;
        if own != namespace {
            return Err(CredentialsError::ForeignNamespace(own));
        }
        let person = Person::of(process, upheaval).ok_or(CredentialsError::Unreadable)?;
        let capabilities = Capabilities::of(process.task()).map_err(|_gone| CredentialsError::Unreadable)?.effective();
        Ok(Self { person, capabilities })
    }

    /// The user that access to files is decided by.
    pub(super) fn file_user(&self) -> u32 {
        self.person.users.file
    }
}

/// The credentials that a thread of ours has put on.
///
/// Ids and groups stay on after a call, since the next one comes mostly from the same program; they take nothing away
/// from a thread that has all capabilities. The capabilities are put on for each step and taken off again.
#[derive(Debug)]
pub(super) struct Wardrobe {
    own: Capabilities,
    worn: Option<Credentials>,
    fixed: Fixed,
    is_helper: bool,
}

/// The target's capabilities are effective as long as this lives.
#[derive(Debug)]
pub(super) struct Worn<'a>(&'a Wardrobe);

impl Wardrobe {
    /// For the calling thread, which must be the one that uses it.
    pub(super) fn new(fixed: Fixed) -> io::Result<Self> {
        sys::keep_capabilities().map_err(|error| error.source)?;
        Ok(Self { own: Capabilities::of(0)?, worn: None, fixed, is_helper: false })
    }

    /// For the only thread of a process that the container must not look into, and that ends with whoever started it.
    pub(super) fn of_helper(fixed: Fixed) -> io::Result<Self> {
        Ok(Self { is_helper: true, ..Self::new(fixed)? })
    }

    /// Puts our own ids on again.
    pub(super) fn undress(&mut self) -> io::Result<()> {
        self.worn = None;
        sys::set_supplementary_groups(&[])?;
        sys::set_groups_ids(Ids::default())?;
        sys::set_users(Ids::default())
    }

    /// Puts on `credentials`.
    pub(super) fn wear(&mut self, credentials: &Credentials) -> io::Result<Worn<'_>> {
        let worn = self.worn.take();
        let person = credentials.person.outfit();
        person.put_on(worn.as_ref().map(|worn| &worn.person), self.fixed)?;
        if self.is_helper {
            // Other ids undo both (`commit_creds` of the kernel's `cred.c`).
            set_dumpable(false)?;
            set_pdeathsig(Signal::SIGKILL)?;
        }
        self.worn = Some(Credentials { person, capabilities: credentials.capabilities });
        self.put_on()?;
        Ok(Worn(self))
    }

    fn put_on(&self) -> io::Result<()> {
        self.put_on_with(Kinship::None)
    }

    fn put_on_with(&self, kinship: Kinship) -> io::Result<()> {
        let capabilities = self.worn.as_ref().map_or(0, |worn| worn.capabilities);
        self.own.with_effective(capabilities | kinship.capabilities()).apply()
    }
}

impl Worn<'_> {
    /// Does something with our own capabilities.
    pub(super) fn lay_aside<T>(&self, action: impl FnOnce() -> T) -> io::Result<T> {
        self.0.own.apply()?;
        let result = action();
        self.0.put_on()?;
        Ok(result)
    }

    /// Does something as the task, and where that is refused, as the task that what is asked for is kin to.
    pub(super) fn as_kin<T>(
        &self,
        kinship: impl FnOnce() -> io::Result<Kinship>,
        action: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        let refused = match action() {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => error,
            done => return done,
        };
        let kinship = kinship()?;
        if kinship == Kinship::None {
            return Err(refused);
        }
        self.0.put_on_with(kinship)?;
        let done = action();
        self.0.put_on()?;
        done
    }
}

impl Drop for Worn<'_> {
    fn drop(&mut self) {
        // All of them are still permitted, so that this cannot be refused; if it were, every later call of this thread
        // would fail for want of rights, which is loud and closed.
        if let Err(error) = self.0.own.apply() {
            tracing::error!(%error, "our own capabilities cannot be taken back");
        }
    }
}
