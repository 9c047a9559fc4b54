// SPDX-License-Identifier: Apache-2.0
//! Calls that change credentials.

use super::{
    Category, Layout, Source,
    Source::{Group, Outcome, Unknown, User},
    Subject,
};

const fn layout(name: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category: Category::User, sources, subject: Subject::None }
}

pub(super) static LAYOUTS: &[Layout] = &[
    layout("setuid", &[Outcome, User(0)]),
    layout("setgid", &[Outcome, Group(0)]),
    layout("setreuid", &[Outcome, User(0), User(1)]),
    // *Falco:* has these groups as users.
    layout("setregid", &[Outcome, User(0), User(1)]),
    layout("getuid", &[Unknown]),
    layout("geteuid", &[Unknown]),
    layout("getgid", &[Unknown]),
    layout("getegid", &[Unknown]),
    layout("getresuid", &[Outcome, Unknown, Unknown, Unknown]),
    layout("getresgid", &[Outcome, Unknown, Unknown, Unknown]),
    layout("setresuid", &[Outcome, User(0), User(1), User(2)]),
    layout("setresgid", &[Outcome, Group(0), Group(1), Group(2)]),
];
