//! HorizontalPodAutoscalers, in the form of autoscaling/v2.

use serde_json::{Value, json};

use pod_strategy::resources::quantity;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of HorizontalPodAutoscalers.
pub struct HorizontalPodAutoscaler;

const SPEC: Path<'static> = Path::root("spec");
const SOURCES: [&str; 5] = ["object", "external", "pods", "resource", "containerResource"];

impl Strategy for HorizontalPodAutoscaler {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        write::missing(spec, "minReplicas", 1);
        if spec.items("metrics").is_empty() {
            write::set(
                spec,
                "metrics",
                json!([{"type": "Resource", "resource": {
                    "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]),
            );
        }
        if let Some(behavior) = write::object(spec, "behavior") {
            scaling_rules(
                write::ensure(behavior, "scaleUp"),
                0,
                json!([
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                ]),
            );
            let down = write::ensure(behavior, "scaleDown");
            let policies = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
            write::zero(down, "selectPolicy", "Max");
            if down.items("policies").is_empty() {
                write::set(down, "policies", policies);
            }
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        if let Some(least) = spec.int("minReplicas").filter(|least| *least < 1) {
            errors.invalid(&SPEC.child("minReplicas"), least, "must be greater than or equal to 1");
        }
        let most = spec.int("maxReplicas").unwrap_or(0);
        if most < 1 {
            errors.invalid(&SPEC.child("maxReplicas"), most, "must be greater than 0");
        }
        if spec.int("minReplicas").is_some_and(|least| most < least) {
            errors.invalid(
                &SPEC.child("maxReplicas"),
                most,
                "must be greater than or equal to `minReplicas`",
            );
        }
        validate_reference(&spec["scaleTargetRef"], &SPEC.child("scaleTargetRef"), errors);
        for (index, metric) in spec.items("metrics").iter().enumerate() {
            validate_metric(metric, &SPEC.child("metrics").index(index), errors);
        }
        for key in ["scaleUp", "scaleDown"] {
            let behavior_path = SPEC.child("behavior");
            validate_rules(&spec["behavior"][key], &behavior_path.child(key), errors);
        }
    }
}

fn scaling_rules(rules: &mut Value, window: i64, policies: Value) {
    write::missing(rules, "stabilizationWindowSeconds", window);
    write::zero(rules, "selectPolicy", "Max");
    if rules.items("policies").is_empty() {
        write::set(rules, "policies", policies);
    }
}

fn validate_metric(metric: &Value, path: &Path, errors: &mut Errors) {
    let source = match metric.text("type") {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        "" => {
            errors.required(&path.child("type"), "must specify a metric source type");
            return;
        }
        other => {
            errors.unsupported(
                &path.child("type"),
                other,
                &["ContainerResource", "External", "Object", "Pods", "Resource"],
            );
            return;
        }
    };
    let own = &metric[source];
    if own.is_null() {
        errors.required(&path.child(source), "must populate information for the given metric source");
    }
    for other in SOURCES.iter().filter(|other| **other != source && metric.has(other)) {
        errors.forbidden(&path.child(other), "must populate the given metric source only");
    }
    let path = path.child(source);
    if own.is_null() {
        return;
    }
    match source {
        "resource" | "containerResource" => {
            if own.text("name").is_empty() {
                errors.required(&path.child("name"), "must specify a resource name");
            }
            if source == "containerResource" && own.text("container").is_empty() {
                errors.required(&path.child("container"), "must specify a container");
            }
        }
        _ => {
            if source == "object" {
                validate_reference(&own["describedObject"], &path.child("describedObject"), errors);
            }
            let (name, path) = (own["metric"].text("name"), path.child("metric"));
            if name.is_empty() {
                errors.required(&path.child("name"), "must specify a metric name");
            } else {
                let found = names::errors(NameRule::PathSegment, name);
                errors.invalid_each(&path.child("name"), &Value::from(name), found);
            }
        }
    }
    validate_target(source, &own["target"], &path.child("target"), errors);
}

fn validate_target(source: &str, target: &Value, path: &Path, errors: &mut Errors) {
    match target.text("type") {
        "Utilization" | "Value" | "AverageValue" => {}
        "" => errors.required(&path.child("type"), "must specify a metric target type"),
        other => {
            errors.invalid(&path.child("type"), other, "must be either Utilization, Value, or AverageValue")
        }
    }
    for key in ["value", "averageValue"] {
        if target.has(key) && quantity(&target[key]).is_none_or(|amount| amount.sign() <= 0) {
            errors.invalid(&path.child(key), target[key].clone(), "must be positive");
        }
    }
    if let Some(share) = target.int("averageUtilization").filter(|share| *share < 1) {
        errors.invalid(&path.child("averageUtilization"), share, "must be greater than 0");
    }
    let (value, average) = (target.has("value"), target.has("averageValue"));
    let share = target.has("averageUtilization");
    let average_path = path.child("averageValue");
    match source {
        "object" if !value && !average => {
            errors.required(&average_path, "must set either a target value or averageValue");
        }
        "external" if !value && !average => {
            errors.required(&average_path, "must set either a target value for metric or a per-pod target")
        }
        "external" if value && average => errors.forbidden(
            &path.child("value"),
            "may not set both a target value for metric and a per-pod target",
        ),
        "pods" if quantity(&target["averageValue"]).is_none_or(|amount| amount.sign() <= 0) => {
            errors.required(&average_path, "must specify a positive target averageValue");
        }
        "resource" | "containerResource" if !share && !average => errors.required(
            &path.child("averageUtilization"),
            "must set either a target raw value or a target utilization",
        ),
        "resource" | "containerResource" if share && average => {
            errors.forbidden(&average_path, "may not set both a target raw value and a target utilization")
        }
        _ => {}
    }
}

/// Validates the name of an object of any kind.
fn validate_reference(reference: &Value, path: &Path, errors: &mut Errors) {
    for key in ["kind", "name"] {
        let text = reference.text(key);
        if text.is_empty() {
            errors.required(&path.child(key), "");
        } else {
            let found = names::errors(NameRule::PathSegment, text);
            errors.invalid_each(&path.child(key), &reference[key], found);
        }
    }
}

fn validate_rules(rules: &Value, path: &Path, errors: &mut Errors) {
    if rules.is_null() {
        return;
    }
    if let Some(window) = rules.int("stabilizationWindowSeconds") {
        let path = path.child("stabilizationWindowSeconds");
        if window < 0 {
            errors.invalid(&path, window, "must be greater than or equal to zero");
        } else if window > 3600 {
            errors.invalid(&path, window, "must be less than or equal to 3600");
        }
    }
    let choice = rules.text("selectPolicy");
    if !matches!(choice, "Max" | "Min" | "Disabled" | "") {
        errors.unsupported(&path.child("selectPolicy"), choice, &["Disabled", "Max", "Min"]);
    }
    let policies_path = path.child("policies");
    if rules.items("policies").is_empty() {
        errors.required(&policies_path, "must specify at least one Policy");
    }
    for (index, policy) in rules.items("policies").iter().enumerate() {
        let path = policies_path.index(index);
        if !matches!(policy.text("type"), "Pods" | "Percent") {
            errors.unsupported(&path.child("type"), policy.text("type"), &["Percent", "Pods"]);
        }
        for key in ["value", "periodSeconds"] {
            let value = policy.int(key).unwrap_or(0);
            if value <= 0 {
                errors.invalid(&path.child(key), value, "must be greater than zero");
            }
        }
        if let Some(period) = policy.int("periodSeconds").filter(|period| *period > 1800) {
            errors.invalid(&path.child("periodSeconds"), period, "must be less than or equal to 1800");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strategy::testing::{created, defaulted};

    #[test]
    fn bounds_and_targets_are_there() {
        let object = |most: i64| json!({"spec": {"maxReplicas": most, "minReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}});
        assert_eq!(created(&HorizontalPodAutoscaler, object(3)), "");
        assert_eq!(
            created(&HorizontalPodAutoscaler, object(1)),
            "spec.maxReplicas: Invalid value: 1: must be greater than or equal to `minReplicas`"
        );
        let full = defaulted(&HorizontalPodAutoscaler, object(3));
        assert_eq!(full["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
    }

    #[test]
    fn metrics_have_a_source_and_a_target() {
        let check = |metric: Value| {
            let spec = json!({"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "metrics": [metric]});
            created(&HorizontalPodAutoscaler, json!({ "spec": spec }))
        };
        let share = json!({"type": "Utilization", "averageUtilization": 50});
        for (metric, expected) in [
            (json!({"type": "Resource", "resource": {"name": "cpu", "target": share}}), ""),
            (
                json!({"type": "Resource"}),
                "spec.metrics[0].resource: Required value: must populate information for the given metric source",
            ),
            (
                json!({"type": "Resource", "resource": {"name": "cpu", "target": share}, "pods": {}}),
                "spec.metrics[0].pods: Forbidden: must populate the given metric source only",
            ),
            (
                json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50, "averageValue": "1"}}}),
                "spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization",
            ),
            (
                json!({"type": "Pods", "pods": {"metric": {}, "target": {"type": "AverageValue"}}}),
                "spec.metrics[0].pods.metric.name: Required value: must specify a metric name\nspec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
            ),
            (
                json!({"type": "Object", "object": {"metric": {"name": "m"}, "describedObject": {"kind": "Ingress", "name": "i"}, "target": {"type": "Value"}}}),
                "spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue",
            ),
            (
                json!({"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1", "averageValue": "1"}}}),
                "spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target",
            ),
        ] {
            assert_eq!(check(metric), expected);
        }
    }
}
