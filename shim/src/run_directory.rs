// SPDX-License-Identifier: Apache-2.0
//! The container's directory below `run_dir`; ARCHITECTURE.md says what is in it and who holds its lock.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

/// Engines that use one id at the same time; more than a few is a mistake elsewhere.
const NAMES: u32 = 100;

/// A directory this young without a lock belongs to a guard that is still starting, which takes 50 s at most.
const STARTING: Duration = Duration::from_secs(90);

/// A directory that this start made.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
}

/// Why there is no directory for a container.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunDirectoryError {
    #[error("cannot make the directory `{}`", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("cannot lock the directory `{}`", path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error("cannot remove the directory `{}` of an earlier container", path.display())]
    Remove { path: PathBuf, source: io::Error },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{NAMES} supervised containers are already called `{id}`")]
    Exhausted { id: String },
}

impl RunDirectory {
    /// Makes a directory for `id`, under its name or the first that no live guard holds.
    pub(crate) fn make(run_dir: &Path, id: &str) -> Result<Self, RunDirectoryError> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700).recursive(true);
        builder.create(run_dir).map_err(|source| RunDirectoryError::Make { path: run_dir.to_owned(), source })?;
        builder.recursive(false);
        // Held to the end: between the look at an earlier container's directory and its removal, another start could put
        // its own in the place.
        let _lock = lock(run_dir).map_err(|source| RunDirectoryError::Lock { path: run_dir.to_owned(), source })?;
        for number in 1..=NAMES {
            let name = if number == 1 { id.to_owned() } else { format!("{id}-{number}") };
            let path = run_dir.join(name);
            if is_stale(&path) {
                fs::remove_dir_all(&path).map_err(|source| RunDirectoryError::Remove { path: path.clone(), source })?;
            }
            match builder.create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(RunDirectoryError::Make { path, source }),
            }
        }
        Err(RunDirectoryError::Exhausted { id: id.to_owned() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one of its files.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), RunDirectoryError> {
        let path = self.path.join(name);
        fs::write(&path, content).map_err(|source| RunDirectoryError::Write { path, source })
    }

    /// Takes it away again, as far as that is possible, unless a guard has it, which takes it away itself.
    pub(crate) fn discard(self) {
        if is_held(&self.path) {
            return;
        }
        // What remains is stale and goes with the next container of that name.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Whether there is such a directory, and neither a live guard nor one that is about to start holds it.
fn is_stale(path: &Path) -> bool {
    match File::open(path.join("lock")) {
        Ok(lock) => is_free(lock),
        Err(_) => fs::metadata(path)
            .and_then(|directory| directory.modified())
            .is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > STARTING)),
    }
}

/// Whether a live guard holds it.
fn is_held(path: &Path) -> bool {
    File::open(path.join("lock")).is_ok_and(|lock| !is_free(lock))
}

fn is_free(lock: File) -> bool {
    Flock::lock(lock, FlockArg::LockExclusiveNonblock).is_ok()
}

/// Waits for other starts that make a directory below `run_dir`.
fn lock(run_dir: &Path) -> io::Result<Flock<File>> {
    let mut directory = File::open(run_dir)?;
    loop {
        match Flock::lock(directory, FlockArg::LockExclusive) {
            Ok(lock) => return Ok(lock),
            Err((again, Errno::EINTR)) => directory = again,
            Err((_, errno)) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(directory: &RunDirectory) -> &str {
        directory.path().file_name().unwrap().to_str().unwrap()
    }

    #[test]
    fn a_live_guard_keeps_its_directory_and_a_dead_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = folder.path().join("run/lanner");
        let first = RunDirectory::make(&run_dir, "c1").unwrap();
        assert_eq!(name(&first), "c1");
        assert_eq!(fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);

        let second = RunDirectory::make(&run_dir, "c1").unwrap();
        assert_eq!(name(&second), "c1-2", "a directory without lock is being started");

        let lock = File::create(first.path().join("lock")).unwrap();
        let held = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
        first.write("plan.json", b"{}").unwrap();
        assert_eq!(name(&RunDirectory::make(&run_dir, "c1").unwrap()), "c1-3");

        drop(held);
        let fresh = RunDirectory::make(&run_dir, "c1").unwrap();
        assert_eq!(name(&fresh), "c1");
        assert_eq!(fs::read_dir(fresh.path()).unwrap().count(), 0);
        fresh.discard();
        assert_eq!(fs::read_dir(&run_dir).unwrap().count(), 2);
    }

    #[test]
    fn starts_that_find_the_same_directory_get_one_each() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..200 {
            let left = folder.path().join("c1");
            fs::create_dir(&left).unwrap();
            File::create(left.join("lock")).unwrap();
            let start = || {
                let made = RunDirectory::make(folder.path(), "c1").unwrap();
                made.write("plan.json", b"{}").unwrap();
                made
            };
            let made = std::thread::scope(|scope| {
                let starts = [(); 4].map(|()| scope.spawn(start));
                starts.map(|start| start.join().unwrap())
            });
            let mut names = made.each_ref().map(name);
            names.sort_unstable();
            assert_eq!(names, ["c1", "c1-2", "c1-3", "c1-4"]);
            made.into_iter().for_each(RunDirectory::discard);
        }
    }
}
