// SPDX-License-Identifier: Apache-2.0
//! The directory of one supervised container: which files it holds, who holds its lock, and the shim's plan.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::sys::stat::fstat;
use policy::{Mode, Watched};
use serde::Deserialize;

/// What guard and supervisor hold as long as they live.
const LOCK: &str = "lock";
/// Its name until it is held.
const UNNAMED_LOCK: &str = "lock.new";

/// One container's directory below `run_dir`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunDirectory(PathBuf);

/// What the shim decided when the container was created (`plan.json`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Plan {
    /// The container's full id.
    pub(crate) id: String,
    /// Audit or enforce.
    pub(crate) mode: Mode,
    /// The bundle's folder.
    pub(crate) bundle: PathBuf,
    /// Whether the low-level runtime knows the flag that holds signals back while a received call waits.
    pub(crate) wait_killable: bool,
    /// Whether the container is given what it could write to control groups with.
    pub(crate) exposed: bool,
}

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunDirectoryError {
    /// One of its files cannot be read or made.
    #[error("cannot use `{path}`")]
    File {
        /// Which one.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The plan is not what a shim of this version writes.
    #[error("cannot read the plan `{path}`")]
    Plan {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another guard lives here.
    #[error("`{0}` belongs to a guard that is alive")]
    Taken(PathBuf),
}

impl RunDirectory {
    /// Names the directory; nothing is read.
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The Unix socket that `listenerPath` names.
    pub(crate) fn listener(&self) -> PathBuf {
        self.0.join("listener")
    }

    /// The counters that `lanner ps` shows.
    pub(crate) fn counters(&self) -> PathBuf {
        self.0.join("counters")
    }

    /// Notes the calls beyond the base set that the container's profile notifies.
    pub(crate) fn set_trapped(&self, watched: &[Watched]) -> Result<(), RunDirectoryError> {
        let path = self.trapped_path();
        let failed = |source| RunDirectoryError::File { path: path.clone(), source };
        let content = serde_json::to_vec(watched).map_err(|error| failed(error.into()))?;
        fs::write(&path, content).map_err(failed)
    }

    /// The calls beyond the base set that the container's profile notifies.
    pub(crate) fn trapped(&self) -> Result<Vec<Watched>, RunDirectoryError> {
        let path = self.trapped_path();
        let failed = |source| RunDirectoryError::File { path: path.clone(), source };
        serde_json::from_slice(&fs::read(&path).map_err(failed)?).map_err(|error| failed(error.into()))
    }

    fn trapped_path(&self) -> PathBuf {
        self.0.join("trapped.json")
    }

    /// Reads the plan.
    pub(crate) fn plan(&self) -> Result<Plan, RunDirectoryError> {
        let path = self.0.join("plan.json");
        let bytes = fs::read(&path).map_err(|source| RunDirectoryError::File { path: path.clone(), source })?;
        serde_json::from_slice(&bytes).map_err(|source| RunDirectoryError::Plan { path, source })
    }

    /// Takes the lock that says "this container is supervised". The kernel frees it with its last descriptor, of which
    /// the guard has one and the supervisor another.
    pub(crate) fn lock(&self) -> Result<OwnedFd, RunDirectoryError> {
        // It gets its name when it is locked: one that nobody has locked counts as a dead guard's.
        let (path, unnamed) = (self.0.join(LOCK), self.0.join(UNNAMED_LOCK));
        let failed = |source| RunDirectoryError::File { path: path.clone(), source };
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&unnamed).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RunDirectoryError::Taken(self.0.clone())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        match fs::hard_link(&unnamed, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(RunDirectoryError::Taken(self.0.clone()));
            }
            Err(error) => return Err(failed(error)),
        }
        fs::remove_file(&unnamed).map_err(failed)?;
        Ok(file.into())
    }

    /// Removes directories beside this one that nobody holds: of a start that was killed, or of a guard and a supervisor that
    /// were killed at once. Their containers' names may never come again.
    pub(crate) fn remove_stale_siblings(&self) -> Result<(), RunDirectoryError> {
        let Some(run_dir) = self.0.parent() else { return Ok(()) };
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| RunDirectoryError::File { path, source }
        };
        let folder = File::open(run_dir).map_err(failed(run_dir))?;
        // Whoever makes a directory holds this lock, and removes what is stale under its name.
        if folder.try_lock().is_err() {
            return Ok(());
        }
        for entry in fs::read_dir(run_dir).map_err(failed(run_dir))? {
            let entry = entry.map_err(failed(run_dir))?;
            let path = entry.path();
            // What holds no plan under its container's name is nothing of ours, wherever the configuration has put us.
            let is_of = |plan: Plan| entry.file_name().as_encoded_bytes().starts_with(plan.id.as_bytes());
            let is_ours = Self::new(&path).plan().is_ok_and(is_of);
            // It may go by itself meanwhile.
            if is_ours && is_stale(&path).unwrap_or(false) {
                fs::remove_dir_all(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    /// Removes the directory with all its files, unless it is by now another one than that of the open `lock`.
    pub(crate) fn remove_with(&self, lock: BorrowedFd<'_>) -> Result<(), RunDirectoryError> {
        let named = fs::metadata(self.0.join(LOCK));
        let is_own = named
            .is_ok_and(|named| fstat(lock).is_ok_and(|own| (own.st_dev, own.st_ino) == (named.dev(), named.ino())));
        if !is_own {
            return Ok(());
        }
        match fs::remove_dir_all(&self.0) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(RunDirectoryError::File { path: self.0.clone(), source }),
        }
    }
}

/// A directory this young without a lock is of a container that is starting, see `shim/src/run_directory.rs`.
const STARTING: Duration = Duration::from_secs(90);

/// Whether nobody holds the directory any more.
fn is_stale(path: &Path) -> io::Result<bool> {
    match File::open(path.join(LOCK)) {
        Ok(lock) => Ok(lock.try_lock().is_ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = fs::metadata(path)?.modified()?;
            Ok(SystemTime::now().duration_since(made).is_ok_and(|age| age > STARTING))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_lock_is_held_as_soon_as_it_has_its_name() {
        let scratch = tempfile::tempdir().unwrap();
        for number in 0..500 {
            let path = scratch.path().join(number.to_string());
            fs::create_dir(&path).unwrap();
            let seen = thread::scope(|scope| {
                let look = || {
                    let mut file = File::open(path.join(LOCK));
                    while file.is_err() {
                        file = File::open(path.join(LOCK));
                    }
                    file.unwrap().try_lock()
                };
                let (looker, held) = (scope.spawn(look), RunDirectory::new(&path).lock().unwrap());
                let seen = looker.join().unwrap();
                drop(held);
                seen
            });
            assert!(matches!(seen, Err(TryLockError::WouldBlock)), "{number}: {seen:?}");
        }
    }

    #[test]
    fn what_nobody_holds_is_removed_by_whoever_leaves() {
        let scratch = tempfile::tempdir().unwrap();
        let [leaving, held, dead, starting, killed] = ["leaving", "held", "dead", "starting", "killed"].map(|name| {
            let path = scratch.path().join(name);
            fs::create_dir(&path).unwrap();
            let plan =
                format!(r#"{{"id":"{name}","mode":"audit","bundle":"/b","wait_killable":true,"exposed":false}}"#);
            fs::write(path.join("plan.json"), plan).unwrap();
            path
        });
        let strange = scratch.path().join("strange");
        fs::create_dir(&strange).unwrap();
        File::open(&strange).unwrap().set_modified(SystemTime::now() - 2 * STARTING).unwrap();
        let _held = RunDirectory::new(&held).lock().unwrap();
        drop(RunDirectory::new(&dead).lock().unwrap());
        File::open(&killed).unwrap().set_modified(SystemTime::now() - 2 * STARTING).unwrap();
        fs::write(scratch.path().join(".features.json"), "{}").unwrap();
        let own = RunDirectory::new(&leaving);
        own.remove_with(std::os::fd::AsFd::as_fd(&own.lock().unwrap())).unwrap();
        own.remove_stale_siblings().unwrap();
        let there = [leaving, held, dead, starting, killed].map(|path| path.exists());
        assert_eq!(there, [false, true, false, true, false]);
        assert!(strange.exists() && scratch.path().join(".features.json").exists());
    }

    #[test]
    fn a_directory_is_taken_once() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = RunDirectory::new(scratch.path());
        let held = directory.lock().unwrap();
        assert!(matches!(directory.lock(), Err(RunDirectoryError::Taken(_))));
        directory.remove_with(std::os::fd::AsFd::as_fd(&held)).unwrap();
        assert!(!scratch.path().exists());
    }
}
