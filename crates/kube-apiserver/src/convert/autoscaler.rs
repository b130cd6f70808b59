//! HorizontalPodAutoscalers of autoscaling/v1 and v2: v1 knows one metric, the CPU's use; everything else of v2
//! goes along in annotations, so that a client of v1 that reads and writes loses nothing.
//!
//! What stands in the annotations is upstream's to say: metrics in a form of v1's own, the behaviour by the names that
//! its fields have in Go.

use apimachinery::ObjectExt;
use schema::FieldValidation;
use serde_json::{Map, Value, json};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// One field of a metric: its name in v1, where v2 has it, and whether v1 always has it.
struct Field(&'static str, &'static [&'static str], bool);

/// The sources of metrics, and the fields of what is wanted of them.
const WANTED: [(&str, &[Field]); 5] = [
    (
        "object",
        &[
            Field("target", &["describedObject"], false),
            Field("metricName", &["metric", "name"], false),
            Field("targetValue", &["target", "value"], true),
            Field("selector", &["metric", "selector"], false),
            Field("averageValue", &["target", "averageValue"], false),
        ],
    ),
    (
        "pods",
        &[
            Field("metricName", &["metric", "name"], false),
            Field("targetAverageValue", &["target", "averageValue"], true),
            Field("selector", &["metric", "selector"], false),
        ],
    ),
    ("resource", &RESOURCE),
    ("containerResource", &RESOURCE),
    (
        "external",
        &[
            Field("metricName", &["metric", "name"], false),
            Field("metricSelector", &["metric", "selector"], false),
            Field("targetValue", &["target", "value"], false),
            Field("targetAverageValue", &["target", "averageValue"], false),
        ],
    ),
];

const RESOURCE: [Field; 4] = [
    Field("name", &["name"], false),
    Field("container", &["container"], false),
    Field("targetAverageUtilization", &["target", "averageUtilization"], false),
    Field("targetAverageValue", &["target", "averageValue"], false),
];

/// The sources of metrics, and the fields of what was found.
const CURRENT: [(&str, &[Field]); 5] = [
    (
        "object",
        &[
            Field("target", &["describedObject"], false),
            Field("metricName", &["metric", "name"], false),
            Field("currentValue", &["current", "value"], true),
            Field("selector", &["metric", "selector"], false),
            Field("averageValue", &["current", "averageValue"], false),
        ],
    ),
    (
        "pods",
        &[
            Field("metricName", &["metric", "name"], false),
            Field("currentAverageValue", &["current", "averageValue"], true),
            Field("selector", &["metric", "selector"], false),
        ],
    ),
    ("resource", &CURRENT_RESOURCE),
    ("containerResource", &CURRENT_RESOURCE),
    (
        "external",
        &[
            Field("metricName", &["metric", "name"], false),
            Field("metricSelector", &["metric", "selector"], false),
            Field("currentValue", &["current", "value"], true),
            Field("currentAverageValue", &["current", "averageValue"], false),
        ],
    ),
];

const CURRENT_RESOURCE: [Field; 4] = [
    Field("name", &["name"], false),
    Field("container", &["container"], false),
    Field("currentAverageUtilization", &["current", "averageUtilization"], false),
    Field("currentAverageValue", &["current", "averageValue"], true),
];

/// The fields of a behaviour, of its rules and of their policies.
const BEHAVIOR_FIELDS: [&str; 2] = ["scaleUp", "scaleDown"];
const RULE_FIELDS: [&str; 4] = ["stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance"];
const POLICY_FIELDS: [&str; 3] = ["type", "value", "periodSeconds"];

/// To autoscaling/v2. What an annotation says is taken over if it is a part of an autoscaler, and forgotten if not.
pub(super) fn to_v2(object: &mut Value) {
    let noted = take_notes(object);
    let mut metrics = Vec::new();
    if let Some(Value::Array(others)) = &noted.metrics {
        let others = others.iter().map(|metric| to_metric(metric, &WANTED)).collect();
        if let Some(Value::Array(others)) = checked(&["spec", "metrics"], others) {
            metrics = others;
        }
    }
    if let Some(target) = object.remove_at(&["spec", "targetCPUUtilizationPercentage"])
        && !target.is_null()
    {
        metrics.push(json!({
            "type": "Resource",
            "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": target } },
        }));
    }
    if !metrics.is_empty() {
        object.set_at(&["spec", "metrics"], metrics.into());
    }
    if let Some(behavior) = &noted.behavior {
        let behavior = to_behavior(behavior);
        if let Some(behavior) = checked(&["spec", "behavior"], behavior)
            && behavior.as_object().is_some_and(|rules| !rules.is_empty())
        {
            object.set_at(&["spec", "behavior"], behavior);
        }
    }
    if let Some(used) = object.remove_at(&["status", "currentCPUUtilizationPercentage"])
        && !used.is_null()
    {
        let current = json!({
            "type": "Resource", "resource": { "name": "cpu", "current": { "averageUtilization": used } },
        });
        object.set_at(&["status", "currentMetrics"], json!([current]));
    }
    // The annotation knows more than the one number.
    if let Some(Value::Array(current)) = &noted.current {
        let current = current.iter().map(|metric| to_metric(metric, &CURRENT)).collect();
        if let Some(current) = checked(&["status", "currentMetrics"], current) {
            object.set_at(&["status", "currentMetrics"], current);
        }
    }
    if let Some(conditions) = noted.conditions.and_then(|list| checked(&["status", "conditions"], list)) {
        object.set_at(&["status", "conditions"], conditions);
    }
}

/// From autoscaling/v2.
pub(super) fn to_v1(object: &mut Value) {
    take_notes(object);
    let metrics = take_list(object, &["spec", "metrics"]);
    let target = metrics.iter().find(|metric| is_cpu(metric)).and_then(wanted_use).cloned();
    if let Some(target) = target {
        object.set_at(&["spec", "targetCPUUtilizationPercentage"], target);
    }
    let others = metrics.iter().filter(|metric| !is_cpu(metric) || wanted_use(metric).is_none());
    note(object, METRICS, others.map(|metric| from_metric(metric, &WANTED)).collect());
    if let Some(behavior) = object.remove_at(&["spec", "behavior"])
        && behavior.is_object()
    {
        object.set_at(&["metadata", "annotations", BEHAVIOR], from_behavior(&behavior).to_string().into());
    }
    let current = take_list(object, &["status", "currentMetrics"]);
    let used = |metric: &Value| metric.at(&["resource", "current", "averageUtilization"]).cloned();
    if let Some(used) = current.iter().filter(|metric| is_cpu(metric)).filter_map(used).next_back() {
        object.set_at(&["status", "currentCPUUtilizationPercentage"], used);
    }
    note(object, CURRENT_METRICS, current.iter().map(|metric| from_metric(metric, &CURRENT)).collect());
    let conditions = take_list(object, &["status", "conditions"]);
    note(object, CONDITIONS, conditions);
}

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

/// How much of what was asked for is to be used.
fn wanted_use(metric: &Value) -> Option<&Value> {
    metric.at(&["resource", "target", "averageUtilization"])
}

/// What the annotations said.
struct Notes {
    metrics: Option<Value>,
    current: Option<Value>,
    conditions: Option<Value>,
    behavior: Option<Value>,
}

/// Takes the annotations out of the object; they are written anew, or not at all.
fn take_notes(object: &mut Value) -> Notes {
    let mut take = |key: &str| {
        let text = object.remove_at(&["metadata", "annotations", key])?;
        serde_json::from_str(text.as_str()?).ok()
    };
    let notes = Notes {
        metrics: take(METRICS),
        current: take(CURRENT_METRICS),
        conditions: take(CONDITIONS),
        behavior: take(BEHAVIOR),
    };
    if object.at(&["metadata", "annotations"]).and_then(Value::as_object).is_some_and(Map::is_empty) {
        object.remove_at(&["metadata", "annotations"]);
    }
    notes
}

/// Writes a list into an annotation, if there is anything in it.
fn note(object: &mut Value, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        object.set_at(&["metadata", "annotations", key], Value::Array(list).to_string().into());
    }
}

fn take_list(object: &mut Value, path: &[&str]) -> Vec<Value> {
    match object.remove_at(path) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

/// A part of an autoscaler, if it is one.
fn checked(path: &[&str], part: Value) -> Option<Value> {
    let row = schema::catalogue().by_kind("autoscaling", "v2", "HorizontalPodAutoscaler")?;
    let mut object = json!({});
    object.set_at(path, part);
    schema::decode(row.ty(), &mut object, FieldValidation::Ignore).ok()?;
    object.remove_at(path)
}

/// A metric as the annotations have it.
fn from_metric(metric: &Value, sources: &[(&str, &[Field])]) -> Value {
    let mut out = json!({ "type": metric["type"] });
    for (source, fields) in sources {
        let Some(own) = metric.get(*source).filter(|own| own.is_object()) else { continue };
        out[*source] = json!({});
        for Field(name, path, always) in *fields {
            match own.at(path) {
                Some(value) => out[*source][*name] = value.clone(),
                None if *always => out[*source][*name] = json!("0"),
                None => {}
            }
        }
    }
    out
}

/// A metric of v2 from what an annotation has.
fn to_metric(metric: &Value, sources: &[(&str, &[Field])]) -> Value {
    if !metric.is_object() {
        return metric.clone();
    }
    let mut out = json!({ "type": metric["type"] });
    for (source, fields) in sources {
        let Some(own) = metric.get(*source).filter(|own| !own.is_null()) else { continue };
        if !own.is_object() {
            out[*source] = own.clone();
            continue;
        }
        out[*source] = json!({});
        for Field(name, path, always) in *fields {
            let value = match own.get(*name).filter(|value| !value.is_null()) {
                Some(value) => value.clone(),
                None if *always => json!("0"),
                None => continue,
            };
            // Nothing as the whole stands for none where there is an average.
            if *name == "targetValue" && value == "0" && !own["averageValue"].is_null() {
                continue;
            }
            out[*source].set_at(path, value);
        }
        if fields.iter().any(|Field(_, path, _)| path.first() == Some(&"target")) {
            let kind = kind_of_target(source, &out[*source]["target"]);
            out[*source].set_at(&["target", "type"], kind.into());
        }
    }
    out
}

/// What a target is measured by, which v1 does not say.
fn kind_of_target(source: &str, target: &Value) -> &'static str {
    match source {
        "object" if target["averageValue"].is_null() => "Value",
        "external" if !target["value"].is_null() => "Value",
        "resource" | "containerResource" if !target["averageUtilization"].is_null() => "Utilization",
        _ => "AverageValue",
    }
}

/// A behaviour by the names of its fields in Go, where all of them are written.
fn from_behavior(behavior: &Value) -> Value {
    let policy = |policy: &Value| written(policy, &POLICY_FIELDS, |_, value| value.clone());
    let rules = |rules: &Value| {
        written(rules, &RULE_FIELDS, |name, value| match value {
            Value::Array(list) if name == "policies" => list.iter().map(policy).collect(),
            value => value.clone(),
        })
    };
    written(behavior, &BEHAVIOR_FIELDS, |_, value| if value.is_object() { rules(value) } else { Value::Null })
}

fn written(object: &Value, names: &[&str], each: impl Fn(&str, &Value) -> Value) -> Value {
    let field = |name: &&str| {
        let (first, rest) = name.split_at(1);
        (format!("{}{rest}", first.to_uppercase()), each(name, &object[*name]))
    };
    Value::Object(names.iter().map(field).collect())
}

/// A behaviour from its fields by any spelling of their names, as Go reads them.
fn to_behavior(behavior: &Value) -> Value {
    let policy = |policy: &Value| read(policy, &POLICY_FIELDS, |_, value| value.clone());
    let rules = |rules: &Value| {
        read(rules, &RULE_FIELDS, |name, value| match value {
            Value::Array(list) if name == "policies" => list.iter().map(policy).collect(),
            value => value.clone(),
        })
    };
    read(behavior, &BEHAVIOR_FIELDS, |_, value| rules(value))
}

fn read(object: &Value, names: &[&str], each: impl Fn(&str, &Value) -> Value) -> Value {
    let Some(fields) = object.as_object() else { return object.clone() };
    let field = |(key, value): (&String, &Value)| {
        let name = names.iter().find(|name| name.eq_ignore_ascii_case(key))?;
        (!value.is_null()).then(|| ((*name).to_owned(), each(name, value)))
    };
    Value::Object(fields.iter().filter_map(field).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(share: i64) -> Value {
        json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": share}}})
    }

    fn annotation(object: &Value, key: &str) -> Value {
        let text = object["metadata"]["annotations"][key].as_str();
        text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    #[test]
    fn each_metric_has_a_form_in_the_first_version() {
        let named = |target: Value| json!({"metric": {"name": "hits", "selector": {"matchLabels": {"a": "b"}}}, "target": target});
        let resource = |target: Value| json!({"name": "memory", "target": target});
        let mut object = named(json!({"type": "AverageValue", "averageValue": "3"}));
        object["describedObject"] = json!({"kind": "Service", "name": "web", "apiVersion": "v1"});
        let mut whole = object.clone();
        whole["target"] = json!({"type": "Value", "value": "3"});
        let mut container = resource(json!({"type": "Utilization", "averageUtilization": 5}));
        container["container"] = json!("c");
        let service = json!({"kind": "Service", "name": "web", "apiVersion": "v1"});
        let labels = json!({"matchLabels": {"a": "b"}});
        for (source, own, told) in [
            (
                "resource",
                resource(json!({"type": "Utilization", "averageUtilization": 70})),
                json!({"name": "memory", "targetAverageUtilization": 70}),
            ),
            (
                "resource",
                resource(json!({"type": "AverageValue", "averageValue": "1Gi"})),
                json!({"name": "memory", "targetAverageValue": "1Gi"}),
            ),
            (
                "containerResource",
                container,
                json!({"name": "memory", "container": "c", "targetAverageUtilization": 5}),
            ),
            (
                "pods",
                named(json!({"type": "AverageValue", "averageValue": "3"})),
                json!({"metricName": "hits", "targetAverageValue": "3", "selector": labels}),
            ),
            (
                "external",
                named(json!({"type": "Value", "value": "3"})),
                json!({"metricName": "hits", "targetValue": "3", "metricSelector": labels}),
            ),
            (
                "external",
                named(json!({"type": "AverageValue", "averageValue": "3"})),
                json!({"metricName": "hits", "targetAverageValue": "3", "metricSelector": labels}),
            ),
            (
                "object",
                whole,
                json!({"target": service, "metricName": "hits", "targetValue": "3", "selector": labels}),
            ),
            (
                "object",
                object,
                json!({"target": service, "metricName": "hits", "targetValue": "0", "averageValue": "3", "selector": labels}),
            ),
        ] {
            let kind = match source {
                "resource" => "Resource",
                "containerResource" => "ContainerResource",
                "pods" => "Pods",
                "external" => "External",
                _ => "Object",
            };
            let v2 = json!({"metadata": {"name": "a"}, "spec": {"metrics": [{"type": kind, source: own}]}});
            let mut object = v2.clone();
            to_v1(&mut object);
            assert_eq!(annotation(&object, METRICS), json!([{"type": kind, source: told}]));
            to_v2(&mut object);
            assert_eq!(object, v2);
        }
    }

    #[test]
    fn the_use_of_the_cpu_has_a_field_and_comes_last() {
        let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 70}}});
        let amount = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1"}}});
        for (metrics, share, others, back) in [
            (vec![cpu(50), memory.clone()], json!(50), 1, vec![memory.clone(), cpu(50)]),
            (vec![cpu(50), cpu(60)], json!(50), 0, vec![cpu(50)]),
            (vec![amount.clone()], Value::Null, 1, vec![amount.clone()]),
            (vec![], Value::Null, 0, vec![]),
        ] {
            let mut object = json!({"spec": {"maxReplicas": 3, "metrics": metrics}});
            to_v1(&mut object);
            assert_eq!(object["spec"]["targetCPUUtilizationPercentage"], share);
            assert_eq!(annotation(&object, METRICS).as_array().map_or(0, Vec::len), others);
            to_v2(&mut object);
            assert_eq!(object["spec"]["metrics"].as_array().cloned().unwrap_or_default(), back);
        }
    }

    #[test]
    fn behaviour_and_status_go_along() {
        let v2 = json!({"spec": {"behavior": {"scaleUp": {"selectPolicy": "Max", "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}}},
            "status": {"currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7, "averageValue": "5m"}}}],
                "conditions": [{"type": "AbleToScale", "status": "True"}]}});
        let mut object = v2.clone();
        to_v1(&mut object);
        assert_eq!(object["status"], json!({"currentCPUUtilizationPercentage": 7}));
        assert_eq!(
            annotation(&object, CURRENT_METRICS),
            json!([{"type": "Resource", "resource": {"name": "cpu", "currentAverageUtilization": 7, "currentAverageValue": "5m"}}])
        );
        assert_eq!(annotation(&object, CONDITIONS), v2["status"]["conditions"]);
        assert_eq!(
            annotation(&object, BEHAVIOR),
            json!({"ScaleDown": null, "ScaleUp": {"Policies": [{"Type": "Pods", "Value": 4, "PeriodSeconds": 15}],
                "SelectPolicy": "Max", "StabilizationWindowSeconds": null, "Tolerance": null}})
        );
        to_v2(&mut object);
        assert_eq!((&object["spec"], &object["status"]), (&v2["spec"], &v2["status"]));
        assert!(object["metadata"]["annotations"].is_null());
    }

    #[test]
    fn annotations_that_say_nothing_are_forgotten() {
        for (key, text) in [
            (METRICS, "x"),
            (METRICS, "{}"),
            (METRICS, r#"[{"type": 5}]"#),
            (
                METRICS,
                r#"[{"type": "Resource", "resource": {"name": "memory", "targetAverageUtilization": "much"}}]"#,
            ),
            (METRICS, r#"[{"type": "Pods", "pods": 5}]"#),
            (CURRENT_METRICS, "[5]"),
            (CONDITIONS, "7"),
            (BEHAVIOR, "{}"),
            (BEHAVIOR, r#"{"ScaleUp": 5}"#),
            (BEHAVIOR, r#"{"scaleup": null}"#),
        ] {
            let mut object = json!({"metadata": {"annotations": {key: text, "a": "b"}}, "spec": {}});
            to_v2(&mut object);
            assert_eq!(object, json!({"metadata": {"annotations": {"a": "b"}}, "spec": {}}), "{key} {text}");
        }
        let mut object = json!({"metadata": {"annotations": {METRICS: "old"}}, "spec": {}});
        to_v1(&mut object);
        assert_eq!(object, json!({"metadata": {}, "spec": {}}));
    }
}
