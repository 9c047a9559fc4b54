// SPDX-License-Identifier: Apache-2.0
//! Relatives of the event's process: parent, ancestors, leaders of its session and group.

use std::sync::Arc;

use rules::{Argument, ProcField, Value};

use super::{
    CallEvent,
    own::{arguments_behind_first, command_line, environment_text, variable},
    owned,
};
use crate::{
    event::file,
    process::{Process, Stat},
    target::Strings,
};

impl CallEvent<'_> {
    pub(super) fn of_parent(&self, field: ProcField) -> Option<Value<'_>> {
        let parent = self.parent()?;
        self.told_by(&parent, |parent| match field {
            ProcField::Pexe => arguments(parent)?.get(0).map(owned),
            ProcField::Pexepath => exe_path(parent).map(owned),
            ProcField::Pname => parent.name().map(owned),
            ProcField::Pcmdline => command_line_of(parent).map(owned),
            ProcField::Ppid => Some(Value::Int(i64::from(parent.task()))),
            ProcField::Pvpid => Some(Value::Int(i64::from(parent.status()?.own_process))),
            ProcField::PpidTs => i64::try_from(self.start_of(parent)?).ok().map(Value::Int),
            _ => self.since(self.start_of(parent)?),
        })
    }

    /// With an index one ancestor, 0 being the process itself; without, any of them and not the process itself.
    pub(super) fn of_ancestors(&self, field: ProcField, argument: &Argument) -> Option<Value<'_>> {
        match argument {
            Argument::Index(0) => self.own_as_ancestor(field),
            Argument::Index(index) => {
                let index = usize::try_from(*index).ok()?.checked_sub(1)?;
                let ancestor = self.ancestors().nth(index)?;
                self.ancestor_value(&ancestor, field)
            }
            Argument::Key(name) if field == ProcField::Aenv => {
                let environments = self.ancestors().filter_map(|ancestor| self.told_by(&ancestor, environment));
                let values = environments.map(|environment| variable(&environment, name).map(<[u8]>::to_vec));
                values.flatten().next().map(owned)
            }
            // *Falco:* without anything in brackets this is the process's own environment.
            Argument::Unused if field == ProcField::Aenv => self.own_as_ancestor(field),
            Argument::Unused | Argument::Key(_) => {
                let values = self.ancestors().filter_map(|ancestor| self.ancestor_value(&ancestor, field));
                // *Falco:* without an ancestor the list does not exist.
                Some(values.collect::<Vec<_>>()).filter(|values| !values.is_empty()).map(Value::Any)
            }
        }
    }

    fn own_as_ancestor(&self, field: ProcField) -> Option<Value<'_>> {
        let own = match field {
            ProcField::Aexe => ProcField::Exe,
            ProcField::Aexepath => ProcField::Exepath,
            ProcField::Aname => ProcField::Name,
            ProcField::Aargs => ProcField::Args,
            ProcField::Acmdline => ProcField::Cmdline,
            ProcField::Aenv => ProcField::Env,
            _ => ProcField::Pid,
        };
        self.proc(own, &Argument::Unused)
    }

    /// *Falco:* a shell is what is named so: `sh`, `bash`, `zsh`, but also `ssh`.
    pub(super) fn login_shell(&self) -> Option<Value<'_>> {
        let is_shell = |name: Option<Vec<u8>>| name.is_some_and(|name| name.ends_with(b"sh"));
        let ancestors: Vec<_> = self.ancestors().collect();
        let oldest = ancestors.iter().rev().find(|ancestor| is_shell(self.told_by(ancestor, Process::name)));
        let pid = match oldest {
            Some(shell) => shell.task(),
            None => self.thread()?.leader().filter(|_| is_shell(self.name()))?,
        };
        Some(Value::Int(i64::from(pid)))
    }

    /// Name, first argument or path of the process that leads a session or group; where it has ended, of the oldest
    /// ancestor that belongs to it. *Falco:* empty where there is none.
    pub(super) fn of_leader(&self, leader: u32, field: ProcField, membership: fn(&Stat) -> u32) -> Option<Value<'_>> {
        use ProcField as P;
        let what = match field {
            P::Sname | P::VpgidName | P::PgidName => P::Aname,
            P::SidExe | P::VpgidExe | P::PgidExe => P::Aexe,
            _ => P::Aexepath,
        };
        if self.thread()?.leader() == Some(leader) {
            return self.own_as_ancestor(what);
        }
        let belongs = |process: &Arc<Process>| {
            self.told_by(process, Process::stat).is_some_and(|stat| membership(&stat) == leader)
        };
        let alive = self.context.processes.get(leader).filter(belongs);
        let found = alive.or_else(|| self.ancestors().take_while(belongs).last());
        found.map_or_else(|| Some(owned("")), |process| self.ancestor_value(&process, what))
    }

    fn ancestor_value(&self, ancestor: &Process, field: ProcField) -> Option<Value<'static>> {
        self.told_by(ancestor, |ancestor| ancestor_value(ancestor, field))
    }
}

fn ancestor_value<'a>(process: &Process, field: ProcField) -> Option<Value<'a>> {
    match field {
        ProcField::Aexe => arguments(process)?.get(0).map(owned),
        ProcField::Aexepath => exe_path(process).map(owned),
        ProcField::Aname => process.name().map(owned),
        ProcField::Aargs => Some(owned(arguments_behind_first(&arguments(process)?))),
        ProcField::Acmdline => command_line_of(process).map(owned),
        ProcField::Aenv => Some(owned(environment_text(&environment(process)?, &Argument::Unused))),
        _ => Some(Value::Int(i64::from(process.task()))),
    }
}

fn exe_path(process: &Process) -> Option<Vec<u8>> {
    process.of_program(file::exe_path, Vec::is_empty)
}

fn arguments(process: &Process) -> Option<Strings> {
    process.of_program(Process::arguments, |arguments| arguments.len() == 0)
}

fn environment(process: &Process) -> Option<Strings> {
    process.of_program(Process::environment, |environment| environment.len() == 0)
}

/// The command line of another process.
fn command_line_of(process: &Process) -> Option<Vec<u8>> {
    Some(command_line(process.name()?, &arguments(process)?))
}
