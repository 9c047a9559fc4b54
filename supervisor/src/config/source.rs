// SPDX-License-Identifier: Apache-2.0
//! Where a piece of configuration was written, and how a finding about it is shown.

use std::{fmt, rc::Rc};

/// One text that configuration came from: a file, or an option of the command line.
#[derive(Debug)]
pub(super) struct Source {
    /// How findings call it: the file's path, or `option -o`.
    pub(super) name: String,
    /// The whole text, for citing the line.
    pub(super) text: String,
}

/// A place in a source; line and column count from one, columns in characters.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) source: Rc<Source>,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Something found while reading the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    place: Option<Place>,
    message: String,
    help: Option<String>,
}

/// Something worth telling that does not keep the configuration from being used.
pub(crate) type Notice = Finding;

impl Finding {
    pub(super) fn at(place: &Place, message: impl Into<String>) -> Self {
        Self { place: Some(place.clone()), message: message.into(), help: None }
    }

    pub(super) fn without_place(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into(), help: None }
    }

    /// The same finding at another place.
    pub(super) fn moved(self, place: &Place) -> Self {
        Self { place: Some(place.clone()), ..self }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The place, the message and the remedy in one line, for a log.
    pub(crate) fn in_one_line(&self) -> String {
        let mut line = String::new();
        if let Some(place) = &self.place {
            line = format!("{}:{}:{}: ", place.source.name, place.line, place.column);
        }
        line += &self.message;
        if let Some(help) = &self.help {
            line += "; ";
            line += help;
        }
        line
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = &self.place else {
            write!(formatter, "{}", self.message)?;
            return self.write_help(formatter, "");
        };
        write!(formatter, "{}:{}:{}: {}", place.source.name, place.line, place.column, self.message)?;
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        if let Some(cited) = place.source.text.lines().nth(place.line.saturating_sub(1)) {
            let indent = " ".repeat(place.column.saturating_sub(1));
            write!(formatter, "\n {number} | {cited}\n {margin} | {indent}^")?;
        }
        self.write_help(formatter, &margin)
    }
}

impl Finding {
    fn write_help(&self, formatter: &mut fmt::Formatter<'_>, margin: &str) -> fmt::Result {
        self.help.as_ref().map_or(Ok(()), |help| write!(formatter, "\n {margin} = help: {help}"))
    }
}
