//! Which objects a quota's scopes choose.

use pod_strategy::resources::qos_class;
use serde_json::Value;
use strategy::read::Read;

/// Whether every scope of the quota holds for the object.
pub(super) fn matches(quota: &Value, group: &str, resource: &str, object: &Value) -> bool {
    let spec = &quota["spec"];
    let expressions = spec["scopeSelector"].items("matchExpressions");
    let mut scopes = spec.items("scopes").iter().filter_map(Value::as_str);
    if expressions.is_empty() && spec.items("scopes").is_empty() {
        return true;
    }
    let pod = group.is_empty() && resource == "pods";
    let claim = group.is_empty() && resource == "persistentvolumeclaims";
    if !pod && !claim {
        return false;
    }
    scopes.all(|scope| holds(scope, "Exists", &[], pod, object))
        && expressions.iter().all(|term| {
            holds(term.text("scopeName"), term.text("operator"), term.items("values"), pod, object)
        })
}

fn holds(scope: &str, operator: &str, values: &[Value], pod: bool, object: &Value) -> bool {
    let spec = &object["spec"];
    match scope {
        "Terminating" => pod && spec.has("activeDeadlineSeconds"),
        "NotTerminating" => pod && !spec.has("activeDeadlineSeconds"),
        "BestEffort" => pod && qos_class(spec) == "BestEffort",
        "NotBestEffort" => pod && qos_class(spec) != "BestEffort",
        "PriorityClass" => pod && selects(spec.text("priorityClassName"), operator, values),
        "VolumeAttributesClass" => !pod && selects(spec.text("volumeAttributesClassName"), operator, values),
        "CrossNamespacePodAffinity" => pod && crosses_namespaces(spec),
        _ => false,
    }
}

fn selects(name: &str, operator: &str, values: &[Value]) -> bool {
    match operator {
        "Exists" => !name.is_empty(),
        "DoesNotExist" => name.is_empty(),
        "In" => values.iter().any(|value| value == name),
        "NotIn" => !values.iter().any(|value| value == name),
        _ => false,
    }
}

fn crosses_namespaces(spec: &Value) -> bool {
    let crosses =
        |term: &Value| !term.items("namespaces").is_empty() || term["namespaceSelector"].is_object();
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let affinity = &spec["affinity"][*kind];
        affinity.items("requiredDuringSchedulingIgnoredDuringExecution").iter().any(crosses)
            || affinity
                .items("preferredDuringSchedulingIgnoredDuringExecution")
                .iter()
                .any(|term| crosses(&term["podAffinityTerm"]))
    })
}
