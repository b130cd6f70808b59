//! What the metrics API and the pods themselves say of the pods of a target.

use std::collections::HashMap;

use apimachinery::{ObjectExt as _, Quantity, time};
use controller_runtime::objects::{self, find};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::usage::{Measured, Pod, Readiness};

/// Reads a list of PodMetrics: what each pod uses of a resource, in all its containers or in one. A pod of which a
/// container lacks the resource is left out.
pub fn read(list: &Value, resource: &str, container: &str) -> HashMap<String, Measured> {
    let mut measured = HashMap::new();
    for item in list.list_at(&["items"]) {
        let at = item.str_at(&["timestamp"]).and_then(time::parse).unwrap_or(Timestamp::UNIX_EPOCH);
        let window = item.str_at(&["window"]).and_then(time::parse_go_duration).unwrap_or(0);
        let containers = item
            .list_at(&["containers"])
            .iter()
            .filter(|entry| container.is_empty() || entry.str_at(&["name"]) == Some(container));
        let uses: Option<Vec<i64>> = containers
            .map(|entry| {
                let used: Quantity = entry.str_at(&["usage", resource])?.parse().ok()?;
                Some(used.milli_value())
            })
            .collect();
        if let Some(uses) = uses.filter(|uses| !uses.is_empty()) {
            let window = SignedDuration::from_nanos(window);
            measured.insert(item.name().to_owned(), Measured { milli: uses.iter().sum(), at, window });
        }
    }
    measured
}

/// A pod as the calculation sees it.
pub fn pod(pod: &objects::Pod, measured: &HashMap<String, Measured>, resource: &str, container: &str) -> Pod {
    let name = &pod.metadata.name;
    let readiness = find(&pod.status.conditions, "Ready").map(|ready| Readiness {
        ready: ready.status == "True",
        since: ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
    });
    Pod {
        gone: pod.metadata.is_deleting() || pod.status.phase == "Failed",
        pending: pod.status.phase == "Pending",
        started: pod.status.start_time.as_ref().map(|time| time.0),
        readiness,
        measured: measured.get(name).copied(),
        requested: requested(pod, resource, container),
    }
}

/// What a pod requests of a resource, sidecars included, in thousandths.
fn requested(pod: &objects::Pod, resource: &str, container: &str) -> Result<i64, String> {
    let sidecars = pod.spec.init_containers.iter().filter(|container| container.restart_policy == "Always");
    let mut sum = 0_i64;
    for found in pod.spec.containers.iter().chain(sidecars) {
        if !container.is_empty() && *found.name != *container {
            continue;
        }
        let request = match resource {
            "cpu" => found.requests.cpu,
            "memory" => found.requests.memory,
            _ => None,
        };
        let Some(request) = request else {
            let (container, pod) = (&found.name, &pod.metadata.name);
            return Err(format!("missing request for {resource} in container {container} of Pod {pod}"));
        };
        sum = sum.saturating_add(request);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn use_is_summed_over_containers() {
        let list = json!({"items": [
            {"metadata": {"name": "a"}, "timestamp": "2026-01-01T00:00:00Z", "window": "15s", "containers": [
                {"name": "x", "usage": {"cpu": "1500000n", "memory": "1Ki"}}, {"name": "y", "usage": {"cpu": "3m"}}]},
            {"metadata": {"name": "b"}, "containers": []},
        ]});
        let cpu = read(&list, "cpu", "");
        assert_eq!(cpu["a"].milli, 5, "1.5m is rounded up");
        assert_eq!(cpu["a"].window, SignedDuration::from_secs(15));
        assert!(!cpu.contains_key("b"));
        assert!(read(&list, "memory", "").is_empty(), "one container lacks it");
        assert_eq!(read(&list, "memory", "x")["a"].milli, 1_024_000);
    }

    #[test]
    fn requests_are_summed_or_missed() {
        let found: objects::Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {
                "containers": [{"name": "app", "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}}],
                "initContainers": [
                    {"name": "once", "resources": {}},
                    {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": 1}}},
                ],
            },
        }))
        .unwrap();
        assert_eq!(requested(&found, "cpu", ""), Ok(1100));
        assert_eq!(requested(&found, "memory", "app"), Ok(1_048_576_000));
        assert_eq!(
            requested(&found, "memory", "").unwrap_err(),
            "missing request for memory in container side of Pod p"
        );
    }
}
