// SPDX-License-Identifier: Apache-2.0
//! [`NameResolver`]: the thread that keeps the table of names up to date.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    NameTable,
    lookup::{Sources, look_up},
};

/// Time between two look-ups of a name whose addresses have changed. *Falco:* the same.
const SHORTEST: Duration = Duration::from_secs(10);
/// Time between two look-ups of a name whose addresses never change, to which the shortest is doubled. *Falco:* the same.
const LONGEST: Duration = Duration::from_secs(320);
/// Enough for the resolver, whose largest packets are on the heap.
const STACK_BYTES: usize = 1 << 20;

/// Says which names are wanted.
#[derive(Debug)]
pub(crate) struct NameResolver {
    table: Arc<NameTable>,
    wanted: Option<Sender<Vec<String>>>,
}

impl NameResolver {
    /// Nothing is resolved yet, and no thread runs.
    pub(crate) fn new(table: Arc<NameTable>) -> Self {
        Self { table, wanted: None }
    }

    /// Resolves these names from now on, and no others.
    pub(crate) fn want(&mut self, names: &[String]) {
        let sent = self.wanted.as_ref().is_some_and(|wanted| wanted.send(names.to_vec()).is_ok());
        if sent || names.is_empty() {
            return;
        }
        let (sender, receiver) = channel();
        let table = Arc::clone(&self.table);
        let run = move || Thread::new(table, Sources::of_the_host).run(&receiver);
        match thread::Builder::new().name("names".to_owned()).stack_size(STACK_BYTES).spawn(run) {
            // The receiver lives as long as the thread, which waits for this.
            Ok(_running) => self.wanted = sender.send(names.to_vec()).is_ok().then_some(sender),
            Err(error) => tracing::error!(%error, "names of addresses are not resolved"),
        }
    }
}

/// One name.
#[derive(Debug)]
pub(super) struct Entry {
    name: Arc<str>,
    addresses: Vec<IpAddr>,
    interval: Duration,
    due: Instant,
}

/// What the thread knows.
pub(super) struct Thread<S> {
    table: Arc<NameTable>,
    sources: S,
    entries: Vec<Entry>,
}

impl<S: FnMut() -> Sources> Thread<S> {
    /// `sources` says for each round where to look, so that changes of the host's files are noticed.
    pub(super) fn new(table: Arc<NameTable>, sources: S) -> Self {
        Self { table, sources, entries: Vec::new() }
    }

    /// Ends with the sender.
    fn run(mut self, wanted: &Receiver<Vec<String>>) {
        loop {
            let next = self.entries.iter().map(|entry| entry.due).min();
            let patience = next.map_or(LONGEST, |due| due.saturating_duration_since(Instant::now()));
            match wanted.recv_timeout(patience) {
                Ok(names) => self.set_names(names, Instant::now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.refresh(Instant::now());
        }
    }

    /// Takes over what is known of names that stay.
    pub(super) fn set_names(&mut self, names: Vec<String>, now: Instant) {
        let mut known: HashMap<_, _> = self.entries.drain(..).map(|entry| (Arc::clone(&entry.name), entry)).collect();
        let entry = |name: String| {
            let new = || Entry { name: name.as_str().into(), addresses: Vec::new(), interval: SHORTEST, due: now };
            known.remove(name.as_str()).unwrap_or_else(new)
        };
        self.entries = names.into_iter().map(entry).collect();
        self.publish();
    }

    /// Looks up what is due.
    pub(super) fn refresh(&mut self, now: Instant) {
        let due = self.entries.iter().filter(|entry| entry.due <= now);
        let names: Vec<_> = due.map(|entry| Arc::clone(&entry.name)).collect();
        if names.is_empty() {
            return;
        }
        let found = look_up((self.sources)(), &names);
        for entry in self.entries.iter_mut().filter(|entry| entry.due <= now) {
            entry.learn(found.get(&entry.name), now);
        }
        self.publish();
    }

    fn publish(&self) {
        self.table.replace(self.entries.iter().map(|entry| (&entry.name, entry.addresses.as_slice())));
    }
}

impl Entry {
    /// An answer replaces what was known; what nobody could say leaves it.
    fn learn(&mut self, found: Option<&Vec<IpAddr>>, now: Instant) {
        self.interval = match found {
            Some(addresses) if *addresses != self.addresses => {
                self.addresses.clone_from(addresses);
                SHORTEST
            }
            Some(_) => LONGEST.min(self.interval * 2),
            None => self.interval,
        };
        self.due = now + self.interval;
    }
}
