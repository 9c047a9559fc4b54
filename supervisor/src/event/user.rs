// SPDX-License-Identifier: Apache-2.0
//! Fields `user.*` and `group.*`.

use rules::{GroupField, UserField, Value};

use super::{
    CallEvent,
    call::{owned, text},
};
use crate::account::{Realm, User};

/// *Falco:* what stands for a user or group without a name.
pub(super) const NO_NAME: &str = "<NA>";

impl CallEvent<'_> {
    /// The value of a field of the effective user, or of the login user.
    pub(super) fn user(&self, field: UserField) -> Option<Value<'_>> {
        match field {
            UserField::Uid => Some(Value::Uint(u64::from(self.effective_user()?))),
            UserField::Name => Some(owned(self.user_name(self.effective_user()?))),
            UserField::Loginuid => self.login_user().map(Value::Int),
            UserField::Loginname => match u32::try_from(self.login_user()?) {
                Ok(user) => Some(owned(self.user_name(user))),
                Err(_unset) => Some(text(NO_NAME)),
            },
            UserField::Homedir | UserField::Shell => Some(self.account(self.effective_user()?).map_or_else(
                || text(NO_NAME),
                |user| owned(if field == UserField::Homedir { user.home } else { user.shell }),
            )),
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
    pub(super) fn user_name(&self, user: u32) -> Vec<u8> {
        self.account(user).map_or_else(|| NO_NAME.into(), |user| user.name)
    }

    fn account(&self, user: u32) -> Option<User> {
        let accounts = &self.context.accounts;
        match self.context.realm() {
            Some(realm) => accounts.user(realm, user),
            None => accounts.user(&Realm::of(self.thread()?)?, user),
        }
    }

    /// The name of a group; `<NA>` for one without.
    pub(super) fn group_name(&self, group: u32) -> Option<Vec<u8>> {
        let accounts = &self.context.accounts;
        let name = match self.context.realm() {
            Some(realm) => accounts.group(realm, group),
            None => accounts.group(&Realm::of(self.thread()?)?, group),
        };
        Some(name.unwrap_or_else(|| NO_NAME.into()))
    }

    /// The audit login user; -1 where none is set or the kernel has no audit.
    pub(super) fn login_user(&self) -> Option<i64> {
        let user = self.thread()?.login_user().filter(|user| *user != u32::MAX);
        Some(user.map_or(-1, i64::from))
    }
}
