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
        let target = &spec["scaleTargetRef"];
        let target_path = SPEC.child("scaleTargetRef");
        for key in ["kind", "name"] {
            let text = target.text(key);
            if text.is_empty() {
                errors.required(&target_path.child(key), "");
            } else {
                let found = names::errors(NameRule::PathSegment, text);
                errors.invalid_each(&target_path.child(key), &target[key], found);
            }
        }
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
    let (source, target_key) = match metric.text("type") {
        "Resource" => ("resource", "target"),
        "ContainerResource" => ("containerResource", "target"),
        "Pods" => ("pods", "target"),
        "Object" => ("object", "target"),
        "External" => ("external", "target"),
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
    let path = path.child(source);
    let own = &metric[source];
    if own.is_null() {
        errors.required(&path, "must populate the given metric source");
        return;
    }
    if matches!(source, "resource" | "containerResource") {
        if own.text("name").is_empty() {
            errors.required(&path.child("name"), "must specify a resource name");
        }
        if source == "containerResource" && own.text("container").is_empty() {
            errors.required(&path.child("container"), "must specify a container");
        }
    } else if own["metric"].text("name").is_empty() {
        errors.required(&path.child("metric").child("name"), "");
    }
    let target = &own[target_key];
    let target_path = path.child(target_key);
    match target.text("type") {
        "Utilization" | "Value" | "AverageValue" => {}
        "" => errors.required(&target_path.child("type"), "must specify a metric target type"),
        other => {
            errors.invalid(
                &target_path.child("type"),
                other,
                "must be either Utilization, Value, or AverageValue",
            );
        }
    }
    for key in ["value", "averageValue"] {
        if target.has(key) && quantity(&target[key]).is_none_or(|amount| amount.sign() <= 0) {
            errors.invalid(&target_path.child(key), target[key].clone(), "must be positive");
        }
    }
    if let Some(share) = target.int("averageUtilization").filter(|share| *share < 1) {
        errors.invalid(&target_path.child("averageUtilization"), share, "must be greater than 0");
    }
    let share_allowed = matches!(source, "resource" | "containerResource");
    if share_allowed && !target.has("averageUtilization") && !target.has("averageValue") {
        errors.required(
            &target_path.child("averageUtilization"),
            "must set either a target raw value or a target utilization",
        );
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
}
