// SPDX-License-Identifier: Apache-2.0
//! Calls that change credentials.

use super::{
    Layout, Source,
    Source::{Group, Outcome, User},
    Subject,
};

const fn layout(name: &'static str, sources: &'static [Source]) -> Layout {
    Layout { name, category: "user", sources, subject: Subject::None }
}

pub(super) static LAYOUTS: &[Layout] = &[
    layout("setuid", &[Outcome, User(0)]),
    layout("setgid", &[Outcome, Group(0)]),
    layout("setresuid", &[Outcome, User(0), User(1), User(2)]),
    layout("setresgid", &[Outcome, Group(0), Group(1), Group(2)]),
];
