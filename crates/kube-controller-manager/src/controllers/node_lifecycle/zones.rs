//! How fast nodes may be emptied, zone by zone: when many fail at once, it is rarely the nodes.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use controller_runtime::Options;
use controller_runtime::objects::{Node, is_true};
use tokio::time::Instant;

/// How a zone fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Most nodes are ready.
    Normal,
    /// Many are not.
    Partial,
    /// None is.
    Full,
}

/// Whether the pods of one more node may be evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Now.
    Granted,
    /// Not before this time is over.
    After(Duration),
    /// Not while the zone is as it is.
    Withheld,
}

/// The zones of the cluster.
#[derive(Debug)]
pub struct Zones {
    rate: f64,
    secondary_rate: f64,
    threshold: f32,
    large: usize,
    zones: HashMap<String, Zone>,
}

#[derive(Debug)]
struct Zone {
    state: State,
    size: usize,
    /// When the next node may be emptied.
    next: Option<Instant>,
}

impl Zones {
    /// Starts with no zones.
    pub fn new(options: &Options) -> Zones {
        Zones {
            rate: options.node_eviction_rate,
            secondary_rate: options.secondary_node_eviction_rate,
            threshold: options.unhealthy_zone_threshold,
            large: options.large_cluster_size_threshold,
            zones: HashMap::new(),
        }
    }

    /// Looks at all nodes anew. Gives the size of each zone and how many of its nodes are not ready, also of those that are
    /// gone since the last time.
    pub fn survey<'a>(&mut self, nodes: impl Iterator<Item = &'a Node>) -> Vec<(String, usize, usize)> {
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for node in nodes {
            let (ready, waiting) = counts.entry(node.region_zone()).or_default();
            if is_true(&node.status.conditions, "Ready") {
                *ready += 1;
            } else {
                *waiting += 1;
            }
        }
        let gone = self.zones.extract_if(|name, _| !counts.contains_key(name));
        let mut sizes: Vec<(String, usize, usize)> = gone.map(|(name, _)| (name, 0, 0)).collect();
        for (name, (ready, waiting)) in counts {
            sizes.push((name.clone(), ready + waiting, waiting));
            let state = state(ready, waiting, self.threshold);
            let zone = self.zones.entry(name).or_insert(Zone { state, size: 0, next: None });
            (zone.state, zone.size) = (state, ready + waiting);
        }
        sizes
    }

    /// Tells whether no node anywhere is ready.
    pub fn all_disrupted(&self) -> bool {
        !self.zones.is_empty() && self.zones.values().all(|zone| zone.state == State::Full)
    }

    /// Asks to empty one more node of a zone.
    pub fn permit(&mut self, zone: &str, now: Instant) -> Permit {
        let Some(zone) = self.zones.get_mut(zone) else { return Permit::Granted };
        let rate = match zone.state {
            State::Normal | State::Full => self.rate,
            State::Partial if zone.size > self.large => self.secondary_rate,
            State::Partial => 0.0,
        };
        let Ok(pause) = Duration::try_from_secs_f64(1.0 / rate) else { return Permit::Withheld };
        match zone.next {
            Some(next) if next > now => Permit::After(next - now),
            _ => {
                zone.next = now.checked_add(pause);
                Permit::Granted
            }
        }
    }
}

fn state(ready: usize, waiting: usize, threshold: f32) -> State {
    if ready == 0 && waiting > 0 {
        State::Full
    } else if waiting > 2 && waiting as f32 / (ready + waiting) as f32 >= threshold {
        State::Partial
    } else {
        State::Normal
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn zones(large: usize, nodes: &[(&str, bool)]) -> Zones {
        let mut zones =
            Zones { rate: 0.1, secondary_rate: 0.01, threshold: 0.55, large, zones: HashMap::new() };
        let nodes: Vec<Node> = nodes
            .iter()
            .map(|(zone, ready)| {
                let node = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}},
                    "status": {"conditions": [{"type": "Ready", "status": if *ready { "True" } else { "False" }}]}});
                serde_json::from_value(node).unwrap()
            })
            .collect();
        zones.survey(nodes.iter());
        zones
    }

    fn key(zone: &str) -> String {
        format!(":\0:{zone}")
    }

    #[test]
    fn states_of_zones() {
        for (ready, waiting, expected) in [
            (3, 0, State::Normal),
            (1, 2, State::Normal),
            (2, 3, State::Partial),
            (4, 3, State::Normal),
            (0, 1, State::Full),
            (0, 0, State::Normal),
        ] {
            assert_eq!(state(ready, waiting, 0.55), expected, "{ready} ready, {waiting} not");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_node_in_ten_seconds_while_the_zone_is_healthy() {
        let mut zones = zones(50, &[("a", true), ("a", true), ("a", false)]);
        let now = Instant::now();
        assert_eq!(zones.permit(&key("a"), now), Permit::Granted);
        assert_eq!(
            zones.permit(&key("a"), now + Duration::from_secs(4)),
            Permit::After(Duration::from_secs(6))
        );
        assert_eq!(zones.permit(&key("a"), now + Duration::from_secs(10)), Permit::Granted);
    }

    #[tokio::test(start_paused = true)]
    async fn slower_or_not_at_all_when_most_of_a_zone_fails() {
        let failing = [("a", false), ("a", false), ("a", false), ("a", true), ("b", true)];
        let now = Instant::now();
        assert_eq!(zones(50, &failing).permit(&key("a"), now), Permit::Withheld);
        let mut large = zones(3, &failing);
        assert_eq!(large.permit(&key("a"), now), Permit::Granted);
        assert_eq!(large.permit(&key("a"), now), Permit::After(Duration::from_secs(100)));
    }

    #[test]
    fn nobody_is_evicted_when_no_node_is_ready_anywhere() {
        assert!(zones(50, &[("a", false), ("b", false)]).all_disrupted());
        assert!(!zones(50, &[("a", false), ("b", true)]).all_disrupted());
        assert!(!zones(50, &[]).all_disrupted());
    }
}
