// SPDX-License-Identifier: Apache-2.0
//! Fields `fd.*` and `fs.path.*`.

use std::borrow::Cow;

use nix::sys::stat::{major, minor};
use rules::{Argument, FdField, FsPathField, Value};

use super::{
    CallEvent,
    call::{owned, text},
    join::{directory, file_name},
};
use crate::{
    decode::{Source, Subject},
    process::{Kind, Layer, Process},
};

impl CallEvent<'_> {
    /// The value of a field of the event's descriptor.
    pub(super) fn fd(&self, field: FdField, argument: &Argument) -> Option<Value<'_>> {
        use FdField as F;
        if field == F::Types {
            return types(self.thread()?, argument);
        }
        if self.call.layout().subject == Subject::None {
            return None;
        }
        match field {
            F::Num => self.descriptor_number().map(Value::Int),
            F::Type => self.subject_kind().map(|kind| text(kind.word())),
            F::Typechar => Some(text(self.type_letter())),
            F::Name => self.subject_name().map(Value::Text),
            F::Nameraw => self.subject_raw_name(),
            F::Directory => self.subject_directory().map(Value::Text),
            F::Filename => self.subject_file_name().map(Value::Text),
            F::Uid => Some(owned(format!("{}{}", self.target.tid(), self.descriptor_number()?))),
            F::Containername => {
                Some(owned([self.context.identity.id.as_bytes(), b":", &self.subject_name()?].concat()))
            }
            F::Containerdirectory => {
                Some(owned([self.context.identity.id.as_bytes(), b":", &self.subject_directory()?].concat()))
            }
            F::Realpath => {
                let names = self.real_names();
                let others = self.aliases().iter().filter(|alias| !names.contains(alias));
                let mut all: Vec<_> = names.iter().chain(others).map(|name| Value::text(name)).collect();
                if all.len() > 1 { Some(Value::Any(all)) } else { all.pop() }
            }
            F::Dev | F::DevMajor | F::DevMinor => self.device(field),
            F::Ino => i64::try_from(self.subject_facts()?.st_ino).ok().map(Value::Int),
            F::IsUpperLayer => Some(Value::Bool(self.subject_layer() == Some(Layer::Upper))),
            F::IsLowerLayer => Some(Value::Bool(self.subject_layer() == Some(Layer::Lower))),
            // *Falco:* even what is no socket has these (live oracle, open-read).
            F::L4proto => self.subject_kind().map(|_| text(self.transport().unwrap_or(super::user::NO_NAME))),
            F::IsServer | F::Connected if !self.is_open_socket() => self.subject_kind().map(|_| Value::Bool(false)),
            F::Sockfamily => match self.subject_kind()? {
                Kind::Ipv4 | Kind::Ipv6 => Some(text("ip")),
                Kind::Unix => Some(text("unix")),
                _ => None,
            },
            _ => self.address_field(field),
        }
    }

    /// The value of a field of the event's paths. *Falco:* a failed call has none, but for opens.
    pub(super) fn fs_path(&self, field: FsPathField) -> Option<Value<'_>> {
        use FsPathField as P;
        if self.is_failed() && !self.is_opened() {
            return None;
        }
        let count = self.call.paths().count();
        let name = self.call.layout().name;
        // The new name of a link is its source, the existing file its target; a renaming goes from source to target.
        let (source, target) = if matches!(name, "link" | "linkat") { (1, 0) } else { (0, 1) };
        let is_symlink = matches!(name, "symlink" | "symlinkat");
        match field {
            P::Name | P::Nameraw if count == 1 && !is_symlink => self.path_value(0, field == P::Nameraw),
            P::Source | P::Sourceraw if count == 2 => self.path_value(source, field == P::Sourceraw),
            P::Target | P::Targetraw if count == 2 => self.path_value(target, field == P::Targetraw),
            P::Source | P::Sourceraw if is_symlink => self.path_value(0, field == P::Sourceraw),
            P::Target | P::Targetraw if is_symlink => self.parameter_text(1).map(owned),
            _ => None,
        }
    }

    fn path_value(&self, index: usize, raw: bool) -> Option<Value<'_>> {
        if raw { self.raw_path(index) } else { self.path(index) }.map(Value::text)
    }

    fn is_opened(&self) -> bool {
        self.call.layout().subject == Subject::Opened
    }

    fn type_letter(&self) -> &'static str {
        let kind = if self.is_opened() { Some(self.opened_kind()) } else { self.subject_kind() };
        // *Falco:* an unknown descriptor is `o`.
        kind.unwrap_or(Kind::Other).letter()
    }

    pub(super) fn subject_name(&self) -> Option<Cow<'_, [u8]>> {
        match self.call.layout().subject {
            Subject::None => None,
            Subject::Opened => self.path(0).map(Cow::Borrowed),
            Subject::Created(_) => Some(Cow::Borrowed(b"")),
            Subject::Descriptor(_) | Subject::Duplicate(_) if !self.is_socket() => Some(
                self.subject_descriptor().map_or(Cow::Borrowed(b""), |descriptor| Cow::Borrowed(&*descriptor.name)),
            ),
            Subject::Descriptor(_) | Subject::Duplicate(_) | Subject::Address(..) | Subject::Message(_) => {
                Some(self.connection_name().unwrap_or_default())
            }
        }
    }

    /// *Falco:* sockets have none.
    fn subject_raw_name(&self) -> Option<Value<'_>> {
        match self.is_opened() {
            true => self.raw_path(0).map(Value::text),
            false if self.is_socket() => Some(text("")),
            false => self.subject_name().map(Value::Text),
        }
    }

    /// *Falco:* a directory is its own directory; what is open and no file has none.
    fn subject_directory(&self) -> Option<Cow<'_, [u8]>> {
        match self.subject_kind() {
            Some(Kind::Directory) => self.subject_name(),
            Some(Kind::File) | None => self.subject_name().map(|name| part_of(name, directory)),
            Some(_) => None,
        }
    }

    /// *Falco:* directories and failed opens have none.
    fn subject_file_name(&self) -> Option<Cow<'_, [u8]>> {
        let kind = self.subject_kind()?;
        (kind == Kind::File).then(|| self.subject_name()).flatten().map(|name| part_of(name, file_name))
    }

    /// The event's descriptor as parameters show it: letters of its type and transport, and its name.
    pub(super) fn subject_text(&self) -> Option<Vec<u8>> {
        let transport = self.transport().and_then(|name| name.get(..1)).unwrap_or_default();
        Some(typed(&[self.subject_kind()?.letter(), transport], &self.subject_name()?))
    }

    /// A descriptor in a register as parameters show it.
    pub(super) fn descriptor_text(&self, number: i32) -> Option<Vec<u8>> {
        let is_subject = match self.call.layout().subject {
            Subject::None | Subject::Opened | Subject::Created(_) => false,
            // Both are the same file after the call.
            Subject::Duplicate(register) => number == self.call.int(register) || i64::from(number) == self.result(),
            Subject::Descriptor(_) | Subject::Address(..) | Subject::Message(_) => {
                self.descriptor_number() == Some(i64::from(number))
            }
        };
        if is_subject {
            return self.subject_text();
        }
        let file = self.descriptor(number)?;
        Some(typed(&[file.kind.letter()], &file.name))
    }

    fn device(&self, field: FdField) -> Option<Value<'_>> {
        let device = self.subject_facts()?.st_dev;
        let (major, minor) = (major(device), minor(device));
        let number = match field {
            FdField::DevMajor => major,
            FdField::DevMinor => minor,
            _ => u64::from(packed_device(major, minor)?),
        };
        i64::try_from(number).ok().map(Value::Int)
    }

    /// Text of a parameter that is text, for fields which are another view of it.
    fn parameter_text(&self, parameter: usize) -> Option<Vec<u8>> {
        match self.call.layout().sources.get(parameter)? {
            Source::Text(register) => self.text_at(*register),
            _ => None,
        }
    }
}

/// `<4t>127.0.0.1:80`
fn typed(letters: &[&str], name: &[u8]) -> Vec<u8> {
    [b"<", letters.concat().as_bytes(), b">", name].concat()
}

/// The types of all open descriptors, or of one.
fn types<'a>(thread: &Process, argument: &Argument) -> Option<Value<'a>> {
    let numbers = match argument {
        Argument::Index(number) => vec![i32::try_from(*number).ok()?],
        Argument::Unused | Argument::Key(_) => thread.descriptors()?,
    };
    let words = numbers.into_iter().filter_map(|number| Some(thread.descriptor(number)?.kind.word()));
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    words.dedup();
    Some(Value::List(words.into_iter().map(text).collect()))
}

/// A device number as the kernel packs it for 32 bits.
pub(super) fn packed_device(major: u64, minor: u64) -> Option<u32> {
    u32::try_from((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)).ok()
}

/// A part of a name, borrowed where the name is.
fn part_of(name: Cow<'_, [u8]>, part: fn(&[u8]) -> &[u8]) -> Cow<'_, [u8]> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(part(name)),
        Cow::Owned(name) => Cow::Owned(part(&name).to_vec()),
    }
}
