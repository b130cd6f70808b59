//! HorizontalPodAutoscalers (autoscaling/v2), cut down to what is read.

use apimachinery::Quantity;
use controller_runtime::objects::{Condition, resource};
use informer::{Metadata, null_is_default};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;

use super::rules::{Amount, Behavior, Direction, Policy, Select};
use super::usage::{Target, Tolerance};

/// An autoscaler.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HorizontalPodAutoscaler {
    /// The metadata.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: Spec,
    /// What is.
    pub status: Status,
}

resource!(
    HorizontalPodAutoscaler,
    "autoscaling",
    "v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers"
);

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// What is scaled.
    pub scale_target_ref: TargetRef,
    /// The least number of pods; one if nothing is said.
    pub min_replicas: Option<i32>,
    /// The greatest number of pods.
    pub max_replicas: i32,
    /// What is looked at.
    #[serde(deserialize_with = "null_is_default")]
    pub metrics: Vec<Metric>,
    behavior: Option<WireBehavior>,
}

/// What is scaled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetRef {
    /// Group and version.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// One thing that is looked at.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    /// `Resource`, `ContainerResource` or another.
    #[serde(rename = "type")]
    pub kind: String,
    resource: Option<Source>,
    container_resource: Option<Source>,
}

/// A resource, of all containers or of one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Source {
    /// `cpu` or `memory`.
    pub name: String,
    /// The one container, or empty.
    pub container: String,
    target: WireTarget,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireTarget {
    average_utilization: Option<i64>,
    average_value: Option<Value>,
}

impl Metric {
    /// The resource that is looked at, if it is one.
    pub fn source(&self) -> Option<&Source> {
        match self.kind.as_str() {
            "Resource" => self.resource.as_ref(),
            "ContainerResource" => self.container_resource.as_ref(),
            _ => None,
        }
    }
}

impl Source {
    /// What it should be.
    pub fn target(&self) -> Option<Target> {
        match (&self.target.average_value, self.target.average_utilization) {
            (Some(value), _) => quantity(value).map(|value| Target::AverageValue(value.milli_value())),
            (None, Some(percent)) => Some(Target::Utilization(percent)),
            (None, None) => None,
        }
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireBehavior {
    scale_up: Option<WireDirection>,
    scale_down: Option<WireDirection>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireDirection {
    stabilization_window_seconds: Option<i64>,
    select_policy: Option<String>,
    #[serde(deserialize_with = "null_is_default")]
    policies: Vec<WirePolicy>,
    tolerance: Option<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WirePolicy {
    #[serde(rename = "type")]
    kind: String,
    value: i32,
    period_seconds: i64,
}

impl WireDirection {
    /// The direction, where nothing is said as it is by default.
    fn over(&self, mut default: Direction) -> Direction {
        if let Some(seconds) = self.stabilization_window_seconds {
            default.window = Some(SignedDuration::from_secs(seconds));
        }
        match self.select_policy.as_deref() {
            Some("Min") => default.select = Select::Min,
            Some("Disabled") => default.select = Select::Disabled,
            Some("Max") => default.select = Select::Max,
            _ => {}
        }
        if !self.policies.is_empty() {
            let policy = |policy: &WirePolicy| Policy {
                amount: match policy.kind.as_str() {
                    "Percent" => Amount::Percent(policy.value),
                    _ => Amount::Pods(policy.value),
                },
                period: SignedDuration::from_secs(policy.period_seconds),
            };
            default.policies = self.policies.iter().map(policy).collect();
        }
        default
    }
}

impl Spec {
    /// The rules of change, if any are given.
    pub fn behavior(&self) -> Option<Behavior> {
        let behavior = self.behavior.as_ref()?;
        let over = |given: &Option<WireDirection>, default: Direction| match given {
            Some(given) => given.over(default),
            None => default,
        };
        Some(Behavior {
            up: over(&behavior.scale_up, Direction::up()),
            down: over(&behavior.scale_down, Direction::down()),
        })
    }

    /// By how far use may be off.
    pub fn tolerance(&self, default: f64) -> Tolerance {
        let of = |direction: fn(&WireBehavior) -> &Option<WireDirection>| {
            let value = direction(self.behavior.as_ref()?).as_ref()?.tolerance.as_ref()?;
            #[expect(clippy::cast_precision_loss, reason = "a small fraction")]
            quantity(value).map(|value| value.milli_value() as f64 / 1000.0)
        };
        Tolerance {
            up: of(|behavior| &behavior.scale_up).unwrap_or(default),
            down: of(|behavior| &behavior.scale_down).unwrap_or(default),
        }
    }
}

/// What is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// The conditions.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_as_by_default() {
        let spec =
            |behavior: Value| -> Spec { serde_json::from_value(json!({"behavior": behavior})).unwrap() };
        assert_eq!(spec(Value::Null).behavior(), None);
        let given = spec(json!({
            "scaleUp": {"selectPolicy": "Min", "tolerance": "50m"},
            "scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}]},
        }));
        let behavior = given.behavior().unwrap();
        assert_eq!(behavior.up, Direction { select: Select::Min, ..Direction::up() });
        assert_eq!(behavior.down.window, Some(SignedDuration::from_secs(60)));
        assert_eq!(behavior.down.policies.len(), 1);
        assert_eq!(given.tolerance(0.1), Tolerance { up: 0.05, down: 0.1 });
    }

    #[test]
    fn targets_are_percent_or_quantities() {
        let metric = |value: Value| -> Metric { serde_json::from_value(value).unwrap() };
        let cpu = metric(
            json!({"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}),
        );
        assert_eq!(cpu.source().unwrap().target(), Some(Target::Utilization(50)));
        let memory = metric(json!({"type": "ContainerResource", "containerResource": {
            "name": "memory", "container": "app", "target": {"averageValue": "1Ki"}}}));
        assert_eq!(memory.source().unwrap().container, "app");
        assert_eq!(memory.source().unwrap().target(), Some(Target::AverageValue(1_024_000)));
        assert!(metric(json!({"type": "External"})).source().is_none());
    }
}
