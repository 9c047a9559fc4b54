// SPDX-License-Identifier: Apache-2.0
//! Parameters of exec events: the state of the process after the exec.

use super::{CallEvent, Rendered};
use crate::{
    decode::{EXEC_BITS, ExecParameter, render_flags},
    event::{file::nanoseconds, join::join, paths},
    process::Process,
};

impl CallEvent<'_> {
    /// One parameter of an exec; `None` where it is not known.
    pub(super) fn rendered_exec(&self, parameter: ExecParameter) -> Option<Rendered<'_>> {
        use ExecParameter as P;
        match parameter {
            P::Exe | P::Args | P::Env | P::Comm | P::Cwd | P::Filename | P::TrustedPath | P::Cgroups => {
                self.exec_text(parameter)
            }
            P::Tid | P::Pid | P::ParentTid | P::OwnGroup | P::HostGroup => self.exec_task(parameter),
            P::DescriptorLimit => Some(Rendered::plain(self.thread()?.descriptor_limit()?.to_string())),
            P::MajorFaults => Some(Rendered::plain(self.stat()?.major_faults.to_string())),
            P::MinorFaults => Some(Rendered::plain(self.stat()?.minor_faults.to_string())),
            P::VirtualSize => Some(Rendered::plain(self.status()?.memory.size.to_string())),
            P::ResidentSize => Some(Rendered::plain(self.status()?.memory.resident.to_string())),
            P::SwapSize => Some(Rendered::plain(self.status()?.memory.swapped.to_string())),
            P::Tty => Some(Rendered::plain(self.stat()?.terminal.to_string())),
            P::LoginUser => Some(self.rendered_user(u32::try_from(self.login_user()?).unwrap_or(u32::MAX))),
            P::User => Some(self.rendered_user(self.effective_user()?)),
            P::Group => Some(self.rendered_group(self.status()?.group)),
            P::Flags => {
                let bits = self.program_bits();
                Some(Rendered::resolved(bits.to_string(), render_flags(EXEC_BITS, bits)))
            }
            P::Inheritable => Some(Rendered::plain(format!("{:X}", self.capabilities()?.inheritable))),
            P::Permitted => Some(Rendered::plain(format!("{:X}", self.capabilities()?.permitted))),
            P::Effective => Some(Rendered::plain(format!("{:X}", self.capabilities()?.effective))),
            P::Inode => Some(Rendered::plain(self.program_file()?.facts.st_ino.to_string())),
            P::ChangeTime | P::ModifyTime => self.exec_time(parameter),
        }
    }

    fn exec_text(&self, parameter: ExecParameter) -> Option<Rendered<'_>> {
        use ExecParameter as P;
        Some(Rendered::plain(match parameter {
            P::Exe => self.exec_arguments()?.get(0).unwrap_or_default().to_vec(),
            P::Args => dotted(self.exec_arguments()?.iter().skip(1)),
            P::Env => dotted(self.exec_environment()?.iter()),
            P::Comm => self.exec_name()?,
            P::Cwd => paths::working_directory(self.thread()?)?,
            P::Cgroups => self.cgroups()?,
            P::TrustedPath => return self.rendered_trusted_path(),
            _ => return self.rendered_filename(),
        }))
    }

    /// Task numbers with the name of the task. *Falco:* that of the new program for the process itself.
    fn exec_task(&self, parameter: ExecParameter) -> Option<Rendered<'_>> {
        use ExecParameter as P;
        let own = |number: u32| Rendered::resolved(number.to_string(), self.exec_name().unwrap_or_default());
        Some(match parameter {
            // An exec ends all threads but the first, whose number the process keeps.
            P::Tid | P::Pid => own(self.thread()?.leader()?),
            P::ParentTid => {
                let (parent, name) = self.ask_kin(|| {
                    let parent = self.parent()?;
                    Some((parent.task(), self.told_by(&parent, Process::name)?))
                })?;
                Rendered::resolved(parent.to_string(), name)
            }
            P::OwnGroup => Rendered::plain(self.status()?.own_group.to_string()),
            _ => Rendered::plain(self.stat()?.group.to_string()),
        })
    }

    fn exec_time(&self, parameter: ExecParameter) -> Option<Rendered<'_>> {
        let facts = self.program_file()?.facts;
        let time = if parameter == ExecParameter::ChangeTime {
            nanoseconds(facts.st_ctime, facts.st_ctime_nsec)
        } else {
            nanoseconds(facts.st_mtime, facts.st_mtime_nsec)
        };
        self.context.clock.date_time(time, true).map(Rendered::plain)
    }

    /// *Falco:* a program in memory has no absolute path, so that one is made up.
    fn rendered_trusted_path(&self) -> Option<Rendered<'_>> {
        let path = self.exe_path()?;
        let resolved = if path.starts_with(b"/") { Vec::new() } else { join(b"/", &path).into_owned() };
        Some(Rendered::resolved(path, resolved))
    }

    fn rendered_filename(&self) -> Option<Rendered<'_>> {
        let path = self.exec_filename()?;
        let is_relative = !path.starts_with(b"/");
        let resolved = if is_relative { join(&self.base(None)?, &path).into_owned() } else { Vec::new() };
        Some(Rendered::resolved(path, resolved))
    }
}

/// *Falco:* texts with a dot for each terminator; `NULL` for none.
fn dotted<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let all: Vec<u8> = texts.flat_map(|text| text.iter().copied().chain([b'.'])).collect();
    if all.is_empty() { b"NULL".to_vec() } else { all }
}
