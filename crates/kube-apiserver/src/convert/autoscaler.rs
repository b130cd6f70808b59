//! HorizontalPodAutoscalers of autoscaling/v1 and v2: v1 knows one metric, the CPU's use; everything else of v2
//! goes along in annotations, so that a client of v1 that reads and writes loses nothing.

use apimachinery::ObjectExt;
use serde_json::{Value, json};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// To autoscaling/v2.
pub(super) fn to_v2(object: &mut Value) {
    let mut metrics = Vec::new();
    if let Some(target) = take(object, &["spec", "targetCPUUtilizationPercentage"]) {
        metrics.push(json!({
            "type": "Resource",
            "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": target } },
        }));
    }
    if let Some(Value::Array(others)) = annotation(object, METRICS) {
        metrics.extend(others);
    }
    if !metrics.is_empty() {
        object.set_at(&["spec", "metrics"], metrics.into());
    }
    if let Some(behavior) = annotation(object, BEHAVIOR) {
        object.set_at(&["spec", "behavior"], behavior);
    }
    let mut current = Vec::new();
    if let Some(used) = take(object, &["status", "currentCPUUtilizationPercentage"]) {
        current.push(json!({
            "type": "Resource", "resource": { "name": "cpu", "current": { "averageUtilization": used } },
        }));
    }
    if let Some(Value::Array(others)) = annotation(object, CURRENT_METRICS) {
        current.extend(others);
    }
    if !current.is_empty() {
        object.set_at(&["status", "currentMetrics"], current.into());
    }
    if let Some(conditions) = annotation(object, CONDITIONS) {
        object.set_at(&["status", "conditions"], conditions);
    }
    if object
        .at(&["metadata", "annotations"])
        .and_then(Value::as_object)
        .is_some_and(serde_json::Map::is_empty)
    {
        object.remove_at(&["metadata", "annotations"]);
    }
}

/// From autoscaling/v2.
pub(super) fn to_v1(object: &mut Value) {
    let (target, others) = split(take(object, &["spec", "metrics"]), |metric| {
        metric.at(&["resource", "target", "averageUtilization"]).cloned()
    });
    if let Some(target) = target {
        object.set_at(&["spec", "targetCPUUtilizationPercentage"], target);
    }
    annotate(object, METRICS, others);
    if let Some(behavior) = take(object, &["spec", "behavior"]) {
        annotate(object, BEHAVIOR, Some(behavior));
    }
    let (used, others) = split(take(object, &["status", "currentMetrics"]), |metric| {
        metric.at(&["resource", "current", "averageUtilization"]).cloned()
    });
    if let Some(used) = used {
        object.set_at(&["status", "currentCPUUtilizationPercentage"], used);
    }
    annotate(object, CURRENT_METRICS, others);
    let conditions = take(object, &["status", "conditions"]);
    annotate(
        object,
        CONDITIONS,
        conditions.filter(|list| list.as_array().is_some_and(|list| !list.is_empty())),
    );
}

/// The CPU's use, and the metrics that v1 has no field for.
fn split(metrics: Option<Value>, value: impl Fn(&Value) -> Option<Value>) -> (Option<Value>, Option<Value>) {
    let (mut own, mut others) = (None, Vec::new());
    let list = match metrics {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    for metric in list {
        let is_cpu = metric["type"] == "Resource"
            && metric.at(&["resource", "name"]).is_some_and(|name| name == "cpu");
        match value(&metric) {
            Some(found) if is_cpu && own.is_none() => own = Some(found),
            _ => others.push(metric),
        }
    }
    (own, (!others.is_empty()).then_some(Value::Array(others)))
}

fn take(object: &mut Value, path: &[&str]) -> Option<Value> {
    object.remove_at(path)
}

fn annotation(object: &mut Value, key: &str) -> Option<Value> {
    let text = object.remove_at(&["metadata", "annotations", key])?;
    serde_json::from_str(text.as_str()?).ok()
}

fn annotate(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.set_at(&["metadata", "annotations", key], value.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_keeps_what_it_does_not_know() {
        let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 70}}});
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}});
        let v2 = json!({"metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "metrics": [cpu, memory], "behavior": {"scaleUp": {}}}});
        let mut object = v2.clone();
        to_v1(&mut object);
        assert_eq!(object["spec"], json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}));
        to_v2(&mut object);
        assert_eq!(object, v2);
    }
}
