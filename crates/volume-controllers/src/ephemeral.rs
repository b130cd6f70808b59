//! Claims for the generic ephemeral volumes of pods.
//!
//! Keeps true: each `ephemeral` volume of a pod has a claim of its own, named after pod and volume, which goes with the
//! pod.
//! Woken by: new pods; claims that went.
//! Reads: pods, claims. Writes: claims.
//! Gives up when: never; a claim of that name that is not the pod's own is an error until it goes.

use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::api::path::{path_of, resource_path};
use controller_runtime::context::Context;
use controller_runtime::objects::Pod;
use controller_runtime::ownership::controller_reference;
use informer::{Change, Key, Object as _, Outcome, Store, WorkQueue, run_workers};
use serde_json::{Value, json};

use crate::objects::PersistentVolumeClaim;

fn has_ephemeral(pod: &Pod) -> bool {
    pod.spec.volumes.iter().any(|volume| volume.ephemeral.is_some())
}

/// Makes the claim of a pod's volume; none if the volume is of another kind.
fn claim(pod: &Pod, volume: &Value) -> Option<Value> {
    let template = volume.get("ephemeral")?.get("volumeClaimTemplate")?;
    let name = volume["name"].as_str()?;
    Some(json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": format!("{}-{name}", pod.metadata.name),
            "namespace": pod.metadata.namespace,
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [controller_reference(pod)],
        },
        "spec": template["spec"],
    }))
}

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let pods: Store<Pod> = context.stores.of();
    let claims: Store<PersistentVolumeClaim> = context.stores.of();
    let queue = WorkQueue::new("ephemeral_volume");
    context.stores.close_at_shutdown(&queue);
    let on_pod = queue.clone();
    pods.on_change(move |change| {
        if let Change::Applied { old: None, new } = change
            && has_ephemeral(new)
        {
            on_pod.add(new.key());
        }
    });
    let on_claim = queue.clone();
    claims.on_change(move |change| {
        if let Change::Deleted(claim) = change
            && let Some(owner) = claim.metadata.controller().filter(|owner| owner.kind == "Pod")
        {
            on_claim.add(Key::new(&claim.metadata.namespace, &owner.name));
        }
    });
    let shell = Arc::new((context, pods, claims));
    Some(Box::pin(async move {
        let (context, pods, claims) = &*shell;
        pods.ready().await;
        claims.ready().await;
        run_workers("ephemeral_volume", &queue, 1, |key| reconcile(context, pods, claims, key)).await;
    }))
}

async fn reconcile(
    context: &Context,
    pods: &Store<Pod>,
    claims: &Store<PersistentVolumeClaim>,
    key: Key,
) -> Result<Outcome, Error> {
    let Some(pod) = pods.get(key.as_str()) else { return Ok(Outcome::Done) };
    if pod.metadata.is_deleting() || pod.is_terminal() || !has_ephemeral(&pod) {
        return Ok(Outcome::Done);
    }
    let missing = |name: &str| match claims.find(&pod.metadata.namespace, name) {
        None => Ok(true),
        Some(found) if found.metadata.controller().is_some_and(|owner| owner.uid == pod.metadata.uid) => {
            Ok(false)
        }
        Some(_) => Err(Error::Malformed(format!(
            "PVC {}/{name} was not created for pod {key} (pod is not owner)",
            pod.metadata.namespace
        ))),
    };
    // The store does not keep the templates of claims.
    let live = match context.api.get(&path_of(&*pod)).await {
        Ok(live) => live,
        Err(error) if error.is_not_found() => return Ok(Outcome::Done),
        Err(error) => return Err(error),
    };
    for volume in live["spec"]["volumes"].as_array().into_iter().flatten() {
        let Some(wanted) = claim(&pod, volume) else { continue };
        if missing(wanted["metadata"]["name"].as_str().unwrap_or_default())? {
            let path = resource_path::<PersistentVolumeClaim>(&pod.metadata.namespace);
            match context.api.create(&path, &wanted).await {
                // The store is behind: the next look at it says whose the claim is.
                Err(error) if error.is_already_exists() => {}
                other => drop(other?),
            }
        }
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_named_after_pod_and_volume_and_goes_with_the_pod() {
        let volume = json!({"name": "scratch", "ephemeral": {"volumeClaimTemplate": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}}});
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "d", "uid": "u"}, "spec": {"volumes": [volume]}}))
        .unwrap();
        assert!(has_ephemeral(&pod));
        let made = claim(&pod, &volume).unwrap();
        assert_eq!(made["metadata"]["name"], "web-scratch");
        assert_eq!(made["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "u");
        assert_eq!(made["metadata"]["ownerReferences"][0]["controller"], true);
        assert_eq!(made["spec"], json!({"accessModes": ["ReadWriteOnce"]}));
        assert!(claim(&pod, &json!({"name": "x", "emptyDir": {}})).is_none());
    }
}
