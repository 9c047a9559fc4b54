// SPDX-License-Identifier: Apache-2.0
//! The values of fields during one event: asked for when first needed, and kept.

use crate::{Argument, Event, Field, Value};

/// Values that are kept; events of stock rules are asked for half as many. Others are asked for each time.
const MAX_VALUES: usize = 24;
/// Fields of a program whose values can be kept.
const MAX_FIELDS: usize = 256;

/// Values by the program's numbers of fields.
pub(super) struct Values<'e> {
    /// For each field the place of its value, counted from 1: clearing these costs less than clearing values.
    places: [u8; MAX_FIELDS],
    kept: [Option<Value<'e>>; MAX_VALUES],
    used: usize,
}

impl<'e> Values<'e> {
    pub(super) fn new() -> Self {
        Self { places: [0; MAX_FIELDS], kept: [const { None }; MAX_VALUES], used: 0 }
    }

    /// Calls `use_value` with the value of a field.
    pub(super) fn with<R>(
        &mut self,
        number: u32,
        event: &'e dyn Event,
        (field, argument): &(Field, Argument),
        use_value: impl FnOnce(Option<&Value<'_>>) -> R,
    ) -> R {
        let Some(place) = self.places.get_mut(number as usize) else {
            return use_value(event.value(*field, argument).as_ref());
        };
        if *place == 0 {
            let value = event.value(*field, argument);
            let Some(slot) = self.kept.get_mut(self.used) else { return use_value(value.as_ref()) };
            *slot = value;
            self.used += 1;
            *place = u8::try_from(self.used).unwrap_or_default();
        }
        use_value(self.kept.get(usize::from(*place) - 1).and_then(Option::as_ref))
    }
}
