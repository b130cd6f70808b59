//! HorizontalPodAutoscalers, in the form of autoscaling/v2.

use serde_json::{Value, json};

use crate::workload::{STATUS, validate_counts};
use pod_strategy::probes::validate_label;
use pod_strategy::resources::{is_extended, is_standard_for_containers, quantity, validate_resource_name};
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of HorizontalPodAutoscalers.
pub struct HorizontalPodAutoscaler;

const SPEC: Path<'static> = Path::root("spec");
const SOURCES: [&str; 5] = ["object", "external", "pods", "resource", "containerResource"];
const KINDS: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
/// The most seconds of a stabilization window and of a policy's period.
const LONGEST_WINDOW: i64 = 3600;
const LONGEST_PERIOD: i64 = 1800;

/// Where autoscaling/v1 has what it has no fields for; elsewhere these annotations mean nothing and are dropped.
const NOTES: [&str; 4] = [
    "autoscaling.alpha.kubernetes.io/behavior",
    "autoscaling.alpha.kubernetes.io/conditions",
    "autoscaling.alpha.kubernetes.io/current-metrics",
    "autoscaling.alpha.kubernetes.io/metrics",
];

impl Strategy for HorizontalPodAutoscaler {
    fn keeps(&self) -> Keeps {
        Keeps::Status
    }

    fn default(&self, object: &mut Value) {
        if let Some(annotations) =
            object.get_mut("metadata").and_then(|metadata| write::object(metadata, "annotations"))
        {
            for key in NOTES {
                write::remove(annotations, key);
            }
        }
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
            let all = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
            let up = write::ensure(behavior, "scaleUp");
            write::missing(up, "stabilizationWindowSeconds", 0);
            write::missing(up, "selectPolicy", "Max");
            let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
            write::missing(up, "policies", json!([four, all.clone()]));
            // How long to wait before scaling down is the controller's to say.
            let down = write::ensure(behavior, "scaleDown");
            write::missing(down, "selectPolicy", "Max");
            write::missing(down, "policies", json!([all]));
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        validate_spec(&object["spec"], &Value::Null, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        validate_spec(&new["spec"], &old["spec"], errors);
    }

    fn validate_status_update(&self, new: &Value, _old: &Value, errors: &mut Errors) {
        validate_counts(&new["status"], &["currentReplicas", "desiredReplicas"], &STATUS, errors);
    }
}

fn validate_spec(spec: &Value, before: &Value, errors: &mut Errors) {
    // None at all is an alpha feature, which stays where it is stored.
    let lowest = i64::from(before.int("minReplicas") != Some(0));
    let least = spec.int("minReplicas");
    if let Some(least) = least.filter(|least| *least < lowest) {
        let why = format!("must be greater than or equal to {lowest}");
        errors.invalid(&SPEC.child("minReplicas"), least, why);
    }
    let most = spec.int("maxReplicas").unwrap_or(0);
    let most_path = SPEC.child("maxReplicas");
    if most < 1 {
        errors.invalid(&most_path, most, "must be greater than 0");
    }
    if least.is_some_and(|least| most < least) {
        errors.invalid(&most_path, most, "must be greater than or equal to `minReplicas`");
    }
    let target = &spec["scaleTargetRef"];
    let group = match target.text("kind") {
        kind if !before.is_null()
            && kind == before["scaleTargetRef"].text("kind")
            && target.text("apiVersion") == before["scaleTargetRef"].text("apiVersion") =>
        {
            Group::NotAsked
        }
        "ReplicationController" => Group::Any,
        _ => Group::Named,
    };
    validate_reference(target, group, &SPEC.child("scaleTargetRef"), errors);
    let metrics_path = SPEC.child("metrics");
    let is_wrong = |metric: &Value| {
        metric.text("type") == "Object"
            && group_error(metric["object"]["describedObject"].text("apiVersion"), Group::Any).is_some()
    };
    let group = if before.items("metrics").iter().any(is_wrong) { Group::NotAsked } else { Group::Any };
    for (index, metric) in spec.items("metrics").iter().enumerate() {
        validate_metric(metric, group, &metrics_path.index(index), errors);
    }
    let is_outside = |metric: &Value| matches!(metric.text("type"), "Object" | "External");
    if least == Some(0) && !spec.items("metrics").iter().any(is_outside) {
        let why = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.forbidden(&metrics_path, why);
    }
    let behavior_path = SPEC.child("behavior");
    for key in ["scaleUp", "scaleDown"] {
        validate_rules(&spec["behavior"][key], &behavior_path.child(key), errors);
    }
}

/// What is asked of the group of an object that is named.
#[derive(Clone, Copy, PartialEq)]
enum Group {
    /// It must be told.
    Named,
    /// It may be the one without a name.
    Any,
    /// It is as it was.
    NotAsked,
}

/// What is wrong with an `apiVersion`.
fn group_error(version: &str, asked: Group) -> Option<String> {
    if asked == Group::NotAsked {
        return None;
    }
    if version != "/" && version.matches('/').count() > 1 {
        return Some(format!("unexpected GroupVersion string: {version}"));
    }
    let group = version.split_once('/').map_or("", |(group, _)| group);
    (asked == Group::Named && group.is_empty()).then(|| "apiVersion must specify API group".to_owned())
}

fn validate_metric(metric: &Value, group: Group, path: &Path, errors: &mut Errors) {
    let (type_path, kind) = (path.child("type"), metric.text("type"));
    let own = match kind {
        "Resource" => Some("resource"),
        "ContainerResource" => Some("containerResource"),
        "Pods" => Some("pods"),
        "Object" => Some("object"),
        "External" => Some("external"),
        _ => None,
    };
    if kind.is_empty() {
        errors.required(&type_path, "must specify a metric source type");
    }
    if own.is_none() {
        errors.unsupported(&type_path, kind, &KINDS);
    }
    let given: Vec<&str> = SOURCES.into_iter().filter(|source| metric.has(source)).collect();
    if let Some(source) = given.first() {
        validate_source(source, &metric[*source], group, &path.child(source), errors);
    }
    match own {
        Some(own) if !metric.has(own) => {
            errors.required(&path.child(own), "must populate information for the given metric source");
        }
        Some(_) => {}
        // Said twice by upstream too.
        None => errors.unsupported(&type_path, kind, &KINDS),
    }
    if given.len() > 1 {
        for other in given.iter().filter(|other| Some(**other) != own) {
            errors.forbidden(&path.child(other), "must populate the given metric source only");
        }
    }
}

fn validate_source(source: &str, own: &Value, group: Group, path: &Path, errors: &mut Errors) {
    match source {
        "resource" | "containerResource" => {
            let name = own.text("name");
            if name.is_empty() {
                errors.required(&path.child("name"), "must specify a resource name");
            } else if source == "containerResource" {
                validate_container_resource(name, &path.child("name"), errors);
            }
            match own.text("container") {
                _ if source == "resource" => {}
                "" => errors.required(&path.child("container"), "must specify a container"),
                container => validate_label(container, &path.child("container"), errors),
            }
        }
        _ => {
            if source == "object" {
                let object_path = path.child("describedObject");
                validate_reference(&own["describedObject"], group, &object_path, errors);
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

fn validate_container_resource(name: &str, path: &Path, errors: &mut Errors) {
    validate_resource_name(name, path, errors);
    if !name.contains('/') {
        if !is_standard_for_containers(name) {
            errors.invalid(path, name, "must be a standard resource for containers");
        }
    } else if !name.contains("kubernetes.io/") && !is_extended(name) {
        errors.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

fn validate_target(source: &str, target: &Value, path: &Path, errors: &mut Errors) {
    let kind = target.text("type");
    if kind.is_empty() {
        errors.required(&path.child("type"), "must specify a metric target type");
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        errors.invalid(&path.child("type"), kind, "must be either Utilization, Value, or AverageValue");
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
        "pods" if !average => {
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
fn validate_reference(reference: &Value, group: Group, path: &Path, errors: &mut Errors) {
    for key in ["kind", "name"] {
        let text = reference.text(key);
        if text.is_empty() {
            errors.required(&path.child(key), "");
        } else {
            let found = names::errors(NameRule::PathSegment, text);
            errors.invalid_each(&path.child(key), &reference[key], found);
        }
    }
    let version = reference.text("apiVersion");
    if let Some(why) = group_error(version, group) {
        errors.invalid(&path.child("apiVersion"), version, why);
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
        } else if window > LONGEST_WINDOW {
            errors.invalid(&path, window, format!("must be less than or equal to {LONGEST_WINDOW}"));
        }
    }
    let choice = rules.text("selectPolicy");
    if rules.has("selectPolicy") && !matches!(choice, "Max" | "Min" | "Disabled") {
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
        if let Some(period) = policy.int("periodSeconds").filter(|period| *period > LONGEST_PERIOD) {
            let why = format!("must be less than or equal to {LONGEST_PERIOD}");
            errors.invalid(&path.child("periodSeconds"), period, why);
        }
    }
    if quantity(&rules["tolerance"]).is_some_and(|tolerance| tolerance.sign() < 0) {
        let why = "must be greater than or equal to 0";
        errors.invalid(&path.child("tolerance"), rules["tolerance"].clone(), why);
    }
}

#[cfg(test)]
mod tests;
