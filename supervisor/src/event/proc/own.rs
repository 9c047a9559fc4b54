// SPDX-License-Identifier: Apache-2.0
//! The event's own process: program, arguments, ids, sizes, standard streams.

use rules::{Argument, ProcField, Value};

use super::{CallEvent, owned, with_slash};
use crate::{
    event::{file, paths},
    target::Strings,
};

impl CallEvent<'_> {
    /// The kernel's name of the program.
    pub(in crate::event) fn name(&self) -> Option<Vec<u8>> {
        if self.call.is_exec() { self.exec_name() } else { self.leader()?.name() }
    }

    /// The path of the program: the predicted one of an exec, or its path argument where nothing is there yet.
    pub(in crate::event) fn exe_path(&self) -> Option<Vec<u8>> {
        if !self.call.is_exec() {
            return file::exe_path(self.thread()?);
        }
        if let Some(program) = self.program() {
            return Some(program.path.clone());
        }
        if !self.will_execute() {
            // Somebody knows, and who does not must not guess.
            return None;
        }
        let path = self.exec_path()?;
        let base = if path.starts_with(b"/") { Vec::new() } else { self.base(self.call.exec_registers()?.directory)? };
        Some(crate::event::join::join(&base, path).into_owned())
    }

    /// `argv`.
    pub(in crate::event) fn arguments(&self) -> Option<Strings> {
        if self.call.is_exec() { self.exec_arguments().cloned() } else { self.thread()?.arguments() }
    }

    /// The environment.
    pub(in crate::event) fn environment(&self) -> Option<Strings> {
        if self.call.is_exec() { self.exec_environment().cloned() } else { self.thread()?.environment() }
    }

    pub(super) fn own_program(&self, field: ProcField, argument: &Argument) -> Option<Value<'_>> {
        match field {
            ProcField::Name => self.name().map(owned),
            ProcField::Exepath => self.exe_path().map(owned),
            ProcField::Cwd => paths::working_directory(self.thread()?).map(with_slash),
            ProcField::Env => Some(owned(environment_text(&self.environment()?, argument))),
            ProcField::Cmdline => Some(owned(command_line(self.name()?, &self.arguments()?))),
            ProcField::Args => arguments_text(&self.arguments()?, argument).map(owned),
            ProcField::Cmdnargs => u64::try_from(self.arguments()?.len().saturating_sub(1)).ok().map(Value::Uint),
            ProcField::Cmdlenargs => {
                let arguments = self.arguments()?;
                let first = arguments.get(0).map_or(0, <[u8]>::len);
                u64::try_from(arguments.total() - first).ok().map(Value::Uint)
            }
            ProcField::Exeline => {
                let arguments = self.arguments()?;
                // *Falco:* the blank stands even where no argument follows (live oracle, exec-rel).
                let first = arguments.get(0).unwrap_or_default();
                Some(owned([first, b" ", &joined(arguments.iter().skip(1))].concat()))
            }
            _ => Some(owned(self.arguments()?.get(0)?)),
        }
    }

    pub(super) fn own_ids(&self, field: ProcField) -> Option<Value<'_>> {
        let number = |id: u32| Some(Value::Int(i64::from(id)));
        match field {
            ProcField::Tty => Some(Value::Uint(u64::from(self.stat()?.terminal))),
            ProcField::Pid => number(self.thread()?.leader()?),
            ProcField::Pgid => number(self.stat()?.group),
            ProcField::IsPgidLeader => Some(Value::Bool(self.stat()?.group == self.thread()?.leader()?)),
            ProcField::Vpid => number(self.status()?.own_process),
            ProcField::Sid => number(self.status()?.own_session),
            ProcField::Vpgid => number(self.status()?.own_group),
            ProcField::IsSidLeader => self.status().map(|status| Value::Bool(status.own_session == status.own_process)),
            _ => self.status().map(|status| Value::Bool(status.own_group == status.own_process)),
        }
    }

    pub(super) fn own_sizes(&self, field: ProcField) -> Option<Value<'_>> {
        let count = || self.thread()?.descriptor_count();
        let limit = || self.thread()?.descriptor_limit();
        match field {
            ProcField::Fdopencount => u64::try_from(count()?).ok().map(Value::Uint),
            ProcField::Fdlimit => limit().map(Value::Int),
            ProcField::Fdusage => {
                let (open, limit) = (u32::try_from(count()?).ok()?, limit()?);
                // Limits are far below the 2^53 up to which a double is exact.
                let limit = f64::from(u32::try_from(limit).unwrap_or(u32::MAX));
                Some(Value::Double(if limit > 0.0 { f64::from(open) * 100.0 / limit } else { 0.0 }))
            }
            ProcField::Vmsize => Some(Value::Uint(self.status()?.memory.size)),
            ProcField::Vmrss => Some(Value::Uint(self.status()?.memory.resident)),
            ProcField::Vmswap => Some(Value::Uint(self.status()?.memory.swapped)),
            // An exec ends all other threads.
            ProcField::Nthreads => Some(Value::Uint(if self.call.is_exec() { 1 } else { self.stat()?.threads })),
            _ => Some(Value::Uint(if self.call.is_exec() { 0 } else { self.stat()?.threads.saturating_sub(1) })),
        }
    }

    pub(super) fn standard_streams(&self, field: ProcField) -> Option<Value<'_>> {
        use ProcField as P;
        let number = match field {
            P::StdinType | P::StdinName => 0,
            P::StdoutType | P::StdoutName => 1,
            _ => 2,
        };
        let descriptor = self.thread()?.descriptor(number)?;
        let is_type = matches!(field, P::StdinType | P::StdoutType | P::StderrType);
        Some(owned(if is_type { descriptor.kind.word().as_bytes().to_vec() } else { descriptor.name }))
    }
}

/// Arguments behind the first, separated by blanks.
pub(super) fn arguments_behind_first(arguments: &Strings) -> Vec<u8> {
    joined(arguments.iter().skip(1))
}

/// *Falco:* the kernel's name and the arguments behind the first, separated by blanks, unquoted.
pub(super) fn command_line(mut name: Vec<u8>, arguments: &Strings) -> Vec<u8> {
    if arguments.len() > 1 {
        name.push(b' ');
        name.extend_from_slice(&arguments_behind_first(arguments));
    }
    name
}

/// `proc.args`, or one of the arguments, the first behind `argv[0]` being 0.
fn arguments_text(arguments: &Strings, argument: &Argument) -> Option<Vec<u8>> {
    match argument {
        Argument::Index(index) => arguments.get(usize::try_from(*index).ok()?.checked_add(1)?).map(<[u8]>::to_vec),
        Argument::Unused | Argument::Key(_) => Some(joined(arguments.iter().skip(1))),
    }
}

/// `proc.env`, or the value of one name; empty where it is not set.
pub(super) fn environment_text(environment: &Strings, argument: &Argument) -> Vec<u8> {
    match argument {
        Argument::Key(name) => variable(environment, name).unwrap_or_default().to_vec(),
        Argument::Index(number) => variable(environment, &number.to_string()).unwrap_or_default().to_vec(),
        Argument::Unused => joined(environment.iter()),
    }
}

/// The value of an environment variable.
pub(super) fn variable<'a>(environment: &'a Strings, name: &str) -> Option<&'a [u8]> {
    environment.iter().find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn joined<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    texts.collect::<Vec<_>>().join(b" ".as_slice())
}
