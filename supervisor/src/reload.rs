// SPDX-License-Identifier: Apache-2.0
//! Noticing that rules or configuration have changed: inotify on the folders that hold them.
//!
//! Folders rather than files, because editors rename a new file over the old one and a Kubernetes `ConfigMap` swaps a
//! symbolic link; a watched file would be the one that is gone. Where the kernel has no more watches for us (a user may have
//! 128 instances unless `fs.inotify.max_user_instances` says otherwise, and each container takes one), the files are looked
//! at every few seconds instead.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsStr,
    fs,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::fs::MetadataExt as _,
    },
    path::{self, Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor},
};

use crate::config::{Config, TextFile, rules_files};

/// How long after the first sign of a change the files are read: an editor's several steps become one reload, and a
/// change still applies well within a second.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);
/// How often files are looked at that cannot be watched.
const LOOK: Duration = Duration::from_secs(3);
/// Symbolic links that are followed from one file to the next.
const MAX_LINKS: usize = 8;

/// Watches the files of one configuration.
#[derive(Debug)]
pub(crate) struct ChangeWatcher {
    means: Means,
    concern: Concern,
}

/// How changes are noticed.
#[derive(Debug)]
enum Means {
    /// The kernel tells. One folder may be reached by several paths.
    Inotify { inotify: Inotify, folders: HashMap<WatchDescriptor, BTreeSet<PathBuf>> },
    /// We look, and compare with what we saw.
    Looks { seen: Seen, due: Instant },
}

/// What is known of each file or folder; nothing for one that is not there.
type Seen = BTreeMap<PathBuf, Option<State>>;

/// What changes with a file: device, inode, size, and time of the last change with its nanoseconds.
type State = (u64, u64, u64, i64, i64);

/// What a configuration depends on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Concern {
    /// Configuration and rule files, the folders of rules, and what those link to.
    texts: BTreeSet<PathBuf>,
    /// The event log and our own.
    logs: [PathBuf; 2],
}

/// What may have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Configuration or rule files.
    pub(crate) texts: bool,
    /// A log: it may have been rotated.
    pub(crate) log: bool,
}

/// What a possible change shows by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sign<'a> {
    /// This can be read.
    Readable(BorrowedFd<'a>),
    /// It is time to look.
    Due(Instant),
}

impl ChangeWatcher {
    /// Watches nothing yet.
    pub(crate) fn new() -> Self {
        let means = match Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK) {
            Ok(inotify) => Means::Inotify { inotify, folders: HashMap::new() },
            Err(errno) => Means::looks(errno),
        };
        Self { means, concern: Concern::default() }
    }

    /// Watches what the configuration at `path` with the `key=value` options over it depends on now. Whoever reads the files
    /// after this is told of every later change. Where it does not load, what was watched so far stays, with the files that
    /// it is made of now.
    pub(crate) fn cover_file(&mut self, path: &Path, options: &[String]) {
        let mut watched = None;
        while let Ok((config, _notices)) = Config::load(path, options) {
            let concern = Concern::of(&config);
            let folders = concern.folders();
            // What was read before it was watched may have named other files a moment later.
            if watched.as_ref() == Some(&folders) && concern == self.concern {
                return;
            }
            self.concern = concern;
            self.watch();
            watched = Some(folders);
        }
        let included = Config::included_by(path).unwrap_or_default();
        for path in included.iter().map(PathBuf::as_path).chain([path]) {
            self.concern.add(path);
        }
        self.watch();
    }

    /// Watches every folder in which a change could concern `config` too. A folder that does not exist yet is watched
    /// through its nearest ancestor; call this again after each change.
    pub(crate) fn cover(&mut self, config: &Config) {
        self.concern = Concern::of(config);
        self.watch();
    }

    fn watch(&mut self) {
        if let Means::Inotify { inotify, folders } = &mut self.means
            && let Err(errno) = watch(inotify, folders, &self.concern)
        {
            self.means = Means::looks(errno);
        }
        if let Means::Looks { seen, .. } = &mut self.means {
            // What was seen before stays, so that a change since then is one.
            let mut now = self.concern.look();
            for (path, state) in &mut now {
                *state = seen.get(path).copied().unwrap_or(*state);
            }
            *seen = now;
        }
    }

    /// What tells that [`Self::drain`] is to be called.
    pub(crate) fn sign(&self) -> Sign<'_> {
        match &self.means {
            Means::Inotify { inotify, .. } => Sign::Readable(inotify.as_fd()),
            Means::Looks { due, .. } => Sign::Due(*due),
        }
    }

    /// Takes the pending signs of change.
    pub(crate) fn drain(&mut self) -> Changes {
        match &mut self.means {
            Means::Inotify { inotify, folders } => {
                let mut changes = Changes::default();
                loop {
                    match inotify.read_events() {
                        Ok(events) => events.iter().for_each(|event| changes.add(event, folders, &self.concern)),
                        Err(Errno::EINTR) => {}
                        Err(_) => return changes,
                    }
                }
            }
            Means::Looks { seen, due } => {
                *due = Instant::now() + LOOK;
                let now = self.concern.look();
                let texts = now != *seen;
                *seen = now;
                Changes { texts, log: true }
            }
        }
    }
}

impl Means {
    fn looks(errno: Errno) -> Self {
        tracing::warn!(
            %errno,
            "the kernel has no more inotify watches for us: changed files are noticed after {} seconds at most",
            LOOK.as_secs()
        );
        Self::Looks { seen: Seen::new(), due: Instant::now() + LOOK }
    }
}

/// Watches the folders of everything that matters. Fails only where no further watch can be had at all.
fn watch(
    inotify: &Inotify,
    folders: &mut HashMap<WatchDescriptor, BTreeSet<PathBuf>>,
    concern: &Concern,
) -> Result<(), Errno> {
    let flags = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_ONLYDIR;
    for folder in concern.folders() {
        match inotify.add_watch(&folder, flags) {
            Ok(descriptor) => _ = folders.entry(descriptor).or_default().insert(folder),
            Err(errno @ (Errno::ENOSPC | Errno::ENOMEM)) => return Err(errno),
            Err(errno) => {
                tracing::warn!(folder = %folder.display(), %errno, "changes in this folder will not be noticed");
            }
        }
    }
    Ok(())
}

impl Changes {
    fn add(&mut self, event: &InotifyEvent, folders: &HashMap<WatchDescriptor, BTreeSet<PathBuf>>, concern: &Concern) {
        let (Some(name), Some(folders)) = (&event.name, folders.get(&event.wd)) else {
            // The queue has overflowed, or a folder is gone.
            *self = Self { texts: true, log: true };
            return;
        };
        for folder in folders {
            let changes = concern.touched_by(folder, name);
            self.texts |= changes.texts;
            self.log |= changes.log;
        }
    }
}

impl Concern {
    fn of(config: &Config) -> Self {
        let logs = [from_root(&config.event_log), from_root(&config.log)];
        let mut concern = Self { texts: BTreeSet::new(), logs };
        let files = rules_files::expand(&config.rules.entries);
        let named = config.rules.entries.iter().chain(&config.included).chain(&files).map(PathBuf::as_path);
        for path in named.chain(config.files.iter().map(TextFile::path)) {
            concern.add(path);
        }
        concern
    }

    /// Adds a text, and what links lead to it: its own name may be one, or a folder on the way.
    fn add(&mut self, path: &Path) {
        let mut path = from_root(path);
        for _ in 0..MAX_LINKS {
            let found = first_link(&path);
            let behind = found.as_ref().map(|(link, target)| match path.strip_prefix(link) {
                Ok(rest) if !rest.as_os_str().is_empty() => target.join(rest),
                Ok(_) | Err(_) => target.clone(),
            });
            self.texts.insert(path);
            self.texts.extend(found.map(|(link, _)| link));
            let Some(behind) = behind else { break };
            path = behind;
        }
    }

    /// The folders in which a change shows.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let paths = self.texts.iter().chain(&self.logs).map(PathBuf::as_path);
        let with_parents = paths.flat_map(|path| [Some(path), path.parent()]).flatten();
        with_parents.map(nearest_folder).collect()
    }

    /// What a change of `name` in `folder` may mean. Much else may lie there that changes all the time: logs, ours among
    /// them, a rotated one, a reader's position. A folder that is on the way to a file counts like the file, and so does
    /// what may be a new file of rules or configuration.
    fn touched_by(&self, folder: &Path, name: &OsStr) -> Changes {
        let path = folder.join(name);
        let is_beside = |log: &PathBuf| {
            let begins_so = |log: &OsStr| name.as_encoded_bytes().starts_with(log.as_encoded_bytes());
            log.parent() == Some(folder) && log.file_name().is_some_and(begins_so)
        };
        let is_beside_log = self.logs.iter().any(is_beside);
        let leads_to_text = self.texts.iter().any(|text| text.starts_with(&path));
        let leads_to_log = self.logs.iter().any(|log| log.starts_with(&path));
        Changes {
            texts: leads_to_text || (rules_files::has_yaml_name(&path) && !is_beside_log),
            log: is_beside_log || leads_to_log,
        }
    }

    /// The state of everything that matters. A folder's changes with what is made, removed or renamed in it.
    fn look(&self) -> Seen {
        let state = |path: &Path| {
            let facts = fs::metadata(path).ok()?;
            Some((facts.dev(), facts.ino(), facts.size(), facts.mtime(), facts.mtime_nsec()))
        };
        self.texts.iter().map(|path| (path.clone(), state(path))).collect()
    }
}

/// `path` with the working directory before it where it is relative: a bare name has no folder to watch.
fn from_root(path: &Path) -> PathBuf {
    // Fails for an empty path, and where the working directory is gone, so that no relative name leads anywhere.
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The first part of the path that is a symbolic link, and where it leads.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let ancestors: Vec<_> = path.ancestors().collect();
    ancestors.into_iter().rev().find_map(|part| Some((part.to_owned(), part.parent()?.join(part.read_link().ok()?))))
}

/// `path` itself if it is a folder, else the first of its ancestors that is one.
fn nearest_folder(path: &Path) -> PathBuf {
    path.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or_else(|| Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use std::{env, os::unix::fs::symlink, process::Command, thread};

    use super::*;

    const NOTHING: Changes = Changes { texts: false, log: false };
    const TEXTS: Changes = Changes { texts: true, log: false };
    const LOG: Changes = Changes { texts: false, log: true };

    /// What it is, how it is made, and what is noticed of it.
    type Change<'a> = (&'a str, &'a dyn Fn(), Changes);

    /// A configuration with a rule file, a folder of rules, a missing file in a missing folder, a file of a `ConfigMap`
    /// in a folder of its own, and one in a folder behind a link; the logs lie beside them.
    struct Installation(tempfile::TempDir);

    impl Installation {
        fn new() -> Self {
            let installation = Self(tempfile::tempdir().unwrap());
            for folder in ["rules.d", "map/..1", "releases/1", "releases/2"] {
                fs::create_dir_all(installation.at(folder)).unwrap();
            }
            let rules = ["rules.yaml", "rules.d/a.yaml", "map/..1/m.yaml", "releases/1/r.yaml", "releases/2/r.yaml"];
            for file in rules.into_iter().chain(["events.jsonl", "lanner.log"]) {
                fs::write(installation.at(file), "[]").unwrap();
            }
            symlink("..1", installation.at("map/..data")).unwrap();
            symlink("..data/m.yaml", installation.at("map/m.yaml")).unwrap();
            symlink("1", installation.at("releases/current")).unwrap();
            let at = |name| installation.at(name).display().to_string();
            let (rules, folder, missing) = (at("rules.yaml"), at("rules.d"), at("later/z.yaml"));
            let files = [rules, folder, missing, at("map/m.yaml"), at("releases/current/r.yaml")].join(", ");
            let logs = format!("event_log: {{path: {}}}\nlog: {{path: {}}}\n", at("events.jsonl"), at("lanner.log"));
            let text = format!("rules_files: [{files}]\n{logs}");
            fs::write(installation.at("lanner.yaml"), text).unwrap();
            installation
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn config(&self) -> Config {
            Config::load(&self.at("lanner.yaml"), &[]).unwrap().0
        }

        fn swap(&self) {
            fs::create_dir(self.at("map/..2")).unwrap();
            fs::write(self.at("map/..2/m.yaml"), "[ ]").unwrap();
            symlink("..2", self.at("map/..new")).unwrap();
            fs::rename(self.at("map/..new"), self.at("map/..data")).unwrap();
        }

        fn release(&self, name: &str) {
            symlink(name, self.at("releases/new")).unwrap();
            fs::rename(self.at("releases/new"), self.at("releases/current")).unwrap();
        }

        /// Makes changes one by one, and checks what is noticed of each.
        fn check(&self, watcher: &mut ChangeWatcher, expect: impl Fn(&str, Changes) -> Changes) {
            let put = |name: &str, text: &str| fs::write(self.at(name), text).unwrap();
            let changes: [Change<'_>; 12] = [
                ("nothing", &|| {}, NOTHING),
                ("our own log", &|| put("lanner.log", "more"), LOG),
                ("somebody's file", &|| put("notes.txt", "x"), NOTHING),
                ("an editor's copy", &|| put("rules.yaml~", "x"), NOTHING),
                ("a record", &|| put("events.jsonl", "more"), LOG),
                ("a rotation", &|| fs::rename(self.at("events.jsonl"), self.at("events.jsonl.1")).unwrap(), LOG),
                ("an edit", &|| put("rules.yaml", "[  ]"), TEXTS),
                ("an edit that renames", &|| fs::rename(self.at("rules.yaml~"), self.at("rules.yaml")).unwrap(), TEXTS),
                ("a further file", &|| put("rules.d/b.yaml", "[]"), TEXTS),
                ("a folder on the way", &|| fs::create_dir(self.at("later")).unwrap(), TEXTS),
                ("a swapped link", &|| self.swap(), TEXTS),
                ("a swapped folder", &|| self.release("2"), TEXTS),
            ];
            for (what, change, expected) in changes {
                // Timestamps of some file systems move in steps of a few milliseconds.
                thread::sleep(Duration::from_millis(10));
                change();
                assert_eq!(watcher.drain(), expect(what, expected), "{what}");
            }
            watcher.cover(&self.config());
            watcher.drain();
            put("releases/2/r.yaml", "[    ]");
            assert!(watcher.drain().texts);
            put("later/z.yaml", "[]");
            put("map/..data/m.yaml", "[   ]");
            assert!(watcher.drain().texts);
            put("lanner.yaml", "rules_files: []");
            assert!(watcher.drain().texts);
        }
    }

    #[test]
    fn only_what_matters_is_a_change() {
        let installation = Installation::new();
        let mut watcher = ChangeWatcher::new();
        watcher.cover(&installation.config());
        installation.check(&mut watcher, |_, changes| changes);
    }

    #[test]
    fn what_a_broken_configuration_includes_is_watched() {
        let installation = Installation::new();
        let text = fs::read_to_string(installation.at("lanner.yaml")).unwrap();
        fs::create_dir(installation.at("new")).unwrap();
        fs::write(installation.at("new/x.yaml"), "rules_files: {").unwrap();
        let mut watcher = ChangeWatcher::new();
        watcher.cover(&installation.config());
        let file = installation.at("new/x.yaml").display().to_string();
        fs::write(installation.at("lanner.yaml"), format!("{text}config_files: [{file}]\n")).unwrap();
        assert_eq!(watcher.drain(), TEXTS);
        watcher.cover_file(&installation.at("lanner.yaml"), &[]);
        assert_eq!(watcher.drain(), NOTHING);
        fs::write(installation.at("new/x.yaml"), "").unwrap();
        assert_eq!(watcher.drain(), TEXTS);
        fs::write(installation.at("rules.yaml"), "[  ]").unwrap();
        assert_eq!(watcher.drain(), TEXTS);
    }

    #[test]
    fn without_inotify_the_files_are_looked_at() {
        // In a user namespace of its own a process may have as few instances as it likes.
        const INSIDE: &str = "LANNER_TEST_WITHOUT_INOTIFY";
        if env::var_os(INSIDE).is_none() {
            let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
            let test = env::current_exe().unwrap();
            let output = Command::new("unshare")
                .args(["--user", "--map-root-user", "sh", "-c", script, "sh"])
                .arg(test)
                .args(["--exact", "reload::tests::without_inotify_the_files_are_looked_at"])
                .env(INSIDE, "")
                .output()
                .unwrap();
            let (said, wrong) = (output.stdout.escape_ascii(), output.stderr.escape_ascii());
            assert!(output.status.success(), "{said}\n{wrong}");
            return;
        }
        let installation = Installation::new();
        let mut watcher = ChangeWatcher::new();
        assert!(matches!(watcher.sign(), Sign::Due(_)), "there is inotify");
        watcher.cover(&installation.config());
        // The log is looked after each time, and a folder that will hold a file is no file.
        installation.check(&mut watcher, |what, changes| Changes {
            texts: changes.texts && what != "a folder on the way",
            log: true,
        });
    }
}
