//! What to do about a claim that asks for more than it has.

use apimachinery::Quantity;
use provisioning::objects::{Claim, Volume};

/// The condition of a claim whose node has yet to grow what is in its volume.
pub const NODE_PENDING: &str = "FileSystemResizePending";
/// The condition of a claim that is being resized.
pub const RESIZING: &str = "Resizing";

/// What to do about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It has what it asks for, or another acts next.
    Leave,
    /// Its volume is made larger, up to this.
    Expand(Quantity),
}

/// Decides about a claim. `volume` is the one that it names.
pub fn decide(driver: &str, claim: &Claim, volume: &Volume) -> Step {
    let is_bound =
        volume.spec.claim_ref.as_ref().is_some_and(|reference| reference.uid == claim.metadata.uid);
    if volume.of(driver).is_none()
        || !is_bound
        || claim.status.phase != "Bound"
        || claim.metadata.is_deleting()
    {
        return Step::Leave;
    }
    let (Some(request), Some(size), Some(has)) = (claim.request(), volume.capacity(), claim.capacity())
    else {
        return Step::Leave;
    };
    let waits_for_node = claim.status.conditions.iter().any(|condition| condition.kind == NODE_PENDING);
    if request > size || (request > has && !waits_for_node) { Step::Expand(request) } else { Step::Leave }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bound_claim_that_asks_for_more_gets_it_once() {
        let check = |request: &str, size: &str, has: &str, condition: Option<&str>, expected: bool| {
            let conditions: Vec<_> =
                condition.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
            let claim: Claim = serde_json::from_value(json!({"metadata": {"uid": "u"},
                "spec": {"resources": {"requests": {"storage": request}}},
                "status": {"phase": "Bound", "capacity": {"storage": has}, "conditions": conditions}}))
            .unwrap();
            let volume: Volume = serde_json::from_value(json!({"spec": {"capacity": {"storage": size},
                "claimRef": {"uid": "u"}, "csi": {"driver": "d.io"}}}))
            .unwrap();
            let step = decide("d.io", &claim, &volume);
            assert_eq!(step != Step::Leave, expected, "{request} {size} {has} {condition:?}: {step:?}");
            assert_eq!(decide("other", &claim, &volume), Step::Leave);
        };
        check("2Gi", "1Gi", "1Gi", None, true);
        check("2Gi", "1Gi", "1Gi", Some(RESIZING), true);
        // The volume has grown, and its node is told; or is not yet.
        check("2Gi", "2Gi", "1Gi", Some(NODE_PENDING), false);
        check("2Gi", "2Gi", "1Gi", Some(RESIZING), true);
        // Still more is wanted meanwhile.
        check("3Gi", "2Gi", "1Gi", Some(NODE_PENDING), true);
        check("2Gi", "2Gi", "2Gi", None, false);
        check("1Gi", "2Gi", "2Gi", None, false);
    }
}
