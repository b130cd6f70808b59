//! What holds for the conditions of every kind that has them in the common form.

use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

const LONGEST_REASON: usize = 1024;
const LONGEST_MESSAGE: usize = 32 * 1024;
const REASON: &str = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

/// Validates a list of conditions: one of each type, each complete.
pub fn validate(conditions: &[Value], path: &Path, errors: &mut Errors) {
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let kind = condition.text("type");
        if conditions[..index].iter().any(|other| other.text("type") == kind) {
            errors.duplicate(&path.child("type"), kind);
        }
        errors.invalid_each(&path.child("type"), &Value::from(kind), names::qualified_name_errors(kind));
        let status = condition.text("status");
        if !matches!(status, "True" | "False" | "Unknown") {
            errors.unsupported(&path.child("status"), status, &["False", "True", "Unknown"]);
        }
        if let Some(generation) = condition.int("observedGeneration").filter(|generation| *generation < 0) {
            let why = "must be greater than or equal to zero";
            errors.invalid(&path.child("observedGeneration"), generation, why);
        }
        if condition.text("lastTransitionTime").is_empty() {
            errors.required(&path.child("lastTransitionTime"), "must be set");
        }
        let reason = condition.text("reason");
        if reason.is_empty() {
            errors.required(&path.child("reason"), "must be set");
        } else {
            if !is_reason(reason) {
                errors.invalid(&path.child("reason"), reason, REASON);
            }
            if reason.len() > LONGEST_REASON {
                errors.too_long(&path.child("reason"), LONGEST_REASON);
            }
        }
        if condition.text("message").len() > LONGEST_MESSAGE {
            errors.too_long(&path.child("message"), LONGEST_MESSAGE);
        }
    }
}

fn is_reason(text: &str) -> bool {
    let is_last = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| is_last(*byte) || matches!(byte, b',' | b':'))
        && bytes.last().is_some_and(|byte| is_last(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn conditions_are_complete_and_of_different_types() {
        let whole = json!({"type": "Ready", "status": "True", "reason": "A:b_1", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        for (conditions, expected) in [
            (json!([whole]), String::new()),
            (json!([whole, whole]), "c[1].type: Duplicate value: \"Ready\"".to_owned()),
            (
                json!([{"type": "Ready"}]),
                "c[0].status: Unsupported value: \"\": supported values: \"False\", \"True\", \"Unknown\"\n\
                 c[0].lastTransitionTime: Required value: must be set\n\
                 c[0].reason: Required value: must be set"
                    .to_owned(),
            ),
            (
                json!([{"type": "Ready", "status": "False", "reason": "1", "observedGeneration": -1,
                    "lastTransitionTime": "2026-01-01T00:00:00Z", "message": "x".repeat(LONGEST_MESSAGE + 1)}]),
                format!(
                    "c[0].observedGeneration: Invalid value: -1: must be greater than or equal to zero\n\
                     c[0].reason: Invalid value: \"1\": {REASON}\n\
                     c[0].message: Too long: may not be more than 32768 bytes"
                ),
            ),
        ] {
            let list = conditions.as_array().unwrap();
            assert_eq!(found(|errors| validate(list, &Path::root("c"), errors)), expected);
        }
        for (reason, good) in [("a", true), ("a,", false), ("a:b,c", true), ("_a", false), ("a-b", false)] {
            assert_eq!(is_reason(reason), good, "{reason}");
        }
    }
}
