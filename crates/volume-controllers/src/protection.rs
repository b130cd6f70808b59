//! Claims and volumes that are in use do not go away.
//!
//! Keeps true: a claim that a pod on a node uses, and a volume that is bound, stay until that has ended, by a finalizer.
//! Woken by: changes of claims, of volumes, of pods.
//! Reads: claims, volumes, pods. Writes: finalizers.
//! Gives up when: never.

use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::api::path::resource_path;
use controller_runtime::context::Context;
use controller_runtime::objects::{Pod, Resource};
use informer::{Change, Key, Metadata, Object as _, Outcome, Store, WorkQueue, run_workers};
use serde_json::Value;

use crate::objects::{PersistentVolume, PersistentVolumeClaim};

/// The index of pods on nodes by the claims they use.
const BY_CLAIM: &str = "claim";
const CLAIM: &str = "kubernetes.io/pvc-protection";
const VOLUME: &str = "kubernetes.io/pv-protection";

/// What to do about an object's finalizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Add,
    Remove,
    Leave,
}

/// Decides: what lives is protected, what is to go is let go once nothing uses it.
fn decide(metadata: &Metadata, finalizer: &str, is_used: bool) -> Step {
    let is_protected = metadata.finalizers.iter().any(|one| one == finalizer);
    match (metadata.is_deleting(), is_protected) {
        (false, false) => Step::Add,
        (true, true) if !is_used => Step::Remove,
        (false, true) | (true, _) => Step::Leave,
    }
}

/// Tells whether a pod uses a claim: the kubelet starts no pod whose claim is on its way out, so only pods that have a
/// node count.
fn uses(pod: &Pod, claim: &str) -> bool {
    !pod.spec.node_name.is_empty() && pod.claims().any(|name| name == claim)
}

async fn carry_out<K: Resource>(
    context: &Context,
    object: &K,
    finalizer: &str,
    step: Step,
) -> Result<Outcome, Error> {
    let change = |live: &mut Value| {
        let finalizers = &mut live["metadata"]["finalizers"];
        let mut names: Vec<Value> = finalizers.as_array().cloned().unwrap_or_default();
        names.retain(|name| name != finalizer);
        if step == Step::Add {
            names.push(finalizer.into());
        }
        *finalizers = names.into();
        true
    };
    match step {
        Step::Leave => Ok(Outcome::Done),
        Step::Add | Step::Remove => match context.api.modify(object, "", change).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Outcome::Done),
        },
    }
}

/// Starts the protection of claims.
pub fn start_claims(context: Context) -> Option<Running> {
    let claims: Store<PersistentVolumeClaim> = context.stores.of();
    let pods: Store<Pod> = context.stores.of();
    pods.index(BY_CLAIM, |pod: &Pod| {
        let on_node = !pod.spec.node_name.is_empty();
        let keys = pod.claims().filter(|_| on_node).map(|name| Key::new(&pod.metadata.namespace, &name));
        keys.map(|key| key.to_string()).collect()
    });
    let queue = WorkQueue::new("pvcprotection");
    context.stores.close_at_shutdown(&queue);
    let on_claim = queue.clone();
    claims.on_change(move |change| on_claim.add(change.object().key()));
    let on_pod = queue.clone();
    pods.on_change(move |change| {
        let ended = match change {
            Change::Deleted(_) => true,
            Change::Applied { new, .. } => new.is_terminal(),
        };
        let pod = change.object();
        if ended {
            pod.claims().for_each(|name| on_pod.add(Key::new(&pod.metadata.namespace, &name)));
        }
    });
    let shell = Arc::new((context, claims, pods));
    Some(Box::pin(async move {
        let (context, claims, pods) = &*shell;
        claims.ready().await;
        pods.ready().await;
        run_workers("pvcprotection", &queue, 1, |key| protect_claim(context, claims, pods, key)).await;
    }))
}

async fn protect_claim(
    context: &Context,
    claims: &Store<PersistentVolumeClaim>,
    pods: &Store<Pod>,
    key: Key,
) -> Result<Outcome, Error> {
    let Some(claim) = claims.get(key.as_str()) else { return Ok(Outcome::Done) };
    let is_used = !pods.by_index(BY_CLAIM, key.as_str()).is_empty();
    let mut step = decide(&claim.metadata, CLAIM, is_used);
    // The store may lag: before the claim goes, the server says whether really no pod uses it.
    if step == Step::Remove && is_used_live(context, &key).await? {
        step = Step::Leave;
    }
    carry_out(context, &*claim, CLAIM, step).await
}

async fn is_used_live(context: &Context, claim: &Key) -> Result<bool, Error> {
    let list = context.api.get(&resource_path::<Pod>(claim.namespace())).await?;
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    for item in items {
        let pod: Pod =
            serde_json::from_value(item.clone()).map_err(|error| Error::Malformed(error.to_string()))?;
        if uses(&pod, claim.name()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Starts the protection of volumes.
pub fn start_volumes(context: Context) -> Option<Running> {
    let volumes: Store<PersistentVolume> = context.stores.of();
    let queue = WorkQueue::new("pvprotection");
    context.stores.close_at_shutdown(&queue);
    let on_volume = queue.clone();
    volumes.on_change(move |change| on_volume.add(change.object().key()));
    let shell = Arc::new((context, volumes));
    Some(Box::pin(async move {
        let (context, volumes) = &*shell;
        volumes.ready().await;
        run_workers("pvprotection", &queue, 1, async |key: Key| {
            let Some(volume) = volumes.get(key.as_str()) else { return Ok(Outcome::Done) };
            let step = decide(&volume.metadata, VOLUME, volume.status.phase == "Bound");
            carry_out(context, &*volume, VOLUME, step).await
        })
        .await;
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_in_use_stays() {
        let metadata = |deleting: bool, protected: bool| -> Metadata {
            let time = deleting.then_some("2026-01-01T00:00:00Z");
            let finalizers = if protected { json!([CLAIM, "other"]) } else { json!(["other"]) };
            serde_json::from_value(json!({"deletionTimestamp": time, "finalizers": finalizers})).unwrap()
        };
        for (deleting, protected, is_used, expected) in [
            (false, false, false, Step::Add),
            (false, true, false, Step::Leave),
            (true, true, true, Step::Leave),
            (true, true, false, Step::Remove),
            (true, false, false, Step::Leave),
        ] {
            assert_eq!(decide(&metadata(deleting, protected), CLAIM, is_used), expected);
        }
    }

    #[test]
    fn only_pods_on_a_node_use_their_claims() {
        let pod = |node: &str| -> Pod {
            let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "own", "ephemeral": {}}]);
            let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": node, "volumes": volumes}});
            serde_json::from_value(pod).unwrap()
        };
        assert!(uses(&pod("w1"), "data") && uses(&pod("w1"), "p-own"));
        assert!(!uses(&pod(""), "data") && !uses(&pod("w1"), "other"));
    }
}
