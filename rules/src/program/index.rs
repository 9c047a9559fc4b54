// SPDX-License-Identifier: Apache-2.0
//! From a field's value to the roots that it does not rule out.
//!
//! Every indexed root needs one of some literals in a field: the whole value, its beginning, its end or a part of it. The
//! literals themselves are not stored, only hashes of them: a look-up may find too much, never too little, and what it
//! finds is evaluated in full.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash},
    net::IpAddr,
};

use rustc_hash::FxBuildHasher;

use crate::Value;

/// Lengths to which beginnings and ends are cut, so that a look-up hashes a few of them and not one for each literal.
const LENGTHS: [usize; 24] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64];
/// Bytes of the parts that stand for literals that may be anywhere.
pub(super) const GRAM: usize = 3;
/// Words of the bits that say which parts may be in the table.
const GRAM_WORDS: usize = 16;

/// Something that a value must have for a root to be a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Needle {
    way: Way,
    /// The place in [`LENGTHS`], for ways that have one.
    length: u8,
    key: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Way {
    Whole,
    Start,
    End,
    Part,
    Number,
    Flag,
}

impl Needle {
    /// The whole value.
    pub(super) fn whole(text: &[u8]) -> Self {
        // The length in place of that of a cut, for a first test.
        Self { way: Way::Whole, length: length_class(text), key: key(Way::Whole, text) }
    }

    /// The beginning of the value; nothing for an empty one, which every value has.
    pub(super) fn start(text: &[u8]) -> Option<Self> {
        let (place, length) = cut(text)?;
        Some(Self { way: Way::Start, length: place, key: key(Way::Start, text.get(..length)?) })
    }

    /// The end of the value.
    pub(super) fn end(text: &[u8]) -> Option<Self> {
        let (place, length) = cut(text)?;
        Some(Self { way: Way::End, length: place, key: key(Way::End, text.get(text.len() - length..)?) })
    }

    /// A part of the value, by three of its bytes; nothing for a shorter one.
    pub(super) fn part(text: &[u8]) -> Option<Self> {
        let gram = text.windows(GRAM).max_by_key(|gram| rareness(gram))?;
        Some(Self { way: Way::Part, length: 0, key: gram_key(gram) })
    }

    pub(super) fn number(number: i128) -> Self {
        Self { way: Way::Number, length: 0, key: number_key(number) }
    }

    pub(super) fn flag(value: bool) -> Self {
        Self { way: Way::Flag, length: 0, key: u32::from(value) }
    }

    pub(super) fn address(address: IpAddr) -> Self {
        octets(address, Self::whole)
    }

    /// The first bytes of an address; bits beyond a whole byte are left to the evaluation.
    pub(super) fn network(address: IpAddr, bits: u8) -> Option<Self> {
        octets(address, |bytes| Self::start(bytes.get(..usize::from(bits / 8)).unwrap_or_default()))
    }

    /// Whether it is one of two values.
    pub(super) fn is_flag(self) -> bool {
        self.way == Way::Flag
    }

    /// How likely a value has the needle, compared with a whole value.
    pub(super) fn commonness(self) -> u32 {
        match (self.way, self.length) {
            // Paths begin alike.
            (Way::Start, 0..2) => 1000,
            (Way::Start, 2..4) | (Way::End, 0..2) => 10,
            (Way::Part, _) => 4,
            (Way::End, _) => 2,
            (Way::Whole | Way::Start | Way::Number | Way::Flag, _) => 1,
        }
    }
}

fn octets<R>(address: IpAddr, use_bytes: impl FnOnce(&[u8]) -> R) -> R {
    match address {
        IpAddr::V4(address) => use_bytes(&address.octets()),
        IpAddr::V6(address) => use_bytes(&address.octets()),
    }
}

/// The longest length to which a text can be cut, with its place.
fn cut(text: &[u8]) -> Option<(u8, usize)> {
    (0..).zip(LENGTHS).take_while(|(_, length)| *length <= text.len()).last()
}

fn length_class(text: &[u8]) -> u8 {
    u8::try_from(text.len().min(63)).unwrap_or(63)
}

fn key(way: Way, text: &[u8]) -> u32 {
    fold(FxBuildHasher.hash_one((way, text)))
}

fn number_key(number: i128) -> u32 {
    fold(FxBuildHasher.hash_one((Way::Number, number)))
}

fn gram_key(gram: &[u8]) -> u32 {
    gram.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// The upper half, which the hasher mixes best.
fn fold(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or_default()
}

/// Punctuation, digits and capitals are rarer in paths and command lines than small letters.
fn rareness(gram: &[u8]) -> u32 {
    let of_byte = |byte: &u8| match byte {
        b'e' | b't' | b'a' | b's' | b'i' | b'n' | b'r' | b'o' | b'/' | b' ' => 0,
        b'a'..=b'z' => 1,
        b'.' | b'-' | b'0'..=b'9' => 2,
        _ => 3,
    };
    gram.iter().map(of_byte).sum()
}

/// The look-up of one field.
#[derive(Debug)]
pub(super) struct Index {
    field: u32,
    /// If there are any, the look-up is made only where one of these nodes holds.
    tickets: Vec<u32>,
    /// For each needle the range of its roots.
    table: HashMap<u32, (u32, u32), FxBuildHasher>,
    roots: Vec<u32>,
    /// Bit n: some whole value has n bytes; bit 63 stands for 63 and more.
    whole: u64,
    /// Bit n: some beginning, or end, was cut to the length n of [`LENGTHS`].
    starts: u32,
    ends: u32,
    numbers: bool,
    /// Which parts may be in the table, if any are.
    grams: Option<Box<[u64; GRAM_WORDS]>>,
}

impl Index {
    /// Builds the look-up of a field from its needles and the roots that need them.
    pub(super) fn new(field: u32, tickets: Vec<u32>, needed: BTreeMap<Needle, Vec<u32>>) -> Self {
        let (table, roots) = (HashMap::default(), Vec::new());
        let mut index =
            Self { field, tickets, table, roots, whole: 0, starts: 0, ends: 0, numbers: false, grams: None };
        let mut by_key: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (needle, roots) in needed {
            match needle.way {
                Way::Whole => index.whole |= 1 << needle.length,
                Way::Start => index.starts |= 1 << needle.length,
                Way::End => index.ends |= 1 << needle.length,
                Way::Number => index.numbers = true,
                Way::Flag => {}
                Way::Part => {
                    let (word, bit) = gram_bit(needle.key);
                    let grams = index.grams.get_or_insert_default();
                    grams.iter_mut().skip(word).take(1).for_each(|word| *word |= bit);
                }
            }
            by_key.entry(needle.key).or_default().extend(roots);
        }
        for (key, mut roots) in by_key {
            roots.sort_unstable();
            roots.dedup();
            let first = number(index.roots.len());
            index.roots.extend(roots);
            index.table.insert(key, (first, number(index.roots.len())));
        }
        index.roots.shrink_to_fit();
        index.table.shrink_to_fit();
        index
    }

    pub(super) fn field(&self) -> u32 {
        self.field
    }

    pub(super) fn tickets(&self) -> &[u32] {
        &self.tickets
    }

    /// Adds the roots that the value does not rule out.
    pub(super) fn look_up(&self, value: &Value<'_>, candidates: &mut Candidates<'_>) {
        match value {
            Value::Text(text) | Value::Bytes(text) => self.text(text, candidates),
            Value::Int(number) if self.numbers => self.find(number_key(i128::from(*number)), candidates),
            Value::Uint(number) if self.numbers => self.find(number_key(i128::from(*number)), candidates),
            Value::Bool(value) => self.find(u32::from(*value), candidates),
            Value::Ip(address) => octets(*address, |bytes| self.text(bytes, candidates)),
            Value::List(values) | Value::Any(values) => {
                for value in values {
                    self.look_up(value, candidates);
                }
            }
            Value::Int(_) | Value::Uint(_) | Value::Double(_) => {}
        }
    }

    fn text(&self, text: &[u8], candidates: &mut Candidates<'_>) {
        if self.whole & 1 << length_class(text) != 0 {
            self.find(key(Way::Whole, text), candidates);
        }
        for length in lengths(self.starts).take_while(|length| *length <= text.len()) {
            text.get(..length).into_iter().for_each(|start| self.find(key(Way::Start, start), candidates));
        }
        for length in lengths(self.ends).take_while(|length| *length <= text.len()) {
            text.get(text.len() - length..).into_iter().for_each(|end| self.find(key(Way::End, end), candidates));
        }
        let Some(grams) = &self.grams else { return };
        for gram in text.windows(GRAM) {
            let key = gram_key(gram);
            let (word, bit) = gram_bit(key);
            if grams.get(word).is_some_and(|word| word & bit != 0) {
                self.find(key, candidates);
            }
        }
    }

    fn find(&self, key: u32, candidates: &mut Candidates<'_>) {
        let Some((first, end)) = self.table.get(&key) else { return };
        for root in self.roots.get(*first as usize..*end as usize).unwrap_or_default() {
            candidates.add(*root);
        }
    }
}

/// The lengths that some bits stand for, in order.
fn lengths(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        LENGTHS.get(place as usize).copied()
    })
}

/// The word and the bit that stand for three bytes.
fn gram_bit(key: u32) -> (usize, u64) {
    let mixed = key.wrapping_mul(0x9e37_79b1) >> 22;
    ((mixed / 64) as usize, 1 << (mixed % 64))
}

/// A number of a program's part. More than fit would take a terabyte of rules.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Words of bits that are looked at together.
const BLOCK: usize = 8;

/// A set of roots, one bit for each.
pub(super) struct Candidates<'a> {
    words: &'a mut [u64],
    /// What the look-ups of a sieve have found.
    found: &'a mut [u64],
}

impl<'a> Candidates<'a> {
    /// All of `roots` roots; the words are zero.
    pub(super) fn all((words, found): (&'a mut [u64], &'a mut [u64]), roots: usize) -> Self {
        let used = roots.div_ceil(64);
        let words = words.get_mut(..used).unwrap_or_default();
        words.fill(u64::MAX);
        if let (Some(last), beyond @ 1..) = (words.last_mut(), used * 64 - roots) {
            *last >>= beyond;
        }
        Self { words, found: found.get_mut(..used).unwrap_or_default() }
    }

    /// Whether more than `few` of these roots are candidates.
    pub(super) fn are_more_among(&self, roots: &[u64], few: u32) -> bool {
        let mut count = 0;
        self.words.iter().zip(roots).any(|(word, roots)| {
            // Mostly none: counting the bits of a word takes a dozen instructions.
            let left = word & roots;
            count += if left == 0 { 0 } else { left.count_ones() };
            count > few
        })
    }

    /// Notes that a root was found.
    fn add(&mut self, root: u32) {
        if let Some(word) = self.found.get_mut((root / 64) as usize) {
            *word |= 1 << (root % 64);
        }
    }

    /// Removes those of `roots` that were not found.
    pub(super) fn keep_found(&mut self, roots: &[u64]) {
        for ((word, found), roots) in self.words.iter_mut().zip(self.found.iter_mut()).zip(roots) {
            *word &= !roots | *found;
            *found = 0;
        }
    }

    /// Calls `visit` for every root, in order.
    pub(super) fn for_each(&self, mut visit: impl FnMut(usize)) {
        for (block, words) in self.words.chunks(BLOCK).enumerate() {
            // Of many rules few are candidates.
            if words.iter().fold(0, |all, word| all | word) == 0 {
                continue;
            }
            for (word, bits) in words.iter().enumerate() {
                let mut left = *bits;
                while left != 0 {
                    visit((block * BLOCK + word) * 64 + left.trailing_zeros() as usize);
                    left &= left - 1;
                }
            }
        }
    }
}
