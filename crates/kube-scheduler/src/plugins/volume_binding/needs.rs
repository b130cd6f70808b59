//! What a pod's claims ask of a node.

use std::collections::BTreeSet;

use super::{Action, Step};
use crate::node::Node;
use crate::pod::{Pod, PodClaim};
use crate::volumes::{Choice, Claim, Class, Volume, Volumes};

/// No volume can be bound or made there.
const NOTHING_TO_BIND: &str = "node(s) didn't find available persistent volumes to bind";
/// A bound volume cannot be used there.
const OUT_OF_REACH: &str = "node(s) didn't match PersistentVolume's node affinity";
/// A claim's volume is gone.
const NO_VOLUME: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
/// A claim binds without its pod, and has not yet.
const IMMEDIATE: &str = "pod has unbound immediate PersistentVolumeClaims";

/// A pod's claims, sorted by what they need.
pub struct Needs<'a> {
    /// Volumes that are bound; none where one is gone.
    bound: Vec<Option<&'a Volume>>,
    /// Claims that have to find or get a volume, the smallest first.
    unbound: Vec<Unbound<'a>>,
}

/// A claim without a volume.
struct Unbound<'a> {
    key: String,
    claim: &'a Claim,
    /// What was chosen for it already, by its annotation or for another pod.
    chosen: Option<Choice>,
    /// Volumes that could serve it.
    candidates: Vec<(&'a str, &'a Volume)>,
    class: Option<&'a Class>,
}

impl<'a> Needs<'a> {
    /// Looks at a pod's claims; none if it has none. An error says why no node will do.
    pub fn of(pod: &Pod, volumes: &'a Volumes) -> Result<Option<Self>, String> {
        if pod.claims.is_empty() {
            return Ok(None);
        }
        let mut needs = Needs { bound: Vec::new(), unbound: Vec::new() };
        for named in &pod.claims {
            let key = pod.claim_key(named);
            let claim = find(pod, named, &key, volumes)?;
            match &claim.volume {
                Some(volume) if claim.bound => needs.bound.push(volumes.volumes.get(volume)),
                None if volumes.waits(claim) => needs.unbound.push(Unbound::new(key, claim, volumes)),
                _ => return Err(IMMEDIATE.to_owned()),
            }
        }
        needs.unbound.sort_by_key(|unbound| unbound.claim.size);
        Ok(Some(needs))
    }

    /// Finds what each unbound claim gets on a node. An error says why the node will not do.
    pub fn on(&self, node: &Node) -> Result<Vec<Step>, Vec<&'static str>> {
        let mut reasons = Vec::new();
        if self.bound.iter().any(Option::is_none) {
            return Err(vec![NO_VOLUME]);
        }
        let mut taken = BTreeSet::new();
        let mut steps = Vec::with_capacity(self.unbound.len());
        for unbound in &self.unbound {
            match unbound.on(node, &mut taken) {
                Some(step) => steps.push(step),
                None => {
                    reasons.push(NOTHING_TO_BIND);
                    break;
                }
            }
        }
        if self.bound.iter().flatten().any(|volume| !volume.reaches(node)) {
            reasons.push(OUT_OF_REACH);
        }
        if reasons.is_empty() { Ok(steps) } else { Err(reasons) }
    }
}

fn find<'a>(pod: &Pod, named: &PodClaim, key: &str, volumes: &'a Volumes) -> Result<&'a Claim, String> {
    let name = &named.name;
    let Some(claim) = volumes.claims.get(key) else {
        return Err(if named.ephemeral {
            format!("waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}")
        } else {
            format!("persistentvolumeclaim {name:?} not found")
        });
    };
    if claim.lost {
        let volume = claim.volume.as_deref().unwrap_or_default();
        return Err(format!(
            "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
        ));
    }
    if claim.deleting {
        return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
    }
    if named.ephemeral && claim.controller.as_ref() != Some(&pod.uid) {
        return Err(format!("PVC {key} was not created for pod {} (pod is not owner)", pod.full_name()));
    }
    Ok(claim)
}

impl<'a> Unbound<'a> {
    fn new(key: String, claim: &'a Claim, volumes: &'a Volumes) -> Self {
        let chosen = match volumes.assumed.get(key.as_str()) {
            Some(assumed) => Some(assumed.choice.clone()),
            None => claim.selected_node.clone().map(Choice::Node),
        };
        // A claim that a volume is being made for takes no other.
        let candidates = match &chosen {
            Some(Choice::Node(_)) => Vec::new(),
            Some(Choice::Volume(_)) | None => volumes.candidates(&key, claim),
        };
        Unbound { claim, chosen, candidates, class: volumes.classes.get(&claim.kind.class), key }
    }

    fn on(&self, node: &Node, taken: &mut BTreeSet<&'a str>) -> Option<Step> {
        let step = |choice, action| Step {
            claim: self.key.as_str().into(),
            uid: self.claim.uid.clone(),
            choice,
            action,
        };
        let provisions = || self.class.is_some_and(|class| class.provisions_for(node));
        match &self.chosen {
            Some(Choice::Node(selected)) => {
                let possible = **selected == *node.name && provisions();
                possible.then(|| step(Choice::Node(selected.clone()), Action::Nothing))
            }
            Some(Choice::Volume(name)) => {
                let found = self.candidates.iter().find(|(candidate, _)| **candidate == **name)?.1;
                found.reaches(node).then(|| step(Choice::Volume(name.clone()), Action::Nothing))
            }
            None => {
                let free = |(name, volume): &&(&str, &Volume)| !taken.contains(name) && volume.reaches(node);
                if let Some((name, volume)) = self.candidates.iter().find(free) {
                    taken.insert(name);
                    let written = volume.claim.as_ref().is_some_and(|of| of.uid == self.claim.uid);
                    let action = if written { Action::Nothing } else { Action::Write(volume.version) };
                    return Some(step(Choice::Volume((*name).into()), action));
                }
                let action = Action::Write(self.claim.version);
                provisions().then(|| step(Choice::Node(node.name.clone()), action))
            }
        }
    }
}
