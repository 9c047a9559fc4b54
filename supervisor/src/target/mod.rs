// SPDX-License-Identifier: Apache-2.0
//! Bounded reads of the target's memory, usable only while its call is still pending.
//!
//! The target's threads may change or unmap the memory at any time and the target may die, so that its number names another
//! task. Every read therefore has a limit, goes page by page (a fault behind the terminator is no error), and is followed by
//! the question whether the notification is still pending, before the bytes are handed out.

use std::io::IoSliceMut;

use nix::{
    errno::Errno,
    sys::uio::{RemoteIoVec, process_vm_readv},
    unistd::Pid,
};

use crate::process::read_hidden;

/// Bytes of a path with its terminator: the kernel refuses longer ones with ENAMETOOLONG.
pub(crate) const PATH_MAX: usize = 4096;
/// Granularity of reads; pages are never smaller on the architectures we know.
const PAGE: usize = 4096;
/// Paths and names up to this many bytes need no allocation; most paths of real programs are below 100.
const INLINE: usize = 256;

/// Why the target's memory could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// The address is not readable; the kernel will fail the call with EFAULT.
    #[error("the target's memory is not readable at this address")]
    Fault,
    /// No terminator within the limit.
    #[error("the text is longer than its limit")]
    TooLong,
    /// The target is gone or was interrupted, and what was read may belong to another task.
    #[error("the call is no longer pending")]
    Gone,
    /// The kernel does not let us read.
    #[error("cannot read the target's memory: {0}")]
    Refused(Errno),
}

/// The width of a pointer in the target's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// i386, x32, 32-bit ARM.
    Four,
    /// 64-bit programs.
    Eight,
}

impl Width {
    /// Bytes of one pointer.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

/// A short text without allocation, a long one with.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "the large variant is the one that saves an allocation")]
pub(crate) enum Text {
    /// The first bytes of the array.
    Inline(u16, [u8; INLINE]),
    /// Longer than the array.
    Heap(Vec<u8>),
}

impl Text {
    /// A copy of `bytes`.
    pub(crate) fn copy(bytes: &[u8]) -> Self {
        let mut array = [0; INLINE];
        match (array.get_mut(..bytes.len()), u16::try_from(bytes.len())) {
            (Some(start), Ok(length)) => {
                start.copy_from_slice(bytes);
                Self::Inline(length, array)
            }
            _ => Self::Heap(bytes.to_vec()),
        }
    }

    /// The text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline(length, array) => array.get(..usize::from(*length)).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }
}

/// A list of texts such as `argv`, cut at its limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    /// The texts of a buffer in which each is followed by NUL, as in `/proc/PID/cmdline`; the last may lack it.
    pub(crate) fn from_terminated(bytes: &[u8]) -> Self {
        let mut strings = Self::default();
        let body = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        if !bytes.is_empty() {
            body.split(|byte| *byte == 0).for_each(|text| strings.push(text));
        }
        strings
    }

    /// Appends one text.
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// The texts in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }

    /// The text at `index`.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(start..end)
    }

    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// All texts together, without separators.
    pub(crate) fn total(&self) -> usize {
        self.bytes.len()
    }
}

/// How much of a list of texts is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Texts.
    pub(crate) count: usize,
    /// Bytes of the first text, whose rest is left out: it must not take the others' room.
    pub(crate) first: usize,
    /// Bytes of all other texts with one terminator each; the text that crosses the limit is cut.
    pub(crate) bytes: usize,
}

/// A task whose call is pending.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    tid: u32,
    still_pending: &'a dyn Fn() -> bool,
    before_read: Option<&'a dyn Fn(u64)>,
}

impl<'a> Target<'a> {
    /// The task `tid` (a thread id in our pid namespace), whose notification is alive as long as `still_pending` says so.
    pub(crate) const fn new(tid: u32, still_pending: &'a dyn Fn() -> bool) -> Self {
        Self { tid, still_pending, before_read: None }
    }

    /// The same, with something to do before memory at an address is read, which may take as long as the target likes.
    pub(crate) const fn with_caution(self, before_read: &'a dyn Fn(u64)) -> Self {
        Self { before_read: Some(before_read), ..self }
    }

    /// The thread id in our pid namespace.
    pub(crate) fn tid(&self) -> u32 {
        self.tid
    }

    /// Whether the call still waits; asked after reading what is named by [`Self::tid`], before using it.
    pub(crate) fn is_pending(&self) -> bool {
        (self.still_pending)()
    }

    /// The path at `address`, without its terminator.
    pub(crate) fn path(&self, address: u64) -> Result<Text, ReadError> {
        let text = self.terminated(address, PATH_MAX)?.ok_or(ReadError::TooLong);
        self.confirm(text)
    }

    /// The text at `address`, cut after `limit` bytes.
    pub(crate) fn text(&self, address: u64, limit: usize) -> Result<Vec<u8>, ReadError> {
        let mut window = Window::new();
        let mut text = Vec::new();
        self.append(address, limit, &mut window, &mut text)?;
        self.confirm(Ok(text))
    }

    /// Exactly `buffer.len()` bytes at `address`.
    pub(crate) fn exact(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let here = advance(address, done)?;
            let within = rest.len().min(to_page_end(here));
            done += self.read(here, rest.get_mut(..within).unwrap_or_default())?;
        }
        self.confirm(Ok(()))
    }

    /// Six 32-bit words, as i386's `socketcall` takes its arguments.
    pub(crate) fn words(&self, address: u64) -> Result<[u64; 6], ReadError> {
        let mut raw = [[0; 4]; 6];
        // Most calls have fewer arguments, and those may lie at the end of what is mapped.
        let here = raw.as_flattened().len().min(to_page_end(address));
        let (first, rest) = raw.as_flattened_mut().split_at_mut(here);
        self.exact(address, first)?;
        if !rest.is_empty() {
            match self.exact(advance(address, here)?, rest) {
                Err(ReadError::Fault) => rest.fill(0),
                read => read?,
            }
        }
        Ok(raw.map(|word| u64::from(u32::from_le_bytes(word))))
    }

    /// The texts that an array of pointers at `address` names, up to its null pointer or the limits. A null `address` is an
    /// empty list, as for the kernel.
    pub(crate) fn strings(&self, address: u64, width: Width, limits: Limits) -> Result<Strings, ReadError> {
        let (mut strings, mut pointers, mut texts) = (Strings::default(), Window::new(), Window::new());
        let mut left = limits.bytes;
        let mut text = Vec::new();
        for index in 0..limits.count {
            if address == 0 || left == 0 {
                break;
            }
            let pointer = self.pointer(advance(address, index * width.bytes())?, width, &mut pointers)?;
            if pointer == 0 {
                break;
            }
            text.clear();
            self.append(pointer, if index == 0 { limits.first } else { left }, &mut texts, &mut text)?;
            if index > 0 {
                left = left.saturating_sub(text.len() + 1);
            }
            strings.push(&text);
        }
        self.confirm(Ok(strings))
    }

    /// `value`, unless the call ended meanwhile.
    fn confirm<T>(&self, value: Result<T, ReadError>) -> Result<T, ReadError> {
        if self.is_pending() { value } else { Err(ReadError::Gone) }
    }

    /// The text before the first NUL within `limit` bytes.
    fn terminated(&self, address: u64, limit: usize) -> Result<Option<Text>, ReadError> {
        let mut short = [0; INLINE];
        let first = INLINE.min(to_page_end(address));
        let read = self.read(address, short.get_mut(..first).unwrap_or_default())?;
        if let Some(end) = memchr::memchr(0, short.get(..read).unwrap_or_default()) {
            return Ok(u16::try_from(end).ok().map(|length| Text::Inline(length, short)));
        }
        let mut text = Vec::new();
        let found = self.append(address, limit, &mut Window::new(), &mut text)?;
        Ok(found.then_some(Text::Heap(text)))
    }

    /// Appends the text at `address`, at most `limit` bytes with the terminator; says whether there was one.
    fn append(&self, address: u64, limit: usize, window: &mut Window, text: &mut Vec<u8>) -> Result<bool, ReadError> {
        let mut done = 0;
        while done < limit {
            let bytes = window.at(self, advance(address, done)?)?;
            let bytes = bytes.get(..limit - done).unwrap_or(bytes);
            if let Some(end) = memchr::memchr(0, bytes) {
                text.extend_from_slice(bytes.get(..end).unwrap_or_default());
                return Ok(true);
            }
            text.extend_from_slice(bytes);
            done += bytes.len();
        }
        Ok(false)
    }

    fn pointer(&self, address: u64, width: Width, window: &mut Window) -> Result<u64, ReadError> {
        let mut raw = [0; 8];
        // An array need not be aligned, so that a pointer may cross into the next page.
        for (index, byte) in raw.iter_mut().take(width.bytes()).enumerate() {
            *byte = window.at(self, advance(address, index)?)?.first().copied().ok_or(ReadError::Fault)?;
        }
        Ok(u64::from_le_bytes(raw))
    }

    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let base = usize::try_from(address).map_err(|_error| ReadError::Fault)?;
        let task = i32::try_from(self.tid).map_err(|_error| ReadError::Gone)?;
        if let Some(before_read) = self.before_read {
            before_read(address);
        }
        let remote = RemoteIoVec { base, len: buffer.len() };
        match process_vm_readv(Pid::from_raw(task), &mut [IoSliceMut::new(buffer)], &[remote]) {
            Ok(0) | Err(Errno::EFAULT) => read_hidden(self.tid, address, buffer).ok_or(ReadError::Fault),
            Ok(length) => Ok(length),
            Err(Errno::ESRCH) => Err(ReadError::Gone),
            Err(errno) => Err(ReadError::Refused(errno)),
        }
    }
}

/// The page read last: the texts of `argv` lie side by side, and a call per text would take 2 ms for 4096 of them.
struct Window {
    start: u64,
    length: usize,
    bytes: Box<[u8; PAGE]>,
}

impl Window {
    fn new() -> Self {
        Self { start: 0, length: 0, bytes: Box::new([0; PAGE]) }
    }

    /// What is known from `address` to the end of its page; never empty.
    fn at(&mut self, target: &Target<'_>, address: u64) -> Result<&[u8], ReadError> {
        let inside = address.checked_sub(self.start).and_then(|offset| usize::try_from(offset).ok());
        let known = inside.filter(|offset| *offset < self.length);
        if known.is_none() {
            // Invalid until the read succeeds, since a failed read may have written a part.
            self.length = 0;
            let rest = self.bytes.get_mut(..to_page_end(address)).unwrap_or_default();
            (self.start, self.length) = (address, target.read(address, rest)?);
        }
        let offset = known.unwrap_or(0);
        self.bytes.get(offset..self.length).ok_or(ReadError::Fault)
    }
}

fn advance(address: u64, by: usize) -> Result<u64, ReadError> {
    u64::try_from(by).ok().and_then(|by| address.checked_add(by)).ok_or(ReadError::Fault)
}

/// Bytes from `address` to the end of its page, at least one.
fn to_page_end(address: u64) -> usize {
    PAGE - usize::try_from(address % (PAGE as u64)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
