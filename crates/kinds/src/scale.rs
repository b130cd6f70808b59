//! The scale of a workload.

use apimachinery::FieldError;
use serde_json::Value;
use strategy::{NameRule, metadata};

/// What is wrong with a scale: upstream's `ValidateScale`.
pub fn judge_scale(scale: &Value) -> Vec<FieldError> {
    let mut errors = metadata::validate_create(scale, true, NameRule::Subdomain);
    if let Some(replicas) = scale["spec"]["replicas"].as_i64().filter(|replicas| *replicas < 0) {
        errors.push(FieldError::invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_are_judged_before_replicas() {
        let cases = [
            (json!({"metadata": {"name": "web", "namespace": "a"}, "spec": {"replicas": 3}}), ""),
            (json!({"metadata": {"name": "web", "namespace": "a"}}), ""),
            (
                json!({"metadata": {"name": "web", "namespace": "a", "labels": {"a": "-"}}, "spec": {"replicas": -2}}),
                "metadata.labels spec.replicas",
            ),
            (json!({"metadata": {}, "spec": {"replicas": 0}}), "metadata.name metadata.namespace"),
        ];
        for (scale, expected) in cases {
            let fields: Vec<_> = judge_scale(&scale).into_iter().map(|fault| fault.field).collect();
            assert_eq!(fields.join(" "), expected, "{scale}");
        }
    }
}
