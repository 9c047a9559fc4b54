// SPDX-License-Identifier: Apache-2.0
//! The codes of problems: Falco's, whose names and meanings are part of our interface, and a few of our own.

use std::fmt;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The rules cannot be used.
    Error,
    /// The rules can be used, but something in them is suspicious.
    Warning,
    /// Something Falco would not mention.
    Note,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $severity:ident, $name:literal, $description:literal;)*) => {
        /// What kind of problem it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $(#[doc = concat!("`", $name, "`.")] $variant,)* }

        impl Code {
            /// The name in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The kind of problem in a sentence.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)* }
            }

            /// How bad problems of this kind are.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    FileRead = Error, "LOAD_ERR_FILE_READ", "Error reading file";
    YamlParse = Error, "LOAD_ERR_YAML_PARSE", "YAML parse error";
    YamlValidate = Error, "LOAD_ERR_YAML_VALIDATE", "Error validating internal structure of YAML file";
    CompileCondition = Error, "LOAD_ERR_COMPILE_CONDITION", "Error compiling condition";
    CompileOutput = Error, "LOAD_ERR_COMPILE_OUTPUT", "Error compiling output";
    Validate = Error, "LOAD_ERR_VALIDATE", "Error validating rule/macro/list/exception objects";
    UnknownSource = Warning, "LOAD_UNKNOWN_SOURCE",
        "A rule has a unknown event source. This can occur when reading rules content without having a corresponding plugin loaded, etc. The rule will be silently ignored.";
    UnsafeNaCheck = Warning, "LOAD_UNSAFE_NA_CHECK",
        "Comparing a field value with <NA> is unsafe and can lead to unpredictable behavior of the rule condition. If you need to check for the existence of a field, consider using the 'exists' operator instead.";
    NoEventType = Warning, "LOAD_NO_EVTTYPE",
        "A rule condition matches too many evt.type values. This has a significant performance penalty. Make the condition more specific by adding an evt.type field or further restricting the number of evt.type values in the condition.";
    UnknownFilter = Warning, "LOAD_UNKNOWN_FILTER",
        "A rule condition or output refers to a field or evt.type that does not exist. This is normally an error, but if a rule has a skip-if-unknown-filter property, the error is downgraded to a warning.";
    UnusedMacro = Warning, "LOAD_UNUSED_MACRO",
        "A macro is defined in the rules content but is not used by any other macro or rule.";
    UnusedList = Warning, "LOAD_UNUSED_LIST",
        "A list is defined in the rules content but is not used by any other list, macro, or rule.";
    UnknownItem = Warning, "LOAD_UNKNOWN_ITEM",
        "An unknown top-level object is in the rules content. It will be ignored.";
    DeprecatedItem = Warning, "LOAD_DEPRECATED_ITEM", "A deprecated item is employed by lists, macros, or rules.";
    AppendNoValues = Warning, "LOAD_APPEND_NO_VALUES", "A rule exception is overriding/appending with no values";
    ExceptionNameNotUnique = Warning, "LOAD_EXCEPTION_NAME_NOT_UNIQUE",
        "A rule is defining multiple exceptions with the same name";
    InvalidMacroName = Warning, "LOAD_INVALID_MACRO_NAME", "A macro is defined with an invalid name";
    InvalidListName = Warning, "LOAD_INVALID_LIST_NAME", "A list is defined with an invalid name";
    ConditionWarning = Warning, "LOAD_COMPILE_CONDITION",
        "A rule condition or output have been parsed with a warning";
    UnknownKey = Warning, "LOAD_UNKNOWN_KEY",
        "An item in the rules content contains an unrecognized key. The key will be ignored. This may indicate a typo or a property placed on the wrong item type.";
    FieldAbsent = Note, "LANNER_FIELD_ABSENT",
        "A field has no value where calls are decided before the kernel runs them. Every comparison with it is false.";
    EventUnseen = Note, "LANNER_EVENT_UNSEEN", "An event type is named of which there are never events.";
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
