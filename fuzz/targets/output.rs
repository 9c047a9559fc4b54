// SPDX-License-Identifier: Apache-2.0
//! Text as an output: it is refused, or it renders any event to printable text and to JSON.
#![no_main]

use fuzz::{WordEvent, read_to_the_end};
use libfuzzer_sys::fuzz_target;
use rules::{AppendOutput, ExtraField, LoadOptions, Loader};

const RULE: &[u8] =
    b"- rule: r\n  desc: d\n  condition: evt.num >= 0 or not evt.num >= 0\n  output: o\n  priority: INFO\n";

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0xff);
    let Some(output) = parts.next().and_then(|output| str::from_utf8(output).ok()) else { return };
    let addition = AppendOutput {
        extra_output: Some(output.to_owned()),
        extra_fields: vec![ExtraField::Format { name: "extra".to_owned(), format: output.to_owned() }],
        ..AppendOutput::default()
    };
    let base64 = output.len() % 2 == 1;
    let options = LoadOptions { append_output: vec![addition], buffer_format_base64: base64, ..LoadOptions::default() };
    let mut loader = Loader::new(options);
    loader.add("r.yaml", RULE);
    read_to_the_end(&loader.finish(), &WordEvent::new(parts.next().unwrap_or(data)));
});
