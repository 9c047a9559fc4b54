// SPDX-License-Identifier: Apache-2.0
//! Overlay filesystems: what engines put containers on, and a way to let one write "into" the host's own root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Mounted filesystems, which go with their value.
#[derive(Debug)]
pub(crate) struct Overlay {
    mounted: Vec<PathBuf>,
}

impl Overlay {
    /// Mounts `lower` at `target`; what is written goes into `scratch`.
    pub(crate) fn of_folder(lower: &Path, scratch: &Path, target: &Path) -> Self {
        Self { mounted: Vec::new() }.with_overlay(lower, scratch, target)
    }

    /// Mounts the host's root filesystem, without what is mounted into it, at `target`; what is written goes into memory,
    /// as the kernel refuses an upper folder that is part of the lower one.
    pub(crate) fn of_host(scratch: &Path, target: &Path) -> Self {
        fs::create_dir_all(scratch).expect("cannot make a folder for an overlay");
        let none = None::<&str>;
        mount(Some("lanner-test"), scratch, Some("tmpfs"), MsFlags::empty(), none).expect("cannot mount a tmpfs");
        Self { mounted: vec![scratch.to_owned()] }.with_overlay(Path::new("/"), scratch, target)
    }

    fn with_overlay(mut self, lower: &Path, scratch: &Path, target: &Path) -> Self {
        let [upper, work] = ["upper", "work"].map(|name| scratch.join(name));
        for folder in [&upper, &work] {
            fs::create_dir_all(folder).expect("cannot make a folder for an overlay");
        }
        let [lower, upper, work] = [lower, &upper, &work].map(Path::display);
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        mount(Some("lanner-test"), target, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .expect("cannot mount an overlay");
        self.mounted.push(target.to_owned());
        self
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        for target in self.mounted.iter().rev() {
            umount2(target, MntFlags::MNT_DETACH).expect("cannot unmount an overlay");
        }
    }
}
