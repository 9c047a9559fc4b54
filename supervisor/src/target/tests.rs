// SPDX-License-Identifier: Apache-2.0
//! Reads of our own memory, which is as foreign as any.

use super::*;

const PENDING: &dyn Fn() -> bool = &|| true;
const ALL: Limits = Limits { count: 100, first: 4096, bytes: 4096 };

fn own() -> Target<'static> {
    Target::new(std::process::id(), PENDING)
}

fn address<T>(data: &[T]) -> u64 {
    u64::try_from(data.as_ptr().addr()).unwrap()
}

#[test]
fn lists_stop_at_null_and_at_their_limits() {
    let texts: Vec<Vec<u8>> = (0..10).map(|number| format!("text{number}\0").into_bytes()).collect();
    let mut pointers: Vec<u64> = texts.iter().map(|text| address(text)).collect();
    pointers.push(0);
    let all = own().strings(address(&pointers), Width::Eight, ALL).unwrap();
    assert_eq!((all.len(), all.get(9), all.total()), (10, Some(b"text9".as_slice()), 50));
    let few = own().strings(address(&pointers), Width::Eight, Limits { count: 3, ..ALL }).unwrap();
    assert_eq!(few.len(), 3);
    let short = own().strings(address(&pointers), Width::Eight, Limits { first: 3, bytes: 8, ..ALL }).unwrap();
    assert_eq!(short.iter().collect::<Vec<_>>(), [b"tex".as_slice(), b"text1", b"te"]);
    assert_eq!(own().strings(0, Width::Eight, ALL).unwrap().len(), 0);
    assert_eq!(own().strings(8, Width::Eight, ALL), Err(ReadError::Fault));
}

#[test]
fn texts_across_pages_are_whole() {
    let mut memory = vec![b'x'; 3 * PAGE];
    let start = PAGE - usize::try_from(address(&memory)).unwrap() % PAGE + PAGE - 3;
    memory[start + 1000] = 0;
    let text = own().path(address(&memory[start..])).unwrap();
    assert_eq!(text.as_bytes(), &memory[start..start + 1000]);
    assert_eq!(own().text(address(&memory[start..]), 10).unwrap().len(), 10);
    let mut exact = [0; 100];
    own().exact(address(&memory[start..]), &mut exact).unwrap();
    assert_eq!(exact, [b'x'; 100]);
}

#[test]
fn what_was_read_counts_only_while_the_call_is_pending() {
    let ended: &dyn Fn() -> bool = &|| false;
    let target = Target::new(std::process::id(), ended);
    assert_eq!(target.path(address(b"/etc\0")).err(), Some(ReadError::Gone));
    assert_eq!(Target::new(u32::MAX, PENDING).path(address(b"/etc\0")).err(), Some(ReadError::Gone));
    assert_eq!(own().path(16).err(), Some(ReadError::Fault));
    assert_eq!(own().path(u64::MAX).err(), Some(ReadError::Fault));
}

#[test]
fn terminated_lists_keep_empty_texts() {
    let check = |bytes: &[u8], expected: &[&[u8]]| {
        assert_eq!(Strings::from_terminated(bytes).iter().collect::<Vec<_>>(), expected);
    };
    check(b"a\0\0b\0", &[b"a", b"", b"b"]);
    check(b"a\0b", &[b"a", b"b"]);
    check(b"\0", &[b""]);
    check(b"", &[]);
}

/// Where the array of `socketcall` lies is the caller's choice.
#[test]
fn words_across_pages_are_whole() {
    let mut memory = vec![0; 3 * PAGE];
    let page = PAGE - usize::try_from(address(&memory)).unwrap() % PAGE;
    let words = [1, 2, 3, 4, 5, 6_u32];
    for start in [page + PAGE - 8, page + PAGE - 6, page] {
        memory[start..start + 24].copy_from_slice(words.map(u32::to_le_bytes).as_flattened());
        assert_eq!(own().words(address(&memory[start..])), Ok(words.map(u64::from)));
    }
}
