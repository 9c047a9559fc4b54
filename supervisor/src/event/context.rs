// SPDX-License-Identifier: Apache-2.0
//! [`Context`]: what all events of one container share.

use std::{
    os::fd::BorrowedFd,
    sync::{Arc, OnceLock},
};

use super::Clock;
use crate::{
    account::{Accounts, Realm},
    container::Identity,
    names::NameTable,
    process::{Process, ProcessTable},
};

/// Lives as long as the supervisor; all parts may be used by several threads.
#[derive(Debug)]
pub(crate) struct Context {
    /// Who the container is.
    pub(crate) identity: Identity,
    /// Handles of processes.
    pub(crate) processes: ProcessTable,
    /// The container's users and groups.
    pub(crate) accounts: Accounts,
    /// Names of addresses.
    pub(crate) names: Arc<NameTable>,
    /// Numbers and dates events.
    pub(crate) clock: Clock,
    hostname: String,
    init: OnceLock<u32>,
    realm: OnceLock<Realm>,
}

impl Context {
    /// For the container `identity`.
    ///
    /// *Falco:* the environment variable `FALCO_HOSTNAME` replaces the host's own name.
    pub(crate) fn new(identity: Identity) -> Self {
        let named = std::env::var("FALCO_HOSTNAME").ok().filter(|name| !name.is_empty());
        let own = || nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        Self {
            identity,
            processes: ProcessTable::default(),
            accounts: Accounts::default(),
            names: Arc::default(),
            clock: Clock::new(),
            hostname: named.unwrap_or_else(own),
            init: OnceLock::new(),
            realm: OnceLock::new(),
        }
    }

    /// The host's name.
    pub(crate) fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Notes the container's first process (in our pid namespace), as the low-level runtime reports it. Later calls, for
    /// processes that join the container, change nothing.
    pub(crate) fn set_init(&self, process: u32) {
        let process = *self.init.get_or_init(|| process);
        if self.realm.get().is_none()
            && let Some(realm) = Process::open(process).and_then(|process| Realm::of(&process))
        {
            self.realm.get_or_init(|| realm);
        }
    }

    /// The container's root directory as its first program found it, which is what paths in rules begin at: a task may
    /// have taken another one since.
    pub(crate) fn root(&self) -> Option<BorrowedFd<'_>> {
        self.realm().map(Realm::root)
    }

    /// Takes over what a predecessor found: the first program may have gone elsewhere since.
    pub(crate) fn set_realm(&self, realm: Realm) {
        self.realm.get_or_init(|| realm);
    }

    /// What the container's first program had: where numbers of users and groups mean something.
    pub(crate) fn realm(&self) -> Option<&Realm> {
        self.realm.get()
    }

    /// The container's first process, once it is known.
    pub(super) fn init(&self) -> Option<u32> {
        self.init.get().copied()
    }
}
