//! When what the endpoints of a service show has changed in the cluster, for whoever measures how long that takes to
//! arrive at the proxies.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use controller_runtime::objects::{Pod, Service, find};
use informer::Key;
use jiff::Timestamp;

/// The annotation of endpoints and their slices.
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What was known of each service when its endpoints were last looked at.
#[derive(Debug, Default)]
pub struct TriggerTimes {
    known: HashMap<Key, Known>,
}

#[derive(Debug, Default)]
struct Known {
    service: Option<Timestamp>,
    /// By name, for those that have ever said whether they are ready.
    pods: HashMap<Box<str>, Timestamp>,
}

impl TriggerTimes {
    /// Returns when the first change since the last look was made: a service's creation when it is new, otherwise the
    /// earliest of what is later than it was known to be. Looking takes note of all of it.
    pub fn look(&mut self, service: &Service, pods: &[Arc<Pod>]) -> Option<Timestamp> {
        let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let key = service.metadata.key();
        let before = self.known.remove(&key);
        let is_new = before.is_none();
        let before = before.unwrap_or_default();
        let mut now = Known { service: created, pods: HashMap::with_capacity(pods.len()) };
        let mut first = created.filter(|created| before.service.is_none_or(|before| *created > before));
        for pod in pods {
            let Some(at) = readiness(pod) else { continue };
            if before.pods.get(&*pod.metadata.name).is_none_or(|before| at > *before) {
                first = Some(first.map_or(at, |first| first.min(at)));
            }
            now.pods.insert(pod.metadata.name.as_str().into(), at);
        }
        self.known.insert(key, now);
        if is_new { created } else { first }
    }

    /// Forgets a service.
    pub fn forget(&mut self, service: &Key) {
        self.known.remove(service);
    }
}

/// When a pod became ready, or ceased to be.
fn readiness(pod: &Pod) -> Option<Timestamp> {
    find(&pod.status.conditions, "Ready")?.last_transition_time.as_ref().map(|time| time.0)
}

/// Says when the change was made in the annotations that go with it; without a time, what stood there is outdated.
pub fn annotate(annotations: &mut BTreeMap<String, String>, at: Option<Timestamp>) {
    match at {
        Some(at) => annotations.insert(TRIGGER_TIME.to_owned(), at.to_string()),
        None => annotations.remove(TRIGGER_TIME),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn service(created: i64) -> Service {
        let metadata = json!({"name": "web", "namespace": "a", "creationTimestamp": at(created)});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn pod(name: &str, ready: Option<i64>) -> Arc<Pod> {
        let conditions =
            ready.map(|ready| json!({"type": "Ready", "status": "True", "lastTransitionTime": at(ready)}));
        let conditions: Vec<_> = conditions.into_iter().collect();
        Arc::new(
            serde_json::from_value(json!({"metadata": {"name": name}, "status": {"conditions": conditions}}))
                .unwrap(),
        )
    }

    #[test]
    fn the_first_change_since_the_last_look_is_told() {
        type Look = (i64, &'static [(&'static str, Option<i64>)], Option<i64>);
        let cases: [(&str, &[Look]); 9] = [
            ("a new service without pods", &[(2, &[], Some(2))]),
            ("pods before a new service", &[(3, &[("a", Some(0)), ("b", Some(5))], Some(3))]),
            ("pods come", &[(0, &[], Some(0)), (0, &[("a", Some(2)), ("b", Some(1))], Some(1))]),
            (
                "pods change",
                &[
                    (0, &[("a", Some(1)), ("b", Some(2))], Some(0)),
                    (0, &[("a", Some(5)), ("b", Some(4))], Some(4)),
                    (0, &[("a", Some(5)), ("b", Some(6))], Some(6)),
                ],
            ),
            ("nothing changes", &[(0, &[("a", Some(1))], Some(0)), (0, &[("a", Some(1))], None)]),
            ("a pod goes", &[(0, &[("a", Some(1)), ("b", Some(2))], Some(0)), (0, &[("a", Some(1))], None)]),
            (
                "a pod goes and comes back",
                &[(0, &[("a", Some(1))], Some(0)), (0, &[], None), (0, &[("a", Some(3))], Some(3))],
            ),
            (
                "a pod has not said whether it is ready",
                &[(0, &[("a", None)], Some(0)), (0, &[("a", None)], None), (0, &[("a", Some(7))], Some(7))],
            ),
            ("the service is made anew", &[(0, &[("a", Some(1))], Some(0)), (4, &[("a", Some(6))], Some(4))]),
        ];
        for (name, looks) in cases {
            let mut times = TriggerTimes::default();
            for (created, pods, expected) in looks {
                let pods: Vec<_> = pods.iter().map(|(name, ready)| pod(name, *ready)).collect();
                assert_eq!(times.look(&service(*created), &pods), expected.map(at), "{name}");
            }
        }
    }

    #[test]
    fn a_forgotten_service_is_new() {
        let mut times = TriggerTimes::default();
        times.look(&service(0), &[]);
        times.forget(&Key::new("a", "web"));
        assert!(times.known.is_empty());
        assert_eq!(times.look(&service(0), &[pod("a", Some(3))]), Some(at(0)));
    }

    #[test]
    fn annotations_say_the_time_or_nothing() {
        let mut annotations = BTreeMap::from([("other".to_owned(), "x".to_owned())]);
        annotate(&mut annotations, Some("2026-01-02T03:04:05Z".parse().unwrap()));
        assert_eq!(annotations[TRIGGER_TIME], "2026-01-02T03:04:05Z");
        annotate(&mut annotations, None);
        assert_eq!(annotations.keys().collect::<Vec<_>>(), ["other"]);
    }
}
