// SPDX-License-Identifier: Apache-2.0
//! Prose in columns, for people at a terminal.

use std::fmt::Write;

/// Columns of a line.
const WIDTH: usize = 110;

/// Appends `heading`, and `text` beside it from column `indent` on; further lines stand below its first.
///
/// Words that are longer than a line stay whole: a condition must be fit for copying.
pub(super) fn write_entry(out: &mut String, heading: &str, text: &str, indent: usize) {
    let mut column = heading.chars().count();
    out.push_str(heading);
    if column >= indent {
        new_line(out, indent, &mut column);
    } else {
        pad(out, indent, &mut column);
    }
    let mut lines = text.lines();
    write_words(out, lines.next().unwrap_or_default(), indent, &mut column);
    for line in lines {
        new_line(out, indent, &mut column);
        write_words(out, line, indent, &mut column);
    }
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

fn write_words(out: &mut String, line: &str, indent: usize, column: &mut usize) {
    for (index, word) in line.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column.saturating_add(length) >= WIDTH {
            out.truncate(out.trim_end_matches(' ').len());
            new_line(out, indent, column);
        } else if index > 0 {
            out.push(' ');
            *column = column.saturating_add(1);
        }
        out.push_str(word);
        *column = column.saturating_add(length);
    }
}

fn new_line(out: &mut String, indent: usize, column: &mut usize) {
    out.push('\n');
    *column = 0;
    pad(out, indent, column);
}

fn pad(out: &mut String, indent: usize, column: &mut usize) {
    let missing = indent.saturating_sub(*column);
    // Writing to a string cannot fail.
    write!(out, "{:missing$}", "").unwrap_or_default();
    *column = indent;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(heading: &str, text: &str, expected: &str) {
        let mut out = String::new();
        write_entry(&mut out, heading, text, 10);
        assert_eq!(out, expected);
    }

    #[test]
    fn text_stands_beside_its_heading_and_is_wrapped() {
        check("name", "a few words", "name      a few words\n");
        check("a longer name", "word", "a longer name\n          word\n");
        check("name", "", "name\n");
        check("name", "one\n  two", "name      one\n          two\n");
        let long = "x".repeat(60);
        check("name", &format!("{long} {long} y"), &format!("name      {long}\n          {long} y\n"));
        let whole = "y".repeat(150);
        check("name", &whole, &format!("name      {whole}\n"));
    }
}
