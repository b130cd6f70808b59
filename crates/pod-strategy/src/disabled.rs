//! Fields of pods that a closed gate keeps out, unless the pod that is stored has some.

use serde_json::Value;

use crate::defaults::CONTAINER_LISTS;
use crate::gates::{Gate, Gates};
use strategy::read::Read;
use strategy::write;

/// Removes what is closed to the spec of a pod; `old` is the spec that is stored, null for a new pod.
pub(crate) fn drop(spec: &mut Value, old: &Value, gates: Gates) {
    let is_closed = |gate: Gate| !gates.has(gate);
    if is_closed(Gate::PodLevelResources) {
        let own = &old["resources"];
        let is_used = ["limits", "requests"].iter().any(|list| own.entries(list).next().is_some());
        if !is_used {
            write::remove(spec, "resources");
        }
    }
    if is_closed(Gate::MatchLabelKeysInPodTopologySpread) {
        const LIST: &str = "topologySpreadConstraints";
        let is_used = |constraint: &Value| !constraint.items("matchLabelKeys").is_empty();
        if !old.items(LIST).iter().any(is_used) {
            write::items(spec, LIST).for_each(|constraint| write::remove(constraint, "matchLabelKeys"));
        }
    }
    if is_closed(Gate::ContainerRestartRules) && !any_container(old, has_restart_rules) {
        for list in CONTAINER_LISTS {
            for container in write::items(spec, list) {
                write::remove(container, "restartPolicyRules");
                // A sidecar is one by its policy.
                if list != "initContainers" || container.text("restartPolicy") != "Always" {
                    write::remove(container, "restartPolicy");
                }
            }
        }
    }
    if is_closed(Gate::HostnameOverride) && !old.has("hostnameOverride") {
        write::remove(spec, "hostnameOverride");
    }
    let reads_file = |variable: &Value| variable["valueFrom"].has("fileKeyRef");
    if is_closed(Gate::EnvFiles)
        && !any_container(old, |_, container| container.items("env").iter().any(reads_file))
    {
        for list in CONTAINER_LISTS {
            for container in write::items(spec, list) {
                for variable in write::items(container, "env") {
                    if let Some(source) = write::object(variable, "valueFrom") {
                        write::remove(source, "fileKeyRef");
                    }
                }
            }
        }
    }
}

fn has_restart_rules(list: &str, container: &Value) -> bool {
    let is_own = match list {
        "initContainers" => !matches!(container.text("restartPolicy"), "" | "Always"),
        _ => container.has("restartPolicy"),
    };
    is_own || !container.items("restartPolicyRules").is_empty()
}

fn any_container(spec: &Value, found: impl Fn(&str, &Value) -> bool) -> bool {
    CONTAINER_LISTS.iter().any(|list| spec.items(list).iter().any(|container| found(list, container)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A spec with something behind a gate, and the same without it.
    fn cases() -> Vec<(Gate, Value, Value)> {
        let container = |fields: Value| json!({ "containers": [fields] });
        let init = |fields: Value| json!({ "initContainers": [fields] });
        let rules = json!([{"action": "Restart"}]);
        vec![
            (Gate::PodLevelResources, json!({"resources": {"limits": {"cpu": "1"}}}), json!({})),
            (Gate::HostnameOverride, json!({"hostnameOverride": "h"}), json!({})),
            (
                Gate::MatchLabelKeysInPodTopologySpread,
                json!({"topologySpreadConstraints": [{"matchLabelKeys": ["a"], "maxSkew": 1}]}),
                json!({"topologySpreadConstraints": [{"maxSkew": 1}]}),
            ),
            (
                Gate::ContainerRestartRules,
                container(json!({"restartPolicy": "Never", "restartPolicyRules": rules})),
                container(json!({})),
            ),
            (
                Gate::ContainerRestartRules,
                init(json!({"restartPolicy": "Always", "restartPolicyRules": rules})),
                init(json!({"restartPolicy": "Always"})),
            ),
            (Gate::ContainerRestartRules, init(json!({"restartPolicy": "OnFailure"})), init(json!({}))),
            (
                Gate::EnvFiles,
                container(json!({"env": [{"name": "A", "valueFrom": {"fileKeyRef": {"key": "k"}}}]})),
                container(json!({"env": [{"name": "A", "valueFrom": {}}]})),
            ),
        ]
    }

    #[test]
    fn what_is_behind_a_closed_gate_goes_unless_it_is_stored() {
        for (gate, with, without) in cases() {
            let dropped = |old: &Value, gates: Gates| {
                let mut spec = with.clone();
                drop(&mut spec, old, gates);
                spec
            };
            let closed = Gates::default().with(gate, false);
            assert_eq!(dropped(&Value::Null, Gates::default()), with, "{gate:?}");
            assert_eq!(dropped(&Value::Null, closed), without, "{gate:?}");
            assert_eq!(dropped(&without, closed), without, "{gate:?}");
            assert_eq!(dropped(&with, closed), with, "{gate:?}");
        }
    }
}
