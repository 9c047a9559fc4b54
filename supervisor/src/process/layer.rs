// SPDX-License-Identifier: Apache-2.0
//! Which layer of an overlay a file lives in.
//!
//! The kernel does not say it. What a file is called says nothing for sure either: somebody may rename it between two looks,
//! and back again. So a file is in a lower layer only where that very file is found there by the name that it has, or where it
//! is older than the upper layer; else it is in the upper one. Layers below do not change while they are mounted, and what is
//! changed through the overlay is a copy.
//!
//! That the file is the very one, `stat` says (Linux' `Documentation/filesystems/overlayfs.rst`):
//!
//! - "Inode properties": with all layers on one file system a file has the inode's number of its layer. On several it has
//!   it too, but for `xino`, which puts the number of the file system into the highest bits. Of directories that is
//!   not so.
//! - "Non-directories": a copy keeps owner, mode, times and, by "Inode properties", the number of what it is a copy of. Of the
//!   times these are the two that a program can set. The third one, when the inode was last changed, is the copy's own.

use std::{
    ffi::{CString, OsString},
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use nix::{
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2},
    sys::{
        stat::{FileStat, SFlag, fstat},
        statfs::{OVERLAYFS_SUPER_MAGIC, fstatfs},
    },
};

use super::{
    Process,
    descriptor::kernel_path,
    mount::{Mount, MountTable},
};
use crate::sys::{file_facts, look_below};

/// Overlays whose place on the host is kept: a container has one, and its volumes may lie on others.
const MAX_KNOWN: usize = 8;

/// Where a file of an overlay lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// In the writable layer: made or changed since the container was created.
    Upper,
    /// In a layer of the image.
    Lower,
}

/// The layer of `file`, which is `path` as the kernel names it in the task's mount namespace; `None` where it is on no
/// overlay. The mount tells so, not the file's device: where the layers lie on different file systems, a file has a device
/// that is not the overlay's.
///
/// A file whose name was removed is in no layer by name, and counts as made since: who drops a program and removes it
/// before it runs is to be told from the image.
///
/// The engine's overlay is the one that `root` lies on, the container's root as its first program found it. It is known by
/// its device, since the same overlay has other mounts in other namespaces. Its layers are paths of the host. Any other
/// overlay was mounted from inside: its layers are looked for there, and what is in a lower one is new if it is so without
/// that overlay. It is never the image's: what `stat` says may come from a file system that the container serves. An overlay
/// that the table does not show counts as all new.
pub(crate) fn layer(process: &Process, file: &OwnedFd, path: &[u8], root: Option<BorrowedFd<'_>>) -> Option<Layer> {
    let table = MountTable::of(process)?;
    // Mounts have the same numbers in every namespace.
    let id = file_facts(file.as_fd(), c"", false).ok()?.mount;
    let mount = match table.mounts().find(|mount| mount.id == id) {
        Some(mount) if mount.is_overlay() => mount,
        Some(_) => return None,
        // It belongs to no tree, or stands behind the end of what is read: nobody but the container mounts so.
        None => return is_on_overlay(file.as_fd()).then_some(Layer::Upper),
    };
    // The task sees the mount, and not its own way to the file.
    let seen = process.below_root(path);
    let shown = Shown::of(file, seen.and_then(|seen| mount.name_of(&seen)), || process.is_removed(file.as_fd()));
    let Some(shown) = shown else { return Some(Layer::Upper) };
    let root = root.and_then(|root| Some((root, file_facts(root, c"", false).ok()?)));
    let Some((root, facts)) = root.filter(|(_, facts)| facts.device != mount.device) else {
        return shown.engine_layer(&mount);
    };
    let Some(real) = shown.in_layers_below(&mount, root) else { return Some(Layer::Upper) };
    if !is_on_overlay(real.as_fd()) {
        return None;
    }
    let engine = table.mounts().find(|mount| mount.is_overlay() && mount.device == facts.device);
    let name = engine.as_ref().and_then(|engine| engine.name_of(&below(root, real.as_fd(), facts.mount)?));
    let shown = Shown::of(&real, name, || process.is_removed(real.as_fd()));
    let layer = shown.zip(engine).map_or(Some(Layer::Upper), |(shown, engine)| shown.engine_layer(&engine));
    layer.filter(|layer| *layer == Layer::Upper)
}

/// A file as an overlay shows it.
struct Shown {
    /// Its name on the overlay.
    name: PathBuf,
    facts: FileStat,
}

impl Shown {
    /// None of a file without a name.
    fn of(file: &OwnedFd, name: Option<Vec<u8>>, is_removed: impl FnOnce() -> bool) -> Option<Self> {
        let name = path(name?);
        let facts = fstat(file).ok()?;
        (!is_removed()).then_some(Self { name, facts })
    }

    /// In the engine's overlay. `None` where we can see too little of it.
    fn engine_layer(&self, mount: &Mount<'_>) -> Option<Layer> {
        // Without an upper layer nothing can be changed.
        let Some(upper) = upper_directory(mount) else { return Some(Layer::Lower) };
        let starts = starts(mount, &upper);
        let mut are_all_seen = true;
        for name in lower_directories(mount) {
            match host_directory(&starts, &path(name)) {
                Some(directory) if self.is_in(directory.as_fd()).is_some() => return Some(Layer::Lower),
                Some(_) => {}
                None => are_all_seen = false,
            }
        }
        // Not all that is below is found: an engine may have taken a layer's mount away when the overlay stood, and a folder
        // may have had another name there (`redirect_dir`). What was last changed before the upper layer was made cannot lie
        // in it, unless somebody turned back the host's clock.
        match host_directory(&starts, &upper) {
            Some(upper) => Some(if self.is_older_than(upper) { Layer::Lower } else { Layer::Upper }),
            None => are_all_seen.then_some(Layer::Upper),
        }
    }

    /// Whether the file was last changed before the directory was made.
    fn is_older_than(&self, directory: OwnedFd) -> bool {
        let made = File::from(directory).metadata().and_then(|facts| facts.created()).ok();
        let made = made.and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
        let (seconds, nanoseconds) = (u64::try_from(self.facts.st_ctime), u32::try_from(self.facts.st_ctime_nsec));
        let changed = seconds.ok().zip(nanoseconds.ok()).map(|(seconds, rest)| Duration::new(seconds, rest));
        made.zip(changed).is_some_and(|(made, changed)| changed < made)
    }

    /// The file in a lower layer of an overlay that was mounted in the container.
    fn in_layers_below(&self, mount: &Mount<'_>, root: BorrowedFd<'_>) -> Option<OwnedFd> {
        lower_directories(mount).into_iter().find_map(|name| {
            let directory = look_below(root, &CString::new(name).ok()?).ok()?;
            self.is_in(directory.as_fd())
        })
    }

    /// The file in the layer, if it is there.
    fn is_in(&self, layer: BorrowedFd<'_>) -> Option<OwnedFd> {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let name = if self.name.as_os_str().is_empty() { Path::new(".") } else { &self.name };
        let found = openat2(layer, name, how).ok()?;
        is_same_file(&self.facts, &fstat(&found).ok()?).then_some(found)
    }
}

/// Whether what the overlay shows is the file of a lower layer, and no copy of it.
fn is_same_file(shown: &FileStat, lower: &FileStat) -> bool {
    /// Bits that `xino` takes: the kernel allows 500 layers, on as many file systems.
    const FILE_SYSTEM: u32 = 10;
    let is_directory = shown.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    let content = |facts: &FileStat| (facts.st_mode, facts.st_size, facts.st_mtime, facts.st_mtime_nsec);
    let change = |facts: &FileStat| (facts.st_ctime, facts.st_ctime_nsec);
    (is_directory || (shown.st_ino ^ lower.st_ino) << FILE_SYSTEM == 0)
        && content(shown) == content(lower)
        && change(shown) == change(lower)
}

/// The path of a file below `root`, on the very mount that has the root.
fn below(root: BorrowedFd<'_>, file: BorrowedFd<'_>, mount: u64) -> Option<Vec<u8>> {
    if file_facts(file, c"", false).ok()?.mount != mount {
        return None;
    }
    let (root, path) = (kernel_path(root, || None)?, kernel_path(file, || None)?);
    path.strip_prefix(root.strip_suffix(b"/").unwrap_or(&root)).map(<[u8]>::to_vec)
}

fn is_on_overlay(file: BorrowedFd<'_>) -> bool {
    fstatfs(file).is_ok_and(|facts| facts.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
}

fn upper_directory(mount: &Mount<'_>) -> Option<PathBuf> {
    let (_, value) = mount.options().find(|(name, _)| *name == b"upperdir")?;
    Some(path(value))
}

fn path(name: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(name))
}

/// The lower layers, but for those that hold only the data of files that the others name.
fn lower_directories(mount: &Mount<'_>) -> Vec<Vec<u8>> {
    let mut directories = Vec::new();
    for (name, value) in mount.options() {
        match name {
            b"lowerdir" => directories.extend(split(&value)),
            b"lowerdir+" => directories.push(value),
            _ => {}
        }
    }
    directories
}

/// The paths of `lowerdir=`, with colons between them, of which a backslash takes the meaning; two colons stand before
/// layers of data.
fn split(value: &[u8]) -> Vec<Vec<u8>> {
    let (mut paths, mut path, mut bytes) = (Vec::new(), Vec::new(), value.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => path.extend(bytes.next()),
            b':' if path.is_empty() => return paths,
            b':' => paths.push(std::mem::take(&mut path)),
            byte => path.push(*byte),
        }
    }
    paths.push(path);
    paths
}

/// Directories from which the engine may have named layers: an option of the kernel holds one page, so that engines name many
/// layers from a directory above theirs, and some the upper one, too. That directory is above where we see the overlay, then.
fn starts(mount: &Mount<'_>, upper: &Path) -> Vec<PathBuf> {
    let above = |path: &Path| path.ancestors().skip(1).map(Path::to_owned).collect::<Vec<_>>();
    if upper.is_absolute() {
        return above(upper);
    }
    points(mount.device).iter().flat_map(|point| above(point)).collect()
}

/// An overlay by its device, and where the host sees it.
type KnownOverlay = ((u32, u32), Arc<[PathBuf]>);

/// Where the host sees a file system. What is found is kept: the host's table may be long, and an engine's overlay is mounted
/// for as long as its container is there.
fn points(device: (u32, u32)) -> Arc<[PathBuf]> {
    static KNOWN: Mutex<Vec<KnownOverlay>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, points)) = known.iter().find(|(other, _)| *other == device) {
        return Arc::clone(points);
    }
    let table = MountTable::own();
    let mounts = table.iter().flat_map(MountTable::mounts).filter(|own| own.device == device);
    let points: Arc<[PathBuf]> = mounts.map(|own| path(own.point)).collect();
    if !points.is_empty() {
        known.truncate(MAX_KNOWN - 1);
        known.insert(0, (device, Arc::clone(&points)));
    }
    points
}

/// A layer on the host.
fn host_directory(starts: &[PathBuf], name: &Path) -> Option<OwnedFd> {
    if name.is_absolute() { directory(name) } else { starts.iter().find_map(|start| directory(&start.join(name))) }
}

fn directory(path: &Path) -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(AT_FDCWD, path, how).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::create_dir_all;

    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &[&str]) {
        assert_eq!(split(value.as_bytes()), expected.iter().map(|path| path.as_bytes().to_vec()).collect::<Vec<_>>());
    }

    #[test]
    fn layers_are_named_between_colons() {
        check("/l1", &["/l1"]);
        check("/l1:l/2", &["/l1", "l/2"]);
        check(r"/a\:b:/c\\d", &["/a:b", r"/c\d"]);
        check("/l1:/l2::/data1::/data2", &["/l1", "/l2"]);
    }

    fn facts(change: impl FnOnce(&mut FileStat)) -> FileStat {
        let mut facts = fstat(File::open("/etc/passwd").unwrap()).unwrap();
        change(&mut facts);
        facts
    }

    #[test]
    fn a_copy_is_another_file() {
        let lower = facts(|_| ());
        assert!(is_same_file(&facts(|_| ()), &lower));
        assert!(is_same_file(&facts(|shown| (shown.st_dev, shown.st_uid) = (99, 7)), &lower));
        assert!(is_same_file(&facts(|shown| shown.st_ino |= 3 << 55), &lower), "with `xino`");
        assert!(!is_same_file(&facts(|shown| shown.st_ino += 1), &lower));
        assert!(!is_same_file(&facts(|shown| shown.st_ctime_nsec += 1), &lower));
        assert!(!is_same_file(&facts(|shown| shown.st_ctime += 1), &lower));
        assert!(!is_same_file(&facts(|shown| shown.st_size += 1), &lower));
    }

    #[test]
    fn layers_of_an_engine_may_be_named_from_above() {
        let folder = tempfile::tempdir().unwrap();
        create_dir_all(folder.path().join("12/fs")).unwrap();
        let starts = [folder.path().join("13"), folder.path().to_owned()];
        assert!(host_directory(&starts, Path::new("12/fs")).is_some());
        assert!(host_directory(&starts, &folder.path().join("12/fs")).is_some());
        assert!(host_directory(&starts, Path::new("14/fs")).is_none());
        assert!(host_directory(&[], Path::new("12/fs")).is_none());
    }
}
