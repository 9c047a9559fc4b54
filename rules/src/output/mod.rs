// SPDX-License-Identifier: Apache-2.0
//! Outputs of rules: templates checked when a rule is loaded, rendered as text and as typed fields.

mod error;
mod json;
mod parser;
mod template;
mod value;

pub use error::OutputError;
pub(crate) use json::typed;
pub(crate) use parser::parse;
pub use template::Template;
pub(crate) use value::ValueStyle;
