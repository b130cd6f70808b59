//! VolumeZone: a pod goes where its bound volumes' zone and region are, as the volumes' labels say them.

use std::collections::BTreeMap;

use crate::framework::{Event, Filter, Plugin, Rejection};
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The plugin.
#[derive(Debug)]
pub struct VolumeZone;

/// Labels that say where a volume is. The old names mean the same as the new.
const PLACES: [(&str, &str); 4] = [
    ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
];
/// Stands between the zones of a volume that is in several.
const SEPARATOR: &str = "__";

/// Where a volume must be used: a label under either name, with one of these values.
struct Place<'a> {
    names: [&'static str; 2],
    values: Vec<&'a str>,
}

fn places(labels: &BTreeMap<String, String>) -> impl Iterator<Item = Place<'_>> {
    PLACES.iter().filter_map(|(name, other)| {
        let values = labels.get(*name)?.split(SEPARATOR).collect();
        Some(Place { names: [name, other], values })
    })
}

fn is_there(info: &NodeInfo, place: &Place<'_>) -> bool {
    let own = place.names.iter().find_map(|name| info.label(name));
    own.is_some_and(|own| place.values.contains(&own))
}

impl Plugin for VolumeZone {
    fn name(&self) -> &'static str {
        "VolumeZone"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot) -> Filter<'a> {
        let volumes = &snapshot.around.volumes;
        let mut needed = Vec::new();
        // What is missing or unbound is VolumeBinding's matter.
        for key in pod.claim_keys() {
            let name = volumes.claims.get(key.as_str()).and_then(|claim| claim.volume.as_deref());
            if let Some(volume) = name.and_then(|name| volumes.volumes.get(name)) {
                needed.extend(places(&volume.labels));
            }
        }
        if needed.is_empty() {
            return Filter::Skip;
        }
        Filter::Check(Box::new(move |info| {
            // A cluster of one node may not know where it is.
            let knows = PLACES.iter().any(|(name, _)| info.label(name).is_some());
            if !knows || needed.iter().all(|place| is_there(info, place)) {
                return Ok(());
            }
            Err(Rejection::unresolvable(self.name(), "node(s) had no available volume zone"))
        }))
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::Claim(key) => pod.claim_keys().any(|own| own == key),
            Event::Volumes(_) | Event::NodeAdded(_) => true,
            Event::NodeChanged { old, new } => old.labels != new.labels,
            Event::PodPlaced(_) | Event::PodGone(_) | Event::Namespaces => false,
        }
    }
}
