//! VolumeRestrictions: a claim that one pod alone may use (ReadWriteOncePod) is not given to a second.

use crate::framework::{Event, Filter, Plugin, Rejection};
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::snapshot::Snapshot;
use crate::volumes::AccessModes;

/// The plugin.
#[derive(Debug)]
pub struct VolumeRestrictions;

fn uses_any(pod: &Pod, namespace: &str, claims: &[&str]) -> bool {
    *pod.namespace == *namespace && pod.claims.iter().any(|claim| claims.contains(&&*claim.name))
}

fn has_user(info: &NodeInfo, namespace: &str, claims: &[&str]) -> bool {
    info.pods.values().any(|pod| uses_any(pod, namespace, claims))
}

impl Plugin for VolumeRestrictions {
    fn name(&self) -> &'static str {
        "VolumeRestrictions"
    }

    fn filter<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot) -> Filter<'a> {
        let volumes = &snapshot.around.volumes;
        let exclusive: Vec<&str> = pod
            .claims
            .iter()
            .filter(|claim| {
                let found = volumes.claims.get(pod.claim_key(claim).as_str());
                found.is_some_and(|claim| claim.modes.contains(AccessModes::ONE_POD))
            })
            .map(|claim| &*claim.name)
            .collect();
        if exclusive.is_empty() {
            return Filter::Skip;
        }
        let namespace = &*pod.namespace;
        let users: Vec<&str> = snapshot
            .nodes()
            .iter()
            .filter(|info| has_user(info, namespace, &exclusive))
            .map(|info| &*info.node.name)
            .collect();
        Filter::Check(Box::new(move |info| {
            // The node at hand may be one that a user was taken from on trial; the others are as they are.
            let used =
                users.iter().any(|user| *user != &*info.node.name) || has_user(info, namespace, &exclusive);
            if used {
                let reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
                return Err(Rejection::new(self.name(), reason));
            }
            Ok(())
        }))
    }

    fn may_help(&self, event: Event<'_>, pod: &Pod) -> bool {
        match event {
            Event::Claim(key) => pod.claim_keys().any(|own| own == key),
            Event::PodGone(gone) => {
                let claims: Vec<&str> = pod.claims.iter().map(|claim| &*claim.name).collect();
                uses_any(gone, &pod.namespace, &claims)
            }
            Event::NodeAdded(_) => true,
            Event::NodeChanged { .. } | Event::PodPlaced(_) | Event::Namespaces | Event::Volumes(_) => false,
        }
    }
}
