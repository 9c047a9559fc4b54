// SPDX-License-Identifier: Apache-2.0
//! The opposite of a condition on an argument, as conditions of which any one holds.

use serde_json::{Value, json};

pub(super) const MASKED_EQUAL: &str = "SCMP_CMP_MASKED_EQ";

/// Conditions that hold exactly where `conditions` (those of one rule) do not; `None` where the opposite of more than
/// one condition, or of a malformed one, would be needed.
pub(super) fn of(conditions: &[Value]) -> Option<Vec<Value>> {
    let [condition] = conditions else { return None };
    let index = condition.get("index")?.as_u64()?;
    let value = condition.get("value").map_or(Some(0), Value::as_u64)?;
    let operator = condition.get("op")?.as_str()?;
    if operator == MASKED_EQUAL {
        let wanted = condition.get("valueTwo").map_or(Some(0), Value::as_u64)?;
        return masked(index, value, wanted);
    }
    let opposite = match operator {
        "SCMP_CMP_NE" => "SCMP_CMP_EQ",
        "SCMP_CMP_EQ" => "SCMP_CMP_NE",
        "SCMP_CMP_LT" => "SCMP_CMP_GE",
        "SCMP_CMP_GE" => "SCMP_CMP_LT",
        "SCMP_CMP_LE" => "SCMP_CMP_GT",
        "SCMP_CMP_GT" => "SCMP_CMP_LE",
        _ => return None,
    };
    Some(vec![json!({"index": index, "value": value, "op": opposite})])
}

/// One condition per bit of the mask: that bit differs from the wanted one.
fn masked(index: u64, mask: u64, wanted: u64) -> Option<Vec<Value>> {
    // A wanted bit outside the mask never matches by the manual and is ignored by the library: leave it alone.
    if wanted & !mask != 0 {
        return None;
    }
    let bits = (0..u64::BITS).map(|position| 1_u64 << position).filter(|bit| mask & bit != 0);
    Some(bits.map(|bit| json!({"index": index, "value": bit, "valueTwo": !wanted & bit, "op": MASKED_EQUAL})).collect())
}
