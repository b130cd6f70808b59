//! How far the binding of a pod's claims has come, once everything for it is written.

use super::{Action, Step};
use crate::node::Node;
use crate::volumes::{Choice, Claim, Volumes};

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Every claim has its volume, and the node can use it.
    Bound,
    /// Others have yet to act.
    Waits,
    /// It came otherwise; the pod must be scheduled anew.
    Failed(String),
}

/// Looks how far the claims of a pod have come that goes to `node`; none if the node is gone.
pub fn progress(steps: &[Step], volumes: &Volumes, node: Option<&Node>) -> Progress {
    let Some(node) = node else { return Progress::Failed("node not found".to_owned()) };
    let mut whole = Progress::Bound;
    for step in steps {
        match of_step(step, volumes, node) {
            Progress::Bound => {}
            Progress::Waits => whole = Progress::Waits,
            failed @ Progress::Failed(_) => return failed,
        }
    }
    whole
}

fn of_step(step: &Step, volumes: &Volumes, node: &Node) -> Progress {
    let name = &step.claim;
    let Some(claim) = volumes.claims.get(name).filter(|claim| claim.uid == step.uid) else {
        return Progress::Failed(format!("claim {name:?} not found"));
    };
    if claim.bound
        && let Some(volume) = &claim.volume
    {
        return match volumes.volumes.get(volume) {
            Some(found) if found.reaches(node) => Progress::Bound,
            Some(_) => Progress::Failed(format!(
                "pv {volume:?} node affinity doesn't match node {:?}: no matching NodeSelectorTerms",
                node.name
            )),
            // The watch of volumes is behind that of claims.
            None => Progress::Waits,
        };
    }
    match &step.choice {
        Choice::Node(selected) if claim.selected_node.as_ref() == Some(selected) => Progress::Waits,
        Choice::Node(_) if is_ahead(step, claim.version, volumes) => Progress::Waits,
        Choice::Node(_) => {
            Progress::Failed(format!("selectedNode annotation reset for PVC {:?}", short(name)))
        }
        Choice::Volume(volume) => of_volume(step, claim, volume, volumes),
    }
}

fn of_volume(step: &Step, claim: &Claim, volume: &str, volumes: &Volumes) -> Progress {
    let Some(found) = volumes.volumes.get(volume) else {
        return Progress::Failed(format!("PV {volume:?} not found"));
    };
    let promised = found.claim.as_ref().filter(|reference| !reference.uid.is_empty());
    match promised {
        Some(reference) if reference.uid == claim.uid => Progress::Waits,
        Some(_) => Progress::Failed(format!("volume {volume:?} already bound to a different claim.")),
        None if is_ahead(step, found.version, volumes) => Progress::Waits,
        None => Progress::Failed(format!("ClaimRef got reset for pv {volume:?}")),
    }
}

/// Tells whether what was written has yet to be seen. What another pod writes is seen at the latest when that pod ends
/// to wait for it.
fn is_ahead(step: &Step, seen: u64, volumes: &Volumes) -> bool {
    match step.action {
        Action::Written(version) | Action::Write(version) => seen < version,
        Action::Nothing => volumes.assumed.get(&step.claim).is_some_and(|assumed| assumed.pods.len() > 1),
    }
}

fn short(key: &str) -> &str {
    key.split_once('/').map_or(key, |(_, name)| name)
}
