// SPDX-License-Identifier: Apache-2.0
//! Field names: their enum, their types and what may be done with them.

mod catalogue;
mod class;

use std::{collections::HashMap, sync::LazyLock};

pub use catalogue::{
    ContainerField, EvtField, FdField, FdListField, FsPathField, GroupField, K8sField, LannerField, ProcField,
    ThreadField, UserField, UtilField,
};
pub use class::FieldClass;

/// A field of the catalogue, by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each class is documented by its own enum")]
pub enum Field {
    Evt(EvtField),
    Proc(ProcField),
    Thread(ThreadField),
    User(UserField),
    Group(GroupField),
    Fd(FdField),
    FsPath(FsPathField),
    FdList(FdListField),
    Util(UtilField),
    Container(ContainerField),
    K8s(K8sField),
    Lanner(LannerField),
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct Description {
    /// The field itself.
    pub field: Field,
    /// The name in conditions and outputs.
    pub name: &'static str,
    /// The type its value and its constants have.
    pub value_type: Type,
    /// Whether brackets may or must follow.
    pub argument: ArgumentRule,
    /// What may not be done with it.
    pub flags: Flags,
    /// How a supervisor can know it.
    pub availability: Availability,
    /// One sentence for `lanner fields`.
    pub doc: &'static str,
}

/// A field's type; decides operators and the syntax of constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Type {
    Bool,
    Int16,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Double,
    Text,
    Bytes,
    Port,
    Ip,
    Net,
    /// Nanoseconds.
    RelativeTime,
    /// Nanoseconds since the epoch.
    AbsoluteTime,
    TextList,
    /// `evt.rawarg`: the type of the parameter that the argument names.
    Dynamic,
}

impl Type {
    /// Falco's name of the type. A list has the name of its elements' type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Double => "DOUBLE",
            Self::Text | Self::TextList => "CHARBUF",
            Self::Bytes => "BYTEBUF",
            Self::Port => "PORT",
            Self::Ip => "IPADDR",
            Self::Net => "IPNET",
            Self::RelativeTime => "RELTIME",
            Self::AbsoluteTime => "ABSTIME",
            Self::Dynamic => "DYNAMIC",
        }
    }
}

/// Whether a field takes an argument in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ArgumentRule {
    Unused,
    Optional,
    Required,
    Key,
    IndexOrKey,
}

/// How a supervisor that sees a call before the kernel runs it can know a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Availability {
    /// Exact at entry: registers, argument memory, /proc, clock.
    Entry,
    /// Needs the result or the state after exec, which can be predicted.
    Predicted,
    /// Needs state kept over time or fetched on demand.
    Stateful,
    /// Container metadata, constant per container.
    Container,
    /// Exists only after the kernel did the work.
    AfterCall,
    /// Cannot be had this way, for this reason, which completes "it ..".
    Never(&'static str),
    /// Has no data source any more, in Falco neither.
    Deprecated,
}

impl Availability {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Predicted => "predicted",
            Self::Stateful => "stateful",
            Self::Container => "container",
            Self::AfterCall => "aftercall",
            Self::Never(_) => "never",
            Self::Deprecated => "deprecated",
        }
    }

    /// Why a field never has a value, if it never has one: completes "it ..".
    pub fn absence(self) -> Option<&'static str> {
        match self {
            Self::AfterCall => Some("exists only after the kernel has done the work, and calls are judged before it"),
            Self::Never(reason) => Some(reason),
            Self::Deprecated => Some("has no data source any more, in Falco neither"),
            Self::Entry | Self::Predicted | Self::Stateful | Self::Container => None,
        }
    }
}

/// What may not be done with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No restriction.
    pub const NONE: Self = Self(0);
    /// Not inside `val()`, takes no right-hand field.
    pub const NO_RHS: Self = Self(1);
    /// No transformers.
    pub const NO_TRANSFORMER: Self = Self(2);
    /// Not printable.
    pub const FILTER_ONLY: Self = Self(4);
    /// Not usable in conditions.
    pub const PRINT_ONLY: Self = Self(8);
    /// Hidden from listings.
    pub const TABLE_ONLY: Self = Self(16);
    /// Added to outputs by `append_output: suggested_output`.
    pub const SUGGESTED: Self = Self(32);
    /// Warned about when used.
    pub const DEPRECATED: Self = Self(64);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

static BY_NAME: LazyLock<HashMap<&'static str, &'static Description>> =
    LazyLock::new(|| catalogue::CATALOGUE.iter().map(|row| (row.name, row)).collect());
static BY_FIELD: LazyLock<HashMap<Field, &'static Description>> =
    LazyLock::new(|| catalogue::CATALOGUE.iter().map(|row| (row.field, row)).collect());

impl Field {
    /// The row of a field name.
    pub fn describe(name: &str) -> Option<&'static Description> {
        BY_NAME.get(name).copied()
    }

    /// All rows, class by class.
    pub fn all() -> &'static [Description] {
        catalogue::CATALOGUE
    }

    /// The name in conditions and outputs.
    pub fn name(self) -> &'static str {
        BY_FIELD.get(&self).map_or("", |row| row.name)
    }
}
