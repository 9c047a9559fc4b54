// SPDX-License-Identifier: Apache-2.0
//! Calls that execute a program.

use super::{
    Category, Layout, Source,
    Source::{Exec, Outcome},
    Subject,
};

/// State of the process after the exec, as Falco's event carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExecParameter {
    Exe,
    Args,
    Tid,
    Pid,
    ParentTid,
    Cwd,
    DescriptorLimit,
    MajorFaults,
    MinorFaults,
    VirtualSize,
    ResidentSize,
    SwapSize,
    Comm,
    Cgroups,
    Env,
    Tty,
    OwnGroup,
    LoginUser,
    Flags,
    Inheritable,
    Permitted,
    Effective,
    Inode,
    ChangeTime,
    ModifyTime,
    User,
    TrustedPath,
    HostGroup,
    Group,
    Filename,
}

impl ExecParameter {
    /// Whether it is a set of capabilities, which prints in hexadecimal.
    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::Inheritable | Self::Permitted | Self::Effective)
    }
}

/// Parameters of `execve`; `execveat` is reported as one.
static SOURCES: [Source; 31] = [
    Outcome,
    Exec(ExecParameter::Exe),
    Exec(ExecParameter::Args),
    Exec(ExecParameter::Tid),
    Exec(ExecParameter::Pid),
    Exec(ExecParameter::ParentTid),
    Exec(ExecParameter::Cwd),
    Exec(ExecParameter::DescriptorLimit),
    Exec(ExecParameter::MajorFaults),
    Exec(ExecParameter::MinorFaults),
    Exec(ExecParameter::VirtualSize),
    Exec(ExecParameter::ResidentSize),
    Exec(ExecParameter::SwapSize),
    Exec(ExecParameter::Comm),
    Exec(ExecParameter::Cgroups),
    Exec(ExecParameter::Env),
    Exec(ExecParameter::Tty),
    Exec(ExecParameter::OwnGroup),
    Exec(ExecParameter::LoginUser),
    Exec(ExecParameter::Flags),
    Exec(ExecParameter::Inheritable),
    Exec(ExecParameter::Permitted),
    Exec(ExecParameter::Effective),
    Exec(ExecParameter::Inode),
    Exec(ExecParameter::ChangeTime),
    Exec(ExecParameter::ModifyTime),
    Exec(ExecParameter::User),
    Exec(ExecParameter::TrustedPath),
    Exec(ExecParameter::HostGroup),
    Exec(ExecParameter::Group),
    Exec(ExecParameter::Filename),
];

pub(super) static LAYOUTS: &[Layout] = &[
    Layout { name: "execve", category: Category::Process, sources: &SOURCES, subject: Subject::None },
    Layout { name: "execveat", category: Category::Process, sources: &SOURCES, subject: Subject::None },
];

/// Which registers of an exec hold what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registers {
    /// The directory descriptor that the path is relative to.
    pub(crate) directory: Option<usize>,
    /// The path.
    pub(crate) path: usize,
    /// `argv`.
    pub(crate) arguments: usize,
    /// `envp`.
    pub(crate) environment: usize,
}

impl super::Call {
    /// Where the arguments of an exec are; `None` for any other call.
    pub(crate) fn exec_registers(&self) -> Option<Registers> {
        match self.layout().name {
            "execve" => Some(Registers { directory: None, path: 0, arguments: 1, environment: 2 }),
            "execveat" => Some(Registers { directory: Some(0), path: 1, arguments: 2, environment: 3 }),
            _ => None,
        }
    }
}
