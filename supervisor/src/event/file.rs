// SPDX-License-Identifier: Apache-2.0
//! Facts of program files: inode, times, layer, and whether the caller may write to them.

use nix::sys::stat::{FileStat, SFlag};

use super::{CallEvent, clock::SECOND};
use crate::{
    account::{numbers_group, numbers_user},
    process::{Layer, Process, Status, layer},
};

const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_FOWNER: u64 = 1 << 3;

/// The program file of the event's process: the new one of an exec, else the one that runs.
pub(super) struct ProgramFile {
    /// Path as the kernel names it.
    pub(super) path: Vec<u8>,
    /// What `stat` says.
    pub(super) facts: FileStat,
}

impl CallEvent<'_> {
    /// The program file that `proc.exe_ino` and its siblings describe.
    pub(super) fn program_file(&self) -> Option<ProgramFile> {
        if self.call.is_exec() {
            let program = self.program()?;
            return Some(ProgramFile { path: program.path.clone(), facts: *self.program_facts()? });
        }
        let thread = self.thread()?;
        Some(ProgramFile { path: exe_path(thread)?, facts: thread.file_facts("exe")? })
    }

    /// The layer of the program file.
    pub(super) fn program_layer(&self) -> Option<Layer> {
        let thread = self.thread()?;
        if self.call.is_exec() {
            return layer(thread, self.program_descriptor()?, &self.program()?.path, self.context.root());
        }
        layer(thread, &thread.open_link("exe")?, &exe_path(thread)?, self.context.root())
    }

    /// Falco's bits of `evt.arg.flags` of an exec.
    pub(super) fn program_bits(&self) -> u32 {
        let Some(file) = self.program_file() else { return 0 };
        let layer = self.program_layer();
        [
            (self.may_write(&file.facts) == Some(true), 1),
            (layer == Some(Layer::Upper), 2),
            (file.path.starts_with(b"memfd:"), 4),
            (layer == Some(Layer::Lower), 8),
        ]
        .iter()
        .filter(|(is_set, _)| *is_set)
        .fold(0, |bits, (_, bit)| bits | bit)
    }

    /// Whether the task may write to the file, or owns it and could allow itself to. In a user namespace, capabilities count
    /// for files whose owners have numbers there (`capable_wrt_inode_uidgid` and `inode_owner_or_capable` of the kernel).
    ///
    /// *Falco:* asks the kernel's `inode_permission` and `inode_owner_or_capable`. Read-only mounts and access control lists
    /// are not looked at here.
    pub(super) fn may_write(&self, facts: &FileStat) -> Option<bool> {
        let status = self.status()?;
        let in_group = status.group == facts.st_gid || status.groups.contains(&facts.st_gid);
        if status.user == facts.st_uid || facts.st_mode & if in_group { 0o020 } else { 0o002 } != 0 {
            return Some(true);
        }
        if status.effective & (CAP_DAC_OVERRIDE | CAP_FOWNER) == 0 {
            return Some(false);
        }
        let thread = self.thread()?;
        let is_owner = status.effective & CAP_FOWNER != 0;
        Some(numbers_user(thread, facts.st_uid) && (is_owner || numbers_group(thread, facts.st_gid)))
    }
}

/// Whether the task may execute the file; access control lists are not looked at.
pub(super) fn may_execute(status: &Status, facts: &FileStat) -> bool {
    let in_group = status.group == facts.st_gid || status.groups.contains(&facts.st_gid);
    let bits = if status.effective & CAP_DAC_OVERRIDE != 0 {
        0o111
    } else if status.user == facts.st_uid {
        0o100
    } else if in_group {
        0o010
    } else {
        0o001
    };
    facts.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits() && facts.st_mode & bits != 0
}

/// The user whose rights a program file gives: its owner if it is set-user-id.
pub(super) fn set_user(facts: &FileStat) -> Option<u32> {
    (facts.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits() && facts.st_mode & 0o4000 != 0)
        .then_some(facts.st_uid)
}

/// The running program's path, as the kernel names it for the task.
pub(super) fn exe_path(process: &Process) -> Option<Vec<u8>> {
    process.path_behind("exe").map(super::image::program_path)
}

/// A time of a file in ns since the epoch.
pub(super) fn nanoseconds(seconds: i64, fraction: i64) -> u64 {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(seconds).saturating_mul(SECOND).saturating_add(part(fraction))
}
