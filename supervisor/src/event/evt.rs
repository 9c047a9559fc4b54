// SPDX-License-Identifier: Apache-2.0
//! Fields `evt.*` that are not parameters.

use nix::errno::Errno;
use rules::{Argument, EvtField, Value};

use super::{
    CallEvent,
    call::{owned, text},
    clock::{SECOND, iso_8601},
};
use crate::{
    decode::{Category, Subject},
    process::Kind,
};

/// Events whose call reads data from a descriptor, writes data to one, or blocks its thread: `EF_READS_FROM_FD`,
/// `EF_WRITES_TO_FD` and `EF_WAITS` of Falco's event table. sendfile has neither of the first two.
const READS: [&str; 8] = ["read", "pread", "readv", "preadv", "recv", "recvfrom", "recvmsg", "recvmmsg"];
const WRITES: [&str; 8] = ["write", "pwrite", "writev", "pwritev", "send", "sendto", "sendmsg", "sendmmsg"];
const WAITS: [&str; 5] = ["epoll_wait", "poll", "ppoll", "select", "nanosleep"];
/// Nanoseconds.
const MILLISECOND: u64 = 1_000_000;
/// What the name of the system log's socket contains.
const SYSLOG: &[u8] = b"/dev/log";

impl CallEvent<'_> {
    /// The value of a field of the event itself.
    pub(super) fn evt(&self, field: EvtField, argument: &Argument) -> Option<Value<'_>> {
        use EvtField as E;
        match field {
            E::Num => Some(Value::Uint(self.moment.number)),
            E::Source => Some(text("syscall")),
            E::Hostname => Some(text(self.context.hostname())),
            // *Falco:* the type of a call is that of its event; only calls without an own event differ.
            E::Type | E::SyscallType => Some(text(self.call.event_type().name())),
            E::TypeIs => match argument {
                Argument::Key(name) => Some(Value::Uint(u64::from(**name == *self.call.event_type().name()))),
                Argument::Unused | Argument::Index(_) => None,
            },
            E::Category => Some(text(self.category())),
            // Events are judged with the result that the call is assumed to have, that is as exit events.
            E::Dir => Some(text("<")),
            E::Count | E::CountExit => Some(Value::Uint(1)),
            E::Args | E::Info => Some(owned(self.parameters())),
            E::Arg => self.argument(argument),
            E::Rawarg => self.raw_argument(argument),
            E::Abspath => self.absolute_path(argument),
            E::IsAsync => Some(Value::Bool(false)),
            E::IsIo | E::IsIoRead | E::IsIoWrite | E::IsWait | E::IsSyslog => Some(Value::Bool(self.is_io(field))),
            E::IoDir => self.io_direction(),
            E::Res | E::Rawres | E::Failed => Some(self.outcome(field)),
            E::CountError | E::CountErrorFile | E::CountErrorNet | E::CountErrorMemory | E::CountErrorOther => {
                self.error_count(field)
            }
            E::IsOpenRead | E::IsOpenWrite | E::IsOpenExec | E::IsOpenCreate => {
                Some(Value::Bool(self.open_kind(field)))
            }
            E::Buffer if self.call.moves_data() => self.data().map(|data| Value::Bytes(data.into())),
            E::Buflen if self.call.moves_data() => self.data_length().map(Value::Uint),
            E::BuflenOut | E::BuflenFileOut | E::BuflenNetOut if self.writes_to(field) => {
                self.data_length().map(Value::Uint)
            }
            E::Buffer | E::Buflen | E::BuflenOut | E::BuflenFileOut | E::BuflenNetOut => None,
            E::Around => self.distance_to(argument).map(Value::Uint),
            E::Cpu => self.stat().map(|stat| Value::Int(stat.processor)),
            _ => self.time_field(field),
        }
    }

    /// Whether the call writes to what the field is about.
    fn writes_to(&self, field: EvtField) -> bool {
        let is_subject = |kinds: &[Kind]| self.subject_kind().is_some_and(|kind| kinds.contains(&kind));
        self.call.moves_data()
            && !self.call.receives()
            && match field {
                EvtField::BuflenFileOut => is_subject(&[Kind::File]),
                EvtField::BuflenNetOut => is_subject(&[Kind::Ipv4, Kind::Ipv6]),
                _ => true,
            }
    }

    /// Milliseconds between the event and a time, begun ones counted.
    fn distance_to(&self, time: &Argument) -> Option<u64> {
        let time: u64 = match time {
            Argument::Index(time) => u64::from(*time),
            Argument::Key(time) => time.parse().ok()?,
            Argument::Unused => return None,
        };
        Some(self.moment.time.abs_diff(time).div_ceil(MILLISECOND))
    }

    fn is_io(&self, field: EvtField) -> bool {
        let name = self.call.event_type().name();
        let (reads, writes) = (READS.contains(&name), WRITES.contains(&name));
        match field {
            EvtField::IsIo => reads || writes,
            EvtField::IsIoRead => reads,
            EvtField::IsIoWrite => writes,
            EvtField::IsWait => WAITS.contains(&name),
            _ => {
                let is_log = |name: &[u8]| memchr::memmem::find(name, SYSLOG).is_some();
                writes && self.subject_name().is_some_and(|name| is_log(&name))
            }
        }
    }

    fn io_direction(&self) -> Option<Value<'_>> {
        let name = self.call.event_type().name();
        match (WRITES.contains(&name), READS.contains(&name)) {
            (true, _) => Some(text("write")),
            (false, true) => Some(text("read")),
            (false, false) => None,
        }
    }

    fn outcome(&self, field: EvtField) -> Value<'_> {
        let result = self.result();
        match field {
            EvtField::Rawres => Value::Int(result),
            EvtField::Failed => Value::Bool(result < 0),
            _ if result < 0 => owned(errno_name(result)),
            _ => text("SUCCESS"),
        }
    }

    /// *Falco:* what is done to a descriptor is called by what that is.
    fn category(&self) -> &'static str {
        let category = self.call.layout().category;
        category.word().unwrap_or_else(|| category_on(self.subject_kind()))
    }

    /// 1 for a call of the field's kind that failed, 0 for one that did not; absent for all others.
    fn error_count(&self, field: EvtField) -> Option<Value<'_>> {
        let is_of_kind = match field {
            EvtField::CountError => true,
            // Falco: whatever its descriptor is.
            EvtField::CountErrorMemory => self.call.layout().category == Category::Memory,
            _ => field == self.error_kind(),
        };
        is_of_kind.then(|| Value::Uint(self.is_failed().into()))
    }

    /// *Falco:* a call is of the kind that its descriptor is; without one, by its type.
    fn error_kind(&self) -> EvtField {
        let layout = self.call.layout();
        // An accept is about the connection that it did not make.
        let is_accept = matches!(layout.name, "accept" | "accept4");
        match self.subject_kind().filter(|_| !is_accept) {
            Some(Kind::File | Kind::Directory) => EvtField::CountErrorFile,
            Some(Kind::Ipv4 | Kind::Ipv6 | Kind::Unix) => EvtField::CountErrorNet,
            None if layout.subject == Subject::Opened => EvtField::CountErrorFile,
            None if is_accept || layout.name == "connect" => EvtField::CountErrorNet,
            None if layout.category == Category::Memory => EvtField::CountErrorMemory,
            Some(_) | None => EvtField::CountErrorOther,
        }
    }

    fn open_kind(&self, field: EvtField) -> bool {
        let open = self.open();
        match field {
            EvtField::IsOpenRead => open.is_some_and(|open| open.reads()),
            EvtField::IsOpenWrite => open.is_some_and(|open| open.writes()),
            EvtField::IsOpenExec => open.is_some_and(|open| open.may_create() && open.mode & 0o111 != 0),
            // Falco calls every open of a directory a creation (live oracle, open-dir), since O_TMPFILE contains
            // O_DIRECTORY. In enforce mode that would deny listing a directory.
            _ => self.creates(),
        }
    }

    fn time_field(&self, field: EvtField) -> Option<Value<'_>> {
        use EvtField as E;
        let (clock, time) = (&self.context.clock, self.moment.time);
        let (relative, delta) = (clock.relative(time), time.saturating_sub(self.moment.previous));
        let span = |ns: u64| i64::try_from(ns).ok().map(Value::Int);
        match field {
            E::Time | E::Outputtime => clock.time(time, true).map(owned),
            E::TimeS => clock.time(time, false).map(owned),
            E::TimeIso8601 => iso_8601(time).map(owned),
            E::Datetime => clock.date_time(time, true).map(owned),
            E::DatetimeS => clock.date_time(time, false).map(owned),
            E::Rawtime => Some(Value::Uint(time)),
            E::RawtimeS => Some(Value::Uint(time / SECOND)),
            E::RawtimeNs => Some(Value::Uint(time % SECOND)),
            E::Reltime => span(relative),
            E::ReltimeS => span(relative / SECOND),
            E::ReltimeNs => span(relative % SECOND),
            E::Deltatime => span(delta),
            E::DeltatimeS => span(delta / SECOND),
            E::DeltatimeNs => span(delta % SECOND),
            _ => None,
        }
    }
}

/// What a call on a descriptor of this kind is called; `None` stands for one that is not open.
fn category_on(kind: Option<Kind>) -> &'static str {
    use Kind as K;
    match kind {
        Some(K::File | K::Directory) => "file",
        Some(K::Ipv4 | K::Ipv6) => "net",
        Some(K::Unix | K::Pipe | K::Event | K::Signal | K::Inotify | K::UserFault) => "ipc",
        Some(K::Poll | K::Bpf | K::IoUring | K::Memory | K::Pid | K::Other) | None => "unknown",
    }
}

/// `EACCES` for -13; the number for an errno that nobody knows.
pub(super) fn errno_name(result: i64) -> String {
    let number = i32::try_from(result.saturating_neg()).unwrap_or(0);
    let errno = Errno::from_raw(number);
    if errno == Errno::UnknownErrno { result.to_string() } else { format!("{errno:?}") }
}
