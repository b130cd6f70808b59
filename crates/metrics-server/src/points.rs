//! The last two measurements of every node and container: processor use is the difference between them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::exposition::{Measured, Sample};

/// A container that has run at least this long has a rate since its start (upstream's constant).
const FRESH: i64 = 10_000;

/// What something uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// When it was measured last, in milliseconds since the epoch.
    pub at: i64,
    /// Between what the rate is taken, in milliseconds.
    pub window: i64,
    /// Processor use in billionths of one processor.
    pub nano_cores: u64,
    /// Working set in bytes.
    pub memory: u64,
}

/// The measurements of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Series {
    last: Measured,
    before: Option<Measured>,
}

impl Series {
    /// Takes a new measurement. A counter that starts again has no rate across its start.
    fn push(known: Option<&Series>, measured: Measured, started: i64) -> Series {
        let same_life = |series: &&Series| {
            (started == 0 || started <= series.last.at) && measured.cpu_nanos >= series.last.cpu_nanos
        };
        let before = match known.filter(same_life) {
            // The kubelet has nothing newer.
            Some(series) if measured.at <= series.last.at => return *series,
            Some(series) => Some(series.last),
            None if started > 0 && measured.at - started >= FRESH => {
                Some(Measured { at: started, cpu_nanos: 0, memory: 0 })
            }
            None => None,
        };
        Series { last: measured, before }
    }

    fn used(&self) -> Option<Use> {
        let before = self.before?;
        let window = self.last.at - before.at;
        if window <= 0 {
            return None;
        }
        let nanos = u128::from(self.last.cpu_nanos.saturating_sub(before.cpu_nanos));
        let nano_cores = u64::try_from(nanos * 1000 / window.unsigned_abs() as u128).unwrap_or(u64::MAX);
        Some(Use { at: self.last.at, window, nano_cores, memory: self.last.memory })
    }
}

/// Namespace and name of a pod.
type Key = (Arc<str>, Arc<str>);
type Containers = Vec<(Box<str>, Series)>;

#[derive(Debug)]
struct Pod {
    node: Arc<str>,
    containers: Containers,
}

#[derive(Debug, Default)]
struct Node {
    series: Option<Series>,
    /// Namespaces and names of the pods that its kubelet told of last.
    pods: Vec<Key>,
}

/// What was measured of nodes and pods.
#[derive(Debug, Default)]
pub struct Points {
    nodes: HashMap<Arc<str>, Node>,
    pods: HashMap<Arc<str>, HashMap<Arc<str>, Pod>>,
}

impl Points {
    /// Takes what a node's kubelet told; pods of the node that it did not speak of are gone.
    pub fn apply(&mut self, name: &str, sample: &Sample<'_>) {
        let (name, mut node) =
            self.nodes.remove_entry(name).unwrap_or_else(|| (name.into(), Node::default()));
        if let Some(measured) = sample.node {
            node.series = Some(Series::push(node.series.as_ref(), measured, 0));
        }
        let mut before: HashMap<Key, Pod> = HashMap::new();
        for (namespace, pod) in node.pods.drain(..) {
            if let Some(known) = self.take(&namespace, &pod, &name) {
                before.insert((namespace, pod), known);
            }
        }
        let known: HashMap<(&str, &str), (&Key, &Pod)> =
            before.iter().map(|(key, pod)| ((&*key.0, &*key.1), (key, pod))).collect();
        let mut now: HashMap<(&str, &str), Containers> = HashMap::new();
        for container in &sample.containers {
            let key = (container.namespace, container.pod);
            let series = known
                .get(&key)
                .and_then(|(_, pod)| pod.containers.iter().find(|(name, _)| **name == *container.name))
                .map(|(_, series)| series);
            let series = Series::push(series, container.measured, container.started);
            now.entry(key).or_default().push((container.name.into(), series));
        }
        for (key, containers) in now {
            let (namespace, pod) = match known.get(&key) {
                Some((key, _)) => (*key).clone(),
                None => (key.0.into(), key.1.into()),
            };
            let of_namespace = self.pods.entry(namespace.clone()).or_default();
            of_namespace.insert(pod.clone(), Pod { node: name.clone(), containers });
            node.pods.push((namespace, pod));
        }
        self.nodes.insert(name, node);
    }

    /// Takes a pod out, if it is this node's.
    fn take(&mut self, namespace: &str, pod: &str, node: &str) -> Option<Pod> {
        let pods = self.pods.get_mut(namespace)?;
        if *pods.get(pod)?.node != *node {
            return None;
        }
        let taken = pods.remove(pod);
        if pods.is_empty() {
            self.pods.remove(namespace);
        }
        taken
    }

    /// Forgets nodes that were not heard of since a time, and those that are not among these, with their pods.
    pub fn retain(&mut self, since: i64, is_node: impl Fn(&str) -> bool) {
        let heard = |node: &Node| node.series.is_some_and(|series| series.last.at >= since);
        let gone: Vec<Arc<str>> = self
            .nodes
            .iter()
            .filter(|(name, node)| !heard(node) || !is_node(name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            for (namespace, pod) in self.nodes.remove(&name).unwrap_or_default().pods {
                self.take(&namespace, &pod, &name);
            }
        }
    }

    /// What a node uses, once it was measured twice.
    pub fn node(&self, name: &str) -> Option<Use> {
        self.nodes.get(name)?.series?.used()
    }

    /// What a pod's containers use; `None` until it is known of all of them.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Vec<(&str, Use)>> {
        let pod = self.pods.get(namespace)?.get(name)?;
        pod.containers.iter().map(|(name, series)| Some((&**name, series.used()?))).collect()
    }

    /// Nodes and containers that are held.
    pub fn len(&self) -> (usize, usize) {
        let pods = self.pods.values().flat_map(|pods| pods.values());
        (self.nodes.len(), pods.map(|pod| pod.containers.len()).sum())
    }

    /// Whether nothing was measured yet.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.pods.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Container;

    fn measured(at: i64, cpu_nanos: u64) -> Measured {
        Measured { at, cpu_nanos, memory: 7 }
    }

    fn sample(at: i64, containers: &[(&'static str, &'static str, u64, i64)]) -> Sample<'static> {
        let containers = containers.iter().map(|(pod, name, cpu_nanos, started)| Container {
            namespace: "n",
            pod,
            name,
            measured: measured(at, *cpu_nanos),
            started: *started,
        });
        Sample {
            node: Some(measured(at, u64::try_from(at).unwrap() * 500_000)),
            containers: containers.collect(),
        }
    }

    #[test]
    fn use_is_the_difference_of_two_measurements() {
        let mut points = Points::default();
        points.apply("w1", &sample(100_000, &[("p", "a", 1_000_000_000, 0)]));
        assert_eq!((points.node("w1"), points.pod("n", "p")), (None, None));
        points.apply("w1", &sample(110_000, &[("p", "a", 3_000_000_000, 0)]));
        let used = Use { at: 110_000, window: 10_000, nano_cores: 200_000_000, memory: 7 };
        assert_eq!(points.pod("n", "p"), Some(vec![("a", used)]));
        assert_eq!(points.node("w1").unwrap().nano_cores, 500_000_000);
        // Nothing newer: as before.
        points.apply("w1", &sample(110_000, &[("p", "a", 3_000_000_000, 0)]));
        assert_eq!(points.pod("n", "p"), Some(vec![("a", used)]));
    }

    #[test]
    fn a_container_of_ten_seconds_has_a_rate_since_its_start() {
        let mut points = Points::default();
        points.apply("w1", &sample(100_000, &[("old", "a", 1_000_000_000, 80_000), ("new", "a", 5, 95_000)]));
        assert_eq!(points.pod("n", "old").unwrap()[0].1.nano_cores, 50_000_000);
        assert_eq!(points.pod("n", "new"), None);
    }

    #[test]
    fn a_restart_begins_a_new_count() {
        let mut points = Points::default();
        points.apply("w1", &sample(100_000, &[("p", "a", 9_000_000_000, 10_000)]));
        points.apply("w1", &sample(110_000, &[("p", "a", 9_500_000_000, 105_000)]));
        assert_eq!(points.pod("n", "p"), None, "started anew, though the count is higher");
        points.apply("w1", &sample(120_000, &[("p", "a", 1_000_000_000, 0)]));
        assert_eq!(points.pod("n", "p"), None, "the count went back");
    }

    #[test]
    fn a_pod_is_known_when_all_its_containers_are() {
        let mut points = Points::default();
        points.apply("w1", &sample(100_000, &[("p", "a", 1, 0)]));
        points.apply("w1", &sample(110_000, &[("p", "a", 2, 0), ("p", "b", 1, 0)]));
        assert_eq!(points.pod("n", "p"), None);
        points.apply("w1", &sample(120_000, &[("p", "a", 3, 0), ("p", "b", 2, 0)]));
        assert_eq!(points.pod("n", "p").unwrap().len(), 2);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut points = Points::default();
        points.apply("w1", &sample(100_000, &[("p", "a", 1, 0), ("q", "a", 1, 0)]));
        points.apply("w2", &sample(150_000, &[("r", "a", 1, 0)]));
        points.apply("w1", &sample(110_000, &[("p", "a", 2, 0)]));
        assert_eq!(points.len(), (2, 2), "the kubelet no longer speaks of q");
        points.retain(120_000, |_| true);
        assert_eq!(points.len(), (1, 1), "w1 was not heard of since");
        points.retain(0, |name| name != "w2");
        assert!(points.is_empty());
    }
}
