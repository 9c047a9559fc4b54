// SPDX-License-Identifier: Apache-2.0
//! Fields `proc.*` and `thread.*`.

mod kin;
mod own;
mod thread;

use rules::{Argument, ProcField, Value};

use super::{CallEvent, call::owned, file};
use crate::process::{Layer, Process, Status};

impl CallEvent<'_> {
    /// The value of a field of the calling process; on exec events that of the new program.
    pub(super) fn proc(&self, field: ProcField, argument: &Argument) -> Option<Value<'_>> {
        use ProcField as P;
        match field {
            P::Exe
            | P::Exepath
            | P::Name
            | P::Args
            | P::Cmdline
            | P::Cmdnargs
            | P::Cmdlenargs
            | P::Exeline
            | P::Env
            | P::Cwd => self.own_program(field, argument),
            P::Pexe | P::Pexepath | P::Pname | P::Pcmdline | P::Ppid | P::Pvpid | P::PpidTs | P::PpidDuration => {
                self.ask_kin(|| self.of_parent(field))
            }
            P::Aexe | P::Aexepath | P::Aname | P::Aargs | P::Acmdline | P::Aenv | P::Apid => {
                self.ask_kin(|| self.of_ancestors(field, argument))
            }
            P::Loginshellid => self.ask_kin(|| self.login_shell()),
            P::Sname | P::SidExe | P::SidExepath => {
                self.ask_kin(|| self.of_leader(self.stat()?.session, field, |stat| stat.session))
            }
            P::VpgidName | P::VpgidExe | P::VpgidExepath | P::PgidName | P::PgidExe | P::PgidExepath => {
                self.ask_kin(|| self.of_leader(self.stat()?.group, field, |stat| stat.group))
            }
            P::Tty
            | P::Pid
            | P::Vpid
            | P::Sid
            | P::Vpgid
            | P::Pgid
            | P::IsSidLeader
            | P::IsVpgidLeader
            | P::IsPgidLeader => self.own_ids(field),
            P::Duration | P::PidTs | P::PidnsInitStartTs => self.own_times(field),
            P::Fdopencount | P::Fdlimit | P::Fdusage | P::Vmsize | P::Vmrss | P::Vmswap | P::Nthreads | P::Nchilds => {
                self.own_sizes(field)
            }
            P::StdinType | P::StdoutType | P::StderrType | P::StdinName | P::StdoutName | P::StderrName => {
                self.standard_streams(field)
            }
            P::IsExeWritable | P::IsExeUpperLayer | P::IsExeLowerLayer | P::IsExeFromMemfd => self.program_flags(field),
            P::ExeIno
            | P::ExeInoCtime
            | P::ExeInoMtime
            | P::ExeInoCtimeDurationProcStart
            | P::ExeInoCtimeDurationPidnsStart => self.program_inode(field),
        }
    }

    fn program_flags(&self, field: ProcField) -> Option<Value<'_>> {
        let value = match field {
            ProcField::IsExeUpperLayer => self.program_layer() == Some(Layer::Upper),
            ProcField::IsExeLowerLayer => self.program_layer() == Some(Layer::Lower),
            ProcField::IsExeFromMemfd => self.program_file()?.path.starts_with(b"memfd:"),
            _ => self.may_write(&self.program_file()?.facts)?,
        };
        Some(Value::Bool(value))
    }

    fn program_inode(&self, field: ProcField) -> Option<Value<'_>> {
        let facts = self.program_file()?.facts;
        let changed = file::nanoseconds(facts.st_ctime, facts.st_ctime_nsec);
        let later = |later: u64, earlier: u64| later.checked_sub(earlier).filter(|ns| *ns > 0).map(Value::Uint);
        match field {
            ProcField::ExeIno => i64::try_from(facts.st_ino).ok().map(Value::Int),
            ProcField::ExeInoCtime => Some(Value::Uint(changed)),
            ProcField::ExeInoMtime => Some(Value::Uint(file::nanoseconds(facts.st_mtime, facts.st_mtime_nsec))),
            ProcField::ExeInoCtimeDurationProcStart => later(self.started()?, changed),
            _ => later(changed, self.namespace_started()?),
        }
    }

    fn own_times(&self, field: ProcField) -> Option<Value<'_>> {
        match field {
            ProcField::Duration => self.since(self.started()?),
            ProcField::PidTs => i64::try_from(self.started()?).ok().map(Value::Int),
            _ => self.namespace_started().map(Value::Uint),
        }
    }

    /// When the process was made.
    fn started(&self) -> Option<u64> {
        self.start_of(self.leader()?)
    }

    fn start_of(&self, process: &Process) -> Option<u64> {
        Some(self.context.clock.of_ticks(process.stat()?.started))
    }

    /// Time from `start` to the event. A start is rounded to a clock tick, so that it may seem to lie behind the event.
    pub(super) fn since(&self, start: u64) -> Option<Value<'static>> {
        i64::try_from(self.moment.time.saturating_sub(start)).ok().map(Value::Int)
    }

    /// When the first process of the caller's pid namespace was made: the container's first one if that is known, else the
    /// ancestor with number 1 in the same namespace.
    pub(super) fn namespace_started(&self) -> Option<u64> {
        let depth = self.status()?.depth;
        let is_first = |status: &Status| status.own_process == 1 && status.depth == depth;
        let is_known_as_first = |process: &Process| process.status().is_some_and(|status| is_first(&status));
        let known = self.context.init().and_then(|init| self.context.processes.get(init));
        if let Some(init) = known.filter(|init| is_known_as_first(init)) {
            return self.start_of(&init);
        }
        let own = self.leader().filter(|leader| is_known_as_first(leader));
        match own {
            Some(leader) => self.start_of(leader),
            None => self.ask_kin(|| {
                let status = |ancestor: &Process| self.told_by(ancestor, Process::status);
                let first =
                    self.ancestors().find(|ancestor| status(ancestor).is_some_and(|status| is_first(&status)))?;
                self.told_by(&first, |first| self.start_of(first))
            }),
        }
    }
}

/// A directory as `proc.cwd` prints it.
fn with_slash<'a>(mut path: Vec<u8>) -> Value<'a> {
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    owned(path)
}
