// SPDX-License-Identifier: Apache-2.0
//! Bytes as rules files: no panic, bounded time and memory, and whatever loads can be described, evaluated and printed.
#![no_main]

use fuzz::{WordEvent, read_to_the_end};
use libfuzzer_sys::fuzz_target;
use rules::{LoadOptions, Loader};

fuzz_target!(|data: &[u8]| {
    let mut loader = Loader::new(LoadOptions::default());
    // A byte that no UTF-8 text has separates the files, of which there are few.
    let mut names = ["a.yaml", "b.yaml", "c.yaml"].into_iter();
    for content in data.splitn(3, |byte| *byte == 0xff) {
        loader.add(names.next().unwrap_or_default(), content);
    }
    assert!(loader.describe().is_object());
    read_to_the_end(&loader.finish(), &WordEvent::new(data));
});
