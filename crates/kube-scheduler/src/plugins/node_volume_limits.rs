//! NodeVolumeLimits: a node takes as many volumes of a driver as the driver says, and no more.

use std::collections::{BTreeMap, BTreeSet};

use crate::framework::{Event, Filter, Plugin, Rejection};
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::snapshot::Snapshot;
use crate::volumes::Volumes;

/// The plugin.
#[derive(Debug)]
pub struct NodeVolumeLimits;

/// A driver's volumes by names that tell them apart.
type ByDriver = BTreeMap<Box<str>, BTreeSet<String>>;

/// Adds the volumes behind a pod's claims. One that is yet to be made counts for the driver that will make it.
fn add(found: &mut ByDriver, pod: &Pod, volumes: &Volumes) {
    for key in pod.claim_keys() {
        let Some(claim) = volumes.claims.get(key.as_str()) else { continue };
        let bound = claim.volume.as_deref().and_then(|name| volumes.volumes.get(name));
        let (driver, name) = match bound {
            Some(volume) => match &volume.csi {
                Some(csi) => (&csi.driver, format!("handle {}", csi.handle)),
                None => continue,
            },
            None => match volumes.classes.get(&claim.kind.class) {
                Some(class) => (&class.provisioner, format!("claim {key}")),
                None => continue,
            },
        };
        found.entry(driver.clone()).or_default().insert(name);
    }
}

fn fits(info: &NodeInfo, wanted: &ByDriver, volumes: &Volumes) -> bool {
    let Some(limits) = volumes.limits.get(&info.node.name) else { return true };
    let limited: Vec<_> =
        wanted.iter().filter_map(|(driver, names)| Some((driver, names, *limits.get(driver)?))).collect();
    if limited.is_empty() {
        return true;
    }
    let mut used = ByDriver::new();
    info.pods.values().for_each(|pod| add(&mut used, pod, volumes));
    limited.into_iter().all(|(driver, names, limit)| {
        let used = used.get(driver);
        let new = names.iter().filter(|name| used.is_none_or(|used| !used.contains(*name))).count();
        new == 0 || used.map_or(0, BTreeSet::len) + new <= limit
    })
}

impl Plugin for NodeVolumeLimits {
    fn name(&self) -> &'static str {
        "NodeVolumeLimits"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot) -> Filter<'a> {
        let volumes = &snapshot.around.volumes;
        let mut wanted = ByDriver::new();
        add(&mut wanted, pod, volumes);
        if wanted.is_empty() || volumes.limits.is_empty() {
            return Filter::Skip;
        }
        Filter::Check(Box::new(move |info| match fits(info, &wanted, volumes) {
            true => Ok(()),
            false => Err(Rejection::new(self.name(), "node(s) exceed max volume count")),
        }))
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::PodGone(gone) => !gone.claims.is_empty(),
            Event::Claim(key) => pod.claim_keys().any(|own| own == key),
            Event::Volumes(_) | Event::NodeAdded(_) => true,
            Event::NodeChanged { .. } | Event::PodPlaced(_) | Event::Namespaces => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::volumes::{Claim, Class, CsiVolume, Kind, Volume};

    fn pod(name: &str, claims: &[&str]) -> Pod {
        let volumes: Vec<_> = claims
            .iter()
            .map(|claim| json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}}))
            .collect();
        serde_json::from_value(json!({"metadata": {"namespace": "d", "name": name, "uid": name},
            "spec": {"nodeName": "n", "containers": [], "volumes": volumes}}))
        .unwrap()
    }

    #[test]
    fn a_node_takes_as_many_volumes_of_a_driver_as_it_says() {
        let mut snapshot = Snapshot::default();
        snapshot.set_node(Arc::new(serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap()));
        let around = &mut Arc::make_mut(&mut snapshot.around).volumes;
        let csi = |driver: &str, handle: &str| {
            Some(Box::new(CsiVolume { driver: driver.into(), handle: handle.into() }))
        };
        for (claim, driver) in [("a", "d.io"), ("b", "d.io"), ("c", "d.io"), ("free", "other.io")] {
            let volume = Volume { csi: csi(driver, claim), ..Volume::default() };
            around.volumes.insert(format!("pv-{claim}").into(), volume);
            let claim_of =
                Claim { volume: Some(format!("pv-{claim}").into()), bound: true, ..Claim::default() };
            around.claims.insert(format!("d/{claim}").into(), claim_of);
        }
        let kind = Kind { class: "fast".into(), ..Kind::default() };
        around.claims.insert("d/new".into(), Claim { kind, ..Claim::default() });
        around.classes.insert("fast".into(), Class { provisioner: "d.io".into(), ..Class::default() });
        around.limits.insert("n".into(), [("d.io".into(), 2)].into());

        let check = |placed: &[&[&str]], wanted: &[&str], expected: bool| {
            let mut snapshot = snapshot.clone();
            snapshot.change("n", |info| {
                for (index, claims) in placed.iter().enumerate() {
                    info.add(Arc::new(pod(&format!("p{index}"), claims)));
                }
            });
            let pod = pod("wanted", wanted);
            let fits = match NodeVolumeLimits.filter(&pod, &snapshot) {
                Filter::Skip => true,
                Filter::Reject(_) => false,
                Filter::Check(check) | Filter::Among(_, check) => check(&snapshot.nodes()[0]).is_ok(),
            };
            assert_eq!(fits, expected, "{placed:?} {wanted:?}");
        };
        check(&[], &["a", "b"], true);
        check(&[], &["a", "b", "c"], false);
        check(&[&["a"], &["b"]], &["c"], false);
        // A volume that is on the node already takes no more room, and two pods share one.
        check(&[&["a"], &["b"]], &["a"], true);
        check(&[&["a"], &["a"]], &["c"], true);
        check(&[&["a"]], &["new"], true);
        check(&[&["a"], &["b"]], &["new"], false);
        check(&[&["a"], &["b"]], &["free"], true);
        check(&[&["free"]], &["a", "b"], true);
    }
}
