// SPDX-License-Identifier: Apache-2.0
//! The classes in which fields are listed, named as in Falco where it has them.

use super::Field;

/// A group of fields.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldClass {
    /// Falco's name, or ours.
    pub name: &'static str,
    /// What its fields are about.
    pub doc: &'static str,
}

static EVT: FieldClass = FieldClass { name: "evt", doc: "the event: its time, type, parameters and result" };
static PROCESS: FieldClass =
    FieldClass { name: "process", doc: "the calling process, its thread, its parents and other relatives" };
static USER: FieldClass = FieldClass { name: "user", doc: "the user that the process runs as, and who logged in" };
static GROUP: FieldClass = FieldClass { name: "group", doc: "the group that the process runs as" };
static FD: FieldClass = FieldClass { name: "fd", doc: "the file or socket that the call is about" };
static FS_PATH: FieldClass =
    FieldClass { name: "fs.path", doc: "the paths of calls that name files without opening them" };
static FDLIST: FieldClass = FieldClass { name: "fdlist", doc: "the files of a poll" };
static UTIL: FieldClass = FieldClass { name: "util", doc: "helpers of outputs" };
static CONTAINER: FieldClass =
    FieldClass { name: "container (plugin)", doc: "the container and its pod; a plugin in Falco, built in here" };
static LANNER: FieldClass = FieldClass { name: "lanner", doc: "what Lanner did; outputs only" };

impl Field {
    /// The class that the field is listed in.
    pub fn class(self) -> &'static FieldClass {
        match self {
            Self::Evt(_) => &EVT,
            Self::Proc(_) | Self::Thread(_) => &PROCESS,
            Self::User(_) => &USER,
            Self::Group(_) => &GROUP,
            Self::Fd(_) => &FD,
            Self::FsPath(_) => &FS_PATH,
            Self::FdList(_) => &FDLIST,
            Self::Util(_) => &UTIL,
            Self::Container(_) | Self::K8s(_) => &CONTAINER,
            Self::Lanner(_) => &LANNER,
        }
    }
}
