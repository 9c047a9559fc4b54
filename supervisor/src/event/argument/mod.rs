// SPDX-License-Identifier: Apache-2.0
//! Parameters of the event type: `evt.arg`, `evt.rawarg`, `evt.args`, `evt.abspath`.
//!
//! *Falco* renders each parameter as a text and, where there is one, as a resolved text: a descriptor's file, a flag's names,
//! a user's name. `evt.arg` is the resolved text if there is one; `evt.args` shows both.

mod exec;

use std::borrow::Cow;

use rules::{Argument, ParameterType as P, Value};

use super::{CallEvent, evt::errno_name, user::NO_NAME};
use crate::{
    account::{host_group, host_user},
    decode::{
        CLONE_BITS, Enumeration, MOUNT_BITS, Names, OPEN_BITS, RESOLVE_BITS, SOCKET_OPTIONS, SocketAddress, Source,
        Subject, clone_flags, kept, mount_flags, node_mode, open_bits, render_flags, render_mode, renumbered,
    },
    process::Layer,
};

/// An unset user or group, as a number.
const UNSET: u64 = 0xffff_ffff;

/// A parameter in Falco's two renderings.
pub(super) struct Rendered<'a> {
    text: Cow<'a, [u8]>,
    resolved: Cow<'a, [u8]>,
}

impl<'a> Rendered<'a> {
    /// Text alone.
    fn plain(text: impl Into<Vec<u8>>) -> Self {
        Self { text: Cow::Owned(text.into()), resolved: Cow::Borrowed(b"") }
    }

    /// Text and what it means.
    fn resolved(text: impl Into<Vec<u8>>, resolved: impl Into<Vec<u8>>) -> Self {
        Self { text: Cow::Owned(text.into()), resolved: Cow::Owned(resolved.into()) }
    }

    fn flags(value: u32, names: Names) -> Self {
        Self::resolved(value.to_string(), render_flags(names, value))
    }

    /// A number of Falco's and its names.
    fn named((number, names): (u32, String)) -> Self {
        Self::resolved(number.to_string(), names)
    }

    fn into_best(self) -> Cow<'a, [u8]> {
        if self.resolved.is_empty() { self.text } else { self.resolved }
    }
}

impl CallEvent<'_> {
    /// `evt.arg`.
    pub(super) fn argument(&self, argument: &Argument) -> Option<Value<'_>> {
        self.rendered(self.parameter(argument)?).map(|rendered| Value::Text(rendered.into_best()))
    }

    /// `evt.args`; what is not known before the call is left out.
    pub(super) fn parameters(&self) -> Vec<u8> {
        let parameters = self.call.event_type().description().parameters;
        let shown = parameters.iter().enumerate().filter_map(|(index, parameter)| {
            let Rendered { text, resolved } = self.rendered(index)?;
            let name = parameter.name.as_bytes();
            Some(if resolved.is_empty() {
                [name, b"=", &text].concat()
            } else {
                [name, b"=", &text, b"(", &resolved, b")"].concat()
            })
        });
        shown.collect::<Vec<_>>().join(b" ".as_slice())
    }

    /// `evt.rawarg`: numbers as numbers, everything else as text.
    pub(super) fn raw_argument(&self, argument: &Argument) -> Option<Value<'_>> {
        let index = self.parameter(argument)?;
        let parameter = self.call.event_type().description().parameters.get(index)?;
        let Rendered { text, .. } = self.rendered(index)?;
        let number = |radix: u32| i128::from_str_radix(std::str::from_utf8(&text).ok()?, radix).ok();
        let radix = match self.call.layout().sources.get(index)? {
            Source::Mode(_) | Source::NodeMode(_) | Source::OpenMode => 8,
            Source::Hex(_) | Source::SocketFlags(_) => 16,
            Source::Exec(parameter) if parameter.is_set() => 16,
            _ => 10,
        };
        match parameter.value_type {
            P::Charbuf | P::Fspath | P::Fsrelpath | P::Bytebuf | P::Sockaddr | P::Socktuple => Some(Value::Text(text)),
            P::Fd | P::Errno | P::Pid | P::Int16 | P::Int32 | P::Int64 => {
                i64::try_from(number(radix)?).ok().map(Value::Int)
            }
            P::Uid | P::Gid => Some(Value::Uint(u64::try_from(number(radix)?).unwrap_or(UNSET))),
            _ => u64::try_from(number(radix)?).ok().map(Value::Uint),
        }
    }

    /// `evt.abspath`: the call's path, or of two paths the first (`src`, or no argument) or second (`dst`).
    pub(super) fn absolute_path(&self, argument: &Argument) -> Option<Value<'_>> {
        let second = matches!(argument, Argument::Key(key) if &**key == "dst");
        // *Falco:* of a call with one path, that is also the second.
        let index = usize::from(second && self.call.paths().nth(1).is_some());
        self.path(index).map(Value::text)
    }

    fn parameter(&self, argument: &Argument) -> Option<usize> {
        self.call.event_type().parameter(argument)
    }

    /// One parameter; `None` where it is not known.
    fn rendered(&self, index: usize) -> Option<Rendered<'_>> {
        match *self.call.layout().sources.get(index)? {
            Source::Outcome => Some(self.rendered_outcome()),
            Source::NewDescriptor => self.rendered_new_descriptor(),
            Source::Descriptor(register) => Some(self.rendered_descriptor(self.call.int(register))),
            Source::Path(..) => self.rendered_path(index),
            Source::Text(register) => self.text_at(register).map(Rendered::plain),
            Source::Bytes(address, length) => {
                self.bytes(self.call.register(address), self.call.register(length)).map(Rendered::plain)
            }
            Source::TextFor(register, selector, values) => {
                let is_text = values.contains(&self.call.word(selector));
                if is_text { self.text_at(register).map(Rendered::plain) } else { None }
            }
            Source::Signed(register) => Some(Rendered::plain(self.call.int(register).to_string())),
            Source::Long(register) => Some(Rendered::plain(self.call.register(register).to_string())),
            Source::Number(register) => Some(Rendered::plain(self.call.word(register).to_string())),
            Source::Hex(register) => Some(Rendered::plain(format!("{:X}", self.call.register(register)))),
            Source::Named(register, names) => Some(Rendered::flags(kept(names, self.call.word(register)), names)),
            Source::Whole(register, names) => Some(Rendered::flags(self.call.word(register), names)),
            Source::MountFlags(register) => Some(Rendered::flags(mount_flags(self.call.word(register)), MOUNT_BITS)),
            Source::Renumbered(register, bits) => Some(Rendered::named(renumbered(bits, self.call.word(register)))),
            ref source @ (Source::Enumerated(..) | Source::Short(..) | Source::Limited(..) | Source::Choice(..)) => {
                let (register, values) = source.enumeration()?;
                Some(Rendered::named(values.find(self.call.word(register))))
            }
            Source::SocketOption(level, option) => Some(self.rendered_socket_option(level, option)),
            Source::ControlNumber => self.control_number().map(|number| Rendered::plain(number.to_string())),
            Source::CloseOnExec(register) => Some(Rendered::flags(new_flags(self.call.int(register)), OPEN_BITS)),
            Source::SocketFlags(register) => Some(Rendered::plain(format!("{:X}", new_flags(self.call.int(register))))),
            Source::CloneFlags(register) => Some(Rendered::flags(clone_flags(self.call.word(register)), CLONE_BITS)),
            Source::Mode(register) => Some(permissions(self.call.word(register))),
            Source::NodeMode(register) => Some(permissions(node_mode(self.call.word(register)))),
            Source::User(register) => Some(self.rendered_given_user(self.call.word(register))),
            Source::Group(register) => Some(self.rendered_given_group(self.call.word(register))),
            Source::Address => self.subject_address().and_then(SocketAddress::render).map(Rendered::plain),
            Source::Tuple => self.connection_name().map(Rendered::plain),
            Source::Data => self.data().map(Rendered::plain),
            Source::OpenFlags | Source::OpenMode | Source::OpenResolve | Source::CreateFlags => {
                self.rendered_open(index)
            }
            Source::Device => self.rendered_device(),
            Source::Inode => Some(Rendered::plain(self.subject_facts()?.st_ino.to_string())),
            Source::Exec(parameter) => self.rendered_exec(parameter),
            Source::Unknown => None,
        }
    }

    fn rendered_outcome(&self) -> Rendered<'_> {
        let result = self.result();
        if result < 0 {
            Rendered::resolved(result.to_string(), errno_name(result))
        } else {
            Rendered::plain(result.to_string())
        }
    }

    fn rendered_new_descriptor(&self) -> Option<Rendered<'_>> {
        let result = self.result();
        if result < 0 {
            return Some(Rendered::resolved(result.to_string(), errno_name(result)));
        }
        if self.call.layout().subject == Subject::None {
            return Some(Rendered::plain(result.to_string()));
        }
        Some(Rendered::resolved(result.to_string(), self.subject_text()?))
    }

    fn rendered_descriptor(&self, number: i32) -> Rendered<'_> {
        if number == libc::AT_FDCWD {
            return Rendered::resolved("-100", "AT_FDCWD");
        }
        match self.descriptor_text(number) {
            Some(descriptor) => Rendered::resolved(number.to_string(), descriptor),
            None if number < 0 => Rendered::resolved(number.to_string(), errno_name(i64::from(number))),
            None => Rendered::plain(number.to_string()),
        }
    }

    /// *Falco:* only a relative path has a resolved form, so that `evt.arg.name` may hold `..` where `fd.name` does not.
    fn rendered_path(&self, parameter: usize) -> Option<Rendered<'_>> {
        let index = self.path_index(parameter)?;
        let raw = self.raw_path(index)?;
        let is_relative = !raw.starts_with(b"/") && !raw.is_empty();
        let resolved = if is_relative { self.path(index).unwrap_or_default() } else { b"" };
        Some(Rendered { text: Cow::Borrowed(raw), resolved: Cow::Borrowed(resolved) })
    }

    fn rendered_open(&self, index: usize) -> Option<Rendered<'_>> {
        let open = self.open()?;
        Some(match self.call.layout().sources.get(index)? {
            Source::OpenMode => Rendered::plain(octal(open.mode)),
            Source::OpenResolve => Rendered::flags(open.falco_resolve(), RESOLVE_BITS),
            Source::CreateFlags => Rendered::plain(match self.subject_layer() {
                Some(Layer::Upper) => "1(FD_UPPER_LAYER_CREAT)",
                Some(Layer::Lower) => "2(FD_LOWER_LAYER_CREAT)",
                None => "0",
            }),
            _ => {
                let created = if self.creates() && !open.is_unnamed() { open_bits::CREATED } else { 0 };
                let layer = match self.subject_layer() {
                    Some(Layer::Upper) => open_bits::UPPER,
                    Some(Layer::Lower) => open_bits::LOWER,
                    None => 0,
                };
                Rendered::flags(open.falco_flags() | created | layer, OPEN_BITS)
            }
        })
    }

    /// *Falco:* knows the options of sockets in general, not those of a protocol.
    fn rendered_socket_option(&self, level: usize, option: usize) -> Rendered<'_> {
        let is_general = self.call.int(level) == libc::SOL_SOCKET;
        let found = SOCKET_OPTIONS.find(if is_general { self.call.word(option) } else { 0 });
        Rendered::resolved(found.0.to_string(), found.1)
    }

    /// *Falco:* 0 where the second argument is text. What `PR_GET_CHILD_SUBREAPER` will write there nobody knows yet.
    fn control_number(&self) -> Option<i64> {
        match self.call.int(0) {
            libc::PR_SET_NAME | libc::PR_GET_NAME => Some(0),
            libc::PR_GET_CHILD_SUBREAPER => None,
            _ => Some(self.call.register(1).cast_signed()),
        }
    }

    fn rendered_device(&self) -> Option<Rendered<'_>> {
        use nix::sys::stat::{major, minor};
        let device = self.subject_facts()?.st_dev;
        Some(Rendered::plain(format!("{:X}", super::fd::packed_device(major(device), minor(device))?)))
    }

    /// *Falco:* an unset id is -1 with the name `<NONE>`.
    fn rendered_user(&self, user: u32) -> Rendered<'_> {
        if user == u32::MAX {
            return Rendered::resolved("-1", "<NONE>");
        }
        Rendered::resolved(user.to_string(), self.user_name(user))
    }

    /// A user as the target numbers it.
    fn rendered_given_user(&self, user: u32) -> Rendered<'_> {
        if user == u32::MAX {
            return self.rendered_user(user);
        }
        let name = self.thread().and_then(|thread| Some(self.user_name(host_user(thread, user)?)));
        Rendered::resolved(user.to_string(), name.unwrap_or_else(|| NO_NAME.into()))
    }

    /// A group as the target numbers it.
    fn rendered_given_group(&self, group: u32) -> Rendered<'_> {
        if group == u32::MAX {
            return self.rendered_group(group);
        }
        let name = self.thread().and_then(|thread| self.group_name(host_group(thread, group)?));
        Rendered::resolved(group.to_string(), name.unwrap_or_else(|| NO_NAME.into()))
    }

    fn rendered_group(&self, group: u32) -> Rendered<'_> {
        if group == u32::MAX {
            return Rendered::resolved("-1", "<NONE>");
        }
        Rendered::resolved(group.to_string(), self.group_name(group).unwrap_or_else(|| NO_NAME.into()))
    }
}

/// *Falco:* octal numbers have a leading zero, but for zero itself.
fn octal(value: u32) -> String {
    if value == 0 { "0".to_owned() } else { format!("0{value:o}") }
}

fn permissions(mode: u32) -> Rendered<'static> {
    Rendered::resolved(octal(mode), render_mode(mode))
}

/// What `evt.arg` says of a value with names.
pub(crate) fn enumerated_text(value: u32, values: Enumeration) -> Vec<u8> {
    Rendered::named(values.find(value)).into_best().into_owned()
}

/// Flags of a new descriptor in Falco's numbers.
fn new_flags(flags: i32) -> u32 {
    let close = if flags & libc::O_CLOEXEC != 0 { open_bits::CLOSE_ON_EXEC } else { 0 };
    let nonblock = if flags & libc::O_NONBLOCK != 0 { open_bits::NONBLOCK } else { 0 };
    close | nonblock
}
