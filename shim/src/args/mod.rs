// SPDX-License-Identifier: Apache-2.0
//! Reads from the command line what the shim needs, with the syntaxes of runc (Go's flags) and crun (argp), and leaves
//! the arguments byte for byte as they came.
//!
//! An argument that is unknown here is the low-level runtime's to accept or refuse. An option is taken for one without
//! value, unless it stands before the command and what follows it is none.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// Our own flags; taken out of the arguments.
const OWN: [&str; 2] = [MODE, SETTINGS];
const MODE: &str = "lanner-mode";
const SETTINGS: &str = "lanner-config";

/// Options before the command that have a value: runc 1.1 to 1.4 and crun.
const GLOBAL: &[&str] =
    &[MODE, SETTINGS, "log", "log-format", "log-level", "root", "criu", "rootless", "cgroup-manager"];

/// The commands of runc and crun: what else follows an option that is unknown here is taken for its value.
const COMMANDS: &[&str] = &[
    "checkpoint",
    "create",
    "delete",
    "events",
    "exec",
    "features",
    "help",
    "init",
    "kill",
    "list",
    "mounts",
    "pause",
    "ps",
    "restore",
    "resume",
    "run",
    "spec",
    "start",
    "state",
    "update",
    "version",
];

/// Options of create, run and restore that have a value.
const COMMAND: &[&str] = &[
    "bundle",
    "config",
    "console-socket",
    "pid-file",
    "pidfd-socket",
    "preserve-fds",
    "image-path",
    "work-path",
    "manage-cgroups-mode",
    "network-lock",
    "empty-ns",
    "lsm-profile",
    "lsm-mount-context",
];

/// Options without value whose unabbreviated names Go also takes after a single dash.
const SWITCHES: &[&str] = &["debug", "systemd-cgroup", "detach", "help", "version", "keep", "usage"];

/// One command of an engine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// Whether the command is one that starts a container, complete enough to do so.
    pub(crate) starts_container: bool,
    /// Whether it starts it from a checkpoint.
    pub(crate) restores: bool,
    /// Values of `--lanner-mode`.
    pub(crate) modes: Vec<OsString>,
    /// `--lanner-config`: podman clears the environment, but passes flags on.
    pub(crate) settings: Option<OsString>,
    /// `--log`
    pub(crate) log: Option<OsString>,
    /// `--log-format`
    pub(crate) log_format: Option<OsString>,
    /// `--bundle`
    pub(crate) bundle: Option<OsString>,
    /// crun's `--config`: another file in place of the bundle's `config.json`.
    pub(crate) config: Option<OsString>,
    /// The container's id.
    pub(crate) id: Option<OsString>,
    /// What the low-level runtime gets after its own name.
    pub(crate) argv: Vec<OsString>,
}

impl Invocation {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(argv: Vec<OsString>) -> Self {
        let mut invocation = Self::default();
        let mut own = vec![false; argv.len()];
        let mut scanner = Scanner { argv: &argv, next: 0, valued: GLOBAL, has_letters: false, is_past_options: false };
        while let Some((at, token)) = scanner.token() {
            match token {
                Token::Option { name, value } => {
                    if OWN.contains(&name) {
                        own.iter_mut().take(scanner.next).skip(at).for_each(|own| *own = true);
                    }
                    invocation.global(name, value);
                }
                Token::Switch if is_question(&argv, at) => break,
                Token::Switch => {}
                Token::Operand(value) if is_value(&argv, at, value) => {}
                Token::Operand(command) => {
                    let is_start = ["create", "run", "restore"].iter().any(|name| command == *name);
                    invocation.starts_container = is_start && invocation.command(&argv, scanner.next);
                    invocation.restores = command == "restore" && invocation.starts_container;
                    break;
                }
            }
        }
        invocation.argv = argv.into_iter().zip(own).filter(|(_, own)| !own).map(|(argument, _)| argument).collect();
        invocation
    }

    fn global(&mut self, name: &str, value: Option<OsString>) {
        match name {
            MODE => self.modes.push(value.unwrap_or_default()),
            SETTINGS => self.settings = value,
            "log" => self.log = value,
            "log-format" => self.log_format = value,
            _ => {}
        }
    }

    /// Reads the command's own arguments; whether they are complete.
    fn command(&mut self, argv: &[OsString], next: usize) -> bool {
        let mut scanner = Scanner { argv, next, valued: COMMAND, has_letters: true, is_past_options: false };
        while let Some((at, token)) = scanner.token() {
            match token {
                Token::Option { name: "bundle", value } => self.bundle = value,
                Token::Option { name: "config", value } => self.config = value,
                Token::Switch if is_question(argv, at) => return false,
                Token::Option { .. } | Token::Switch => {}
                // runc accepts options behind the id, crun refuses them.
                Token::Operand(id) => {
                    self.id.get_or_insert_with(|| id.to_owned());
                }
            }
        }
        self.id.is_some()
    }
}

/// Whether the operand at `at` is the value of an option that is unknown here: the one before it is such an option.
fn is_value(argv: &[OsString], at: usize, operand: &OsStr) -> bool {
    let before = at.checked_sub(1).and_then(|before| argv.get(before)).map(|before| before.as_bytes());
    let option = before.and_then(|before| before.strip_prefix(b"--").or_else(|| before.strip_prefix(b"-")));
    let is_unknown = option.is_some_and(|name| {
        let is_known = SWITCHES.iter().any(|known| known.as_bytes() == name);
        !name.is_empty() && !name.contains(&b'=') && !is_known
    });
    is_unknown && !COMMANDS.iter().any(|command| operand == *command)
}

/// Whether the runtime will print something instead of doing something.
fn is_question(argv: &[OsString], at: usize) -> bool {
    let questions = ["--help", "-help", "-h", "-?", "--usage", "--version", "-version", "-v", "-V"];
    argv.get(at).is_some_and(|argument| questions.iter().any(|question| argument == question))
}

enum Token<'a> {
    /// An option of the table with its value, absent only at the end of the arguments.
    Option { name: &'static str, value: Option<OsString> },
    /// Anything else that begins with a dash.
    Switch,
    /// The command or an operand of it.
    Operand(&'a OsStr),
}

struct Scanner<'a> {
    argv: &'a [OsString],
    next: usize,
    valued: &'static [&'static str],
    /// Whether `-b` and `-f` are options here.
    has_letters: bool,
    is_past_options: bool,
}

impl<'a> Scanner<'a> {
    /// The next token and where it begins.
    fn token(&mut self) -> Option<(usize, Token<'a>)> {
        let mut argument = self.take()?;
        if argument == "--" && !self.is_past_options {
            self.is_past_options = true;
            argument = self.take()?;
        }
        let at = self.next - 1;
        let bytes = argument.as_bytes();
        if self.is_past_options || bytes == b"-" {
            return Some((at, Token::Operand(argument)));
        }
        let token = match (bytes.strip_prefix(b"--"), bytes.strip_prefix(b"-")) {
            (Some(long), _) => self.long(long, true),
            (None, Some(short)) => self.short(short),
            (None, None) => Token::Operand(argument),
        };
        Some((at, token))
    }

    fn take(&mut self) -> Option<&'a OsStr> {
        let argument = self.argv.get(self.next)?;
        self.next += 1;
        Some(argument)
    }

    fn long(&mut self, text: &[u8], may_abbreviate: bool) -> Token<'a> {
        let (name, inline) = match text.iter().position(|byte| *byte == b'=') {
            Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
            None => (text, None),
        };
        let Some(name) = self.known(name, may_abbreviate) else { return Token::Switch };
        let value = match inline {
            Some(value) => Some(OsStr::from_bytes(value)),
            None => self.take(),
        };
        Token::Option { name, value: value.map(OsStr::to_owned) }
    }

    /// The option of that name; argp also takes an unambiguous beginning.
    fn known(&self, name: &[u8], may_abbreviate: bool) -> Option<&'static str> {
        let mut beginnings = self.valued.iter().filter(|option| option.as_bytes().starts_with(name));
        let exact = self.valued.iter().find(|option| option.as_bytes() == name);
        let is_switch = SWITCHES.iter().any(|switch| may_abbreviate && switch.as_bytes().starts_with(name));
        let only = beginnings.next().filter(|_| may_abbreviate && !is_switch && beginnings.next().is_none());
        exact.or(only).copied()
    }

    /// Go reads `-bundle X`, `-b X` and `-b=X`; argp `-b X`, `-bX` and `-dbX`.
    fn short(&mut self, text: &[u8]) -> Token<'a> {
        let long = text.split(|byte| *byte == b'=').next().unwrap_or_default();
        if self.known(long, false).is_some() {
            return self.long(text, false);
        }
        if !self.has_letters || SWITCHES.iter().any(|switch| switch.as_bytes() == long) {
            return Token::Switch;
        }
        let Some(at) = text.iter().position(|byte| *byte != b'd') else { return Token::Switch };
        let name = match text.get(at) {
            Some(b'b') => "bundle",
            Some(b'f') => "config",
            _ => return Token::Switch,
        };
        let rest = text.get(at + 1..).unwrap_or_default();
        let value = match rest.strip_prefix(b"=").unwrap_or(rest) {
            b"" => self.take(),
            value => Some(OsStr::from_bytes(value)),
        };
        Token::Option { name, value: value.map(OsStr::to_owned) }
    }
}

#[cfg(test)]
mod tests;
