// SPDX-License-Identifier: Apache-2.0
//! Fields `user.*` and `group.*`.

use rules::{GroupField, UserField, Value};

use super::{
    CallEvent,
    call::{owned, text},
};

/// *Falco:* what stands for a user or group without a name.
pub(super) const NO_NAME: &str = "<NA>";

impl CallEvent<'_> {
    /// The value of a field of the effective user, or of the login user.
    pub(super) fn user(&self, field: UserField) -> Option<Value<'_>> {
        match field {
            UserField::Uid => Some(Value::Uint(u64::from(self.effective_user()?))),
            UserField::Name => self.user_name(self.effective_user()?).map(owned),
            UserField::Loginuid => self.login_user().map(Value::Int),
            UserField::Loginname => match u32::try_from(self.login_user()?) {
                Ok(user) => self.user_name(user).map(owned),
                Err(_unset) => Some(text(NO_NAME)),
            },
            UserField::Homedir | UserField::Shell => {
                let user = self.context.accounts.user(self.thread()?, self.effective_user()?);
                Some(user.map_or_else(
                    || text(NO_NAME),
                    |user| owned(if field == UserField::Homedir { user.home } else { user.shell }),
                ))
            }
        }
    }

    /// The value of a field of the effective group.
    pub(super) fn group(&self, field: GroupField) -> Option<Value<'_>> {
        let group = self.status()?.group;
        match field {
            GroupField::Gid => Some(Value::Uint(u64::from(group))),
            GroupField::Name => self.group_name(group).map(owned),
        }
    }

    /// The name of a user; `<NA>` for one without.
    pub(super) fn user_name(&self, user: u32) -> Option<Vec<u8>> {
        let found = self.context.accounts.user(self.thread()?, user);
        Some(found.map_or_else(|| NO_NAME.into(), |user| user.name))
    }

    /// The name of a group; `<NA>` for one without.
    pub(super) fn group_name(&self, group: u32) -> Option<Vec<u8>> {
        Some(self.context.accounts.group(self.thread()?, group).unwrap_or_else(|| NO_NAME.into()))
    }

    /// The audit login user; -1 where none is set or the kernel has no audit.
    pub(super) fn login_user(&self) -> Option<i64> {
        let user = self.thread()?.login_user().filter(|user| *user != u32::MAX);
        Some(user.map_or(-1, i64::from))
    }
}
