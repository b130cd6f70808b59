//! Validation of when an indexed job is done before all of its indexes are.

use serde_json::Value;

use super::indexes;
use crate::workload::validate_counts;
use strategy::field::{Errors, Path};
use strategy::read::Read;

const MOST_RULES: usize = 20;
const LONGEST_INDEXES: usize = 64 * 1024;

/// Validates `successPolicy` of an indexed job.
pub(super) fn validate(spec: &Value, path: &Path, errors: &mut Errors) {
    let rules_path = path.child("rules");
    let rules = spec["successPolicy"].items("rules");
    if rules.is_empty() {
        errors.required(
            &rules_path,
            "at least one rules must be specified when the successPolicy is specified",
        );
    }
    if rules.len() > MOST_RULES {
        errors.too_many(&rules_path, rules.len(), MOST_RULES);
    }
    let completions = spec.int("completions").unwrap_or(0);
    for (index, rule) in rules.iter().enumerate() {
        validate_rule(rule, completions, &rules_path.index(index), errors);
    }
}

fn validate_rule(rule: &Value, completions: i64, path: &Path, errors: &mut Errors) {
    if !rule.has("succeededCount") && !rule.has("succeededIndexes") {
        errors.required(path, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut named = 0;
    if rule.has("succeededIndexes") {
        let path = path.child("succeededIndexes");
        let text = rule.text("succeededIndexes");
        if text.len() > LONGEST_INDEXES {
            errors.too_long(&path, LONGEST_INDEXES);
        }
        match indexes::count(text, completions) {
            Ok(count) => named = count,
            Err(why) => errors.invalid(&path, text, format!("error parsing succeededIndexes: {why}")),
        }
    }
    validate_counts(rule, &["succeededCount"], path, errors);
    let Some(count) = rule.int("succeededCount") else { return };
    for (most, of) in [
        (Some(completions), "the number of specified completions"),
        (
            rule.has("succeededIndexes").then_some(named),
            "the number of indexes in the specified succeededIndexes field",
        ),
    ] {
        if let Some(most) = most.filter(|most| count > *most) {
            errors.invalid(
                &path.child("succeededCount"),
                count,
                format!("must be less than or equal to {most} ({of})"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn rules_ask_for_what_there_is() {
        let check = |rule: Value| {
            let spec = json!({"completions": 5, "successPolicy": {"rules": [rule]}});
            found(|errors| validate(&spec, &Path::root("p"), errors))
        };
        assert_eq!(check(json!({"succeededCount": 2, "succeededIndexes": "0-3"})), "");
        assert_eq!(
            check(json!({})),
            "p.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified"
        );
        assert_eq!(
            check(json!({"succeededCount": 6, "succeededIndexes": "0,1"})),
            "p.rules[0].succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified completions)\n\
             p.rules[0].succeededCount: Invalid value: 6: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"
        );
    }
}
