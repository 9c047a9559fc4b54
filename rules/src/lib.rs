// SPDX-License-Identifier: Apache-2.0
//! The Falco rule language: text and events in, rulesets and matches out.
//!
//! Pure: no files, sockets, threads or clock. Reading order follows the data: sources and YAML, then items and definitions,
//! conditions, fields, compiled checks and programs, outputs, and last the [`Loader`] that ties them together and the
//! [`Ruleset`] that comes of it.
#![forbid(unsafe_code)]

mod action;
mod collector;
mod compile;
mod condition;
mod definitions;
mod diagnostic;
mod event;
mod event_type;
mod event_types;
mod exception;
mod explain;
mod field;
mod loader;
mod output;
mod path;
mod priority;
mod program;
mod reader;
mod ruleset;
mod sanitize;
mod schema;
mod source;
mod suggestion;
mod yaml;

pub use action::{Action, UnknownAction};
pub use condition::{Condition, ConditionError, ConditionNode};
pub use definitions::Version;
pub use diagnostic::{Code, ContextLocation, Diagnostic, FileReport, LoadReport, Severity};
pub use event::{Argument, Event, Value};
pub use event_type::{EventCategory, EventDescription, EventType, EventTypeSet, Parameter, ParameterType};
pub use explain::{Explanation, Truth};
pub use field::{
    ArgumentRule, Availability, ContainerField, Description, EvtField, FdField, FdListField, Field, FieldClass, Flags,
    FsPathField, GroupField, K8sField, LannerField, ProcField, ThreadField, Type, UserField, UtilField,
};
pub use loader::{AppendOutput, ExtraField, Load, LoadOptions, Loader, Plugin, Selection, Selector, Unseen};
pub use output::{OutputError, Template};
pub use path::join_path;
pub use priority::{Priority, UnknownPriority};
pub use program::{Knowledge, PartialEvent};
pub use ruleset::{Rule, Ruleset};
pub use sanitize::sanitize;
pub use source::Position;
pub use suggestion::did_you_mean;
