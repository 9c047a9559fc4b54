// SPDX-License-Identifier: Apache-2.0
//! Calls that name files without opening them.

use super::{
    Category, Layout, Source,
    Source::{Descriptor, Hex, Mode, MountFlags, Named, NodeMode, Number, Outcome, Path, Text, Unknown, Whole},
    Subject,
    flags::file::{ACCESS_BITS, LINK_BITS, OWNER_BITS, RENAME_BITS, STAT_BITS, UNLINK_BITS, UNMOUNT_BITS},
};

const fn layout(name: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category: Category::File, sources, subject: Subject::None }
}

/// *Falco:* of these calls `fd.*` describes the directory in a register (live oracle, unlink).
const fn in_directory(name: &'static str, sources: &'static [Source], directory: usize) -> Layout {
    Layout { name, category: Category::File, sources, subject: Subject::Descriptor(directory) }
}

pub(super) static LAYOUTS: &[Layout] = &[
    layout("rename", &[Outcome, Path(None, 0), Path(None, 1)]),
    layout("renameat", &[Outcome, Descriptor(0), Path(Some(0), 1), Descriptor(2), Path(Some(2), 3)]),
    layout(
        "renameat2",
        &[Outcome, Descriptor(0), Path(Some(0), 1), Descriptor(2), Path(Some(2), 3), Whole(4, RENAME_BITS)],
    ),
    layout("link", &[Outcome, Path(None, 0), Path(None, 1)]),
    layout("linkat", &[Outcome, Descriptor(0), Path(Some(0), 1), Descriptor(2), Path(Some(2), 3), Named(4, LINK_BITS)]),
    layout("symlink", &[Outcome, Text(0), Path(None, 1)]),
    in_directory("symlinkat", &[Outcome, Text(0), Descriptor(1), Path(Some(1), 2)], 1),
    layout("unlink", &[Outcome, Path(None, 0)]),
    in_directory("unlinkat", &[Outcome, Descriptor(0), Path(Some(0), 1), Named(2, UNLINK_BITS)], 0),
    layout("rmdir", &[Outcome, Path(None, 0)]),
    layout("mkdir", &[Outcome, Path(None, 0), Hex(1)]),
    in_directory("mkdirat", &[Outcome, Descriptor(0), Path(Some(0), 1), Hex(2)], 0),
    Layout { category: Category::Other, ..layout("mknod", &[Outcome, Path(None, 0), NodeMode(1), Number(2)]) },
    Layout {
        category: Category::Other,
        ..in_directory("mknodat", &[Outcome, Descriptor(0), Path(Some(0), 1), NodeMode(2), Number(3)], 0)
    },
    layout("chmod", &[Outcome, Path(None, 0), Mode(1)]),
    in_directory("fchmodat", &[Outcome, Descriptor(0), Path(Some(0), 1), Mode(2)], 0),
    layout("chown", &[Outcome, Path(None, 0), Number(1), Number(2)]),
    layout("lchown", &[Outcome, Path(None, 0), Number(1), Number(2)]),
    in_directory(
        "fchownat",
        &[Outcome, Descriptor(0), Path(Some(0), 1), Number(2), Number(3), Named(4, OWNER_BITS)],
        0,
    ),
    layout("chdir", &[Outcome, Text(0)]),
    layout("getcwd", &[Outcome, Unknown]),
    layout("access", &[Outcome, Path(None, 0), Named(1, ACCESS_BITS)]),
    layout("stat", &[Outcome, Path(None, 0)]),
    layout("lstat", &[Outcome, Path(None, 0)]),
    layout("stat64", &[Outcome, Path(None, 0)]),
    layout("lstat64", &[Outcome, Path(None, 0)]),
    in_directory("newfstatat", &[Outcome, Descriptor(0), Path(Some(0), 1), Named(3, STAT_BITS)], 0),
    layout("mount", &[Outcome, Text(0), Path(None, 1), Text(2), MountFlags(3)]),
    layout("umount", &[Outcome, Path(None, 0)]),
    layout("umount2", &[Outcome, Path(None, 0), Named(1, UNMOUNT_BITS)]),
    Layout { category: Category::Process, ..layout("chroot", &[Outcome, Path(None, 0)]) },
];
