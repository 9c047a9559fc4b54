// SPDX-License-Identifier: Apache-2.0
//! Names of users and groups, from the container's own `/etc/passwd` and `/etc/group`.
//!
//! They are those of the container as a whole: a task may number itself as it likes in a user namespace of its own, and
//! take another root directory.
//!
//! The files belong to the container: they are opened below its root without following a link out of it, and read up to a
//! limit, if they are plain files.

use std::{
    ffi::CStr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use nix::sys::stat::{FileStat, fstat};

use crate::{
    control::Maps,
    plain_file::read_plain,
    process::{Process, found},
    sys::look_below,
};

/// Bytes of each file that are read; 10 000 accounts fit.
const MAX_FILE: usize = 1 << 20;
/// The maps of a user namespace (`user_namespaces(7)`), and bytes of each that are read; 340 lines fit.
const USERS: &str = "uid_map";
const GROUPS: &str = "gid_map";
const MAX_MAP: usize = 64 << 10;

/// A line of `passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Login name.
    pub(crate) name: Vec<u8>,
    /// Home directory.
    pub(crate) home: Vec<u8>,
    /// Login shell.
    pub(crate) shell: Vec<u8>,
}

/// The container's accounts, read again when a file changes.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    users: Mutex<Option<Table>>,
    groups: Mutex<Option<Table>>,
}

/// A file's content with what tells a changed file from the same one.
#[derive(Debug, Clone)]
struct Table {
    version: Version,
    content: Arc<[u8]>,
}

type Version = (u64, u64, i64, i64, i64, i64);

/// Where a container's numbers mean something: its root directory, and its user namespace with the host's numbers.
#[derive(Debug)]
pub(crate) struct Realm {
    root: OwnedFd,
    maps: Maps,
}

impl Realm {
    /// That of the process.
    pub(crate) fn of(process: &Process) -> Option<Self> {
        let root = process.open_link("root")?;
        let map = |name| String::from_utf8(map_of(process, name)?).ok();
        Some(Self { root, maps: Maps { users: map(USERS)?, groups: map(GROUPS)? } })
    }

    /// One that somebody else found.
    pub(crate) fn new(root: OwnedFd, maps: Maps) -> Self {
        Self { root, maps }
    }

    /// The maps of the user namespace.
    pub(crate) fn maps(&self) -> &Maps {
        &self.maps
    }

    /// The root directory.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

impl Accounts {
    /// The user with this host id.
    ///
    /// *Falco:* user 0 has a name even without an entry.
    pub(crate) fn user(&self, realm: &Realm, host_id: u32) -> Option<User> {
        let id = translated(realm.maps.users.as_bytes(), host_id, Direction::Inwards)?;
        let content = table(&self.users, realm.root(), c"etc/passwd");
        let found = content.as_deref().and_then(|content| User::parse(&find(content, id)?));
        found.or_else(|| (id == 0).then(User::root))
    }

    /// The name of the group with this host id.
    pub(crate) fn group(&self, realm: &Realm, host_id: u32) -> Option<Vec<u8>> {
        let id = translated(realm.maps.groups.as_bytes(), host_id, Direction::Inwards)?;
        let content = table(&self.groups, realm.root(), c"etc/group");
        let found = content.as_deref().and_then(|content| find(content, id)?.first().map(|name| name.to_vec()));
        found.or_else(|| (id == 0).then(|| b"root".to_vec()))
    }
}

impl User {
    fn parse(columns: &[&[u8]]) -> Option<Self> {
        let column = |index: usize| columns.get(index).map(|text| text.to_vec());
        Some(Self { name: column(0)?, home: column(5)?, shell: column(6).unwrap_or_default() })
    }

    fn root() -> Self {
        Self { name: b"root".to_vec(), home: b"/root".to_vec(), shell: Vec::new() }
    }
}

/// The columns of the line whose third one is `id`.
fn find(content: &[u8], id: u32) -> Option<Vec<&[u8]>> {
    let lines = content.split(|byte| *byte == b'\n');
    let mut entries = lines.map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>());
    entries.find(|columns| columns.get(2).and_then(|word| decimal(word)) == Some(id))
}

/// A map of a task's user namespace. Of our own the kernel shows one to the namespace above (`user_namespaces(7)`), while all that
/// it tells us has the numbers of ours: so it is under rootless Podman.
fn map_of(process: &Process, name: &str) -> Option<Vec<u8>> {
    static OWN: LazyLock<Option<u64>> = LazyLock::new(|| Process::own()?.user_namespace(true));
    let map = process.read(name, MAX_MAP)?;
    Some(as_seen(map, (process.user_namespace(false), *OWN)))
}

fn as_seen(map: Vec<u8>, (theirs, own): (Option<u64>, Option<u64>)) -> Vec<u8> {
    const ITSELF: &[u8] = b"0 0 4294967295\n";
    if theirs.is_some() && theirs == own { ITSELF.to_vec() } else { map }
}

/// The host's number of the user that a task calls `id`; `None` where its user namespace has no such user.
pub(crate) fn host_user(process: &Process, id: u32) -> Option<u32> {
    translated(&map_of(process, USERS)?, id, Direction::Outwards)
}

/// The host's number of the group that a task calls `id`; `None` where its user namespace has no such group.
pub(crate) fn host_group(process: &Process, id: u32) -> Option<u32> {
    translated(&map_of(process, GROUPS)?, id, Direction::Outwards)
}

/// Whether the task's user namespace has numbers for users yet.
pub(crate) fn has_numbers(process: &Process) -> bool {
    map_of(process, USERS).is_some_and(|map| !map.trim_ascii().is_empty())
}

/// Whether the task's user namespace has a number for the user that the host calls so.
pub(crate) fn numbers_user(process: &Process, host_id: u32) -> bool {
    map_of(process, USERS).is_some_and(|map| translated(&map, host_id, Direction::Inwards).is_some())
}

/// Whether the task's user namespace has a number for the group that the host calls so.
pub(crate) fn numbers_group(process: &Process, host_id: u32) -> bool {
    map_of(process, GROUPS).is_some_and(|map| translated(&map, host_id, Direction::Inwards).is_some())
}

/// Into the user namespace that a map is of, or out of it.
#[derive(Clone, Copy)]
enum Direction {
    Inwards,
    Outwards,
}

fn translated(map: &[u8], id: u32, direction: Direction) -> Option<u32> {
    map.split(|byte| *byte == b'\n').find_map(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(decimal);
        let (inside, outside, count) = (words.next()??, words.next()??, words.next()??);
        let (from, to) = match direction {
            Direction::Inwards => (outside, inside),
            Direction::Outwards => (inside, outside),
        };
        to.checked_add(id.checked_sub(from).filter(|offset| *offset < count)?)
    })
}

fn decimal(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn table(slot: &Mutex<Option<Table>>, root: BorrowedFd<'_>, path: &CStr) -> Option<Arc<[u8]>> {
    let (file, facts) = open(root, path)?;
    let version = version(&facts);
    let lock = || slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().as_ref().filter(|known| known.version == version) {
        return Some(Arc::clone(&known.content));
    }
    // Nobody else is to wait for it: a file system that a container serves may never answer.
    let content: Arc<[u8]> = read_plain(&file, &facts, MAX_FILE)?.into();
    *lock() = Some(Table { version, content: Arc::clone(&content) });
    Some(content)
}

fn version(facts: &FileStat) -> Version {
    (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime, facts.st_mtime_nsec, facts.st_ctime_nsec)
}

/// A path descriptor of the file `path` below the root directory, and what it is.
fn open(root: BorrowedFd<'_>, path: &CStr) -> Option<(OwnedFd, FileStat)> {
    let file = found(look_below(root, path))?;
    let facts = fstat(&file).ok()?;
    Some((file, facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_our_own_namespace_are_ours() {
        let of = |namespaces, id, direction| translated(&as_seen(b"0 4242 1\n".to_vec(), namespaces), id, direction);
        let both = |namespaces, id| [Direction::Inwards, Direction::Outwards].map(|way| of(namespaces, id, way));
        assert_eq!(both((Some(1), Some(1)), 0), [Some(0), Some(0)]);
        for another in [(Some(2), Some(1)), (None, Some(1)), (None, None)] {
            assert_eq!(both(another, 0), [None, Some(4242)]);
            assert_eq!(both(another, 4242), [Some(0), None]);
        }
    }
}
