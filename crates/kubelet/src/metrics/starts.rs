//! How long a pod took to start, as the API shows it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use crate::pod::{self, Kind};

/// Whether the API shows that all ordinary containers have started.
pub fn has_started(status: &PodStatus) -> bool {
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    !containers.is_empty()
        && containers.iter().all(|container| {
            let running = container.state.as_ref().and_then(|state| state.running.as_ref());
            running.is_some_and(|running| running.started_at.is_some())
        })
}

/// How long a pod took since it was made, and the same without the time that images took and that init containers ran.
pub fn start_times(pod: &Pod, now: Timestamp, pulling: Duration) -> Option<(Duration, Duration)> {
    let made = pod.metadata.creation_timestamp.as_ref()?.0;
    let total = Duration::try_from(now.duration_since(made)).unwrap_or_default();
    let ended = pod::containers(pod).into_iter().filter(|(kind, _)| *kind == Kind::Init);
    let statuses = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    let ran: Duration = ended
        .filter_map(|(_, container)| {
            let status = statuses.clone().find(|status| status.name == container.name)?;
            let end = status.state.as_ref()?.terminated.as_ref()?;
            let (from, to) = (end.started_at.as_ref()?.0, end.finished_at.as_ref()?.0);
            Duration::try_from(to.duration_since(from)).ok()
        })
        .sum();
    Some((total, total.saturating_sub(pulling + ran)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(init: Value, containers: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"initContainers": [{"name": "first"}, {"name": "beside", "restartPolicy": "Always"}],
                "containers": [{"name": "a"}, {"name": "b"}]},
            "status": {"initContainerStatuses": init, "containerStatuses": containers},
        }))
        .unwrap()
    }

    fn status(name: &str, state: Value) -> Value {
        json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state})
    }

    #[test]
    fn a_pod_has_started_when_all_its_containers_run() {
        let running = json!({"running": {"startedAt": "2026-01-01T00:00:05Z"}});
        for (states, expected) in [
            (vec![], false),
            (vec![running.clone(), json!({"waiting": {"reason": "ContainerCreating"}})], false),
            (vec![running.clone(), json!({"running": {}})], false),
            (vec![running.clone(), running], true),
        ] {
            let statuses: Vec<Value> = states.into_iter().map(|state| status("a", state)).collect();
            assert_eq!(
                has_started(&pod(json!([]), json!(statuses)).status.unwrap()),
                expected,
                "{statuses:?}"
            );
        }
    }

    #[test]
    fn images_and_init_containers_are_not_for_the_kubelet_to_be_judged_by() {
        let ended = json!({"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:00:02Z",
            "finishedAt": "2026-01-01T00:00:05Z"}});
        let sidecar = json!({"running": {"startedAt": "2026-01-01T00:00:05Z"}});
        let pod = pod(json!([status("first", ended), status("beside", sidecar)]), json!([]));
        let now: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let seconds = Duration::from_secs;
        for (pulling, expected) in [(0, 7), (4, 3), (20, 0)] {
            assert_eq!(start_times(&pod, now, seconds(pulling)), Some((seconds(10), seconds(expected))));
        }
        assert_eq!(start_times(&Pod::default(), now, seconds(0)), None);
    }
}
