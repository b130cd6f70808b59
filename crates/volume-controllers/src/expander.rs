//! Claims that ask for more than they have.
//!
//! Keeps true: whoever asks for more hears who will give it. Volumes are expanded by those who made them: their
//! provisioner's resizer, which writes the volume's size and the claim's conditions, and the kubelet, which grows file
//! systems.
//! Woken by: changes of claims. Reads: claims, volumes. Writes: events.
//! Gives up when: never.

use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::context::Context;
use informer::{Change, Key, Object as _, Outcome, Store, WorkQueue, run_workers};

use crate::objects::{PersistentVolume, PersistentVolumeClaim};

/// Tells whether a claim that is bound to the volume asks for more than it has.
fn asks_for_more(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    claim.status.phase == "Bound"
        && volume.is_for(claim)
        && claim.request().zip(claim.capacity()).is_some_and(|(request, capacity)| request > capacity)
}

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let claims: Store<PersistentVolumeClaim> = context.stores.of();
    let volumes: Store<PersistentVolume> = context.stores.of();
    let queue = WorkQueue::new("expand");
    context.stores.close_at_shutdown(&queue);
    let on_claim = queue.clone();
    claims.on_change(move |change| {
        let Change::Applied { old, new } = change else { return };
        // A status that is on its way to what is asked for is no new wish.
        let wished = old.and_then(|old| old.request());
        if new.request() != wished {
            on_claim.add(new.key());
        }
    });
    let shell = Arc::new((context, claims, volumes));
    Some(Box::pin(async move {
        let (context, claims, volumes) = &*shell;
        claims.ready().await;
        volumes.ready().await;
        run_workers("volume_expand", &queue, 1, async |key: Key| -> Result<Outcome, Error> {
            let Some(claim) = claims.get(key.as_str()) else { return Ok(Outcome::Done) };
            let volume = volumes.get(&claim.spec.volume_name);
            if volume.is_some_and(|volume| asks_for_more(&claim, &volume)) {
                let message = "waiting for an external controller to expand this PVC";
                context.normal(&*claim, "ExternalExpanding", message);
            }
            Ok(Outcome::Done)
        })
        .await;
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_bound_claim_that_grew_asks_for_more() {
        let volume: PersistentVolume = serde_json::from_value(json!({"metadata": {"name": "v"},
            "spec": {"claimRef": {"namespace": "d", "name": "c", "uid": "u"}}}))
        .unwrap();
        let claim = |request: &str, phase: &str, uid: &str| -> PersistentVolumeClaim {
            serde_json::from_value(json!({"metadata": {"name": "c", "namespace": "d", "uid": uid},
                "spec": {"resources": {"requests": {"storage": request}}},
                "status": {"phase": phase, "capacity": {"storage": "1Gi"}}}))
            .unwrap()
        };
        assert!(asks_for_more(&claim("2Gi", "Bound", "u"), &volume));
        assert!(!asks_for_more(&claim("1Gi", "Bound", "u"), &volume));
        assert!(!asks_for_more(&claim("2Gi", "Pending", "u"), &volume));
        assert!(!asks_for_more(&claim("2Gi", "Bound", "other"), &volume));
    }
}
